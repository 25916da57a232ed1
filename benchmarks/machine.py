"""Provenance of figures (versions, machine, commit), memory of this process, and records of finished runs."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

__all__ = [
    "commit",
    "current_memory_bytes",
    "finished_records",
    "machine",
    "peak_memory_bytes",
    "provenance",
    "reset_peak_memory",
    "share_of_cores",
    "versions",
]

#: Distributions whose version can change a figure.
LIBRARIES = (
    "hyperrank",
    "torch",
    "numpy",
    "scipy",
    "pandas",
    "polars",
    "pyarrow",
    "scikit-learn",
    "lightgbm",
    "xgboost",
    "catboost",
    "ir-measures",
    "moocore",
    "allRank",
    "pytorchltr",
    "rax",
    "jax",
    "triton",
    "transformers",
    "peft",
    "accelerate",
    "trl",
)


def versions() -> dict[str, str]:
    """Versions of Python and of those libraries that are installed."""
    found = {"python": platform.python_version()}
    for library in LIBRARIES:
        with suppress(metadata.PackageNotFoundError):
            found[library] = metadata.version(library)
    return found


def machine() -> dict[str, str | int]:
    """Processor, cores and memory; nothing that tells whose machine it is."""
    described: dict[str, str | int] = {
        "cpu": _from_proc("/proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
        "cores": share_of_cores(1),
        "system": f"{platform.system()} {platform.machine()}",
    }
    total = _from_proc("/proc/meminfo", "MemTotal")
    if total is not None:
        described["memory_gib"] = round(_bytes(total) / 2**30)
    return described


def share_of_cores(jobs: int) -> int:
    """Cores for each of several jobs side by side, at least one, and no more than OMP_NUM_THREADS says."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores // jobs, int(os.environ.get("OMP_NUM_THREADS", cores))))


def commit() -> str:
    """Short hash of the commit, with -dirty where tracked files differ from it; "unknown" without git."""
    folder = Path(__file__).resolve().parent
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip() or "unknown"


def provenance(command: str) -> str:
    """What made a table, as lines of Markdown: command, commit, versions, machine."""
    libraries = ", ".join(f"{name} {version}" for name, version in versions().items())
    described = machine()
    cores = f"{described['cores']} core{'s' if described['cores'] != 1 else ''}"
    memory = f", {described['memory_gib']} GiB" if "memory_gib" in described else ""
    return (
        f"- Command: `{command}`\n"
        f"- Commit: {commit()}\n"
        f"- Versions: {libraries}\n"
        f"- Machine: {described['cpu']}, {cores}{memory}, {described['system']}"
    )


def finished_records(path: Path | None) -> Iterator[dict[str, Any]]:
    """Records of a file of JSON lines; a last line that an interruption cut short does not count."""
    if path is None or not path.exists():
        return
    text = path.read_text()
    if text and not text.endswith("\n"):
        text = text[: text.rfind("\n") + 1]
        path.write_text(text)
    for line in text.splitlines():
        yield json.loads(line)


def current_memory_bytes() -> int:
    """Resident memory of this process now; 0 where the system does not say."""
    return _bytes(_from_proc("/proc/self/status", "VmRSS"))


def peak_memory_bytes() -> int:
    """Most resident memory of this process since it started or since `reset_peak_memory`."""
    peak = _from_proc("/proc/self/status", "VmHWM")
    if peak is not None:
        return _bytes(peak)
    try:
        import resource
    except ImportError:
        return 0
    # Linux counts in KiB, macOS in bytes.
    unit = 1 if platform.system() == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def reset_peak_memory() -> None:
    """Let the peak begin at the present level; where the system refuses, it stays that of the process."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _from_proc(file: str, key: str) -> str | None:
    """The value of ``key: value`` in a file of /proc; None where there is no such file or key."""
    with suppress(OSError):
        for line in Path(file).read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == key:
                return value.strip()
    return None


def _bytes(amount: str | None) -> int:
    """Bytes of an amount such as "123 kB"."""
    return int(amount.split()[0]) * 1024 if amount else 0
