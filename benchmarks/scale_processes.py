"""Training by several processes, started as users start them: ``torchrun -m hyperrank fit``."""

from __future__ import annotations

import importlib.util
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.machine import share_of_cores

__all__ = ["measured_fit", "trains_together"]


def trains_together() -> bool:
    """Whether this version trains one ranker in several processes."""
    return importlib.util.find_spec("hyperrank.training.distributed") is not None


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
        If this version knows of no training in several processes, or the command fails.
    """
    if n > 1 and not trains_together():
        raise RuntimeError("this version trains in one process")
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
