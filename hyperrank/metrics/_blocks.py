"""Blocks of lists of similar size: dense arrays that are ranked without a loop over queries.

Lists are cut into blocks from the shortest to the longest, so that padding never more than doubles a list and
one list of 100,000 documents costs nothing to the lists of one. Blocks are small enough to stay in the cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hyperrank._checks import is_whole
from hyperrank._columns import as_numbers, refuse_other_order
from hyperrank.lists import QueryLists


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
    refuse_other_order(labels, "labels", scores, "scores")
    refuse_other_order(qid, "qid", labels, "labels")
    score_rows = _as_rows(scores, "scores", "(n,) or (n, K)")
    label_rows = _as_rows(labels, "labels", "(n,) or (n, m)").astype(np.float64, copy=False)
    if len(score_rows) != len(label_rows):
        raise ValueError(
            f"scores have {len(score_rows)} rows and labels {len(label_rows)}: give one of each per document."
        )
    finite = np.isfinite(score_rows)
    if not finite.all():
        raise ValueError(f"scores must be finite; got {_first(score_rows, ~finite)}.")
    has_nan = _check_labels(label_rows)
    lists = qid if isinstance(qid, QueryLists) else QueryLists.from_qid(qid, len(score_rows))
    if lists.n_rows != len(score_rows):
        raise ValueError(
            f"qid has query lists of {lists.n_rows} rows, but there are {len(score_rows)} documents."
        )
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
    if not is_whole(k) or k < 1:
        raise ValueError(f"k must be a whole number of at least 1, or None for the whole list; got {k!r}.")
    return int(k)


def _as_rows(values: ArrayLike | Sequence[Any], name: str, expected: str) -> NDArray[Any]:
    """Read a numeric array of one or two dimensions; float32 stays, anything else becomes float64."""
    values = as_numbers(values, name)
    try:
        rows = np.asarray(values)
        if rows.dtype.kind in "iu" and rows.itemsize == 8 and name == "scores":
            # Float64 would tie large ones, such as times in nanoseconds; their order is all that counts.
            rows = np.unique(rows, return_inverse=True)[1].reshape(rows.shape)
        if rows.dtype not in (np.float32, np.float64):
            rows = rows.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be numbers of shape {expected}: {error}.") from error
    if rows.ndim not in (1, 2) or (rows.ndim == 2 and rows.shape[1] == 0):
        raise ValueError(f"{name} have shape {rows.shape}; expected {expected}.")
    return rows


def _as_columns(rows: NDArray[Any]) -> NDArray[Any]:
    return rows[:, None] if rows.ndim == 1 else rows


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


#: Up to this many ranks one pass per rank beats sorting the row, and settles ties by the way.
MAX_PASSES = 16


def _by_passes(scores: NDArray[Any], k: int) -> NDArray[np.int64]:
    """Take the maximum k times; of equals ``argmax`` finds the first."""
    flat = scores.reshape(-1)
    firsts = np.arange(0, scores.size, scores.shape[1])
    positions = np.empty((k, len(scores)), dtype=np.int64)
    for best in positions:
        scores.argmax(axis=1, out=best)
        flat[firsts + best] = -np.inf
    return positions.T


def _by_sorting(scores: NDArray[Any]) -> NDArray[np.int64]:
    """Sort each row fast, then again where equals may have lost their order.

    A stable sort costs several times the fast one, and real-valued scores seldom tie.
    """
    np.negative(scores, out=scores)
    positions = np.argsort(scores, axis=1)
    ordered = np.take_along_axis(scores, positions, axis=1)
    tied = ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] < np.inf)).any(axis=1)
    if tied.any():
        positions[tied] = np.argsort(scores[tied], axis=1, kind="stable")
    return positions


#: Values in one tile: 2^16 doubles are half a megabyte, the size of a core's own cache.
TILE = 1 << 16
#: How many times its own size a list is padded to at most.
MOST_PADDING = 2


@dataclass(eq=False)
class Block:
    """B lists, numbered `which`, padded to one width P; `depth` is the cut-off, or P if that is less.

    Every list has a document.
    """

    subset: Subset
    which: NDArray[np.int64]
    width: int
    depth: int

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """Documents of each list, shape (B,)."""
        return self.subset.lists.sizes[self.which]

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """First grouped row of each list, shape (B,)."""
        return self.subset.lists.offsets[:-1][self.which]

    @cached_property
    def labels(self) -> NDArray[np.float64]:
        """Labels of the padded lists, shape (B, m, P); 0 in the padding."""
        return self._padded(self.subset.labels, 0.0)

    @cached_property
    def highest(self) -> NDArray[np.float64]:
        """Highest label of each list, shape (B, m)."""
        return np.asarray(self.labels.max(axis=2))

    @cached_property
    def best_labels(self) -> NDArray[np.float64]:
        """The highest labels in descending order, shape (B, m, depth): the ideal ranking."""
        # Labels are at least 0: their bits are in the order of their values, and integers sort faster.
        bits = self.labels.view(np.int64)
        if self.depth < self.width:
            bits = np.partition(bits, self.width - self.depth, axis=2)[:, :, -self.depth :]
        return np.sort(bits, axis=2)[:, :, ::-1].view(np.float64)

    def scores(self, columns: slice) -> NDArray[Any]:
        """Scores of the padded lists as a fresh array, shape (B, K, P); minus infinity in the padding."""
        return self._padded(self.subset.scores[:, columns], -np.inf)

    def ranked_labels(self, columns: slice, ties: Literal["order", "worst"] = "order") -> NDArray[np.float64]:
        """Labels by rank, shape (B, K, m, depth); 0 beyond the end of a list."""
        scores = self.scores(columns)
        if ties == "order":
            ranked = _pick(self.labels[:, None], _positions(scores, self.depth)[:, :, None])
        else:
            ranked = self._worst_ranked(scores)
        if self.sizes.min() < self.depth:
            beyond = np.arange(self.depth) >= self.sizes[:, None]
            np.copyto(ranked, 0.0, where=beyond[:, None, None, :])
        return ranked

    def _padded(self, values: NDArray[Any], padding: float) -> NDArray[Any]:
        """Grouped values (n, C) of the lists as a fresh array, shape (B, C, P)."""
        tile = _windows(values, self.starts, self.width)
        # No list is shorter than the shortest, so there is nothing to pad up to there.
        first = int(self.sizes.min())
        beyond = np.arange(first, self.width) >= self.sizes[:, None]
        np.copyto(tile[:, :, first:], padding, where=beyond[:, None, :])
        return tile

    def _worst_ranked(self, scores: NDArray[Any]) -> NDArray[np.float64]:
        """Labels by rank where of tied documents the lower labels come first.

        The ranking keeps the order of tied documents, so it is enough to stand them by label beforehand.
        """
        ranked = np.empty((*scores.shape[:2], self.labels.shape[1], self.depth))
        for j in range(self.labels.shape[1]):
            by_label = np.argsort(self.labels[:, j], axis=1)[:, None]
            positions = _positions(_pick(scores, by_label), self.depth)
            ranked[:, :, j] = _pick(_pick(self.labels[:, j, None], by_label), positions)
        return ranked

    def column_tiles(self) -> Iterator[slice]:
        """Columns of the scores in steps that keep a tile small even for one very long list."""
        n_columns = self.subset.scores.shape[1]
        step = max(1, TILE // (len(self.which) * self.width))
        for first in range(0, n_columns, step):
            yield slice(first, min(first + step, n_columns))


def blocks(subset: Subset, k: int | None) -> Iterator[Block]:
    """Cut the lists of a subset into blocks of like size; lists without a document are left out."""
    n_columns = max(subset.scores.shape[1], subset.labels.shape[1])
    by_size = np.argsort(subset.lists.sizes, kind="stable")
    by_size = by_size[np.count_nonzero(subset.lists.sizes == 0) :]
    sizes = subset.lists.sizes[by_size]
    first = 0
    while first < len(sizes):
        last = first + _fitting(sizes[first:], max(1, TILE // n_columns))
        width = int(sizes[last - 1])
        yield Block(subset, by_size[first:last], width, width if k is None else min(k, width))
        first = last


def _fitting(sizes: NDArray[np.int64], entries: int) -> int:
    """How many of some lists, the shorter first, make a tile of so many entries; at least one."""
    smallest = int(sizes[0])
    candidates = sizes[: max(1, entries // smallest)]
    filled = candidates * np.arange(1, len(candidates) + 1)
    fits = (filled <= entries) & (candidates <= MOST_PADDING * smallest)
    return max(1, int(np.count_nonzero(fits)))


def _positions(scores: NDArray[Any], depth: int) -> NDArray[np.int64]:
    """Positions by rank of scores (B, K, P), shape (B, K, depth); earlier ones first among equals.

    Minus infinity marks padding, behind which ranks hold some position. `scores` are overwritten.
    """
    flat = scores.reshape(-1, scores.shape[2])
    is_fast = depth <= MAX_PASSES and depth < scores.shape[2]
    ranked = _by_passes(flat, depth) if is_fast else _by_sorting(flat)[:, :depth]
    return ranked.reshape(*scores.shape[:2], depth)


def _pick(values: NDArray[Any], positions: NDArray[np.int64]) -> NDArray[Any]:
    """Take along the last axis, the other axes broadcast; on small tiles cheaper than ``take_along_axis``."""
    width = values.shape[-1]
    firsts = np.arange(0, values.size, width).reshape(*values.shape[:-1], 1)
    return np.asarray(values.reshape(-1).take(firsts + positions, mode="clip"))


def _windows(values: NDArray[Any], starts: NDArray[np.int64], width: int) -> NDArray[Any]:
    """Rows of values (n, C) from each start on as a fresh array, shape (B, C, P).

    Windows are copied whole, several times as fast as row by row; beyond the last row stands any value.
    """
    last = len(values) - width
    inside = np.minimum(starts, last)
    if len(starts) > 1 and values.shape[1] == 1 and values.flags.c_contiguous:
        # A window as one value of so many bytes: one copy for each in place of one for each row. One list
        # alone may have more bytes than NumPy knows of a value.
        whole = np.ndarray(last + 1, f"V{width * values.itemsize}", values.data, strides=(values.itemsize,))
        tile = whole[inside].view(values.dtype).reshape(-1, 1, width)
    else:
        by_row, by_column = values.strides
        shape, strides = (last + 1, values.shape[1], width), (by_row, by_column, by_row)
        windows = np.lib.stride_tricks.as_strided(values, shape, strides, writeable=False)
        tile = np.ascontiguousarray(windows[inside])
    for i in np.flatnonzero(starts > last):
        tile[i, :, : len(values) - starts[i]] = values[starts[i] :].T
    return tile


#: What a list without a relevant document scores, by name.
EMPTY_VALUES = {"skip": np.nan, "zero": 0.0, "one": 1.0}

Measure = Callable[[Block, slice], NDArray[np.float64]]


def empty_value(empty: str | float) -> float:
    """Read the `empty` argument of a metric: NaN stands for a list that is skipped."""
    if isinstance(empty, str) and empty in EMPTY_VALUES:
        return EMPTY_VALUES[empty]
    if not isinstance(empty, str | bool) and empty in (0, 1):
        return float(empty)
    raise ValueError(f"empty must be 'skip', 'zero' (or 0) or 'one' (or 1); got {empty!r}.")


def average_over_lists(inputs: Inputs, measure: Measure, k: int | None, per_query: bool) -> Any:
    """Average a measure over lists, or give it list by list.

    ``measure(block, columns)`` gives (B, K, m) for those columns of the scores, NaN for skipped lists. The
    result has shape (K, m), or (n_lists, K, m), less the axes of 1-D inputs.
    """
    n_lists, n_scores, n_labels = inputs.shape
    by_list = np.full((n_lists, n_scores, n_labels), np.nan) if per_query else None
    totals = np.zeros((n_scores, n_labels))
    counts = np.zeros((n_scores, n_labels))
    for subset in inputs.subsets():
        for block in blocks(subset, k):
            for columns in block.column_tiles():
                values = measure(block, columns)
                if by_list is not None:
                    objectives = np.arange(n_labels)[subset.columns]
                    by_list[np.ix_(block.which, np.arange(columns.start, columns.stop), objectives)] = values
                    continue
                valid = ~np.isnan(values)
                totals[columns, subset.columns] += values.sum(axis=0, where=valid)
                counts[columns, subset.columns] += valid.sum(axis=0)
    if by_list is not None:
        return inputs.squeeze(by_list)
    means = np.full_like(totals, np.nan)
    np.divide(totals, counts, out=means, where=counts > 0)
    return inputs.squeeze(means)
