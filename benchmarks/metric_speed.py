"""NDCG@10 of a million documents: hyperrank beside other libraries.

Run ``python -m benchmarks.metric_speed``. Baselines take turns; figures are medians over repetitions, and
values are compared list by list.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmarks.machine import provenance
from benchmarks.peers_data import Documents, mslr_like
from benchmarks.peers_metrics import MAKERS, Baseline
from benchmarks.peers_timing import Spread, interleaved, unless_missing

__all__ = ["main", "report"]

OURS, DICTS = "hyperrank, arrays", "ir-measures, dicts"
#: How much faster than ir-measures with dicts it is to be, and how close to its values.
TARGET_RATIO, TARGET_DIFFERENCE = 20.0, 1e-9

NOTES = """\
Convention of all: gains 2^z - 1, lists without a label above 0 score 0, no tied scores. ir-measures is given
2^z - 1 as the label, since its own exponential gain rounds to five decimals. Whatever a library wants its
data in is made beforehand and not timed. One thread each; baselines take turns, in opposite orders every
other time, after one untimed call each. Seconds are CPU seconds of one call, the median (lowest to
highest) over repetitions. Times ours: median seconds per document over those of hyperrank given arrays.
Difference: the largest over lists, or that of the mean where a library gives no more."""


def main(arguments: Sequence[str] | None = None) -> int:
    options = _read(arguments)
    data = mslr_like(options.documents, seed=options.seed)
    _one_thread()
    baselines: list[Baseline] = unless_missing([partial(make, data) for make in MAKERS])
    times = interleaved({baseline.name: baseline.evaluate for baseline in baselines}, options.repetitions)
    differences = {baseline.name: baseline.difference() for baseline in baselines}
    text = report(data, baselines, times, differences, _command(options))
    print(text)
    if options.out is not None:
        _write(options.out, text)
    if differences[DICTS] > TARGET_DIFFERENCE:
        print(f"values differ from those of ir-measures by {differences[DICTS]:.2g}", file=sys.stderr)
        return 1
    return 0


def report(
    data: Documents,
    baselines: Sequence[Baseline],
    times: dict[str, Spread],
    differences: dict[str, float],
    command: str,
) -> str:
    """The table as Markdown, with what made it and what it says of the target."""
    ours = times[OURS].median / len(data.labels)
    lines = [
        "# NDCG@10: time and values",
        "",
        provenance(command),
        f"- Data: {len(data.labels):,} documents in {len(data.sizes):,} lists of {data.sizes.min()} to "
        f"{data.sizes.max()} documents, mean {data.sizes.mean():.0f}",
        "",
        "| | documents | seconds | times ours | difference | |",
        "|---|---|---|---|---|---|",
    ]
    for baseline in baselines:
        ratio = times[baseline.name].median / baseline.documents / ours
        lines.append(
            f"| {baseline.name} | {baseline.documents:,} | {times[baseline.name]} | {ratio:.3g} "
            f"| {differences[baseline.name]:.1e} | {baseline.note} |"
        )
    return "\n".join([*lines, "", _verdict(times, differences), "", NOTES]) + "\n"


def _verdict(times: dict[str, Spread], differences: dict[str, float]) -> str:
    ratio = times[DICTS].median / times[OURS].median
    is_met = ratio >= TARGET_RATIO and differences[DICTS] <= TARGET_DIFFERENCE
    return (
        f"{ratio:.1f} times as fast as ir-measures with dicts, largest difference {differences[DICTS]:.1e} "
        f"(target: {TARGET_RATIO:g} times at {TARGET_DIFFERENCE:g}): {'met' if is_met else 'missed'}."
    )


def _command(options: argparse.Namespace) -> str:
    given = f"--documents {options.documents} --repetitions {options.repetitions}"
    return f"python -m benchmarks.metric_speed {given}"


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def _write(out: Path, text: str) -> None:
    path = out if out.suffix else out / "metric_speed.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _read(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.metric_speed", description=__doc__)
    parser.add_argument("--documents", type=int, default=1_000_000, help="documents to judge")
    parser.add_argument("--repetitions", type=int, default=5, help="timed calls of each baseline")
    parser.add_argument("--seed", type=int, default=0, help="of the data")
    parser.add_argument("--out", type=Path, help="file, or folder for metric_speed.md")
    options = parser.parse_args(arguments)
    for name, least in (("documents", 100), ("repetitions", 1), ("seed", 0)):
        if getattr(options, name) < least:
            parser.error(f"--{name} must be at least {least}; got {getattr(options, name)}")
    return options


if __name__ == "__main__":
    sys.exit(main())
