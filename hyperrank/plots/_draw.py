"""Drawing of displays with matplotlib: fronts, training curves and explanations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from hyperrank.front.selection import FrontData, Selection
from hyperrank.metrics import non_dominated
from hyperrank.plots._style import (
    ACCENT,
    BASELINE_STYLES,
    DASHES,
    FAINT,
    GRID,
    INK,
    Canvas,
    Style,
    blue_to_yellow,
    canvas,
    dress,
    legend_below,
    mark,
)

if TYPE_CHECKING:
    from hyperrank.plots.displays import ExplanationData, TrainingDisplay

#: Inches of a plane, and of the triangle of pairs.
PLANE_WIDTH, PAIRS_WIDTH = 5.0, 7.0
DOTTED = (0, (1, 2))
RING: Style = {"markerfacecolor": "none", "markeredgecolor": ACCENT, "markeredgewidth": 1.5}


@dataclass(frozen=True)
class Picture:
    """Checked input of a picture: a front, its baselines, a selection, and how to draw them."""

    front: FrontData
    objectives: list[str]
    others: Sequence[FrontData]
    selection: Selection | None
    width: float | str | None
    interval: float | None


#: Colours of weights from 0 to 1.
COLORS: Style = {"cmap": blue_to_yellow(), "norm": Normalize(0, 1)}


class Shade:
    """Colour of trade-offs by the weight of one objective."""

    def __init__(self, front: FrontData, objective: str) -> None:
        weights = front.weights[objective].to_numpy()
        self.label = f"weight of {objective}"
        self.varies = bool(np.ptp(weights) > 0)
        self.values: NDArray[np.float64] = weights if self.varies else np.full(len(front), 0.5)

    def bar(self, figure: Figure, **where: Any) -> None:
        """A colour bar, where colours say something."""
        if not self.varies:
            return
        bar = figure.colorbar(ScalarMappable(**COLORS), ticks=[0, 0.5, 1], **where)
        bar.set_label(self.label)
        bar.outline.set_visible(False)
        bar.ax.tick_params(length=2)


def draw_plane(picture: Picture, ax: Axes | None) -> tuple[Figure, list[Axes]]:
    """Two objectives: one panel, its colour bar at the right and its legend below."""
    front, (x, y) = picture.front, picture.objectives
    with canvas(ax, picture.width, PLANE_WIDTH, 0.8) as place:
        (panel,) = place.panels(1, 1)
        shade = Shade(front, picture.objectives[0])
        handles = _panel(panel, picture, [x, y], shade)
        panel.set_xlabel(_axis_label(front, x))
        panel.set_ylabel(_axis_label(front, y))
        shade.bar(place.figure, ax=panel, pad=0.02, aspect=30)
        legend_below(place, panel, handles if len(handles) > 1 else [])
    return place.figure, [panel]


def draw_pairs(picture: Picture, ax: Axes | None) -> tuple[Figure, list[Axes]]:
    """A triangle of panels, its legend and colour bar in the empty corner."""
    front, names = picture.front, picture.objectives
    side = len(names) - 1
    if side == 1:
        return draw_plane(picture, ax)
    shade = Shade(front, picture.objectives[0])
    axes: list[Axes] = []
    with canvas(ax, picture.width, PAIRS_WIDTH + 1.5 * max(0, side - 2), 0.9) as place:
        grid = place.grid(side, side)
        panels: dict[tuple[int, int], Axes] = {}
        for row in range(side):
            for column in range(row + 1):
                shared = {"sharex": panels.get((row - 1, column)), "sharey": panels.get((row, 0))}
                panel = panels[row, column] = place.figure.add_subplot(grid[row, column], **shared)
                axes.append(panel)
                handles = _panel(panel, picture, [names[column], names[row + 1]], shade)
                if row == side - 1:
                    panel.set_xlabel(_axis_label(front, names[column]))
                if column == 0:
                    panel.set_ylabel(_axis_label(front, names[row + 1]))
                panel.label_outer()
        _corner(place, grid[0, 1:], shade, handles, wide=side == 2)
    return place.figure, axes


def _corner(place: Canvas, where: Any, shade: Shade, handles: list[Line2D], *, wide: bool) -> None:
    """The place that a triangle leaves free: what things mean."""
    corner = place.figure.add_subplot(where)
    corner.set_axis_off()
    corner.legend(handles=handles, loc="upper left", frameon=False, borderaxespad=0)
    note = "Points inside a panel are better\nin an objective that it does not show."
    corner.text(0.04, 0.36, note, transform=corner.transAxes, fontsize="small", color=INK, va="bottom")
    if shade.varies:
        bar = corner.inset_axes((0.04, 0.16, 0.8 if wide else 0.5, 0.05))
        shade.bar(place.figure, cax=bar, orientation="horizontal")


def _panel(ax: Axes, picture: Picture, pair: list[str], shade: Shade) -> list[Line2D]:
    """One plane of two objectives; returns the legend's handles."""
    front = picture.front
    points = front.points[pair].to_numpy()
    x, y = points.T
    optimal = front.non_dominated
    dress(ax)
    style: Style = {
        "marker": "o",
        "markerfacecolor": COLORS["cmap"](0.5),
        "markeredgecolor": "white",
        "markersize": 6,
    }
    handles = [Line2D([], [], color=INK, linewidth=1.0, label=name_of(front), **style)]
    if not optimal.all():
        handles.append(mark("o", FAINT, 4, "dominated"))
    baselines = zip(picture.others, cycle(BASELINE_STYLES), strict=False)
    for number, (other, (color, marker)) in enumerate(baselines, start=1):
        _steps(ax, other.points[pair].to_numpy(), color, 0.55)
        _baseline_dots(ax, other, pair, color, marker)
        style = {"marker": marker, "markerfacecolor": "white", "markeredgecolor": color, "markersize": 4.5}
        handles.append(Line2D([], [], color=color, linewidth=1.0, label=name_of(other, number), **style))
    _steps(ax, points, INK, 0.75)
    ax.scatter(x[~optimal], y[~optimal], s=10, color=FAINT, linewidths=0, zorder=2)
    look: Style = {"s": 26, "edgecolors": "white", "linewidths": 0.6, "zorder": 4, **COLORS}
    ax.scatter(x[optimal], y[optimal], c=shade.values[optimal], **look)
    if front.reference is not None:
        handles.append(_reference(ax, front.reference[pair], front.baseline))
    return handles + _selected(ax, picture, pair)


