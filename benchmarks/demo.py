"""From data to a chosen trade-off: train once, look at the front, select.

Run ``make demo``, or ``python -m benchmarks.demo``.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from tqdm.auto import tqdm

from hyperrank import (
    HyperDPORanker,
    LightGBMScalarizationRanker,
    MixedScoresRanker,
    ParetoFront,
    QueryKFold,
    QueryShuffleSplit,
    datasets,
)
from hyperrank.datasets import RankingData
from hyperrank.simplex import corners, lattice_near

__all__ = ["main", "sample_or_generated", "show"]

OBJECTIVES = ("relevance", "quality", "dwell")
#: Share of the reference's main objective that the chosen trade-off should keep.
SHARE = 0.98
#: Folds of the training queries by which it is chosen.
N_FOLDS = 4


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
    train, test = _split(data)
    print(f"{data}\n{_count(train)} queries to train and choose on, {_count(test)} to test.\n")
    weights = lattice_near(len(data.names), 21)
    ranker = HyperDPORanker(objectives=data.names, random_state=0).set_params(**(network_params or {}))
    seconds = _fit("HyperDPO", ranker, train)
    baselines = _baselines(train, test, weights)

    chosen, reason = _choose(ranker, train, weights)
    front = ranker.pareto_front(test.X, test.Y, qid=test.qid, weights=weights, label="HyperDPO")
    on_test = replace(chosen, values=front.points.iloc[chosen.index])
    print(f"NDCG@10 on the test queries\n{_table(ranker, test, chosen.weights)}\n")
    share = _share_kept(front, chosen.index)
    print(f"{reason}\nOn the test queries, which had no say in it, it keeps {share}.\n")
    print(f"Hypervolume on the test queries, {len(weights)} trade-offs each, measured from 0")
    for other, spent in [(front, seconds), *baselines]:
        print(f"  {other.label:28} {other.hypervolume():.4f}   trained in {spent:5.1f} s")
    print(
        f"With {_count(test)} test queries, differences of a hundredth mean little;\n"
        "python -m benchmarks.quick_front compares over folds.\n"
    )
    _plot(front, [other for other, _ in baselines], on_test, folder / "front.png")


def _split(data: RankingData) -> tuple[RankingData, RankingData]:
    """Put a fifth of the queries aside."""
    train, test = next(QueryShuffleSplit(1, test_size=0.2, random_state=0).split(data.X, qid=data.qid))
    return data.take(train), data.take(test)


def _fit(label: str, ranker: Any, train: RankingData) -> float:
    """Fit, and give the seconds it took."""
    print(f"training {label:28}", end="", flush=True)
    started = time.perf_counter()
    ranker.fit(train.X, train.Y, qid=train.qid)
    seconds = time.perf_counter() - started
    print(f"{seconds:6.1f} s")
    return seconds


def _baselines(train: RankingData, test: RankingData, weights: np.ndarray) -> list[tuple[ParetoFront, float]]:
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


def _choose(ranker: HyperDPORanker, train: RankingData, weights: np.ndarray) -> tuple[Any, str]:
    """Select a trade-off by cross-validation on the training queries, and describe it."""
    values, reference = [], []
    folds = QueryKFold(N_FOLDS, shuffle=True, random_state=0).split(train.X, qid=train.qid)
    for rows, held_out in tqdm(folds, total=N_FOLDS, desc="choosing a trade-off", unit="fold", leave=False):
        part, unseen = train.take(rows), train.take(held_out)
        trained = clone(ranker).fit(part.X, part.Y, qid=part.qid)
        front = trained.pareto_front(unseen.X, unseen.Y, qid=unseen.qid, weights=weights)
        values.append(front.per_query)
        reference.append(front.reference_per_query)
    reached, of_reference = np.concatenate(values, axis=1), np.concatenate(reference)
    points = np.nanmean(reached, axis=1)
    # A limit that is just met on some queries is broken on every other sample of them: leave a margin.
    points[:, 0] -= _standard_error(reached[:, :, 0] - SHARE * of_reference[:, 0])
    front = ParetoFront(points, weights, names=train.names, reference=np.nanmean(of_reference, axis=0))
    limit = f"{SHARE:.0%} of the reference's {train.names[0]}"
    how = f"with a standard error to spare in a {N_FOLDS}-fold cross-validation on the training queries"
    try:
        chosen = front.select(at_least={train.names[0]: SHARE})
    except ValueError:
        chosen = front.select(maximize=train.names[0])
        return chosen, f"No trade-off kept {limit}\n{how}:\nthe nearest to it was chosen."
    return chosen, f"Chosen: the best for the other objectives of those that kept {limit}\n{how}."


def _standard_error(values: np.ndarray) -> Any:
    """Of the mean over queries, the last axis; NaN where a query does not count."""
    return np.nanstd(values, axis=-1, ddof=1) / np.sqrt((~np.isnan(values)).sum(axis=-1))


def _share_kept(front: ParetoFront, row: int) -> str:
    """Share of the reference's main objective that a trade-off keeps, and its standard error."""
    assert front.reference is not None
    assert front.per_query is not None
    assert front.reference_per_query is not None
    share = front.points.iloc[row, 0] / front.reference.iloc[0]
    beyond = front.per_query[row, :, 0] - share * front.reference_per_query[:, 0]
    return f"{share:.0%} ± {_standard_error(beyond) / front.reference.iloc[0]:.0%}"


def _plot(front: ParetoFront, others: list[ParetoFront], selection: Any, path: Path) -> None:
    try:
        display = front.plot(others=others, selection=selection)
    except ImportError as error:
        print(f"No picture: {error}")
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    display.savefig(path, dpi=150, bbox_inches="tight")
    print(f"The front as a picture: {path.resolve()}")


def _count(data: RankingData) -> int:
    return len(np.unique(data.qid))


def sample_or_generated(objectives: Sequence[str]) -> RankingData:
    """Load the MSLR sample, or say in one line why not and generate data of its size."""
    try:
        return datasets.fetch_mslr_sample(objectives=objectives)
    except datasets.FetchError as error:
        reason = " ".join(str(error).split())
        print(f"Generated data instead of real ones, so figures differ from those quoted: {reason}\n")
    return datasets.make_multilabel_ranking(
        n_queries=86, list_size=(60, 200), n_features=60, n_objectives=len(objectives), random_state=0
    )


if __name__ == "__main__":
    main()
