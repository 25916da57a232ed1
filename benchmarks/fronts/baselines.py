"""Baselines of other libraries: models per objective, mixed, and one LightGBM ranker per weight.

Models are fitted to the features as they are, to those with the same standardised within the list beside
them, or to what a search on held-out lists prefers: no ingredient of HyperDPO's reference is missing.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from hyperrank import LightGBMScalarizationRanker, QueryLists, QueryShuffleSplit

__all__ = ["MixedModels", "PerWeight", "standardize_in_lists"]

Array = NDArray[Any]
Member = tuple[str, str]
#: LightGBM's own defaults, and two settings that suit small data; rounds by early stopping.
CANDIDATES: Sequence[Mapping[str, Any]] = (
    {"num_leaves": 31, "learning_rate": 0.1},
    {"num_leaves": 7, "learning_rate": 0.1, "feature_fraction": 0.5, "lambda_l2": 1.0},
    {"num_leaves": 31, "learning_rate": 0.05, "feature_fraction": 0.5, "lambda_l2": 1.0},
)
LAMBDARANK = {"objective": "lambdarank", "lambdarank_truncation_level": 100}
MAX_ROUNDS, PATIENCE, HELD_OUT = 400, 30, 1 / 3
#: As many as the others' defaults; its own 1,000 take minutes, and its learning rate follows the number.
CATBOOST_ROUNDS = 100


def standardize_in_lists(X: Array, lists: QueryLists) -> NDArray[np.float32]:
    """Features of grouped rows, followed by the same standardised within their list; NaN stays missing."""
    known = ~np.isnan(X)
    count = np.maximum(np.add.reduceat(known, lists.offsets[:-1], axis=0, dtype=np.int64), 1)

    def mean(values: Array) -> Array:
        sums = np.add.reduceat(np.where(known, values, 0.0), lists.offsets[:-1], axis=0, dtype=np.float64)
        return np.asarray((sums / count)[lists.index])

    centred = X - mean(X)
    deviation = np.sqrt(mean(centred**2))
    standardized = np.where(deviation > 0, centred / np.where(deviation > 0, deviation, 1), 0 * centred)
    return np.concatenate([X, standardized], axis=1, dtype=np.float32)


def _deviations(scores: Array, lists: QueryLists) -> Array:
    """Deviation of each column from its list's mean; 1 where nothing varies."""
    means = np.add.reduceat(scores, lists.offsets[:-1], axis=0) / lists.sizes[:, None]
    deviations = np.sqrt(((scores - means[lists.index]) ** 2).mean(axis=0))
    return np.where(deviations > 0, deviations, 1.0)


@dataclass
class _Cost:
    """Seconds, by what they were spent on."""

    seconds: dict[Any, tuple[float, float]] = field(default_factory=dict)

    @contextmanager
    def of(self, name: Any) -> Iterator[None]:
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.seconds[name] = (time.perf_counter() - wall, time.process_time() - cpu)

    def sum(self, names: Sequence[Any]) -> dict[str, float]:
        wall, cpu = np.sum([self.seconds[name] for name in names], axis=0)
        return {"fit_seconds": float(wall), "fit_cpu_seconds": float(cpu)}


@dataclass(frozen=True)
class _Lists:
    """Features as they are and with those standardised in lists, and grouped labels."""

    features: Mapping[str, Array]
    lists: QueryLists

    @classmethod
    def read(cls, X: Array, qid: Array) -> _Lists:
        lists = QueryLists.from_qid(qid)
        plain = np.asarray(lists.group(np.asarray(X, dtype=np.float32)))
        return cls({"plain": plain, "in-list": standardize_in_lists(plain, lists)}, lists)

    def known(self, labels: Array) -> tuple[_Lists, Array]:
        """The rows that have a label."""
        rows = ~np.isnan(labels)
        if rows.all():
            return self, labels
        lists = QueryLists.from_qid(self.lists.index[rows])
        return _Lists({name: X[rows] for name, X in self.features.items()}, lists), labels[rows]


