"""Fronts of many objectives in parallel coordinates: an axis for each, a line for each trade-off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from hyperrank.plots.planes import Picture, Shade, name_of
from hyperrank.plots.style import ACCENT, DASHES, FAINT, INK, Style, canvas, legend_below

if TYPE_CHECKING:
    from hyperrank.front import ParetoFront

__all__ = ["draw_parallel"]

WIDTH = 7.0
#: Height of a lone panel, and of each of several, as shares of the width.
LONE, EACH = 0.42, 0.27
#: Inches that a panel needs, however narrow.
LEAST = 1.4
#: Room beyond the lowest and the highest value of an axis, as a share of what lies between.
ROOM = 0.06


class Scales:
    """What is at the bottom and at the top of each axis, common to all fronts."""

    def __init__(self, picture: Picture) -> None:
        names, selection = picture.objectives, picture.selection
        rows = [front.points[names].to_numpy() for front in (picture.front, *picture.others)]
        rows += [
            front.reference[names].to_numpy()[None]
            for front in (picture.front, *picture.others)
            if front.reference is not None
        ]
        if selection is not None:
            rows.append(selection.limits.reindex(names).to_numpy()[None])
            if picture.interval is not None:
                rows.append(selection.interval(picture.interval).loc[names].to_numpy().T)
        values = np.concatenate(rows)
        low, high = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
        room = np.where(high > low, ROOM * (high - low), 0.5)
        self.low, self.high = low - room, high + room

    def heights(self, values: Any) -> NDArray[np.float64]:
        """Values as shares of their axes."""
        found = (np.asarray(values, dtype=np.float64) - self.low) / (self.high - self.low)
        return np.asarray(found)

    def ticks(self, axis: int) -> list[tuple[float, str]]:
        """Heights of an axis's ticks, and what stands there."""
        low, high = self.low[axis], self.high[axis]
        found = MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
        at = [float(value) for value in found if low <= value <= high]
        digits = max(0, int(np.ceil(-np.log10(at[1] - at[0])))) if len(at) > 1 else 3
        digits += any(abs(round(value, digits) - value) > 1e-9 for value in at)
        return [((value - low) / (high - low), f"{value:.{digits}f}") for value in at]


def draw_parallel(picture: Picture, ax: Axes | None) -> tuple[Figure, list[Axes]]:
    """A panel for each front, on the same axes."""
    fronts = [picture.front, *picture.others]
    shape = LONE if len(fronts) == 1 else 0.12 + EACH * len(fronts)
    scales = Scales(picture)
    axes: list[Axes] = []
    with canvas(ax, picture.width, WIDTH, shape, least=LEAST * (len(fronts) + 0.5)) as place:
        if len(fronts) == 1:
            axes.append(place.single())
        else:
            grid = place.grid(len(fronts), 1)
            axes += [place.figure.add_subplot(grid[row, 0]) for row in range(len(fronts))]
        handles: list[Line2D] = []
        for number, (panel, front) in enumerate(zip(axes, fronts, strict=True)):
            _coordinates(panel, picture, scales, names=number == 0)
            shade = Shade(front, picture.color_by)
            lines = _lines(panel, front, picture.objectives, scales, shade)
            if front.reference is not None:
                handles += _reference(panel, scales.heights(front.reference[picture.objectives]))
            if number == 0:
                shown, mapped = shade, lines
                handles += _selected(panel, picture, scales)
            if len(fronts) > 1:
                panel.set_ylabel(name_of(front, number or None), labelpad=26)
        if not all(front.non_dominated.all() for front in fronts):
            handles.append(Line2D([], [], color=FAINT, linewidth=0.8, label="dominated"))
        shown.bar(place.figure, mapped, ax=axes, pad=0.01, aspect=18 * len(fronts) ** 0.7)
        once = {str(handle.get_label()): handle for handle in handles}
        legend_below(place, axes[-1], list(once.values()), is_full=True)
    return place.figure, axes


