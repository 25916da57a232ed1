"""Base of rankers with one model for each of a grid of weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linprog

from hyperrank.rankers.base import BaseRanker
from hyperrank.simplex import as_weights, lattice_near
from hyperrank.weights import RowWeights

#: What can be made of weights off the grid.
OFF_GRID = ("refuse", "nearest", "interpolate")
#: Shares below this are rounding of the linear programme.
SMALL_SHARE = 1e-9


def check_off_grid(off_grid: Any) -> str:
    """Check the option of that name, and give it back."""
    if not isinstance(off_grid, str) or off_grid not in OFF_GRID:
        raise ValueError(f"off_grid must be one of {OFF_GRID}; got {off_grid!r}.")
    return off_grid


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
            return np.asarray(self.weights_[np.argmin(self._distances(np.full((1, m), 1 / m))[0])])
        at = as_weights(self._for_all(weights), m, self.objectives_)
        if check_off_grid(self.off_grid) == "refuse":
            self._nearest(np.atleast_2d(at))
        return at

    def _mix_models(
        self,
        weights: NDArray[np.float64],
        scores_of: Callable[[int], NDArray[Any]],
        *,
        scales: NDArray[np.float64] | None = None,
    ) -> NDArray[np.floating[Any]]:
        r"""Scores under k weights from those of the models, shape (n, k).

        Interpolated scores are :math:`\bar\sigma \sum_h c_h s_h / \sigma_h` with
        :math:`\bar\sigma = \sum_h c_h \sigma_h`: a model of large scores has no more say for it.
        """
        recipes = self._recipes(weights)
        scores = {row: scores_of(row) for row in sorted({row for recipe in recipes for row in recipe})}
        columns: list[NDArray[Any]] = []
        for recipe in recipes:
            if len(recipe) == 1:
                columns += [scores[row] for row in recipe]
                continue
            mixed = np.zeros(1)
            for row, factor in _factors(recipe, scales).items():
                mixed = mixed + np.multiply(scores[row], factor, dtype=np.float64)
            columns.append(mixed)
        return np.column_stack(columns)

    def _mix_models_by_row(
        self,
        row_weights: RowWeights,
        scores_of: Callable[[int], NDArray[Any]],
        *,
        scales: NDArray[np.float64] | None = None,
    ) -> NDArray[np.float64]:
        """The same under the weights of each row, shape (n,); each model scores at most once."""
        distinct = row_weights.distinct
        recipes = self._recipes(distinct.weights)
        factors = np.zeros((len(recipes), len(self.weights_)))
        for number, recipe in enumerate(recipes):
            for row, factor in _factors(recipe, scales).items():
                factors[number, row] = factor
        out = np.zeros(len(distinct.index))
        # By ascending rows, as in every recipe: the same sums in the same order.
        for model in np.flatnonzero(factors.any(axis=0)).tolist():
            factor = factors[distinct.index, model]
            used = np.flatnonzero(factor)
            out[used] += factor[used] * scores_of(model)[used]
        return out

    def _recipes(self, weights: NDArray[np.float64]) -> list[dict[int, float]]:
        """For each of the weights the rows of ``weights_`` that make them up, and their shares."""
        far = self._distances(weights).min(axis=1) > SAME_WEIGHTS
        if check_off_grid(self.off_grid) != "interpolate" or not far.any():
            return [{int(row): 1.0} for row in self._nearest(weights)]
        recipes = []
        for asked, is_far in zip(weights, far, strict=True):
            shares = interpolation_shares(asked, self.weights_) if is_far else None
            if shares is None:  # on the grid, or refused here
                recipes.append({int(self._nearest(asked[None], strict=True)[0]): 1.0})
            else:
                recipes.append({int(row): float(shares[row]) for row in np.flatnonzero(shares)})
        return recipes

    def _nearest(self, weights: NDArray[np.float64], *, strict: bool = False) -> NDArray[np.int64]:
        """Rows of ``weights_`` nearest to the weights asked for, shape (k,)."""
        distances = self._distances(weights)
        rows = distances.argmin(axis=1)
        unknown = np.flatnonzero(distances.min(axis=1) > SAME_WEIGHTS)
        if len(unknown) and (strict or self.off_grid != "nearest"):
            asked, nearest = weights[unknown[0]], self.weights_[rows[unknown[0]]]
            holds = "holds no model for" if self.off_grid == "refuse" else "cannot interpolate"
            advice = "Pass that, or fit with these weights"
            if self.off_grid == "refuse":
                advice += ", or set off_grid to 'nearest' or 'interpolate'"
            raise ValueError(
                f"{type(self).__name__} {holds} weights {_spelled(asked)}; of the "
                f"{len(self.weights_)} it holds (weights_), the nearest is {_spelled(nearest)}. {advice}."
            )
        return rows.astype(np.int64)

    def _served(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """The weights that scores are given for: those asked for, or off the grid the nearest of it."""
        if check_off_grid(self.off_grid) != "nearest":
            return weights
        distances = self._distances(weights)
        far = distances.min(axis=1, keepdims=True) > SAME_WEIGHTS
        return np.where(far, self.weights_[distances.argmin(axis=1)], weights)

    def _distances(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Largest differences from the weights of the grid, shape (k, grid)."""
        distances = np.zeros((len(weights), len(self.weights_)))
        for column, grid in zip(weights.T, self.weights_.T, strict=True):
            np.maximum(distances, np.abs(column[:, None] - grid), out=distances)
        return distances


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


def _factors(recipe: Mapping[int, float], scales: NDArray[np.float64] | None) -> dict[int, float]:
    """What the scores of each model in a recipe are multiplied by; 1 for a model alone."""
    sigma = {row: 1.0 if scales is None else float(scales[row]) for row in recipe}
    mean = sum(share * sigma[row] for row, share in recipe.items())
    return {row: mean * share / sigma[row] for row, share in recipe.items()}


def _spelled(weights: NDArray[np.float64]) -> str:
    return "[" + ", ".join(f"{value:.4g}" for value in weights) + "]"
