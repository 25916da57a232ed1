"""Weights per query and per row, checked and matched to the rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hyperrank._columns import arrow_to_pandas
from hyperrank.lists import QueryLists
from hyperrank.simplex import as_weights

#: What a frame's index or column is called where it holds query ids.
QID = "qid"


class PerQuery:
    """Weights of each query, for ``predict(X, qid=qid, weights=PerQuery(table))``.

    A frame whose index is named ``qid``, or with a column ``qid``, needs no such wrapping.

    Parameters
    ----------
    table : DataFrame or mapping
        A pandas frame of one row per query, by query id in the index or in a column ``qid``, and one column
        per objective, in any order; or a mapping of query id to weights. Queries without rows are fine.

    Examples
    --------
    >>> from hyperrank import PerQuery
    >>> PerQuery({"shoes": [0.9, 0.1], "boots": [0.5, 0.5]})
    PerQuery of 2 queries
    """

    def __init__(self, table: Any) -> None:
        table = arrow_to_pandas(table)
        if isinstance(table, Mapping):
            # By hand: numpy would make one table of ids that are tuples.
            self.ids: Any = np.empty(len(table), dtype=object)
            self.ids[:] = list(table)
            self.table: Any = list(table.values())
            return
        if not hasattr(table, "columns"):
            raise ValueError(
                "PerQuery takes a frame indexed by query id (or with a column 'qid'), or a mapping of query "
                f"id to weights; got {type(table).__name__}. For one row of weights per row of X: PerRow."
            )
        if QID in list(table.columns):
            self.ids = np.asarray(table[QID])
            self.table = table.drop(columns=[QID]) if hasattr(table, "index") else table.drop(QID)
        elif hasattr(table, "index"):
            self.ids, self.table = table.index, table
        else:
            raise ValueError("PerQuery takes query ids in a column 'qid' of a frame that has no index.")

    def __repr__(self) -> str:
        return f"PerQuery of {len(self.ids)} queries"

    def _rows(self, lists: QueryLists, names: Sequence[str]) -> RowWeights:
        """The weights of grouped rows, of the objectives `names` in that order."""
        import pandas as pd

        weights = as_weights(in_order(self.table, names), len(names), names)
        if weights.shape != (len(self.ids), len(names)):
            raise ValueError(
                f"PerQuery was given weights of shape {weights.shape} for {len(self.ids)} queries; expected "
                f"{len(names)} weights for each, of the objectives {list(names)}."
            )
        ids = self.ids.to_flat_index() if isinstance(self.ids, pd.MultiIndex) else self.ids
        index = pd.Index(ids, tupleize_cols=False)
        if not index.is_unique:
            twice = _plain(index[index.duplicated()][0])
            raise ValueError(f"weights hold query {twice!r} more than once: give one row per query.")
        positions = index.get_indexer(pd.Index(lists.ids, tupleize_cols=False))
        missing = np.flatnonzero(positions < 0)
        if len(missing):
            unknown, known = _plain(lists.ids[missing[0]]), _plain(index[0])
            kinds = ""
            if type(unknown) is not type(known):
                kinds = (
                    f" The ids in qid are {type(unknown).__name__}, those of weights {type(known).__name__}."
                )
            raise ValueError(
                f"weights lack {len(missing)} of {lists.n_lists} queries, first {unknown!r}: give a row for "
                f"every query of X.{kinds}"
            )
        return RowWeights(weights[positions], lists.index)


class PerRow:
    """Weights of each row, for ``predict(X, weights=PerRow(table))``.

    Parameters
    ----------
    weights : array-like or frame of shape (n, m)
        One row of weights per row of `X`, in its order; a frame's columns are the objectives, in any order.

    Examples
    --------
    >>> from hyperrank import PerRow
    >>> PerRow([[0.9, 0.1], [0.5, 0.5], [0.5, 0.5]])
    PerRow of 3 rows
    """

    def __init__(self, weights: ArrayLike) -> None:
        self.table: Any = arrow_to_pandas(weights)
        if not hasattr(weights, "__len__") or isinstance(weights, Mapping):
            raise ValueError(
                "PerRow takes weights of shape (n, m), a row for each of X; got "
                f"{type(weights).__name__}. For weights by query id: PerQuery."
            )

    def __repr__(self) -> str:
        return f"PerRow of {len(self.table)} rows"

    def _rows(self, lists: QueryLists, names: Sequence[str]) -> RowWeights:
        """The weights of grouped rows, of the objectives `names` in that order."""
        weights = as_weights(in_order(self.table, names), len(names), names)
        if weights.shape != (lists.n_rows, len(names)):
            raise ValueError(
                f"PerRow was given weights of shape {weights.shape}; expected "
                f"({lists.n_rows}, {len(names)}): "
                "a row for each of X. For one trade-off, or k of them, of all rows: weights without PerRow."
            )
        return RowWeights(lists.group(weights), np.arange(lists.n_rows, dtype=np.int64))


@dataclass(frozen=True, eq=False)
class RowWeights:
    """Weights of grouped rows."""

    #: Weights on the simplex, shape (u, m), some perhaps alike.
    weights: NDArray[np.float64]
    #: For each row which of them it has, shape (n,).
    index: NDArray[np.int64]

    @cached_property
    def by_row(self) -> NDArray[np.float64]:
        """The weights of each row, shape (n, m)."""
        return self.weights[self.index]

    def map(self, change: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> RowWeights:
        """The same with changed weights in the place of these."""
        return RowWeights(change(self.weights), self.index)

    @cached_property
    def distinct(self) -> RowWeights:
        """The same, all weights different and in use."""
        used, positions = np.unique(self.index, return_inverse=True)
        order = np.lexsort(self.weights[used].T)
        ordered = self.weights[used][order]
        begins = np.ones(len(order), dtype=bool)
        begins[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
        number = np.empty(len(order), dtype=np.int64)
        number[order] = np.cumsum(begins) - 1
        return RowWeights(ordered[begins], number[positions])


def per_query_or_row(weights: Any, names: Sequence[str]) -> PerQuery | PerRow | None:
    """Weights of each query or row, where that is meant; None for trade-offs that hold for all rows.

    A frame with query ids, in an index of the name ``qid`` or a column of it, is meant by query. One whose
    index has no name and counts from 0, or is the index of a front's weights, holds k trade-offs. Any other
    index may be ids or only what is left of a larger table, and is refused.
    """
    if isinstance(weights, PerQuery | PerRow):
        return weights
    weights = arrow_to_pandas(weights)
    if hasattr(weights, "columns"):
        index = getattr(weights, "index", None)
        if QID in list(weights.columns) or getattr(index, "name", None) == QID:
            return PerQuery(weights)
        if index is not None and not _counts(index) and index.name != TRADE_OFF:
            some = ", ".join(repr(_plain(value)) for value in index[:3])
            raise ValueError(
                f"weights is a frame whose index ({some}{', ...' if len(index) > 3 else ''}) may be query "
                "ids or not. For a trade-off per query: weights.rename_axis('qid') or PerQuery(weights); for "
                "k trade-offs of all rows: weights.to_numpy(); for one per row of X: PerRow(weights)."
            )
    elif getattr(weights, "ndim", 0) == 3:
        raise ValueError(
            f"weights have shape {weights.shape}; expected ({len(names)},) or (k, {len(names)}) for all "
            "rows. For one per row of X: PerRow(weights) of shape (n, m); per query: PerQuery(frame by qid)."
        )
    return None


#: Name of the index of a front's weights: a part of them still tells that it holds trade-offs.
TRADE_OFF = "trade_off"


def refuse_weights_of_rows(given: Any, weights: NDArray[np.float64], n_rows: int) -> None:
    """Refuse as many trade-offs as there are rows, unless their frame says that they are trade-offs.

    Meant for each row, they would give a matrix of shape (n, n). As many as objectives are the corners.
    """
    says_so = getattr(getattr(given, "index", None), "name", None) == TRADE_OFF
    if weights.ndim == 2 and len(weights) == n_rows > weights.shape[1] and not says_so:
        raise ValueError(
            f"weights have shape {weights.shape} and X has {n_rows} rows. For weights of each row of X: "
            f"PerRow(weights). For {n_rows} trade-offs of all rows: a frame of them whose index is named "
            f"{TRADE_OFF!r}, as front.weights is."
        )


def in_order(table: Any, names: Sequence[str]) -> Any:
    """Weights of queries or rows, the columns of a frame in the order of the objectives."""
    columns = list(getattr(table, "columns", names))
    if len(columns) != len(names) or set(columns) != set(names):
        raise ValueError(f"the columns of weights are {columns}; expected the objectives {list(names)}.")
    return table[list(names)] if hasattr(table, "columns") else table


def _counts(index: Any) -> bool:
    """Whether an index has no name and is 0, 1, 2, ..., as frames have it by default."""
    import pandas as pd

    return index.name is None and isinstance(index, pd.RangeIndex) and index.start == 0 and index.step == 1


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def rows_by_weights(row_weights: RowWeights) -> Iterator[tuple[NDArray[np.float64], NDArray[np.int64]]]:
    """Each of the distinct weights, shape (m,), with the rows that have them."""
    distinct = row_weights.distinct
    order = np.argsort(distinct.index, kind="stable")
    bounds = np.flatnonzero(np.diff(distinct.index[order], prepend=-1))
    for rows in np.split(order, bounds[1:]):
        yield distinct.weights[distinct.index[rows[0]]], rows
