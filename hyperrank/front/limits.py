"""Limits on the objectives of a front, and the trade-offs that keep them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hyperrank._checks import check_choice
from hyperrank.front.bootstrap import (
    MIN_QUERIES,
    ROUNDING,
    Evidence,
    LimitConfidence,
    agrees,
    check_resampling,
    count_queries,
)
from hyperrank.front.criteria import best_row, numbers_by_objective
from hyperrank.front.selection import FrontData, Selection, at_temperature
from hyperrank.metrics import non_dominated

__all__ = ["Candidates", "InfeasibleLimitsError", "reference_rows"]


class InfeasibleLimitsError(ValueError):
    """Limits that no trade-off keeps, or not with the confidence asked for."""

    #: Of a command that ends by it.
    exit_code = 3


@dataclass(frozen=True, eq=False)
class Limits:
    """Smallest values allowed, by objective, in units of the metric.

    `wording` is how an error spells each, `shares` what they were given as, if as shares.
    """

    values: pd.Series
    wording: Mapping[str, str]
    shares: pd.Series | None = None

    def __str__(self) -> str:
        return " and ".join(self.wording.values())


def read_limits(
    at_least: Mapping[str, float] | None, base: pd.Series | None, owner: str, names: pd.Index
) -> Limits:
    """Bring limits into units of the metric; with a `base`, the `owner`'s values, they are shares of it."""
    shares = numbers_by_objective(
        {} if at_least is None else at_least,
        names,
        "at_least must map objectives to limits",
        f"{{{names[0]!r}: 0.98}}",
    )
    given = pd.Series(shares, dtype=np.float64)
    if base is None:
        return Limits(given, {name: f"{name} >= {limit:.4g}" for name, limit in shares.items()})
    values, wording = given.copy(), {}
    for name, share in shares.items():
        if base[name] < 0:
            raise ValueError(
                f"a share of {owner} {name} says nothing since that is negative ({base[name]:.4g}): "
                "pass relative=False and limits in units of the metric."
            )
        values[name] = share * base[name]
        wording[name] = f"{name} >= {values[name]:.4g} ({share:g} of {owner} {base[name]:.4g})"
    return Limits(values, wording, given)


