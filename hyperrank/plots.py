"""Pictures of fronts; imported only when something is drawn, since matplotlib is an extra."""

from __future__ import annotations

from io import BytesIO
from itertools import cycle
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import Colormap, ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from hyperrank.metrics import non_dominated
from hyperrank.tradeoff import Selection, known

if TYPE_CHECKING:
    from hyperrank.front import ParetoFront

__all__ = ["draw_front"]

#: Rivals' colours (after Okabe & Ito, distinct to colour-blind eyes) and markers.
RIVAL_STYLES = (
    ("#D55E00", "s"),
    ("#CC79A7", "^"),
    ("#E69F00", "D"),
    ("#7F7F7F", "v"),
    ("#A6761D", "P"),
    ("#000000", "X"),
)
Style = dict[str, Any]

INK = "#222222"
FAINT = "#B8B8B8"


class FrontFigure(Figure):
    """A figure that notebooks show although pyplot does not know it."""

    def _repr_png_(self) -> bytes:
        buffer = BytesIO()
        self.savefig(buffer, format="png")
        return buffer.getvalue()


def draw_front(
    front: ParetoFront,
    objectives: list[str],
    ax: Axes | None,
    others: list[ParetoFront],
    selection: Selection | None,
    color_by: str | None,
) -> Figure:
    """Draw a front; see `hyperrank.front.ParetoFront.plot`."""
    _check(front, objectives, ax, others, color_by)
    shade = _Shade(front, color_by or objectives[0])
    if len(objectives) == 1:
        return _strip(front, objectives[0], ax, others, selection, shade)
    if len(objectives) == 2:
        return _plane(front, objectives, ax, others, selection, shade)
    return _pairs(front, objectives, others, selection, shade)


def _check(
    front: ParetoFront,
    objectives: list[str],
    ax: Axes | None,
    others: list[ParetoFront],
    color_by: str | None,
) -> None:
    known(objectives, front.points.columns, "objectives")
    known([] if color_by is None else [color_by], front.points.columns, "color_by")
    if not objectives or len(set(objectives)) < len(objectives):
        raise ValueError(f"objectives must name at least one objective, each once; got {objectives}.")
    if ax is not None and len(objectives) > 2:
        raise ValueError(
            f"ax takes one or two objectives, not {len(objectives)}: pass objectives=[..., ...]."
        )
    for other in others:
        known(objectives, other.points.columns, "objectives (for others)")
        if other.metric != front.metric:
            raise ValueError(f"others must share the metric {front.metric!r}; got {other.metric!r}.")


class _Shade:
    """Colour of points by the weight of one objective."""

    def __init__(self, front: ParetoFront, objective: str) -> None:
        weights = front.weights[objective].to_numpy()
        self.label = f"weight of {objective}"
        self.varies = bool(np.ptp(weights) > 0)
        self.values = weights if self.varies else np.full(len(front), 0.5)

    def options(self) -> Style:
        return {"cmap": _blue_to_yellow(), "vmin": 0.0, "vmax": 1.0}


def _blue_to_yellow() -> Colormap:
    """Viridis without its palest tenth, which is lost on white."""
    return ListedColormap(mpl.colormaps["viridis"](np.linspace(0.0, 0.92, 256)), name="front")


def _strip(
    front: ParetoFront,
    objective: str,
    ax: Axes | None,
    others: list[ParetoFront],
    selection: Selection | None,
    shade: _Shade,
) -> Figure:
    """One objective: a row of points for each front."""
    figure, ax = _figure_and_axes(ax, (6.4, 1.9 + 0.45 * len(others)))
    _dress(ax)
    rows = np.zeros(len(front))
    dots = ax.scatter(
        front.points[objective],
        rows,
        c=shade.values,
        s=64,
        edgecolors="white",
        linewidths=0.8,
        zorder=3,
        **shade.options(),
    )
    names = [_name(front)]
    for number, (other, (color, marker)) in enumerate(zip(others, cycle(RIVAL_STYLES)), start=1):
        _rival_dots(ax, other, [objective], number, color, marker)
        names.append(_name(other, number))
    handles = []
    if front.reference is not None:
        ax.axvline(front.reference[objective], color=INK, linestyle=(0, (4, 3)), linewidth=1.2, zorder=1)
        handles.append(Line2D([], [], color=INK, linestyle=(0, (4, 3)), linewidth=1.2, label="reference"))
    if selection is not None:
        handles.append(_ring(ax, selection.values[objective], 0.0))
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set_xlabel(_axis_label(front, objective))
    ax.grid(visible=False, axis="y")
    _colorbar(figure, dots, shade, ax=ax)
    _legend(figure, ax, handles)
    return figure


