"""What the caller passes, checked once and brought into the form everything inside works with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from hyperrank.lists import QueryLists
from hyperrank.mapped import FeatureRows, MappedRows, forget_pages, stays_mapped
from hyperrank.rankers.labels import naming, read_labels, read_scores
from hyperrank.rankers.seen import summary_of, warn_of_one_list
from hyperrank.reference import Reference, take_rows

__all__ = [
    "GroupedFeatures",
    "LabelledLists",
    "read_features",
    "read_labelled",
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
    with naming(name):  # of what only looks like a frame, such as polars' LazyFrame
        column = X[QID_COLUMN]
        rest = X.drop(columns=[QID_COLUMN]) if hasattr(X, "iloc") else X.drop(QID_COLUMN)
    if qid is None:
        return rest, column
    with naming("qid"):
        # All that matters of ids is which rows they bring together: 1 and "1" may stand for the same query.
        given, held = QueryLists.from_qid(qid), QueryLists.from_qid(column)
    if not (np.array_equal(given.offsets, held.offsets) and np.array_equal(given.order, held.order)):
        raise ValueError(
            f"qid was given as an argument and as the column 'qid' of {name}, and they differ: drop one."
        )
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
        with naming(f"X{suffix}"):
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
        estimator.training_data_ = summary_of(found.X, found.Y, found.lists, names)
    return found
