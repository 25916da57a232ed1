"""Temperatures after training: the linear rule beside a temperature-conditioned network.

Both have the same reference, tuning and network budget. Of each temperature: the hypervolume of the front,
NDCG@10 of each objective with all weight on it, and how close the order stays to the reference's: the mean
correlation of ranks within the list, over trade-offs.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from benchmarks import machine
from benchmarks.fronts.grid import trade_offs
from benchmarks.fronts.sources import MslrSample, Source, Synthetic
from benchmarks.markdown import markdown_table
from hyperrank import HyperDPORanker, TradeOffs
from hyperrank.datasets import RankingData
from hyperrank.metrics import hypervolume, ndcg

__all__ = ["closeness", "compare", "main"]

DATA: Mapping[str, Callable[[], Source]] = {"mslr-sample": MslrSample, "synthetic": Synthetic}
TEMPERATURES = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare and print; gives the exit status."""
    parser = argparse.ArgumentParser("python -m benchmarks.temperature", description=__doc__)
    parser.add_argument("--data", nargs="+", choices=DATA, default=list(DATA), metavar="NAME")
    parser.add_argument("--folds", type=int, default=5, help="test folds that are looked at")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], metavar="SEED")
    parser.add_argument("--temperatures", nargs="+", type=float, default=list(TEMPERATURES), metavar="T")
    parser.add_argument("--params", type=json.loads, default={}, metavar="JSON", help="for both rankers")
    options = parser.parse_args(arguments)
    for name in options.data:
        source = DATA[name]()
        rows, cost = compare(source, options.folds, options.seeds, options.temperatures, options.params)
        runs = f"{options.folds} test folds, {len(options.seeds)} seed(s)"
        print(f"\n## {name}, {runs}\n\n{markdown_table(rows)}\n\n{cost}", flush=True)
    print(f"\n{machine.provenance('python -m benchmarks.temperature')}")
    return 0


def compare(
    source: Source,
    n_folds: int,
    seeds: Sequence[int],
    temperatures: Sequence[float],
    params: Mapping[str, Any],
) -> tuple[list[dict[str, str]], str]:
    """Rows of a table, one per temperature, and a line on what the fits cost.

    Parameters
    ----------
    source : Source
    n_folds : int
        Test folds looked at, of the source's.
    seeds : sequence of int
        Of the rankers.
    temperatures : sequence of float
        The conditioned ranker is trained from the least to the greatest, 1 among them.
    params : mapping
        Constructor parameters of both.
    """
    trained = (min(*temperatures, 1.0), max(*temperatures, 1.0))
    kinds: list[dict[str, Any]] = [{}, {"trade_offs": TradeOffs(temperature_range=trained)}]
    values: list[Any] = []
    seconds = []
    for number in range(n_folds):
        fold = source.fold(number)
        runs = []
        for seed in seeds:
            fitted = [_fitted(fold.train, {**params, **kind}, seed) for kind in kinds]
            seconds.append([cost for _, cost in fitted])
            runs.append([[_measured(r, fold.test, t) for t in temperatures] for r, _ in fitted])
        # Seeds of a fold share its queries: as many measurements as there are folds.
        values.append(np.mean(runs, axis=0))
    found = np.array(values)  # (folds, kinds, temperatures, measures)
    rows = [
        {"temperature": f"{t:g}", **_row(found[:, :, at], source.objectives)}
        for at, t in enumerate(temperatures)
    ]
    linear, conditioned = np.mean(seconds, axis=0)
    return rows, f"Fit, CPU s: linear rule {linear:.1f}, conditioned {conditioned:.1f}."


def closeness(scores: NDArray[Any], base: NDArray[Any], qid: NDArray[Any]) -> float:
    """Mean over lists and columns of Spearman's correlation; lists without two ranks in both are left out.

    Examples
    --------
    >>> import numpy as np
    >>> closeness(np.array([[1.0], [2.0]]), np.array([[3.0], [0.0]]), np.zeros(2))
    -1.0
    """
    found = []
    for query in np.unique(qid):
        mine, theirs = (rankdata(s[qid == query], axis=0) for s in (scores, base))
        mine, theirs = mine - mine.mean(axis=0), theirs - theirs.mean(axis=0)
        size = np.sqrt((mine**2).sum(axis=0) * (theirs**2).sum(axis=0))
        found.append((mine * theirs).sum(axis=0)[size > 0] / size[size > 0])
    return float(np.concatenate(found).mean())


def _fitted(train: RankingData, given: Mapping[str, Any], seed: int) -> tuple[HyperDPORanker, float]:
    ranker = HyperDPORanker(objectives=train.names, random_state=seed).set_params(**given)
    started = time.process_time()
    ranker.fit(train.X, train.Y, qid=train.qid)
    return ranker, time.process_time() - started


def _measured(ranker: HyperDPORanker, test: RankingData, temperature: float) -> list[float]:
    """Hypervolume, closeness to the reference, and each objective with all weight on it."""
    m = test.Y.shape[1]
    base, scores, corners = (
        ranker.predict(test.X, qid=test.qid, weights=weights, temperature=at)
        for weights, at in ((trade_offs(m), 0), (trade_offs(m), temperature), (np.eye(m), temperature))
    )
    front = np.atleast_2d(ndcg(scores, test.Y, qid=test.qid, k=10))
    alone = np.diag(np.atleast_2d(ndcg(corners, test.Y, qid=test.qid, k=10)))
    return [hypervolume(front), closeness(scores, base, test.qid), *alone]


def _row(values: NDArray[np.float64], objectives: Sequence[str]) -> dict[str, str]:
    """Of values of shape (folds, 2, measures): means, and the hypervolumes' paired difference."""
    mean = values.mean(axis=0)
    gains = values[:, 1, 0] - values[:, 0, 0]
    error = gains.std(ddof=1) / len(gains) ** 0.5 if len(gains) > 1 else 0.0
    return {
        "linear": f"{mean[0, 0]:.4f}",
        "conditioned": f"{mean[1, 0]:.4f}",
        "difference": f"{gains.mean():+.4f} ± {error:.4f}",
        "better in": f"{(gains > 0).sum()} of {len(gains)}",
        "closeness": _pair(mean[:, 1]),
        **{name: _pair(mean[:, 2 + j]) for j, name in enumerate(objectives)},
    }


def _pair(both: NDArray[np.float64]) -> str:
    return " / ".join(f"{value:.3f}" for value in both)


if __name__ == "__main__":
    raise SystemExit(main())
