"""Positions of the highest scores of each row, ties by position."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["top_positions"]

#: Up to this many ranks one pass per rank beats sorting the row, and settles ties by the way.
MAX_PASSES = 16


def top_positions(scores: NDArray[Any], k: int) -> NDArray[np.int64]:
    """Rank each row by descending score, earlier positions first among equals, down to rank k.

    Parameters
    ----------
    scores : ndarray of shape (rows, width)
        Overwritten. Minus infinity marks padding, which must stand behind the rest.
    k : int
        Ranks wanted, at most the width.

    Returns
    -------
    ndarray of shape (rows, k), int64
        Ranks beyond the padding hold some position within the width.

    Examples
    --------
    >>> top_positions(np.array([[1.0, 3.0, 3.0, 2.0]]), 3).tolist()
    [[1, 2, 3]]
    """
    if k <= MAX_PASSES and k < scores.shape[1]:
        return _by_passes(scores, k)
    return _by_sorting(scores)[:, :k]


def _by_passes(scores: NDArray[Any], k: int) -> NDArray[np.int64]:
    """Take the maximum k times; of equals ``argmax`` finds the first."""
    flat = scores.reshape(-1)
    firsts = np.arange(0, scores.size, scores.shape[1])
    positions = np.empty((k, len(scores)), dtype=np.int64)
    for best in positions:
        scores.argmax(axis=1, out=best)
        flat[firsts + best] = -np.inf
    return positions.T


def _by_sorting(scores: NDArray[Any]) -> NDArray[np.int64]:
    """Sort each row fast, then again where equals may have lost their order.

    A stable sort costs several times the fast one, and real-valued scores seldom tie.
    """
    np.negative(scores, out=scores)
    positions = np.argsort(scores, axis=1)
    ordered = np.take_along_axis(scores, positions, axis=1)
    tied = ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] < np.inf)).any(axis=1)
    if tied.any():
        positions[tied] = np.argsort(scores[tied], axis=1, kind="stable")
    return positions
