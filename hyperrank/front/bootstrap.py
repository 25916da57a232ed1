"""Values by query: resampled means, their intervals, how surely limits are kept, and means by segment."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from hyperrank._checks import check_number, is_whole

#: Counts, and values in double precision, in memory at a time.
ENTRIES_AT_ONCE = 4_000_000
#: Fewer queries tell too little of others, whatever the procedure (benchmarks/coverage.py).
MIN_QUERIES = 8
#: How far below a limit a mean may lie and still be rounding: in every resample a ranker equals itself.
ROUNDING = 1e-9
#: How far means by query may lie from the points: they are stored in single precision.
SAME_POINTS = 1e-4


def resampled_means(*values: NDArray[np.floating], n_resamples: int, seed: int) -> list[NDArray[np.float64]]:
    """Means over as many queries drawn with replacement, again and again; one array for each of the values.

    Values are of shape (r, n_queries, m), NaN where a query does not count, and means (n_resamples, r, m),
    NaN where no query drawn counts. The same queries are drawn for all values, which pairs them.
    """
    n_queries = values[0].shape[1]
    by_query = [np.moveaxis(part, 1, 0).reshape(n_queries, -1) for part in values]
    blocks = [
        [_means(counts, table, part.shape[2]) for table, part in zip(by_query, values, strict=True)]
        for counts in _drawn(n_queries, n_resamples, seed)
    ]
    return [
        np.concatenate(tables).reshape(n_resamples, part.shape[0], part.shape[2])
        for tables, part in zip(zip(*blocks, strict=True), values, strict=True)
    ]


def small_sample_factor(n_queries: Any, level: float) -> Any:
    r"""How much wider a percentile interval of means must be for few queries, elementwise.

    Resampled means of n queries spread by :math:`\sqrt{(n - 1) / n}` too little, and as a normal distribution
    where Student's is due (Hesterberg's expanded percentile interval, 2015).
    """
    n = np.asarray(n_queries, dtype=np.float64)
    tail = (1 + level) / 2
    return np.sqrt(n / (n - 1)) * stats.t.ppf(tail, n - 1) / stats.norm.ppf(tail)


def count_queries(per_query: NDArray[np.float32]) -> NDArray[np.int64]:
    """How many queries count for each objective, the fewest over trade-offs; values of shape (k, n, m)."""
    return np.asarray((~np.isnan(per_query)).sum(axis=1).min(axis=0))


@dataclass(frozen=True, eq=False)
class LimitConfidence:
    r"""How surely limits are kept at each of k trade-offs, allowing for picking any of them.

    With :math:`\bar d` the mean over n queries by which a trade-off lies above its limit and :math:`\sigma`
    the deviation of that mean over resamples, :math:`t = \bar d / \sigma \sqrt{(n - 1) / n}` is brought to a
    normal score z (Wallace, 1959). The confidence is the share of resamples in which at no trade-off the mean
    falls by more than :math:`z \sigma`: the maximum over trade-offs is what the best of many needs.

    `limited` (k, n_queries, l) are the values by query that are limited, of an objective or of one in a
    segment; `limits` (l,) are values of the metric or, with `base` (r, n_queries, l), shares of the largest
    of its r means in every resample; `certain` (k,) marks trade-offs that keep all limits for certain.
    """

    per_query: NDArray[np.float32]
    limited: NDArray[np.float32]
    limits: NDArray[np.float64]
    base: NDArray[np.float32] | None
    certain: NDArray[np.bool_]
    n_resamples: int
    seed: int

    @cached_property
    def margin(self) -> NDArray[np.float64]:
        """How far the means lie above the limits, shape (k, l)."""
        value, floor = np.nanmean(self.limited, axis=1, dtype=np.float64), self.limits
        if self.base is not None:
            floor = self.limits * np.nanmean(self.base, axis=1, dtype=np.float64).max(axis=0)
        return np.asarray(value - floor)

    @cached_property
    def _scores(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Normal scores of shape (k, l), and the maxima over trade-offs, shape (n_resamples, l)."""
        both = (self.limited,) if self.base is None else (self.limited, self.base)
        means, *of_base = resampled_means(*both, n_resamples=self.n_resamples, seed=self.seed)
        floors = self.limits * of_base[0].max(axis=1) if of_base else self.limits[None]
        margin, margins = self.margin, means - floors[:, None]
        deviation = np.nanstd(margins, axis=0)
        varies = (deviation > ROUNDING) & ~self.certain[:, None]
        scale = np.where(varies, deviation, 1.0)
        n = count_queries(self.limited)
        z = normal_score(margin / scale * np.sqrt((n - 1) / n), n - 1)
        z = np.where(varies, z, np.where(margin >= -ROUNDING, np.inf, -np.inf))
        z[self.certain] = np.inf
        falls = np.where(varies, (margin - margins) / scale, -np.inf)
        # A resample in which no query counts says nothing for a limit.
        return z, np.where(np.isnan(falls), np.inf, falls).max(axis=1)

    def of(self, row: int) -> NDArray[np.float64]:
        """Confidence in each limit at one trade-off, shape (l,)."""
        if not len(self.limits):
            return np.ones(0)
        z, falls = self._scores
        return np.asarray((falls <= z[row]).mean(axis=0))

    @cached_property
    def joint(self) -> NDArray[np.float64]:
        """Confidence in all limits at once, shape (k,); 1 without limits."""
        if not len(self.limits):
            return np.ones(len(self.per_query))
        z, falls = self._scores
        largest = np.sort(falls.max(axis=1))
        return np.asarray(np.searchsorted(largest, z.min(axis=1), side="right") / len(largest))

    def n_needed(self, row: int, confidence: float) -> int | None:
        """About how many queries would show what these suggest of a trade-off; None if that is nothing."""
        z, falls = self._scores
        needed, found = float(np.quantile(falls.max(axis=1), confidence)), float(z[row].min())
        if not (0 < found < np.inf and np.isfinite(needed)):
            return None
        return int(np.ceil(count_queries(self.limited).min() * (needed / found) ** 2))


