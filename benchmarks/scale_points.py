"""Measurements of scale, each in a separate process with its own memory peak.

``python -m benchmarks.scale_points FOLDER POINT`` prints the result as JSON; POINT is JSON too.
"""

from __future__ import annotations

import ctypes
import gc
import json
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.machine import current_memory_bytes, peak_memory_bytes, reset_peak_memory
from benchmarks.scale_data import made_in_memory, write_store
from hyperrank import datasets

if TYPE_CHECKING:
    from hyperrank import HyperDPORanker

__all__ = ["MEASURES", "PARTS", "Point", "measure", "measured_apart", "params_of", "store_of"]

#: Rows that the ranker is fitted on whose predict is measured: scoring does not depend on them.
FIT_ROWS = 5_000
TRADE_OFF = (0.7, 0.3)


@dataclass(frozen=True)
class Point:
    """One measurement.

    Attributes
    ----------
    part : str
        A key of `MEASURES`.
    rows, features : int
    epochs : int
        Of every fit.
    """

    part: str
    rows: int
    features: int
    epochs: int


def store_of(folder: Path, point: Point) -> Path:
    """Where the store of a size is."""
    return folder / f"{point.rows}x{point.features}.store"


def params_of(point: Point) -> dict[str, Any]:
    """Parameters of every fit: what depends on the rows by default would bend the comparison."""
    return {
        "max_epochs": point.epochs,
        "early_stopping": False,
        "beta": 1.0,
        "network__dropout": 0.0,
        "booster_params": {"num_boost_round": 20},
        "random_state": 0,
    }


def measured(task: Callable[[], Any]) -> dict[str, float]:
    """Seconds and the most memory of a task: of the process, and above the level before."""
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    reset_peak_memory()
    before = current_memory_bytes()
    wall, cpu = time.perf_counter(), time.process_time()
    result = task()
    found = {"seconds": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    del result
    peak = peak_memory_bytes()
    return {**found, "memory": float(peak), "added": float(max(0, peak - before))}


def _convert(folder: Path, point: Point) -> dict[str, float]:
    making = 0.0

    def task() -> None:
        nonlocal making
        making = write_store(store_of(folder, point), point.rows, point.features)

    found = measured(task)
    return found | {"seconds": found["seconds"] - making, "making": making}


def _open(folder: Path, point: Point) -> dict[str, float]:
    return measured(lambda: datasets.open_store(store_of(folder, point)).X[-1].sum())


def _load(folder: Path, point: Point) -> dict[str, float]:
    return measured(datasets.open_store(store_of(folder, point)).load)


def _fit_store(folder: Path, point: Point) -> dict[str, float]:
    store = datasets.open_store(store_of(folder, point))
    ranker = _small_ranker(point).set_params(objectives=store.names)
    return measured(lambda: ranker.fit(store.X, store.Y, qid=store.qid))


def _fit_memory(folder: Path, point: Point) -> dict[str, float]:
    data = datasets.open_store(store_of(folder, point)).load()
    ranker = _small_ranker(point).set_params(objectives=data.names)
    return measured(lambda: ranker.fit(data.X, data.Y, qid=data.qid))


def _predict_store(folder: Path, point: Point) -> dict[str, float]:
    ranker, store = _small_ranker(point), datasets.open_store(store_of(folder, point))
    return measured(lambda: ranker.predict(store.X, qid=store.qid, weights=TRADE_OFF))


def _predict_memory(folder: Path, point: Point) -> dict[str, float]:
    ranker, data = _small_ranker(point), datasets.open_store(store_of(folder, point)).load()
    return measured(lambda: ranker.predict(data.X, qid=data.qid, weights=TRADE_OFF))


def _small_ranker(point: Point) -> HyperDPORanker:
    """A ranker of few rows; what is imported and compiled once per process has been, too."""
    from hyperrank import HyperDPORanker

    X, Y, qid = made_in_memory(min(FIT_ROWS, point.rows), point.features)
    return HyperDPORanker().set_params(**params_of(point)).fit(X, Y, qid=qid)


def _in_processes(n: int) -> Callable[[Path, Point], dict[str, float]]:
    def measure(folder: Path, point: Point) -> dict[str, float]:
        from benchmarks.scale_processes import measured_fit

        return measured_fit(store_of(folder, point), folder, n, params_of(point))

    return measure


def _resume(folder: Path, point: Point) -> dict[str, float]:
    from benchmarks.scale_processes import measured_resume

    return measured_resume(store_of(folder, point), folder, params_of(point))


#: What is measured, in the order of the table. The first makes the store that the others use.
MEASURES: dict[str, Callable[[Path, Point], dict[str, float]]] = {
    "convert": _convert,
    "open": _open,
    "load": _load,
    "fit, store": _fit_store,
    "fit, memory": _fit_memory,
    "predict, store": _predict_store,
    "predict, memory": _predict_memory,
    "fit, 1 process": _in_processes(1),
    "fit, 2 processes": _in_processes(2),
    "resume": _resume,
}
#: Choices of --parts, and the measurements of each.
PARTS: dict[str, tuple[str, ...]] = {
    "convert": ("convert",),
    "open": ("open", "load"),
    "fit": ("fit, store", "fit, memory"),
    "predict": ("predict, store", "predict, memory"),
    "processes": ("fit, 1 process", "fit, 2 processes"),
    "resume": ("resume",),
}


def measure(folder: Path, point: Point) -> dict[str, float]:
    """What one measurement finds: ``seconds``, and bytes of ``memory``, as `measured` has them."""
    return MEASURES[point.part](folder, point)


def measured_apart(folder: Path, point: Point, timeout: float) -> dict[str, float]:
    """`measure` in a fresh process.

    Raises
    ------
    TimeoutError
        If it takes longer than `timeout` seconds; it is ended then.
    RuntimeError
        If it fails, or is killed, such as for want of memory.
    """
    given = [str(folder), json.dumps(asdict(point))]
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.scale_points", *given]
    home = Path(__file__).resolve().parents[1]
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd=home, timeout=timeout)
    except subprocess.TimeoutExpired:
        raise TimeoutError(f"took longer than {timeout:.0f} s") from None
    if done.returncode < 0:
        raise RuntimeError(f"its process was ended by signal {-done.returncode}, perhaps for want of memory")
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or ["failed"])[-1])
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    point = Point(**json.loads(sys.argv[2]))
    print(json.dumps({name: float(np.float64(v)) for name, v in measure(Path(sys.argv[1]), point).items()}))
