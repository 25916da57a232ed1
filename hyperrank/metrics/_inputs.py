"""Input of metrics: scores and labels, checked, grouped by query, without NaN labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hyperrank._columns import as_numbers
from hyperrank.lists import QueryLists

__all__ = ["Inputs", "Subset", "check_cutoff", "check_inputs"]


@dataclass(frozen=True, eq=False)
class Subset:
    """Scores (n, K) and labels (n, columns) of objectives that are observed on the same grouped documents."""

    columns: slice | NDArray[np.int64]
    scores: NDArray[Any]
    labels: NDArray[np.float64]
    lists: QueryLists


@dataclass(frozen=True, eq=False)
class Inputs:
    """Checked scores (n, K) and labels (n, m), grouped by query, with the shapes the caller gave them."""

    scores: NDArray[Any]
    labels: NDArray[np.float64]
    lists: QueryLists
    has_nan: bool
    drop_axes: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Lists, columns of scores, objectives."""
        return self.lists.n_lists, self.scores.shape[1], self.labels.shape[1]

    def subsets(self) -> Iterator[Subset]:
        """Split the objectives by where they are observed; without NaN there is one subset, and no copy."""
        if not self.has_nan:
            yield Subset(slice(None), self.scores, self.labels, self.lists)
            return
        observed = ~np.isnan(self.labels)
        complete = observed.all(axis=0)
        if complete.any():
            columns = np.flatnonzero(complete)
            yield Subset(columns, self.scores, self.labels[:, columns], self.lists)
        for column in np.flatnonzero(~complete):
            rows = np.flatnonzero(observed[:, column])
            sizes = np.bincount(self.lists.index[rows], minlength=self.lists.n_lists)
            lists = QueryLists.from_sizes(sizes, ids=self.lists.ids)
            columns = np.array([column])
            yield Subset(columns, self.scores[rows], self.labels[rows][:, columns], lists)

    def squeeze(self, values: NDArray[np.float64]) -> Any:
        """Drop from values (..., K, m) the axes of 1-D inputs; no axis left gives a float."""
        dropped = values.squeeze(axis=self.drop_axes)
        return float(dropped) if dropped.ndim == 0 else dropped


def check_inputs(scores: ArrayLike, labels: ArrayLike, qid: ArrayLike | QueryLists | None) -> Inputs:
    """Check scores, labels and query ids against each other and group them by query."""
    score_rows = _as_rows(scores, "scores", "(n,) or (n, K)")
    label_rows = _as_rows(labels, "labels", "(n,) or (n, m)").astype(np.float64, copy=False)
    if len(score_rows) != len(label_rows):
        raise ValueError(
            f"scores have {len(score_rows)} rows and labels {len(label_rows)}: give one of each per document."
        )
    _check_scores(score_rows)
    has_nan = _check_labels(label_rows)
    lists = _as_lists(qid, len(score_rows))
    flat_axes = ((-2, score_rows), (-1, label_rows))
    return Inputs(
        scores=lists.group(_as_columns(score_rows)),
        labels=lists.group(_as_columns(label_rows)),
        lists=lists,
        has_nan=has_nan,
        drop_axes=tuple(axis for axis, rows in flat_axes if rows.ndim == 1),
    )


def check_cutoff(k: int | None) -> int | None:
    """Check a cut-off: a whole number of ranks of at least 1, or None for all."""
    if k is None:
        return None
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
        raise ValueError(f"k must be a whole number of at least 1, or None for the whole list; got {k!r}.")
    return int(k)


def _as_rows(values: ArrayLike | Sequence[Any], name: str, expected: str) -> NDArray[Any]:
    """Read a numeric array of one or two dimensions; float32 stays, anything else becomes float64."""
    values = as_numbers(values, name)
    try:
        rows = np.asarray(values)
        if rows.dtype not in (np.float32, np.float64):
            rows = rows.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be numbers of shape {expected}: {error}.") from error
    if rows.ndim not in (1, 2) or (rows.ndim == 2 and rows.shape[1] == 0):
        raise ValueError(f"{name} have shape {rows.shape}; expected {expected}.")
    return rows


def _as_columns(rows: NDArray[Any]) -> NDArray[Any]:
    return rows[:, None] if rows.ndim == 1 else rows


def _as_lists(qid: ArrayLike | QueryLists | None, n_rows: int) -> QueryLists:
    if not isinstance(qid, QueryLists):
        return QueryLists.from_qid(qid, n_rows)
    if qid.n_rows != n_rows:
        raise ValueError(f"qid has query lists of {qid.n_rows} rows, but there are {n_rows} documents.")
    return qid


def _check_scores(scores: NDArray[Any]) -> None:
    finite = np.isfinite(scores)
    if not finite.all():
        raise ValueError(f"scores must be finite; got {_first(scores, ~finite)}.")


def _check_labels(labels: NDArray[np.float64]) -> bool:
    """Check labels; True if some are NaN."""
    if labels.size == 0:
        return False
    # Two reductions decide for clean labels; only bad ones pay for finding out where.
    lowest, highest = labels.min(), labels.max()
    has_nan = bool(np.isnan(lowest))
    if has_nan:
        lowest, highest = np.fmin.reduce(labels, axis=None), np.fmax.reduce(labels, axis=None)
    if lowest < 0:
        raise ValueError(f"labels must not be negative; got {_first(labels, labels < 0)}.")
    if highest == np.inf:
        where = _first(labels, labels == np.inf)
        raise ValueError(f"labels must be finite, or NaN where unobserved; got {where}.")
    return has_nan


def _first(values: NDArray[Any], bad: NDArray[np.bool_]) -> str:
    """Describe the first offending value and its place, for an error."""
    place = np.argwhere(bad)[0]
    column = f", column {place[1]}" if values.ndim == 2 else ""
    return f"{values[tuple(place)]} at row {place[0]}{column} ({int(bad.sum())} such in all)"
