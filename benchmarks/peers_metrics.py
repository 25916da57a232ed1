"""NDCG@10 of each library in one convention: gains 2^z - 1, an empty list scores 0.

Whatever a library wants its data in (dicts, frames, padded tensors, its own data sets) is made beforehand and
not timed, to its advantage.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers_data import Documents, padded, peer
from hyperrank import QueryLists
from hyperrank.metrics import ndcg

__all__ = ["MAKERS", "Baseline", "as_dicts", "expected"]

CUTOFF = 10


@dataclass(frozen=True)
class Baseline:
    """A library's NDCG@10.

    Attributes
    ----------
    name : str
    documents : int
        How many are evaluated in one call.
    evaluate : callable
        What is timed.
    difference : callable
        Of what `evaluate` gives, the largest absolute difference to hyperrank's values.
    note : str
    """

    name: str
    documents: int
    evaluate: Callable[[], Any]
    difference: Callable[[], float]
    note: str


def expected(data: Documents, empty: str = "zero", *, per_query: bool = True) -> Any:
    """Values of hyperrank itself."""
    return ndcg(data.scores, data.labels, qid=data.qid, k=CUTOFF, empty=empty, per_query=per_query)  # type: ignore[arg-type]


def _baseline(name: str, data: Documents, evaluate: Callable[[], Any], note: str, **options: Any) -> Baseline:
    """A baseline whose `evaluate` gives values by list, or their mean."""
    values: Callable[[Any], Any] = options.pop("values", lambda result: result)

    def difference() -> float:
        found = np.asarray(values(evaluate()), dtype=np.float64)
        target = expected(data, options.get("empty", "zero"), per_query=found.ndim > 0)
        known = ~np.isnan(found)
        return float(np.abs(np.where(known, found, 0.0) - np.where(known, target, 0.0)).max(initial=0.0))

    return Baseline(name, len(data.labels), evaluate, difference, note)


def as_dicts(data: Documents) -> tuple[dict[str, dict[str, int]], dict[str, dict[str, float]]]:
    """Gains and scores as ir-measures takes them.

    It is given 2^z - 1 as the label and a linear gain: its own exponential gain goes through a Perl script
    that rounds to five decimals.
    """
    gains = (2**data.labels - 1).tolist()
    scores = data.scores.astype(float).tolist()
    qrels, run, start = {}, {}, 0
    for number, size in enumerate(data.sizes.tolist()):
        ids = [str(i) for i in range(size)]
        rows = slice(start, start + size)
        qrels[str(number)] = dict(zip(ids, gains[rows], strict=True))
        run[str(number)] = dict(zip(ids, scores[rows], strict=True))
        start += size
    return qrels, run


def ours_flat(data: Documents) -> Baseline:
    qid, labels = data.qid, data.labels.astype(np.float64)

    def evaluate() -> Any:
        return ndcg(data.scores, labels, qid=qid, k=CUTOFF, empty="zero")

    return _baseline("hyperrank, arrays", data, evaluate, "labels as floats; grouping by query id included")


def ours_grouped(data: Documents) -> Baseline:
    lists, labels = QueryLists.from_sizes(data.sizes), data.labels.astype(np.float64)

    def evaluate() -> Any:
        return ndcg(data.scores, labels, qid=lists, k=CUTOFF, empty="zero")

    return _baseline(
        "hyperrank, QueryLists", data, evaluate, "the same, lists grouped beforehand as dicts are"
    )


def ir_measures_dicts(data: Documents) -> Baseline:
    import ir_measures

    qrels, run = as_dicts(data)
    measure = ir_measures.nDCG @ CUTOFF

    def evaluate() -> Any:
        return ir_measures.calc_aggregate([measure], qrels, run)

    def by_list(_: Any) -> NDArray[np.float64]:
        values = {v.query_id: v.value for v in ir_measures.iter_calc([measure], qrels, run)}
        return np.array([values[str(number)] for number in range(len(data.sizes))])

    return _baseline("ir-measures, dicts", data, evaluate, "`calc_aggregate`", values=by_list)


def ir_measures_evaluator(data: Documents) -> Baseline:
    import ir_measures

    qrels, run = as_dicts(data)
    measure = ir_measures.nDCG @ CUTOFF
    evaluator = ir_measures.evaluator([measure], qrels)

    def evaluate() -> Any:
        return evaluator.calc_aggregate(run)

    return _baseline(
        "ir-measures, reused evaluator", data, evaluate, "dicts", values=lambda found: found[measure]
    )


def ir_measures_frame(data: Documents) -> Baseline:
    import ir_measures
    import pandas as pd

    few = data.first(max(1, len(data.sizes) // 10))
    qrels, run = as_dicts(few)
    qrel_rows = [(q, d, label) for q, labels in qrels.items() for d, label in labels.items()]
    run_rows = [(q, d, score) for q, scores in run.items() for d, score in scores.items()]
    qrel_frame = pd.DataFrame(qrel_rows, columns=["query_id", "doc_id", "relevance"])
    run_frame = pd.DataFrame(run_rows, columns=["query_id", "doc_id", "score"])
    measure = ir_measures.nDCG @ CUTOFF

    def evaluate() -> Any:
        return ir_measures.calc_aggregate([measure], qrel_frame, run_frame)

    return _baseline(
        "ir-measures, DataFrame", few, evaluate, "a tenth of the lists", values=lambda found: found[measure]
    )


def scikit_learn(data: Documents) -> Baseline:
    from sklearn.metrics import ndcg_score

    gains = np.split((2.0**data.labels - 1)[None], data.starts, axis=1)
    scores = np.split(data.scores[None], data.starts, axis=1)

    def evaluate() -> Any:
        return [
            ndcg_score(gain, score, k=CUTOFF) if gain.shape[1] > 1 else np.nan
            for gain, score in zip(gains, scores, strict=True)
        ]

    return _baseline(
        "scikit-learn",
        data,
        evaluate,
        "`ndcg_score` list by list; lists of one document, which it refuses, left out",
    )


def allrank(data: Documents) -> Baseline:
    metrics = peer("allrank.models.metrics", "allRank")
    import torch

    scores = torch.from_numpy(padded(data.scores, data.sizes, 0.0))
    labels = torch.from_numpy(padded(data.labels.astype(np.float32), data.sizes, -1.0))

    def evaluate() -> Any:
        return metrics.ndcg(scores, labels, ats=[CUTOFF], filler_value=0.0)[:, 0]

    return _baseline("allRank", data, evaluate, "slates padded beforehand; 32 bits")


def pytorchltr(data: Documents) -> Baseline:
    evaluation = peer("pytorchltr.evaluation", "pytorchltr")
    import torch

    scores = torch.from_numpy(padded(data.scores, data.sizes, 0.0))
    labels = torch.from_numpy(padded(data.labels, data.sizes, 0))
    sizes = torch.from_numpy(data.sizes)

    def evaluate() -> Any:
        return evaluation.ndcg(scores, labels, sizes, k=CUTOFF)

    return _baseline("pytorchltr", data, evaluate, "slates padded beforehand; 32 bits")


def lightgbm(data: Documents) -> Baseline:
    lgb = peer("lightgbm", "LightGBM")
    params = {
        "objective": "lambdarank",
        "metric": "ndcg",
        "eval_at": [CUTOFF],
        "num_threads": 1,
        "verbose": -1,
    }
    train = lgb.Dataset(data.X, data.labels, group=data.sizes, params={"verbose": -1})
    evaluated = lgb.Dataset(data.X, data.labels, group=data.sizes, init_score=data.scores, reference=train)
    booster = lgb.Booster(params, train).add_valid(evaluated, "evaluated")

    def evaluate() -> Any:
        return booster.eval_valid()[0][2]

    return _baseline(
        "LightGBM",
        data,
        evaluate,
        "`eval_valid` of a booster without trees, scores as `init_score`; mean only, an empty list scores 1",
        empty="one",
    )


def xgboost(data: Documents) -> Baseline:
    xgb = peer("xgboost", "XGBoost")
    matrix = xgb.DMatrix(data.X, data.labels, group=data.sizes, base_margin=data.scores)
    params = {"objective": "rank:ndcg", "eval_metric": f"ndcg@{CUTOFF}-", "nthread": 1, "verbosity": 0}
    booster = xgb.train(params, matrix, num_boost_round=0)

    def evaluate() -> Any:
        return float(booster.eval(matrix).split(":")[-1])

    return _baseline(
        "XGBoost",
        data,
        evaluate,
        "`eval` of a booster without trees, scores as `base_margin`; mean only, as text",
    )


MAKERS: tuple[Callable[[Documents], Baseline], ...] = (
    ours_flat,
    ours_grouped,
    ir_measures_dicts,
    ir_measures_evaluator,
    ir_measures_frame,
    scikit_learn,
    allrank,
    pytorchltr,
    lightgbm,
    xgboost,
)
