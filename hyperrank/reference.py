"""What may stand as a reference ranker, and the scores it gives."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from hyperrank.boosters import booster_from_text, booster_scores, booster_text, fit_boosters
from hyperrank.lists import QueryLists, within_list_deviation

__all__ = [
    "REFERENCES",
    "BoosterReference",
    "MixedModelsReference",
    "ModelReference",
    "NoReference",
    "Reference",
    "ScoresReference",
    "SummedReference",
    "check_reference",
    "fit_models",
    "fit_reference",
    "take_rows",
]

#: References that are named; anything else must be a model with ``predict``.
REFERENCES = ("booster_pairs", "boosters", "lightgbm", "scores")


class Reference:
    """A ranker that stands before ours: its scores are what ours is measured against and added to.

    A reference either gives one score per document, the same for every trade-off, or one per document and
    objective, which the trade-off's weights mix: the front that mixing the scores of several models gives.
    """

    #: The objective whose score stands for the reference ranker itself; None where there is one score.
    main: int | None = None
    #: Whether the caller must pass ``ref_scores``.
    needs_scores = False

    def parts(self, X: NDArray[np.float32], frame: Any, ref_scores: Any) -> NDArray[np.float64]:
        """Scores of shape (n, 1), or (n, m) to be mixed by weights, in the caller's order.

        Parameters
        ----------
        X : ndarray of shape (n, d), float32
            Checked features.
        frame : object
            The features as the caller gave them.
        ref_scores : ndarray of shape (n,) or None
            Scores that the caller gave.
        """
        raise NotImplementedError

    @staticmethod
    def mix(parts: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scores under k weights of shape (k, m): (n, k), or (n, 1) where weights do not matter."""
        if parts.shape[1] == 1:
            return parts
        # Term by term: a matrix product rounds otherwise for one row than for many.
        mixed = np.zeros((len(parts), len(weights)))
        for part, weight in zip(parts.T, weights.T, strict=True):
            mixed += part[:, None] * weight
        return mixed

    def own_scores(self, parts: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scores of the reference ranker itself, shape (n,)."""
        return parts[:, 0 if self.main is None else self.main]


class NoReference(Reference):
    """No reference: all scores 0."""

    def parts(self, X: NDArray[np.float32], frame: Any, ref_scores: Any) -> NDArray[np.float64]:
        """Zeros of shape (n, 1)."""
        return np.zeros((len(X), 1))


class ScoresReference(Reference):
    """A column of scores that the caller passes wherever features are passed."""

    needs_scores = True

    def parts(self, X: NDArray[np.float32], frame: Any, ref_scores: Any) -> NDArray[np.float64]:
        """The caller's scores, shape (n, 1)."""
        return np.asarray(ref_scores, dtype=np.float64)[:, None]


class ModelReference(Reference):
    """A fitted model with ``predict``: LightGBM, XGBoost, CatBoost, scikit-learn, or anything alike.

    Parameters
    ----------
    model : object
        ``model.predict(X)`` gives one score per row for the features as the caller has them.
    """

    def __init__(self, model: Any) -> None:
        self.model = model

    def parts(self, X: NDArray[np.float32], frame: Any, ref_scores: Any) -> NDArray[np.float64]:
        """The model's predictions, shape (n, 1)."""
        scores = np.asarray(self.model.predict(_for_models(frame)), dtype=np.float64)
        if scores.ndim == 2 and scores.shape[1] == 1:
            scores = scores[:, 0]
        if scores.shape != (len(X),) or not np.isfinite(scores).all():
            raise ValueError(
                f"the reference {type(self.model).__name__}.predict gave shape {scores.shape}; "
                f"wanted ({len(X)},), one finite score per row."
            )
        return scores[:, None]


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

    def parts(self, X: NDArray[np.float32], frame: Any, ref_scores: Any) -> NDArray[np.float64]:
        """Standardised predictions of each model, shape (n, m)."""
        parts = [ModelReference(model).parts(X, frame, None) for model in self.models]
        return np.column_stack(parts) / self.scales


class BoosterReference(Reference):
    """LightGBM rankers fitted here, their scores brought to a common scale.

    Parameters
    ----------
    boosters : sequence of lightgbm.Booster
        One, or one per objective.
    scales : ndarray of shape (len(boosters),)
        What each booster's scores are divided by.
    main : int or None
        The objective whose booster is the reference ranker; None for a single booster.
    """

    def __init__(self, boosters: Sequence[Any], scales: NDArray[np.float64], main: int | None) -> None:
        self.boosters, self.scales, self.main = list(boosters), scales, main

    def __getstate__(self) -> dict[str, Any]:
        texts = [booster_text(booster) for booster in self.boosters]
        return {"boosters": texts, "scales": self.scales, "main": self.main}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.boosters = [booster_from_text(text) for text in state["boosters"]]
        self.scales, self.main = state["scales"], state["main"]

    def parts(self, X: NDArray[np.float32], frame: Any, ref_scores: Any) -> NDArray[np.float64]:
        """Standardised scores of each booster, shape (n, 1) or (n, m)."""
        return np.column_stack([booster_scores(b, X) for b in self.boosters]) / self.scales


class SummedReference(Reference):
    """Several references that are mixed by weights, their scores added objective by objective.

    Parameters
    ----------
    members : sequence of Reference
        Each with one score per objective, on a common scale.
    scales : ndarray of shape (m,)
        What the sums are divided by.
    main : int
        The objective whose sum is the reference ranker.
    """

    def __init__(self, members: Sequence[Reference], scales: NDArray[np.float64], main: int) -> None:
        self.members, self.scales, self.main = list(members), scales, main

    def parts(self, X: NDArray[np.float32], frame: Any, ref_scores: Any) -> NDArray[np.float64]:
        """Standardised sums of the members' scores, shape (n, m)."""
        total = self.members[0].parts(X, frame, ref_scores)
        for member in self.members[1:]:
            total = total + member.parts(X, frame, ref_scores)
        return total / self.scales


def check_reference(reference: Any) -> bool:
    """Check that something can stand as a reference, and say whether it needs ``ref_scores``.

    Raises
    ------
    ValueError
        If it is none of the known kinds.
    """
    named = isinstance(reference, str)
    fits = reference in REFERENCES if named else callable(getattr(reference, "predict", None))
    if reference is not None and not fits:
        given = repr(reference) if named else type(reference).__name__
        raise ValueError(
            f"reference must be None, one of {REFERENCES}, or a model with predict; got {given}."
        )
    return named and reference == "scores"


def fit_reference(
    reference: Any,
    X: NDArray[np.float32],
    Y: NDArray[np.float32],
    lists: QueryLists,
    *,
    frame: Any,
    main: int,
    params: Mapping[str, Any] | None = None,
    seed: int = 0,
    list_weight: NDArray[Any] | None = None,
    n_jobs: int | None = None,
) -> Reference:
    """Make a reference of what the user named.

    Parameters
    ----------
    reference : None, "boosters", "lightgbm", "scores" or model
        As `HyperDPORanker` documents it.
    X, Y, lists
        Grouped training rows.
    frame : object
        The training features as the caller gave them, in the caller's order.
    main : int
        The objective that a reference fitted here is fitted to.
    params, seed, list_weight, n_jobs
        Of the boosters.

    Returns
    -------
    Reference

    Raises
    ------
    ValueError
        If the reference is none of the known kinds.
    """
    check_reference(reference)
    if reference is None:
        return NoReference()
    if isinstance(reference, str):
        if reference == "scores":
            return ScoresReference()
        objectives = [main] if reference == "lightgbm" else list(range(Y.shape[1]))
        options = {"seed": seed, "list_weight": list_weight, "n_jobs": n_jobs}
        ranking = _fit_boosters(X, Y, lists, objectives, main, params=params, **options)
        if reference != "booster_pairs":
            return ranking
        on_grades = {**(params or {}), "objective": "regression"}
        regression = _fit_boosters(X, Y, lists, objectives, main, params=on_grades, **options)
        sums = ranking.parts(X, frame, None) + regression.parts(X, frame, None)
        return SummedReference([ranking, regression], _deviations(sums, lists), main)
    if _is_fitted(reference):
        return ModelReference(reference)
    return ModelReference(_fit_model(reference, frame, Y[:, main], lists))


def _fit_boosters(
    X: NDArray[np.float32],
    Y: NDArray[np.float32],
    lists: QueryLists,
    objectives: Sequence[int],
    main: int,
    **options: Any,
) -> BoosterReference:
    """One booster per objective."""
    boosters = fit_boosters(X, Y, lists, objectives=objectives, **options)
    scores = np.column_stack([booster_scores(booster, X) for booster in boosters])
    return BoosterReference(boosters, _deviations(scores, lists), None if len(objectives) == 1 else main)


def _deviations(scores: NDArray[np.float64], lists: QueryLists) -> NDArray[np.float64]:
    return np.array([within_list_deviation(column, lists) for column in scores.T])


def fit_models(
    model: Any,
    X: NDArray[np.float32],
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
    own = MixedModelsReference(models, np.ones(len(models)), main).parts(X, frame, None)
    return MixedModelsReference(models, _deviations(lists.group(own), lists), main)


def take_rows(frame: Any, rows: NDArray[np.int64]) -> Any:
    """Rows of an array, sparse matrix or frame; of anything else that can be made an array."""
    if hasattr(frame, "iloc"):
        return frame.iloc[rows]
    if hasattr(frame, "tocsr"):  # some sparse formats have no rows
        return frame.tocsr()[rows]
    return (frame if hasattr(frame, "shape") else np.asarray(frame))[rows]


def _for_models(frame: Any) -> Any:
    """Features in a form that all models take: of sparse formats LightGBM knows two alone."""
    if hasattr(frame, "tocsr"):
        return csr_matrix(frame)
    return frame if hasattr(frame, "shape") else np.asarray(frame)


def _is_fitted(model: Any) -> bool:
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
    fit: Callable[..., Any] = clone(model).fit
    accepted = inspect.signature(fit).parameters
    if "qid" in accepted:
        return fit(chosen, labels, qid=known.index)
    if "group_id" in accepted:
        return fit(chosen, labels, group_id=known.index)
    if "group" in accepted:
        return fit(chosen, labels, group=known.sizes)
    return fit(chosen, labels)
