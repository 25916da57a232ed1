"""What a fit that was killed half-way costs to finish, beside training from the start."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from hyperrank import HyperDPORanker, datasets

__all__ = ["measured_resume", "resumes"]

#: The fit is killed when this share of the whole fit's time has passed.
KILLED_AT = 0.5
#: A checkpoint is kept this often, as a share of the whole fit's time.
KEPT_EVERY = 0.05


def resumes() -> bool:
    """Whether this version keeps checkpoints."""
    return "resume" in inspect.signature(HyperDPORanker.fit).parameters


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
        If this version keeps no checkpoints, or a fit fails.
    """
    if not resumes():
        raise RuntimeError("this version keeps no checkpoints")
    files = {name: folder / f"{name}.safetensors" for name in ("whole", "resumed")}
    whole = _finished(_started(store, params, files["whole"], None, 0.0))
    kept, every = folder / "resume.checkpoint", KEPT_EVERY * whole["seconds"]
    killed = _started(store, params, files["resumed"], kept, every)
    begun = time.perf_counter()
    # Imports count on this clock, and not in the fit's own seconds.
    while killed.poll() is None and time.perf_counter() - begun < whole["wall_seconds"] * KILLED_AT:
        time.sleep(0.05)
    while killed.poll() is None and not kept.exists():
        time.sleep(0.05)
    killed.kill()
    killed.communicate()
    after = time.perf_counter() - begun
    if not kept.exists():
        raise RuntimeError("the fit ended before a checkpoint was kept: try more rows, or --epochs")
    resumed = _finished(_started(store, params, files["resumed"], kept, every, resume=True))
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
    store: Path, params: dict[str, Any], out: Path, kept: Path | None, every: float, *, resume: bool = False
) -> subprocess.Popen[str]:
    """A fit in a process of its own."""
    kept_in = {} if kept is None else {"checkpoint": str(kept), "checkpoint_every": every}
    wanted = {"store": str(store), "out": str(out), "params": {**params, **kept_in}, "resume": resume}
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.scale_resume", json.dumps(wanted)]
    home = Path(__file__).resolve().parents[1]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=home)


def _finished(process: subprocess.Popen[str]) -> dict[str, float]:
    begun = time.perf_counter()
    output, errors = process.communicate()
    if process.returncode:
        raise RuntimeError((errors.strip().splitlines() or ["failed"])[-1])
    found: dict[str, float] = json.loads(output.splitlines()[-1])
    return found | {"wall_seconds": time.perf_counter() - begun}


def _fit(wanted: dict[str, Any]) -> dict[str, float]:
    """Fit, save, and say what it took."""
    from benchmarks.scale_points import measured

    store = datasets.open_store(wanted["store"])
    ranker = HyperDPORanker(objectives=store.names, **wanted["params"])
    options = {"resume": True} if wanted["resume"] else {}
    found = measured(lambda: ranker.fit(store.X, store.Y, qid=store.qid, **options))
    ranker.save(wanted["out"])
    return found


if __name__ == "__main__":
    print(json.dumps(_fit(json.loads(sys.argv[1]))))
