"""Training as curves over epochs, and a trial as curves over pulls."""

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

#: Inches of the curves alone, and with a trial beside.
WIDTH, WITH_TRIAL = 4.6, 7.0
BLUE = "#0072B2"
RING: Style = {"markerfacecolor": "none", "markeredgecolor": ACCENT, "markeredgewidth": 1.5}


def draw_training(
    display: TrainingDisplay, ax: Axes | None, *, trial: bool, width: float | str | None
) -> tuple[Figure, list[Axes]]:
    """Loss above, hypervolume below it on the same epochs, the trial at the right."""
    scored = [entry for entry in display.history if "score" in entry]
    rows, columns = 1 + bool(scored), 1 + trial
    shape = (0.52 if trial else 0.62) if rows == 1 else (0.6 if trial else 0.85)
    with canvas(ax, width, WITH_TRIAL if trial else WIDTH, shape) as place:
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
        if trial:
            axes.append(place.figure.add_subplot(grid[:, 1]))
            _trial(axes[-1], display)
        if display.name is not None:
            axes[0].set_title(display.name, loc="left")
    return place.figure, axes


def _curve(ax: Axes, display: TrainingDisplay, key: str, label: str) -> None:
    """One value by epoch; the score that was kept is ringed."""
    entries = [entry for entry in display.history if key in entry]
    x, y = [entry["epoch"] for entry in entries], [entry[key] for entry in entries]
    dress(ax)
    ax.plot(x, y, color=BLUE, linewidth=1.4, marker="o", markersize=3, markeredgewidth=0)
    ax.set_ylabel(label)
    kept = [value for epoch, value in zip(x, y, strict=True) if epoch == display.best_epoch]
    if key == "score" and kept and display.best_epoch is not None:
        ax.plot(display.best_epoch, kept[0], "o", markersize=8, linestyle="none", zorder=4, **RING)


def _epochs(axes: list[Axes], display: TrainingDisplay) -> None:
    """The axis of the epochs, with the one that was kept."""
    bottom = axes[-1]
    bottom.set_xlabel("epoch")
    bottom.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
    if display.best_epoch is None:
        return
    for ax in axes:
        ax.axvline(display.best_epoch, color=ACCENT, linestyle=DASHES, linewidth=1.0, zorder=1)
    handle = Line2D(
        [], [], color=ACCENT, linestyle=DASHES, linewidth=1.0, label=f"kept: {display.best_epoch}"
    )
    axes[0].legend(handles=[handle], loc="best", frameon=False)


def _trial(ax: Axes, display: TrainingDisplay) -> None:
    """Utility on held-out queries by pull, a curve for each length of training; the network alone."""
    dress(ax)
    rungs: dict[tuple[float, float], dict[float, float]] = {}
    for entry in display.tried:
        rung = rungs.setdefault((entry["dropout"], entry["epochs"]), {})
        rung[entry["pull"]] = entry["utility"]
    pulls = sorted({pull for rung in rungs.values() for pull in rung if np.isfinite(pull)})
    alone = 4 * pulls[-1] if pulls else 1.0
    colors = blue_to_yellow()(np.linspace(0.0, 0.9, len(rungs)))
    for ((dropout, epochs), rung), color in zip(rungs.items(), colors, strict=True):
        line = sorted((pull, utility) for pull, utility in rung.items() if np.isfinite(pull))
        x, y = [pull for pull, _ in line], [utility for _, utility in line]
        label = f"{epochs:.0f} epochs, dropout {dropout:.2g}"
        ax.plot(x, y, color=color, linewidth=1.4, marker="o", markersize=3, label=label)
        if np.inf in rung:
            ax.plot(alone, rung[np.inf], marker="D", color=color, markersize=4, linestyle="none")
        if display.chosen is not None and dropout == display.chosen[0]:
            pull = display.chosen[1] if display.chosen[1] in rung else np.inf
            ax.plot(min(pull, alone), rung[pull], "o", markersize=8, linestyle="none", zorder=4, **RING)
    ax.set_xscale("log", base=2)
    ax.set_xticks([*pulls, alone], [*(f"{pull:g}" for pull in pulls), "network\nalone"])
    ax.minorticks_off()
    ax.set_xlabel("pull, times the default")
    ax.set_ylabel("utility in the trial")
    named = ax.get_legend_handles_labels()[0]
    ax.legend(handles=[*named, mark("o", ACCENT, 7, "chosen", **RING)], frameon=False)
