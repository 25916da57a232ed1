"""Fronts in the plane: one objective as a strip, two as a plane, more as every pair of them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from hyperrank.metrics import non_dominated
from hyperrank.plots.style import (
    ACCENT,
    DASHES,
    FAINT,
    INK,
    RIVAL_STYLES,
    Canvas,
    Style,
    blue_to_yellow,
    canvas,
    dress,
    legend_below,
    mark,
)
from hyperrank.tradeoff import Selection

if TYPE_CHECKING:
    from hyperrank.front import ParetoFront

__all__ = ["Picture", "Shade", "draw_pairs", "draw_plane", "draw_strip", "name_of"]

#: Inches of a plane, of a strip, and of the triangle of pairs.
PLANE_WIDTH, STRIP_WIDTH, PAIRS_WIDTH = 5.0, 5.0, 7.0
DOTTED = (0, (1, 2))


@dataclass(frozen=True)
class Picture:
    """What is to be drawn, checked: a front, its rivals, a selection, and how."""

    front: ParetoFront
    objectives: list[str]
    others: list[ParetoFront]
    selection: Selection | None
    color_by: str
    width: float | str | None
    interval: float | None

    def rivals(self) -> list[tuple[int, ParetoFront, str, str]]:
        """Number, front, colour and marker of each rival."""
        styles = zip(self.others, cycle(RIVAL_STYLES), strict=False)
        return [(n, other, color, marker) for n, (other, (color, marker)) in enumerate(styles, start=1)]


class Shade:
    """Colour of trade-offs by the weight of one objective."""

    def __init__(self, front: ParetoFront, objective: str) -> None:
        weights = front.weights[objective].to_numpy()
        self.label = f"weight of {objective}"
        self.varies = bool(np.ptp(weights) > 0)
        self.values: NDArray[np.float64] = weights if self.varies else np.full(len(front), 0.5)

    def options(self) -> Style:
        """For matplotlib's scatter and collections."""
        return {"cmap": blue_to_yellow(), "vmin": 0.0, "vmax": 1.0}

    def bar(self, figure: Figure, dots: Any, **where: Any) -> None:
        """A colour bar, where colours say something."""
        if not self.varies:
            return
        bar = figure.colorbar(dots, ticks=[0, 0.5, 1], **where)
        bar.set_label(self.label)
        bar.outline.set_visible(False)
        bar.ax.tick_params(length=2)


def draw_strip(picture: Picture, ax: Axes | None) -> tuple[Figure, list[Axes]]:
    """One objective: a row of points for each front."""
    front, objective, others = picture.front, picture.objectives[0], picture.others
    shade = Shade(front, picture.color_by)
    with canvas(ax, picture.width, STRIP_WIDTH, 0.3 + 0.06 * len(others)) as place:
        panel = place.single()
        dress(panel)
        dots = _dots(panel, front.points[objective].to_numpy(), np.zeros(len(front)), shade)
        names = [name_of(front)]
        for number, other, color, marker in picture.rivals():
            _rival_dots(panel, other, [objective], number, color, marker)
            names.append(name_of(other, number))
        handles = []
        if front.reference is not None:
            panel.axvline(front.reference[objective], color=INK, linestyle=DASHES, linewidth=1.0, zorder=1)
            handles.append(Line2D([], [], color=INK, linestyle=DASHES, linewidth=1.0, label="reference"))
        handles += _selected(panel, picture, [objective])
        panel.set_yticks(range(len(names)), names)
        panel.set_ylim(len(names) - 0.5, -0.5)
        panel.set_xlabel(_axis_label(front, objective))
        panel.grid(visible=False, axis="y")
        shade.bar(place.figure, dots, ax=panel, pad=0.02)
        legend_below(place, panel, handles)
    return place.figure, [panel]


