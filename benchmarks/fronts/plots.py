"""Figures of fronts."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from benchmarks.fronts.methods import front_label, front_order
from benchmarks.fronts.results import DataSet
from hyperrank.metrics import non_dominated

__all__ = ["STYLES", "draw_fronts"]

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


def _save(figure: Figure, path: Path) -> None:
    with mpl.rc_context({"font.size": 9}):
        figure.savefig(path, dpi=130, bbox_inches="tight")
