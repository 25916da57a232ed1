"""Reading of features, labels and query ids: checked once, rows grouped by query."""

from __future__ import annotations

import functools
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from numbers import Integral
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import config_context
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_array, validate_data

from hyperrank._categories import Categories, categorical_positions
from hyperrank._columns import (
    arrow_to_pandas,
    as_numbers,
    index_levels,
    named_like_ids,
    refuse_other_order,
    refuse_stored_index,
    warn_of_label_scores,
    warn_of_leaks,
    warn_of_rounding,
)
from hyperrank.lists import QueryLists
from hyperrank.memmap import FeatureRows, MappedRows, in_memory, mapped_values, stays_mapped, take_rows
from hyperrank.rankers.data import (
    FitInputs,
    GroupedFeatures,
    LabelledLists,
    refuse_forgotten_qid,
    summarize_data,
    warn_of_one_list,
    warn_of_other_units,
)

F = TypeVar("F", bound=Callable[..., Any])

#: Features, labels, query ids and reference scores of the validation data, as the caller gave them.
Validation: TypeAlias = tuple[Any, Any, Any, Any]


def takes_qid(fit: F) -> F:
    """Refuse what other libraries' rankers take queries and weights by, with a pointer to what ours do."""

    @functools.wraps(fit)
    def wrapper(*args: Any, **options: Any) -> Any:
        for name in ("group", "groups"):
            if name in options:
                raise TypeError(
                    f"fit takes query ids, not {name!r}: of sizes of consecutive queries, "
                    f"qid=QueryLists.from_sizes({name}).qid (from hyperrank import QueryLists)."
                )
        if "sample_weight" in options:
            raise TypeError(
                "fit takes weights of queries, not 'sample_weight': query_weight=, a number per row."
            )
        return fit(*args, **options)

    return cast(F, wrapper)


def resolve_objective(objective: int | str, names: tuple[str, ...]) -> int:
    """Position of an objective given by name or position."""
    if isinstance(objective, str):
        if objective not in names:
            raise ValueError(f"reference_objective is {objective!r}; the objectives are {list(names)}.")
        return names.index(objective)
    is_number = isinstance(objective, Integral) and not isinstance(objective, bool)
    if not is_number or not -len(names) <= objective < len(names):
        raise ValueError(
            f"reference_objective must name one of {list(names)} or its position; got {objective!r}."
        )
    return int(objective) % len(names)


def read_list_weight(query_weight: ArrayLike | None, lists: QueryLists) -> NDArray[np.float64] | None:
    """One weight per list from one per row."""
    if query_weight is None:
        return None
    rows = lists.group(read_scores(query_weight, lists.n_rows, name="query_weight"))
    if (rows < 0).any():
        raise ValueError(f"query_weight must not be negative; got {rows.min()}.")
    per_list = one_per_list(rows, lists, "query_weight", "give its rows one weight.")
    if not per_list.any():
        raise ValueError("query_weight is 0 for every query: nothing would be learnt.")
    return per_list


def one_per_list(rows: NDArray[Any], lists: QueryLists, name: str, hint: str) -> NDArray[Any]:
    """The value of each list, which all of its grouped rows have."""
    per_list = np.asarray(rows[lists.offsets[:-1]])
    differs = np.flatnonzero(rows != per_list[lists.index])
    if len(differs):
        query = lists.ids[lists.index[differs[:1]]].tolist()[0]
        raise ValueError(f"{name} differs between rows of query {query!r}: {hint}")
    return per_list