def draw_plane(picture: Picture, ax: Axes | None) -> tuple[Figure, list[Axes]]:
    """Two objectives: one panel, its colour bar at the right and its legend below."""
    front, (x, y) = picture.front, picture.objectives
    with canvas(ax, picture.width, PLANE_WIDTH, 0.8) as place:
        panel = place.single()
        shade = Shade(front, picture.color_by)
        dots, handles = _panel(panel, picture, [x, y], shade)
        panel.set_xlabel(_axis_label(front, x))
        panel.set_ylabel(_axis_label(front, y))
        shade.bar(place.figure, dots, ax=panel, pad=0.02, aspect=30)
        legend_below(place, panel, handles if len(handles) > 1 else [])
    return place.figure, [panel]


def draw_pairs(picture: Picture, ax: Axes | None) -> tuple[Figure, list[Axes]]:
    """A triangle of panels, its legend and colour bar in the empty corner."""
    front, names = picture.front, picture.objectives
    side = len(names) - 1
    if side == 1:
        return draw_plane(picture, ax)
    shade = Shade(front, picture.color_by)
    axes: list[Axes] = []
    with canvas(ax, picture.width, PAIRS_WIDTH + 1.5 * max(0, side - 2), 0.9) as place:
        grid = place.grid(side, side)
        panels: dict[tuple[int, int], Axes] = {}
        for row in range(side):
            for column in range(row + 1):
                shared = {"sharex": panels.get((row - 1, column)), "sharey": panels.get((row, 0))}
                panel = panels[row, column] = place.figure.add_subplot(grid[row, column], **shared)
                axes.append(panel)
                dots, handles = _panel(panel, picture, [names[column], names[row + 1]], shade)
                if row == side - 1:
                    panel.set_xlabel(_axis_label(front, names[column]))
                if column == 0:
                    panel.set_ylabel(_axis_label(front, names[row + 1]))
                panel.label_outer()
        _corner(place, grid[0, 1:], shade, dots, handles, wide=side == 2)
    return place.figure, axes


def _corner(
    place: Canvas, where: Any, shade: Shade, dots: PathCollection, handles: list[Line2D], *, wide: bool
) -> None:
    """The place that a triangle leaves free: what things mean."""
    corner = place.figure.add_subplot(where)
    corner.set_axis_off()
    corner.legend(handles=handles, loc="upper left", frameon=False, borderaxespad=0)
    if shade.varies:
        bar = corner.inset_axes((0.04, 0.16, 0.8 if wide else 0.5, 0.05))
        shade.bar(place.figure, dots, cax=bar, orientation="horizontal")


def _panel(ax: Axes, picture: Picture, pair: list[str], shade: Shade) -> tuple[PathCollection, list[Line2D]]:
    """One plane of two objectives; returns the coloured points and the legend's handles."""
    front = picture.front
    points = front.points[pair].to_numpy()
    x, y = points.T
    kept = front.non_dominated
    dress(ax)
    middle = blue_to_yellow()(0.5)
    style: Style = {"marker": "o", "markerfacecolor": middle, "markeredgecolor": "white", "markersize": 6}
    handles = [Line2D([], [], color=INK, linewidth=1.0, label=name_of(front), **style)]
    if not kept.all():
        handles.append(mark("o", FAINT, 4, "dominated"))
    for number, other, color, marker in picture.rivals():
        _steps(ax, other.points[pair].to_numpy(), color, 0.55)
        _rival_dots(ax, other, pair, number, color, marker)
        style = {"marker": marker, "markerfacecolor": "white", "markeredgecolor": color, "markersize": 4.5}
        handles.append(Line2D([], [], color=color, linewidth=1.0, label=name_of(other, number), **style))
    _steps(ax, points, INK, 0.75)
    ax.scatter(x[~kept], y[~kept], s=10, color=FAINT, linewidths=0, zorder=2)
    dots = _dots(ax, x[kept], y[kept], shade, kept)
    if front.reference is not None:
        handles.append(_reference(ax, *front.reference[pair]))
    handles += _selected(ax, picture, pair)
    return dots, handles


