"""One run: a method fitted on a fold, its fronts, time, memory and model size."""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import machine
from benchmarks.fronts.checking import compare_with_ir_measures
from benchmarks.fronts.grid import edges, trade_offs
from benchmarks.fronts.methods import REFERENCE, find, make
from benchmarks.fronts.plan import Run
from benchmarks.fronts.sources import Fold
from benchmarks.fronts.store import Store
from hyperrank.datasets import RankingData
from hyperrank.metrics import hypervolume, ndcg

__all__ = ["NDCG_AT", "execute", "network_and_leaves"]

NDCG_AT = 10


def execute(run: Run, folder: str | Path, jobs: int = 1) -> list[dict[str, Any]]:
    """Fit, measure, write the values of each query, and give the records of all fronts.

    Parameters
    ----------
    run : Run
    folder : path
        Of the `Store`.
    jobs : int, default 1
        Runs at a time: this one takes its share of the cores.

    Returns
    -------
    list of dict
        One per front, ready to be written as JSON.
    """
    store = Store(folder)
    fold = run.source.fold(run.fold)
    cores = _take_share(jobs)
    weights = trade_offs(len(run.source.objectives), run.n_weights)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if run.method == REFERENCE:
            records = [_reference(run, fold, store, cores)]
        else:
            records = _method(run, fold, weights, store, cores)
    messages = sorted({f"{warning.category.__name__}: {warning.message}" for warning in caught})
    common = {
        **{name: value for name, value in run.identity.items() if name != "hyperrank"},
        "key": run.key,
        "status": "ok",
        "n_folds": run.source.n_folds,
        "main": run.source.main,
        "protocol": run.source.protocol,
        "train": [len(fold.train.X), len(np.unique(fold.train.qid))],
        "test": [len(fold.test.X), len(np.unique(fold.test.qid))],
        "warnings": messages[:10],
        "cores": cores,
        "versions": machine.versions(),
        "commit": machine.commit(),
        "machine": machine.machine(),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return [{**common, **record} for record in records]


def _take_share(jobs: int) -> int:
    """Keep torch to this run's share of the cores; gives their number."""
    import torch

    cores = machine.share_of_cores(jobs)
    torch.set_num_threads(cores)
    return cores


def _method(
    run: Run, fold: Fold, weights: NDArray[np.float64], store: Store, cores: int
) -> list[dict[str, Any]]:
    """Fronts of a method."""
    to_fit: dict[str, Any] = {}
    to_predict: dict[str, Any] = {}
    if run.reference is not None:
        scores = store.load(store.reference_path(run.reference.key))
        to_fit, to_predict = {"ref_scores": scores["train"]}, {"ref_scores": scores["test"]}
    ranker = make(
        run.method,
        weights,
        objectives=run.source.objectives,
        seed=run.seed,
        has_reference=run.reference is not None,
        params={"n_jobs": cores, **run.params},
    )
    cost = _fit(ranker, fold.train, to_fit)
    records = []
    for front, options in find(run.method).fronts_of(run.method).items():
        at = {**options, **to_predict}
        scores_at, seconds = _predict(ranker, fold.test, weights, at)
        record = _front(run, front, scores_at, fold, weights, store)
        if not find(run.method).per_weight:
            record["edges"] = _edges(ranker, fold.test, at)
        own = ranker.cost(**options) if hasattr(ranker, "cost") else {}
        records.append({**record, **cost, **own, **seconds})
    return records


def _reference(run: Run, fold: Fold, store: Store, cores: int) -> dict[str, Any]:
    """The reference's one point; its scores are stored for the methods that start from it."""
    assert fold.main_train is not None
    ranker = make(
        REFERENCE,
        np.ones((1, 1)),
        objectives=fold.main_train.names,
        seed=run.seed,
        params={"n_jobs": cores, **run.params},
    )
    cost = _fit(ranker, fold.main_train, {})
    scores, seconds = _predict(ranker, fold.test, np.ones((1, 1)), {})
    train = ranker.predict(fold.train.X, qid=fold.train.qid)
    store.save(store.reference_path(run.key), train=np.asarray(train), test=scores[:, 0])
    m = len(run.source.objectives)
    # It stands at no trade-off in particular; the centre keeps its place in the table of weights.
    record = _front(run, REFERENCE, scores, fold, np.full((1, m), 1 / m), store)
    return {**record, **cost, **seconds}


def _fit(ranker: Any, train: RankingData, options: Mapping[str, Any]) -> dict[str, Any]:
    """Fit, and say what it took."""
    machine.reset_peak_memory()
    before = machine.current_memory_bytes()
    wall, cpu = time.perf_counter(), time.process_time()
    ranker.fit(train.X, train.Y, qid=train.qid, **options)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    n_parameters, n_leaves = network_and_leaves(ranker)
    return {
        "fit_seconds": wall,
        "fit_cpu_seconds": cpu,
        "peak_mb": max(0, machine.peak_memory_bytes() - before) / 1e6,
        "network_parameters": n_parameters,
        "booster_leaves": n_leaves,
    }


def _predict(
    ranker: Any, test: RankingData, weights: NDArray[np.float64], options: Mapping[str, Any]
) -> tuple[NDArray[np.float64], dict[str, float]]:
    """Scores at all weights, and the seconds they took."""
    wall, cpu = time.perf_counter(), time.process_time()
    scores = ranker.predict(test.X, qid=test.qid, weights=weights, **options)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return np.asarray(scores, dtype=np.float64), {"predict_seconds": wall, "predict_cpu_seconds": cpu}


def _front(
    run: Run, front: str, scores: NDArray[np.float64], fold: Fold, weights: NDArray[np.float64], store: Store
) -> dict[str, Any]:
    """A front's points, checked; the values of its queries go to their file."""
    values = _per_query(scores, fold.test)
    points = np.nanmean(values, axis=1)
    arrays = {"values": values.astype(np.float32), "qid": _queries(fold.test)}
    record: dict[str, Any] = {
        "front": front,
        "weights": weights.tolist(),
        "points": points.tolist(),
        "hypervolume": hypervolume(points),
        "corners": np.diag(points[weights.argmax(axis=0)]).tolist(),
        "ir_measures": compare_with_ir_measures(scores, fold.test, points, weights),
    }
    if fold.main_test is not None:
        main = _per_query(scores, fold.main_test)[:, :, 0]
        arrays["main"] = main.astype(np.float32)
        record["main_points"] = np.nanmean(main, axis=1).tolist()
    store.save(store.values_path(run.key, front), **arrays)
    return record


def _edges(ranker: Any, test: RankingData, options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Both objectives' values along each edge of the simplex."""
    found = []
    for i, j, weights in edges(len(test.names)):
        scores = ranker.predict(test.X, qid=test.qid, weights=weights, **options)
        values = ndcg(scores, test.Y[:, [i, j]], qid=test.qid, k=NDCG_AT)
        found.append({"objectives": [i, j], "share": weights[:, i].tolist(), "values": values.tolist()})
    return found


def _per_query(scores: NDArray[np.float64], test: RankingData) -> NDArray[np.float64]:
    """NDCG@10 of shape (k, q, m); NaN where a list has no label above 0."""
    values = ndcg(scores, test.Y, qid=test.qid, k=NDCG_AT, per_query=True)
    return np.moveaxis(np.asarray(values), 0, 1)


def _queries(test: RankingData) -> NDArray[Any]:
    """Query ids in the order in which they first appear, as values by query have them."""
    ids, first = np.unique(test.qid, return_index=True)
    return np.asarray(ids[np.argsort(first)])


_LEAVES = re.compile(r"^num_leaves=(\d+)$", re.MULTILINE)


def network_and_leaves(ranker: Any) -> tuple[int, int]:
    """Parameters of a ranker's networks, and leaves of its boosters; shared ones count once."""
    import torch

    n_parameters = n_leaves = 0
    for part in _parts(ranker, set()):
        if isinstance(part, torch.nn.Parameter):
            n_parameters += part.numel()
        else:
            n_leaves += sum(map(int, _LEAVES.findall(part)))
    return n_parameters, n_leaves


def _parts(value: Any, visited: set[int]) -> Iterator[Any]:
    """Parameters and texts of boosters within an object, each once."""
    import lightgbm
    import torch

    from hyperrank.boosters import BoosterSet

    if id(value) in visited:
        return
    visited.add(id(value))
    if isinstance(value, torch.nn.Module):
        yield from value.parameters()
    elif isinstance(value, torch.nn.Parameter):
        yield value
    elif isinstance(value, lightgbm.Booster):
        yield value.model_to_string()
    elif isinstance(value, BoosterSet):
        yield from value.texts
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _parts(item, visited)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _parts(item, visited)
    elif type(value).__module__.split(".")[0] == "hyperrank":
        for item in vars(value).values() if hasattr(value, "__dict__") else ():
            yield from _parts(item, visited)