def read_labels(
    y: Any,
    n_rows: int,
    *,
    objectives: Sequence[str] | None = None,
    name: str = "y",
    is_strict: bool = False,
) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Check labels and name the objectives.

    A single column may have another name than its objective, unless `is_strict` and that is not made up.
    """
    if y is None:
        raise ValueError(
            f"requires y to be passed, but the target {name} is None: give one column per objective."
        )
    y, objectives = arrow_to_pandas(y), _check_objectives(objectives)
    found = _column_names(y)
    numbers = [] if found is not None else list(getattr(y, "columns", ()))
    if all(isinstance(number, Integral) for number in numbers) and numbers != sorted(numbers):
        raise ValueError(
            f"{name} has the columns {numbers}: numbers name no objective, and columns go by position. "
            "Name them by text, or put them in ascending order."
        )
    if objectives is not None and hasattr(y, "columns") and set(objectives) <= set(found or ()):
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
        raise ValueError(
            f"{name} has shape {labels.shape}; expected (n,) or (n, m), one column per objective."
        )
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
    names = _objective_names(objectives, found, labels.shape[1], name, is_strict=is_strict)
    return labels.astype(np.float32), names


def read_scores(values: Any, n_rows: int, *, name: str, several: bool = False) -> NDArray[np.float64]:
    """Check one number per row, such as reference scores or weights, or `several`."""
    values = as_numbers(values, name)
    with naming(name):
        scores = check_array(values, dtype=np.float64, ensure_2d=False, ensure_min_samples=0, input_name=name)
    if scores.ndim == 2 and scores.shape[1] == 1:
        scores = scores[:, 0]
    if scores.shape[: 1 if several and scores.ndim == 2 else None] != (n_rows,):
        raise ValueError(f"{name} has shape {scores.shape}; expected ({n_rows},), one number per row.")
    return np.asarray(scores)


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Errors of scikit-learn's and numpy's that name the argument, and no warning before them."""
    try:
        # Values beyond float32 become infinite, which is refused, whatever scikit-learn may assume.
        with np.errstate(over="ignore", invalid="ignore"), config_context(assume_finite=False):
            yield
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:
        # A RuntimeError is what torch raises of tensors that have a gradient.
        if re.search(rf"\b{name}\b", str(error)) and isinstance(error, TypeError | ValueError):
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{name}: {error}") from error


def has_names(y: Any) -> bool:
    """Whether labels may have names of objectives, as frames and series do."""
    return hasattr(y, "columns") or getattr(y, "name", None) is not None


def _column_names(y: Any) -> list[str] | None:
    """Names that a frame or series gives its columns, where they are all strings."""
    names = list(y.columns) if hasattr(y, "columns") else [getattr(y, "name", None)]
    return [str(name) for name in names] if all(isinstance(name, str) for name in names) else None


def _check_objectives(objectives: Any) -> list[str] | None:
    """Names of objectives as a list of text."""
    if objectives is None:
        return None
    is_array = hasattr(objectives, "tolist") and np.ndim(objectives) == 1
    if not (is_array or isinstance(objectives, list | tuple)) or not all(
        isinstance(name, str) for name in objectives
    ):
        raise ValueError(f"objectives must be a list of names, one for each column of y; got {objectives!r}.")
    return [str(name) for name in objectives]


def _objective_names(
    objectives: Sequence[str] | None, found: list[str] | None, m: int, name: str, *, is_strict: bool
) -> tuple[str, ...]:
    """Names of the objectives: those asked for, those of the frame, or numbered ones."""
    names = objectives if objectives is not None else found
    names = tuple(f"objective_{j}" for j in range(m)) if names is None else tuple(names)
    if len(names) != m:
        raise ValueError(
            f"{name} has {m} columns, but the objectives are {list(names)}: one column for each."
        )
    if len(set(names)) != len(names):
        raise ValueError(f"objectives must have different names; got {list(names)}.")
    unknown = sorted(set(names) - set(found or names))
    if unknown and (m > 1 or (is_strict and names != ("objective_0",))):
        raise ValueError(f"{name} has columns {found}, but not the objectives {unknown}.")
    return names


#: So many queries of one document each are hardly meant.
MANY_LISTS = 50
#: Fewer query ids may be labels by chance.
FEW_LISTS = 5
#: Entries of X that are looked at at a time.
ENTRIES_AT_ONCE = 1 << 22
#: The column that frames may carry query ids in.
QID_COLUMN = "qid"