def _plane(
    front: ParetoFront,
    objectives: list[str],
    ax: Axes | None,
    others: list[ParetoFront],
    selection: Selection | None,
    shade: _Shade,
) -> Figure:
    """Two objectives: one panel, its colour bar at the right and its legend below."""
    figure, ax = _figure_and_axes(ax, (6.4, 4.8))
    dots, handles = _panel(ax, front, objectives, others, selection, shade)
    ax.set_xlabel(_axis_label(front, objectives[0]))
    ax.set_ylabel(_axis_label(front, objectives[1]))
    _colorbar(figure, dots, shade, ax=ax)
    _legend(figure, ax, handles if len(handles) > 1 else [])
    return figure


def _pairs(
    front: ParetoFront,
    objectives: list[str],
    others: list[ParetoFront],
    selection: Selection | None,
    shade: _Shade,
) -> Figure:
    """Three objectives and more: a triangle of panels, its legend and colour bar in the empty corner."""
    side = len(objectives) - 1
    size = 1.2 + (3.0 if side == 2 else 2.3) * side
    figure = FrontFigure(figsize=(size, size), dpi=150, layout="constrained")
    grid = figure.subplots(side, side, squeeze=False, sharex="col", sharey="row")
    for row in range(side):
        for column in range(side):
            panel = grid[row, column]
            if column > row:
                panel.remove()
                continue
            pair = [objectives[column], objectives[row + 1]]
            dots, handles = _panel(panel, front, pair, others, selection, shade)
            if row == side - 1:
                panel.set_xlabel(_axis_label(front, pair[0]))
            if column == 0:
                panel.set_ylabel(_axis_label(front, pair[1]))
            panel.label_outer()
    corner = figure.add_subplot(grid[0, 0].get_subplotspec().get_gridspec()[0, 1:])
    corner.set_axis_off()
    corner.legend(handles=handles, loc="upper left", frameon=False, fontsize=10, borderaxespad=0)
    if shade.varies:
        bar = corner.inset_axes((0.04, 0.16, 0.8 if side == 2 else 0.5, 0.055))
        _colorbar(figure, dots, shade, cax=bar, orientation="horizontal")
    return figure


def _panel(
    ax: Axes,
    front: ParetoFront,
    pair: list[str],
    others: list[ParetoFront],
    selection: Selection | None,
    shade: _Shade,
) -> tuple[PathCollection, list[Line2D]]:
    """One plane of two objectives; returns the coloured points and the legend's handles."""
    points = front.points[pair].to_numpy()
    x, y = points.T
    kept = front.non_dominated
    handles: list[Line2D] = []
    for number, (other, (color, marker)) in enumerate(zip(others, cycle(RIVAL_STYLES)), start=1):
        _steps(ax, other.points[pair].to_numpy(), color, 0.55)
        _rival_dots(ax, other, pair, number, color, marker)
        style: Style = {
            "marker": marker,
            "markerfacecolor": "white",
            "markeredgecolor": color,
            "markersize": 6,
        }
        handles.append(Line2D([], [], color=color, linewidth=1.2, label=_name(other, number), **style))
    _steps(ax, points, INK, 0.75)
    ax.scatter(x[~kept], y[~kept], s=22, color=FAINT, linewidths=0, zorder=2)
    dots = ax.scatter(
        x[kept],
        y[kept],
        c=shade.values[kept],
        s=52,
        edgecolors="white",
        linewidths=0.8,
        zorder=4,
        **shade.options(),
    )
    middle = _blue_to_yellow()(0.5)
    style = {"marker": "o", "markerfacecolor": middle, "markeredgecolor": "white", "markersize": 8}
    handles.insert(0, Line2D([], [], color=INK, linewidth=1.2, label=_name(front), **style))
    if not kept.all():
        handles.insert(1, _mark("o", FAINT, 5, "dominated"))
    if front.reference is not None:
        handles.append(_reference(ax, *front.reference[pair]))
    if selection is not None:
        handles.append(_ring(ax, *selection.values[pair]))
    _dress(ax)
    return dots, handles


