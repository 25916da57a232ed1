"""Orders in which the values of a feature are given to other documents."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hyperrank.lists import QueryLists

__all__ = ["WITHIN", "check_within", "permutations"]

#: Among which documents values are exchanged.
WITHIN = ("query", "all")


def check_within(within: str) -> str:
    """Refuse anything but the name of a way to permute."""
    if within not in WITHIN:
        raise ValueError(f"within must be one of {', '.join(map(repr, WITHIN))}; got {within!r}.")
    return within


def permutations(lists: QueryLists, n_repeats: int, *, within: str, seed: int) -> Iterator[NDArray[np.int64]]:
    """Orders of grouped rows, one per repeat.

    Parameters
    ----------
    lists : QueryLists
        Of grouped rows.
    n_repeats : int
    within : {"query", "all"}
        Whether values stay within their query, or go to any row. ``"all"`` draws as
        ``sklearn.inspection.permutation_importance`` does, which shuffles on from repeat to repeat.
    seed : int

    Yields
    ------
    ndarray of shape (n,), int64
        Row i gets the value of row ``order[i]``.

    Examples
    --------
    >>> lists = QueryLists.from_sizes([2, 3])
    >>> [sorted(order[:2].tolist()) for order in permutations(lists, 2, within="query", seed=0)]
    [[0, 1], [0, 1]]
    """
    if check_within(within) == "all":
        state = np.random.RandomState(seed)
        order = np.arange(lists.n_rows, dtype=np.int64)
        placed = order.copy()
        for _ in range(n_repeats):
            state.shuffle(order)
            placed = placed[order]
            yield placed
        return
    rng = np.random.default_rng(seed)
    for _ in range(n_repeats):
        # Sorted by query first and by chance second: rows of a query change places among themselves.
        yield np.lexsort((rng.random(lists.n_rows), lists.index)).astype(np.int64)
