"""Models with ``predict`` as references: LightGBM, XGBoost, CatBoost, scikit-learn, or anything alike."""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from hyperrank._categories import as_pandas_categories, check_kind
from hyperrank._columns import as_numbers, take_columns
from hyperrank.boosters import MAX_LIST, BoosterSet, BoosterTextError, model_text
from hyperrank.files import storable
from hyperrank.lists import QueryLists, within_list_deviations
from hyperrank.memmap import MappedRows, take_rows
from hyperrank.reference.base import GroupedRows, Reference, ReferenceData

#: Names that libraries make up for the columns of arrays.
MADE_UP = re.compile(r"(Column_|f)?\d+")
#: Names that an error lists at most.
MOST_LISTED = 5


def columns_of_model(model: Any, frame: Any, role: str = "reference") -> NDArray[np.int64] | None:
    """Positions among the features of the columns that a fitted model takes, in its order.

    None where all columns are taken as they are; a ValueError, which calls the model by its `role`, where
    some are lacking.
    """
    names, expected = names_of_frame(frame), _names_of_model(model)
    if names is not None and expected is not None:
        by_name = _by_name(names, expected, role)
        if by_name is not None:
            return None if by_name == list(range(len(names))) else np.array(by_name, dtype=np.int64)
        if not all(MADE_UP.fullmatch(name) for name in expected):
            known = set(names) | {_in_lightgbm(name) for name in names}
            missing = [name for name in expected if name not in known]
            raise ValueError(
                f"the {role} {type(model).__name__} was fitted on columns that X lacks: "
                f"{listed(missing)}. X has {listed(names)}."
            )
    width: Any = getattr(model, "n_features_in_", None)
    shape: Sequence[int] = getattr(frame, "shape", ())
    if width is None and callable(getattr(model, "num_feature", None)):
        width = model.num_feature()
    if width is not None and len(shape) == 2 and width != shape[1]:
        raise ValueError(
            f"the {role} {type(model).__name__} was fitted on {width} features, and X has {shape[1]}: "
            f"where both have names of columns, as frames do, those of the {role} are found by name."
        )
    return None


def _by_name(names: Sequence[str], expected: Sequence[str], role: str) -> list[int] | None:
    """Where each expected name stands; None where some stands nowhere, a ValueError for one twice there."""
    exact: dict[str, list[int]] = {}
    for position, name in enumerate(names):
        for known in {name, _in_lightgbm(name)}:
            exact.setdefault(known, []).append(position)
    if not all(name in exact for name in expected):
        return None
    twice = [name for name in expected if len(exact[name]) > 1]
    if twice:
        raise ValueError(f"X has several columns that the {role} may mean by {listed(twice)}.")
    return [exact[name][0] for name in expected]


def names_of_frame(frame: Any) -> list[str] | None:
    """Names of the columns of a frame or table; None of an array."""
    columns = getattr(frame, "column_names", getattr(frame, "columns", None))
    return None if columns is None else [str(name) for name in columns]


def _names_of_model(model: Any) -> list[str] | None:
    """Names of the columns that a model was fitted on, of LightGBM, XGBoost, CatBoost and scikit-learn."""
    names = getattr(getattr(model, "booster_", model), "feature_name", None)
    if callable(names):
        return [str(name) for name in names()]
    for attribute in ("feature_names_in_", "feature_names_", "feature_names"):
        names = getattr(model, attribute, None)
        if names is not None and not callable(names):
            return [str(name) for name in names]
    return None


def _in_lightgbm(name: str) -> str:
    """A name as LightGBM stores it."""
    return name.replace(" ", "_")


def listed(names: Sequence[str]) -> str:
    """The first names, as an error lists them."""
    more = f" and {len(names) - MOST_LISTED} more" if len(names) > MOST_LISTED else ""
    return ", ".join(map(repr, names[:MOST_LISTED])) + more


#: Rows of a file that a model scores at a time.
ROWS_AT_ONCE = 1 << 16