def split_qid(X: Any, qid: Any, *, name: str = "X") -> tuple[Any, Any]:
    """Take the ``qid`` column out of a frame."""
    if type(X).__name__ == "LazyFrame":
        as_numbers(X, name)
    X = arrow_to_pandas(X)
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
    return rest, _one_of_ids(qid, column, f"{where} of {name}")


def _one_of_ids(qid: Any, column: Any, where: str) -> Any:
    """Query ids of one or two sources, which must bring together the same rows."""
    if qid is None:
        return column
    with naming("qid"):
        # All that matters of ids is which rows they bring together: 1 and "1" may stand for the same query.
        given, held = QueryLists.from_qid(qid), QueryLists.from_qid(column)
    if not (np.array_equal(given.offsets, held.offsets) and np.array_equal(given.order, held.order)):
        raise ValueError(f"qid was given as an argument and as {where}, and they differ: drop one.")
    return qid


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
    keeps_frame: bool = True,
) -> GroupedFeatures:
    """Check features, query ids and reference scores, and group them."""
    frame, ids = split_qid(X, qid, name=f"X{suffix}")
    refuse_other_order(ids, f"qid{suffix}", frame, f"X{suffix}")
    refuse_other_order(ref_scores, f"ref_scores{suffix}", frame, f"X{suffix}")
    is_fit = reset or streams
    if ids is None and lists_matter and not is_fit:
        warn_of_one_list(estimator, frame, f"X{suffix}")
    mapped = mapped_values(frame)
    # What is scored once stays in its file, and so does what is read in each epoch if it is large.
    stays = (streams or not is_fit) and (frame is mapped or not keeps_frame)
    if mapped is not None and not (stays and stays_mapped(mapped, of_any_size=not is_fit and not suffix)):
        mapped, frame = None, in_memory(frame)
    if reset and hasattr(frame, "columns"):
        refuse_stored_index(list(frame.columns), f"X{suffix}")
    categories = _read_categories(estimator, frame, f"X{suffix}", reset=reset)
    encode = None
    if categories is not None:
        names = getattr(estimator, "feature_names_in_", None)
        encode = functools.partial(categories.encode, name=f"X{suffix}", feature_names=names)
    features = frame if encode is None or mapped is not None else encode(frame)
    if mapped is not None:
        first, is_infinite = in_memory(frame[:1]), _has_infinity(MappedRows(mapped))
        with naming(f"X{suffix}"):
            validate_data(estimator, first, reset=reset, ensure_all_finite=False)
            if is_infinite:
                raise ValueError("Input X contains infinity or a value too large for dtype('float32').")
        _check_labels(estimator, frame, f"X{suffix}", reset=reset)
    elif reset or not _is_checked(estimator, features):
        features = as_numbers(features, f"X{suffix}")
        if isinstance(frame, np.ma.MaskedArray):
            frame = features if categories is None else np.ma.filled(frame.astype(object), np.nan)
        given = features
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
        if reset and not hasattr(features, "toarray"):
            columns = list(getattr(estimator, "feature_names_in_", range(features.shape[1])))
            warn_of_rounding(given, features, columns, f"X{suffix}")
        _check_labels(estimator, frame, f"X{suffix}", reset=reset)
    if ids is None and is_fit:
        refuse_forgotten_qid(features, f"X{suffix}")
        if near := named_like_ids([*getattr(frame, "columns", ()), *index_levels(frame)]):
            raise ValueError(
                f"X{suffix} has {near[0]!r}, and no query ids were passed: pass qid=, or call the column "
                "'qid'. If it is a feature and all rows are of one query: qid=np.zeros(len(X))."
            )
    if hasattr(features, "toarray"):
        features = features.toarray()
    if ids is None:
        lists = QueryLists.from_qid(None, len(features))
    else:
        with naming(f"qid{suffix}"):
            lists = QueryLists.from_qid(ids, len(features))
    X_grouped = lists.group(features) if mapped is None else MappedRows(mapped, lists.moved, encode)
    if mapped is not None and keeps_frame and encode is not None:
        frame = MappedRows(mapped, lists.moved)
    elif frame is features or not keeps_frame:
        frame = X_grouped
    elif not lists.is_grouped:
        frame = take_rows(frame, lists.order)
    return GroupedFeatures(X_grouped, lists, frame, _grouped_scores(ref_scores, lists, suffix))


