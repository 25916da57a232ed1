"""Rankers that know the temperature they are served at: the range, and the reference that training sees."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hyperrank.lists import QueryLists
from hyperrank.rankers.inputs import LabelledLists
from hyperrank.reference import is_fitted_here

if TYPE_CHECKING:
    from hyperrank.rankers.dpo.data import CheckedFit
    from hyperrank.reference import Reference

__all__ = [
    "anchor_parts",
]


#: Shares of the queries that a reference is fitted without, to be asked about them.
N_FOLDS = 4
#: Reference scores this far below the best of their list, in units of reward, are told apart no further:
#: exponentials of them vanish at any temperature.
FARTHEST = 1e4


def anchor_parts(
    checked: CheckedFit, reference: Reference, pull: float, *, wanted: Any, is_unseen: bool
) -> NDArray[np.float32]:
    """Reference scores of the training rows as training may see them, in units of reward.

    A reference that is fitted here is fitted anew without each quarter of the queries and asked about
    them. One that came from elsewhere is asked as it is: it should not have seen these queries.

    Parameters
    ----------
    checked : CheckedFit
        What to train on, and how.
    reference : Reference
        Fitted on all training rows.
    pull : float
        What rewards are multiplied by before they are added to its scores.
    wanted : object
        The option that the reference was made of.
    is_unseen : bool
        Whether the training rows are new to the reference.

    Returns
    -------
    ndarray of shape (n, 1) or (n, m)
        The best of each list is 0; 0 too where a part of the queries lacks labels to fit a reference on.
    """
    training = checked.training
    if is_unseen or not is_fitted_here(wanted):
        parts = training.parts(reference)
    else:
        parts = _cross_fitted(checked, wanted)
    best = np.maximum.reduceat(parts, training.lists.offsets[:-1])
    below = (parts - best[training.lists.index]) / pull
    return np.maximum(below, -FARTHEST).astype(np.float32)


def _cross_fitted(checked: CheckedFit, wanted: Any) -> NDArray[np.float64]:
    training, weight = checked.training, checked.list_weight
    rng = np.random.default_rng([checked.plan.seed, 2])
    fold = rng.permutation(training.lists.n_lists) % N_FOLDS
    found: dict[int, NDArray[np.float64]] = {}
    for number in np.unique(fold).tolist():
        seen = np.flatnonzero(fold != number)
        counts = None if weight is None else weight[seen]
        if _can_be_learnt(training, seen if counts is None else seen[counts > 0]):
            part = training.take(seen)
            fitted = replace(checked, training=part, list_weight=counts).fit_reference(wanted)
            found[number] = training.take(np.flatnonzero(fold == number)).parts(fitted)
    width = max((scores.shape[1] for scores in found.values()), default=1)
    parts = np.zeros((len(training.X), width))
    for number, scores in found.items():
        parts[_rows_of(training.lists, fold == number)] = scores
    return parts


def _can_be_learnt(data: LabelledLists, lists: NDArray[np.int64]) -> bool:
    """Whether some lists have a label for every objective."""
    rows = _rows_of(data.lists, np.isin(np.arange(data.lists.n_lists), lists))
    return bool((~np.isnan(data.Y[rows])).any(axis=0).all())


def _rows_of(lists: QueryLists, chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.asarray(chosen[lists.index])
