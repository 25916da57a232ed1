"""The main job from data to a chosen trade-off: train once, look at the front, pick.

Run ``make demo``, or ``python -m benchmarks.demo``.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.data import sample_or_generated
from hyperrank import (
    HyperDPORanker,
    LightGBMScalarizationRanker,
    MixedScoresRanker,
    ParetoFront,
    QueryShuffleSplit,
)
from hyperrank.datasets import RankingData
from hyperrank.simplex import corners, lattice_near

__all__ = ["main", "show"]

OBJECTIVES = ("relevance", "quality", "dwell")
#: Share of the reference's main objective that the chosen trade-off is to keep.
KEPT = 0.98


def main(folder: str | Path = "demo") -> None:
    started = time.perf_counter()
    show(sample_or_generated(OBJECTIVES), Path(folder))
    print(f"All in {time.perf_counter() - started:.0f} s.")


def show(data: RankingData, folder: Path, network_params: Mapping[str, Any] | None = None) -> None:
    """Train, measure, print and plot.

    Parameters
    ----------
    data : RankingData
        Whose first objective is the main one.
    folder : Path
        Where the plot goes.
    network_params : mapping, optional
        Parameters that make the network's training short, for tests.
    """
    rest, test = _split(data)
    train, validation = _split(rest)
    print(f"{data}\n{_count(train)} queries train, {_count(validation)} choose, {_count(test)} test.\n")
    ranker = HyperDPORanker(objectives=data.names, random_state=0, **(network_params or {}))
    seconds = _fit("HyperDPO", ranker, train)
    weights = lattice_near(len(data.names), 21)
    rivals = _rivals(train, test, weights)

    chosen, reason = _choose(ranker, validation, weights)
    front = ranker.pareto_front(test.X, test.Y, qid=test.qid, weights=weights, label="HyperDPO")
    on_test = replace(chosen, values=front.points.iloc[chosen.index])
    assert front.reference is not None
    kept = on_test.values[data.names[0]] / front.reference[data.names[0]]
    print(f"NDCG@10 on the test queries\n{_table(ranker, test, chosen.weights)}\n")
    print(f"{reason}\nOn the test queries, which had no say in it, it keeps {kept:.0%}.\n")
    print(f"Hypervolume on the test queries, {len(weights)} trade-offs each, measured from 0")
    for other, spent in [(front, seconds), *rivals]:
        print(f"  {other.label:28} {other.hypervolume():.4f}   trained in {spent:5.1f} s")
    print(
        f"With {_count(test)} test queries, differences of a hundredth mean little;\n"
        "python -m benchmarks.quick_front compares over folds.\n"
    )
    _plot(front, [other for other, _ in rivals], on_test, folder / "front.png")


def _split(data: RankingData) -> tuple[RankingData, RankingData]:
    """Put a fifth of the queries aside."""
    kept, aside = next(QueryShuffleSplit(1, test_size=0.2, random_state=0).split(data.X, qid=data.qid))
    return data.take(kept), data.take(aside)


def _fit(label: str, ranker: Any, train: RankingData) -> float:
    """Fit, and give the seconds it took."""
    print(f"training {label:28}", end="", flush=True)
    started = time.perf_counter()
    ranker.fit(train.X, train.Y, qid=train.qid)
    seconds = time.perf_counter() - started
    print(f"{seconds:6.1f} s")
    return seconds


def _rivals(train: RankingData, test: RankingData, weights: np.ndarray) -> list[tuple[ParetoFront, float]]:
    """Fronts of what one would build otherwise, and the seconds they took to train."""
    rankers = {
        "boosters, scores mixed": MixedScoresRanker(objectives=train.names, random_state=0),
        "LightGBM, gradients mixed": LightGBMScalarizationRanker(
            weights, objectives=train.names, random_state=0
        ),
        "LightGBM, labels mixed": LightGBMScalarizationRanker(
            weights, mixing="labels", objectives=train.names, random_state=0
        ),
    }
    fronts = []
    for label, ranker in rankers.items():
        seconds = _fit(label, ranker, train)
        front = ranker.pareto_front(test.X, test.Y, qid=test.qid, weights=weights, label=label)
        fronts.append((front, seconds))
    print()
    return fronts


def _table(ranker: HyperDPORanker, test: RankingData, chosen: np.ndarray) -> str:
    """Values of each objective under the reference, at the corners, at the centre and as chosen."""
    names = list(test.names)
    m = len(names)
    rows = {
        **{f"HyperDPO, all weight on {name}": at for name, at in zip(names, corners(m), strict=True)},
        "HyperDPO, equal weights": np.full(m, 1 / m),
        f"HyperDPO, chosen: {_spelled(chosen)}": chosen,
    }
    front = ranker.pareto_front(test.X, test.Y, qid=test.qid, weights=np.array(list(rows.values())))
    reference = pd.DataFrame([front.reference], index=[f"LightGBM for {names[0]}, the reference"])
    table = pd.concat([reference, front.points.set_axis(list(rows))])
    return table.to_string(float_format="{:.3f}".format)


def _spelled(weights: np.ndarray) -> str:
    return " ".join(f"{value:.2f}" for value in weights)


def _choose(ranker: HyperDPORanker, validation: RankingData, weights: np.ndarray) -> tuple[Any, str]:
    """Pick a trade-off on queries that are neither trained nor tested on, and say how."""
    front = ranker.pareto_front(validation.X, validation.Y, qid=validation.qid, weights=weights)
    main_objective = validation.names[0]
    wanted = f"{KEPT:.0%} of the reference's {main_objective} on the validation queries"
    try:
        chosen = front.select(at_least={main_objective: KEPT})
    except ValueError:
        chosen = front.select(maximize=main_objective)
        return chosen, f"No trade-off kept {wanted}, so the one that kept most was chosen."
    return (
        chosen,
        f"Of the trade-offs that kept {wanted}, the best\nfor the other objectives there was chosen.",
    )


def _plot(front: ParetoFront, others: list[ParetoFront], selection: Any, path: Path) -> None:
    try:
        figure = front.plot(others=others, selection=selection)
    except ImportError as error:
        print(f"No picture: {error}")
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150, bbox_inches="tight")
    print(f"The front as a picture: {path.resolve()}")


def _count(data: RankingData) -> int:
    return len(np.unique(data.qid))


if __name__ == "__main__":
    main()
