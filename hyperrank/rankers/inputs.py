"""What the caller passes, checked once and brought into the form everything inside works with."""

from __future__ import annotations

import re
import warnings
from collections.abc import Hashable, Iterator, Sequence, Sized
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_array, validate_data

from hyperrank._columns import as_numbers, index_levels, refuse_stored_index, warn_of_leaks
from hyperrank.lists import QueryLists
from hyperrank.memmap import FeatureRows, MappedRows, forget_pages, stays_mapped
from hyperrank.reference import Reference, take_rows

__all__ = [
    "GroupedFeatures",
    "LabelledLists",
    "one_validation",
    "read_features",
    "read_labelled",
    "read_labels",
    "read_list_weight",
    "read_scores",
    "read_validation",
    "resolve_objective",
    "split_qid",
    "summary_of",
]


def resolve_objective(objective: int | str, names: tuple[str, ...]) -> int:
    """Position of an objective given by name or position.

    Raises
    ------
    ValueError
        If there is none such.
    """
    if isinstance(objective, str):
        if objective not in names:
            raise ValueError(f"reference_objective is {objective!r}; the objectives are {list(names)}.")
        return names.index(objective)
    if not isinstance(objective, Integral) or not -len(names) <= objective < len(names):
        raise ValueError(
            f"reference_objective must name one of {list(names)} or its position; got {objective!r}."
        )
    return int(objective) % len(names)


def one_validation(
    X_val: Any, y_val: Any, qid_val: Any, eval_set: Any, eval_qid: Any
) -> tuple[Any, Any, Any]:
    """Validation data under either of their names: X_val, y_val, qid_val, or eval_set and eval_qid.

    Raises
    ------
    ValueError
        If they are given under both, or `eval_set` is not one pair of features and labels.
    """
    if eval_set is None and eval_qid is None:
        return X_val, y_val, qid_val
    if any(given is not None for given in (X_val, y_val, qid_val)):
        raise ValueError(
            "validation data were given as X_val and as eval_set or eval_qid: use one of the two."
        )
    pairs = eval_set if isinstance(eval_set, list) else [eval_set]
    if len(pairs) != 1 or not isinstance(pairs[0], tuple | list) or len(pairs[0]) != 2:
        raise ValueError("eval_set must be one pair (X_val, y_val), or a list of one such pair.")
    (features, labels), ids = pairs[0], eval_qid
    if isinstance(ids, list | tuple) and len(ids) == 1:
        of_rows = hasattr(ids[0], "__len__") and not isinstance(ids[0], str | bytes)
        ids = ids[0] if of_rows else ids  # the one pair has a single row
    return features, labels, ids


def read_validation(
    estimator: Any,
    X_val: Any,
    y_val: Any,
    qid_val: Any,
    ref_scores_val: Any,
    *,
    names: tuple[str, ...],
    n_rows: int,
) -> LabelledLists | None:
    """Check validation data against the training data; None where there are none.

    Parameters
    ----------
    estimator : BaseEstimator
        That knows the features.
    X_val, y_val, qid_val, ref_scores_val
        As the caller gave them.
    names : tuple of str
        The objectives.
    n_rows : int
        Training rows.

    Raises
    ------
    ValueError
        If they are given in part, or do not fit the training data.

    Warns
    -----
    UserWarning
        If they have as many rows as the training data, which is what a search makes of validation data
        that were as long as the whole data set: it cuts them like training rows.
    """
    if X_val is None:
        if y_val is not None or qid_val is not None or ref_scores_val is not None:
            raise ValueError("y_val, qid_val or ref_scores_val were given without X_val.")
        return None
    if y_val is None:
        raise ValueError("X_val was given without y_val: pass both, or neither.")
    data = read_labelled(
        estimator,
        X_val,
        y_val,
        qid_val,
        reset=False,
        objectives=names if hasattr(y_val, "columns") else None,
        ref_scores=ref_scores_val,
        suffix="_val",
    )
    if data.Y.shape[1] != len(names):
        raise ValueError(f"y_val has {data.Y.shape[1]} objectives, but y has {len(names)}: {list(names)}.")
    if len(data.X) == n_rows:
        warnings.warn(
            f"X_val has exactly as many rows as X ({n_rows}). If this fit is part of a scikit-learn search, "
            "the search cut X_val like the training rows and this is not what you passed: drop a row of it.",
            UserWarning,
            stacklevel=4,
        )
    return data


