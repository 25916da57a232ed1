"""Baseline rankers: one model per trade-off, or scores and parameters mixed afterwards."""
