"""Grades by quantile within the query, of clicks, seconds and other real-valued signals."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hyperrank._checks import check_number
from hyperrank._columns import as_numbers, refuse_other_order
from hyperrank.lists import QueryLists


def quantile_grades(
    values: ArrayLike, qid: ArrayLike | Sequence[Hashable] | None, n_grades: int = 5
) -> NDArray[np.float32]:
    r"""Grade values by their quantile within the query.

    With :math:`c_i` the number of documents of the query with a value strictly below :math:`v_i` and
    :math:`n` the number of documents of the query, the grade is :math:`\lfloor g\, c_i / n \rfloor`, which
    lies in :math:`0, \ldots, g - 1`. Tied documents share the grade of the lowest of them, so the many zeros
    of a sparse count stay at grade 0, and a query whose values are all equal gets grade 0 throughout.

    Parameters
    ----------
    values : array-like of shape (n,) or (n, m)
        One or more signals, larger is better. NaN is unobserved: it gets grade NaN and is not counted.
    qid : array-like of shape (n,) or None
        Query ids in any order; None makes one list of all rows.
    n_grades : int, default 5
        Number of grades g.

    Returns
    -------
    ndarray of the shape of `values`, float32

    Raises
    ------
    ValueError
        If shapes do not fit or `n_grades` is below 2.

    Notes
    -----
    Turning click and dwell signals of MSLR into grades by quantile follows the multi-objective ranking
    literature, for instance HyperDPO (arXiv 2410.08316).

    Examples
    --------
    >>> quantile_grades([0, 0, 0, 7, 30], ["a"] * 5).tolist()
    [0.0, 0.0, 0.0, 3.0, 4.0]
    >>> quantile_grades([3.0, 9.0, 1.0, 2.0], [1, 2, 1, 2], n_grades=2).tolist()
    [1.0, 1.0, 0.0, 0.0]
    """
    refuse_other_order(qid, "qid", values, "values")
    signals = np.asarray(as_numbers(values, "values"))
    if signals.ndim not in (1, 2):
        raise ValueError(f"values must have shape (n,) or (n, m); got {signals.shape}.")
    if not (np.issubdtype(signals.dtype, np.number) or signals.dtype == bool):
        raise ValueError(f"values must be numbers; got an array of {signals.dtype}.")
    check_number("n_grades", n_grades, at_least=2, whole=True)
    lists = QueryLists.from_qid(qid, n_rows=len(signals))
    columns = signals[:, None] if signals.ndim == 1 else signals
    grades = np.empty(columns.shape, dtype=np.float32)
    for j in range(columns.shape[1]):
        grades[:, j] = lists.ungroup(_grade_column(lists.group(columns[:, j]), lists, n_grades))
    return grades.reshape(signals.shape)


def _grade_column(values: NDArray[np.generic], lists: QueryLists, n_grades: int) -> NDArray[np.float32]:
    """Grades of one signal in grouped order."""
    order = np.lexsort((values, lists.index))  # puts NaN last within its list
    ranked = values[order]
    observed = ~np.isnan(ranked)
    n_observed = np.bincount(lists.index[order][observed], minlength=lists.n_lists)
    position = np.arange(lists.n_rows, dtype=np.int64) - lists.offsets[:-1][lists.index]
    opens_tie = np.ones(lists.n_rows, dtype=bool)
    opens_tie[1:] = (ranked[1:] != ranked[:-1]) | (position[1:] == 0)
    n_below = position[np.maximum.accumulate(np.where(opens_tie, np.arange(lists.n_rows), 0))]
    sizes = np.maximum(n_observed, 1)[lists.index]
    grades = np.empty(lists.n_rows, dtype=np.float32)
    grades[order] = np.where(observed, n_grades * n_below // sizes, np.nan)
    return grades
