"""Figures of fronts."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from benchmarks.fronts.methods import front_label, front_order
from benchmarks.fronts.results import DataSet
from hyperrank.metrics import non_dominated

__all__ = ["STYLES", "draw_fronts", "draw_settings"]

#: Colour-blind safe (after Okabe & Ito).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9", "#A6761D", "#000000")
MARKERS = "os^vDPXdph<>*"
#: A colour and a marker of its own for each front, the same in all pictures.
STYLES = {
    front: (COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)])
    for number, front in enumerate(front_order())
}
COLUMNS = 3


def draw_fronts(data: DataSet, path: Path) -> None:
    """Two-objective projections of all fronts, mean over folds and seeds, what nothing dominates joined.

    Parameters
    ----------
    data : DataSet
    path : Path
        Of the picture.
    """
    pairs = list(combinations(range(len(data.names)), 2))
    n_columns = min(COLUMNS, len(pairs))
    n_rows = -(-len(pairs) // n_columns)
    figure = Figure(figsize=(4.6 * n_columns, 4.1 * n_rows + 0.9), layout="constrained")
    grid = figure.subplots(n_rows, n_columns, squeeze=False)
    for ax in grid.flat[len(pairs) :]:
        ax.set_axis_off()
    for ax, (i, j) in zip(grid.flat, pairs, strict=False):
        for front in reversed(data.records):
            colour, marker = STYLES[front]
            points = data.mean_points(front)[:, [i, j]]
            best = points[non_dominated(points)]
            best = best[np.argsort(best[:, 0])]
            ax.plot(*points.T, marker, color=colour, alpha=0.2, markersize=4, markeredgewidth=0)
            label = front_label(front).format(main=data.main)
            ax.plot(*best.T, marker=marker, color=colour, linewidth=1.2, markersize=4.5, label=label)
        ax.set(xlabel=f"NDCG@10, {data.names[i]}", ylabel=f"NDCG@10, {data.names[j]}")
    handles, labels = grid.flat[0].get_legend_handles_labels()
    figure.legend(
        handles[::-1], labels[::-1], loc="outside lower center", ncols=min(3, len(labels)), fontsize=9
    )
    figure.suptitle(data.title)
    _save(figure, path)


def draw_settings(values: Mapping[str, Mapping[str, float]], path: Path) -> None:
    """A row of dots per front, one for each setting, and their mean.

    Parameters
    ----------
    values : mapping of front to mapping of setting to float
        Hypervolume as a share of HyperDPO's.
    path : Path
        Of the picture.
    """
    fronts = sorted(values, key=lambda front: np.mean(list(values[front].values())))
    settings = list(dict.fromkeys(setting for row in values.values() for setting in row))
    figure = Figure(figsize=(10, 0.24 * len(fronts) + 1.4), layout="constrained")
    ax = figure.subplots()
    for number, setting in enumerate(settings):
        at = [place for place, front in enumerate(fronts) if setting in values[front]]
        shares = [values[fronts[place]][setting] for place in at]
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
        ax.scatter(shares, at, s=28, alpha=0.8, linewidths=0, label=setting, color=colour, marker=marker)
    for place, front in enumerate(fronts):
        ax.plot([np.mean(list(values[front].values()))] * 2, [place - 0.4, place + 0.4], color="black", lw=2)
    ax.axvline(1, color=COLOURS[0], lw=1, ls=":")
    ax.set_yticks(range(len(fronts)), [front_label(front) for front in fronts], fontsize=8)
    for text, front in zip(ax.get_yticklabels(), fronts, strict=True):
        text.set_fontweight("bold" if front.startswith("hyperdpo") else "normal")
    ax.set_xlim(max(0.6, ax.get_xlim()[0]), None)
    ax.grid(axis="y", alpha=0.25)
    ax.set_axisbelow(True)
    ax.set_xlabel("hypervolume as a share of HyperDPO's in the same setting (bar: mean)")
    ax.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    with mpl.rc_context({"font.size": 9}):
        figure.savefig(path, dpi=130, bbox_inches="tight")
