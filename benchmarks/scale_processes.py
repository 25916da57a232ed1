"""Fits in several processes (``torchrun -m hyperrank fit``) and fits that are killed and resumed."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.machine import share_of_cores
from hyperrank import HyperDPORanker, datasets

__all__ = ["measured_fit", "measured_resume"]


def measured_fit(store: Path, folder: Path, n: int, params: dict[str, Any]) -> dict[str, float]:
    """Seconds and memory of a fit from a store by `n` processes, each with its share of the cores.

    Returns
    -------
    dict
        ``seconds`` of the fit as the command says it, ``wall_seconds`` with all that starting takes, and
        ``memory``: the most bytes of any one process.

    Raises
    ------
    RuntimeError
        If the command fails.
    """
    out = folder / f"by-{n}.safetensors"
    settings = [word for name, value in params.items() for word in ("--set", f"{name}={json.dumps(value)}")]
    fit = ["-m", "hyperrank", "fit", str(store), "--out", str(out), "--json", "--force", *settings]
    start = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(n)]
    command = [sys.executable, *(start if n > 1 else []), *fit]
    threads = {"OMP_NUM_THREADS": str(share_of_cores(n))}
    begun = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | threads)
    wall = time.perf_counter() - begun
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or ["failed"])[-1])
    found = _result(done.stdout)
    unit = 1 if sys.platform == "darwin" else 1024
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit
    return {"seconds": float(found["seconds"]), "wall_seconds": wall, "memory": float(memory)}


def _result(text: str) -> dict[str, Any]:
    """The command's own result: the one object with seconds that was printed, by whichever process."""
    start = text.index("{")
    found: dict[str, Any] = json.JSONDecoder().raw_decode(text[start:])[0]
    return found


#: The fit is killed when this share of the whole fit's time has passed.
KILLED_AT = 0.5
#: A checkpoint is written this often, as a share of the whole fit's time.
CHECKPOINT_EVERY = 0.05


def measured_resume(store: Path, folder: Path, params: dict[str, Any]) -> dict[str, float]:
    """Seconds to finish a fit that was killed, and of the whole fit.

    Returns
    -------
    dict
        ``seconds`` of going on, ``whole_seconds`` of the fit without a kill, ``killed_after`` seconds, and
        ``same``: 1 if both rankers are the same to the bit.

    Raises
    ------
    RuntimeError
        If a fit fails, or ends before its first checkpoint.
    """
    files = {name: folder / f"{name}.safetensors" for name in ("whole", "resumed")}
    whole = _finished(_started(store, params, files["whole"], None, 0.0))
    checkpoint, every = folder / "resume.checkpoint", CHECKPOINT_EVERY * whole["seconds"]
    killed = _started(store, params, files["resumed"], checkpoint, every)
    begun = time.perf_counter()
    # Imports count on this clock, and not in the fit's own seconds.
    while killed.poll() is None and time.perf_counter() - begun < whole["wall_seconds"] * KILLED_AT:
        time.sleep(0.05)
    while killed.poll() is None and not checkpoint.exists():
        time.sleep(0.05)
    killed.kill()
    killed.communicate()
    after = time.perf_counter() - begun
    if not checkpoint.exists():
        raise RuntimeError("the fit ended before a checkpoint was written: try more rows, or --epochs")
    resumed = _finished(_started(store, params, files["resumed"], checkpoint, every, resume=True))
    return {
        "seconds": resumed["seconds"],
        "memory": resumed["memory"],
        "whole_seconds": whole["seconds"],
        "killed_after": after,
        "same": float(_same(store, *files.values())),
    }


def _same(store: Path, first: Path, second: Path) -> bool:
    """Whether two rankers give the same scores."""
    from hyperrank import load

    data = datasets.open_store(store)
    rows = slice(0, int(data.offsets[min(50, len(data.offsets) - 1)]))
    X, qid = data.X[rows], data.qid[rows]
    return bool((load(first).predict(X, qid=qid) == load(second).predict(X, qid=qid)).all())


def _started(
    store: Path,
    params: dict[str, Any],
    out: Path,
    checkpoint: Path | None,
    every: float,
    *,
    resume: bool = False,
) -> subprocess.Popen[str]:
    """A fit in a process of its own."""
    options = {} if checkpoint is None else {"checkpoint": str(checkpoint), "checkpoint__every": every}
    task = {"store": str(store), "out": str(out), "params": {**params, **options}, "resume": resume}
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.scale_processes", json.dumps(task)]
    home = Path(__file__).resolve().parents[1]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=home)


def _finished(process: subprocess.Popen[str]) -> dict[str, float]:
    begun = time.perf_counter()
    output, errors = process.communicate()
    if process.returncode:
        raise RuntimeError((errors.strip().splitlines() or ["failed"])[-1])
    found: dict[str, float] = json.loads(output.splitlines()[-1])
    return found | {"wall_seconds": time.perf_counter() - begun}


def _fit(task: dict[str, Any]) -> dict[str, float]:
    """Fit, save, and say what it took."""
    from benchmarks.scale_points import measured

    store = datasets.open_store(task["store"])
    ranker = HyperDPORanker(objectives=store.names).set_params(**task["params"])
    options = {"resume": True} if task["resume"] else {}
    found = measured(lambda: ranker.fit(store.X, store.Y, qid=store.qid, **options))
    ranker.save(task["out"])
    return found


if __name__ == "__main__":
    print(json.dumps(_fit(json.loads(sys.argv[1]))))
