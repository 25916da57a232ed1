"""Style of the pictures: figure sizes, colours, axes, legends, and files of the same bytes each time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, ListedColormap
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec, GridSpecFromSubplotSpec
from matplotlib.lines import Line2D
from matplotlib.transforms import offset_copy

Style = dict[str, Any]

INK = "#222222"
FAINT = "#B8B8B8"
GRID = "#E6E6E6"
ACCENT = "#D62728"
DASHES = (0, (4, 3))
#: Colours of baselines (after Okabe & Ito, distinct to colour-blind eyes) and markers.
BASELINE_STYLES = (
    ("#D55E00", "s"),
    ("#CC79A7", "^"),
    ("#E69F00", "D"),
    ("#7F7F7F", "v"),
    ("#A6761D", "P"),
    ("#000000", "X"),
)
#: Inches of a column and of a page in the journals of the field.
WIDTHS = {"column": 3.4, "page": 7.0}
#: Inches below which letters are those of a column.
NARROW = 4.5
#: Inches that an entry of a legend takes.
INCHES_OF_A_NAME = 1.25
#: Letters go into files as letters, and files hold neither dates nor chance.
FILES: Any = {"pdf.fonttype": 42, "ps.fonttype": 42, "svg.hashsalt": "hyperrank"}
DATES: dict[str, dict[str, None]] = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}


class QuietFigure(Figure):
    """A figure that pyplot does not know, and that is written the same each time."""

    def savefig(self, fname: Any, **options: Any) -> None:
        """Write the figure; see `matplotlib.figure.Figure.savefig`."""
        kind = str(options.get("format") or str(fname).rpartition(".")[2]).lower()
        if kind in DATES:
            options["metadata"] = {**DATES[kind], **(options.get("metadata") or {})}
        with mpl.rc_context(FILES):
            super().savefig(fname, **options)


class Canvas:
    """Where to draw: a figure of ours of a size in inches, or the place of axes that the caller gave."""

    def __init__(self, ax: Axes | None, size: tuple[float, float]) -> None:
        if ax is not None and not hasattr(ax, "figure"):
            raise TypeError(f"ax must be axes of matplotlib, or None; got a {type(ax).__name__}.")
        self.ax = ax
        self.is_own = ax is None
        self.figure: Figure = (
            QuietFigure(figsize=size, dpi=200, layout="constrained") if ax is None else ax.figure.figure
        )

    def panels(self, rows: int, columns: int, *, share: str | None = None, **options: Any) -> list[Axes]:
        """Panels row by row, which may share an axis, ``"x"`` or ``"y"``, with the first."""
        if rows == columns == 1:
            return [self.figure.add_subplot() if self.ax is None else self.ax]
        grid = self.grid(rows, columns, **options)
        axes: list[Axes] = []
        for at in np.ndindex(rows, columns):
            shared: Any = {f"share{share}": axes[0]} if share and axes else {}
            axes.append(self.figure.add_subplot(grid[at], **shared))
        return axes

    def grid(self, rows: int, columns: int, **options: Any) -> GridSpec | GridSpecFromSubplotSpec:
        """A grid over all of the place; the caller's axes are emptied for it."""
        if self.ax is None:
            return self.figure.add_gridspec(rows, columns, **options)
        place = self.ax.get_subplotspec()
        if place is None:
            raise ValueError(
                "ax stands free in its figure; several panels need axes of a grid, as add_subplot makes them."
            )
        self.ax.set_axis_off()
        return place.subgridspec(rows, columns, **options)


@contextmanager
def canvas(
    ax: Axes | None, width: float | str | None, default: float, shape: float, *, least: float = 0.0
) -> Iterator[Canvas]:
    """Where to draw, with letters to its size; on the caller's axes with the caller's letters.

    `shape` is height over width, `least` the least height in inches.
    """
    inches = _inches(ax, width, default)
    letters = 8.0 if inches < NARROW else 9.0
    rc: Any = {
        "font.size": letters,
        "axes.labelsize": letters,
        "axes.titlesize": letters,
        "xtick.labelsize": letters - 1,
        "ytick.labelsize": letters - 1,
        "legend.fontsize": letters - 0.5,
        "axes.linewidth": 0.7,
        "xtick.major.width": 0.7,
        "ytick.major.width": 0.7,
    }
    with mpl.rc_context(rc if ax is None else {}):
        yield Canvas(ax, (inches, max(least, inches * shape)))


def _inches(ax: Axes | None, width: float | str | None, default: float) -> float:
    if width is None:
        return default
    if ax is not None:
        raise ValueError("width is for a figure of its own; ax has a size already.")
    inches = WIDTHS.get(width) if isinstance(width, str) else width
    if not isinstance(inches, int | float) or not 1 <= inches <= 100:
        raise ValueError(f"width must be inches from 1 to 100, 'column' or 'page'; got {width!r}.")
    return float(inches)


def blue_to_yellow() -> Colormap:
    """Viridis without its palest tenth, which is lost on white."""
    shades = mpl.colormaps["viridis"].resampled(279)
    return ListedColormap([shades(number) for number in range(256)], name="front")


def dress(ax: Axes) -> None:
    """Quiet frame, few ticks, and no offset notation."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(visible=True, color=GRID, linewidth=0.6)
    ax.set_axisbelow(True)
    ax.tick_params(color=INK)
    ax.locator_params(nbins=6, min_n_ticks=3)
    ax.ticklabel_format(useOffset=False)
    ax.margins(0.08)


def mark(marker: str, color: str, size: float, label: str, **style: Any) -> Line2D:
    """A marker for the legend."""
    look: Style = {"markeredgecolor": "none", **style}
    return Line2D([], [], linestyle="none", marker=marker, color=color, markersize=size, label=label, **look)


def legend_below(
    place: Canvas, ax: Axes, handles: Sequence[Artist], *, is_full: bool = False, is_long: bool = False
) -> None:
    """Legend below the panels, or within a caller's axes where no layout would make room below them."""
    if not handles:
        return
    if place.is_own:
        inches = INCHES_OF_A_NAME * (1 + is_long)
        columns = max(1, min(len(handles), int(place.figure.get_figwidth() / inches)))
        place.figure.legend(handles=list(handles), loc="outside lower center", ncols=columns, frameon=False)
    elif is_full:
        ax.legend(handles=list(handles), loc="upper center", bbox_to_anchor=(0.5, 0), ncols=3, frameon=False)
    elif place.figure.get_layout_engine() is None:
        ax.legend(handles=list(handles), loc="best", frameon=False)
    else:
        below = offset_copy(ax.transAxes, ax.figure.figure, y=-4 * mpl.rcParams["font.size"], units="points")
        place_below: Style = {"bbox_to_anchor": (0.5, 0), "bbox_transform": below}
        ax.legend(handles=list(handles), loc="upper center", ncols=3, frameon=False, **place_below)
