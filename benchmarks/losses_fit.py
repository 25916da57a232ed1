"""How many documents a whole fit takes in per second, on data of the shape of MSLR."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch

from hyperrank import HyperDPORanker
from hyperrank.datasets import make_multilabel_ranking

__all__ = ["Fit", "fit_throughput"]

N_FEATURES, N_OBJECTIVES = 136, 3
#: The generator draws sizes evenly on a logarithmic scale: these have a mean of 120, as those of MSLR.
LIST_SIZE = (1, 800)


@dataclass(frozen=True)
class Fit:
    """One fit: rows, epochs, seconds on the wall in all and of the epochs, and where."""

    rows: int
    queries: int
    epochs: int
    seconds: float
    training_seconds: float
    device: str

    def sentence(self) -> str:
        """What it says."""
        return (
            f"`HyperDPORanker(reference=None)`, {self.rows:,} generated rows in {self.queries:,} queries, "
            f"{N_FEATURES} features, {N_OBJECTIVES} objectives, 2 draws of weights per query, {self.device}: "
            f"{self.rows * self.epochs / self.training_seconds:,.0f} documents per second in training "
            f"({self.epochs} epochs), {self.rows * self.epochs / self.seconds:,.0f} of the whole fit, "
            "checks and transform included."
        )


def fit_throughput(n_queries: int, epochs: int, device: str) -> Fit:
    """Fit the default network without boosters, which would be most of the time at few epochs."""
    data = make_multilabel_ranking(
        n_queries=n_queries,
        list_size=LIST_SIZE,
        n_features=N_FEATURES,
        n_objectives=N_OBJECTIVES,
        random_state=0,
    )
    ranker = HyperDPORanker(
        reference=None, max_epochs=epochs, early_stopping=False, device=device, n_jobs=1, random_state=0
    )
    started = time.perf_counter()
    ranker.fit(data.X, data.Y, qid=data.qid)
    if device != "cpu":
        torch.cuda.synchronize()
    seconds = time.perf_counter() - started
    training = sum(entry["seconds"] for entry in ranker.history_)
    return Fit(len(data.X), n_queries, epochs, seconds, training, device)
