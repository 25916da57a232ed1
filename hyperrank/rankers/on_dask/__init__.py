"""Bulk scoring of Dask's frames and arrays: lazily, partition by partition, queries whole or refused."""

from hyperrank.rankers.on_dask.predicting import PredictsOnDask

__all__ = ["PredictsOnDask"]
