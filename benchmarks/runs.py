"""Fitting the methods fold by fold, and what is kept of each run."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm.auto import tqdm

from benchmarks.methods import METHODS, Method
from hyperrank import QueryKFold
from hyperrank.datasets import RankingData

__all__ = ["Run", "run_all"]


@dataclass(frozen=True)
class Run:
    """One front of one method on one fold.

    Attributes
    ----------
    method : str
    fold, seed : int
    hypervolume : float
    corners : tuple of float
        Each objective's value with all weight on it.
    points : list of list of float
        Values at every weight.
    fit_seconds : float
        By the clock on the wall.
    cpu_seconds : float
        Of all threads together, which other programs on the machine disturb less.
    """

    method: str
    fold: int
    seed: int
    hypervolume: float
    corners: tuple[float, ...]
    points: list[list[float]]
    fit_seconds: float
    cpu_seconds: float


def run_all(
    data: RankingData,
    weights: NDArray[np.float64],
    *,
    folds: int = 5,
    seeds: int = 1,
    methods: Sequence[Method] = METHODS,
    network_params: Mapping[str, Any] | None = None,
) -> list[Run]:
    """Fit and profile every method on every fold, each with the same weights and seeds.

    Parameters
    ----------
    data : RankingData
    weights : ndarray of shape (k, m)
        Must hold the corners.
    folds, seeds : int
        Folds of whole queries, and fits on each of them.
    methods : sequence of Method
    network_params : mapping, optional
        Parameters that make the networks' training short, for tests.

    Returns
    -------
    list of Run
    """
    split = QueryKFold(folds, shuffle=True, random_state=0).split(data.X, qid=data.qid)
    tasks = [(fold, rows, seed) for fold, rows in enumerate(split) for seed in range(seeds)]
    runs: list[Run] = []
    with tqdm(total=len(tasks) * len(methods), unit="fit", dynamic_ncols=True) as bar:
        for number, (fold, (train, test), seed) in enumerate(tasks):
            # Every other time backwards, so that a machine that slows down slows all methods alike.
            for method in methods if number % 2 == 0 else methods[::-1]:
                params = dict(network_params or {}) if method.is_network else {}
                for run in _fronts(
                    method, data.take(train), data.take(test), weights, fold=fold, seed=seed, **params
                ):
                    runs.append(run)
                    bar.write(
                        f"fold {fold + 1}  {run.method:40} hypervolume {run.hypervolume:.4f}  "
                        f"{data.names[0]} {run.corners[0]:.3f}  fit {run.fit_seconds:6.1f} s"
                    )
                bar.update()
    return runs


def _fronts(
    method: Method,
    train: RankingData,
    test: RankingData,
    weights: NDArray[np.float64],
    *,
    fold: int,
    seed: int,
    **params: Any,
) -> Iterator[Run]:
    ranker = method.make(weights, seed, objectives=train.names, **params)
    started = time.perf_counter(), time.process_time()
    ranker.fit(train.X, train.Y, qid=train.qid)
    ended = time.perf_counter(), time.process_time()
    corner_rows = weights.argmax(axis=0)
    for label, options in method.fronts.items():
        front = ranker.pareto_front(test.X, test.Y, qid=test.qid, weights=weights, **options)
        points = front.points.to_numpy()
        yield Run(
            method=label,
            fold=fold,
            seed=seed,
            hypervolume=front.hypervolume(),
            corners=tuple(np.diag(points[corner_rows]).tolist()),
            points=points.tolist(),
            fit_seconds=ended[0] - started[0],
            cpu_seconds=ended[1] - started[1],
        )