def _read_categories(estimator: BaseEstimator, frame: Any, name: str, *, reset: bool) -> Categories | None:
    """The categories of features, learnt where the estimator is fitted anew; None where there are none."""
    if not reset:
        return getattr(estimator, "categories_", None)
    vars(estimator).pop("categories_", None)
    pretrained: Any = getattr(getattr(estimator, "network", None), "pretrained", None)
    # A transformer that was trained before knows the codes of then.
    categories: Categories | None = getattr(pretrained, "categories_", None)
    positions = categorical_positions(getattr(estimator, "categorical_features", None), frame, name)
    if pretrained is None and positions:
        categories = Categories.learn(frame, positions, name)
    if categories is not None:
        estimator.categories_ = categories
    return categories


def _check_labels(estimator: BaseEstimator, frame: Any, name: str, *, reset: bool) -> None:
    """Compare column labels that are not strings, which scikit-learn does not look at, with those of fit."""
    labels = tuple(map(str, getattr(frame, "column_names", getattr(frame, "columns", ()))))
    if reset:
        vars(estimator).pop("column_labels_in_", None)
        if labels and not hasattr(estimator, "feature_names_in_"):
            estimator.column_labels_in_ = labels
        return
    has_text = any(isinstance(label, str) for label in getattr(frame, "columns", ()))
    by_position = tuple(map(str, range(len(labels))))
    known = getattr(estimator, "column_labels_in_", labels if has_text else by_position)
    if labels and labels != known:
        differing = next((pair for pair in zip(known, labels, strict=False) if pair[0] != pair[1]), None)
        raise ValueError(
            f"{name} has other columns than fit, or in another order"
            + (f": {differing[1]} in the place of {differing[0]}." if differing else ".")
        )


def _grouped_scores(ref_scores: Any, lists: QueryLists, suffix: str) -> NDArray[np.float64] | None:
    if ref_scores is None:
        return None
    name = f"ref_scores{suffix}"
    if len(getattr(ref_scores, "columns", ())) > 1:
        raise ValueError(
            f"{name} is a frame of several columns, whose names are not matched to objectives: pass an "
            "array, its columns in the order of the objectives whose reference is 'scores'."
        )
    return lists.group(read_scores(ref_scores, lists.n_rows, name=name, several=True))


def _is_checked(estimator: BaseEstimator, X: Any) -> bool:
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