class Candidates:
    """Trade-offs to choose from: those that keep all limits, with the confidence asked for; none dominated.

    Parameters are those of `hyperrank.front.ParetoFront.select`.
    """

    def __init__(
        self,
        front: FrontData,
        at_least: Mapping[str, float] | None,
        relative: bool,
        confidence: float | None,
        n_resamples: int,
        random_state: int,
        in_every_segment: bool,
    ) -> None:
        check_resampling(n_resamples, random_state, confidence)
        check_choice("relative", relative, (True, False))
        check_choice("in_every_segment", in_every_segment, (True, False))
        self.front, self.confidence, self.in_every_segment = front, confidence, in_every_segment
        self.n_resamples, self.seed = int(n_resamples), int(random_state)
        base, owner = front.points.max(), "the front's best"
        if front.reference is not None:
            base, owner = front.reference, f"the {front.baseline or 'reference'}'s"
        self.limits = read_limits(at_least, base if relative else None, owner, front.points.columns)
        if confidence is not None and not len(self.limits.values):
            example = f"at_least={{{front.points.columns[0]!r}: 0.98}}"
            raise ValueError(
                f"confidence={confidence:g} is of limits, and there are none: give at_least, as in {example}."
            )

    def best(self, rating: NDArray[np.float64], tie_break: NDArray[np.float64] | None = None) -> Selection:
        """The candidate of the highest rating."""
        front = self.front
        candidates = self._feasible()
        if self.confidence is not None:
            candidates = self._confident(candidates, self.confidence)
        # What dominates a candidate may itself be unsure, or break a limit in a segment.
        candidates = candidates.copy()
        candidates[candidates] = non_dominated(front.points.to_numpy()[candidates])
        row = best_row(rating, candidates, tie_break)
        known = self._known
        return Selection(
            front.weights.iloc[row].to_numpy(copy=True),
            front.points.iloc[row],
            self.limits.values,
            row,
            known if isinstance(known, str) else Evidence(known, row, len(self.limits.values)),
            temperature=None if front.temperatures is None else float(front.temperatures[row]),
            metric=front.metric,
        )

    def _feasible(self) -> NDArray[np.bool_]:
        """Which points keep all limits; refuses limits that no point keeps."""
        limited = self.front.points[list(self.limits.values.index)]
        feasible = (limited >= self.limits.values).all(axis=1).to_numpy()
        if not feasible.any():
            raise InfeasibleLimitsError(self._why_infeasible(limited))
        if not self.in_every_segment:
            return np.asarray(feasible)
        if self.front.segments is None:
            raise ValueError("in_every_segment is of a front by segment, which is profiled with by=.")
        margin = self._values.margin
        everywhere = feasible & (margin >= -ROUNDING).all(axis=1)
        if not everywhere.any():
            row = int(margin.min(axis=1).argmax())
            names = np.unique(self.front.segments)
            worst = names[int(margin[row].argmin()) % len(names)]
            raise InfeasibleLimitsError(
                f"no point keeps {self.limits} in every segment. The closest is {self._spelled(row)}, which "
                f"is {-margin[row].min():.4g} short of it in {str(worst)!r}."
            )
        return np.asarray(everywhere)

    def _confident(self, candidates: NDArray[np.bool_], confidence: float) -> NDArray[np.bool_]:
        """Candidates that keep their limits with such confidence; refuses one that none reaches."""
        known = self._known
        certain = candidates & self._certain
        if isinstance(known, str):
            if certain.any():
                return certain
            raise InfeasibleLimitsError(f"confidence={confidence:g} cannot be promised: {known}")
        joint = known.joint
        confident = candidates & (joint >= confidence)
        if not confident.any():
            row = int(np.argmax(np.where(candidates, joint, -1.0)))
            n = known.n_needed(row, confidence)
            more = "" if n is None else f", or profile more queries: about {n:,} would show it if it holds"
            raise InfeasibleLimitsError(
                f"no point keeps {self.limits} with confidence {confidence:g}. The surest does with "
                f"{joint[row]:.3g}: {self._spelled(row)}. Ask for less{more}."
            )
        return confident

    @cached_property
    def _certain(self) -> NDArray[np.bool_]:
        """Which trade-offs are the reference itself where limits are shares of it, up to 1."""
        front, shares = self.front, self.limits.shares
        is_share = shares is not None and len(shares) > 0 and bool((shares <= 1).all())
        return reference_rows(front) & is_share

    @cached_property
    def _known(self) -> LimitConfidence | str:
        """How surely the limits are kept, or why that cannot be told."""
        return self._missing() or self._values

    @cached_property
    def _values(self) -> LimitConfidence:
        """The limits and the values by query that they are of, in each segment if that is asked for."""
        front, values, shares = self.front, self.limits.values, self.limits.shares
        assert front.per_query is not None
        limited = front.points.columns.get_indexer(values.index)
        base = None
        if shares is not None and len(shares):
            of_reference = front.reference_per_query
            base = front.per_query if of_reference is None else of_reference[None]
            base = self._by_segment(base[:, :, limited])
        numbers = (values if base is None or shares is None else shares).to_numpy()
        of_limits = self._by_segment(front.per_query[:, :, limited])
        return LimitConfidence(
            front.per_query,
            of_limits,
            np.repeat(numbers, of_limits.shape[2] // max(1, len(numbers))),
            base,
            self._certain,
            self.n_resamples,
            self.seed,
        )

    def _by_segment(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Values of shape (r, n_queries, l), or (r, n_queries, l * s) for those of s segments alone."""
        if not self.in_every_segment or self.front.segments is None:
            return values
        codes, names = pd.factorize(self.front.segments, sort=True)
        is_in = codes[:, None] == np.arange(len(names))
        apart = np.where(is_in[None, :, None], values[..., None], np.float32(np.nan))
        return apart.reshape(*values.shape[:2], -1)

    def _missing(self) -> str | None:
        """What is missing to tell how surely limits are kept, or contradicts the points."""
        front = self.front
        if front.per_query is None:
            return (
                "the front has no values by query. Make it by pareto_front, or pass per_query (and "
                "reference_per_query) to ParetoFront."
            )
        has_limits = len(self.limits.values) > 0
        counts = count_queries(self._values.limited if has_limits else front.per_query)
        if counts.min() < MIN_QUERIES:
            where = " in a segment" if self.in_every_segment else ""
            return (
                f"{counts.min()} queries count{where}, which tells too little of others: "
                f"profile {MIN_QUERIES} or more."
            )
        if not agrees(front.points, front.per_query):
            return (
                "the points of the front are not the means of its per_query: give those of the same queries."
            )
        if self.limits.shares is None or not has_limits or front.reference is None:
            return None
        if front.reference_per_query is None:
            return (
                "limits are shares of the reference, of which the front has no values by query. Pass "
                "reference_per_query to ParetoFront, or limits in units of the metric and relative=False."
            )
        if not agrees(front.reference, front.reference_per_query):
            return "the reference of the front is not the mean of its reference_per_query."
        return None

    def _why_infeasible(self, limited: pd.DataFrame) -> str:
        """Which limit no point meets or, if each is met somewhere, what comes closest to all."""
        limits = self.limits
        problems = []
        for name, limit in limits.values.items():
            row = int(limited[name].to_numpy().argmax())
            best = limited[name].iloc[row]
            if best < limit:
                share = "" if limits.shares is None else f", a share of {self._reached(str(name), row):g}"
                problems.append(
                    f"{limits.wording[str(name)]} cannot be met: the best is {best:.4g}{share}, "
                    f"{self._place(row)}."
                )
        if problems:
            return " ".join([*problems, *_percent_hint(limits)])
        scale = limits.values.abs().where(limits.values != 0, 1.0)
        row = int(((limits.values - limited) / scale).max(axis=1).to_numpy().argmin())
        asked = limits.values if limits.shares is None else limits.shares
        met = {name: min(self._reached(name, row), float(asked[name])) for name in map(str, limited)}
        return (
            f"{limits} can each be met, but by no point together. The closest is {self._spelled(row)}, "
            f"which keeps at_least={met}."
        )

    def _reached(self, name: str, row: int) -> float:
        """What a point reaches as a limit, in four digits that it does keep."""
        value, shares = float(self.front.points[name].iloc[row]), self.limits.shares
        if shares is not None and shares[name] > 0:
            value /= self.limits.values[name] / shares[name]
        digits = 4 - int(np.ceil(np.log10(abs(value)))) if value else 0
        return float(np.floor(value * 10**digits) / 10**digits)

    def _place(self, row: int) -> str:
        """Weights and temperature of a point."""
        at = self.front.temperatures
        where = at_temperature(None if at is None else at[row])
        return f"at weights {_spelled(self.front.weights.iloc[row])}{where.replace(' at', ' and')}"

    def _spelled(self, row: int) -> str:
        return f"{_spelled(self.front.points.iloc[row])}, {self._place(row)}"


def reference_rows(front: FrontData) -> NDArray[np.bool_]:
    """Which trade-offs are the very ranking that the front is compared with, shape (k,)."""
    of_reference = front.reference_per_query
    if front.temperatures is None or front.per_query is None or of_reference is None:
        return np.zeros(len(front), dtype=bool)
    same = (front.per_query == of_reference) | np.isnan(of_reference)
    is_reference = (front.temperatures == 0) & (front.baseline == "reference")
    return np.asarray(is_reference & same.all(axis=(1, 2)))


def _percent_hint(limits: Limits) -> list[str]:
    """A hint for whoever wrote 90 for 0.9; a share of 2 or more is hardly ever meant."""
    shares = [] if limits.shares is None else [float(share) for share in limits.shares if share >= 2]
    return [f"Limits are shares: {share / 100:g} keeps {share:g}%." for share in shares[:1]]


def _spelled(row: pd.Series) -> str:
    return "{" + ", ".join(f"{name}: {value:.4g}" for name, value in row.items()) + "}"