def read_list_weight(query_weight: ArrayLike | None, lists: QueryLists) -> NDArray[np.float64] | None:
    """One weight per list from one per row.

    Raises
    ------
    ValueError
        If a weight is negative, rows of one query differ, or all are 0.
    """
    if query_weight is None:
        return None
    rows = lists.group(read_scores(query_weight, lists.n_rows, name="query_weight"))
    if (rows < 0).any():
        raise ValueError(f"query_weight must not be negative; got {rows.min()}.")
    per_list = rows[lists.offsets[:-1]]
    differs = np.flatnonzero(rows != per_list[lists.index])
    if len(differs):
        query = lists.ids[lists.index[differs[0]]]
        raise ValueError(f"query_weight differs between rows of query {query}: give its rows one weight.")
    if not per_list.any():
        raise ValueError("query_weight is 0 for every query: nothing would be learnt.")
    return np.asarray(per_list)


def read_labels(
    y: Any, n_rows: int, *, objectives: Sequence[str] | None = None, name: str = "y"
) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Check labels and name the objectives.

    Parameters
    ----------
    y : array-like or frame of shape (n,) or (n, m)
        Labels >= 0, NaN where unobserved.
    n_rows : int
        Rows of `X`.
    objectives : sequence of str, optional
        Names of the objectives. By default those of the frame's columns, or objective_0, objective_1, ...
        A frame that has all these names is read by them, in whatever order its columns are.
    name : str, default "y"
        What to call `y` in an error.

    Returns
    -------
    labels : ndarray of shape (n, m), float32
    names : tuple of str

    Raises
    ------
    ValueError
        If labels are missing, negative, infinite, of another length than `X`, or wrongly named.
    """
    if y is None:
        raise ValueError(
            f"requires y to be passed, but the target {name} is None: give one column per objective."
        )
    found = _column_names(y)
    if objectives is not None and found is not None and set(objectives) <= set(found):
        y, found = y[list(objectives)], list(objectives)
    if found is not None and objectives is None:
        refuse_stored_index(found, name)
        if QID_COLUMN in found:
            raise ValueError(f"{name} has the column {QID_COLUMN!r}, which holds query ids and not labels.")
    y = as_numbers(y, name)
    with naming(name):
        labels = check_array(
            y,
            dtype=np.float64,
            ensure_2d=False,
            ensure_all_finite="allow-nan",
            ensure_min_samples=0,
            input_name=name,
        )
    if labels.ndim not in (1, 2) or (labels.ndim == 2 and labels.shape[1] == 0):
        raise ValueError(f"{name} has shape {labels.shape}; wanted (n,) or (n, m), one column per objective.")
    if len(labels) != n_rows:
        raise ValueError(
            f"{name} has {len(labels)} rows, but X has {n_rows}: inconsistent numbers of samples."
        )
    labels = labels[:, None] if labels.ndim == 1 else labels
    with np.errstate(invalid="ignore"):
        bad = (labels < 0) | (labels > np.finfo(np.float32).max)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise ValueError(
            f"{name} must hold labels from 0 up to 3e38; got {labels[row, column]} at row {row}, "
            f"column {column}. Shift or rescale that objective (labels are gains: more is better)."
        )
    return labels.astype(np.float32), _objective_names(objectives, found, labels.shape[1], name)


def read_scores(values: Any, n_rows: int, *, name: str) -> NDArray[np.float64]:
    """Check one number per row, such as reference scores or weights.

    Raises
    ------
    ValueError
        If there is not one finite number per row.
    """
    values = as_numbers(values, name)
    with naming(name):
        scores = check_array(values, dtype=np.float64, ensure_2d=False, ensure_min_samples=0, input_name=name)
    if scores.ndim == 2 and scores.shape[1] == 1:
        scores = scores[:, 0]
    if scores.shape != (n_rows,):
        raise ValueError(f"{name} has shape {scores.shape}; wanted ({n_rows},), one number per row.")
    return np.asarray(scores)


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Errors of scikit-learn's and numpy's that name the argument, and no warning before them."""
    try:
        # Values beyond float32 become infinite, which is refused.
        with np.errstate(over="ignore", invalid="ignore"):
            yield
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:
        # A RuntimeError is what torch raises of tensors that have a gradient.
        if re.search(rf"\b{name}\b", str(error)) and isinstance(error, TypeError | ValueError):
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{name}: {error}") from error