def normal_score(t: NDArray[np.float64], df: NDArray[np.int64]) -> NDArray[np.float64]:
    """Where a normal distribution has as much below it as Student's has below t (Wallace, 1959)."""
    return np.asarray(np.sign(t) * (8 * df + 1) / (8 * df + 3) * np.sqrt(df * np.log1p(t * t / df)))


@dataclass(frozen=True, eq=False)
class Evidence:
    """What values by query tell of one trade-off, the row of a front; computed when first asked for."""

    limits: LimitConfidence
    row: int
    n_limits: int

    @cached_property
    def means(self) -> NDArray[np.float64]:
        """Resampled means, shape (n_resamples, m)."""
        of_row = self.limits.per_query[[self.row]]
        return resampled_means(of_row, n_resamples=self.limits.n_resamples, seed=self.limits.seed)[0][:, 0]

    @property
    def confidence(self) -> NDArray[np.float64]:
        """Confidence in each limit, the lowest over segments, shape (n_limits,)."""
        each = self.limits.of(self.row)
        return np.asarray(each.reshape(self.n_limits, -1).min(axis=1)) if self.n_limits else each

    @property
    def joint_confidence(self) -> float:
        """Confidence in all limits at once."""
        return float(self.limits.joint[self.row])

    def interval(self, level: float) -> NDArray[np.float64]:
        """Percentile interval of each mean, widened for few queries, shape (m, 2)."""
        return percentile_interval(self.means[:, None], level, self.limits.per_query[[self.row]])[0]


