"""What all sources of documents are read as: chunks of rows, in the source's order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Chunk", "Source", "chunk_rows", "slices"]

#: Bytes of features that are worked on at a time.
CHUNK_BYTES = 1 << 24


@dataclass(frozen=True, eq=False)
class Chunk:
    """Some documents.

    Attributes
    ----------
    X : ndarray of shape (k, d), float32
        Of sources that do not know their width, as wide as these documents need.
    Y : ndarray of shape (k, m), float32
    ids : ndarray of shape (k,), int64 or str
        Query ids.
    """

    X: NDArray[np.float32]
    Y: NDArray[np.float32]
    ids: NDArray[Any]


@dataclass(frozen=True, eq=False)
class Source:
    """Documents that can be gone through once.

    Attributes
    ----------
    chunks : iterator of Chunk
    names : tuple of str
        The objectives.
    feature_names : tuple of str or None
        None if features are numbered.
    first : int
        The number of the first feature of those.
    width : int or None
        Number of features; None if it is known only at the end.
    missing : float
        What stands for features that a chunk is too narrow for.
    description : str
    """

    chunks: Iterator[Chunk]
    names: tuple[str, ...]
    feature_names: tuple[str, ...] | None
    description: str
    first: int = 1
    width: int | None = None
    missing: float = 0.0

    def names_of(self, width: int) -> tuple[str, ...]:
        """Names of the features, now that their number is known."""
        if self.feature_names is not None:
            return self.feature_names
        return tuple(f"feature_{j}" for j in range(self.first, self.first + width))


def chunk_rows(width: int) -> int:
    """Rows of so many features that are worked on at a time."""
    return max(1, CHUNK_BYTES // (4 * max(width, 1)))


def slices(n_rows: int, width: int) -> Iterator[slice]:
    """Cut rows into chunks."""
    step = chunk_rows(width)
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))
