"""Rankers that hold one model for each of some weights, and no others."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hyperrank.rankers.base import BaseRanker
from hyperrank.simplex import as_weights, lattice_near

__all__ = ["WeightGridRanker", "weight_grid"]

#: How far weights may lie from held ones and still be taken for them: as far as from the simplex.
SAME_WEIGHTS = 1e-3


class WeightGridRanker(BaseRanker):
    """A ranker that was trained once per weight vector, and knows the trade-offs of those alone.

    A subclass sets ``weights_`` in fit, beside ``objectives_``.

    Attributes
    ----------
    weights_ : ndarray of shape (k, m)
        The weights held.
    """

    weights_: NDArray[np.float64]

    def _default_weights(self) -> NDArray[np.float64]:
        return self.weights_

    def _weights(self, weights: ArrayLike | Mapping[str, float] | None) -> NDArray[np.float64]:
        m = len(self.objectives_)
        if weights is None:
            return np.asarray(self.weights_[np.argmin(self._distances(np.full((1, m), 1 / m))[0])])
        at = as_weights(weights, m, self.objectives_)
        self._held(np.atleast_2d(at))
        return at

    def _held(self, weights: NDArray[np.float64]) -> NDArray[np.int64]:
        """Rows of ``weights_`` that stand for the weights asked for, shape (k,).

        Raises
        ------
        ValueError
            If some are not held, naming the nearest that are.
        """
        distances = self._distances(weights)
        rows = distances.argmin(axis=1)
        unknown = np.flatnonzero(distances.min(axis=1) > SAME_WEIGHTS)
        if len(unknown):
            asked, nearest = weights[unknown[0]], self.weights_[rows[unknown[0]]]
            raise ValueError(
                f"{type(self).__name__} holds no model for weights {_spelled(asked)}; of the "
                f"{len(self.weights_)} it holds (weights_), the nearest is {_spelled(nearest)}. "
                "Pass that, or fit with these weights."
            )
        return rows.astype(np.int64)

    def _distances(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Largest differences from the weights held, shape (k, held)."""
        return np.asarray(np.abs(weights[:, None] - self.weights_).max(axis=2))


def weight_grid(weights: Any, names: tuple[str, ...]) -> NDArray[np.float64]:
    """Weights to train at, given as their number or one by one.

    Parameters
    ----------
    weights : int or array-like of shape (k, m)
        A number makes an even lattice of up to as many, and at least the corners.
    names : tuple of str
        The objectives.

    Returns
    -------
    ndarray of shape (k, m)

    Raises
    ------
    ValueError
        If these are not weights, or some are given twice.

    Examples
    --------
    >>> weight_grid(3, ("relevance", "clicks")).tolist()
    [[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]
    """
    if isinstance(weights, Integral) and not isinstance(weights, bool):
        if weights < 1:
            raise ValueError(f"weights must be a number of at least 1, or weights; got {weights}.")
        return lattice_near(len(names), int(weights))
    grid = np.atleast_2d(as_weights(weights, len(names), names))
    if len(np.unique(grid, axis=0)) < len(grid):
        raise ValueError("weights hold the same trade-off twice: name each once.")
    return grid


def _spelled(weights: NDArray[np.float64]) -> str:
    return "[" + ", ".join(f"{value:.4g}" for value in weights) + "]"