def _steps(ax: Axes, points: NDArray[np.float64], color: str, alpha: float) -> None:
    """Bound what the points dominate within their plane."""
    edge = points[non_dominated(points)]
    edge = edge[np.argsort(edge[:, 0])]
    ax.step(*edge.T, where="pre", color=color, alpha=alpha, linewidth=0.9, zorder=1.5)


def _baseline_dots(ax: Axes, other: FrontData, pair: list[str], color: str, marker: str) -> None:
    """Hollow marks; dominated ones are faint."""
    x, y = other.points[pair].to_numpy().T
    for where, alpha in ((other.non_dominated, 1.0), (~other.non_dominated, 0.3)):
        style: Style = {"marker": marker, "facecolors": "white", "edgecolors": color, "alpha": alpha}
        ax.scatter(x[where], y[where], s=14, linewidths=0.9, zorder=3, **style)


def _reference(ax: Axes, place: Any, label: str | None) -> Line2D:
    """Mark the baseline, with lines that show what beats it."""
    x, y = place
    for line, at in ((ax.axvline, x), (ax.axhline, y)):
        line(at, color=INK, linestyle=(0, (1, 3)), linewidth=0.8, alpha=0.7, zorder=1)
    ax.plot(x, y, "*", color=INK, markersize=11, markeredgecolor="white", markeredgewidth=0.7, zorder=5)
    return mark("*", INK, 9, label or "reference")


def _selected(ax: Axes, picture: Picture, pair: list[str]) -> list[Line2D]:
    """Mark the selected trade-off, its limits and, with an interval, where its values may lie."""
    selection = picture.selection
    if selection is None:
        return []
    x, y = selection.values[pair]
    ax.plot(x, y, "o", markersize=9, zorder=6, linestyle="none", **RING)
    handles = [mark("o", ACCENT, 7.5, "selected", **RING)]
    look: Style = {"color": ACCENT, "linestyle": DOTTED, "linewidth": 1.2}
    for line, name in zip((ax.axvline, ax.axhline), pair, strict=True):
        if name in selection.limits:
            line(selection.limits[name], zorder=1.2, **look)
    if len(selection.limits):
        handles.append(Line2D([], [], label="limit", **look))
    if picture.interval is not None:
        bounds = selection.interval(picture.interval)
        for ends in ((bounds.loc[pair[0]], [y, y]), ([x, x], bounds.loc[pair[1]])):
            ax.plot(*ends, color=ACCENT, linewidth=1.0, zorder=5.5, solid_capstyle="butt")
        handles.append(Line2D([], [], color=ACCENT, linewidth=1.0, label=f"{picture.interval:.0%} interval"))
    return handles


