"""Figures of fronts and costs."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

from benchmarks.fronts.methods import REFERENCE, front_label
from benchmarks.fronts.results import DataSet
from hyperrank.metrics import non_dominated

__all__ = ["draw_cost", "draw_fronts"]

#: Colour-blind safe (after Okabe & Ito), with a marker each, so that a front looks the same in all pictures.
STYLES = {
    "hyperdpo": ("#0072B2", "o"),
    "hyperdpo-untrained": ("#0072B2", "1"),
    "hyperdpo-concat": ("#56B4E9", "p"),
    "hyperdpo-transformer": ("#56B4E9", "h"),
    "mixed-scores": ("#D55E00", "s"),
    "lightgbm-gradients": ("#009E73", "^"),
    "lightgbm-labels": ("#E69F00", "v"),
    "networks": ("#CC79A7", "D"),
    "networks-alone": ("#999999", "d"),
    "soup": ("#A6761D", "P"),
    "soup-alone": ("#A6761D", "+"),
    "modpo": ("#000000", "X"),
    "modpo-alone": ("#000000", "x"),
    REFERENCE: ("#444444", "*"),
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


def draw_cost(data: DataSet, path: Path) -> None:
    """Hypervolume against the seconds of one fit, search left out; arguments as for `draw_fronts`."""
    figure = Figure(figsize=(7.2, 4.6), layout="constrained")
    ax = figure.subplots()
    for front in data.records:
        colour, marker = STYLES[front]
        seconds = np.median(data.column(front, "fit_seconds") - data.column(front, "search_seconds"))
        volumes = data.column(front, "hypervolume")
        error = volumes.std(ddof=1) / np.sqrt(len(volumes)) if len(volumes) > 1 else 0.0
        label = front_label(front).format(main=data.main)
        ax.errorbar(
            [max(float(seconds), 1e-3)],
            [volumes.mean()],
            yerr=[error],
            fmt=marker,
            color=colour,
            markersize=8,
            capsize=3,
            label=label,
        )
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter(ScalarFormatter())
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set(xlabel="seconds of one fit, all trade-offs (median)", ylabel="hypervolume (mean ± standard error)")
    ax.grid(alpha=0.25)
    ax.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    ax.set_title(data.title, fontsize=10)
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    with mpl.rc_context({"font.size": 9}):
        figure.savefig(path, dpi=130, bbox_inches="tight")
