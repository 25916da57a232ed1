"""Whole lists picked at random, up to a number of rows: enough to learn or to estimate from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["labelled_lists", "some_lists"]


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
