"""Picture of training: curves by epoch, and the tuning as curves by reward scale."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from hyperrank.plots._style import ACCENT, DASHES, Style, blue_to_yellow, canvas, dress, mark

if TYPE_CHECKING:
    from hyperrank.plots.displays import TrainingDisplay

__all__ = ["draw_training"]

#: Inches of the curves alone, and with the tuning beside.
WIDTH, WITH_TUNING = 4.6, 7.0
BLUE = "#0072B2"
RING: Style = {"markerfacecolor": "none", "markeredgecolor": ACCENT, "markeredgewidth": 1.5}


def draw_training(
    display: TrainingDisplay, ax: Axes | None, *, tuning: bool, width: float | str | None
) -> tuple[Figure, list[Axes]]:
    """Loss above, hypervolume below it on the same epochs, the tuning at the right."""
    scored = [entry for entry in display.history if "score" in entry]
    rows, columns = 1 + bool(scored), 1 + tuning
    shape = (0.52 if tuning else 0.62) if rows == 1 else (0.6 if tuning else 0.85)
    with canvas(ax, width, WITH_TUNING if tuning else WIDTH, shape) as place:
        if rows == columns == 1:
            axes = [place.single()]
        else:
            grid = place.grid(rows, columns)
            axes = [place.figure.add_subplot(grid[0, 0])]
            if scored:
                axes.append(place.figure.add_subplot(grid[1, 0], sharex=axes[0]))
                axes[0].tick_params(labelbottom=False)
        _curve(axes[0], display, "loss", "loss")
        if scored:
            _curve(axes[1], display, "score", "validation hypervolume")
        _epochs(axes, display)
        if tuning:
            axes.append(place.figure.add_subplot(grid[:, 1]))
            _tuning(axes[-1], display)
        if display.name is not None:
            axes[0].set_title(display.name, loc="left")
    return place.figure, axes


def _curve(ax: Axes, display: TrainingDisplay, key: str, label: str) -> None:
    """One value by epoch; the score of the best epoch is ringed."""
    entries = [entry for entry in display.history if key in entry]
    x, y = [entry["epoch"] for entry in entries], [entry[key] for entry in entries]
    dress(ax)
    ax.plot(x, y, color=BLUE, linewidth=1.4, marker="o", markersize=3, markeredgewidth=0)
    ax.set_ylabel(label)
    best = [value for epoch, value in zip(x, y, strict=True) if epoch == display.best_epoch]
    if key == "score" and best and display.best_epoch is not None:
        ax.plot(display.best_epoch, best[0], "o", markersize=8, linestyle="none", zorder=4, **RING)


def _epochs(axes: list[Axes], display: TrainingDisplay) -> None:
    """The axis of the epochs, with the best one marked."""
    bottom = axes[-1]
    bottom.set_xlabel("epoch")
    bottom.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
    if display.best_epoch is None:
        return
    for ax in axes:
        ax.axvline(display.best_epoch, color=ACCENT, linestyle=DASHES, linewidth=1.0, zorder=1)
    handle = Line2D(
        [], [], color=ACCENT, linestyle=DASHES, linewidth=1.0, label=f"best: {display.best_epoch}"
    )
    axes[0].legend(handles=[handle], loc="best", frameon=False)


def _tuning(ax: Axes, display: TrainingDisplay) -> None:
    """Utility on held-out queries by reward scale, a curve for each number of epochs; the network alone."""
    dress(ax)
    curves: dict[tuple[float, float], dict[float, float]] = {}
    for entry in display.candidates:
        curve = curves.setdefault((entry["dropout"], entry["epochs"]), {})
        curve[entry["reward_scale_factor"]] = entry["utility"]
    scales = sorted({scale for curve in curves.values() for scale in curve if np.isfinite(scale)})
    alone = 4 * scales[-1] if scales else 1.0
    colors = blue_to_yellow()(np.linspace(0.0, 0.9, len(curves)))
    for ((dropout, epochs), curve), color in zip(curves.items(), colors, strict=True):
        line = sorted((scale, utility) for scale, utility in curve.items() if np.isfinite(scale))
        x, y = [scale for scale, _ in line], [utility for _, utility in line]
        label = f"{epochs:.0f} epochs, dropout {dropout:.2g}"
        ax.plot(x, y, color=color, linewidth=1.4, marker="o", markersize=3, label=label)
        if np.inf in curve:
            ax.plot(alone, curve[np.inf], marker="D", color=color, markersize=4, linestyle="none")
        if display.chosen is not None and dropout == display.chosen[0]:
            scale = display.chosen[1] if display.chosen[1] in curve else np.inf
            ax.plot(min(scale, alone), curve[scale], "o", markersize=8, linestyle="none", zorder=4, **RING)
    ax.set_xscale("log", base=2)
    ax.set_xticks([*scales, alone], [*(f"{scale:g}" for scale in scales), "network\nalone"])
    ax.minorticks_off()
    ax.set_xlabel("reward scale, times the default")
    ax.set_ylabel("utility on held-out queries")
    named = ax.get_legend_handles_labels()[0]
    ax.legend(handles=[*named, mark("o", ACCENT, 7, "chosen", **RING)], frameon=False)
