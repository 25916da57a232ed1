"""Training of a reward model over a reference: the steps of `HyperDPORanker.fit`."""
