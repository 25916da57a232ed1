"""Latency of one request and of a bulk: HyperDPO and its specialised ranker beside LightGBM.

Run ``python -m benchmarks.serving``. LightGBM is an LGBMRanker for one objective, with trees of 31 leaves and
as many leaves in all as the boosters of ours, which are fitted at their defaults, three objectives, on the
same rows. ONNX Runtime joins where it is installed, and the example server beside a plain one of LightGBM's
where FastAPI is. All score the same documents, one query per request, one thread each, in turns of ten
requests: a server has one model.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import provenance
from benchmarks.markdown import markdown_table
from benchmarks.serving_baselines import LIGHTGBM, OURS, PLAIN, Fitted, calls_of, phases_of

__all__ = ["main", "report"]

#: Documents of a request, and weights at once.
REQUESTS, N_WEIGHTS = (100, 1_000), 64
#: Requests in a row of each baseline.
TURN = 10
#: Fewer requests than these tell no median.
FEWEST = 10

NOTES = """\
Latency: wall milliseconds of a request, median and 99th percentile, and the median of its CPU milliseconds
where no other process had the core in between, after which everything takes half as long again; ratios are of
those. Baselines take turns of ten requests. Servers: from
the bytes of a request (JSON rows) to those of the answer, without the network. Bulk:
documents per CPU second, all queries in one call. Phases: CPU microseconds per document of the parts that
predict consists of, on the same documents; what is left is checking, grouping and adding up."""


def main(arguments: Sequence[str] | None = None) -> int:
    options = _read(arguments)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"
    import torch

    torch.set_num_threads(1)
    fitted = (
        Fitted.on_mslr(options.seed) if options.data == "mslr-sample" else Fitted.on_synthetic(options.seed)
    )
    text = report(fitted, options.requests, f"python -m benchmarks.serving --data {options.data}")
    print(text)
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text)
    return 0


def report(fitted: Fitted, n_requests: int, command: str) -> str:
    """The tables as Markdown.

    Parameters
    ----------
    fitted : Fitted
        The baselines and their documents.
    n_requests : int
        Requests of each baseline and size; a tenth of them for bulks.
    command : str
        What made this.
    """
    latency = {n: _times(calls_of(fitted, fitted.X[:n], N_WEIGHTS), n_requests) for n in REQUESTS}
    bulk = _times(calls_of(fitted, fitted.X, N_WEIGHTS, qid=fitted.qid), max(3, n_requests // 50))
    phases = {n: phases_of(fitted, n, max(3, n_requests // 10)) for n in (*REQUESTS, len(fitted.X))}
    return "\n".join(
        [
            "# Serving latency",
            "",
            provenance(command),
            f"- Data: {fitted.label}, {fitted.X.shape[1]} features, {len(fitted.X):,} documents in bulk",
            "",
            markdown_table(_latency_rows(latency)),
            "",
            markdown_table(_bulk_rows(bulk, len(fitted.X))),
            "",
            markdown_table(_phase_rows(phases)),
            "",
            _verdict(latency, bulk),
            "",
            NOTES,
            "",
        ]
    )


def _times(calls: Mapping[str, Callable[[], Any]], n: int) -> dict[str, NDArray[np.float64]]:
    """Wall and CPU seconds of each call, and how often it was interrupted, shape (n, 3), in turns of ten.

    One call each goes before.
    """
    for call in calls.values():
        call()
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in calls}
    for first in range(0, n, TURN):
        for name, call in calls.items():
            for _ in range(min(TURN, n - first)):
                before, wall, cpu = _switches(), time.perf_counter(), time.process_time()
                call()
                wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
                found[name].append((wall, cpu, _switches() - before))
    return {name: np.array(times) for name, times in found.items()}


def _switches() -> int:
    """How often the processor went to another process and back."""
    used = resource.getrusage(resource.RUSAGE_THREAD)
    return used.ru_nvcsw + used.ru_nivcsw


def _cpu(times: Mapping[str, NDArray[np.float64]], name: str) -> float:
    """Median CPU seconds of calls that nothing interrupted; of all where these are few."""
    _, cpu, switches = times[name].T
    quiet = cpu[switches == 0]
    return float(np.median(quiet if len(quiet) >= FEWEST else cpu))


def _latency_rows(latency: Mapping[int, Mapping[str, NDArray[np.float64]]]) -> list[dict[str, str]]:
    rows = []
    for name in latency[REQUESTS[0]]:
        row = {"one request": name}
        for n, times in latency.items():
            median, high = np.percentile(1e3 * times[name][:, 0], [50, 99])
            row[f"{n:,} docs: ms (p99)"] = f"{median:.2f} ({high:.2f})"
            row[f"{n:,} docs: CPU ms"] = f"{1e3 * _cpu(times, name):.2f}"
            row[f"{n:,} docs: times LightGBM"] = f"{_cpu(times, name) / _cpu(times, LIGHTGBM):.2f}"
        rows.append(row)
    return rows


def _bulk_rows(bulk: Mapping[str, NDArray[np.float64]], n: int) -> list[dict[str, str]]:
    return [
        {
            "bulk": name,
            "documents per CPU second": f"{n / _cpu(bulk, name):,.0f}",
            "times LightGBM's": f"{_cpu(bulk, LIGHTGBM) / _cpu(bulk, name):.2f}",
        }
        for name in bulk
    ]


def _phase_rows(phases: Mapping[int, Mapping[str, float]]) -> list[dict[str, str]]:
    names = next(iter(phases.values()))
    return [
        {
            "phase of predict": name,
            **{f"{n:,} docs: us each": f"{found[name]:.2f}" for n, found in phases.items()},
        }
        for name in names
    ]


def _verdict(
    latency: Mapping[int, Mapping[str, NDArray[np.float64]]], bulk: Mapping[str, NDArray[np.float64]]
) -> str:
    """What the targets say."""
    small, many = latency[REQUESTS[0]], f"{OURS}, {N_WEIGHTS} weights"
    found = [
        (f"{PLAIN} on 100 documents, times LightGBM", _cpu(small, PLAIN) / _cpu(small, LIGHTGBM), 1.0, True),
        (f"{OURS} on 100 documents, times LightGBM", _cpu(small, OURS) / _cpu(small, LIGHTGBM), 1.0, True),
        *_more_verdicts(latency[REQUESTS[1]]),
        (f"{N_WEIGHTS} weights, times the cost of one", _cpu(small, many) / _cpu(small, OURS), 3.0, True),
        (
            f"{PLAIN} in bulk, times LightGBM's speed",
            _cpu(bulk, LIGHTGBM) / _cpu(bulk, PLAIN),
            1.0,
            False,
        ),
        (f"{OURS} in bulk, times LightGBM's speed", _cpu(bulk, LIGHTGBM) / _cpu(bulk, OURS), 1.0, False),
    ]
    return "\n".join(
        f"- {what}: {value:.2f} (target: at {'most' if at_most else 'least'} {target:g}): "
        f"{'met' if (value <= target) == at_most or value == target else 'missed'}"
        for what, value, target, at_most in found
    )


def _more_verdicts(
    many: Mapping[str, NDArray[np.float64]],
) -> list[tuple[str, float, float, bool]]:
    """Targets of ONNX Runtime, where it is there."""
    name = f"{OURS}, ONNX Runtime"
    if name not in many:
        return []
    return [
        (f"{name} on 1,000 documents, times LightGBM", _cpu(many, name) / _cpu(many, LIGHTGBM), 1.0, True)
    ]


def _read(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__)
    parser.add_argument("--data", choices=("mslr-sample", "synthetic"), default="mslr-sample")
    parser.add_argument("--requests", type=int, default=200, help="requests of each baseline and size")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="file for the report")
    options = parser.parse_args(arguments)
    if options.requests < 1:
        parser.error(f"--requests must be at least 1; got {options.requests}")
    return options


if __name__ == "__main__":
    sys.exit(main())
