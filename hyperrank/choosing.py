"""The ways of picking a trade-off from a front: by limits, at the knee, near a target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hyperrank.aims import best, bulge, nearness
from hyperrank.bootstrap import Evidence, Floor, check_resampling
from hyperrank.tradeoff import Limits, Selection, desirability, read_limits, sure, within

__all__ = ["Choosing"]

#: How far means by query may lie from the points: they are held in single precision.
SAME_POINTS = 1e-4


class Choosing:
    """What `ParetoFront` knows of picking from itself."""

    points: pd.DataFrame
    weights: pd.DataFrame
    reference: pd.Series | None
    per_query: NDArray[np.float32] | None
    reference_per_query: NDArray[np.float32] | None
    non_dominated: NDArray[np.bool_]

    def select(
        self,
        at_least: Mapping[str, float] | None = None,
        *,
        maximize: str | Mapping[str, float] | None = None,
        relative: bool = True,
        confidence: float | None = None,
        n_resamples: int = 2000,
        random_state: int = 0,
    ) -> Selection:
        """Pick the profiled trade-off that keeps every limit and is best otherwise.

        Parameters
        ----------
        at_least : mapping of objective to float, optional
            Limits, several at once if wanted; none by default.
        maximize : str, mapping of objective to weight, or None
            What is best otherwise: one objective, a weighted sum, or by default the mean over the objectives
            without a limit (over all, if each has one). In sums an objective counts as the share of the best
            value that the front reaches in it.
        relative : bool, default True
            Whether limits are shares: of the reference ranker's value or, for a front without a reference, of
            the best value that this front reaches in the objective. False: limits are values of the metric.
        confidence : float, optional
            Pick only what keeps all limits at once in at least this share of resamples of the queries (and on
            the queries themselves). Shares of the reference are taken of its mean over the same queries.
            By default the limits need to be kept on the queries themselves, which for a limit that binds
            means about as often as not on others.
        n_resamples : int, default 2000
            How often queries are resampled, for this and for what the selection tells.
        random_state : int, default 0
            Seed of the resamples.

        Returns
        -------
        Selection
            Its ``weights`` are the trade-off; it may itself be passed as weights to ``predict``.

        Raises
        ------
        ValueError
            If an objective is unknown, or if no trade-off keeps the limits: then the error says which limit
            is out of reach and what the best is or, if they clash, what comes closest, or how sure one can
            be at most. Also if there is no `confidence` to be had, since the front has no values by query.

        Examples
        --------
        >>> from hyperrank import ParetoFront
        >>> front = ParetoFront(
        ...     [[0.42, 0.30], [0.41, 0.38], [0.35, 0.40]],
        ...     [[1, 0], [0.5, 0.5], [0, 1]],
        ...     names=["relevance", "clicks"],
        ... )
        >>> front.select(at_least={"relevance": 0.40}, relative=False)
        Selection of row 1
                   weight  value  limit  margin
        relevance     0.5   0.41    0.4    0.01
        clicks        0.5   0.38
        """
        among = _Among(self, at_least, relative, confidence, n_resamples, random_state)
        return among.pick(desirability(self.points, maximize, among.limits.values.index))

    def knee(
        self,
        at_least: Mapping[str, float] | None = None,
        *,
        relative: bool = True,
        confidence: float | None = None,
        n_resamples: int = 2000,
        random_state: int = 0,
    ) -> Selection:
        r"""Pick the trade-off beyond which more of one objective costs much of another.

        It is the non-dominated point that lies farthest beyond the plane through the extremes of the front,
        objectives brought to [0, 1] by their ranges on it (Das, 1999; formula in `hyperrank.aims.bulge`); for
        two objectives that with the largest :math:`z_1 + z_2`. No point may lie beyond: a front that bends
        inwards throughout has its knee in an extreme. Equals are told apart as in `select`.

        Parameters
        ----------
        at_least : mapping of objective to float, optional
            Limits to keep; the plane and the ranges stay those of the whole front.
        relative, confidence, n_resamples, random_state
            As in `select`.

        Returns
        -------
        Selection

        Raises
        ------
        ValueError
            As in `select`.

        Examples
        --------
        >>> from hyperrank import ParetoFront
        >>> front = ParetoFront(
        ...     [[0.42, 0.30], [0.41, 0.38], [0.35, 0.40]],
        ...     [[1, 0], [0.5, 0.5], [0, 1]],
        ...     names=["relevance", "clicks"],
        ... )
        >>> front.knee().index
        1
        """
        among = _Among(self, at_least, relative, confidence, n_resamples, random_state)
        rating = bulge(self.points.to_numpy(), self.non_dominated)
        return among.pick(rating, desirability(self.points, None, self.points.columns))

    def nearest(
        self,
        target: Mapping[str, float],
        *,
        at_least: Mapping[str, float] | None = None,
        relative: bool = True,
        confidence: float | None = None,
        n_resamples: int = 2000,
        random_state: int = 0,
    ) -> Selection:
        r"""Pick the trade-off that comes closest to a target, or goes farthest beyond it.

        It has the largest :math:`\min_j (p_j - t_j) / (\max p_j - \min p_j)` (Wierzbicki's achievement, 1980;
        ranges on the non-dominated points): out of reach, the worst shortfall is smallest; within reach, the
        least gain is largest. A plain distance would prefer a point that just hits a modest target to one
        that is better in everything. A target for some objectives alone is reached or not: among the points
        that reach it that is taken which is best in the objectives left out, as in `select`.

        Parameters
        ----------
        target : mapping of objective to float
            Values of the metric, for all or some objectives.
        at_least : mapping of objective to float, optional
            Limits to keep as well.
        relative : bool, default True
            How `at_least` is meant, as in `select`; the target is in units of the metric.
        confidence, n_resamples, random_state
            As in `select`.

        Returns
        -------
        Selection

        Raises
        ------
        ValueError
            As in `select`, or if the target is none.

        Examples
        --------
        >>> from hyperrank import ParetoFront
        >>> front = ParetoFront(
        ...     [[0.42, 0.30], [0.41, 0.38], [0.35, 0.40]],
        ...     [[1, 0], [0.5, 0.5], [0, 1]],
        ...     names=["relevance", "clicks"],
        ... )
        >>> front.nearest({"relevance": 0.40, "clicks": 0.35}).index
        1
        >>> front.nearest({"clicks": 0.39}).index
        2
        """
        among = _Among(self, at_least, relative, confidence, n_resamples, random_state)
        return among.pick(*nearness(self.points, self.non_dominated, target))

    @staticmethod
    def _agrees(means: pd.DataFrame | pd.Series, per_query: NDArray[np.float32]) -> bool:
        """Whether these are the means over queries."""
        known = ~np.isnan(per_query)
        sums = np.where(known, per_query, 0).sum(axis=-2, dtype=np.float64)
        with np.errstate(invalid="ignore"):
            found = sums / known.sum(axis=-2)
        return bool(np.allclose(found, means.to_numpy(), rtol=SAME_POINTS, atol=SAME_POINTS))


class _Among:
    """The points to pick from: those not dominated that keep the limits, as surely as wanted."""

    def __init__(
        self,
        front: Choosing,
        at_least: Mapping[str, float] | None,
        relative: bool,
        confidence: float | None,
        n_resamples: int,
        seed: int,
    ) -> None:
        check_resampling(n_resamples, seed, confidence)
        self.front, self.confidence = front, confidence
        self.drawn = {"n_resamples": int(n_resamples), "seed": int(seed)}
        base, owner = front.points.max(), "the front's best"
        if front.reference is not None:
            base, owner = front.reference, "the reference's"
        self.limits: Limits = read_limits(
            at_least or {}, base if relative else None, owner, front.points.columns
        )
        if confidence is not None and not len(self.limits.values):
            example = f"at_least={{{front.points.columns[0]!r}: 0.98}}"
            raise ValueError(
                f"confidence={confidence:g} is of limits, and there are none: give at_least, as in {example}."
            )

    def pick(self, rating: NDArray[np.float64], otherwise: NDArray[np.float64] | None = None) -> Selection:
        """The best-rated of them."""
        front = self.front
        candidates = front.non_dominated & within(front.points, front.weights, self.limits)
        if self.confidence is not None:
            joint = self._joint_shares()
            candidates = sure(joint, self.confidence, candidates, front.points, front.weights, self.limits)
        row = best(rating, candidates, otherwise)
        weights = front.weights.iloc[row].to_numpy(copy=True)
        return Selection(weights, front.points.iloc[row], self.limits.values, row, self._evidence(row))

    def _joint_shares(self) -> NDArray[np.float64]:
        """For each point the share of resamples in which it keeps all limits."""
        per_query = self._per_query()
        if isinstance(per_query, str):
            raise ValueError(f"confidence={self.confidence:g} cannot be promised: {per_query}")
        floor = self._floor(per_query)
        # Only what is limited is resampled, of all points.
        limited = replace(floor, limited=np.arange(len(floor.limits)))
        kept, _ = limited.kept(per_query[:, :, floor.limited], **self.drawn)
        return np.asarray(kept.all(axis=2).mean(axis=0))

    def _evidence(self, row: int) -> Evidence | str:
        per_query = self._per_query()
        if isinstance(per_query, str):
            return per_query
        return Evidence(per_query[row], self._floor(per_query), **self.drawn)

    def _floor(self, per_query: NDArray[np.float32]) -> Floor:
        values, shares = self.limits.values, self.limits.shares
        limited = self.front.points.columns.get_indexer(values.index).astype(np.int64)
        if shares is None or not self._by_share:
            return Floor(values.to_numpy(), limited)
        of_reference = self.front.reference_per_query
        base = per_query if self.front.reference is None or of_reference is None else of_reference[None]
        return Floor(shares.to_numpy(), limited, base[:, :, limited])

    @property
    def _by_share(self) -> bool:
        return self.limits.shares is not None and len(self.limits.shares) > 0

    def _per_query(self) -> NDArray[np.float32] | str:
        """The values to resample, or what is missing for that or contradicts the points."""
        front = self.front
        if front.per_query is None:
            return (
                "the front has no values by query. Make it by pareto_front, or pass per_query (and "
                "reference_per_query) to ParetoFront."
            )
        if front.per_query.shape[1] < 2:
            return "the front was measured on a single query, which tells nothing of others: profile more."
        if not front._agrees(front.points, front.per_query):
            return (
                "the points of the front are not the means of its per_query: give those of the same queries."
            )
        if not self._by_share or front.reference is None:
            return front.per_query
        if front.reference_per_query is None:
            return (
                "limits are shares of the reference, of which the front has no values by query. Pass "
                "reference_per_query to ParetoFront, or limits in units of the metric and relative=False."
            )
        if not front._agrees(front.reference, front.reference_per_query):
            return "the reference of the front is not the mean of its reference_per_query."
        return front.per_query
