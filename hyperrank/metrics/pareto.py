"""Hypervolume and non-dominated points of a front, computed by moocore."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hyperrank._columns import as_numbers
from hyperrank.simplex import by_name


def hypervolume(points: ArrayLike, reference_point: ArrayLike = 0.0) -> float:
    """Compute the volume that points dominate above a reference point; every objective is maximised.

    A point that does not exceed the reference in every objective contributes nothing, and neither does a
    dominated one.

    Parameters
    ----------
    points : array-like of shape (k, m)
        One point per row.
    reference_point : float or array-like of shape (m,), default 0
        The lower corner; one number stands for all objectives.

    Returns
    -------
    float
        0 for no points.

    Raises
    ------
    ValueError
        If the shapes disagree or a value is not finite.

    References
    ----------
    Zitzler & Thiele: Multiobjective evolutionary algorithms: a comparative case study and the strength Pareto
    approach. IEEE Transactions on Evolutionary Computation, 1999.

    Examples
    --------
    >>> hypervolume([[0.5, 1.0], [1.0, 0.5]])
    0.75
    >>> hypervolume([[0.5, 1.0], [1.0, 0.5]], reference_point=[0.5, 0.0])
    0.25
    """
    values = _as_points(points)
    if hasattr(points, "columns"):
        reference_point = by_name(reference_point, list(points.columns), "reference_point")
    corner = np.asarray(as_numbers(reference_point, "reference_point"), dtype=np.float64)
    if corner.shape not in ((), (values.shape[1],)):
        expected = f"one number or shape ({values.shape[1]},)"
        raise ValueError(f"reference_point has shape {corner.shape}; expected {expected}, one per objective.")
    if not np.isfinite(corner).all():
        raise ValueError(f"reference_point must be finite; got {corner.tolist()}.")
    above = values[(values > corner).all(axis=1)] - corner
    if len(above) == 0:
        return 0.0
    if above.shape[1] == 1:
        return float(above.max())
    import moocore

    return float(moocore.hypervolume(above, ref=np.zeros(above.shape[1]), maximise=True))


def non_dominated(points: ArrayLike) -> NDArray[np.bool_]:
    """Mark the Pareto-optimal points; every objective is maximised.

    A point dominates another if it is at least as high in every objective and higher in one. Equal points do
    not dominate each other, so all copies of a non-dominated point are kept: the answer for a point does not
    depend on the order of the rows, and trade-offs that tie stay on offer.

    Parameters
    ----------
    points : array-like of shape (k, m)
        One point per row.

    Returns
    -------
    ndarray of shape (k,), bool

    Raises
    ------
    ValueError
        If the shape is wrong or a value is not finite.

    Examples
    --------
    >>> non_dominated([[1.0, 0.0], [0.0, 1.0], [0.0, 0.5], [1.0, 0.0]]).tolist()
    [True, True, False, True]
    """
    values = _as_points(points)
    if len(values) == 0:
        return np.zeros(0, dtype=bool)
    if values.shape[1] == 1:
        return np.asarray(values[:, 0] == values.max())
    import moocore

    mask: Any = moocore.is_nondominated(values, maximise=True, keep_weakly=True)
    return np.asarray(mask, dtype=bool)


def _as_points(points: ArrayLike) -> NDArray[np.float64]:
    try:
        values = np.asarray(as_numbers(points, "points"), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"points must be numbers of shape (k, m): {error}.") from error
    if values.ndim != 2 or values.shape[1] == 0:
        raise ValueError(f"points have shape {values.shape}; expected (k, m), one row per point.")
    bad = ~np.isfinite(values)
    if bad.any():
        row = int(np.flatnonzero(bad.any(axis=1))[0])
        raise ValueError(f"points must be finite; got {values[row].tolist()} in row {row}.")
    return values
