"""Base of rankers with one model for each of a grid of weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linprog
from scipy.spatial.distance import cdist

from hyperrank._checks import check_choice
from hyperrank.rankers.base import BaseRanker
from hyperrank.simplex import as_weights, lattice_near
from hyperrank.weights import RowWeights

#: What can be made of weights off the grid.
OFF_GRID = ("refuse", "nearest", "interpolate")
#: Shares below this are rounding of the linear programme.
SMALL_SHARE = 1e-9


def interpolation_shares(
    weights: NDArray[np.float64], grid: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    r"""The convex combination of weights of a grid, of the nearest, that equals others; or None.

    .. math:: \min_{c \ge 0} \; \sum_h c_h \, \lVert w_h - w \rVert^2
              \quad \text{with} \quad \sum_h c_h \, w_h = w

    With squared distances these are the barycentric coordinates in the cell of a Delaunay triangulation
    around w, on an even lattice in a smallest cell: scores change continuously, and linearly within a cell.
    """
    distances = ((grid - weights) ** 2).sum(axis=1)
    # The shares' sum needs no constraint: all weights sum to 1.
    solved = linprog(distances, A_eq=grid.T, b_eq=weights, method="highs-ds")
    if not solved.success:
        return None
    solution = np.asarray(solved.x)
    used = np.flatnonzero(solution > SMALL_SHARE)
    # The programme is solved to about 1e-7; on the models that it chose the equations are, to rounding.
    exact = np.linalg.lstsq(grid[used].T, weights, rcond=None)[0]
    shares = np.zeros(len(grid))
    shares[used] = exact if (exact >= 0).all() else solution[used]
    return np.asarray(shares / shares.sum())


#: How far weights may lie from the grid's and still be taken for them: as far as from the simplex.
SAME_WEIGHTS = 1e-3


@dataclass(eq=False, repr=False)
class WeightGridRanker(BaseRanker):
    """A ranker that was trained once per weight vector, and knows the trade-offs of those alone.

    A subclass sets ``weights_`` and ``objectives_`` in fit and mixes its models' scores by `_mix_models`.
    """

    weights: int | ArrayLike = 21
    _: KW_ONLY
    off_grid: str = "refuse"
    weights_: NDArray[np.float64] = field(init=False)

    def _default_weights(self) -> NDArray[np.float64]:
        return self.weights_

    def _weights(self, weights: ArrayLike | Mapping[str, float] | None) -> NDArray[np.float64]:
        m = len(self.objectives_)
        if weights is None:
            return np.asarray(self.weights_[self._nearest(np.full((1, m), 1 / m))[0][0]])
        at = as_weights(self._for_all(weights), m, self.objectives_)
        if self.off_grid == "refuse":
            self._shares(np.atleast_2d(at))
        return at

    def _mix_models(
        self,
        weights: NDArray[np.float64] | RowWeights,
        scores_of: Callable[[int], NDArray[Any]],
        scales: NDArray[np.float64] | float = 1.0,
    ) -> NDArray[np.float64]:
        r"""Scores under k weights from those of the models, shape (n, k), or under those of each row, (n,).

        Interpolated scores are :math:`\bar\sigma \sum_h c_h s_h / \sigma_h` with
        :math:`\bar\sigma = \sum_h c_h \sigma_h`: a model of large scores has no more say for it.
        """
        by_row = None
        if isinstance(weights, RowWeights):
            by_row = weights.distinct
            weights = by_row.weights
        shares = self._shares(weights)
        # One after the other, as the models are summed below: numpy's own sums round otherwise.
        means = np.cumsum(shares * scales, axis=1)[:, -1:]
        factors = means * shares / scales
        models = np.flatnonzero(factors.any(axis=0)).tolist()
        mixed: NDArray[np.float64] | None = None
        for model, scores in zip(models, map(scores_of, models), strict=True):
            if mixed is None:
                mixed = np.zeros(len(scores) if by_row is not None else (len(scores), len(factors)))
            if by_row is not None:
                mixed += scores * factors[by_row.index, model]
            else:  # mostly one column, as most models are asked for at their own weights
                of_model = np.flatnonzero(factors[:, model])
                mixed[:, of_model] += np.multiply.outer(scores, factors[of_model, model])
        assert mixed is not None
        return mixed

    def _shares(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """How much each model counts under each of k weights, shape (k, grid); all of one at its own."""
        check_choice("off_grid", self.off_grid, OFF_GRID)
        rows, is_far = self._nearest(weights)
        shares = np.eye(len(self.weights_))[rows]
        for number in np.flatnonzero(is_far & (self.off_grid != "nearest")):
            found = None
            if self.off_grid == "interpolate":
                found = interpolation_shares(weights[number], self.weights_)
            if found is None:
                raise self._unknown(weights[number], self.weights_[rows[number]])
            shares[number] = found
        return shares

    def _unknown(self, asked: NDArray[np.float64], nearest: NDArray[np.float64]) -> ValueError:
        """The error of weights that no models make up."""
        is_refused = self.off_grid == "refuse"
        advice = ", or set off_grid to 'nearest' or 'interpolate'" if is_refused else ""
        return ValueError(
            f"{type(self).__name__} {'holds no model for' if is_refused else 'cannot interpolate'} weights "
            f"{_spelled(asked)}; of the {len(self.weights_)} it holds (weights_), the nearest is "
            f"{_spelled(nearest)}. Pass that, or fit with these weights{advice}."
        )

    def _served(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """The weights that scores are given for: those asked for, or off the grid the nearest of it."""
        if self.off_grid != "nearest":
            return weights
        rows, is_far = self._nearest(weights)
        return np.where(is_far[:, None], self.weights_[rows], weights)

    def _nearest(self, weights: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """The row of ``weights_`` nearest to each of k weights, and whether it is of other weights."""
        distances = cdist(weights, self.weights_, "chebyshev")
        return distances.argmin(axis=1), distances.min(axis=1) > SAME_WEIGHTS


def weight_grid(weights: Any, names: tuple[str, ...]) -> NDArray[np.float64]:
    """Weights to train at, given as their number or one by one."""
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
