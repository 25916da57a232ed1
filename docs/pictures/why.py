"""Draw docs/why.png: one model against twenty-one, 5-fold cross-validated on real search queries.

``python docs/pictures/why.py`` trains both on each of five folds of the MSLR sample and takes a few minutes.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hyperrank import HyperDPORanker, LightGBMScalarizationRanker, ParetoFront, QueryKFold, datasets

OBJECTIVES = ("relevance", "dwell")
N_FOLDS = 5
FEW, MANY = (np.column_stack([share, 1 - share]) for share in (np.linspace(1, 0, 21), np.linspace(1, 0, 201)))
ONE, ALL = "#0072B2", "#D55E00"


def main() -> None:
    """Train, measure, print and draw."""
    data = datasets.fetch_mslr_sample(objectives=OBJECTIVES)
    one, one_seconds = measured(HyperDPORanker(objectives=OBJECTIVES, random_state=0), data, MANY)
    baselines = LightGBMScalarizationRanker(FEW, mixing="labels", objectives=OBJECTIVES, random_state=0)
    many, many_seconds = measured(baselines, data, FEW)
    few = ParetoFront(one.points.iloc[::10], FEW, names=OBJECTIVES)
    for label, front, seconds in [("one model", few, one_seconds), ("21 models", many, many_seconds)]:
        print(f"{label}: hypervolume {front.hypervolume():.4f} at 21 trade-offs, {seconds:.1f} CPU s a fold")
    figure = Figure(figsize=(9.6, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 1))
    draw_fronts(left, one, many)
    draw_seconds(right, one_seconds, many_seconds)
    figure.savefig(Path(__file__).parents[1] / "why.png", dpi=110)


def measured(ranker: Any, data: datasets.RankingData, weights: np.ndarray) -> tuple[ParetoFront, float]:
    """Front of cross-validated values of every query, and mean CPU seconds of a fit."""
    per_query, reference, seconds = [], [], 0.0
    for rows, held_out in QueryKFold(N_FOLDS, shuffle=True, random_state=0).split(data.X, qid=data.qid):
        train, test = data.take(rows), data.take(held_out)
        started = time.process_time()
        ranker.fit(train.X, train.Y, qid=train.qid)
        seconds += time.process_time() - started
        front = ranker.pareto_front(test.X, test.Y, qid=test.qid, weights=weights)
        per_query.append(front.per_query)
        reference.append(front.reference_per_query)
    values = np.nanmean(np.concatenate(per_query, axis=1), axis=1)
    start = None if reference[0] is None else np.nanmean(np.concatenate(reference), axis=0)
    return ParetoFront(values, weights, names=OBJECTIVES, reference=start), seconds / N_FOLDS


def draw_fronts(ax: Axes, one: ParetoFront, many: ParetoFront) -> None:
    """Both in the plane of the two objectives."""
    ax.plot(*one.points.to_numpy().T, color=ONE, lw=2.5, label="one hyperrank model, any trade-off")
    ax.plot(*many.points.to_numpy().T, "o", color=ALL, ms=6, label="21 LightGBM models, labels mixed")
    for text, row, offset in [
        ("all weight on relevance", 0, (8, -4)),
        ("all weight on dwell time", -1, (8, 4)),
    ]:
        point = one.points.to_numpy()[row]
        ax.annotate(text, point, offset, textcoords="offset points", color=ONE, fontsize=9)
        ax.plot(*point, "o", color=ONE, ms=7)
    ax.set(xlabel="relevance, NDCG@10", ylabel="dwell time, NDCG@10")
    ax.legend(frameon=False, loc="lower left")
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_title("Search queries that had no part in training", loc="left", fontsize=11)


def draw_seconds(ax: Axes, one: float, many: float) -> None:
    """What each takes to train."""
    bars = ax.bar(["one model", "21 models"], [one, many], color=[ONE, ALL], width=0.6)
    ax.bar_label(bars, fmt="%.1f s")
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.set_yticks([])
    ax.set_title("Training, CPU time", loc="left", fontsize=11)


if __name__ == "__main__":
    main()
