"""What rankers that hold some weights alone make of others."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

__all__ = ["OFF_GRID", "check_off_grid", "interpolation_shares"]

#: What can be made of weights that are not held.
OFF_GRID = ("refuse", "nearest", "interpolate")
#: Shares below this are rounding of the linear programme.
SMALL_SHARE = 1e-9


def check_off_grid(off_grid: Any) -> str:
    """Check the option of that name, and give it back.

    Raises
    ------
    ValueError
        If it is unknown.
    """
    if not isinstance(off_grid, str) or off_grid not in OFF_GRID:
        raise ValueError(f"off_grid must be one of {OFF_GRID}; got {off_grid!r}.")
    return off_grid


def interpolation_shares(asked: NDArray[np.float64], held: NDArray[np.float64]) -> NDArray[np.float64] | None:
    r"""The convex combination of held weights that equals those asked for, of the nearest of them.

    .. math:: \min_{c \ge 0} \; \sum_h c_h \, \lVert w_h - w \rVert^2
              \quad \text{with} \quad \sum_h c_h \, w_h = w

    With squared distances these are the barycentric coordinates in the cell of a Delaunay triangulation
    around w, on an even lattice in a smallest cell: scores change continuously, and linearly within a cell.

    Parameters
    ----------
    asked : ndarray of shape (m,)
        Weights on the simplex.
    held : ndarray of shape (h, m)
        Weights on the simplex.

    Returns
    -------
    ndarray of shape (h,) or None
        Shares of sum 1, at most m of them above 0; None outside the convex hull of the weights held.

    Examples
    --------
    >>> import numpy as np
    >>> held = np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]])
    >>> interpolation_shares(np.array([0.7, 0.3]), held).round(6).tolist()
    [0.4, 0.6, 0.0]
    >>> interpolation_shares(np.array([0.7, 0.3]), held[1:]) is None
    True
    """
    distances = ((held - asked) ** 2).sum(axis=1)
    # The shares' sum needs no constraint: all weights sum to 1.
    found = linprog(distances, A_eq=held.T, b_eq=asked, method="highs-ds")
    if not found.success:
        return None
    solution = np.asarray(found.x)
    used = np.flatnonzero(solution > SMALL_SHARE)
    # The programme is solved to about 1e-7; on the models that it chose the equations are, to rounding.
    exact = np.linalg.lstsq(held[used].T, asked, rcond=None)[0]
    shares = np.zeros(len(held))
    shares[used] = exact if (exact >= 0).all() else solution[used]
    return np.asarray(shares / shares.sum())