class MixedModels(BaseEstimator):
    """One model per objective for each kind and feature set, their standardised scores mixed by the weights.

    Parameters
    ----------
    library : {"lightgbm", "xgboost", "catboost"}
        At its own defaults (CatBoost with 100 rounds).
    members : sequence of (kind, features)
        Kinds are "ranking" and "regression" (on the grades), features "plain", "in-list" and, of LightGBM,
        "searched": parameters, rounds and features by NDCG@10 on a third of the lists.
    objectives, n_jobs, random_state
        As for hyperrank's rankers.
    """

    def __init__(
        self,
        library: str = "lightgbm",
        members: Sequence[Member] = (("ranking", "plain"),),
        objectives: Sequence[str] | None = None,
        n_jobs: int = 1,
        random_state: int = 0,
    ) -> None:
        self.library = library
        self.members = members
        self.objectives = objectives
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, X: Array, Y: Array, *, qid: Array) -> MixedModels:
        """Fit all members."""
        data = _Lists.read(X, qid)
        labels = np.asarray(data.lists.group(np.asarray(Y)))
        self.costs_, self.train_lists_ = _Cost(), data.lists
        self.models_: dict[Member, list[tuple[str, Any]]] = {}
        self.scales_: dict[Member, Array] = {}
        self.train_scores_: dict[Member, Array] = {}
        for kind, features in self.members:
            member = kind, features
            with self.costs_.of(member):
                self.models_[member] = [self._fit_one(kind, features, *data.known(y)) for y in labels.T]
                scores = self._scores(member, data)
                self.scales_[member] = _deviations(scores, data.lists)
                self.train_scores_[member] = scores / self.scales_[member]
        return self

    def predict(
        self, X: Array, *, qid: Array, weights: Array, members: Sequence[Member] | None = None
    ) -> Array:
        """Scores of shape (n, k): sums of some members, standardised, mixed by the weights."""
        data = _Lists.read(X, qid)
        return np.asarray(data.lists.ungroup(self.objective_scores(data, members) @ np.asarray(weights).T))

    def objective_scores(self, data: _Lists, members: Sequence[Member] | None = None) -> Array:
        """Standardised scores of grouped rows for each objective."""
        chosen = self.members if members is None else members
        total = np.sum([self.train_scores_[member] for member in chosen], axis=0)
        scores = np.sum([self._scores(member, data) / self.scales_[member] for member in chosen], axis=0)
        return np.asarray(scores / _deviations(total, self.train_lists_))

    def cost(self, members: Sequence[Member] | None = None) -> dict[str, float]:
        """Seconds that the fit of some members took."""
        return self.costs_.sum(self.members if members is None else members)

    def _scores(self, member: Member, data: _Lists) -> Array:
        models = self.models_[member]
        return np.column_stack([model.predict(data.features[features]) for features, model in models])

    def _fit_one(self, kind: str, features: str, data: _Lists, labels: Array) -> tuple[str, Any]:
        """The features that a model sees, and the model."""
        if features == "searched":
            params, features = search([kind], [labels], data, self.n_jobs, self.random_state)
            return features, _train(kind, data.features[features], labels, data.lists, params)
        X, ids = data.features[features], data.lists.index
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="X does not have valid feature names")
            return features, self._make(kind).fit(X, labels.copy(), **self._groups(kind, ids, data.lists))

    def _groups(self, kind: str, ids: Array, lists: QueryLists) -> dict[str, Array]:
        if kind == "regression":
            return {}
        name = {"lightgbm": "group", "xgboost": "qid", "catboost": "group_id"}[self.library]
        return {name: lists.sizes if name == "group" else ids}

    def _make(self, kind: str) -> Any:
        """An unfitted model of the library at its defaults."""
        if self.library == "lightgbm":
            import lightgbm

            cls = lightgbm.LGBMRanker if kind == "ranking" else lightgbm.LGBMRegressor
            return _NamelessBooster(cls(n_jobs=self.n_jobs, random_state=self.random_state, verbose=-1))
        if self.library == "xgboost":
            import xgboost

            cls = xgboost.XGBRanker if kind == "ranking" else xgboost.XGBRegressor
            options = {"objective": "rank:ndcg"} if kind == "ranking" else {}
            return cls(n_jobs=self.n_jobs, random_state=self.random_state, **options)
        import catboost

        cls = catboost.CatBoostRanker if kind == "ranking" else catboost.CatBoostRegressor
        return cls(
            loss_function="YetiRank" if kind == "ranking" else "RMSE",
            iterations=CATBOOST_ROUNDS,
            thread_count=self.n_jobs,
            random_seed=self.random_state,
            verbose=False,
            allow_writing_files=False,
        )


