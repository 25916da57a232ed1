"""Summary of the training data, and warnings of data unlike them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence, Sized
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperrank.lists import QueryLists
from hyperrank.memmap import FeatureRows

__all__ = ["summarize_data", "warn_of_one_list"]

#: Entries, about, that the share of missing features is taken from: all of large data would take seconds.
SAMPLE_ENTRIES = 1 << 22
#: Rows without query ids raise the question whose they are from so many times the longest list of fit on.
MUCH_LONGER = 4


def summarize_data(
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
    >>> summary = summarize_data(X, Y, lists, ["clicks"])
    >>> summary["n_queries"], summary["list_size"]["median"], summary["labels"]["clicks"]["mean"]
    (2, 2.0, 1.0)
    """
    n_sampled = min(len(X), max(1, SAMPLE_ENTRIES // X.shape[1]))
    sample = X[np.linspace(0, len(X) - 1, n_sampled).astype(np.int64)]
    sizes = lists.sizes
    return {
        "n_rows": len(X),
        "n_queries": int(lists.n_lists),
        "list_size": {"min": int(sizes.min()), "median": float(np.median(sizes)), "max": int(sizes.max())},
        "missing": float(np.isnan(sample).mean()),
        "labels": {name: _labels(column) for name, column in zip(names, Y.T, strict=True)},
    }


def warn_of_one_list(estimator: Any, X: Any, name: str) -> None:
    """Warn where rows without query ids, one list by the rules, are too many for one of the lists of fit.

    Parameters
    ----------
    estimator : object
        With ``training_data_``, as `summarize_data` makes it; others are not looked at.
    X : array-like, sparse matrix or frame
        Rows that came without query ids; what has no length is left to the checks of the features.
    name : str
        What the caller knows them by, such as ``"X"``.
    """
    summary = getattr(estimator, "training_data_", None)
    n_rows = X.shape[0] if hasattr(X, "shape") and X.shape else len(X) if isinstance(X, Sized) else 0
    if not summary or summary["n_queries"] < 2 or n_rows <= MUCH_LONGER * summary["list_size"]["max"]:
        return
    warnings.warn(
        f"{name} has {n_rows:,} rows without query ids, and they are taken as the list of one query; the "
        f"longest list in fit had {summary['list_size']['max']:,}. If they are of several queries, pass qid= "
        "or a frame with a column 'qid'.",
        UserWarning,
        stacklevel=2,
    )


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
