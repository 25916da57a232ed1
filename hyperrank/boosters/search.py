"""Cross-validated search for LightGBM parameters by the hypervolume of the boosters' front."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperrank._progress import ProgressBar
from hyperrank.boosters.scoring import booster_scores
from hyperrank.boosters.training import BOOSTER_PARAMS, fit_boosters, in_threads
from hyperrank.files import storable
from hyperrank.lists import QueryLists, within_list_deviation
from hyperrank.metrics import Metric, hypervolume
from hyperrank.simplex import lattice_near

#: Candidates, on top of `hyperrank.boosters.BOOSTER_PARAMS`. Pairs of documents below
#: LightGBM's truncation level do not count; 30 is its default.
CANDIDATES: tuple[Mapping[str, Any], ...] = tuple(
    # The best number of rounds depends on the learning rate.
    {"learning_rate": BOOSTER_PARAMS["learning_rate"], **params}
    for params in (
        {"num_leaves": 7, "lambdarank_truncation_level": 30},
        {"num_leaves": 7, "lambdarank_truncation_level": 100},
        {"num_leaves": 7, "lambdarank_truncation_level": 100, "min_data_in_leaf": 100},
        {"num_leaves": 31, "lambdarank_truncation_level": 100, "min_data_in_leaf": 50},
    )
)
#: Rounds at which fronts are compared; the last is the most that is trained.
ROUNDS = (25, 50, 75, 100, 150, 200, 300)
#: Folds of the queries; and rows from which a single fold of five is held out.
N_FOLDS = 3
ONE_FOLD_ROWS = 200_000
#: Trade-offs at which mixed scores are evaluated.
N_WEIGHTS = 21

#: ``(X, Y, lists, list_weight=..., params=...) -> boosters``.
Fit = Callable[..., Sequence[Any]]
#: Scores of every booster, shape (n, boosters), and their lists, to scores of every trade-off, (n, k).
Mix = Callable[[NDArray[np.float64], QueryLists], NDArray[np.float64]]


@storable
@dataclass(frozen=True)
class BoosterSearch:
    """Result of a search: the best parameters, and those, rounds and hypervolume of all that was compared.

    `hypervolume` is that of their front on held-out queries, mean over folds; NaN where nothing was measured.
    """

    params: dict[str, Any]
    hypervolume: float
    tried: list[dict[str, Any]]
    seconds: float


def search_booster_params(
    X: NDArray[np.float32],
    Y: NDArray[np.float32],
    lists: QueryLists,
    *,
    fit: Fit,
    mix: Mix,
    metric: Metric,
    seed: int = 0,
    list_weight: NDArray[Any] | None = None,
    n_jobs: int | None = None,
    candidates: Sequence[Mapping[str, Any]] = CANDIDATES,
    verbose: int = 0,
) -> BoosterSearch:
    """Choose parameters and rounds by cross-validation over queries.

    Fronts on held-out queries are measured after several numbers of rounds: early stopping by the front
    instead of one objective. Below three queries the first candidate is taken as it is. `fit` trains the
    boosters of ``(X, Y, lists, list_weight=..., params=...)``; `mix` makes scores (n, k) at k trade-offs of
    theirs, (n, boosters), and lists. Other arguments as for `fit_boosters`.
    """
    started = time.perf_counter()
    if lists.n_lists < N_FOLDS:
        return BoosterSearch(dict(candidates[0]), float("nan"), [], 0.0)

    def evaluate(params: Mapping[str, Any], train: NDArray[Any], held_out: NDArray[Any]) -> list[float]:
        values = [np.nan] * len(ROUNDS)
        rows, train_lists = lists.take(train)
        if not np.isnan(Y[rows]).all(axis=0).any():  # else no booster can be trained for some objective
            weight = None if list_weight is None else list_weight[train]
            params = {**params, "num_boost_round": ROUNDS[-1]}
            boosters = fit(X[rows], Y[rows], train_lists, list_weight=weight, params=params)
            rows, held_out_lists = lists.take(held_out)
            values = list(_hypervolumes(boosters, mix, metric, X[rows], Y[rows], held_out_lists))
        bar.advance()
        return values

    folds = _folds(lists, np.random.default_rng(seed))
    tasks = [partial(evaluate, params, *fold) for params in candidates for fold in folds]
    with ProgressBar(len(tasks), verbose=verbose, desc="booster search") as bar:
        values = np.array(in_threads(tasks, n_jobs, X)).reshape(len(candidates), len(folds), len(ROUNDS))
    means = np.ma.masked_invalid(values).mean(axis=1).filled(np.nan)  # of what could be measured
    tried = [
        {**params, "num_boost_round": rounds, "hypervolume": float(value)}
        for params, row in zip(candidates, means, strict=True)
        for rounds, value in zip(ROUNDS, row, strict=True)
        if not np.isnan(value)
    ]
    if not tried:
        return BoosterSearch(dict(candidates[0]), float("nan"), [], time.perf_counter() - started)
    best = max(tried, key=lambda entry: entry["hypervolume"])
    params = {name: value for name, value in best.items() if name != "hypervolume"}
    return BoosterSearch(params, best["hypervolume"], tried, time.perf_counter() - started)


def search_mixed_scores(
    X: NDArray[np.float32],
    Y: NDArray[np.float32],
    lists: QueryLists,
    *,
    seed: int = 0,
    categorical: Collection[int] = (),
    **options: Any,
) -> BoosterSearch:
    """Search for boosters of one objective each, whose standardised scores the weights mix."""
    weights = lattice_near(Y.shape[1], N_WEIGHTS)
    fit = partial(fit_boosters, objectives=range(Y.shape[1]), seed=seed, n_jobs=1, categorical=categorical)

    def mix(scores: NDArray[np.float64], lists: QueryLists) -> NDArray[np.float64]:
        scales = [within_list_deviation(column, lists) for column in scores.T]
        return np.asarray(scores / scales @ weights.T)

    return search_booster_params(X, Y, lists, fit=fit, mix=mix, seed=seed, **options)


def _folds(lists: QueryLists, rng: np.random.Generator) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Numbers of the lists to train on and of those held out."""
    order = rng.permutation(lists.n_lists)
    if lists.n_rows >= ONE_FOLD_ROWS:
        cut = max(1, lists.n_lists // 5)
        return [(np.sort(order[cut:]), np.sort(order[:cut]))]
    folds = np.array_split(order, N_FOLDS)
    return [(np.sort(np.setdiff1d(order, fold)), np.sort(fold)) for fold in folds]


def _hypervolumes(
    boosters: Sequence[Any],
    mix: Mix,
    metric: Metric,
    X: NDArray[np.float32],
    Y: NDArray[np.float32],
    lists: QueryLists,
) -> Iterator[float]:
    """Hypervolume of the front after each number of rounds; objectives that have no labels are left out."""
    for rounds in ROUNDS:
        scores = np.column_stack([booster_scores(booster, X, rounds) for booster in boosters])
        points = np.atleast_2d(metric(mix(scores, lists), Y, qid=lists.in_place))
        known = ~np.isnan(points).all(axis=0)
        yield hypervolume(points[:, known]) if known.any() else 0.0