def _has_infinity(X: FeatureRows) -> bool:
    """Whether some entry is infinite, looked for part by part: X may be larger than memory."""
    step = max(1, ENTRIES_AT_ONCE // X.shape[1])
    return any(np.isinf(X[start : start + step]).any() for start in range(0, len(X), step))


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
    keeps_frame: bool = True,
) -> LabelledLists:
    """Check features, labels, query ids and reference scores together, and group them.

    Parameters as for `read_features` and `read_labels`; `suffix` is "_val" for validation data.
    """
    name_of_y = f"y{suffix}"
    if y is None:
        read_labels(y, 0, name=name_of_y)
    refuse_other_order(y, name_of_y, X, f"X{suffix}")
    of_labels = index_levels(y)
    if QID_COLUMN in of_labels:
        X, qid = split_qid(X, qid, name=f"X{suffix}")
        qid = _one_of_ids(qid, y.index.get_level_values(QID_COLUMN), f"the index level 'qid' of {name_of_y}")
    features = read_features(
        estimator,
        X,
        qid,
        reset=reset,
        ref_scores=ref_scores,
        suffix=suffix,
        streams=streams,
        keeps_frame=keeps_frame,
    )
    # Objectives that the caller named may stand for a single column of any name.
    is_strict = not reset and getattr(estimator, "objectives", None) is None
    labels, names = read_labels(
        y, len(features.X), objectives=objectives, name=name_of_y, is_strict=is_strict
    )
    known = () if reset else getattr(estimator, "objectives_", ())
    if len(known) == len(names):  # labels without names, by position
        names = tuple(known)
    if reset:
        _refuse_unlearnable(labels, names, name_of_y)
    labelled = LabelledLists(**vars(features), Y=features.lists.group(labels), names=names)
    if labelled.ref_scores is not None:
        warn_of_label_scores(labelled.ref_scores, f"ref_scores{suffix}", labelled.Y, names)
    if labelled.lists.n_lists == labelled.lists.n_rows >= MANY_LISTS:
        warnings.warn(
            f"each of the {labelled.lists.n_rows:,} rows of X{suffix} is a query of its own, so that there "
            "is nothing to rank: are the ids in qid those of documents?",
            UserWarning,
            stacklevel=4,
        )
    if reset:
        feature_names = getattr(estimator, "feature_names_in_", range(labelled.X.shape[1]))
        in_place = labelled.lists.in_place
        _refuse_ids_as_labels(labelled, names, name_of_y)
        warn_of_leaks(labelled.X, feature_names, labelled.Y, names, in_place.qid, stacklevel=4)
        estimator.data_summary_ = summarize_data(labelled.X, labelled.Y, labelled.lists, names)
    return labelled


def _refuse_ids_as_labels(data: LabelledLists, names: tuple[str, ...], name: str) -> None:
    """Refuse an objective whose labels are the query ids."""
    ids, lists = data.lists.ids, data.lists
    if ids.dtype.kind not in "iuf" or lists.n_lists < FEW_LISTS:
        return
    for objective, labels in zip(names, data.Y.T, strict=True):
        if np.array_equal(labels, ids.astype(np.float32)[lists.index]):
            raise ValueError(f"{name} holds the query ids as the objective {objective!r}: leave them out.")


def _refuse_unlearnable(labels: NDArray[np.float32], names: tuple[str, ...], name: str) -> None:
    """Refuse objectives without a label, or without one above 0."""
    unobserved = np.isnan(labels).all(axis=0)
    if unobserved.any():
        missing = [names[j] for j in np.flatnonzero(unobserved)]
        raise ValueError(f"objectives {missing} have no label at all: every entry of {name} is NaN there.")
    worthless = ~(labels > 0).any(axis=0)
    if worthless.any():
        raise ValueError(
            f"objectives {[names[j] for j in np.flatnonzero(worthless)]} have no label above 0 in {name}: "
            "labels are gains, more is better, and nothing can be learnt without any. Leave these "
            "objectives out, or look for labels that were lost or turned around."
        )


def read_fit_inputs(
    ranker: BaseEstimator,
    X: Any,
    y: Any,
    qid: Any = None,
    *,
    validation: Validation = (None, None, None, None),
    ref_scores: Any = None,
    query_weight: ArrayLike | None = None,
    objectives: Sequence[str] | None = None,
    keeps_frame: bool = True,
    reset: bool = True,
) -> FitInputs:
    """Check everything that fit is given, and group its rows; `validation` is of `one_validation`."""
    vars(ranker).pop("_last_front", None)
    refuse_other_order(query_weight, "query_weight", X)
    training = read_labelled(
        ranker,
        X,
        y,
        qid,
        reset=reset,
        objectives=objectives,
        ref_scores=ref_scores,
        streams=True,
        keeps_frame=keeps_frame,
    )
    held_out = _read_validation(ranker, *validation, training=training, keeps_frame=keeps_frame)
    if not reset:
        if not (training.Y > 0).any():
            raise ValueError("y has no label above 0 in any objective: nothing can be learnt from it.")
        warn_of_other_units(ranker, training.Y, training.names, "y")
    if held_out is not None:
        warn_of_other_units(ranker, held_out.Y, training.names, "y_val")
    categories: Categories | None = getattr(ranker, "categories_", None)
    list_weight = read_list_weight(query_weight, training.lists)
    return FitInputs(training, held_out, list_weight, {} if categories is None else categories.sizes)


