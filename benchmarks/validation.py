"""Settings of HyperDPORanker on validation folds, for choosing defaults; test folds are not used.

Of each fold's training queries two thirds train and one third evaluates.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import machine
from benchmarks.fronts.grid import trade_offs
from benchmarks.fronts.settings import LARGE, SETTINGS
from benchmarks.fronts.sources import Source, SourceError
from benchmarks.markdown import markdown_table
from hyperrank import HyperDPORanker, QueryKFold
from hyperrank.datasets import RankingData
from hyperrank.metrics import hypervolume, ndcg
from hyperrank.simplex import lattice_near

__all__ = ["compare", "main", "validation_fold"]

#: Data, and how many of their folds are looked at. Generated data are another draw than the suite's.
DATA: Mapping[str, tuple[Callable[[], Source], int]] = {
    name: (partial(setting.make, **setting.another_draw), setting.n_validation_folds)
    for name, setting in SETTINGS.items()
    if setting.n_validation_folds
}
#: Trade-offs that a user may choose from, measured beside the suite's.
DENSE = 231


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare and print; gives the exit status."""
    parser = argparse.ArgumentParser("python -m benchmarks.validation", description=__doc__)
    parser.add_argument(
        "--data",
        nargs="+",
        choices=DATA,
        default=[name for name in DATA if name not in LARGE],
        metavar="NAME",
        help=f"some of {', '.join(DATA)}; all but the large ones by default",
    )
    parser.add_argument(
        "--params",
        nargs="+",
        type=json.loads,
        default=[{}],
        metavar="JSON",
        help="constructor parameters, one object per setting; ratios are to the first",
    )
    parser.add_argument("--temperatures", nargs="+", type=float, default=[1.0], metavar="T")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    for name in options.data:
        make, n_folds = DATA[name]
        source = make()
        try:
            source.check()
        except SourceError as error:
            parser.error(str(error))
        rows = compare(source, n_folds, options.params, options.temperatures, options.seed)
        print(f"\n## {name}, {n_folds} validation folds\n\n{markdown_table(rows)}", flush=True)
    print(f"\n{machine.provenance('python -m benchmarks.validation')}")
    return 0


def compare(
    source: Source,
    n_folds: int,
    settings: Sequence[Mapping[str, Any]],
    temperatures: Sequence[float] = (1.0,),
    seed: int = 0,
) -> list[dict[str, str]]:
    """Rows of a table: each setting at each temperature, its hypervolume as a ratio to the first row's.

    Parameters
    ----------
    source : Source
    n_folds : int
        Folds looked at, of the source's.
    settings : sequence of mapping
        Constructor parameters.
    temperatures : sequence of float
        Of predict.
    seed : int
        Of the ranker.
    """
    folds = [validation_fold(source, number) for number in range(n_folds)]
    rows: list[dict[str, str]] = []
    first: NDArray[np.float64] | None = None
    for given in settings:
        fitted = [_fitted(train, given, seed) for train, _ in folds]
        for temperature in temperatures:
            found = [
                _measured(ranker, held_out, temperature)
                for (ranker, _), (_, held_out) in zip(fitted, folds, strict=True)
            ]
            value, dense, corner = (np.array(column) for column in zip(*found, strict=True))
            first = value if first is None else first
            rows.append(
                {
                    "parameters": json.dumps(given),
                    "temperature": f"{temperature:g}",
                    "hypervolume": f"{value.mean():.4f}",
                    "ratio": _ratio(value, first),
                    f"at {DENSE}": f"{dense.mean():.4f}",
                    source.objectives[0]: f"{corner.mean():.3f}",
                    "fit CPU s": f"{np.mean([seconds for _, seconds in fitted]):.1f}",
                    "chosen": "; ".join(_chosen(ranker) for ranker, _ in fitted),
                }
            )
    return rows


def validation_fold(source: Source, number: int) -> tuple[RankingData, RankingData]:
    """Queries to train on and to evaluate on, from the training queries of a fold."""
    train = source.fold(number).train
    splits = list(QueryKFold(3, shuffle=True, random_state=number).split(train.X, qid=train.qid))
    rows, aside = splits[number % 3]
    return train.take(rows), train.take(aside)


def _fitted(train: RankingData, given: Mapping[str, Any], seed: int) -> tuple[HyperDPORanker, float]:
    ranker = HyperDPORanker(objectives=train.names, random_state=seed).set_params(**given)
    started = time.process_time()
    ranker.fit(train.X, train.Y, qid=train.qid)
    return ranker, time.process_time() - started


def _measured(
    ranker: HyperDPORanker, held_out: RankingData, temperature: float
) -> tuple[float, float, float]:
    """Hypervolume, that of many trade-offs, and the first objective with all weight on it."""
    m = held_out.Y.shape[1]
    values = []
    for weights in (trade_offs(m), lattice_near(m, DENSE), np.eye(m)[:1]):
        scores = ranker.predict(held_out.X, qid=held_out.qid, weights=weights, temperature=temperature)
        values.append(np.atleast_2d(ndcg(scores, held_out.Y, qid=held_out.qid, k=10)))
    return hypervolume(values[0]), hypervolume(values[1]), float(values[2][0, 0])


def _ratio(values: NDArray[np.float64], first: NDArray[np.float64]) -> str:
    """Ratio of means, with the standard error of the difference over folds as a ratio."""
    error = (values - first).std(ddof=1) / len(values) ** 0.5 if len(values) > 1 else 0.0
    return f"{values.mean() / first.mean():.3f} ± {error / first.mean():.3f}"


def _chosen(ranker: HyperDPORanker) -> str:
    """What tuning chose, in short."""
    trial = ranker.tuning_
    if trial is None:
        return "-"
    return f"{trial.max_epochs} epochs, dropout {trial.dropout:g}, reward scale {trial.reward_scale_factor:g}"


if __name__ == "__main__":
    raise SystemExit(main())
