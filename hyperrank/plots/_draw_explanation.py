"""Picture of an explanation: shares of the rank change as bars, importances as pairs of points."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from hyperrank.plots._style import BASELINE_STYLES, GRID, INK, Style, canvas, dress, legend_below, mark

if TYPE_CHECKING:
    from hyperrank.plots.displays import ExplanationData

__all__ = ["draw_explanation"]

#: Colours of features whose documents rise, and fall, as more of them is there; blue and orange, after Okabe
#: & Ito.
RISE, FALL = "#0072B2", BASELINE_STYLES[0][0]
#: Inches of the bars with their names, of each objective's panel, and of a row.
BARS, PANEL, ROW = 4.2, 1.9, 0.2


def draw_explanation(
    explanation: ExplanationData, ax: Axes | None, *, n_features: int, width: float | str | None
) -> tuple[Figure, list[Axes]]:
    """Shares of the change at the left, a panel of importances for each objective beside it."""
    order = explanation.order[:n_features]
    objectives = explanation.objectives if explanation.drops is not None else ()
    default = BARS + PANEL * len(objectives)
    with canvas(ax, width, default, (1.1 + ROW * len(order)) / default) as place:
        if objectives:
            grid = place.grid(1, 1 + len(objectives), width_ratios=[1.25, *[1] * len(objectives)])
            axes = [place.figure.add_subplot(grid[0, 0])]
            axes += [place.figure.add_subplot(grid[0, 1 + j], sharey=axes[0]) for j in range(len(objectives))]
        else:
            axes = [place.single()]
        handles = _shares(axes[0], explanation, order)
        for j, panel in enumerate(axes[1:]):
            _pairs(panel, explanation, order, j)
            panel.tick_params(labelleft=False)
        if objectives:
            gray: Style = {"markerfacecolor": "white", "markeredgecolor": INK}
            handles.append(mark("o", INK, 5, _spelled(explanation, explanation.against), **gray))
            handles.append(mark("o", INK, 5, _spelled(explanation, explanation.weights)))
        axes[0].set_yticks(range(len(order)), [explanation.features[j] for j in order])
        axes[0].set_ylim(len(order) - 0.4, -0.6)
        axes[0].tick_params(axis="y", length=0)
        legend_below(place, axes[0], handles, is_full=True, is_long=bool(objectives))
    return place.figure, axes


def _shares(ax: Axes, explanation: ExplanationData, order: NDArray[np.int64]) -> list[Line2D | Patch]:
    """Bars for shares of the change, coloured by which documents rise."""
    dress(ax)
    ax.grid(visible=False, axis="y")
    share, error = explanation.change[order], explanation.change_error[order]
    colors = np.where(explanation.direction[order] >= 0, RISE, FALL)
    ax.barh(range(len(order)), share, height=0.62, color=colors, zorder=2)
    whiskers: Style = {"fmt": "none", "ecolor": INK, "elinewidth": 0.8, "zorder": 3}
    ax.errorbar(share, range(len(order)), xerr=np.nan_to_num(error), **whiskers)
    ax.axvline(0, color=INK, linewidth=0.7)
    ax.margins(x=0.02)
    ax.set_xlabel("share of rank change explained")
    return [Patch(color=RISE, label="more of it: rises"), Patch(color=FALL, label="more of it: falls")]


def _pairs(ax: Axes, explanation: ExplanationData, order: NDArray[np.int64], objective: int) -> None:
    """What a metric loses without each feature, hollow at the first trade-off and full at the second."""
    dress(ax)
    rows = np.arange(len(order))
    before, after = explanation.importances[order][:, :, objective].T
    errors = explanation.importance_errors[order][:, :, objective].T
    ax.grid(visible=True, axis="y", color=GRID, linewidth=0.5)
    ax.hlines(rows, before, after, color=INK, linewidth=1.1, zorder=2)
    dot: Style = {"marker": "o", "markersize": 4.5, "markeredgecolor": INK, "linestyle": "none", "zorder": 3}
    for values, error, face in ((before, errors[0], "white"), (after, errors[1], INK)):
        bars: Style = {"fmt": "none", "ecolor": INK, "elinewidth": 0.6, "alpha": 0.35, "zorder": 1}
        ax.errorbar(values, rows, xerr=np.nan_to_num(error), **bars)
        ax.plot(values, rows, markerfacecolor=face, markeredgewidth=0.9, **dot)
    ax.axvline(0, color=INK, linewidth=0.7, zorder=0.5)
    ax.locator_params(axis="x", nbins=4)
    ax.spines["left"].set_visible(False)
    ax.set_xlabel(f"loss of {explanation.objectives[objective]}\n({explanation.metric})")


def _spelled(explanation: ExplanationData, weights: NDArray[np.float64]) -> str:
    """A trade-off in a legend: what weighs something."""
    pairs = zip(explanation.objectives, weights, strict=True)
    return "at " + ", ".join(f"{name} {weight:.2g}" for name, weight in pairs if weight > 0)