def _column_names(y: Any) -> list[str] | None:
    """Names that a frame or series gives its columns, where they are all strings."""
    names: list[Hashable] | None = None
    if hasattr(y, "columns"):
        names = list(y.columns)
    elif getattr(y, "name", None) is not None:
        names = [y.name]
    if names is None or not all(isinstance(n, str) for n in names):
        return None
    return [str(n) for n in names]


def _objective_names(
    objectives: Sequence[str] | None, found: list[str] | None, m: int, name: str
) -> tuple[str, ...]:
    """Names of the objectives: those asked for, those of the frame, or numbered ones."""
    if objectives is None:
        names = tuple(found) if found is not None else tuple(f"objective_{j}" for j in range(m))
    else:
        names = tuple(objectives)
    if len(names) != m:
        raise ValueError(
            f"{name} has {m} columns, but the objectives are {list(names)}: one column for each."
        )
    if len(set(names)) != len(names):
        raise ValueError(f"objectives must have different names; got {list(names)}.")
    unknown = sorted(set(names) - set(found or names))
    if unknown and m > 1:
        raise ValueError(f"{name} has columns {found}, but not the objectives {unknown}.")
    return names


#: Entries, about, that the share of missing features is taken from: all of large data would take seconds.
SAMPLE_ENTRIES = 1 << 22
#: Rows without query ids raise the question whose they are from so many times the longest list of fit on.
MUCH_LONGER = 4


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


