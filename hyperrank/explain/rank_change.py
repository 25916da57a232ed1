"""Rank change between two rankings of the same lists, and the share of it that is gone in a third."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperrank.lists import QueryLists

__all__ = ["common_at_top", "correlation", "exposure_change", "positions", "share_gone"]


def positions(scores: NDArray[Any], lists: QueryLists) -> NDArray[np.int64]:
    """Rank of each grouped row in its list, from 0; of equal scores the earlier row ranks first."""
    order = np.lexsort((-scores, lists.index))
    ranks = np.empty(lists.n_rows, dtype=np.int64)
    ranks[order] = np.arange(lists.n_rows) - np.repeat(lists.offsets[:-1], lists.sizes)
    return ranks


def exposure_change(before: NDArray[Any], after: NDArray[Any], lists: QueryLists) -> NDArray[np.float64]:
    r"""Gain of each grouped row in exposure, :math:`1 / \log_2(1 + rank)`, between two rankings by score.

    Sums to 0 within each list.
    """
    return _exposure(after, lists) - _exposure(before, lists)


def _exposure(scores: NDArray[Any], lists: QueryLists) -> NDArray[np.float64]:
    return 1 / np.log2(2.0 + positions(scores, lists))


def list_sums(values: NDArray[np.float64], lists: QueryLists) -> NDArray[np.float64]:
    """Sums over the rows of each list."""
    return np.asarray(np.add.reduceat(values, lists.offsets[:-1]))


def share_gone(
    change: NDArray[np.float64], left: NDArray[np.float64], lists: QueryLists
) -> tuple[float, float]:
    r"""Share of a change that another lacks, :math:`1 - \langle d, d' \rangle / \langle d, d \rangle`.

    It is 0 where `left`, of shape (n,) or (n, r) for r repeats, is the change itself, and 1 where nothing
    of it is left. Its standard error over queries, the second value, is that of a ratio of sums.
    """
    mean = left if left.ndim == 1 else left.mean(axis=1)
    whole, kept = list_sums(change * change, lists), list_sums(change * mean, lists)
    total = whole.sum()
    share = 1 - kept.sum() / total
    residual = (whole - kept) - share * whole
    n = lists.n_lists
    error = np.sqrt((residual**2).sum() * n / max(n - 1, 1)) / total if n > 1 else np.nan
    return float(share), float(error)


def correlation(values: NDArray[Any], change: NDArray[np.float64], lists: QueryLists) -> float:
    """Correlation, from -1 to 1, of the order of a feature's values within each list with a change there.

    Missing values do not count; a feature that is constant within lists gives 0.
    """
    known = ~np.isnan(values)
    filled = np.where(known, values, -np.inf)
    # Of equal values one order has the earlier row first and the other the later: the mean is the mid-rank.
    upwards = lists.sizes[lists.index] - 1 - positions(filled, lists)
    ranks = (upwards + positions(-filled, lists)) / 2
    n_known = np.maximum(list_sums(known.astype(np.float64), lists), 1)
    middle = list_sums(np.where(known, ranks, 0.0), lists) / n_known
    shares = np.where(known, ranks - middle[lists.index], 0.0) / n_known[lists.index]
    scale = np.sqrt((shares**2).sum() * (change[known] ** 2).sum())
    return float((shares * change).sum() / scale) if scale > 0 else 0.0


def common_at_top(before: NDArray[Any], after: NDArray[Any], lists: QueryLists, k: int = 10) -> float:
    """Share of the first k documents, or of a short list's first half, that two rankings have in common."""
    depth = np.minimum(k, np.maximum(1, lists.sizes // 2))
    top = [positions(scores, lists) < depth[lists.index] for scores in (before, after)]
    return float(np.mean(list_sums((top[0] & top[1]).astype(np.float64), lists) / depth))