def one_validation(
    X_val: Any, y_val: Any, qid_val: Any, ref_scores_val: Any, eval_set: Any, eval_qid: Any
) -> Validation:
    """Validation data under either of their names: X_val, y_val, qid_val, or eval_set and eval_qid."""
    if eval_set is None and eval_qid is None:
        return X_val, y_val, qid_val, ref_scores_val
    if any(value is not None for value in (X_val, y_val, qid_val)):
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
    return features, labels, ids, ref_scores_val


def _read_validation(
    estimator: BaseEstimator,
    X_val: Any,
    y_val: Any,
    qid_val: Any,
    ref_scores_val: Any,
    *,
    training: LabelledLists,
    keeps_frame: bool,
) -> LabelledLists | None:
    """Check validation data against the training data; None where there are none."""
    names, n_rows = training.names, len(training.X)
    if X_val is None:
        if y_val is not None or qid_val is not None or ref_scores_val is not None:
            raise ValueError("y_val, qid_val or ref_scores_val were given without X_val.")
        return None
    if y_val is None:
        raise ValueError("X_val was given without y_val: pass both, or neither.")
    if training.lists.n_lists > 1 and split_qid(X_val, qid_val, name="X_val")[1] is None:
        raise ValueError(
            "X_val was given without query ids, but X has them: pass qid_val=, or a frame with a column "
            "'qid'. If all its rows are documents of one query: qid_val=np.zeros(len(X_val))."
        )
    data = read_labelled(
        estimator,
        X_val,
        y_val,
        qid_val,
        reset=False,
        objectives=names if has_names(y_val) else None,
        ref_scores=ref_scores_val,
        suffix="_val",
        keeps_frame=keeps_frame,
    )
    if data.Y.shape[1] != len(names):
        raise ValueError(f"y_val has {data.Y.shape[1]} objectives, but y has {len(names)}: {list(names)}.")
    nothing = [name for name, labels in zip(names, data.Y.T, strict=True) if not (labels > 0).any()]
    if len(nothing) == len(names):
        raise ValueError("y_val has no label above 0 in any objective: nothing to stop by can be measured.")
    if nothing:
        warnings.warn(
            f"y_val has no label above 0 in {nothing}: the other objectives alone say when to stop.",
            UserWarning,
            stacklevel=5,
        )
    if n_again := _n_trained_on(data, training):
        warnings.warn(
            f"{n_again:,} of the {data.lists.n_lists:,} queries of X_val are in X, with the same rows: "
            "queries that a model was trained on do not say when to stop. Hold others out.",
            UserWarning,
            stacklevel=5,
        )
    if len(data.X) == n_rows:
        warnings.warn(
            f"X_val has exactly as many rows as X ({n_rows}). If this fit is part of a scikit-learn search, "
            "the search cut X_val like the training rows and this is not what you passed: drop a row of it.",
            UserWarning,
            stacklevel=5,
        )
    return data


def _n_trained_on(validation: LabelledLists, training: LabelledLists) -> int:
    """Validation queries whose ids are those of training queries, if the first of them have the same rows."""
    import pandas as pd

    places = pd.Index(training.lists.ids).get_indexer(pd.Index(validation.lists.ids))
    again = np.flatnonzero(places >= 0)
    few = again[:FEW_LISTS]
    if not len(few):
        return 0
    theirs, ours = validation.take(few), training.take(places[few].astype(np.int64))
    same = np.array_equal(theirs.lists.sizes, ours.lists.sizes)
    return len(again) if same and np.array_equal(theirs.X, ours.X, equal_nan=True) else 0
