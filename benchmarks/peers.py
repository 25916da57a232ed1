"""Training throughput of hyperrank beside other libraries.

Run ``python -m benchmarks.peers``. The same network, data, threads and number of lists in a batch for all;
peers that are not installed are left out with a line that says so (benchmarks/peers-requirements.txt).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch

from benchmarks.machine import provenance
from benchmarks.peers_data import mslr_like
from benchmarks.peers_timing import Spread, interleaved, unless_missing
from benchmarks.peers_training import HIDDEN, MAKERS, Baseline, Setup

__all__ = ["main", "report"]

NOTES = """\
One call is one pass over the documents in batches of whole lists: zeroed gradients, forward, loss, backward,
clipping, AdamW. The network is a perceptron of hidden widths {hidden} with SiLU, no dropout. hyperrank cuts
batches by documents, as many as the lists of a peer's batch hold on average. ListNet's targets are normalised
gains in hyperrank and a softmax of labels in allRank; the work is alike. Both ListMLEs order ties at random.
One thread; baselines take turns, in opposite orders every other time, after one untimed call each. Seconds
are CPU seconds of one call, the median (lowest to highest) over repetitions. hyperrank faster by: its loop's
documents per second under the same loss (under ListNet, where a peer lacks both losses) over the line's.
Boosters do a different thing: their documents are counted once per round, and there is no ratio."""


def main(arguments: Sequence[str] | None = None) -> int:
    options = _read(arguments)
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    setup = Setup(mslr_like(options.documents, options.features, seed=options.seed), options.batch_lists)
    notes: list[str] = []
    baselines: list[Baseline] = unless_missing([partial(make, setup) for make in MAKERS], notes.append)
    notes = list(dict.fromkeys(notes))
    print(*notes, sep="\n", end="\n" if notes else "", file=sys.stderr)
    times = interleaved({_key(baseline): baseline.run for baseline in baselines}, options.repetitions)
    text = report(setup, baselines, times, _command(options), notes)
    print(text)
    if options.out is not None:
        path = options.out if options.out.suffix else options.out / "peers.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return 0


def report(
    setup: Setup,
    baselines: Sequence[Baseline],
    times: dict[str, Spread],
    command: str,
    notes: Sequence[str] = (),
) -> str:
    """The table as Markdown, with what made it."""
    data, sizes = setup.data, setup.data.sizes
    rates = {_key(b): b.documents / times[_key(b)].median for b in baselines}
    loops = {
        baseline.loss: rates[_key(baseline)]
        for baseline in baselines
        if baseline.name == "hyperrank, training loop"
    }
    lines = [
        "# Training throughput",
        "",
        provenance(command),
        f"- Data: {len(data.labels):,} documents of {data.X.shape[1]} features in {len(sizes):,} lists of "
        f"{sizes.min()} to {sizes.max()}, mean {sizes.mean():.0f}; {setup.batch_lists} lists a batch",
        "",
        "| | loss | documents per second | hyperrank faster by | seconds of a call | |",
        "|---|---|---|---|---|---|",
    ]
    for b in baselines:
        rate = rates[_key(b)]
        ratio = "-" if "rounds" in b.note else f"{loops.get(b.loss, loops['ListNet']) / rate:.2f}"
        lines.append(f"| {b.name} | {b.loss} | {rate:,.0f} | {ratio} | {times[_key(b)]} | {b.note} |")
    return "\n".join([*lines, "", *notes, "", NOTES.format(hidden=HIDDEN)]) + "\n"


def _key(baseline: Baseline) -> str:
    return f"{baseline.name}, {baseline.loss}"


def _command(options: argparse.Namespace) -> str:
    names = ("documents", "features", "batch_lists", "repetitions")
    given = " ".join(f"--{name.replace('_', '-')} {getattr(options, name)}" for name in names)
    return f"python -m benchmarks.peers {given}"


def _read(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--documents", type=int, default=40_000, help="documents to train on")
    parser.add_argument("--features", type=int, default=136, help="features of each, as many as MSLR has")
    parser.add_argument("--batch-lists", type=int, default=32, help="lists in a batch")
    parser.add_argument("--repetitions", type=int, default=5, help="timed calls of each baseline")
    parser.add_argument("--seed", type=int, default=0, help="of data and networks")
    parser.add_argument("--out", type=Path, help="file, or folder for peers.md")
    options = parser.parse_args(arguments)
    least = {"documents": 100, "features": 1, "batch_lists": 1, "repetitions": 1, "seed": 0}
    for name, lowest in least.items():
        if getattr(options, name) < lowest:
            parser.error(
                f"--{name.replace('_', '-')} must be at least {lowest}; got {getattr(options, name)}"
            )
    return options


if __name__ == "__main__":
    sys.exit(main())