def name_of(front: FrontData, number: int | None = None) -> str:
    """What to call a front."""
    return front.label or ("front" if number is None else f"other {number}")


def _axis_label(front: FrontData, objective: str) -> str:
    return f"{objective} ({front.metric})"


#: Inches of a panel of segments, and of a row in it.
SEGMENTS_WIDTH, SEGMENT_ROW = 2.4, 0.28
#: Standard errors on either side of a mean in a 90% interval.
NINETY = 1.645


def draw_segments(picture: Picture, ax: Axes | None) -> tuple[Figure, list[Axes]]:
    """A panel for each objective: what one trade-off changes in each segment, with its 90% interval."""
    front, names = picture.front, picture.objectives
    table = front.by_segment
    if table is None:
        raise ValueError("kind='segments' is of a front by segment: pareto_front(by=...).")
    row = (picture.selection or front.select()).index
    what, error = ("change", "change_error") if "change" in table else ("value", "error")
    table = table[table["trade_off"] == row]
    segments = list(dict.fromkeys(table["segment"]))
    counts = table.groupby("segment")["n_queries"].max()
    default = 1.2 + SEGMENTS_WIDTH * len(names)
    with canvas(ax, picture.width, default, (0.9 + SEGMENT_ROW * len(segments)) / default) as place:
        axes = place.panels(1, len(names))
        for panel, name in zip(axes, names, strict=True):
            dress(panel)
            panel.grid(visible=False, axis="y")
            of_name = table[table["objective"] == name].set_index("segment").loc[segments]
            value, spread = of_name[what].to_numpy(), NINETY * np.nan_to_num(of_name[error].to_numpy())
            hurts = (value + spread < 0) if what == "change" else np.zeros(len(value), dtype=bool)
            for y, (x, wide, bad) in enumerate(zip(value, spread, hurts, strict=True)):
                color = ACCENT if bad else INK
                panel.errorbar(x, y, xerr=wide, fmt="o", color=color, markersize=4.5, elinewidth=1.0)
            if what == "change":
                panel.axvline(0, color=INK, linewidth=0.7, zorder=0.5)
            panel.set_xlabel(f"{'change in ' if what == 'change' else ''}{name}\n({front.metric})")
            panel.set_yticks(range(len(segments)), [f"{each} ({counts[each]})" for each in segments])
            panel.set_ylim(len(segments) - 0.5, -0.5)
            panel.locator_params(axis="x", nbins=4)
            panel.tick_params(axis="y", length=0, labelleft=panel is axes[0])
    return place.figure, axes


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
        fronts = (picture.front, *picture.others)
        rows = [front.points[names].to_numpy() for front in fronts]
        rows += [front.reference[names].to_numpy()[None] for front in fronts if front.reference is not None]
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
        return np.asarray((np.asarray(values, dtype=np.float64) - self.low) / (self.high - self.low))

    def ticks(self, axis: int) -> list[tuple[float, str]]:
        """Heights of an axis's ticks, and what stands there."""
        low, high = self.low[axis], self.high[axis]
        candidates = MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
        at = [float(value) for value in candidates if low <= value <= high]
        digits = max(0, int(np.ceil(-np.log10(at[1] - at[0])))) if len(at) > 1 else 3
        digits += any(abs(round(value, digits) - value) > 1e-9 for value in at)
        return [((value - low) / (high - low), f"{value:.{digits}f}") for value in at]


def draw_parallel(picture: Picture, ax: Axes | None) -> tuple[Figure, list[Axes]]:
    """A panel for each front, on the same axes."""
    fronts = [picture.front, *picture.others]
    shape = LONE if len(fronts) == 1 else 0.12 + EACH * len(fronts)
    scales = Scales(picture)
    with canvas(ax, picture.width, WIDTH, shape, least=LEAST * (len(fronts) + 0.5)) as place:
        axes = place.panels(len(fronts), 1)
        handles: list[Artist] = []
        for number, (panel, front) in enumerate(zip(axes, fronts, strict=True)):
            _coordinates(panel, picture, scales, names=number == 0)
            shade = Shade(front, picture.objectives[0])
            _lines(panel, front, picture.objectives, scales, shade)
            if front.reference is not None:
                look: Style = {"color": INK, "linestyle": DASHES, "linewidth": 1.4, "zorder": 4}
                heights = scales.heights(front.reference[picture.objectives])
                handles += panel.plot(heights, label=front.baseline or "reference", **look)
            if number == 0:
                shown = shade
                handles += _parallel_selected(panel, picture, scales)
            if len(fronts) > 1:
                panel.set_ylabel(name_of(front, number or None), labelpad=26)
        if not all(front.non_dominated.all() for front in fronts):
            handles.append(Line2D([], [], color=FAINT, linewidth=0.8, label="dominated"))
        shown.bar(place.figure, ax=axes, pad=0.01, aspect=18 * len(fronts) ** 0.7)
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


