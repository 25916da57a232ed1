"""Which lists train, which stop the training, and how much each counts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperrank._checks import check_number
from hyperrank.boosters import Cached
from hyperrank.rankers.dpo.config import FitPlan, Trial
from hyperrank.rankers.inputs import (
    LabelledLists,
)
from hyperrank.reference import (
    Reference,
    ReferenceData,
    fit_reference,
    trains_boosters,
)

__all__ = ["DEVIATION_ROWS", "REFERENCE_ROWS", "CheckedFit", "hold_out", "labelled_lists", "some_lists"]

#: Rows, about, that boosters fitted here are grown on at most.
REFERENCE_ROWS = 1 << 20


#: Rows, about, that the reference's deviation is estimated from.
DEVIATION_ROWS = 1 << 18


@dataclass(frozen=True)
class CheckedFit:
    """What was passed to fit, checked, and options resolved: all that can be wrong has been found.

    Attributes
    ----------
    training : LabelledLists
        What to train on.
    held : LabelledLists or None
        What to stop training by.
    list_weight : ndarray of shape (n_lists,) or None
        How much each training list counts.
    main : int
        The objective that the reference is for.
    plan : FitPlan
        How to train.
    trial : Trial or None
        What a trial on held-out lists chose, the plan's options among it.
    """

    training: LabelledLists
    held: LabelledLists | None
    list_weight: NDArray[np.float64] | None
    main: int
    plan: FitPlan
    trial: Trial | None = None

    def fit_reference(self, wanted: Any, cached: Cached | None = None) -> Reference:
        """The reference that was asked for, fitted to the training lists, or of very many to some of them."""
        some = self.at_most(REFERENCE_ROWS) if trains_boosters(wanted) else self
        training = some.training
        data = ReferenceData(
            X=training.X,
            Y=training.Y,
            lists=training.lists,
            frame=training.frame,
            main=self.main,
            booster_params=self.plan.booster_params,
            query_standardize=self.plan.query_standardize,
            seed=self.plan.seed,
            list_weight=some.list_weight,
            n_jobs=self.plan.n_jobs,
            cached=cached,
        )
        return fit_reference(wanted, data)

    def at_most(self, n_rows: int) -> CheckedFit:
        """The same with training lists of about `n_rows` rows, in memory; itself if it has no more."""
        lists, rng = self.training.lists, np.random.default_rng([self.plan.seed, 3])
        weight = self.list_weight
        which = labelled_lists(self.training.Y, lists.offsets, n_rows, rng, list_weight=weight)
        return self if len(which) == lists.n_lists else self.of_lists(which)

    def of_lists(self, which: NDArray[np.int64]) -> CheckedFit:
        """The same with some of the training lists, in memory."""
        part = self.training.take(which)
        weight = None if self.list_weight is None else self.list_weight[which]
        return replace(self, training=replace(part, X=np.asarray(part.X)), list_weight=weight)


#: Lists from which on some are held out to stop training by, unless told otherwise. With fewer, not to see
#: them costs more than a noisy validation front gains: on MQ2008's 627 training queries 0.6% of hypervolume.
MIN_LISTS_TO_HOLD_OUT = 1000


def hold_out(
    estimator: Any, data: LabelledLists, given: LabelledLists | None, *, rng: np.random.Generator
) -> tuple[LabelledLists | None, NDArray[np.int64]]:
    """Decide by ``early_stopping`` what training is stopped by.

    Parameters
    ----------
    estimator : HyperDPORanker or LinearScalarizationRanker
        Whose ``early_stopping`` and ``validation_fraction`` are read.
    data : LabelledLists
        All rows given to fit.
    given : LabelledLists or None
        Validation data of the caller's.
    rng : numpy.random.Generator
        Picks lists to hold out.

    Returns
    -------
    held : LabelledLists or None
        What to stop by.
    kept : ndarray of int64
        Numbers of the lists to train on.

    Raises
    ------
    ValueError
        If an option is unknown, or there is too little to hold out.
    """
    wanted = estimator.early_stopping
    if wanted not in (True, False, "auto"):
        raise ValueError(f"early_stopping must be True, False or 'auto'; got {wanted!r}.")
    n_lists = data.lists.n_lists
    everything = np.arange(n_lists, dtype=np.int64)
    share = check_number("validation_fraction", estimator.validation_fraction, above=0, below=1)
    if wanted is False or given is not None:
        return (given if wanted is not False else None), everything
    if wanted == "auto" and n_lists < MIN_LISTS_TO_HOLD_OUT:
        return None, everything
    if n_lists < 2:
        raise ValueError(
            "early_stopping=True needs X_val, or at least 2 queries to hold one out; "
            f"qid names {n_lists}, of {data.lists.n_rows} sample(s)."
        )
    shuffled = rng.permutation(n_lists).astype(np.int64)
    # For each objective the last list with a label stays, so that there is something to learn it from.
    observed = np.logical_or.reduceat(~np.isnan(data.Y), data.lists.offsets[:-1], axis=0)[shuffled]
    spare = np.delete(shuffled, n_lists - 1 - observed[::-1].argmax(axis=0))
    if len(spare) == 0:
        raise ValueError(
            "early_stopping=True needs X_val: y has no query that its objectives can do without."
        )
    held = spare[: max(1, round(share * n_lists))]
    return data.take(np.sort(held)), np.setdiff1d(everything, held)


def some_lists(
    sizes: NDArray[np.int64], n_rows: int, rng: np.random.Generator, *, n_lists: int | None = None
) -> NDArray[np.int64]:
    """Numbers of lists at random, in random order, that together have about `n_rows` rows.

    Parameters
    ----------
    sizes : ndarray of shape (q,), int64
        Rows of each list.
    n_rows : int
        Rows at most, unless the lists before one that does not fit have less than half as many: then it is
        taken too, for a few short lists do not stand for it.
    rng : numpy.random.Generator
    n_lists : int, optional
        Lists at most.

    Returns
    -------
    ndarray of int64

    Examples
    --------
    >>> import numpy as np
    >>> len(some_lists(np.full(100, 10), 250, np.random.default_rng(0)))
    25
    """
    order = rng.permutation(len(sizes)).astype(np.int64)[:n_lists]
    ends = np.cumsum(sizes[order])
    n_fit = int(np.searchsorted(ends, n_rows, side="right"))
    has_enough = n_fit > 0 and 2 * ends[n_fit - 1] >= n_rows
    return order[: n_fit if has_enough else n_fit + 1]


def labelled_lists(
    Y: NDArray[np.float32],
    offsets: NDArray[np.int64],
    n_rows: int,
    rng: np.random.Generator,
    *,
    list_weight: NDArray[np.float64] | None = None,
) -> NDArray[np.int64]:
    """The same in their own order, with labels of every objective that has any.

    Parameters
    ----------
    Y : ndarray of shape (n, m), float32
        Labels of grouped rows, NaN where unobserved.
    offsets : ndarray of shape (q + 1,), int64
        Where each list begins, and the end of the last.
    n_rows : int
        Rows at most, about; all lists if they have no more.
    rng : numpy.random.Generator
    list_weight : ndarray of shape (q,), optional
        How much each list counts; of many, those that count nothing are left out.

    Returns
    -------
    ndarray of int64
    """
    sizes = np.diff(offsets)
    if len(Y) <= n_rows:
        return np.arange(len(sizes), dtype=np.int64)
    counts = np.ones(len(sizes), dtype=bool)
    if list_weight is not None and list_weight.any():
        counts = list_weight > 0
    counting = np.flatnonzero(counts)
    chosen = counting[some_lists(sizes[counting], n_rows, rng)]
    observed = np.logical_or.reduceat(~np.isnan(Y), offsets[:-1], axis=0) & counts[:, None]
    for j in np.flatnonzero(~observed[chosen].any(axis=0)):
        known = np.flatnonzero(observed[:, j])
        if len(known):
            # An objective that few lists know would be missing from a sample of all.
            own = some_lists(sizes[known], n_rows // (2 * Y.shape[1]), rng)
            chosen = np.concatenate([chosen, known[own]])
    return np.unique(chosen)
