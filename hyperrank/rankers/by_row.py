"""Scores under weights that differ from row to row."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hyperrank.assigned import MixedRows

__all__ = ["mixed_by_row", "rows_by_mix"]


def mixed_by_row(parts: NDArray[np.float64], mixes: MixedRows) -> NDArray[np.float64]:
    """A reference's parts, of shape (n, 1) or (n, m), mixed by the weights of each row, shape (n,).

    The same sums in the same order as `Reference.mix`, and so the same bits.
    """
    if parts.shape[1] == 1:
        return parts[:, 0]
    mixed = np.zeros(len(parts))
    for part, weight in zip(parts.T, mixes.by_row.T, strict=True):
        mixed += part * weight
    return mixed


def rows_by_mix(mixes: MixedRows) -> Iterator[tuple[NDArray[np.float64], NDArray[np.int64]]]:
    """Each of the distinct weights, shape (m,), with the rows that have them."""
    distinct = mixes.distinct
    order = np.argsort(distinct.index, kind="stable")
    bounds = np.flatnonzero(np.diff(distinct.index[order], prepend=-1))
    for rows in np.split(order, bounds[1:]):
        yield distinct.mixes[distinct.index[rows[0]]], rows
