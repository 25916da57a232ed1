"""Bootstrap over queries: resampled means, and how often they keep limits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["Evidence", "ResampledLimits", "StoredEvidence", "agrees", "check_resampling", "resampled_means"]

#: Counts, and values in double precision, in memory at a time.
ENTRIES_AT_ONCE = 4_000_000
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


@dataclass(frozen=True, eq=False)
class ResampledLimits:
    """Limits on l objectives, `limited`: values of the metric, or shares of what moves with the queries.

    With `base`, of shape (r, n_queries, l), they are shares of the largest of its r means in every resample.
    """

    limits: NDArray[np.float64]
    limited: NDArray[np.int64]
    base: NDArray[np.float32] | None = None

    def kept(
        self, per_query: NDArray[np.float32], n_resamples: int, seed: int
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """Where resampled means of values of shape (r, n_queries, m) keep the limits, and the means.

        Of shapes (n_resamples, r, l), False too where a mean is NaN, and (n_resamples, r, m).
        """
        base = () if self.base is None else (self.base,)
        means, *of_base = resampled_means(per_query, *base, n_resamples=n_resamples, seed=seed)
        floors = self.limits * of_base[0].max(axis=1) if of_base else self.limits[None]
        slack = ROUNDING * np.maximum(1.0, np.abs(floors))
        return means[:, :, self.limited] >= (floors - slack)[:, None], means


@dataclass(frozen=True, eq=False)
class Evidence:
    """What values by query, of shape (n_queries, m), tell of one trade-off; computed when first asked for."""

    per_query: NDArray[np.float32]
    limits: ResampledLimits
    n_resamples: int
    seed: int

    @cached_property
    def _resampled(self) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        return self.limits.kept(self.per_query[None], self.n_resamples, self.seed)

    @property
    def kept(self) -> NDArray[np.bool_]:
        """Whether each limit is kept in each resample, shape (n_resamples, l)."""
        return self._resampled[0][:, 0]

    @property
    def means(self) -> NDArray[np.float64]:
        """Resampled means, shape (n_resamples, m)."""
        return self._resampled[1][:, 0]

    @property
    def confidence(self) -> NDArray[np.float64]:
        """Share of resamples in which each limit is kept, shape (l,)."""
        return np.asarray(self.kept.mean(axis=0))

    @property
    def joint_confidence(self) -> float:
        """Share of resamples in which all limits are kept at once."""
        return float(self.kept.all(axis=1).mean())

    def interval(self, level: float) -> NDArray[np.float64]:
        """Percentile interval of each mean, shape (m, 2)."""
        return np.asarray(np.nanquantile(self.means, [(1 - level) / 2, (1 + level) / 2], axis=0).T)


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
    if not isinstance(n_resamples, Integral) or isinstance(n_resamples, bool) or n_resamples < 1:
        raise ValueError(f"n_resamples must be a whole number of at least 1; got {n_resamples!r}.")
    if not isinstance(random_state, Integral) or isinstance(random_state, bool) or random_state < 0:
        raise ValueError(
            f"random_state must be a whole number of at least 0, so that the same call promises the same; "
            f"got {random_state!r}."
        )
    number = isinstance(confidence, int | float | np.number) and not isinstance(confidence, bool)
    if confidence is not None and not (number and 0 < confidence < 1):
        raise ValueError(
            f"confidence must be a probability between 0 and 1, such as 0.9; got {confidence!r}."
        )


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
