"""What the queries tell of a whole front, computed before the page is written."""

from __future__ import annotations

import base64
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hyperrank.bootstrap import resampled_means

if TYPE_CHECKING:
    from hyperrank.front import ParetoFront

__all__ = ["front_evidence"]

#: Resampled means that are held at a time.
MEANS_AT_ONCE = 8_000_000
#: Resamples that a page carries: as many as fit, within these numbers, or none where the fewest do not fit.
MEANS_WANTED, MEANS_AT_MOST = 200_000, 1_000_000
FEWEST, MOST = 200, 1000
#: Steps in which the page holds resampled means; the number above the last one stands for NaN.
STEPS = 65_534


def front_evidence(front: ParetoFront, level: float, n_resamples: int, seed: int) -> dict[str, Any]:
    """Intervals of all values and of their differences from the reference, and the resamples themselves.

    Parameters
    ----------
    front : ParetoFront
    level : float
        Of the percentile intervals.
    n_resamples, seed : int
        Of the bootstrap over queries. `Selection.interval` with the same ones gives the same.

    Returns
    -------
    dict
        ``level``, ``n_resamples``, ``seed`` and ``n_queries``; ``interval`` of shape (k, m, 2); for a front
        whose reference has values by query ``reference`` of shape (m, 2) and ``difference`` of shape
        (k, m, 2); and ``resamples``, or None where they would be too many. Only ``missing``, a reason, where
        nothing can be told.
    """
    if front.per_query is None:
        return {"missing": "The front holds no values by query, so that nothing is known of its uncertainty."}
    if front.per_query.shape[1] < 2:
        return {"missing": "The front was measured on a single query, which tells nothing of others."}
    if not front._agrees(front.points, front.per_query):
        return {
            "missing": "The values by query are not those of the points, so that they tell no uncertainty."
        }
    beside = _beside(front)
    of_reference = None if beside is None else _means(beside[None], n_resamples, seed)[:, 0]
    kept = min(_kept(len(front), len(front.names)), n_resamples)
    intervals, differences, carried = [], [], []
    for part in _parts(front.per_query, n_resamples):
        means = _means(part, n_resamples, seed)
        intervals.append(_interval(means, level))
        carried.append(means[:kept])
        if of_reference is not None:
            differences.append(_interval(means - of_reference[:, None], level))
    found: dict[str, Any] = {
        "level": level,
        "n_resamples": n_resamples,
        "seed": seed,
        "n_queries": front.per_query.shape[1],
        "interval": _plain(np.concatenate(intervals)),
        "reference": None,
        "difference": None,
    }
    if of_reference is not None:
        found["reference"] = _plain(_interval(of_reference, level))
        found["difference"] = _plain(np.concatenate(differences))
        carried.append(of_reference[:kept, None])
    found["resamples"] = _packed(np.concatenate(carried, axis=1)) if kept else None
    return found


def _beside(front: ParetoFront) -> NDArray[np.float32] | None:
    """The reference's values by query, if they are those of the reference."""
    known = front.reference is not None and front.reference_per_query is not None
    if known and front._agrees(front.reference, front.reference_per_query):  # type: ignore[arg-type]
        return front.reference_per_query
    return None


def _kept(k: int, m: int) -> int:
    """How many resamples a page carries."""
    each = (k + 1) * m
    wanted = min(max(MEANS_WANTED // each // 100 * 100, FEWEST), MOST)
    return wanted if wanted * each <= MEANS_AT_MOST else 0


def _parts(per_query: NDArray[np.float32], n_resamples: int) -> Iterator[NDArray[np.float32]]:
    """Some trade-offs at a time; the same seed draws the same queries for each part."""
    rows = max(1, MEANS_AT_ONCE // (n_resamples * per_query.shape[2]))
    for first in range(0, len(per_query), rows):
        yield per_query[first : first + rows]


def _means(per_query: NDArray[np.float32], n_resamples: int, seed: int) -> NDArray[np.float64]:
    return resampled_means(per_query, n_resamples=n_resamples, seed=seed)[0]


def _interval(means: NDArray[np.float64], level: float) -> NDArray[np.float64]:
    """Percentile intervals over the first axis, along a new last one."""
    tails = [(1 - level) / 2, (1 + level) / 2]
    with warnings.catch_warnings():
        # An objective that no query drawn counts for has no mean: its interval stays NaN.
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        # Looking for NaN first is worth it: nanquantile goes column by column.
        quantile = np.nanquantile if np.isnan(means).any() else np.quantile
        bounds = quantile(means, tails, axis=0)
    return np.moveaxis(bounds, 0, -1)


def _plain(values: NDArray[np.float64]) -> Any:
    """Nested lists of short numbers, None for NaN."""
    if values.ndim:
        return [_plain(row) for row in values]
    return float(f"{values:.7g}") if np.isfinite(values) else None


def _packed(means: NDArray[np.float64]) -> dict[str, Any]:
    """Resampled means of shape (r, rows, m) in two bytes each: steps between an objective's extremes."""
    known = ~np.isnan(means)
    low = np.where(known, means, np.inf).min(axis=(0, 1))
    high = np.where(known, means, -np.inf).max(axis=(0, 1))
    low, high = np.where(np.isfinite(low), low, 0.0), np.where(np.isfinite(high), high, 0.0)
    step = np.where(high > low, (high - low) / STEPS, 1.0)
    steps = np.where(known, np.rint((means - low) / step), STEPS + 1).astype("<u2")
    return {
        "number": len(means),
        "low": low.tolist(),
        "step": step.tolist(),
        "steps": base64.b64encode(steps.tobytes()).decode("ascii"),
    }