@storable
class ModelReference(Reference):
    """Fitted model with ``predict``, of LightGBM, XGBoost, CatBoost, scikit-learn or others.

    Parameters
    ----------
    model : object
        ``model.predict(X)`` gives one score per row for the features as the caller has them. A model whose
        ``predict`` has a parameter `qid`, such as a ranker of hyperrank, is given the query of each row.
    columns : ndarray of shape (k,), int64, optional
        Positions, among the features that the ranker was fitted on, of those that the model takes; all by
        default. Features with names are matched by name instead, wherever the model has names too.

    Raises
    ------
    ValueError
        Of `scores`: if the model was fitted on columns that the features lack, or gives anything other than
        one finite score per row.
    """

    #: What errors call it.
    role = "reference"

    def __init__(self, model: Any, columns: NDArray[np.int64] | None = None) -> None:
        self.model, self.columns = model, columns

    @classmethod
    def of(cls, model: Any, frame: Any) -> Self:
        """The reference of a fitted model, its columns found among those of the training features."""
        if hasattr(model, "predict_proba") and hasattr(model, "classes_"):
            kind = type(model).__name__
            warnings.warn(
                f"the {cls.role} {kind} is a classifier, whose predict gives classes: all documents of a "
                "class are tied. For scores, pass an object whose predict gives predict_proba(X)[:, 1], or "
                "fit a regressor or ranker.",
                UserWarning,
                stacklevel=2,
            )
        return cls(model, columns_of_model(model, frame, cls.role))

    def scores(self, rows: GroupedRows) -> NDArray[np.float64]:
        """The model's predictions, shape (n, 1)."""
        X, lists, frame = rows.X, rows.lists, rows.frame
        if self.knows_lists:
            features = np.asarray(frame) if isinstance(frame, MappedRows) else _for_models(frame)
            scores = self._predicted(features, qid=lists.index)
        elif frame is X and isinstance(X, np.ndarray) and self._trees is not None:
            scores = self._trees.scores(np.ascontiguousarray(self._features(X)))
        else:
            scores = np.concatenate([self._predicted(chunk) for chunk in _chunks(frame)])
        if scores.ndim == 2 and scores.shape[1] == 1:
            scores = scores[:, 0]
        kind = type(self.model).__name__
        if scores.shape != (len(X),):
            raise ValueError(
                f"the {self.role} {kind}.predict gave shape {scores.shape}; "
                f"expected ({len(X)},), one score per row."
            )
        return checked_scores(scores, lists, f"the {self.role} {kind}.predict")

    def _predicted(self, frame: Any, **options: Any) -> NDArray[np.float64]:
        """What the model predicts, as numbers."""
        predicted = self.model.predict(self._features(frame), **options)
        numbers = as_numbers(predicted, f"what the {self.role} {type(self.model).__name__}.predict gave")
        return np.atleast_1d(np.asarray(numbers, dtype=np.float64))

    @cached_property
    def _trees(self) -> BoosterSet | None:
        """What scores features in single precision to the same bits as a LightGBM model does, but faster."""
        text = model_text(self.model)
        try:
            return None if text is None else BoosterSet([text])
        except BoosterTextError:
            return None

    @property
    def knows_lists(self) -> bool:
        """Whether the model is told which rows are one query."""
        return "qid" in _parameters(self.model.predict)

    def _features(self, frame: Any) -> Any:
        """The features that the model takes."""
        columns = self.columns
        if columns is None or hasattr(frame, "columns"):
            columns = columns_of_model(self.model, frame, self.role)
        return _with_categories(
            self.model, self.role, frame if columns is None else take_columns(frame, columns)
        )


class ModelBaseline(ModelReference):
    """A fitted model that fronts are compared with."""

    role = "baseline"


def checked_scores(scores: NDArray[np.float64], lists: QueryLists, source: str) -> NDArray[np.float64]:
    """Scores of grouped rows as a column, or an error that names the row where one is not finite."""
    bad = np.flatnonzero(~np.isfinite(scores))
    if len(bad):
        raise ValueError(
            f"{source} gave {scores[bad[0]]} for row {lists.order[bad[0]]} of X, and {len(bad)} such scores "
            "in all; expected finite ones."
        )
    return scores[:, None]


@storable
class MixedModelsReference(Reference):
    """Fitted models with ``predict``, one per objective, with scores on a common scale.

    Parameters
    ----------
    models : sequence of object
        One per objective, as for `ModelReference`.
    scales : ndarray of shape (m,)
        What each model's scores are divided by.
    main : int
        The objective whose model is the reference ranker.
    """

    def __init__(self, models: Sequence[Any], scales: NDArray[np.float64], main: int) -> None:
        self.models, self.scales, self.main = list(models), scales, main

    def select(self, objectives: NDArray[np.int64]) -> MixedModelsReference:
        """The models of some objectives; the first of them stands for the reference ranker."""
        return MixedModelsReference([self.models[j] for j in objectives], self.scales[objectives], 0)

    @property
    def knows_lists(self) -> bool:
        """Whether a model is told which rows are one query."""
        return any(ModelReference(model).knows_lists for model in self.models)

    def scores(self, rows: GroupedRows) -> NDArray[np.float64]:
        """Standardised predictions of each model, shape (n, m)."""
        columns = [ModelReference(model).scores(rows) for model in self.models]
        return np.column_stack(columns) / self.scales