def warn_of_one_list(estimator: Any, X: Any, name: str) -> None:
    """Warn where rows without query ids, one list by the rules, are too many for one of the lists of fit.

    Parameters
    ----------
    estimator : object
        With ``training_data_``, as `summary_of` makes it; others are not looked at.
    X : array-like, sparse matrix or frame
        Rows that came without query ids; what has no length is left to the checks of the features.
    name : str
        What the caller knows them by, such as ``"X"``.
    """
    seen = getattr(estimator, "training_data_", None)
    n_rows = X.shape[0] if hasattr(X, "shape") and X.shape else len(X) if isinstance(X, Sized) else 0
    if not seen or seen["n_queries"] < 2 or n_rows <= MUCH_LONGER * seen["list_size"]["max"]:
        return
    warnings.warn(
        f"{name} has {n_rows:,} rows without query ids, and they are taken as the list of one query; the "
        f"longest list in fit had {seen['list_size']['max']:,}. If they are of several queries, pass qid= or "
        "a frame with a column 'qid'.",
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


#: Entries of X that are looked at at a time.
ENTRIES_AT_ONCE = 1 << 22
#: The column that frames may carry query ids in.
QID_COLUMN = "qid"


@dataclass(frozen=True)
class GroupedFeatures:
    """Checked features of grouped rows.

    Attributes
    ----------
    X : ndarray or MappedRows of shape (n, d), float32
        NaN where missing.
    lists : QueryLists
        The lists of the rows, and the way back to the caller's order.
    frame : object
        The features as the caller gave them, in the caller's order, without a ``qid`` column.
    ref_scores : ndarray of shape (n,) or None
        Reference scores that the caller gave, in the caller's order.
    """

    X: FeatureRows
    lists: QueryLists
    frame: Any
    ref_scores: NDArray[np.float64] | None

    def parts(self, reference: Reference) -> NDArray[np.float64]:
        """What the reference scores consist of, for the grouped rows; see `Reference.parts`."""
        self.check_ref_scores(reference.needs_scores)
        return reference.scores(self.X, self.lists, self.frame, self.ref_scores)

    def check_ref_scores(self, needed: bool) -> None:
        """Refuse reference scores that are missing, or that nothing would read."""
        if needed and self.ref_scores is None:
            raise ValueError("reference='scores' needs ref_scores: one score per row, wherever X is passed.")
        if not needed and self.ref_scores is not None:
            raise ValueError("ref_scores were given, but only reference='scores' reads them.")


@dataclass(frozen=True)
class LabelledLists(GroupedFeatures):
    """Checked features and labels of grouped rows.

    Attributes
    ----------
    Y : ndarray of shape (n, m), float32
        NaN where unobserved.
    names : tuple of str
        The objectives.
    """

    Y: NDArray[np.float32]
    names: tuple[str, ...]

    @property
    def _is_shared(self) -> bool:
        """Whether the caller's features are the checked ones, so that rows of both need no two copies."""
        return isinstance(self.frame, MappedRows) or self.frame is self.X

    def take(self, which: NDArray[np.int64]) -> LabelledLists:
        """Some whole lists."""
        rows, lists = self.lists.take(which)
        given = self.lists.order[rows]
        X = take_rows(self.X, rows)
        return LabelledLists(
            X=X,
            lists=lists,
            frame=X if self._is_shared else take_rows(self.frame, given),
            ref_scores=None if self.ref_scores is None else self.ref_scores[given],
            Y=self.Y[rows],
            names=self.names,
        )


def split_qid(X: Any, qid: Any, *, name: str = "X") -> tuple[Any, Any]:
    """Take the ``qid`` column out of a frame.

    Parameters
    ----------
    X : array-like or frame
        Features, in a frame perhaps with a column ``qid`` or, of pandas, a level ``qid`` of its index.
    qid : array-like or None
        Query ids given beside it.
    name : str, default "X"
        What to call `X` in an error.

    Returns
    -------
    X, qid
        `X` without the column, and the ids to use.

    Raises
    ------
    ValueError
        If ids are given twice and group the rows differently, or one is missing.
    """
    if type(X).__name__ == "LazyFrame":
        as_numbers(X, name)
    columns = getattr(X, "columns", None)
    if columns is None:
        return X, qid
    if QID_COLUMN in list(columns):
        column, where = X[QID_COLUMN], f"the column {QID_COLUMN!r}"
        rest = X.drop(columns=[QID_COLUMN]) if hasattr(X, "iloc") else X.drop(QID_COLUMN)
    elif QID_COLUMN in index_levels(X):
        column, where = X.index.get_level_values(QID_COLUMN), f"the index level {QID_COLUMN!r}"
        rest = X
    else:
        return X, qid
    if qid is None:
        return rest, column
    with naming("qid"):
        # All that matters of ids is which rows they bring together: 1 and "1" may stand for the same query.
        given, held = QueryLists.from_qid(qid), QueryLists.from_qid(column)
    if not (np.array_equal(given.offsets, held.offsets) and np.array_equal(given.order, held.order)):
        raise ValueError(f"qid was given as an argument and as {where} of {name}, and they differ: drop one.")
    return rest, qid


def read_features(
    estimator: BaseEstimator,
    X: Any,
    qid: Any,
    *,
    reset: bool,
    ref_scores: Any = None,
    suffix: str = "",
    streams: bool = False,
    lists_matter: bool = True,
) -> GroupedFeatures:
    """Check features, query ids and reference scores, and group them.

    Parameters
    ----------
    estimator : BaseEstimator
        Whose number and names of features are set (`reset`) or compared with.
    X : array-like, sparse matrix or frame of shape (n, d)
        NaN where missing.
    qid : array-like of shape (n,) or None
        Query ids, unless they are a column of `X`.
    reset : bool
        Whether this is fit.
    ref_scores : array-like of shape (n,), optional
        Reference scores.
    suffix : str, default ""
        ``"_val"`` for validation data, in errors.
    streams : bool, default False
        Whether large features in a mapped file stay there.
    lists_matter : bool, default True
        Whether it changes anything which rows are of one query.

    Returns
    -------
    GroupedFeatures

    Raises
    ------
    ValueError
        If `X` is not a finite (or NaN) numeric table of at least one row, or not the one known from fit,
        or the others do not fit it.
    """
    frame, ids = split_qid(X, qid, name=f"X{suffix}")
    if ids is None and lists_matter and not reset:
        warn_of_one_list(estimator, frame, f"X{suffix}")
    if streams and stays_mapped(frame):
        return _read_mapped(estimator, frame, ids, reset=reset, ref_scores=ref_scores, suffix=suffix)
    features = frame
    if reset or not _is_as_wanted(estimator, frame):
        if reset and hasattr(frame, "columns"):
            refuse_stored_index(list(frame.columns), f"X{suffix}")
        features = as_numbers(frame, f"X{suffix}")
        if isinstance(frame, np.ma.MaskedArray):
            frame = features
        with naming(f"X{suffix}"):
            features = validate_data(
                estimator,
                features,
                reset=reset,
                dtype=np.float32,
                order="C",
                accept_sparse="csr",
                ensure_all_finite="allow-nan",
            )
    if hasattr(features, "toarray"):
        features = features.toarray()
    with naming(f"qid{suffix}"):
        lists = QueryLists.from_qid(ids, len(features))
    if ref_scores is not None:
        ref_scores = read_scores(ref_scores, len(features), name=f"ref_scores{suffix}")
    return GroupedFeatures(lists.group(features), lists, frame, ref_scores)


def _read_mapped(
    estimator: BaseEstimator, X: NDArray[np.float32], ids: Any, *, reset: bool, ref_scores: Any, suffix: str
) -> GroupedFeatures:
    """The same of features that lie in a file, which are looked at part by part and stay there."""
    with naming(f"X{suffix}"):
        validate_data(estimator, X[:1], reset=reset, ensure_all_finite=False)
        if _has_infinity(X):
            raise ValueError("Input X contains infinity or a value too large for dtype('float32').")
    with naming(f"qid{suffix}"):
        lists = QueryLists.from_qid(ids, len(X))
    if ref_scores is not None:
        ref_scores = read_scores(ref_scores, len(X), name=f"ref_scores{suffix}")
    rows = MappedRows(X, lists.moved)
    return GroupedFeatures(rows, lists, MappedRows(X), ref_scores)


def _is_as_wanted(estimator: Any, X: Any) -> bool:
    """Whether scikit-learn would pass features on as they are: its checks take longer than small requests."""
    return (
        type(X) is np.ndarray
        and X.dtype == np.float32
        and X.ndim == 2
        and len(X) > 0
        and X.shape[1] == estimator.n_features_in_
        and X.flags.c_contiguous
        and not hasattr(estimator, "feature_names_in_")
        and not _has_infinity(X)
    )


def _has_infinity(X: NDArray[np.float32]) -> bool:
    """Whether some entry is infinite, looked for part by part: X may be larger than memory."""
    step = max(1, ENTRIES_AT_ONCE // X.shape[1])
    for start in range(0, len(X), step):
        if np.isinf(X[start : start + step]).any():
            return True
        if len(X) > step:
            forget_pages(X)
    return False


def read_labelled(
    estimator: BaseEstimator,
    X: Any,
    y: Any,
    qid: Any,
    *,
    reset: bool,
    objectives: Sequence[str] | None = None,
    ref_scores: Any = None,
    suffix: str = "",
    streams: bool = False,
) -> LabelledLists:
    """Check features, labels, query ids and reference scores together, and group them.

    Parameters as for `read_features` and `read_labels`; `suffix` is "_val" for validation data.

    Returns
    -------
    LabelledLists
    """
    name_of_y = f"y{suffix}"
    if y is None:
        read_labels(y, 0, name=name_of_y)
    features = read_features(
        estimator, X, qid, reset=reset, ref_scores=ref_scores, suffix=suffix, streams=streams
    )
    labels, names = read_labels(y, len(features.X), objectives=objectives, name=name_of_y)
    unobserved = np.isnan(labels).all(axis=0)
    if reset and unobserved.any():
        missing = [names[j] for j in np.flatnonzero(unobserved)]
        raise ValueError(
            f"objectives {missing} have no label at all: every entry of {name_of_y} is NaN there."
        )
    found = LabelledLists(**vars(features), Y=features.lists.group(labels), names=names)
    if reset:
        known = getattr(estimator, "feature_names_in_", range(found.X.shape[1]))
        warn_of_leaks(found.X, known, found.Y, names, found.lists.in_place.qid, stacklevel=4)
        estimator.training_data_ = summary_of(found.X, found.Y, found.lists, names)
    return found
