"""A few numbers on the data that a ranker was fitted on, which it keeps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperrank.lists import QueryLists
from hyperrank.mapped import FeatureRows

__all__ = ["summary_of"]

#: Entries, about, that the share of missing features is taken from: all of large data would take seconds.
SAMPLE_ENTRIES = 1 << 22


def summary_of(
    X: FeatureRows, Y: NDArray[np.float32], lists: QueryLists, names: Sequence[str]
) -> dict[str, Any]:
    """Say how many rows and queries there are, how long lists are, and what labels are like.

    Parameters
    ----------
    X : ndarray or MappedRows of shape (n, d)
        Features of grouped rows, NaN where missing.
    Y : ndarray of shape (n, m)
        Labels, NaN where unobserved.
    lists : QueryLists
    names : sequence of str
        The objectives.

    Returns
    -------
    dict
        ``n_rows``, ``n_queries``, ``list_size`` (``min``, ``median``, ``max``), ``missing`` (share of the
        features, of evenly spaced rows where there are many) and ``labels``: for each objective ``observed``
        (share of the rows), ``mean``, ``max`` and ``positive`` (share of the observed).

    Examples
    --------
    >>> lists = QueryLists.from_sizes([2, 2])
    >>> X, Y = np.zeros((4, 3), np.float32), np.float32([[0], [2], [np.nan], [1]])
    >>> found = summary_of(X, Y, lists, ["clicks"])
    >>> found["n_queries"], found["list_size"]["median"], found["labels"]["clicks"]["mean"]
    (2, 2.0, 1.0)
    """
    n_looked_at = min(len(X), max(1, SAMPLE_ENTRIES // X.shape[1]))
    some = X[np.linspace(0, len(X) - 1, n_looked_at).astype(np.int64)]
    sizes = lists.sizes
    return {
        "n_rows": len(X),
        "n_queries": int(lists.n_lists),
        "list_size": {"min": int(sizes.min()), "median": float(np.median(sizes)), "max": int(sizes.max())},
        "missing": float(np.isnan(some).mean()),
        "labels": {name: _labels(column) for name, column in zip(names, Y.T, strict=True)},
    }


def _labels(column: NDArray[np.float32]) -> dict[str, float]:
    known = column[~np.isnan(column)]
    if not len(known):
        return {"observed": 0.0}
    return {
        "observed": len(known) / len(column),
        "mean": float(known.mean(dtype=np.float64)),
        "max": float(known.max()),
        "positive": float((known > 0).mean()),
    }
