"""The ranker in production as the start: what rankers over it reach, and whether limits relative to it hold.

Of each fold's training queries two thirds train and one third chooses. The production ranker is an LGBMRanker
of relevance, its leaves and rounds chosen by 3-fold cross-validation on the training queries. Each method is
then asked for the trade-off that is best for the other objectives among those that keep 98% of production's
relevance with confidence .9 on the choosing queries, and what becomes of it is measured on test queries.

The promise is about all such queries. A test fold of 17 queries, as of the MSLR sample, has an error of its
own of a tenth of the relevance, so that a true promise falls short there nearly as often as not. The
generated data have 144 training queries a fold and 1,200 for testing: what falls short there is false.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
from lightgbm import LGBMRanker
from numpy.typing import NDArray

from benchmarks import machine
from benchmarks.fronts.settings import SETTINGS, Setting
from benchmarks.fronts.sources import Fold, Interactions, Source, SourceError
from benchmarks.markdown import markdown_table, mean_and_deviation
from benchmarks.validation import validation_fold
from hyperrank import HyperDPORanker, MixedScoresRanker, ParetoFront, QueryKFold, QueryLists
from hyperrank.datasets import RankingData
from hyperrank.front import InfeasibleLimitsError
from hyperrank.metrics import hypervolume, ndcg

__all__ = ["main", "split_record", "tuned_production"]

#: The limit, as a share of production's main objective, and how sure of it.
KEPT, CONFIDENCE = 0.98, 0.9
#: Those of `pareto_front` by default, over a reference that was given.
TEMPERATURES = (0.0, 0.1, 0.3, 1.0, 3.0)
#: Leaves that are tried for the production ranker, and rounds at most.
LEAVES, ROUNDS = (7, 31), 300
PRODUCTION: Mapping[str, Any] = {
    "learning_rate": 0.05,
    "min_child_samples": 20,
    "subsample": 0.8,
    "subsample_freq": 1,
    "colsample_bytree": 0.5,
    "reg_lambda": 1.0,
    "n_jobs": 1,
    "verbose": -1,
}
#: One-sided 5% of a normal distribution.
SURE = 1.645
METHODS = ("mapping reference", "single-model reference", "default", "mixed scores")
ALONE = "production alone"


class ManyTested(Interactions):
    """Folds of few training queries, each another draw, beside many test queries."""

    label = "generated"
    n_train, n_test = 144, 1200

    def __init__(self, objectives: Sequence[str] | None = None, n_folds: int = 5) -> None:
        super().__init__(objectives, n_folds, {"n_queries": n_folds * self.n_train + self.n_test})

    def fold(self, number: int) -> Fold:
        first = number * self.n_train
        is_train = (self.data.qid >= first) & (self.data.qid < first + self.n_train)
        return Fold(self.data.take(is_train), self.data.take(self.data.qid >= self.n_folds * self.n_train))


DATA: Mapping[str, Setting] = {**SETTINGS, "generated": Setting("generator, 1,200 test queries", ManyTested)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; gives the exit status."""
    parser = argparse.ArgumentParser("python -m benchmarks.production", description=__doc__)
    parser.add_argument("--data", nargs="+", choices=DATA, default=["mslr-sample", "mq2008", "generated"])
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], metavar="SEED")
    parser.add_argument("--records", type=Path, help="JSON lines of finished splits, which are not run again")
    options = parser.parse_args(arguments)
    records = list(machine.finished_records(options.records))
    done = {(record["data"], record["fold"], record["seed"]) for record in records}
    for name in options.data:
        source = DATA[name].make(n_folds=options.folds)
        try:
            source.check()
        except SourceError as error:
            parser.error(str(error))
        for seed in options.seeds:
            for fold in range(options.folds):
                if (name, fold, seed) in done:
                    continue
                record = {"data": name, "fold": fold, "seed": seed, **split_record(source, fold, seed)}
                records.append(record)
                if options.records is not None:
                    with options.records.open("a") as file:
                        file.write(json.dumps(record) + "\n")
        wanted = [
            record
            for record in records
            if record["data"] == name and record["fold"] < options.folds and record["seed"] in options.seeds
        ]
        print(f"\n## {DATA[name].title}, {len(wanted)} splits\n\n{markdown_table(rows_of(wanted))}")
    print(f"\n{machine.provenance('python -m benchmarks.production')}")
    return 0


def tuned_production(data: RankingData, seed: int) -> LGBMRanker:
    """An LGBMRanker of the first objective, as somebody would have it in production."""
    folds = list(QueryKFold(3, shuffle=True, random_state=seed).split(data.X, qid=data.qid))
    best: tuple[float, int, int] | None = None
    for leaves in LEAVES:
        scores, rounds = [], []
        for rows, held_out in folds:
            ranker = LGBMRanker(n_estimators=ROUNDS, num_leaves=leaves, random_state=seed, **PRODUCTION)
            X, y, sizes = _grouped(data.take(held_out))
            _fit(ranker, data.take(rows), eval_X=X, eval_y=y, eval_group=[sizes])
            scores.append(ranker.best_score_["valid_0"]["ndcg@10"])
            rounds.append(ranker.best_iteration_)
        found = (float(np.mean(scores)), leaves, max(10, round(float(np.mean(rounds)))))
        best = found if best is None or found[0] > best[0] else best
    assert best is not None
    _, leaves, n_rounds = best
    ranker = LGBMRanker(n_estimators=n_rounds, num_leaves=leaves, random_state=seed, **PRODUCTION)
    return _fit(ranker, data)