@dataclass
class _NamelessBooster:
    """A LightGBM estimator whose predict asks for no feature names."""

    estimator: Any

    def fit(self, X: Array, y: Array, **groups: Any) -> Any:
        return self.estimator.fit(X, y, **groups).booster_


def _train(
    kind: str,
    X: Array,
    labels: Array,
    lists: QueryLists,
    params: Mapping[str, Any],
    held_out: tuple[Array, Array, QueryLists] | None = None,
) -> Any:
    """A LightGBM booster, stopped by NDCG@10 of held-out lists where there are some."""
    import lightgbm

    settings = {**(LAMBDARANK if kind == "ranking" else {"objective": "regression"}), **params}
    settings |= {"metric": "ndcg", "eval_at": [10], "verbose": -1}
    train = lightgbm.Dataset(X, labels.copy(), group=lists.sizes, params={"verbose": -1})
    if held_out is None:
        return lightgbm.train(settings, train)
    aside = lightgbm.Dataset(held_out[0], held_out[1].copy(), group=held_out[2].sizes, reference=train)
    stop = lightgbm.early_stopping(PATIENCE, verbose=False)
    return lightgbm.train(
        {**settings, "num_boost_round": MAX_ROUNDS}, train, valid_sets=[aside], callbacks=[stop]
    )


def search(
    kinds: Sequence[str],
    columns: Sequence[Array],
    data: _Lists,
    n_jobs: int,
    seed: int,
    *,
    features: Sequence[str] = ("plain", "in-list"),
) -> tuple[dict[str, Any], str]:
    """Parameters and features by mean NDCG@10 over label columns, on a third of the lists.

    The candidates are compared on the first features, and the best of them on the others.
    """
    splitter = QueryShuffleSplit(1, test_size=HELD_OUT, random_state=seed)
    train, aside = next(iter(splitter.split(data.lists.index, qid=data.lists.index)))
    lists, aside_lists = (QueryLists.from_qid(data.lists.index[rows]) for rows in (train, aside))

    def tried(params: Mapping[str, Any], name: str) -> tuple[float, dict[str, Any]]:
        X, found = data.features[name], []
        for kind in kinds:
            for labels in columns:
                held_out = (X[aside], labels[aside], aside_lists)
                given = {**params, "num_threads": n_jobs, "seed": seed}
                found.append(_train(kind, X[train], labels[train], lists, given, held_out))
        values = [model.best_score["valid_0"]["ndcg@10"] for model in found]
        rounds = int(np.ceil(np.mean([model.best_iteration for model in found])))
        return float(np.mean(values)), {**params, "num_boost_round": rounds}

    value, params = max((tried(params, features[0]) for params in CANDIDATES), key=lambda found: found[0])
    best = value, params, features[0]
    for name in features[1:]:
        other = tried({key: v for key, v in params.items() if key != "num_boost_round"}, name)
        best = max(best, (*other, name), key=lambda found: found[0])
    return {**best[1], "num_threads": n_jobs, "seed": seed}, best[2]


