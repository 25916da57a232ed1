"""Boosters on a mix of objectives: of their lambdarank gradients, or of their grades."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hyperrank.booster_search import BoosterSearch, search_booster_params
from hyperrank.boosters import BOOSTER_PARAMS, MAX_GRADE, booster_grades, fit_booster, in_threads
from hyperrank.lists import QueryLists
from hyperrank.simplex import corners

if TYPE_CHECKING:
    import lightgbm

__all__ = ["MIXINGS", "fit_mixed_boosters", "search_mixed_boosters"]

#: What can be mixed.
MIXINGS = ("gradients", "labels")

#: LightGBM's parameters that count rows, and what they are unless the caller says otherwise.
ROWS_AT_LEAST = {"min_data_in_leaf": BOOSTER_PARAMS["min_data_in_leaf"], "min_data_in_bin": 3}


def fit_mixed_boosters(
    X: NDArray[np.float32],
    Y: NDArray[np.float32],
    lists: QueryLists,
    *,
    weights: NDArray[np.float64],
    mixing: str,
    n_jobs: int | None = None,
    **options: Any,
) -> list[lightgbm.Booster]:
    """Fit one booster per weight vector, several at once.

    Parameters
    ----------
    X, Y, lists
        Grouped training rows; NaN labels are unobserved.
    weights : ndarray of shape (k, m)
        What to mix the objectives by.
    mixing : {"gradients", "labels"}
        What is mixed.
    n_jobs : int, optional
        Boosters grown at a time; all cores by default.
    **options
        ``params``, ``seed`` and ``list_weight`` of `hyperrank.boosters.fit_booster`.

    Returns
    -------
    list of lightgbm.Booster

    Raises
    ------
    ValueError
        If an objective has no label at all.
    """
    unlabelled = np.flatnonzero(np.isnan(Y).all(axis=0)).tolist()
    if unlabelled:
        raise ValueError(f"objectives in columns {unlabelled} of y have no label: every entry is NaN.")
    grades = np.column_stack([_grades(labels) for labels in Y.T])
    fit = _fit_on_gradients if mixing == "gradients" else _fit_on_labels
    tasks = [partial(fit, X, grades, lists, mix, **options) for mix in weights]
    return in_threads(tasks, n_jobs, X)


def search_mixed_boosters(
    X: NDArray[np.float32],
    Y: NDArray[np.float32],
    lists: QueryLists,
    *,
    mixing: str,
    seed: int = 0,
    **options: Any,
) -> BoosterSearch:
    """Search for parameters by the front of boosters at the corners and the centre.

    Parameters
    ----------
    X, Y, lists, mixing, seed
        As for `fit_mixed_boosters`.
    **options
        Of `hyperrank.booster_search.search_booster_params`.

    Returns
    -------
    BoosterSearch
    """
    m = Y.shape[1]
    probes = np.vstack([corners(m), np.full((1, m), 1 / m)]) if m > 1 else corners(1)

    def fit(X: Any, Y: Any, lists: QueryLists, list_weight: Any, params: Any) -> list[Any]:
        return fit_mixed_boosters(
            X,
            Y,
            lists,
            weights=probes,
            mixing=mixing,
            params=params,
            seed=seed,
            list_weight=list_weight,
            n_jobs=1,
        )

    return search_booster_params(X, Y, lists, fit=fit, mix=lambda scores, _: scores, seed=seed, **options)


def _fit_on_gradients(
    X: NDArray[np.float32],
    grades: NDArray[np.float64],
    lists: QueryLists,
    mix: NDArray[np.float64],
    *,
    params: Mapping[str, Any] | None = None,
    list_weight: NDArray[Any] | None = None,
    **options: Any,
) -> lightgbm.Booster:
    """Fit to every query once per objective, each copy weighted by the mix.

    All copies of a document fall into the same leaves, so that there their gradients add up to the mix.
    """
    used = np.flatnonzero(mix > 0)
    settings = dict(params or {})
    # Leaves and bins are to hold as many documents as they would without copies.
    for name, default in ROWS_AT_LEAST.items():
        settings[name] = int(settings.get(name, default)) * len(used)
    share = np.ones(lists.n_lists) if list_weight is None else list_weight
    return fit_booster(
        np.tile(X, (len(used), 1)),
        grades[:, used].T.ravel(),
        QueryLists.from_sizes(np.tile(lists.sizes, len(used))),
        params=settings,
        list_weight=np.outer(mix[used], share).ravel(),
        **options,
    )


def _fit_on_labels(
    X: NDArray[np.float32],
    grades: NDArray[np.float64],
    lists: QueryLists,
    mix: NDArray[np.float64],
    *,
    params: Mapping[str, Any] | None = None,
    **options: Any,
) -> lightgbm.Booster:
    """Fit to weighted means of the observed grades, in steps fine enough to use LightGBM's 32 grades.

    A step's gain is 2 to the mean grade, less 1: at a corner exactly that of the objective's own grades.
    """
    steps = max(1, MAX_GRADE // max(1, int(np.nanmax(grades))))
    gains = np.exp2(np.arange(MAX_GRADE + 1) / steps) - 1
    known = ~np.isnan(grades)
    total = known @ mix
    mean = np.where(known, grades, 0.0) @ mix / np.where(total > 0, total, np.nan)
    settings = {"label_gain": gains.tolist(), **(params or {})}
    return fit_booster(X, np.rint(mean * steps), lists, params=settings, **options)


def _grades(labels: NDArray[np.float32]) -> NDArray[np.float64]:
    """Labels as grades that LightGBM takes, NaN where unobserved."""
    grades = np.full(len(labels), np.nan)
    known = ~np.isnan(labels)
    grades[known] = booster_grades(labels[known])
    return grades