def _grouped(data: RankingData) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
    lists = QueryLists.from_qid(data.qid)
    return lists.group(data.X), np.ascontiguousarray(lists.group(data.Y[:, 0])), lists.sizes


def _fit(ranker: LGBMRanker, data: RankingData, **validation: Any) -> LGBMRanker:
    X, y, sizes = _grouped(data)
    callbacks = [lightgbm.early_stopping(50, verbose=False)] if validation else None
    options = {"eval_at": [10], "callbacks": callbacks, **validation} if validation else {}
    return ranker.fit(X, y, group=sizes, **options)


def split_record(source: Source, fold: int, seed: int) -> dict[str, Any]:
    """What each method reaches in one split."""
    train, aside = validation_fold(source, fold)
    test = source.fold(fold).test
    today = tuned_production(train, seed)
    main, *_ = train.names
    rankers: dict[str, Any] = {
        "mapping reference": HyperDPORanker({main: today}, objectives=train.names, random_state=seed),
        "single-model reference": HyperDPORanker(today, objectives=train.names, random_state=seed),
        "default": HyperDPORanker(objectives=train.names, random_state=seed),
        "mixed scores": MixedScoresRanker(objectives=train.names, random_state=seed),
    }
    of_production = ndcg(np.asarray(today.predict(test.X)), test.Y, qid=test.qid, k=10)
    record: dict[str, Any] = {ALONE: {"hypervolume": hypervolume(of_production[None])}}
    for name, ranker in rankers.items():
        ranker.fit(train.X, train.Y, qid=train.qid)
        record[name] = {**_hypervolumes(ranker, test), **_chosen(ranker, today, aside, test)}
    return record


def _hypervolumes(ranker: Any, test: RankingData) -> dict[str, float]:
    """Of the test front at temperature 1, and of that over weights and temperatures."""
    one = ranker.pareto_front(test.X, test.Y, qid=test.qid, **_at(ranker, (1.0,)))
    several = ranker.pareto_front(test.X, test.Y, qid=test.qid, **_at(ranker, TEMPERATURES))
    return {"hypervolume": hypervolume(one.points), "over temperatures": hypervolume(several.points)}


def _at(ranker: Any, temperatures: Iterable[float]) -> dict[str, Any]:
    """Options of `pareto_front`, of a ranker that may have no temperature."""
    return {"temperatures": tuple(temperatures)} if isinstance(ranker, HyperDPORanker) else {}


def _chosen(ranker: Any, today: LGBMRanker, aside: RankingData, test: RankingData) -> dict[str, Any]:
    """What the trade-off chosen relative to production reaches on test queries, as shares of production's."""
    options = {**_at(ranker, TEMPERATURES), "baseline": today}
    chosen_on: ParetoFront = ranker.pareto_front(aside.X, aside.Y, qid=aside.qid, **options)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            selection = chosen_on.select(at_least={aside.names[0]: KEPT}, confidence=CONFIDENCE)
    except InfeasibleLimitsError as error:
        return {"refusal": str(error)}
    tested = ranker.pareto_front(test.X, test.Y, qid=test.qid, weights=[selection], baseline=today)
    expected = np.asarray(selection.values) / np.asarray(chosen_on.reference)
    return {
        "shares": (tested.points.iloc[0] / tested.reference).tolist(),
        "errors": beyond_limit(tested),
        "is production": bool(np.allclose(expected, 1)),
    }


def beyond_limit(tested: ParetoFront) -> float:
    """Standard errors of the paired difference by which the first objective lies above its limit."""
    assert tested.per_query is not None
    assert tested.reference_per_query is not None
    values = tested.per_query[0, :, 0] - KEPT * tested.reference_per_query[:, 0]
    values = values[~np.isnan(values)]
    return float(values.mean() / values.std(ddof=1) * len(values) ** 0.5)


def rows_of(records: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """A row of the table for each method."""
    rows = []
    default = np.array([record["default"]["over temperatures"] for record in records])
    for method in (ALONE, *METHODS):
        found = [record[method] for record in records]
        row = {"method": method, "hypervolume": f"{np.mean([f['hypervolume'] for f in found]):.4f}"}
        if method == ALONE:
            rows.append({**row, **dict.fromkeys(("over temperatures", "ratio to the default"), "")})
            continue
        several = np.array([f["over temperatures"] for f in found])
        row["over temperatures"] = f"{several.mean():.4f}"
        ratios = several / default
        error = ratios.std(ddof=1) / len(ratios) ** 0.5 if len(ratios) > 1 else 0.0
        row["ratio to the default"] = f"{ratios.mean():.3f} ± {error:.3f}"
        chosen = [f for f in found if "shares" in f and not f["is production"]]
        row["finds a trade-off"] = f"{len(chosen) / len(found):.0%}"
        if chosen:
            shares = np.array([f["shares"] for f in chosen])
            row["main kept"] = mean_and_deviation(shares[:, 0], 3)
            row[f"at least {KEPT}"] = f"{np.mean(shares[:, 0] >= KEPT):.0%}"
            row[f"surely below {KEPT}"] = f"{np.mean([f['errors'] < -SURE for f in chosen]):.0%}"
            row["others gain"] = f"{shares[:, 1:].mean() - 1:+.0%}"
        rows.append(row)
    names = dict.fromkeys(name for row in rows for name in row)
    return [{name: row.get(name, "") for name in names} for row in rows]


if __name__ == "__main__":
    raise SystemExit(main())
