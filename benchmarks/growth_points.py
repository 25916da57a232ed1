"""Measurements of growth, each in a separate process.

Everything keeps to one thread, so that CPU seconds are what the clock on the wall would show on an idle core,
and slopes do not depend on who else uses the machine.
"""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import lightgbm  # noqa: F401 - imported ahead of the fork, like all that the rankers import when first used
import numpy as np
import torch
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from benchmarks.machine import current_memory_bytes, peak_memory_bytes, reset_peak_memory
from hyperrank import AdamW, HyperDPORanker, LightGBMScalarizationRanker, MixedScoresRanker
from hyperrank.datasets import make_multilabel_ranking

__all__ = ["EPOCHS", "METHODS", "Point", "measure", "measured_apart"]

#: Epochs of every fit of a network; "auto" epochs fall with the rows and would bend the slopes.
EPOCHS = 3
#: The same for all sizes, since "auto" batches grow with the rows.
BATCH_DOCS = 2048
N_FEATURES = 32
#: Rows that a ranker is fitted on where its predict is measured: scoring does not depend on them.
FIT_ROWS = 500

ONE_THREAD: dict[str, Any] = {"num_threads": 1}
NETWORK: dict[str, Any] = {
    "max_epochs": EPOCHS,
    "early_stopping": False,
    "optimizer": AdamW(batch_docs=BATCH_DOCS),
    "n_jobs": 1,
    "device": "cpu",
    "booster_params": ONE_THREAD,
    "random_state": 0,
}
BOOSTERS: dict[str, Any] = {"n_jobs": 1, "booster_params": ONE_THREAD, "random_state": 0}


@dataclass(frozen=True)
class Point:
    """One method at one size.

    Attributes
    ----------
    axis : str
        What grows.
    method : str
        A key of `METHODS`.
    rows, documents, objectives, weights : int
        Rows in all, documents per query, objectives, and trade-offs asked of predict.
    """

    axis: str
    method: str
    rows: int
    documents: int
    objectives: int
    weights: int

    @property
    def value(self) -> int:
        """Where on its axis it stands."""
        return int(getattr(self, self.axis))


def _lattice(n: int, n_objectives: int) -> np.ndarray:
    """So many different trade-offs, the first objective's share falling evenly."""
    if n_objectives == 1:
        return np.ones((n, 1))
    share = np.linspace(1, 0, n + 2)[1:-1, None]
    return np.hstack([share, np.repeat((1 - share) / (n_objectives - 1), n_objectives - 1, axis=1)])


def _hyperdpo(point: Point) -> Any:  # noqa: ARG001
    return HyperDPORanker(**NETWORK)


def _network_alone(point: Point) -> Any:  # noqa: ARG001
    return HyperDPORanker(reference=None, **NETWORK)


def _booster_per_objective(point: Point) -> Any:  # noqa: ARG001
    return MixedScoresRanker(**BOOSTERS)


def _booster_per_weight(point: Point) -> Any:
    """The gradients of all objectives mixed at one trade-off; at predict, as many boosters as trade-offs."""
    if point.axis == "weights":
        weights = _lattice(point.weights, point.objectives)
        return LightGBMScalarizationRanker(weights, mixing="labels", **BOOSTERS)
    weights = np.full((1, point.objectives), 1 / point.objectives)
    return LightGBMScalarizationRanker(weights, **BOOSTERS)


METHODS: dict[str, Callable[[Point], Any]] = {
    "HyperDPORanker": _hyperdpo,
    "HyperDPORanker, reference=None": _network_alone,
    "LightGBM, one booster per objective": _booster_per_objective,
    "LightGBM, one booster per trade-off": _booster_per_weight,
}


def measure(point: Point) -> dict[str, float]:
    """CPU and wall seconds, and the peak of memory above the level before, of one fit or predict."""
    torch.set_num_threads(1)
    with threadpool_limits(1):
        # What is imported, compiled or allocated once per process is no cost of the size.
        _task(Point(point.axis, point.method, 500, 10, point.objectives, 1))()
        task = _task(point)
        _settle()
        before = current_memory_bytes()
        wall, cpu = time.perf_counter(), time.process_time()
        output = task()
        result = {"seconds": time.process_time() - cpu, "wall_seconds": time.perf_counter() - wall}
        result["bytes"] = float(max(0, peak_memory_bytes() - before))
        del output
    return result


def measured_apart(point: Point, timeout: float) -> dict[str, float]:
    """`measure` in a fresh process.

    Raises
    ------
    TimeoutError
        If it takes longer than `timeout` seconds; it is ended then.
    RuntimeError
        If it fails, or is killed, such as for want of memory.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.growth_points"])
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_report, args=(there, point), daemon=True)
    process.start()
    there.close()
    try:
        if not here.poll(timeout):
            raise TimeoutError(f"took longer than {timeout:.0f} s")
        answer = here.recv()
    except EOFError:
        process.join()
        raise RuntimeError(f"its process ended with code {process.exitcode}") from None
    finally:
        process.terminate()
        process.join()
    if isinstance(answer, str):
        raise RuntimeError(answer)
    found: dict[str, float] = answer
    return found


def _report(answers: Connection, point: Point) -> None:
    answer: dict[str, float] | str
    try:
        answer = measure(point)
    except Exception as error:
        answer = f"{type(error).__name__}: {' '.join(str(error).split())}"
    # Whoever asked may have been interrupted meanwhile.
    with suppress(OSError):
        answers.send(answer)


def _task(point: Point) -> Callable[[], Any]:
    """What is timed: a fit, or where weights grow, a predict."""
    if point.axis != "weights":
        X, Y, qid = _data(point.rows, point)
        ranker = METHODS[point.method](point)
        return lambda: ranker.fit(X, Y, qid=qid)
    X, Y, qid = _data(FIT_ROWS, point)
    fitted = METHODS[point.method](point).fit(X, Y, qid=qid)
    weights = _lattice(point.weights, point.objectives)
    X, _, qid = _data(point.rows, point)
    return lambda: fitted.predict(X, qid=qid, weights=weights)


def _data(rows: int, point: Point) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    made = make_multilabel_ranking(
        n_queries=max(1, rows // point.documents),
        list_size=point.documents,
        n_features=N_FEATURES,
        n_objectives=point.objectives,
        random_state=0,
    )
    return made.X, made.Y, made.qid


def _settle() -> None:
    """Give back what was freed, so that the peak counts all that the task asks for."""
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    reset_peak_memory()