def percentile_interval(
    means: NDArray[np.float64], level: float, per_query: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Percentile intervals of resampled means (r, k, m), widened for few queries, shape (k, m, 2)."""
    tails = [(1 - level) / 2, (1 + level) / 2]
    with warnings.catch_warnings():
        # An objective that no query drawn counts for has no mean: its interval stays NaN.
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        # Looking for NaN first is worth it: nanquantile goes column by column.
        quantile = np.nanquantile if np.isnan(means).any() else np.quantile
        bounds = quantile(means, tails, axis=0)
        value = np.nanmean(per_query, axis=1, dtype=np.float64)
    bounds = value + (bounds - value) * small_sample_factor(count_queries(per_query), level)
    return np.moveaxis(bounds, 0, -1)


#: The level of the intervals that are stored.
STORED_LEVEL = 0.9


@dataclass(frozen=True, eq=False)
class StoredEvidence:
    """What was stored of an `Evidence`: its shares, and the intervals of level 0.9."""

    confidence: NDArray[np.float64]
    joint_confidence: float
    bounds: NDArray[np.float64]

    def interval(self, level: float) -> NDArray[np.float64]:
        """The intervals stored, shape (m, 2)."""
        if level != STORED_LEVEL:
            raise ValueError(
                f"the selection was stored with intervals of level {STORED_LEVEL}; got level={level!r}."
            )
        return self.bounds


def agrees(means: pd.DataFrame | pd.Series, per_query: NDArray[np.float32]) -> bool:
    """Whether these are the means over queries."""
    observed = ~np.isnan(per_query)
    sums = np.where(observed, per_query, 0).sum(axis=-2, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        computed = sums / observed.sum(axis=-2)
    return bool(np.allclose(computed, means.to_numpy(), rtol=SAME_POINTS, atol=SAME_POINTS))


def check_resampling(n_resamples: int, random_state: int, confidence: float | None) -> None:
    """Refuse options of a bootstrap that mean nothing."""
    check_number("n_resamples", n_resamples, at_least=1, whole=True)
    if not is_whole(random_state) or random_state < 0:
        raise ValueError(
            f"random_state must be a whole number of at least 0, so that the same call promises the same; "
            f"got {random_state!r}."
        )
    if confidence is not None:
        check_probability("confidence", confidence)


def check_probability(name: str, value: Any) -> None:
    """Refuse a confidence or level that is not a probability, or is a certain one."""
    is_number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not (is_number and 0 < value < 1):
        raise ValueError(f"{name} must be a probability between 0 and 1, such as 0.9; got {value!r}.")


def _drawn(n_queries: int, n_resamples: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """How often each query was drawn, of shape (some resamples, n_queries), block by block."""
    rng = np.random.default_rng(seed)
    block = max(1, ENTRIES_AT_ONCE // n_queries)
    for first in range(0, n_resamples, block):
        counts = np.empty((min(block, n_resamples - first), n_queries))
        for row in counts:  # one at a time: a row stays in the processor's cache
            row[:] = np.bincount(rng.integers(n_queries, size=n_queries), minlength=n_queries)
        yield counts


def _means(counts: NDArray[np.float64], values: NDArray[np.floating], m: int) -> NDArray[np.float64]:
    """Means by counts of shape (b, n_queries) of values of shape (n_queries, r * m)."""
    sums = np.zeros((len(counts), values.shape[1]))
    totals = np.zeros_like(sums)
    rows = max(1, ENTRIES_AT_ONCE // values.shape[1])
    for first in range(0, len(values), rows):
        part = values[first : first + rows].astype(np.float64)
        share = counts[:, first : first + rows]
        known = ~np.isnan(part)
        sums += share @ np.where(known, part, 0.0)
        # Mostly whether a query counts is a matter of its labels: the same for all r, and a product less.
        by_label = known.reshape(len(part), -1, m)
        if (by_label == by_label[:, :1]).all():
            totals += np.tile(share @ by_label[:, 0].astype(np.float64), by_label.shape[1])
        else:
            totals += share @ known.astype(np.float64)
    with np.errstate(invalid="ignore"):
        return sums / totals


#: Columns of a table by segment that every one has.
COLUMNS = ("segment", "trade_off", "objective", "n_queries", "value", "error")


def table_by_segment(
    per_query: NDArray[np.float32],
    baseline_per_query: NDArray[np.float32] | None,
    segments: NDArray[Any],
    names: Sequence[str],
) -> pd.DataFrame:
    """The table ``ParetoFront.by_segment``, of values of shapes (k, n_queries, m) and (n_queries, m).

    >>> values = np.float32([[[0.5], [0.7], [0.2]]])
    >>> table = table_by_segment(values, None, np.array(["de", "de", "fr"]), ["clicks"])
    >>> table[["segment", "n_queries", "value", "error"]].round(3).to_numpy().tolist()
    [['de', 2, 0.6, 0.1], ['fr', 1, 0.2, nan]]
    """
    k = len(per_query)
    tables = []
    for name in np.unique(segments):
        among = segments == name
        values = per_query[:, among].astype(np.float64)
        columns = dict(zip(("n_queries", "value", "error"), _mean_error(values), strict=True))
        if baseline_per_query is not None:
            baseline = baseline_per_query[among].astype(np.float64)
            columns["baseline"] = np.broadcast_to(_mean_error(baseline[None])[1], (k, len(names)))
            _, columns["change"], columns["change_error"] = _mean_error(values - baseline)
        table = pd.DataFrame({column: array.ravel() for column, array in columns.items()})
        table.insert(0, "segment", name)
        table.insert(1, "trade_off", np.repeat(np.arange(k), len(names)))
        table.insert(2, "objective", np.tile(names, k))
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _mean_error(
    values: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Counts, means and standard errors over queries of values of shape (k, n_queries, m); NaN if unknown."""
    known = ~np.isnan(values)
    n = known.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(known, values, 0.0).sum(axis=1) / n
        away = np.where(known, values - mean[:, None], 0.0)
        return n, mean, np.sqrt((away**2).sum(axis=1) / (n - 1) / n)


def read_by_segment(document: Any, names: Sequence[str], k: int) -> pd.DataFrame:
    """The table that was stored with a front of k trade-offs."""
    try:
        table = pd.DataFrame(document)
        numbers = table.drop(columns=["segment", "objective"]).astype(np.float64)
        fits = set(COLUMNS) <= set(table) and set(table["objective"]) <= set(names)
        fits = fits and bool(numbers["trade_off"].isin(range(k)).all())
    except (AttributeError, KeyError, TypeError, ValueError):
        fits = False
    if not fits:
        raise ValueError(
            f"by_segment of a front must have the columns {', '.join(COLUMNS)} of equal length, for its "
            "objectives and rows."
        )
    return table.assign(**numbers).astype({"trade_off": np.int64, "n_queries": np.int64})