class PerWeight(BaseEstimator):
    """One LightGBM ranker per weight on features standardised in lists too, and mixed regressions beside it.

    Parameters
    ----------
    weights : array of shape (k, m)
    combination : {"labels", "gradients", "chebyshev"}
        Of the objectives within a booster. "chebyshev": the gradient of the objective whose weighted loss
        (softmax cross-entropy, divided by its value at the start) is largest, as in MO-LightGBM.
    objectives, n_jobs, random_state
        As for hyperrank's rankers.
    """

    def __init__(
        self,
        weights: Any = None,
        combination: str = "labels",
        objectives: Sequence[str] | None = None,
        n_jobs: int = 1,
        random_state: int = 0,
    ) -> None:
        self.weights = weights
        self.combination = combination
        self.objectives = objectives
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, X: Array, Y: Array, *, qid: Array) -> PerWeight:
        """Search for parameters by the objectives' own NDCG@10, then fit a booster to each weight."""
        data = _Lists.read(X, qid)
        labels = np.asarray(data.lists.group(np.asarray(Y)))
        graded = np.nan_to_num(labels)
        self.costs_ = _Cost()
        with self.costs_.of("rankers"):
            params, _ = search(
                ["ranking"], list(graded.T), data, self.n_jobs, self.random_state, features=["in-list"]
            )
            self._fit_rankers(data, labels, params)
            self.scales_ = _deviations(self._scores(data), data.lists)
        regressions = MixedModels(
            members=[("regression", "plain")], n_jobs=self.n_jobs, random_state=self.random_state
        )
        with self.costs_.of("regressions"):
            self.regressions_ = regressions.fit(X, Y, qid=qid)
        return self

    def predict(self, X: Array, *, qid: Array, weights: Array, with_regressions: bool = False) -> Array:
        """Scores of shape (n, k) at the weights of the fit."""
        data = _Lists.read(X, qid)
        scores = self._scores(data) / self.scales_
        if with_regressions:
            scores += self.regressions_.objective_scores(data) @ np.asarray(weights).T
        return np.asarray(data.lists.ungroup(scores))

    def cost(self, with_regressions: bool = False) -> dict[str, float]:
        """Seconds that the fit took, with or without the regressions."""
        return self.costs_.sum(["rankers", *(["regressions"] if with_regressions else [])])

    def _fit_rankers(self, data: _Lists, labels: Array, params: Mapping[str, Any]) -> None:
        X = data.features["in-list"]
        if self.combination == "chebyshev":
            start = _softmax_losses(labels, data.lists)
            self.boosters_ = [
                _train_chebyshev(X, weight, start, params) for weight in np.asarray(self.weights)
            ]
            return
        own = {name: value for name, value in params.items() if name not in ("num_threads", "seed")}
        self.ranker_ = LightGBMScalarizationRanker(
            self.weights,
            mixing=self.combination,
            booster_params={"bagging_freq": 0, "feature_fraction": 1.0, "lambda_l2": 0.0, **own},
            n_jobs=self.n_jobs,
            random_state=self.random_state,
        ).fit(X, labels, qid=data.lists.index)

    def _scores(self, data: _Lists) -> Array:
        X = data.features["in-list"]
        if self.combination == "chebyshev":
            return np.column_stack([booster.predict(X) for booster in self.boosters_])
        return np.asarray(self.ranker_.predict(X, qid=data.lists.index, weights=self.weights))


#: ``scores of shape (n,) -> loss, gradient and curvature of each objective``.
Losses = Callable[[Array], tuple[Array, Array, Array]]


def _softmax_losses(labels: Array, lists: QueryLists) -> Losses:
    """Softmax cross-entropy to each objective's gains, in lists of about unit gradients."""
    gains = np.exp2(np.nan_to_num(labels)) - 1
    starts, index = lists.offsets[:-1], lists.index
    totals = np.add.reduceat(gains, starts, axis=0)
    counts = (totals > 0)[index]
    targets = gains / np.where(totals > 0, totals, 1)[index]
    n_each, scale = (totals > 0).sum(axis=0), lists.sizes.mean()

    def losses(scores: Array) -> tuple[Array, Array, Array]:
        shifted = scores - np.maximum.reduceat(scores, starts)[index]
        log_p = shifted - np.log(np.add.reduceat(np.exp(shifted), starts))[index]
        p = np.exp(log_p)[:, None]
        values = -(targets * log_p[:, None]).sum(axis=0) / np.maximum(n_each, 1)
        return values, scale * counts * (p - targets), scale * counts * p * (1 - p)

    return losses


def _train_chebyshev(X: Array, weight: Array, losses: Losses, params: Mapping[str, Any]) -> Any:
    """A booster on the objective that is worst by weighted loss, round by round."""
    import lightgbm

    at_start = losses(np.zeros(len(X)))[0]

    def worst(scores: Array, _: Any) -> tuple[Array, Array]:
        values, gradients, curvatures = losses(scores)
        j = int((weight * values / at_start).argmax())
        return gradients[:, j], curvatures[:, j]

    return lightgbm.train(
        {**params, "objective": worst, "verbose": -1}, lightgbm.Dataset(X, np.zeros(len(X)))
    )
