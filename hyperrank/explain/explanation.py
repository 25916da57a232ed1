"""Explanation: the share of rank change between two trade-offs that each feature explains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hyperrank._checks import check_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from hyperrank.plots import ExplanationDisplay

#: Features shown at most.
SHOWN = 10


@dataclass(frozen=True, eq=False, repr=False)
class Explanation:
    r"""Features that drive the change between two trade-offs, made by ``ranker.explain``.

    A feature's values are permuted among the documents of each query, and the queries are ranked again under
    both trade-offs.

    Attributes
    ----------
    features : tuple of str, d of them
        The features, or groups of them.
    objectives : tuple of str, m of them
    against, weights : ndarray of shape (m,)
        The trade-offs that the change is from and to.
    metric : str
        What importances are in.
    change : ndarray of shape (d,)
        Share of the rank change that the feature explains: 0 none, 1 all of it, below 0 where the change
        grows without the feature. With :math:`d_i` what document i gains in exposure
        :math:`1 / \log_2(1 + rank)` from one trade-off to the other, and :math:`d'_i` the same without
        the feature, it is :math:`1 - \sum_i d_i d'_i / \sum_i d_i^2`. Features that work together share it,
        or each has it all: shares need not add up to 1.
    change_error : ndarray of shape (d,)
        Its standard error over queries.
    direction : ndarray of shape (d,)
        Correlation within queries, from -1 to 1, between the feature and that gain: above 0, documents with
        much of it rise. 0 of categories.
    drops : ndarray of shape (d, 2, n_queries, m) or None
        What the metric of each query and objective loses without the feature, at `against` and at
        `weights`; NaN where a query does not count. None without labels.
    reached : ndarray of shape (2, m) or None
        The metric as it is, at `against` and at `weights`.
    n_rows, n_queries : int
        What it was found on.
    common : float
        Share of the first 10 documents of a query (of short lists: of the first half) that both rank there.
    temperatures : tuple of two floats or None
        The temperatures of the two trade-offs; None for a ranker that has none.
    """

    features: tuple[str, ...]
    objectives: tuple[str, ...]
    against: NDArray[np.float64]
    weights: NDArray[np.float64]
    metric: str
    change: NDArray[np.float64]
    change_error: NDArray[np.float64]
    direction: NDArray[np.float64]
    drops: NDArray[np.float64] | None
    reached: NDArray[np.float64] | None
    n_rows: int
    n_queries: int
    common: float
    temperatures: tuple[float | None, ...] = (None, None)

    @cached_property
    def importances(self) -> NDArray[np.float64]:
        """Permutation importance at `against` and at `weights`: the mean drop, shape (d, 2, m).

        Raises
        ------
        ValueError
            Without labels.
        """
        return np.asarray(np.nanmean(self._drops, axis=2))

    @cached_property
    def difference(self) -> NDArray[np.float64]:
        """How much more the metric depends on a feature at `weights` than at `against`, shape (d, m)."""
        return np.asarray(self.importances[:, 1] - self.importances[:, 0])

    @cached_property
    def difference_error(self) -> NDArray[np.float64]:
        """Standard error of `difference` over queries, shape (d, m)."""
        return _error(self._drops[:, 1] - self._drops[:, 0], axis=1)

    @cached_property
    def importance_errors(self) -> NDArray[np.float64]:
        """Standard errors of `importances` over queries, shape (d, 2, m)."""
        return _error(self._drops, axis=2)

    @property
    def _drops(self) -> NDArray[np.float64]:
        if self.drops is None:
            raise ValueError("importances by objective need labels: pass y to explain.")
        return self.drops

    @property
    def order(self) -> NDArray[np.int64]:
        """Features by their share of the change, the largest first."""
        return np.argsort(-self.change, kind="stable").astype(np.int64)

    def top(self, n: int = SHOWN) -> list[str]:
        """Names of the features that drive the change most.

        Parameters
        ----------
        n : int, default 10

        Returns
        -------
        list of str
        """
        return [self.features[j] for j in self.order[: int(check_number("n", n, at_least=0, whole=True))]]

    def to_frame(self) -> pd.DataFrame:
        """All in one table, a row per feature, the largest share of the change first.

        Returns
        -------
        DataFrame
            Columns ``change``, ``change_error``, ``direction``; with labels for each objective
            ``<objective>_against`` and ``<objective>_weights``, its importances at the two trade-offs,
            ``<objective>_difference`` and ``<objective>_difference_error``.
        """
        table: dict[str, Any] = {
            "change": self.change,
            "change_error": self.change_error,
            "direction": self.direction,
        }
        for j, name in enumerate(self.objectives if self.drops is not None else ()):
            table[f"{name}_against"] = self.importances[:, 0, j]
            table[f"{name}_weights"] = self.importances[:, 1, j]
            table[f"{name}_difference"] = self.difference[:, j]
            table[f"{name}_difference_error"] = self.difference_error[:, j]
        index = pd.Index(self.features, name="feature")
        return pd.DataFrame(table, index=index).iloc[self.order]

    def plot(
        self, ax: Axes | None = None, *, n_features: int = 12, width: float | str | None = None
    ) -> ExplanationDisplay:
        """Draw the features that drive the change most; needs ``pip install hyperrank[plot]``.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Whose place to draw in; a figure of its own by default.
        n_features : int, default 12
        width : float, "column" or "page", optional
            Inches of the figure, or those of a paper's column or page.

        Returns
        -------
        ExplanationDisplay
        """
        from hyperrank.plots import ExplanationDisplay

        return ExplanationDisplay(self).plot(ax, n_features=n_features, width=width)

    def __repr__(self) -> str:
        return f"{self._summary()}\n{self._shown().to_string(float_format='{:.3f}'.format)}"

    def _repr_html_(self) -> str:
        table = self._shown().to_html(float_format="{:.3f}".format)
        return f"<p>{escape(self._summary())}</p>{table}"

    def _shown(self) -> pd.DataFrame:
        table = self.to_frame().head(SHOWN)
        hidden = ("_against", "_weights", "_difference_error")
        return table[[name for name in table if not str(name).endswith(hidden)]]

    def _summary(self) -> str:
        shown = min(SHOWN, len(self.features))
        pairs = zip((self.against, self.weights), self.temperatures, strict=True)
        before, after = (spelled_trade_off(self.objectives, weights, t) for weights, t in pairs)
        return (
            f"Explanation: from {before} to {after}, on {self.n_queries:,} queries with {self.n_rows:,} "
            f"documents; {self.common:.0%} of the first 10 stay; {shown} of {len(self.features)} features"
        )


def spelled_trade_off(names: Sequence[str], weights: NDArray[np.float64], temperature: float | None) -> str:
    """Weights by objective, and a temperature that is not 1, to be read."""
    pairs = zip(names, weights, strict=True)
    spelled = "{" + ", ".join(f"{name}: {weight:.4g}" for name, weight in pairs) + "}"
    return spelled if temperature in (None, 1) else f"{spelled} at temperature {temperature:g}"


def _error(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Standard error of means over queries, NaN left out; NaN of fewer than two."""
    counts = (~np.isnan(values)).sum(axis=axis)
    centred = values - np.expand_dims(np.nanmean(values, axis=axis), axis)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.sqrt(np.nansum(centred**2, axis=axis) / (counts - 1) / counts))
