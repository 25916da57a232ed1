"""Selection: one trade-off of a front, with what it reaches and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import DTypeLike, NDArray

from hyperrank.front.bootstrap import Evidence
from hyperrank.front.criteria import finite_number

__all__ = ["FrontData", "Selection"]


class FrontData(Protocol):
    """A front as plots and selections read it; `hyperrank.front.ParetoFront` is one."""

    points: pd.DataFrame
    weights: pd.DataFrame
    metric: str
    label: str | None
    reference: pd.Series | None
    per_query: NDArray[np.float32] | None
    reference_per_query: NDArray[np.float32] | None

    def __len__(self) -> int: ...

    @property
    def names(self) -> list[str]:
        """Names of the objectives."""

    @property
    def non_dominated(self) -> NDArray[np.bool_]:
        """The points that no other dominates, shape (k,)."""

    def select(self, at_least: Mapping[str, float] | None = None) -> Selection:
        """The profiled trade-off that keeps every limit and is best otherwise."""


@dataclass(frozen=True, eq=False, repr=False)
class Selection:
    """One trade-off of a front; may be passed wherever weights are, as in ``predict(X, weights=selection)``.

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
        return pd.Series(self._resamples.kept.mean(axis=0), index=self.limits.index, dtype=np.float64)

    @property
    def joint_confidence(self) -> float:
        """Share of resamples in which all limits are kept at once; 1 without limits."""
        return float(self._resamples.kept.all(axis=1).mean())

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
        if not 0 < finite_number(level, "level") < 1:
            raise ValueError(f"level must be a probability between 0 and 1, such as 0.9; got {level!r}.")
        tails = [(1 - level) / 2, (1 + level) / 2]
        bounds = np.nanquantile(self._resamples.means, tails, axis=0)
        return pd.DataFrame(bounds.T, index=self.values.index, columns=["low", "high"])

    @property
    def _resamples(self) -> Evidence:
        if isinstance(self.evidence, str):
            raise ValueError(f"how sure this selection is cannot be told: {self.evidence}")
        return self.evidence

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        # NumPy 1 knows no copy=None.
        return np.array(self.weights, dtype=dtype, copy=True if copy is None else copy)

    def __repr__(self) -> str:
        table = pd.DataFrame({"weight": self.weights, "value": self.values})
        has_resamples = isinstance(self.evidence, Evidence)
        if has_resamples:
            table = table.join(self.interval())
        if len(self.limits):
            table = table.assign(limit=self.limits, margin=self.margin)
            if has_resamples:
                table = table.assign(confidence=self.confidence)
        return f"Selection of row {self.index}\n{table.to_string(na_rep='')}"