def _lines(ax: Axes, front: FrontData, objectives: list[str], scales: Scales, shade: Shade) -> None:
    """Trade-offs as lines, the more the fainter, and the optimal ones coloured by their weights."""
    heights = scales.heights(front.points[objectives])
    across = np.broadcast_to(np.arange(len(objectives), dtype=np.float64), heights.shape)
    lines = np.stack([across, heights], axis=2)
    optimal = front.non_dominated
    ax.add_collection(LineCollection(list(lines[~optimal]), colors=FAINT, linewidths=0.6, zorder=1))
    order = np.flatnonzero(optimal)[np.argsort(shade.values[optimal], kind="stable")]
    alpha = float(np.clip(20 / max(len(order), 1), 0.3, 0.9))
    look: Style = {"array": shade.values[order], "linewidths": 1.1, "alpha": alpha, "zorder": 2, **COLORS}
    ax.add_collection(LineCollection(list(lines[order]), **look))


def _parallel_selected(ax: Axes, picture: Picture, scales: Scales) -> list[Artist]:
    """The selected trade-off, its limits and, with an interval, where its values may lie."""
    selection, names = picture.selection, picture.objectives
    if selection is None:
        return []
    look: Style = {"color": ACCENT, "linewidth": 1.8}
    dots: Style = {"marker": "o", "markersize": 4, "markerfacecolor": "white", "markeredgewidth": 1.3}
    at, heights = range(len(names)), scales.heights(selection.values[names])
    handles: list[Artist] = [*ax.plot(at, heights, zorder=6, label="selected", **look, **dots)]
    if picture.interval is not None:
        low, high = scales.heights(selection.interval(picture.interval).loc[names].to_numpy().T)
        band: Style = {"color": ACCENT, "linewidth": 3.5, "alpha": 0.35, "zorder": 5}
        handles.append(ax.vlines(at, low, high, label=f"{picture.interval:.0%} interval", **band))
    if len(selection.limits):
        limits = scales.heights(selection.limits.reindex(names).to_numpy())
        bar: Style = {"marker": "_", "markersize": 11, "markeredgewidth": 2, "linestyle": "none"}
        handles += ax.plot(at, limits, color=ACCENT, zorder=5, label="limit", **bar)
    return handles


FRONT_PICTURES = {
    "plane": draw_plane,
    "pairs": draw_pairs,
    "parallel": draw_parallel,
    "segments": draw_segments,
}

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
        widths = [1.25, *[1] * len(objectives)]
        axes = place.panels(1, len(widths), share="y", width_ratios=widths)
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


CURVES_WIDTH, BLUE = 4.6, "#0072B2"


def draw_training(
    display: TrainingDisplay, ax: Axes | None, *, width: float | str | None
) -> tuple[Figure, list[Axes]]:
    """Loss above, hypervolume below it on the same epochs."""
    scored = [entry for entry in display.history if "score" in entry]
    with canvas(ax, width, CURVES_WIDTH, 0.85 if scored else 0.62) as place:
        axes = place.panels(1 + bool(scored), 1, share="x")
        _curve(axes[0], display, "loss", "loss")
        if scored:
            axes[0].tick_params(labelbottom=False)
            _curve(axes[1], display, "score", "validation hypervolume")
        _epochs(axes, display)
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
    """The axis of the epochs, with the best one marked where a validation front tells it."""
    bottom = axes[-1]
    bottom.set_xlabel("epoch")
    bottom.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
    if display.best_epoch is None or len(axes) == 1:
        return
    for ax in axes:
        look: Style = {"color": ACCENT, "linestyle": DASHES, "linewidth": 1.0, "zorder": 1}
        ax.axvline(display.best_epoch, label=f"best epoch: {display.best_epoch}", **look)
    axes[0].legend(loc="best", frameon=False)
