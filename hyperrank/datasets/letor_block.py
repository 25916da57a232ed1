"""What the parsers of LETOR text return, and how the pieces become arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Block", "Rules", "as_ids", "densify", "merge_ids"]

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
        Feature numbers from 1, ascending within a document.
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
        The largest feature number allowed.
    """

    has_qid: bool | None = None
    n_features: int | None = None

    def admit(self, block: Block) -> bool:
        """Whether a block obeys."""
        limit = MAX_FEATURES if self.n_features is None else self.n_features
        same_qid = self.has_qid is None or not len(block.labels) or self.has_qid == (block.ids is not None)
        return same_qid and int(block.index.max(initial=0)) <= limit


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


def merge_ids(parts: list[NDArray[Any] | None]) -> NDArray[Any] | None:
    """Query ids of all blocks: integers if all are, strings else."""
    ids = [part for part in parts if part is not None]
    if not ids:
        return None
    if any(part.dtype.kind == "U" for part in ids):
        ids = [part.astype(np.str_) for part in ids]
    return np.concatenate(ids)


def densify(blocks: list[Block], n_rows: int, n_features: int | None, missing: float) -> NDArray[np.float32]:
    """Fill the feature matrix, giving up block after block so that memory stays near the matrix's own."""
    width = n_features or max(int(block.index.max(initial=0)) for block in blocks)
    X = np.empty((n_rows, width), dtype=np.float32)
    blocks.reverse()
    row = 0
    while blocks:
        block = blocks.pop()
        part = X[row : row + len(block.labels)]
        if len(block.values) == part.size:  # every feature given: ascending numbers leave only one order
            part[:] = block.values.reshape(part.shape)
        else:
            part[:] = missing
            part[np.repeat(np.arange(len(part)), block.counts), block.index - 1] = block.values
        row += len(part)
    return X
