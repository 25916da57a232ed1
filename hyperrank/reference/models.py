"""Models as references, and fitting them: LightGBM, XGBoost, CatBoost, scikit-learn, anything alike."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from hyperrank.files import storable
from hyperrank.lists import QueryLists, within_list_deviations
from hyperrank.memmap import FeatureRows, MappedRows
from hyperrank.reference.base import Reference

__all__ = ["MixedModelsReference", "ModelReference", "fit_models", "fitted_model", "is_fitted", "take_rows"]

#: Rows of a file that a model scores at a time.
ROWS_AT_ONCE = 1 << 16


@storable
class ModelReference(Reference):
    """A fitted model with ``predict``: LightGBM, XGBoost, CatBoost, scikit-learn, or anything alike.

    Parameters
    ----------
    model : object
        ``model.predict(X)`` gives one score per row for the features as the caller has them.
    """

    def __init__(self, model: Any) -> None:
        self.model = model

    def parts(self, X: FeatureRows, lists: QueryLists, frame: Any, ref_scores: Any) -> NDArray[np.float64]:
        """The model's predictions, shape (n, 1)."""
        scores = np.concatenate(
            [np.asarray(self.model.predict(part)) for part in _parts(frame)], dtype=np.float64
        )
        if scores.ndim == 2 and scores.shape[1] == 1:
            scores = scores[:, 0]
        if scores.shape != (len(X),) or not np.isfinite(scores).all():
            raise ValueError(
                f"the reference {type(self.model).__name__}.predict gave shape {scores.shape}; "
                f"wanted ({len(X)},), one finite score per row."
            )
        return lists.group(scores)[:, None]


@storable
class MixedModelsReference(Reference):
    """Fitted models with ``predict``, one per objective, their scores brought to a common scale.

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

    def only(self, which: NDArray[np.int64]) -> MixedModelsReference:
        """The models of some objectives; the first of them stands for the reference ranker."""
        return MixedModelsReference([self.models[j] for j in which], self.scales[which], 0)

    def parts(self, X: FeatureRows, lists: QueryLists, frame: Any, ref_scores: Any) -> NDArray[np.float64]:
        """Standardised predictions of each model, shape (n, m)."""
        parts = [ModelReference(model).parts(X, lists, frame, None) for model in self.models]
        return np.column_stack(parts) / self.scales


def fit_models(
    model: Any,
    X: FeatureRows,
    Y: NDArray[np.float32],
    lists: QueryLists,
    *,
    frame: Any,
    main: int,
) -> MixedModelsReference:
    """Fit a copy of an estimator to each objective.

    Parameters
    ----------
    model : estimator
        With ``fit`` and ``predict``; queries are passed to it as it wants them, if it does.
    X, Y, lists, frame, main
        As for `fit_reference`.

    Returns
    -------
    MixedModelsReference

    Raises
    ------
    ValueError
        If an objective has no label at all.
    """
    unlabelled = np.flatnonzero(np.isnan(Y).all(axis=0)).tolist()
    if unlabelled:
        raise ValueError(f"objectives in columns {unlabelled} of y have no label: every entry is NaN.")
    models = [_fit_model(model, frame, labels, lists) for labels in Y.T]
    own = MixedModelsReference(models, np.ones(len(models)), main).parts(X, lists, frame, None)
    return MixedModelsReference(models, within_list_deviations(own, lists), main)


def take_rows(frame: Any, rows: NDArray[np.int64]) -> Any:
    """Rows of an array, sparse matrix or frame; of anything else that can be made an array.

    Parameters
    ----------
    frame : object
        Features as a caller gave them.
    rows : ndarray of shape (k,), int64
        Positions.

    Returns
    -------
    object
        Of the same kind.
    """
    if isinstance(frame, MappedRows):
        return frame.take(rows)
    if hasattr(frame, "iloc"):
        return frame.iloc[rows]
    if hasattr(frame, "tocsr"):  # some sparse formats have no rows
        return frame.tocsr()[rows]
    return (frame if hasattr(frame, "shape") else np.asarray(frame))[rows]


def _parts(frame: Any) -> Iterator[Any]:
    """Features as models take them: at once, or of rows in a file some at a time."""
    if not isinstance(frame, MappedRows):
        yield _for_models(frame)
        return
    yield from frame.parts(ROWS_AT_ONCE)


def _for_models(frame: Any) -> Any:
    """Features in a form that all models take: of sparse formats LightGBM knows two alone."""
    if hasattr(frame, "tocsr"):
        return csr_matrix(frame)
    return frame if hasattr(frame, "shape") else np.asarray(frame)


def fitted_model(model: Any, frame: Any, labels: NDArray[np.float32], lists: QueryLists) -> Any:
    """The model itself where it is fitted, or else a copy of it fitted to the labels of grouped rows."""
    return model if is_fitted(model) else _fit_model(model, frame, labels, lists)


def is_fitted(model: Any) -> bool:
    """Whether a model is fitted; one that scikit-learn cannot tell of is taken at its word."""
    if not hasattr(model, "fit") or not hasattr(model, "get_params"):
        return True
    try:
        check_is_fitted(model)
    except NotFittedError:
        return False
    except TypeError:
        return True
    return True


def _fit_model(model: Any, frame: Any, labels: NDArray[np.float32], lists: QueryLists) -> Any:
    """Fit a copy of an estimator to one objective, its queries passed as it wants them."""
    rows = lists.order[~np.isnan(labels)]
    labels = labels[~np.isnan(labels)]
    known = QueryLists.from_qid(lists.qid[rows])
    chosen = take_rows(_for_models(frame), rows)
    if isinstance(chosen, MappedRows):
        chosen = np.asarray(chosen)  # models of any library fit what they can compute with
    fit: Callable[..., Any] = clone(model).fit
    accepted = inspect.signature(fit).parameters
    if "qid" in accepted:
        return fit(chosen, labels, qid=known.index)
    if "group_id" in accepted:
        return fit(chosen, labels, group_id=known.index)
    if "group" in accepted:
        return fit(chosen, labels, group=known.sizes)
    return fit(chosen, labels)
