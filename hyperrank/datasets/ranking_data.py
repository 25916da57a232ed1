"""Ranking data: features, labels per objective and query ids; grades of real-valued signals."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from hyperrank._categories import categorical_positions
from hyperrank._checks import check_number, check_random_state
from hyperrank._columns import as_numbers, refuse_other_order
from hyperrank.lists import QueryLists, as_id_array, as_integers
from hyperrank.memmap import is_mapped, take_rows
from hyperrank.simplex import by_name

RandomState = int | np.random.RandomState | None


@dataclass(frozen=True, eq=False, repr=False)
class RankingData:
    """Documents with features, labels per objective and query ids, row by row.

    Parameters
    ----------
    X : ndarray of shape (n, d), float32, or DataFrame
        Features; NaN is a missing value. A frame of pandas where some of them are categories.
    Y : ndarray of shape (n, m), float32
        Labels, one column per objective, the main one first; NaN is an unobserved label.
    qid : ndarray of shape (n,), int64 or objects of type str
        The query of each document.
    names : tuple of m str
        The objectives.
    feature_names : tuple of d str
        The features.
    description : str
        What the data are and where they come from.
    comments : tuple of n str, or None
        The comment of each line of a text file, if it was asked for.

    Examples
    --------
    >>> from hyperrank import datasets
    >>> data = datasets.make_multilabel_ranking(n_queries=4, list_size=5, n_objectives=3, random_state=0)
    >>> data
    RankingData(X (20, 20), Y (20, 3): objective_0, objective_1, objective_2; 4 queries)
    >>> data.select(["objective_2", "objective_0"]).names
    ('objective_2', 'objective_0')
    >>> data.take(data.qid < 2).X.shape
    (10, 20)
    >>> train, test = data.split((0.75, 0.25), random_state=0)
    >>> train.X.shape, test.X.shape
    ((15, 20), (5, 20))
    """

    X: NDArray[np.float32]
    Y: NDArray[np.float32]
    qid: NDArray[Any]
    names: tuple[str, ...]
    feature_names: tuple[str, ...]
    description: str = ""
    comments: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        for name in ("Y", "qid"):
            refuse_other_order(getattr(self, name), name, self.X)
        names, feature_names = as_names(self.names, "names"), as_names(self.feature_names, "feature_names")
        X = by_name(self.X, feature_names, "X", "features") if hasattr(self.X, "columns") else self.X
        if not categorical_positions("from_dtype", X, "X"):
            X = as_array(X, "X")
        Y = by_name(self.Y, names, "Y") if hasattr(self.Y, "columns") else self.Y
        Y = as_array(Y, "Y")
        if (Y < 0).any() or np.isinf(Y).any():
            raise ValueError("Y must hold finite labels of at least 0, NaN where unobserved: more is better.")
        parts = {"X": X, "Y": Y, "qid": as_id_array(self.qid), "names": names, "feature_names": feature_names}
        for name, value in parts.items():
            object.__setattr__(self, name, value)
        n_comments = len(self.X) if self.comments is None else len(self.comments)
        if not len(self.X) == len(self.Y) == len(self.qid) == n_comments:
            raise ValueError(
                f"X, Y, qid and comments must have one entry per document; got {len(self.X)}, "
                f"{len(self.Y)}, {len(self.qid)} and {n_comments}."
            )
        if self.X.shape[1:] != (len(self.feature_names),) or self.Y.shape[1:] != (len(self.names),):
            raise ValueError(
                f"X {self.X.shape} and Y {self.Y.shape} must have a column per name; got "
                f"{len(self.feature_names)} feature_names and {len(self.names)} names."
            )

    def __repr__(self) -> str:
        n_queries = len(np.unique(self.qid))
        return (
            f"RankingData(X {self.X.shape}, Y {self.Y.shape}: {', '.join(self.names)}; {n_queries} queries)"
        )

    @property
    def y(self) -> NDArray[np.float32]:
        """Labels of the first objective, shape (n,)."""
        return self.Y[:, 0]

    def select(self, names: Sequence[str]) -> RankingData:
        """Keep some objectives, in the order given.

        Parameters
        ----------
        names : sequence of str
            Names of objectives, each once.

        Returns
        -------
        RankingData
            The same documents and features with fewer label columns.

        Raises
        ------
        ValueError
            If a name is unknown or doubled, or none is given.
        """
        chosen_names = check_objectives(names, self.names)
        columns = [self.names.index(name) for name in chosen_names]
        return replace(self, Y=self.Y[:, columns], names=chosen_names)

    def take(self, rows: ArrayLike) -> RankingData:
        """Keep some documents.

        Parameters
        ----------
        rows : array-like of shape (n,), bool, or of shape (k,), int
            A mask, or positions in the order asked for.

        Returns
        -------
        RankingData
            Those documents, as copies.

        Raises
        ------
        ValueError
            If a mask has another length than the data, or a position is out of range.
        """
        chosen = _positions(rows, len(self.X))
        comments = None if self.comments is None else tuple(self.comments[i] for i in chosen)
        return replace(
            self, X=take_rows(self.X, chosen), Y=self.Y[chosen], qid=self.qid[chosen], comments=comments
        )

    def split(
        self, sizes: Sequence[float] = (0.6, 0.2, 0.2), *, random_state: RandomState = None
    ) -> tuple[RankingData, ...]:
        """Split by query at random; the default sizes give train, validation and test.

        Parameters
        ----------
        sizes : sequence of float, default (0.6, 0.2, 0.2)
            Shares of the queries, one for each part, with sum 1.
        random_state : int, RandomState or None, default None
            Seed of the draw, which depends on the query ids and not on the order of the rows.

        Returns
        -------
        tuple of RankingData
            A part for each size, its rows in the order that they have here.

        Raises
        ------
        ValueError
            If the sizes are not shares with sum 1, or so few queries would leave a part empty.
        """
        shares = np.asarray(sizes, dtype=np.float64)
        if shares.ndim != 1 or not (shares > 0).all() or not np.isclose(shares.sum(), 1):
            raise ValueError(
                f"sizes must be shares above 0 with sum 1, such as (0.6, 0.2, 0.2); got {sizes}."
            )
        queries, query_of_row = np.unique(self.qid, return_inverse=True)
        n_queries = len(queries)
        ends = np.rint(np.cumsum(shares) * n_queries).astype(np.int64)
        if (np.diff(ends, prepend=0) == 0).any():
            raise ValueError(f"{n_queries} queries are too few for parts of {sizes}: one would be empty.")
        position = np.empty(n_queries, dtype=np.int64)
        position[check_random_state(random_state).permutation(n_queries)] = np.arange(n_queries)
        part_of_row = np.searchsorted(ends, position, side="right")[query_of_row]
        return tuple(self.take(part_of_row == part) for part in range(len(shares)))


def as_names(names: str | Sequence[str], what: str) -> tuple[str, ...]:
    """Names as a tuple, each once."""
    given = (names,) if isinstance(names, str) else tuple(names)
    if not all(isinstance(name, str) for name in given) or len(set(given)) < len(given):
        raise ValueError(f"{what} must be different texts; got {given[:20]}.")
    return given


def as_array(values: Any, name: str) -> NDArray[Any]:
    """Numbers as an array of floats, one that is mapped as it is."""
    array = values if is_mapped(values) else np.asarray(as_numbers(values, name))
    return array if array.dtype.kind == "f" else array.astype(np.float32)


def check_objectives(names: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """Names of objectives as a tuple, each known and given once."""
    chosen_names = (names,) if isinstance(names, str) else tuple(names)
    unknown = [name for name in chosen_names if name not in known]
    if unknown:
        raise ValueError(f"unknown objectives {unknown}; there are {list(known)}.")
    if not chosen_names or len(set(chosen_names)) < len(chosen_names):
        raise ValueError(
            f"give one or more of the objectives {list(known)}, each once; got {list(chosen_names)}."
        )
    return chosen_names


def _positions(rows: ArrayLike, n_rows: int) -> NDArray[np.int64]:
    """Positions of the rows that a mask or an array of positions picks."""
    chosen = np.asarray(rows)
    if chosen.dtype == bool:
        if chosen.shape != (n_rows,):
            raise ValueError(
                f"the mask has shape {chosen.shape}; expected ({n_rows},), one entry per document."
            )
        return np.flatnonzero(chosen)
    chosen = as_integers("rows", chosen, "a mask or a 1-D array of positions")
    if chosen.size and not (-n_rows <= chosen.min() and chosen.max() < n_rows):
        raise ValueError(f"rows go from {chosen.min()} to {chosen.max()}, but there are {n_rows} documents.")
    return np.arange(n_rows)[chosen.astype(np.int64)]


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
    by_query = pd.DataFrame(signals).groupby(lists.ungroup(lists.index))
    n_below, n_observed = by_query.rank(method="min") - 1, by_query.transform("count")
    grades = np.floor(n_grades * n_below / n_observed)
    return np.asarray(grades, dtype=np.float32).reshape(signals.shape)
