"""From what the user named to a reference that is ready to score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperrank.boosters import Keep
from hyperrank.lists import QueryLists
from hyperrank.memmap import FeatureRows
from hyperrank.reference.base import NoReference, Reference, ScoresReference
from hyperrank.reference.boosters import fit_booster_pairs, fit_booster_reference
from hyperrank.reference.models import ModelReference, fitted_model, is_fitted

__all__ = ["REFERENCES", "check_reference", "fit_reference", "is_fitted_here", "is_grown"]

#: References that are named; anything else must be a model with ``predict``.
REFERENCES = ("booster_pairs", "boosters", "lightgbm", "scores")


def check_reference(reference: Any) -> bool:
    """Check that something can stand as a reference, and say whether it needs ``ref_scores``.

    Parameters
    ----------
    reference : object
        What the user gave.

    Returns
    -------
    bool
        Whether scores must be passed wherever features are.

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


def is_fitted_here(reference: Any) -> bool:
    """Whether `fit_reference` fits it, so that it can be fitted without some of the queries.

    Parameters
    ----------
    reference : object
        What the user gave.

    Returns
    -------
    bool
        False for fitted models, scores and none.
    """
    if isinstance(reference, str):
        return reference != "scores"
    return reference is not None and not is_fitted(reference)


def is_grown(reference: Any) -> bool:
    """Whether `fit_reference` grows boosters for it.

    Parameters
    ----------
    reference : object
        As for `fit_reference`.

    Returns
    -------
    bool
    """
    return isinstance(reference, str) and reference in ("booster_pairs", "boosters", "lightgbm")


def fit_reference(
    reference: Any,
    X: FeatureRows,
    Y: NDArray[np.float32],
    lists: QueryLists,
    *,
    frame: Any,
    main: int,
    params: Mapping[str, Any] | None = None,
    query_standardize: bool = False,
    seed: int = 0,
    list_weight: NDArray[Any] | None = None,
    n_jobs: int | None = None,
    keep: Keep | None = None,
) -> Reference:
    """Make a reference of what the user named.

    Parameters
    ----------
    reference : None, "booster_pairs", "boosters", "lightgbm", "scores" or model
        As `HyperDPORanker` documents it.
    X, Y, lists
        Grouped training rows.
    frame : object
        The training features as the caller gave them, in the caller's order.
    main : int
        The objective that a reference fitted here is fitted to.
    query_standardize : bool, default False
        Whether ranking boosters of all objectives see the features standardised within their list too.
    params, seed, list_weight, n_jobs, keep
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
    if not isinstance(reference, str):
        return ModelReference(fitted_model(reference, frame, Y[:, main], lists))
    if reference == "scores":
        return ScoresReference()
    options: dict[str, Any] = {
        "main": main,
        "params": params,
        "seed": seed,
        "list_weight": list_weight,
        "n_jobs": n_jobs,
        "keep": keep,
    }
    X = np.asarray(X)
    if reference == "lightgbm":
        return fit_booster_reference(X, Y, lists, objectives=[main], **options)
    if reference == "boosters":
        return fit_booster_reference(
            X, Y, lists, objectives=range(Y.shape[1]), query_standardize=query_standardize, **options
        )
    return fit_booster_pairs(X, Y, lists, query_standardize=query_standardize, **options)