def _dots(ax: Axes, x: Any, y: Any, shade: Shade, kept: Any = slice(None)) -> PathCollection:
    """The front's own points, coloured."""
    look: Style = {"s": 26, "edgecolors": "white", "linewidths": 0.6, "zorder": 4}
    return ax.scatter(x, y, c=shade.values[kept], **look, **shade.options())


def _steps(ax: Axes, points: NDArray[np.float64], color: str, alpha: float) -> None:
    """Bound what the points dominate within their plane."""
    edge = points[non_dominated(points)]
    edge = edge[np.argsort(edge[:, 0])]
    ax.step(*edge.T, where="pre", color=color, alpha=alpha, linewidth=0.9, zorder=1.5)


def _rival_dots(
    ax: Axes, other: ParetoFront, objectives: list[str], number: int, color: str, marker: str
) -> None:
    """Hollow marks, at height `number` if there is one objective only; dominated ones are faint."""
    x = other.points[objectives[0]].to_numpy()
    y = other.points[objectives[1]].to_numpy() if len(objectives) == 2 else np.full(len(other), float(number))
    for where, alpha in ((other.non_dominated, 1.0), (~other.non_dominated, 0.3)):
        style: Style = {"marker": marker, "facecolors": "white", "edgecolors": color, "alpha": alpha}
        ax.scatter(x[where], y[where], s=14, linewidths=0.9, zorder=3, **style)


def _reference(ax: Axes, x: float, y: float) -> Line2D:
    """Mark the reference ranker, with lines that show what beats it."""
    for line, at in ((ax.axvline, x), (ax.axhline, y)):
        line(at, color=INK, linestyle=(0, (1, 3)), linewidth=0.8, alpha=0.7, zorder=1)
    ax.plot(x, y, "*", color=INK, markersize=11, markeredgecolor="white", markeredgewidth=0.7, zorder=5)
    return mark("*", INK, 9, "reference")


def _selected(ax: Axes, picture: Picture, objectives: list[str]) -> list[Line2D]:
    """Mark the selected trade-off, its limits and, if wanted, where its values may lie."""
    selection = picture.selection
    if selection is None:
        return []
    x = selection.values[objectives[0]]
    y = selection.values[objectives[1]] if len(objectives) == 2 else 0.0
    ring: Style = {"markerfacecolor": "none", "markeredgecolor": ACCENT, "markeredgewidth": 1.5}
    ax.plot(x, y, "o", markersize=9, zorder=6, linestyle="none", **ring)
    handles = [mark("o", ACCENT, 7.5, "selected", **ring)]
    lines = [ax.axvline, ax.axhline][: len(objectives)]
    limited = [(line, name) for line, name in zip(lines, objectives, strict=True) if name in selection.limits]
    look: Style = {"color": ACCENT, "linestyle": DOTTED, "linewidth": 1.2}
    for line, name in limited:
        line(selection.limits[name], zorder=1.2, **look)
    if len(selection.limits):
        handles.append(Line2D([], [], label="limit", **look))
    if picture.interval is not None:
        bounds = selection.interval(picture.interval)
        for row, name in enumerate(objectives):
            low, high = bounds.loc[name]
            ends = ([low, high], [y, y]) if row == 0 else ([x, x], [low, high])
            ax.plot(*ends, color=ACCENT, linewidth=1.0, zorder=5.5, solid_capstyle="butt")
        handles.append(Line2D([], [], color=ACCENT, linewidth=1.0, label=f"{picture.interval:.0%} interval"))
    return handles


def name_of(front: ParetoFront, number: int | None = None) -> str:
    """What to call a front."""
    return front.label or ("front" if number is None else f"other {number}")


def _axis_label(front: ParetoFront, objective: str) -> str:
    return f"{objective} ({front.metric})"
