"""Selection of query lists: held out for early stopping, or sampled from large data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hyperrank.lists import QueryLists
from hyperrank.memmap import take_rows
from hyperrank.rankers.data import FitInputs, GroupedFeatures, LabelledLists
from hyperrank.rankers.dpo.config import FitConfig

#: Rows at most that feature importances are computed on.
FEW_ROWS = 256


def hold_out(inputs: FitInputs, config: FitConfig) -> FitInputs:
    """Separate the lists for early stopping from those to train on."""
    data = inputs.training
    if config.training.stopping is None:
        return replace(inputs, validation=None)
    if config.validation_fraction is None:
        return inputs
    n_lists = data.lists.n_lists
    shuffled = np.random.default_rng(config.seed).permutation(n_lists).astype(np.int64)
    # For each objective the last list with a label stays, so that there is something to learn it from.
    observed = np.logical_or.reduceat(~np.isnan(data.Y), data.lists.offsets[:-1], axis=0)[shuffled]
    spare = np.delete(shuffled, n_lists - 1 - observed[::-1].argmax(axis=0))
    if len(spare) == 0:
        raise ValueError(
            "early_stopping=True needs X_val: y has no query that its objectives can do without."
        )
    validation = np.sort(spare[: max(1, round(config.validation_fraction * n_lists))])
    training = np.setdiff1d(np.arange(n_lists, dtype=np.int64), validation)
    weight = None if inputs.list_weight is None else inputs.list_weight[training]
    return replace(inputs, training=data.take(training), validation=data.take(validation), list_weight=weight)


def sample_rows(inputs: FitInputs, n_rows: int, seed: int) -> FitInputs:
    """Training lists of about `n_rows` rows, in memory; the inputs themselves if they have no more."""
    lists = inputs.training.lists
    rng = np.random.default_rng([seed, 3])
    which = labelled_lists(inputs.training.Y, lists.offsets, n_rows, rng, list_weight=inputs.list_weight)
    return inputs if len(which) == lists.n_lists else inputs.take_into_memory(which)


def few_rows(data: LabelledLists, seed: int) -> GroupedFeatures:
    """Features of a few lists, in memory; the last of them may be cut."""
    which = some_lists(data.lists.sizes, FEW_ROWS, np.random.default_rng([seed, 4]))
    rows, lists = data.lists.take(which)
    rows, ends = rows[:FEW_ROWS], np.minimum(lists.offsets, FEW_ROWS)
    X = np.asarray(take_rows(data.X, rows))
    return GroupedFeatures(
        X,
        QueryLists.from_sizes(np.diff(ends)[np.diff(ends) > 0]),
        X if data.is_shared else take_rows(data.frame, rows),
        None if data.ref_scores is None else data.ref_scores[rows],
    )


def some_lists(
    sizes: NDArray[np.int64], n_rows: int, rng: np.random.Generator, *, n_lists: int | None = None
) -> NDArray[np.int64]:
    """Numbers of lists at random, in random order, that together have about `n_rows` rows."""
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
    """The same in their own order, with labels of every objective that has any."""
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
            extra = some_lists(sizes[known], n_rows // (2 * Y.shape[1]), rng)
            chosen = np.concatenate([chosen, known[extra]])
    return np.unique(chosen)
