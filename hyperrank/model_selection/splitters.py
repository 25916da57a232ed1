"""Splitters that keep every query whole, for cross-validation and searches."""

from __future__ import annotations

import heapq
from abc import abstractmethod
from collections.abc import Iterator
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import BaseCrossValidator

from hyperrank._checks import check_number, check_random_state
from hyperrank._columns import n_rows_of, refuse_other_order
from hyperrank.lists import QueryLists

RandomState = int | np.random.RandomState | None


class _QuerySplitter(BaseCrossValidator):
    """Base of the splitters: query ids from `qid`, `groups` or X, and rows of whole queries."""

    # Both are asked for, so that a search with metadata routing hands over whichever the caller has.
    __metadata_request__split = {"qid": True, "groups": True}  # noqa: RUF012

    n_splits: int

    def split(
        self,
        X: Any,
        y: Any = None,
        groups: ArrayLike | None = None,
        qid: ArrayLike | None = None,
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Split rows into training and test rows, every query whole on one side.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n, d)
            The rows. Only their number counts, and a column ``qid`` if neither `qid` nor `groups` is given.
        y : ignored
            Here for scikit-learn's sake.
        groups : array-like of shape (n,), optional
            Query ids, under the name that scikit-learn passes on without metadata routing.
        qid : array-like of shape (n,), optional
            Query ids of any hashable kind, in any row order.

        Yields
        ------
        train, test : ndarray of int64
            Ascending row numbers.

        Raises
        ------
        ValueError
            If there are no query ids, if `qid` and `groups` group the rows differently, or if there are too
            few queries.
        """
        lists = _query_lists(type(self).__name__, X, qid, groups)
        if lists.n_lists < 2:
            raise ValueError(
                f"{type(self).__name__} needs at least 2 queries to split; got {lists.n_lists} query "
                f"in {lists.n_rows} rows."
            )
        list_of_row = lists.ungroup(lists.index)
        by_id = _id_order(lists.ids)
        for chosen in self._test_queries(lists.sizes[by_id]):
            is_test = np.zeros(lists.n_lists, dtype=bool)
            is_test[by_id[chosen]] = True
            in_test = is_test[list_of_row]
            yield np.flatnonzero(~in_test), np.flatnonzero(in_test)

    def get_n_splits(
        self,
        X: Any = None,
        y: Any = None,
        groups: ArrayLike | None = None,
        qid: ArrayLike | None = None,
    ) -> int:
        """Return the number of splits.

        Parameters
        ----------
        X, y, groups, qid : object
            Ignored.

        Returns
        -------
        int
            The constructor's `n_splits`.
        """
        return self.n_splits

    @abstractmethod
    def _test_queries(self, sizes: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        """Choose the test queries of each split, given the rows of each query in the order of ids."""


class QueryKFold(_QuerySplitter):
    """K folds of whole queries, with about equally many rows in each.

    The folds depend on the query ids and on how many rows each query has, never on the order of the rows.
    Queries go, largest first and equal ones in the order of their sorted ids, to the fold with the fewest
    rows so far. In a search, metadata routing needs no ``set_split_request``: ``fit(X, y, qid=qid)`` is
    enough. Without routing, give the ids as ``fit(X, y, groups=qid)`` or as a column ``qid`` of X.

    Parameters
    ----------
    n_splits : int, default 5
        Number of folds, at least 2 and at most the number of queries.
    shuffle : bool, default False
        Whether to assign the queries in random order instead, still to the fold with the fewest rows.
    random_state : int, RandomState or None, default None
        Seed of the shuffling; an int gives the same folds in every call.

    Examples
    --------
    >>> import numpy as np
    >>> qid = ["b", "a", "c", "a", "b", "c"]
    >>> for train, test in QueryKFold(3).split(np.zeros((6, 1)), qid=qid):
    ...     print(train.tolist(), test.tolist())
    [0, 2, 4, 5] [1, 3]
    [1, 2, 3, 5] [0, 4]
    [0, 1, 3, 4] [2, 5]
    """

    def __init__(self, n_splits: int = 5, *, shuffle: bool = False, random_state: RandomState = None) -> None:
        self.n_splits = int(check_number("n_splits", n_splits, at_least=2, whole=True))
        if random_state is not None and not shuffle:
            raise ValueError("random_state has no effect without shuffle=True: pass both or neither.")
        self.shuffle = shuffle
        self.random_state = random_state

    def _test_queries(self, sizes: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        if self.n_splits > len(sizes):
            raise ValueError(
                f"n_splits={self.n_splits} folds need at least as many queries; got {len(sizes)} queries."
            )
        if self.shuffle:
            order = check_random_state(self.random_state).permutation(len(sizes))
        else:
            order = np.argsort(-sizes, kind="stable")
        fold = _lightest_fold(sizes, order, self.n_splits)
        for number in range(self.n_splits):
            yield np.flatnonzero(fold == number)


class QueryShuffleSplit(_QuerySplitter):
    """Random splits of whole queries into training and test, drawn again each time.

    The splits depend on the query ids and on `random_state`, never on the order of the rows. Query ids are
    passed as for `QueryKFold`.

    Parameters
    ----------
    n_splits : int, default 10
        Number of splits.
    test_size : float or int, default 0.2
        Share of the queries (not of the rows) to test on, rounded up, or their number. At least one query
        stays on either side.
    random_state : int, RandomState or None, default None
        Seed of the draws; an int gives the same splits in every call.

    Examples
    --------
    >>> import numpy as np
    >>> splitter = QueryShuffleSplit(n_splits=1, test_size=1 / 3, random_state=0)
    >>> train, test = next(splitter.split(np.zeros((6, 1)), qid=[1, 1, 2, 2, 3, 3]))
    >>> len(train), len(test)
    (4, 2)
    """

    def __init__(
        self, n_splits: int = 10, *, test_size: float = 0.2, random_state: RandomState = None
    ) -> None:
        self.n_splits = int(check_number("n_splits", n_splits, at_least=1, whole=True))
        is_number = isinstance(test_size, Real) and not isinstance(test_size, bool)
        is_count = is_number and isinstance(test_size, Integral)
        if not is_number or not (test_size >= 1 if is_count else 0 < test_size < 1):
            raise ValueError(
                f"test_size must be a share between 0 and 1 or a number of queries; got {test_size!r}."
            )
        self.test_size = test_size
        self.random_state = random_state

    def _test_queries(self, sizes: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        n_test = self._n_test(len(sizes))
        generator = check_random_state(self.random_state)
        for _ in range(self.n_splits):
            yield generator.permutation(len(sizes))[:n_test]

    def _n_test(self, n_queries: int) -> int:
        if not isinstance(self.test_size, Integral):
            # The slack keeps a share such as 0.07 of 100 queries from rounding up to 8.
            return min(int(np.ceil(self.test_size * n_queries - 1e-9)), n_queries - 1)
        if self.test_size >= n_queries:
            raise ValueError(
                f"test_size={self.test_size} queries leave none of the {n_queries} queries to train on."
            )
        return int(self.test_size)


def _query_lists(splitter: str, X: Any, qid: ArrayLike | None, groups: ArrayLike | None) -> QueryLists:
    """Group the rows by query, wherever their ids were given."""
    n_rows = n_rows_of(X)
    refuse_other_order(qid, "qid", X)
    refuse_other_order(groups, "groups", X)
    if qid is None and groups is None:
        if "qid" not in getattr(X, "columns", ()):
            raise ValueError(
                f"{splitter} needs query ids: pass qid= (with metadata routing on), groups= (with it off), "
                "or X as a data frame with a column 'qid'."
            )
        return QueryLists.from_qid(X["qid"], n_rows)
    lists = QueryLists.from_qid(groups if qid is None else qid, n_rows)
    if qid is not None and groups is not None:
        other = QueryLists.from_qid(groups, n_rows)
        same_sizes = np.array_equal(lists.offsets, other.offsets)
        if not (same_sizes and np.array_equal(lists.order, other.order)):
            raise ValueError(
                "qid and groups were both given and group the rows differently: pass one of them."
            )
    return lists


def _id_order(ids: NDArray[Any]) -> NDArray[np.int64]:
    """Order of the ids that does not depend on which stands first."""
    try:
        return np.argsort(ids, kind="stable")
    except TypeError:  # mixed kinds such as 1 and "a" have no order of their own
        keys = [(type(value).__name__, repr(value)) for value in ids]
        return np.array(sorted(range(len(ids)), key=keys.__getitem__), dtype=np.int64)


def _lightest_fold(sizes: NDArray[np.int64], order: NDArray[np.int64], n_folds: int) -> NDArray[np.int64]:
    """Fold of each query when, in the order given, each goes to the fold with the fewest rows so far."""
    folds = [(0, number) for number in range(n_folds)]
    assigned = []
    for size in sizes[order].tolist():
        rows, number = folds[0]
        assigned.append(number)
        heapq.heapreplace(folds, (rows + size, number))
    fold = np.empty(len(sizes), dtype=np.int64)
    fold[order] = assigned
    return fold
