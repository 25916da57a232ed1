"""Picking one trade-off from a profiled front by limits on its objectives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import DTypeLike, NDArray

from hyperrank.front.bootstrap import Evidence

__all__ = ["Selection"]


@dataclass(frozen=True, eq=False, repr=False)
class Selection:
    """One trade-off of a front; stands wherever weights are wanted, as in ``predict(X, weights=selection)``.

    Where the front has values by query it says how sure it is, by a bootstrap over the queries: `confidence`,
    `joint_confidence` and `interval`. They are of the trade-off as it stands and know nothing of how it was
    picked: the best of many on the same queries is partly the luckiest, so that its values, taken again on
    other queries, lie rather below these than above. Profile it alone on fresh queries to be rid of that.

    Parameters
    ----------
    weights : ndarray of shape (m,)
        The weights of the trade-off.
    values : Series of shape (m,)
        What the front reaches there, by objective.
    limits : Series
        The smallest values that were allowed, in units of the metric, by constrained objective.
    index : int
        Row of the trade-off in the front's ``points`` and ``weights``.
    evidence : Evidence or str
        What `confidence` and `interval` are computed from, or why there is nothing to compute them from.
    """

    weights: NDArray[np.float64]
    values: pd.Series
    limits: pd.Series
    index: int
    evidence: Evidence | str = "the front is unknown."

    @property
    def margin(self) -> pd.Series:
        """How far the values lie above the limits, by constrained objective."""
        return self.values[self.limits.index] - self.limits

    @property
    def confidence(self) -> pd.Series:
        """Share of resamples of the queries in which each limit is kept, by constrained objective.

        Shares of the reference (or of the front's best) are taken of its mean over the same resample.
        """
        return pd.Series(self._known.kept.mean(axis=0), index=self.limits.index, dtype=np.float64)

    @property
    def joint_confidence(self) -> float:
        """Share of resamples in which all limits are kept at once; 1 without limits."""
        return float(self._known.kept.all(axis=1).mean())

    def interval(self, level: float = 0.9) -> pd.DataFrame:
        """Where the values lie in the middle `level` of the resamples (Efron's percentile interval).

        Parameters
        ----------
        level : float, default 0.9
            Probability with which each interval, taken for itself, shall hold the value over all queries.

        Returns
        -------
        DataFrame of shape (m, 2)
            Columns ``low`` and ``high``, a row per objective.
        """
        if not 0 < number(level, "level") < 1:
            raise ValueError(f"level must be a probability between 0 and 1, such as 0.9; got {level!r}.")
        tails = [(1 - level) / 2, (1 + level) / 2]
        bounds = np.nanquantile(self._known.means, tails, axis=0)
        return pd.DataFrame(bounds.T, index=self.values.index, columns=["low", "high"])

    @property
    def _known(self) -> Evidence:
        if isinstance(self.evidence, str):
            raise ValueError(f"how sure this selection is cannot be told: {self.evidence}")
        return self.evidence

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        # NumPy 1 knows no copy=None.
        return np.array(self.weights, dtype=dtype, copy=True if copy is None else copy)

    def __repr__(self) -> str:
        table = pd.DataFrame({"weight": self.weights, "value": self.values})
        known = isinstance(self.evidence, Evidence)
        if known:
            table = table.join(self.interval())
        if len(self.limits):
            table = table.assign(limit=self.limits, margin=self.margin)
            if known:
                table = table.assign(confidence=self.confidence)
        return f"Selection of row {self.index}\n{table.to_string(na_rep='')}"


@dataclass(frozen=True)
class Limits:
    """Smallest values allowed, how to speak of them in an error, and the shares they were given as."""

    values: pd.Series
    wording: Mapping[str, str]
    shares: pd.Series | None = None


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
    values, wording, given = {}, {}, {}
    for name in known(at_least, names, "at_least"):
        limit = given[name] = number(at_least[name], f"at_least[{name!r}]")
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
    shares = None if base is None else pd.Series(given, dtype=np.float64)
    return Limits(pd.Series(values, dtype=np.float64), wording, shares)


def desirability(
    points: pd.DataFrame, maximize: str | Mapping[str, float] | None, constrained: pd.Index
) -> NDArray[np.float64]:
    """Rate each point by the mean share of the best value reached, over the objectives to maximise."""
    if isinstance(maximize, Mapping):
        names = known(maximize, points.columns, "maximize")
        parts = {name: number(maximize[name], f"maximize[{name!r}]") for name in names}
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


def within(points: pd.DataFrame, weights: pd.DataFrame, limits: Limits) -> NDArray[np.bool_]:
    """Which points keep all limits; refuses limits that no point keeps."""
    limited = points[list(limits.values.index)]
    feasible = (limited >= limits.values).all(axis=1).to_numpy()
    if not feasible.any():
        raise ValueError(_why_infeasible(limited, points, weights, limits))
    return np.asarray(feasible)


def sure(
    joint: NDArray[np.float64],
    confidence: float,
    candidates: NDArray[np.bool_],
    points: pd.DataFrame,
    weights: pd.DataFrame,
    limits: Limits,
) -> NDArray[np.bool_]:
    """Candidates whose limits are kept in as many resamples as wanted; refuses a wish beyond all of them."""
    found = candidates & (joint >= confidence)
    if not found.any():
        row = int(np.argmax(np.where(candidates, joint, -1.0)))
        together = " and ".join(limits.wording.values())
        raise ValueError(
            f"no point keeps {together} with confidence {confidence:g}. The surest "
            f"does in {joint[row]:.3g} of the resamples: {_spelled(points.iloc[row])}, at weights "
            f"{_spelled(weights.iloc[row])}. Ask for less, or profile more queries."
        )
    return found


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
        return " ".join([*problems, *_percent_meant(limits)])
    scale = limits.values.abs().where(limits.values != 0, 1.0)
    row = int(((limits.values - limited) / scale).max(axis=1).to_numpy().argmin())
    together = " and ".join(limits.wording.values())
    return (
        f"{together} can each be met, but by no point together. The closest is "
        f"{_spelled(points.iloc[row])}, at weights {_spelled(weights.iloc[row])}."
    )


def _percent_meant(limits: Limits) -> list[str]:
    """A hint for whoever wrote 90 where 0.9 was wanted; a share of 2 or more is hardly ever meant."""
    shares = [] if limits.shares is None else [float(share) for share in limits.shares if share >= 2]
    return [f"Limits are shares: {share / 100:g} keeps {share:g}%." for share in shares[:1]]


def _spelled(row: pd.Series) -> str:
    return "{" + ", ".join(f"{name}: {value:.4g}" for name, value in row.items()) + "}"


def number(value: Any, argument: str) -> float:
    """Check that a limit or weight is one finite number."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = np.nan
    if not np.isfinite(number):
        raise ValueError(f"{argument} must be a finite number; got {value!r}.")
    return number
