"""What the caller passes, checked once and brought into the form everything inside works with."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_array, validate_data

from hyperrank.files import forget_pages
from hyperrank.lists import QueryLists
from hyperrank.reference import Reference, take_rows

__all__ = [
    "GroupedFeatures",
    "LabelledLists",
    "read_features",
    "read_labelled",
    "read_labels",
    "read_scores",
    "split_qid",
]

#: Entries of X that are looked at at a time.
ENTRIES_AT_ONCE = 1 << 22
#: The column that frames may carry query ids in.
QID_COLUMN = "qid"


@dataclass(frozen=True)
class GroupedFeatures:
    """Checked features of grouped rows.

    Attributes
    ----------
    X : ndarray of shape (n, d), float32
        NaN where missing.
    lists : QueryLists
        The lists of the rows, and the way back to the caller's order.
    frame : object
        The features as the caller gave them, in the caller's order, without a ``qid`` column.
    ref_scores : ndarray of shape (n,) or None
        Reference scores that the caller gave, in the caller's order.
    """

    X: NDArray[np.float32]
    lists: QueryLists
    frame: Any
    ref_scores: NDArray[np.float64] | None

    def parts(self, reference: Reference) -> NDArray[np.float64]:
        """What the reference scores consist of, for the grouped rows; see `Reference.parts`."""
        self.check_ref_scores(reference.needs_scores)
        return reference.parts(self.X, self.lists, self.frame, self.ref_scores)

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

    def take(self, which: NDArray[np.int64]) -> LabelledLists:
        """Some whole lists."""
        rows, lists = self.lists.take(which)
        given = self.lists.order[rows]
        return LabelledLists(
            X=self.X[rows],
            lists=lists,
            frame=take_rows(self.frame, given),
            ref_scores=None if self.ref_scores is None else self.ref_scores[given],
            Y=self.Y[rows],
            names=self.names,
        )


def split_qid(X: Any, qid: Any, *, name: str = "X") -> tuple[Any, Any]:
    """Take the ``qid`` column out of a frame.

    Parameters
    ----------
    X : array-like or frame
        Features, in a frame perhaps with a column ``qid``.
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
    columns = getattr(X, "columns", None)
    if columns is None or QID_COLUMN not in list(columns):
        return X, qid
    with _naming(name):  # of what only looks like a frame, such as polars' LazyFrame
        column = X[QID_COLUMN]
        rest = X.drop(columns=[QID_COLUMN]) if hasattr(X, "iloc") else X.drop(QID_COLUMN)
    if qid is None:
        return rest, column
    with _naming("qid"):
        # All that matters of ids is which rows they bring together: 1 and "1" may stand for the same query.
        given, held = QueryLists.from_qid(qid), QueryLists.from_qid(column)
    if not (np.array_equal(given.offsets, held.offsets) and np.array_equal(given.order, held.order)):
        raise ValueError(
            f"qid was given as an argument and as the column 'qid' of {name}, and they differ: drop one."
        )
    return rest, qid


def read_features(
    estimator: BaseEstimator, X: Any, qid: Any, *, reset: bool, ref_scores: Any = None, suffix: str = ""
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
    features = frame
    if reset or not _is_as_wanted(estimator, frame):
        with _naming(f"X{suffix}"):
            features = validate_data(
                estimator,
                frame,
                reset=reset,
                dtype=np.float32,
                order="C",
                accept_sparse="csr",
                ensure_all_finite="allow-nan",
            )
    if hasattr(features, "toarray"):
        features = features.toarray()
    with _naming(f"qid{suffix}"):
        lists = QueryLists.from_qid(ids, len(features))
    if ref_scores is not None:
        ref_scores = read_scores(ref_scores, len(features), name=f"ref_scores{suffix}")
    return GroupedFeatures(lists.group(features), lists, frame, ref_scores)


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
    with _naming(name):
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
    features = read_features(estimator, X, qid, reset=reset, ref_scores=ref_scores, suffix=suffix)
    labels, names = read_labels(y, len(features.X), objectives=objectives, name=name_of_y)
    unobserved = np.isnan(labels).all(axis=0)
    if reset and unobserved.any():
        missing = [names[j] for j in np.flatnonzero(unobserved)]
        raise ValueError(
            f"objectives {missing} have no label at all: every entry of {name_of_y} is NaN there."
        )
    return LabelledLists(**vars(features), Y=features.lists.group(labels), names=names)


def read_scores(values: Any, n_rows: int, *, name: str) -> NDArray[np.float64]:
    """Check one number per row, such as reference scores or weights.

    Raises
    ------
    ValueError
        If there is not one finite number per row.
    """
    with _naming(name):
        scores = check_array(values, dtype=np.float64, ensure_2d=False, ensure_min_samples=0, input_name=name)
    if scores.ndim == 2 and scores.shape[1] == 1:
        scores = scores[:, 0]
    if scores.shape != (n_rows,):
        raise ValueError(f"{name} has shape {scores.shape}; wanted ({n_rows},), one number per row.")
    return np.asarray(scores)


@contextmanager
def _naming(name: str) -> Iterator[None]:
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