def fit_models(model: Any, data: ReferenceData) -> MixedModelsReference:
    """Fit a copy of an estimator to each objective; queries are passed as its ``fit`` takes them."""
    models = [fit_model(model, data.frame, labels, data.lists) for labels in data.Y.T]
    fitted = MixedModelsReference(models, np.ones(len(models)), data.main)
    scores = fitted.scores(data)
    fitted.scales = within_list_deviations(scores, data.lists)
    return fitted


def _chunks(frame: Any) -> Iterator[Any]:
    """Features as models take them: at once, or of rows in a file some at a time."""
    if not isinstance(frame, MappedRows):
        yield _for_models(frame)
        return
    yield from frame.chunks(ROWS_AT_ONCE)


def _parameters(function: Callable[..., Any]) -> Iterable[str]:
    """Names of a function's parameters; none of one written in C."""
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):
        return ()


def _for_models(frame: Any) -> Any:
    """Features in a form that all models take: of sparse formats LightGBM knows two alone."""
    if hasattr(frame, "tocsr"):
        return csr_matrix(frame)
    return frame if hasattr(frame, "shape") else np.asarray(frame)


def _with_categories(model: Any, role: str, frame: Any) -> Any:
    """Features as a LightGBM model that was fitted on pandas categories takes them: by value."""
    categories = getattr(getattr(model, "booster_", model), "pandas_categorical", None)
    if not categories:
        return frame
    n_categorical = 0
    if hasattr(frame, "iloc") or hasattr(frame, "with_columns"):
        frame = as_pandas_categories(frame)
        n_categorical = sum(str(dtype) == "category" for dtype in frame.dtypes)
    if n_categorical != len(categories):
        given = f"{n_categorical} such columns" if hasattr(frame, "iloc") else f"a {type(frame).__name__}"
        raise ValueError(
            f"the {role} {type(model).__name__} was fitted on a pandas frame with {len(categories)} "
            f"column(s) of dtype category, which it knows by numbers of its own; got {given}. Pass a frame "
            "with the same columns as categories or text."
        )
    columns = frame.select_dtypes("category")
    for (label, column), known in zip(columns.items(), categories, strict=True):
        check_kind(column.cat.categories, known, f"the {role} {type(model).__name__}: column {label!r}")
    return frame


def is_fitted(model: Any) -> bool:
    """Whether a model is fitted; one that scikit-learn cannot tell of is taken at its word."""
    if isinstance(model, type):
        raise ValueError(
            f"{model.__name__} is a class; expected a fitted model, {model.__name__}().fit(...)."
        )
    if not hasattr(model, "fit") or not hasattr(model, "get_params"):
        return True
    try:
        check_is_fitted(model)
    except NotFittedError:
        return False
    except TypeError:
        return True
    return True


def fit_model(model: Any, frame: Any, labels: NDArray[np.float32], lists: QueryLists) -> Any:
    """Fit a copy of an estimator to one objective, its queries passed as it takes them."""
    rows = np.flatnonzero(~np.isnan(labels))
    labels, labelled = labels[rows], QueryLists.from_qid(lists.index[rows])
    features = take_rows(_for_models(frame), rows)
    if isinstance(features, MappedRows):
        features = np.asarray(features)  # models of any library fit what they can compute with
    _check_longest(model, labelled)
    fit: Callable[..., Any] = clone(model).fit
    accepted = inspect.signature(fit).parameters
    for name, queries in (("qid", labelled.index), ("group_id", labelled.index), ("group", labelled.sizes)):
        if name in accepted:
            return fit(features, labels, **{name: queries})
    return fit(features, labels)


def _check_longest(model: Any, lists: QueryLists) -> None:
    """Refuse a list that LightGBM refuses, with the way out."""
    if type(model).__name__ != "LGBMRanker" or lists.sizes.max(initial=0) <= MAX_LIST:
        return
    longest = int(lists.sizes.argmax())
    raise ValueError(
        f"LGBMRanker takes at most {MAX_LIST:,} rows per query; query number {longest} has "
        f"{lists.sizes[longest]:,}. reference='lightgbm' splits longer ones at random; without qid all rows "
        "are one query."
    )