def _coordinates(ax: Axes, picture: Picture, scales: Scales, *, names: bool) -> None:
    """The axes of the objectives, upright, with their own ticks."""
    halo = [withStroke(linewidth=2.2, foreground="white")]
    m = len(picture.objectives)
    ax.set_xlim(-0.02 - 0.1 * (m > 1), m - 1 + 0.06)
    ax.set_ylim(0, 1)
    ax.spines[:].set_visible(False)
    ax.set_yticks([])
    ax.xaxis.tick_top()
    ax.tick_params(axis="x", length=0, pad=4)
    labels = [
        f"{name}\n({picture.front.metric})" if j == 0 else name for j, name in enumerate(picture.objectives)
    ]
    ax.set_xticks(range(m), labels if names else [])
    letters = float(ax.xaxis.label.get_fontsize()) - 1.5
    for axis in range(m):
        ax.plot([axis, axis], [0, 1], color=INK, linewidth=0.8, zorder=3, clip_on=False)
        for height, text in scales.ticks(axis):
            ax.plot([axis - 0.015, axis], [height, height], color=INK, linewidth=0.7, zorder=3)
            label = ax.text(axis - 0.03, height, text, ha="right", va="center", fontsize=letters, color=INK)
            label.set(path_effects=halo, zorder=5)


def _lines(
    ax: Axes, front: ParetoFront, objectives: list[str], scales: Scales, shade: Shade
) -> LineCollection:
    """Trade-offs as lines; returns those that count, in the colours of their weights."""
    heights = scales.heights(front.points[objectives])
    across = np.broadcast_to(np.arange(len(objectives), dtype=np.float64), heights.shape)
    lines = np.stack([across, heights], axis=2)
    kept = front.non_dominated
    ax.add_collection(LineCollection(list(lines[~kept]), colors=FAINT, linewidths=0.6, zorder=1))
    order = np.flatnonzero(kept)[np.argsort(shade.values[kept], kind="stable")]
    options = shade.options()
    found = LineCollection(
        list(lines[order]),
        array=shade.values[order],
        cmap=options["cmap"],
        linewidths=1.1,
        alpha=0.9,
        zorder=2,
    )
    found.set_clim(0.0, 1.0)
    ax.add_collection(found)
    return found


def _reference(ax: Axes, heights: NDArray[np.float64]) -> list[Line2D]:
    """The reference ranker as a dashed line."""
    look: Style = {"color": INK, "linestyle": DASHES, "linewidth": 1.4}
    ax.plot(range(len(heights)), heights, zorder=4, **look)
    return [Line2D([], [], label="reference", **look)]


def _selected(ax: Axes, picture: Picture, scales: Scales) -> list[Line2D]:
    """The selected trade-off, its limits and, if wanted, where its values may lie."""
    selection, names = picture.selection, picture.objectives
    if selection is None:
        return []
    look: Style = {"color": ACCENT, "linewidth": 1.8}
    dots: Style = {"marker": "o", "markersize": 4, "markerfacecolor": "white", "markeredgewidth": 1.3}
    ax.plot(range(len(names)), scales.heights(selection.values[names]), zorder=6, **look, **dots)
    handles = [Line2D([], [], label="selected", **look, **dots)]
    if picture.interval is not None:
        bounds = selection.interval(picture.interval).loc[names].to_numpy().T
        for axis, ends in enumerate(scales.heights(bounds).T):
            ax.plot([axis, axis], ends, color=ACCENT, linewidth=3.5, alpha=0.35, zorder=5)
        label = f"{picture.interval:.0%} interval"
        handles.append(Line2D([], [], color=ACCENT, linewidth=3.5, alpha=0.35, label=label))
    limits = scales.heights(selection.limits.reindex(names).to_numpy())
    bar: Style = {"marker": "_", "color": ACCENT, "markersize": 11, "markeredgewidth": 2, "linestyle": "none"}
    if len(selection.limits):
        ax.plot(range(len(names)), limits, zorder=5, **bar)
        handles.append(Line2D([], [], label="limit", **bar))
    return handles