def _steps(ax: Axes, points: NDArray[np.float64], color: str, alpha: float) -> None:
    """Bound what the points dominate within their plane."""
    edge = points[non_dominated(points)]
    edge = edge[np.argsort(edge[:, 0])]
    ax.step(*edge.T, where="pre", color=color, alpha=alpha, linewidth=1.2, zorder=1.5)


def _rival_dots(
    ax: Axes, other: ParetoFront, objectives: list[str], number: int, color: str, marker: str
) -> None:
    """Hollow marks, at height `number` if there is one objective only; dominated ones are faint."""
    x = other.points[objectives[0]].to_numpy()
    y = other.points[objectives[1]].to_numpy() if len(objectives) == 2 else np.full(len(other), float(number))
    for where, alpha in ((other.non_dominated, 1.0), (~other.non_dominated, 0.35)):
        style: Style = {"marker": marker, "facecolors": "white", "edgecolors": color, "alpha": alpha}
        ax.scatter(x[where], y[where], s=30, linewidths=1.3, zorder=3, **style)


def _reference(ax: Axes, x: float, y: float) -> Line2D:
    """Mark the reference ranker, with lines that show what beats it."""
    for line, at in ((ax.axvline, x), (ax.axhline, y)):
        line(at, color=INK, linestyle=(0, (1, 3)), linewidth=1.0, alpha=0.7, zorder=1)
    ax.plot(x, y, "*", color=INK, markersize=15, markeredgecolor="white", markeredgewidth=0.9, zorder=5)
    return _mark("*", INK, 12, "reference")


def _ring(ax: Axes, x: float, y: float) -> Line2D:
    """Mark the selected trade-off."""
    style: Style = {"markerfacecolor": "none", "markeredgecolor": "#D62728", "markeredgewidth": 2.0}
    ax.plot(x, y, "o", markersize=13, zorder=6, **style)
    handle = _mark("o", "#D62728", 10, "selected")
    handle.set(**style)
    return handle


def _mark(marker: str, color: str, size: float, label: str) -> Line2D:
    return Line2D(
        [],
        [],
        linestyle="none",
        marker=marker,
        color=color,
        markersize=size,
        label=label,
        markeredgecolor="none",
    )


def _name(front: ParetoFront, number: int | None = None) -> str:
    return front.label or ("front" if number is None else f"other {number}")


def _axis_label(front: ParetoFront, objective: str) -> str:
    return f"{objective} ({front.metric})"


def _figure_and_axes(ax: Axes | None, size: tuple[float, float]) -> tuple[Figure, Axes]:
    if ax is not None:
        return ax.figure.figure, ax
    figure = FrontFigure(figsize=size, dpi=150, layout="constrained")
    return figure, figure.add_subplot()


def _dress(ax: Axes) -> None:
    """Quiet frame, readable ticks, and no offset notation."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(visible=True, color="#E6E6E6", linewidth=0.8)
    ax.set_axisbelow(True)
    ax.tick_params(labelsize=10, color=INK)
    ax.locator_params(nbins=5)
    ax.ticklabel_format(useOffset=False)
    ax.margins(0.08)
    ax.xaxis.label.set_fontsize(11)
    ax.yaxis.label.set_fontsize(11)


def _colorbar(figure: Figure, dots: PathCollection, shade: _Shade, **where: Any) -> None:
    if not shade.varies:
        return
    bar = figure.colorbar(dots, ticks=[0, 0.5, 1], **where)
    bar.set_label(shade.label, size=10)
    bar.ax.tick_params(labelsize=10)
    bar.outline.set_visible(False)


def _legend(figure: Figure, ax: Axes, handles: list[Line2D]) -> None:
    """Legend below the panel of our own figure; within the axes of a caller's."""
    if not handles:
        return
    if isinstance(figure, FrontFigure):
        figure.legend(
            handles=handles,
            loc="outside lower center",
            ncols=len(handles) if len(handles) <= 4 else 3,
            frameon=False,
            fontsize=10,
        )
    else:
        ax.legend(handles=handles, loc="best", fontsize=10)
