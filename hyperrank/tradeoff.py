"""Picking one trade-off from a profiled front by limits on its objectives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import DTypeLike, NDArray

__all__ = ["Selection"]


@dataclass(frozen=True, eq=False, repr=False)
class Selection:
    """One trade-off of a front; stands wherever weights are wanted, as in ``predict(X, weights=selection)``.

    Attributes
    ----------
    weights : ndarray of shape (m,)
        The weights of the trade-off.
    values : Series of shape (m,)
        What the front reaches there, by objective.
    limits : Series
        The smallest values that were allowed, in units of the metric, by constrained objective.
    index : int
        Row of the trade-off in the front's ``points`` and ``weights``.
    """

    weights: NDArray[np.float64]
    values: pd.Series
    limits: pd.Series
    index: int

    @property
    def margin(self) -> pd.Series:
        """How far the values lie above the limits, by constrained objective."""
        return self.values[self.limits.index] - self.limits

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.weights, dtype=dtype, copy=copy)

    def __repr__(self) -> str:
        table = pd.DataFrame({"weight": self.weights, "value": self.values})
        if len(self.limits):
            table = table.assign(limit=self.limits, margin=self.margin)
        return f"Selection of row {self.index}\n{table.to_string(na_rep='')}"


@dataclass(frozen=True)
class Limits:
    """Smallest values allowed, and how to speak of them in an error."""

    values: pd.Series
    wording: Mapping[str, str]


def known(names: Any, objectives: pd.Index, argument: str) -> list[str]:
    """Check that objectives exist; `argument` says where they were named."""
    given = list(names)
    unknown = [name for name in given if name not in objectives]
    if unknown:
        raise ValueError(f"{argument} names unknown objectives {unknown}; the front has {list(objectives)}.")
    return given


def read_limits(at_least: Mapping[str, float], base: pd.Series | None, owner: str, names: pd.Index) -> Limits:
    """Bring limits into units of the metric; with a `base` they are shares of its values."""
    if not isinstance(at_least, Mapping):
        raise ValueError(
            f"at_least must map objectives to limits, as in {{{names[0]!r}: 0.98}}; got {at_least!r}."
        )
    values, wording = {}, {}
    for name in known(at_least, names, "at_least"):
        limit = _number(at_least[name], f"at_least[{name!r}]")
        if base is None:
            values[name] = limit
            wording[name] = f"{name} >= {limit:.4g}"
            continue
        if base[name] < 0:
            raise ValueError(
                f"a share of {owner} {name} says nothing since that is negative ({base[name]:.4g}): "
                "pass relative=False and limits in units of the metric."
            )
        values[name] = limit * base[name]
        wording[name] = f"{name} >= {values[name]:.4g} ({limit:g} of {owner} {base[name]:.4g})"
    return Limits(pd.Series(values, dtype=np.float64), wording)


def desirability(
    points: pd.DataFrame, maximize: str | Mapping[str, float] | None, constrained: pd.Index
) -> NDArray[np.float64]:
    """Rate each point by the mean share of the best value reached, over the objectives to maximise."""
    if isinstance(maximize, Mapping):
        names = known(maximize, points.columns, "maximize")
        parts = {name: _number(maximize[name], f"maximize[{name!r}]") for name in names}
        if not parts or min(parts.values()) < 0 or max(parts.values()) == 0:
            raise ValueError(f"maximize must hold weights >= 0, one at least above 0; got {dict(maximize)}.")
    elif maximize is not None:
        parts = dict.fromkeys(known([maximize], points.columns, "maximize"), 1.0)
    else:
        free = points.columns.difference(constrained, sort=False)
        parts = dict.fromkeys(free if len(free) else points.columns, 1.0)
    table = points[list(parts)].to_numpy()
    best = table.max(axis=0)
    shares = table / np.where(best > 0, best, 1.0)
    return np.asarray(shares @ np.array(list(parts.values())))


def choose(
    points: pd.DataFrame,
    weights: pd.DataFrame,
    limits: Limits,
    rating: NDArray[np.float64],
    candidates: NDArray[np.bool_],
) -> int:
    """Row of the best-rated candidate within all limits; refuses limits that no point meets."""
    limited = points[list(limits.values.index)]
    feasible = candidates & (limited >= limits.values).all(axis=1).to_numpy()
    if not feasible.any():
        raise ValueError(_why_infeasible(limited, points, weights, limits))
    return int(np.argmax(np.where(feasible, rating, -np.inf)))


def _why_infeasible(
    limited: pd.DataFrame, points: pd.DataFrame, weights: pd.DataFrame, limits: Limits
) -> str:
    """Tell which limit no point meets or, if each is met somewhere, what comes closest to all."""
    problems = []
    for name, limit in limits.values.items():
        row = int(limited[name].to_numpy().argmax())
        best = limited[name].iloc[row]
        if best < limit:
            where = _spelled(weights.iloc[row])
            problems.append(
                f"{limits.wording[str(name)]} cannot be met: the best is {best:.4g}, at weights {where}."
            )
    if problems:
        return " ".join(problems)
    scale = limits.values.abs().where(limits.values != 0, 1.0)
    row = int(((limits.values - limited) / scale).max(axis=1).to_numpy().argmin())
    together = " and ".join(limits.wording.values())
    return (
        f"{together} can each be met, but by no point together. The closest is "
        f"{_spelled(points.iloc[row])}, at weights {_spelled(weights.iloc[row])}."
    )


def _spelled(row: pd.Series) -> str:
    return "{" + ", ".join(f"{name}: {value:.4g}" for name, value in row.items()) + "}"


def _number(value: Any, argument: str) -> float:
    """Check that a limit or weight is one finite number."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = np.nan
    if not np.isfinite(number):
        raise ValueError(f"{argument} must be a finite number; got {value!r}.")
    return number
