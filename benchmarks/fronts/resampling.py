"""Tests and intervals by query, for fronts that were measured on the same queries.

A method's values are a list over folds of arrays of shape (seeds, k, q, m): metric values at k trade-offs of
q test queries for m objectives, NaN where a list does not count for an objective. The statistic is the mean
over folds and seeds of the hypervolume of the front of mean values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hyperrank.metrics import hypervolume

__all__ = ["Comparison", "Values", "compare_fronts", "compare_means", "mean_hypervolume"]

Values = Sequence[NDArray[np.float64]]
#: ``(points of shape (n, seeds, k, m)) -> statistic of shape (n,)``.
Statistic = Callable[[NDArray[np.float64]], NDArray[np.float64]]

N_RESAMPLES = 2000
#: Statistics nearer than this are equal: sums in another order round otherwise.
ROUNDING = 1e-12


@dataclass(frozen=True)
class Comparison:
    """How far one method is ahead of another.

    Attributes
    ----------
    lead : float
        Difference of the statistic.
    low, high : float
        Bounds of the 95% bootstrap interval over queries, centred on the lead.
    p : float
        Of the two-sided paired randomisation test by query.
    """

    lead: float
    low: float
    high: float
    p: float


def mean_hypervolume(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over seeds of the hypervolume of fronts, shape (n,), for points of shape (n, seeds, k, m)."""
    return np.array([np.mean([hypervolume(front) for front in seeds]) for seeds in points])


def compare_fronts(a: Values, b: Values, *, n: int = N_RESAMPLES, seed: int = 0) -> Comparison:
    """Compare the mean hypervolume of two methods' fronts.

    Parameters
    ----------
    a, b : list over folds of ndarray of shape (seeds, k, q, m)
        Of the same queries, trade-offs and seeds.
    n : int, default 2000
        Permutations, and resamples of the bootstrap.
    seed : int, default 0
        Of both.

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError
        If the two were not measured on the same queries.
    """
    return _compare(a, b, mean_hypervolume, n, seed)


def compare_means(
    a: Values, b: Values, *, row: int, objective: int, n: int = N_RESAMPLES, seed: int = 0
) -> Comparison:
    """Compare the mean of one objective at one trade-off; arguments as for `compare_fronts`."""

    def chosen(values: Values) -> list[NDArray[np.float64]]:
        return [fold[:, row : row + 1, :, objective : objective + 1] for fold in values]

    return _compare(chosen(a), chosen(b), lambda points: points[:, :, 0, 0].mean(axis=1), n, seed)


def _compare(a: Values, b: Values, statistic: Statistic, n: int, seed: int) -> Comparison:
    folds = [_Pair.of(of_a, of_b) for of_a, of_b in zip(a, b, strict=True)]
    lead = float(np.mean([pair.swapped(statistic, np.zeros((1, pair.n_queries))) for pair in folds]))
    rng = np.random.default_rng(seed)
    # Whether a query's values are swapped is decided once for all seeds and trade-offs of the methods.
    swapped = [pair.swapped(statistic, rng.integers(0, 2, (n, pair.n_queries))) for pair in folds]
    extreme = np.abs(np.mean(swapped, axis=0)) >= abs(lead) - ROUNDING
    resampled = [pair.resampled(statistic, rng, n) for pair in folds]
    spread = np.mean(resampled, axis=0)
    # Noise adds hypervolume, and resampling adds noise: the resampled leads are centred on the one measured.
    low, high = lead + np.nanquantile(spread - np.nanmean(spread), [0.025, 0.975])
    return Comparison(lead, float(low), float(high), float((1 + extreme.sum()) / (1 + n)))


@dataclass(frozen=True, eq=False)
class _Pair:
    """Two methods on the queries of one fold; what does not count is 0, and is not counted.

    Attributes
    ----------
    a, b : ndarray of shape (q, seeds * k * m)
    counts : ndarray of shape (q, m)
        1 where a query counts for an objective.
    shape : (seeds, k, m)
    """

    a: NDArray[np.float64]
    b: NDArray[np.float64]
    counts: NDArray[np.float64]
    shape: tuple[int, int, int]

    @classmethod
    def of(cls, a: NDArray[np.float64], b: NDArray[np.float64]) -> _Pair:
        """Bring queries to the front."""
        known = ~np.isnan(a)
        if a.shape != b.shape or (known != ~np.isnan(b)).any():
            raise ValueError("the two methods were not measured on the same queries and trade-offs.")
        seeds, k, q, m = a.shape
        first, second = (np.moveaxis(np.nan_to_num(values), 2, 0).reshape(q, -1) for values in (a, b))
        return cls(first, second, counts=known[0, 0].astype(np.float64), shape=(seeds, k, m))

    @property
    def n_queries(self) -> int:
        return len(self.counts)

    def swapped(self, statistic: Statistic, swap: NDArray[np.generic]) -> NDArray[np.float64]:
        """Leads of a over b with some queries' values swapped, shape (n,), for `swap` of shape (n, q)."""
        shift = swap.astype(np.float64) @ (self.b - self.a)
        number = self.counts.sum(axis=0)
        above = self._points(self.a.sum(axis=0) + shift, number)
        below = self._points(self.b.sum(axis=0) - shift, number)
        return np.asarray(statistic(above) - statistic(below))

    def resampled(self, statistic: Statistic, rng: np.random.Generator, n: int) -> NDArray[np.float64]:
        """Leads of a over b on queries drawn with replacement, the same for both, shape (n,)."""
        drawn = rng.multinomial(self.n_queries, np.full(self.n_queries, 1 / self.n_queries), size=n)
        number = drawn @ self.counts
        possible = (number > 0).all(axis=1)
        leads = np.full(n, np.nan)
        fronts = [self._points(drawn[possible] @ values, number[possible]) for values in (self.a, self.b)]
        leads[possible] = statistic(fronts[0]) - statistic(fronts[1])
        return leads

    def _points(self, sums: NDArray[np.float64], number: NDArray[np.float64]) -> NDArray[np.float64]:
        """Mean values of shape (n, seeds, k, m), for the numbers of queries that count, (n, m) or (m,)."""
        points = sums.reshape(len(sums), *self.shape)
        return np.asarray(points / np.broadcast_to(number, (len(sums), self.shape[2]))[:, None, None, :])
