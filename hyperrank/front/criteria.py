"""Criteria to choose trade-offs by: desirability, knee distance, and achievement of a target."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

#: Differences of normalised values that are rounding.
ROUNDING = 1e-9


def best_row(
    rating: NDArray[np.float64], candidates: NDArray[np.bool_], tie_break: NDArray[np.float64] | None = None
) -> int:
    """Row of the candidate of the highest rating; ties go to the higher `tie_break`, then to the first."""
    rated = np.where(candidates, rating, -np.inf)
    if tie_break is None:
        return int(np.argmax(rated))
    tied = rated >= rated.max() - ROUNDING
    return int(np.argmax(np.where(tied, tie_break, -np.inf)))


def knee_distance(points: NDArray[np.float64], front: NDArray[np.bool_]) -> NDArray[np.float64]:
    r"""Distance of points (k, m) beyond the plane through the extremes of the normalised front, a mask (k,).

    With :math:`z` the values brought to [0, 1] by the smallest and the largest on the front, and :math:`e_j`
    the point of the largest :math:`z_j`, the plane is :math:`a \cdot z = 1` through all :math:`e_j` and

    .. math:: d(z) = (a \cdot z - 1) / \lVert a \rVert .

    For two objectives :math:`d(z) = (z_1 + z_2 - 1) / \sqrt 2`. Where one point is the extreme of several
    objectives, `a` is the shortest that fits; where some :math:`a_j` were not above 0, so that more of an
    objective would lie less far out, the plane is that through the corners, :math:`\sum_j z_j = 1`.
    Objectives that do not vary on the front are left out; all is 0 for a front of a single point.

    Das: On characterizing the "knee" of the Pareto curve based on normal-boundary intersection, Structural
    Optimization 18, 1999. Zhang, Tian, Jin: A knee point-driven evolutionary algorithm for many-objective
    optimization, IEEE Transactions on Evolutionary Computation 19, 2015.
    """
    low, spread = _ranges(points, front)
    varies = spread > 0
    if not varies.any():
        return np.zeros(len(points))
    z = (points[:, varies] - low[varies]) / spread[varies]
    normal = _normal(z[front])
    return np.asarray((z @ normal - 1.0) / np.linalg.norm(normal))


def achievement(
    points: pd.DataFrame, front: NDArray[np.bool_], target: Mapping[str, float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    r"""Wierzbicki's achievement of a target (LNEMS 177, 1980), and the desirability that breaks ties.

    It is :math:`\min_j (p_j - t_j) / (\max p_j - \min p_j)` over the objectives that the target names, with
    ranges on the front. If it names some only, it is cut at 0: among the points that reach the target the
    objectives left out decide.
    """
    example = {name: round(float(points[name].mean()), 2) for name in points.columns}
    goal_of = "target must map objectives to values of the metric"
    targets = numbers_by_objective(target, points.columns, goal_of, str(example))
    if not targets:
        raise ValueError(f"{goal_of}, as in {example}; got {target!r}.")
    names, goal = list(targets), np.array(list(targets.values()))
    tie_break = desirability(points, None, pd.Index(names))
    table = points[names].to_numpy()
    _, spread = _ranges(table, front)
    varies = spread > 0
    if not varies.any():
        return np.zeros(len(points)), tie_break
    achieved = ((table - goal)[:, varies] / spread[varies]).min(axis=1)
    if len(names) < points.shape[1]:
        achieved = np.minimum(achieved, 0.0)
    return np.asarray(achieved), tie_break


def _ranges(
    points: NDArray[np.float64], front: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Smallest values on the front, and how far the largest lie above; 0 where that is rounding."""
    low, high = points[front].min(axis=0), points[front].max(axis=0)
    spread = high - low
    return low, np.where(spread > 1e-12 * np.maximum(np.abs(low), np.abs(high)), spread, 0.0)


def _normal(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """The vector `a` of the plane ``a @ z = 1`` through the extremes of normalised points."""
    # Of several that reach the largest value, the extreme is the one that is best otherwise.
    order = np.argsort(-z.sum(axis=1), kind="stable")
    extremes = z[order][z[order].argmax(axis=0)]
    normal = np.linalg.lstsq(extremes, np.ones(len(extremes)), rcond=1e-9)[0]
    fits = np.allclose(extremes @ normal, 1.0)
    return normal if fits and (normal > ROUNDING).all() else np.ones(z.shape[1])


def desirability(
    points: pd.DataFrame, maximize: str | Mapping[str, float] | None, constrained: pd.Index
) -> NDArray[np.float64]:
    """Weighted sum of the shares of the best value reached, over the objectives to maximise, by point."""
    if isinstance(maximize, Mapping | pd.Series):
        shares = numbers_by_objective(maximize, points.columns, "maximize must map objectives to weights", "")
        if not shares or min(shares.values()) < 0 or max(shares.values()) == 0:
            raise ValueError(f"maximize must hold weights >= 0, one at least above 0; got {dict(maximize)}.")
    elif maximize is not None:
        if not isinstance(maximize, Hashable):
            raise ValueError(
                f"maximize must be an objective, or map several to weights, as in "
                f"{dict.fromkeys(points.columns, 1.0)}; got {maximize!r}."
            )
        shares = dict.fromkeys(check_objectives([maximize], points.columns, "maximize"), 1.0)
    else:
        free = points.columns.difference(constrained, sort=False)
        shares = dict.fromkeys(free if len(free) else points.columns, 1.0)
    table = points[list(shares)].to_numpy()
    best = table.max(axis=0)
    return np.asarray((table / np.where(best > 0, best, 1.0)) @ np.array(list(shares.values())))


def check_objectives(names: Iterable[str], objectives: pd.Index, argument: str) -> list[str]:
    """Check that objectives exist; `argument` says where they were named."""
    given = list(names)
    unknown = [name for name in given if name not in objectives]
    if unknown:
        raise ValueError(f"{argument} names unknown objectives {unknown}; the front has {list(objectives)}.")
    return given


def numbers_by_objective(values: Any, objectives: pd.Index, argument: str, example: str) -> dict[str, float]:
    """Numbers by objective, from a mapping or a labelled Series; names that are unknown are refused."""
    if not isinstance(values, Mapping | pd.Series):
        raise ValueError(f"{argument}, as in {example}; got {values!r}.")
    name = argument.partition(" ")[0]
    if isinstance(values, pd.Series) and not values.index.is_unique:
        raise ValueError(f"{name} names {values.index[values.index.duplicated()][0]!r} more than once.")
    names = check_objectives(values.keys(), objectives, name)
    return {each: finite_number(values[each], f"{name}[{each!r}]") for each in names}


def finite_number(value: Any, argument: str) -> float:
    """Check that a limit or weight is one finite number."""
    try:
        found = np.nan if isinstance(value, str | bytes | bool | np.bool_) else float(value)
    except (OverflowError, TypeError, ValueError):
        found = np.nan
    if not np.isfinite(found):
        raise ValueError(f"{argument} must be a finite number; got {value!r}.")
    return found
