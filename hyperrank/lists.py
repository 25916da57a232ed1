"""Query lists of any length: rows grouped by query id as contiguous lists with offsets, without padding."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["QueryLists", "within_list_deviation", "within_list_deviations"]

#: Rows of all lists: offsets beyond would overflow.
MAX_ROWS = 1 << 48


@dataclass(frozen=True, eq=False)
class QueryLists:
    """The rows of a data set grouped into one contiguous list per query.

    Lists stand in the order in which their query first appears, and rows keep their order within a list;
    rows that are already grouped are therefore never moved. Nothing is padded.

    Parameters
    ----------
    offsets : ndarray of shape (n_lists + 1,), int64
        List ``q`` is ``rows[order][offsets[q]:offsets[q + 1]]``.
    ids : ndarray of shape (n_lists,)
        The query id of each list.
    moved : ndarray of shape (n_rows,), int64, optional
        ``rows[moved]`` is grouped by query; None where the rows are grouped as they stand.

    Examples
    --------
    >>> import numpy as np
    >>> lists = QueryLists.from_qid(["b", "a", "b"])
    >>> lists.ids.tolist(), lists.offsets.tolist()
    (['b', 'a'], [0, 2, 3])
    >>> grouped = lists.group(np.array([10.0, 20.0, 30.0]))
    >>> grouped.tolist()
    [10.0, 30.0, 20.0]
    >>> lists.ungroup(grouped).tolist()
    [10.0, 20.0, 30.0]
    """

    offsets: NDArray[np.int64]
    ids: NDArray[Any]
    moved: NDArray[np.int64] | None = None

    @classmethod
    def from_qid(cls, qid: ArrayLike | Sequence[Hashable] | None, n_rows: int | None = None) -> QueryLists:
        """Group rows by query id in O(n log n).

        Parameters
        ----------
        qid : array-like of shape (n_rows,) or None
            Query ids of any hashable kind, in any order; None makes one list of all rows.
        n_rows : int, optional
            The number of rows expected; needed when `qid` is None.

        Returns
        -------
        QueryLists

        Raises
        ------
        ValueError
            If `qid` is not one-dimensional, has another length than `n_rows`, lacks an id for some row, or
            holds ids that cannot be hashed.
        """
        if qid is None:
            if n_rows is None:
                raise ValueError("qid is None, so n_rows is needed to know how long the one list is.")
            return cls(np.array([0, n_rows]), np.zeros(1, dtype=np.int64))
        values = as_id_array(qid)
        if n_rows is not None and len(values) != n_rows:
            raise ValueError(
                f"qid has {len(values)} entries, but there are {n_rows} rows: give one id per row."
            )
        if len(values) == 0:
            return cls(np.zeros(1, dtype=np.int64), values)
        try:
            ends = np.flatnonzero(values[1:] != values[:-1]) + 1
        except ValueError as error:  # arrays, say
            raise ValueError(f"qid holds ids that are not single values, such as {values[0]!r}.") from error
        if len(ends) == 0:  # a request
            if values.dtype == object:
                _first_appearance_codes(values[:1])  # refuses what cannot be hashed
            return cls(np.array([0, len(values)]), values[:1])
        starts = np.concatenate([[0], ends])
        codes, first = _first_appearance_codes(values[starts])
        if len(first) == len(starts):  # each id is one run: already grouped
            return cls(np.append(starts, len(values)), values[starts])
        row_codes = np.repeat(codes, np.diff(np.append(starts, len(values))))
        sizes = np.bincount(row_codes, minlength=len(first))
        order = np.argsort(row_codes, kind="stable")
        return cls(_offsets(sizes), values[starts][first], order)

    @classmethod
    def from_sizes(cls, sizes: ArrayLike, ids: NDArray[Any] | None = None) -> QueryLists:
        """Take rows that are grouped already, given the number of rows of each query.

        Parameters
        ----------
        sizes : array-like of shape (n_lists,), int
            Rows per query, in the order of the rows; the ``group`` of LightGBM and XGBoost.
        ids : ndarray of shape (n_lists,), optional
            Query ids; 0, 1, 2, ... by default.

        Returns
        -------
        QueryLists

        Examples
        --------
        >>> QueryLists.from_sizes([2, 1]).qid.tolist()
        [0, 0, 1]
        """
        counts = as_integers("sizes", sizes, "a 1-D sequence of integers")
        if np.any(np.ma.getmask(sizes)) or sum(map(int, counts)) > MAX_ROWS:
            raise ValueError(f"sizes must be numbers of rows that there can be; got {sizes!r:.80}.")
        if (counts < 0).any():
            raise ValueError(f"sizes must not be negative; got {counts.min()} at {int(counts.argmin())}.")
        offsets = _offsets(counts)
        names = np.arange(len(counts), dtype=np.int64) if ids is None else np.asarray(ids)
        if names.shape != counts.shape:
            raise ValueError(f"ids has {len(names)} entries for {len(counts)} lists.")
        return cls(offsets, names)

    @property
    def n_rows(self) -> int:
        """Number of rows in all lists."""
        return int(self.offsets[-1])

    @cached_property
    def order(self) -> NDArray[np.int64]:
        """``rows[order]`` is grouped by query, shape (n_rows,)."""
        return np.arange(self.n_rows, dtype=np.int64) if self.moved is None else self.moved

    @property
    def n_lists(self) -> int:
        """Number of lists."""
        return len(self.offsets) - 1

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """Rows per list, shape (n_lists,)."""
        return np.diff(self.offsets)

    @cached_property
    def index(self) -> NDArray[np.int64]:
        """For each grouped row the number of its list, shape (n_rows,)."""
        return np.repeat(np.arange(self.n_lists, dtype=np.int64), self.sizes)

    @cached_property
    def place(self) -> NDArray[np.int64]:
        """For each grouped row its place in its list, from 0, shape (n_rows,)."""
        return np.arange(self.n_rows, dtype=np.int64) - np.repeat(self.offsets[:-1], self.sizes)

    @property
    def qid(self) -> NDArray[Any]:
        """The query id of each row, in the caller's order, shape (n_rows,)."""
        return self.ungroup(self.ids[self.index])

    @cached_property
    def in_place(self) -> QueryLists:
        """The same lists for rows that have been grouped."""
        return self if self.is_grouped else QueryLists.from_sizes(self.sizes, ids=self.ids)

    @property
    def is_grouped(self) -> bool:
        """Whether the caller's rows were grouped already, so that grouping moves nothing."""
        return self.moved is None

    def group(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Bring rows of the caller's order into grouped order.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, ...)
            In the caller's order.

        Returns
        -------
        ndarray of shape (n_rows, ...)
            List after list; the same array where nothing moves.
        """
        if len(rows) != self.n_rows:
            raise ValueError(f"{len(rows)} rows given, but the query lists have {self.n_rows}.")
        return rows if self.moved is None else rows[self.moved]

    def ungroup(self, values: NDArray[Any]) -> NDArray[Any]:
        """Bring values of grouped rows back into the caller's order.

        Parameters
        ----------
        values : ndarray of shape (n_rows, ...)
            In grouped order.

        Returns
        -------
        ndarray of shape (n_rows, ...)
            In the caller's order; the same array where nothing moves.
        """
        if len(values) != self.n_rows:
            raise ValueError(f"{len(values)} values given, but the query lists have {self.n_rows} rows.")
        if self.moved is None:
            return values
        restored = np.empty_like(values)
        restored[self.moved] = values
        return restored

    def take(self, which: ArrayLike) -> tuple[NDArray[np.int64], QueryLists]:
        """Pick whole lists.

        Parameters
        ----------
        which : array-like of shape (k,), int
            Numbers of lists, in the order of the result.

        Returns
        -------
        rows : ndarray of shape (n,), int64
            Positions of their rows among the *grouped* rows.
        lists : QueryLists
            The lists of those rows.
        """
        expected = "a 1-D sequence of numbers of lists (for a mask, its np.flatnonzero)"
        chosen = as_integers("which", which, expected).astype(np.int64)
        sizes = self.sizes[chosen]
        lists = QueryLists.from_sizes(sizes, ids=self.ids[chosen])
        shift = np.repeat(self.offsets[:-1][chosen] - lists.offsets[:-1], sizes)
        return np.arange(lists.n_rows, dtype=np.int64) + shift, lists

    def split(self, longest: int, rng: np.random.Generator) -> QueryLists:
        """Cut longer lists into random parts of nearly equal size.

        Parameters
        ----------
        longest : int
            Rows of a part at most.
        rng : numpy.random.Generator
            Assigns the rows.

        Returns
        -------
        QueryLists
            Of the *grouped* rows, which it groups further; its ids are the numbers of the lists that parts
            are of.

        Examples
        --------
        >>> parts = QueryLists.from_sizes([1, 5]).split(3, np.random.default_rng(0))
        >>> parts.sizes.tolist(), parts.ids.tolist()
        ([1, 2, 3], [0, 1, 1])
        """
        n_parts = np.maximum(-(-self.sizes // longest), 1)
        ids = np.repeat(np.arange(self.n_lists, dtype=np.int64), n_parts)
        if len(ids) == self.n_lists:
            return QueryLists(self.offsets, ids)
        order = np.arange(self.n_rows, dtype=np.int64)
        for number in np.flatnonzero(n_parts > 1):
            rng.shuffle(order[self.offsets[number] : self.offsets[number + 1]])
        place = np.arange(len(ids)) - np.repeat(np.cumsum(n_parts) - n_parts, n_parts)
        return QueryLists(_offsets((self.sizes[ids] + place) // n_parts[ids]), ids, order)

    def runs(self, n_rows: int) -> Iterator[tuple[slice, QueryLists]]:
        """Cut grouped rows into chunks of whole lists, of about as many rows each.

        Parameters
        ----------
        n_rows : int
            A chunk ends before the list that begins in the next `n_rows` rows; a longer list is a chunk.

        Yields
        ------
        rows : slice
            Of the grouped rows.
        lists : QueryLists
            The lists of those rows.

        Examples
        --------
        >>> lists = QueryLists.from_sizes([2, 2, 3])
        >>> [(rows.start, rows.stop, part.sizes.tolist()) for rows, part in lists.runs(4)]
        [(0, 4, [2, 2]), (4, 7, [3])]
        """
        if self.n_rows <= n_rows and self.n_lists:
            yield slice(0, self.n_rows), self
            return
        bounds = np.flatnonzero(np.diff(self.offsets[:-1] // n_rows, prepend=-1))
        for first, last in zip(bounds, [*bounds[1:], self.n_lists], strict=True):
            rows = slice(int(self.offsets[first]), int(self.offsets[last]))
            yield rows, QueryLists.from_sizes(self.sizes[first:last], ids=self.ids[first:last])


def as_integers(name: str, values: ArrayLike, expected: str) -> NDArray[Any]:
    """Values as a 1-D array of integers, or an empty one; a ValueError says what `name` must be."""
    integers = np.asarray(values)
    if integers.ndim != 1 or (integers.size and not np.issubdtype(integers.dtype, np.integer)):
        raise ValueError(f"{name} must be {expected}; got {integers.dtype} {integers.shape}.")
    return integers


def _offsets(sizes: NDArray[Any]) -> NDArray[np.int64]:
    """Start of each list, and the end of the last."""
    return np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])


def as_id_array(qid: ArrayLike | Sequence[Hashable]) -> NDArray[Any]:
    """Query ids as a 1-D array, every id present."""
    values = qid if hasattr(qid, "__array__") else _object_array(qid)
    mask = np.ma.getmask(values)
    values = np.asarray(values)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise ValueError(f"qid must be one-dimensional, one id per row; got shape {values.shape}.")
    if values.dtype.kind == "f" and (np.abs(values) >= 2.0 ** (np.finfo(values.dtype).nmant + 1)).any():
        raise ValueError(
            f"qid holds {values.dtype} numbers so large that neighbouring ids are one: read ids as integers "
            "or text."
        )
    missing = _missing(values) | np.reshape(mask, -1)
    if missing.any():
        where = np.flatnonzero(missing)
        raise ValueError(
            f"qid is missing for {len(where)} of {len(values)} rows, first at row {where[0]}: "
            "every row needs the id of its query (or pass qid=None for one list of all rows)."
        )
    return values


def _object_array(qid: Any) -> NDArray[Any]:
    """Ids of a plain sequence; numpy would turn a mix such as [1, "a"] into strings."""
    if isinstance(qid, (str, bytes)) or not isinstance(qid, Iterable):
        raise ValueError(f"qid must hold one id per row; got the single value {qid!r}.")
    if isinstance(qid, Mapping | Set):
        raise ValueError(f"qid must hold one id per row, in their order; got a {type(qid).__name__}.")
    items = list(qid)
    kinds = {type(item) for item in items}
    if len(kinds) == 1 and kinds <= {int, str, float, bool}:
        values = np.asarray(items)
        # Integers beyond int64 become floats in numpy, and text loses NUL at its end: ids would be merged.
        if values.dtype.kind == "U":
            if values.tolist() == items:
                return values
        elif values.dtype.kind != "f" or kinds == {float}:
            return values
    values = np.empty(len(items), dtype=object)
    values[:] = items
    return values


def _missing(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Where an id is None, NaN, NaT or pandas.NA."""
    if values.dtype.kind in "iubSU":
        return np.zeros(len(values), dtype=bool)
    import pandas as pd

    return np.asarray(pd.isna(values))


def _first_appearance_codes(values: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give ids codes by first appearance: the code of each value, and where each code first stands."""
    import pandas as pd

    try:
        codes = pd.factorize(values)[0].astype(np.int64)
    except TypeError as error:
        raise ValueError(f"qid holds ids that cannot be hashed: {error}.") from error
    return codes, np.unique(codes, return_index=True)[1].astype(np.int64)


def ranks_within_lists(scores: NDArray[Any], lists: QueryLists) -> NDArray[np.int64]:
    """Rank of each grouped row in its list, from 0; of equal scores the earlier row ranks first."""
    ranks = np.empty(lists.n_rows, dtype=np.int64)
    ranks[np.lexsort((-scores, lists.index))] = lists.place
    return ranks


def within_list_deviation(scores: NDArray[np.float64], lists: QueryLists) -> float:
    """Root mean square of grouped scores about their list's mean, all that matters of them for ranking.

    1 where all scores of each list are the same.
    """
    means = np.add.reduceat(scores, lists.offsets[:-1]) / lists.sizes
    deviation = float(np.sqrt(np.mean((scores - means[lists.index]) ** 2)))
    return deviation if deviation > 1e-12 else 1.0


def within_list_deviations(scores: NDArray[np.float64], lists: QueryLists) -> NDArray[np.float64]:
    """`within_list_deviation` of each column."""
    return np.array([within_list_deviation(column, lists) for column in scores.T])
