"""Rows that lie in a mapped file, looked at and scored part by part, so that memory holds no copy of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperrank.mapped import forget_pages, is_mapped
from hyperrank.rankers.inputs import GroupedFeatures
from hyperrank.reference import take_rows

__all__ = ["scored_in_runs"]

#: Bytes of features, about, that are scored before their memory is given back.
RUN_BYTES = 1 << 25

Scores = NDArray[np.floating[Any]]


def scored_in_runs(data: GroupedFeatures, score: Callable[[GroupedFeatures], Scores]) -> Scores:
    """Scores of grouped rows: at once, or of rows in a mapped file by runs of whole lists.

    A document's score does not depend on the lists that are scored beside its own, so the result is the same.

    Parameters
    ----------
    data : GroupedFeatures
    score : callable
        Scores of shape (n,) or (n, k) for grouped rows.

    Returns
    -------
    ndarray of shape (n,) or (n, k)
    """
    X = data.X
    if not isinstance(X, np.ndarray) or not is_mapped(X):
        return score(data)
    parts = []
    for rows, lists in data.lists.runs(max(1, RUN_BYTES // max(1, X[:1].nbytes))):
        part = GroupedFeatures(
            X=X[rows],
            lists=lists,
            frame=_rows_of(data.frame, rows),
            ref_scores=None if data.ref_scores is None else data.ref_scores[rows],
        )
        parts.append(score(part))
        forget_pages(X)
    return np.concatenate(parts)


def _rows_of(frame: Any, rows: slice) -> Any:
    """Rows of the features as given: of an array as a view, which copies nothing."""
    if isinstance(frame, np.ndarray):
        return frame[rows]
    return take_rows(frame, np.arange(rows.start, rows.stop))
