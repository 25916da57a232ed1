"""Data of any size, made chunk by chunk straight into a store."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperrank import datasets

__all__ = ["OBJECTIVES", "Timed", "check_disk", "chunks", "made_in_memory", "store_bytes", "write_store"]

OBJECTIVES = ("relevance", "clicks")
#: Documents of a query at most; they are 1 to this many, any number as often.
MOST_DOCUMENTS = 199
#: Rows that are made at a time, about.
CHUNK_ROWS = 8192
#: Where utilities are cut to grades 0 to 4: at the shares of the grades of MSLR-WEB10K, about.
CUTS = (0.0, 0.9, 1.8, 2.3)
#: Features that labels depend on.
TELLING = 8

Rows = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]


class Timed:
    """An iterator that knows how long it was waited for.

    Attributes
    ----------
    seconds : float
    """

    def __init__(self, items: Iterator[Any]) -> None:
        self._items, self.seconds = items, 0.0

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        begun = time.perf_counter()
        try:
            return next(self._items)
        finally:
            self.seconds += time.perf_counter() - begun


def store_bytes(rows: int, features: int) -> int:
    """What a store of so many rows takes on the disk, rather more than less."""
    return int(1.02 * rows * 4 * (features + len(OBJECTIVES) + 1)) + (1 << 20)


def check_disk(folder: Path, rows: int, features: int) -> None:
    """Refuse to begin what will not fit.

    Raises
    ------
    OSError
        If the disk has less free than a store takes.
    """
    needed, free = store_bytes(rows, features), shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(
            f"{rows:,} rows of {features} features take {needed / 1e9:.1f} GB, but where temporary files go "
            f"{free / 1e9:.1f} GB are free: name a larger disk by --folder, or fewer --rows"
        )


def chunks(rows: int, features: int) -> Iterator[Rows]:
    """Features, labels and query ids, whole queries at a time; the same for the same sizes.

    The first features tell, in their way for each objective, how good a document is; the rest is noise.
    """
    made, queries, number = 0, 0, 0
    telling = min(TELLING, features)
    mixes = np.random.default_rng(0).normal(size=(telling, len(OBJECTIVES))) / np.sqrt(telling)
    while made < rows:
        rng = np.random.default_rng([1, number])
        sizes = rng.integers(1, MOST_DOCUMENTS + 1, 2 * CHUNK_ROWS // MOST_DOCUMENTS)
        ends = np.minimum(np.cumsum(sizes), rows - made)
        sizes = np.diff(ends, prepend=0)
        n = int(ends[-1])
        X = rng.standard_normal((n, features), dtype=np.float32)
        utilities = np.tanh(X[:, :telling]) @ mixes + rng.normal(scale=0.5, size=(n, len(OBJECTIVES)))
        Y = np.searchsorted(CUTS, utilities / 0.8).astype(np.float32)
        yield X, Y, np.repeat(np.arange(queries, queries + len(sizes)), sizes)
        made, queries, number = made + n, queries + len(sizes), number + 1


def made_in_memory(rows: int, features: int) -> Rows:
    """The same as arrays, of few rows."""
    parts = list(zip(*chunks(rows, features), strict=True))
    X, Y, qid = (np.concatenate(part) for part in parts)
    return X, Y, qid


def write_store(path: Path, rows: int, features: int) -> float:
    """Write a store from batches that exist one at a time; gives the seconds that making them took."""
    import pyarrow as pa

    names = [f"feature_{j}" for j in range(features)]
    kinds = [pa.float32()] * (features + len(OBJECTIVES))
    schema = pa.schema([*zip([*names, *OBJECTIVES], kinds, strict=True), ("qid", pa.int64())])

    def batches() -> Iterator[Any]:
        for X, Y, qid in chunks(rows, features):
            columns = [*np.ascontiguousarray(X.T), *np.ascontiguousarray(Y.T), qid]
            yield pa.RecordBatch.from_arrays([pa.array(column) for column in columns], schema=schema)

    timed = Timed(batches())
    datasets.convert(pa.RecordBatchReader.from_batches(schema, timed), path, labels=list(OBJECTIVES))
    return timed.seconds
