"""Trade-offs at which every method is profiled."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from hyperrank.simplex import corners, lattice_near

__all__ = ["N_WEIGHTS", "SUITE_WEIGHTS", "edges", "trade_offs"]

#: Number of trade-offs: with three objectives, the lattice of steps 1/5.
N_WEIGHTS = 21
#: In the suite of all settings, where methods of one model per weight would take most of the time.
SUITE_WEIGHTS = 10
#: Where points are added between the centre (0) and the corners (1), should the lattice have too few.
RINGS = (1 / 2, 1 / 4, 3 / 4)
#: Steps along an edge of the simplex, for methods that hold every trade-off.
EDGE_STEPS = 10


def trade_offs(n_objectives: int, n_weights: int = N_WEIGHTS) -> NDArray[np.float64]:
    """Weights for all methods: the even lattice, with points inside where it has fewer than `n_weights`.

    The next finer lattice of 4 or 5 objectives has 35 points, and the one that fits (20 and 15 points) has
    none inside the simplex. The centre, and then points between it and the corners, fill it up: to 21 in
    both cases.

    Parameters
    ----------
    n_objectives : int
    n_weights : int, default 21
        Number of weights; exceeded only if there are more corners.

    Returns
    -------
    ndarray of shape (k, n_objectives)
        The corners among them.

    Examples
    --------
    >>> [len(trade_offs(m)) for m in (2, 3, 4, 5, 6)]
    [21, 21, 21, 21, 21]
    """
    weights = lattice_near(n_objectives, n_weights)
    centre = np.full((1, n_objectives), 1 / n_objectives)
    added = [centre, *(ring * corners(n_objectives) + (1 - ring) * centre for ring in RINGS)]
    for points in added:
        if n_objectives > 2 and len(weights) < n_weights:
            weights = np.concatenate([weights, points])
    return weights


def edges(n_objectives: int) -> list[tuple[int, int, NDArray[np.float64]]]:
    """Weights along each edge of the simplex, from all weight on objective j to all on objective i.

    Returns
    -------
    list of (i, j, ndarray of shape (11, n_objectives))
    """
    share = np.linspace(0, 1, EDGE_STEPS + 1)
    found = []
    for i, j in combinations(range(n_objectives), 2):
        weights = np.zeros((len(share), n_objectives))
        weights[:, i], weights[:, j] = share, 1 - share
        found.append((i, j, weights))
    return found
