"""Losses, forward and backward, beside those of other libraries and padded torch.

Run ``python -m benchmarks.losses``, on a GPU with ``--device cuda``. Lists are as long as those of MSLR.
Baselines take turns on the clock; the memory of each is measured in a process of its own.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks.losses_baselines import MAKERS, Baseline, Data, make_data, peak_apart
from benchmarks.losses_step import Fit, fit_throughput, step_profile
from benchmarks.machine import provenance
from benchmarks.peers_timing import MissingPeerError, Spread, interleaved

__all__ = ["main", "report"]

#: How much faster than padded torch and allRank the fused losses are to be, and with what share of memory.
TARGET_RATIO, TARGET_MEMORY = 3.0, 0.5
TARGET_BASELINES = ("padded torch", "allRank")

NOTES = """\
One weighted sum over all objectives, forward and backward, one draw of weights per list; baselines take one
objective after the other. Whatever a baseline wants its data in is made beforehand and not timed: for
hyperrank that is target distributions and ranks, which training makes once too (unless a row says
otherwise). Seconds are of one call, the median (lowest to highest) over repetitions: CPU seconds of one
thread on a CPU, those on the wall on a GPU. Baselines take turns, in opposite orders every other time, after
one untimed call each. Memory is the peak above the flat data, so with all that is padded or prepared, of
a process of its own that makes one call; on a GPU, what torch allocated. Times ours: seconds, or memory,
per document over those of hyperrank's first row of the same loss. "By batch" pads 32 lists at a time to
their longest."""


def main(arguments: Sequence[str] | None = None) -> int:
    options = _read(arguments)
    torch.set_num_threads(1)
    notes: list[str] = []
    tables = [_table(options, m, notes) for m in options.objectives]
    fit = fit_throughput(options.fit_queries, options.fit_epochs, options.device)
    step = step_profile(options.documents, options.device, seed=options.seed)
    text = report(tables, fit, step, options, list(dict.fromkeys(notes)))
    print(text)
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text)
    return 0


def _table(options: argparse.Namespace, objectives: int, notes: list[str]) -> list[dict[str, Any]]:
    """One row for each baseline at so many objectives."""
    data = make_data(options.documents, objectives, device=options.device, seed=options.seed)
    chosen: dict[int, Baseline] = {}
    for number, make in enumerate(MAKERS):
        try:
            baseline = make(data)
            if not any(baseline.name.startswith(name) for name in options.without):
                chosen[number] = baseline
        except MissingPeerError as error:
            notes.append(f"skipped: {error}")
    clock = time.process_time if options.device == "cpu" else time.perf_counter
    tasks = {f"{number}": baseline.run for number, baseline in chosen.items()}
    times = interleaved(tasks, options.repetitions, clock)
    del tasks
    rows = []
    for number, baseline in chosen.items():
        memory = peak_apart(number, options.documents, objectives, options.device, options.seed)
        rows.append(
            {
                "baseline": baseline,
                "objectives": objectives,
                "time": times[f"{number}"],
                "memory": memory,
                "data": data,
            }
        )
    return rows


def report(
    tables: Sequence[Sequence[dict[str, Any]]],
    fit: Fit,
    step: str,
    options: argparse.Namespace,
    notes: Sequence[str],
) -> str:
    """The tables as Markdown, with what made them and what they say of the target."""
    data: Data = tables[0][0]["data"]
    lines = [
        f"# Losses: time and memory, {options.documents:,} documents",
        "",
        provenance(_command(options)),
        f"- Data: {len(data.scores):,} documents in {len(data.sizes):,} lists of {data.sizes.min()} to "
        f"{data.sizes.max()}, mean {data.sizes.mean():.0f}",
    ]
    if options.device != "cpu":
        bandwidth = copy_bandwidth(options.device)
        device = torch.cuda.get_device_name()
        lines.append(
            f"- Device: {device}; copies {bandwidth / 1e9:,.0f} GB/s, read and written, measured here"
        )
    for rows in tables:
        lines += ["", f"## {_count(rows[0]['objectives'], 'objective')}", ""]
        share = " share of copy bandwidth |" if options.device != "cpu" else ""
        lines += [
            f"| | loss | seconds | documents per second | times ours | MiB | times ours |{share} |",
            "|---|---|---|---|---|---|---|---|" + ("---|" if share else ""),
        ]
        for row in rows:
            line = _line(row, rows)
            if share:
                line += f" {_bytes_moved(row) / row['time'].median / bandwidth:.0%} |"
            lines.append(f"{line} {row['baseline'].note} |")
    lines += ["", *_verdict(tables), "", "## A whole fit", "", fit.sentence(), ""]
    lines += ["## A training step", "", step, ""]
    return "\n".join([*lines, *notes, *([""] if notes else []), NOTES]) + "\n"


def _line(row: dict[str, Any], rows: Sequence[dict[str, Any]]) -> str:
    baseline: Baseline = row["baseline"]
    time_ratio, memory_ratio = _ratios(row, rows)
    time_: Spread = row["time"]
    rate = baseline.documents / time_.median
    return (
        f"| {baseline.name} | {baseline.loss} | {time_} | {rate:,.0f} | {time_ratio:.2f} | "
        f"{row['memory'] / 2**20:,.0f} | {memory_ratio:.2f} |"
    )


def _ratios(row: dict[str, Any], rows: Sequence[dict[str, Any]]) -> tuple[float, float]:
    """Time and memory per document over those of our row of the same loss."""
    ours = next(
        r for r in rows if r["baseline"].loss == row["baseline"].loss and r["baseline"].name == "hyperrank"
    )
    documents = ours["baseline"].documents / row["baseline"].documents
    return (
        row["time"].median / ours["time"].median * documents,
        row["memory"] / max(ours["memory"], 1.0) * documents,
    )


def _verdict(tables: Sequence[Sequence[dict[str, Any]]]) -> list[str]:
    """What the tables say of the target, by loss and baseline."""
    lines = []
    for loss in ("ListNet", "Plackett-Luce"):
        for name in TARGET_BASELINES:
            pairs = [
                _ratios(row, rows)
                for rows in tables
                for row in rows
                if (row["baseline"].loss, row["baseline"].name) == (loss, name)
            ]
            if pairs:
                faster, share = min(t for t, _ in pairs), max(1 / max(m, 1e-9) for _, m in pairs)
                is_met = faster >= TARGET_RATIO and share <= TARGET_MEMORY
                lines.append(
                    f"- {loss}: at least {faster:.1f} times as fast as {name} with at most {share:.0%} of "
                    f"its memory (target: {TARGET_RATIO:g} times and {TARGET_MEMORY:.0%}): "
                    f"{'met' if is_met else 'missed'}."
                )
    return lines


def _bytes_moved(row: dict[str, Any]) -> int:
    """What must be read and written: scores, one number per label, the gradient as made and as scaled."""
    return 4 * row["baseline"].documents * (1 + row["objectives"] + 1 + 2)


def copy_bandwidth(device: str, n_bytes: int = 2**30) -> float:
    """Bytes read and written per second when memory is copied, the median of ten copies."""
    source = torch.empty(n_bytes, dtype=torch.uint8, device=device)
    target, taken = torch.empty_like(source), []
    for _ in range(11):
        torch.cuda.synchronize()
        started = time.perf_counter()
        target.copy_(source)
        torch.cuda.synchronize()
        taken.append(time.perf_counter() - started)
    return 2 * n_bytes / median(taken[1:])


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'s' if n != 1 else ''}"


def _command(options: argparse.Namespace) -> str:
    names = ("documents", "repetitions", "fit_queries", "fit_epochs", "device")
    without = f" --without {' '.join(options.without)}" if options.without else ""
    given = " ".join(f"--{name.replace('_', '-')} {getattr(options, name)}" for name in names)
    return (
        f"python -m benchmarks.losses --objectives {' '.join(map(str, options.objectives))} {given}{without}"
    )


def _read(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.losses", description=__doc__)
    parser.add_argument("--documents", type=int, default=100_000, help="documents, up to some 4000000")
    parser.add_argument("--objectives", type=int, nargs="+", default=[1, 4, 8], help="numbers of objectives")
    parser.add_argument("--repetitions", type=int, default=5, help="timed calls of each baseline")
    parser.add_argument(
        "--fit-queries", type=int, default=300, help="queries of a whole fit; MSLR has 6000 to fit"
    )
    parser.add_argument("--fit-epochs", type=int, default=2, help="epochs of that fit")
    parser.add_argument(
        "--without", nargs="*", default=[], help="baselines to leave out, such as rax, the slowest"
    )
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"], help="where losses are computed")
    parser.add_argument("--seed", type=int, default=0, help="of the data")
    parser.add_argument("--out", type=Path, help="file for the tables")
    options = parser.parse_args(arguments)
    least = {"documents": 100, "repetitions": 1, "fit_queries": 10, "fit_epochs": 1, "seed": 0}
    for name, lowest in least.items():
        if getattr(options, name) < lowest:
            parser.error(
                f"--{name.replace('_', '-')} must be at least {lowest}; got {getattr(options, name)}"
            )
    if min(options.objectives) < 1:
        parser.error(f"--objectives must be at least 1; got {min(options.objectives)}")
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: torch sees no GPU")
    return options


if __name__ == "__main__":
    sys.exit(main())
