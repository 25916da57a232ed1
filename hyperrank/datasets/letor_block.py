"""What the parsers of LETOR text return, and how the pieces become arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .chunks import slices

__all__ = ["Block", "Rules", "as_ids", "dense_parts", "merge_ids"]

#: Features are stored densely, so a wild number in a damaged line must not ask for all memory.
MAX_FEATURES = 1_000_000


@dataclass(frozen=True, eq=False)
class Block:
    """The documents of some lines, as compressed sparse rows.

    Attributes
    ----------
    labels : ndarray of shape (n,), float32
    ids : ndarray of shape (n,), int64 or str, or None
        Query ids; None if the lines have no ``qid:``.
    counts : ndarray of shape (n,), int64
        Features given per document.
    index : ndarray of shape (counts.sum(),), int32
        Feature numbers as written, ascending within a document.
    values : ndarray of the shape of `index`, float32
    """

    labels: NDArray[np.float32]
    ids: NDArray[Any] | None
    counts: NDArray[np.int64]
    index: NDArray[np.int32]
    values: NDArray[np.float32]


@dataclass(frozen=True)
class Rules:
    """What the lines of a file must obey beside the format.

    Attributes
    ----------
    has_qid : bool or None
        Whether every line must have, or must lack, a ``qid:``; None leaves it to the first line.
    n_features : int or None
        Columns there are room for.
    first : int
        The number of the first feature, 0 or 1.
    """

    has_qid: bool | None = None
    n_features: int | None = None
    first: int = 1

    @property
    def last(self) -> int:
        """The largest feature number allowed."""
        return (MAX_FEATURES if self.n_features is None else self.n_features) + self.first - 1

    def admit(self, block: Block) -> bool:
        """Whether a block obeys."""
        same_qid = self.has_qid is None or not len(block.labels) or self.has_qid == (block.ids is not None)
        in_range = (
            block.index.min(initial=self.first) >= self.first and block.index.max(initial=0) <= self.last
        )
        return bool(same_qid and in_range)

    def following(self, block: Block) -> Rules:
        """What the lines after a block must obey."""
        return replace(self, has_qid=block.ids is not None)


def as_ids(ids: list[str]) -> NDArray[Any]:
    """Query ids as integers if all are written as such, as strings else.

    Integers with leading zeros stay strings: "7" and "007" may be two queries.
    """
    texts = np.asarray(ids, dtype=np.str_)
    try:
        numbers = texts.astype(np.int64)
    except (ValueError, OverflowError):
        return texts
    return numbers if (numbers.astype(np.str_) == texts).all() else texts


def merge_ids(parts: Sequence[NDArray[Any] | None]) -> NDArray[Any] | None:
    """Query ids of all blocks: integers if all are, strings else."""
    ids = [part for part in parts if part is not None]
    if not ids:
        return None
    if any(part.dtype.kind == "U" for part in ids):
        ids = [part.astype(np.str_) for part in ids]
    return np.concatenate(ids)


def dense_parts(block: Block, first: int, missing: float) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Lay out a block as dense rows, a few MB at a time, as wide as its largest feature number asks for."""
    width = max(int(block.index.max(initial=0)) - first + 1, 0)
    if len(block.values) == len(block.labels) * width:  # ascending numbers leave only one order
        yield slice(0, len(block.labels)), block.values.reshape(len(block.labels), width)
        return
    ends = np.cumsum(block.counts)
    for part in slices(len(block.labels), width):
        given = slice(int(ends[part.start] - block.counts[part.start]), int(ends[part.stop - 1]))
        rows = np.full((part.stop - part.start, width), missing, dtype=np.float32)
        row = np.repeat(np.arange(len(rows)), block.counts[part])
        rows[row, block.index[given] - first] = block.values[given]
        yield part, rows
