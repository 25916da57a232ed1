"""A language model aligned once for all weights, beside one DPO run per weight and a soup of adapters.

Fronts of preference accuracy on held-out lists: harmlessness against brevity for HH-RLHF. On a CPU the
defaults only show that it runs; on a GPU they are meant to separate. Runs are kept in a folder: the same
command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks import machine
from benchmarks.alignment_report import draw_fronts, front_table, text_table
from benchmarks.alignment_runs import METHODS, Plan, run_method
from benchmarks.alignment_sources import DATA, MODELS, MissingSourceError
from hyperrank.simplex import lattice

__all__ = ["main", "sizes"]

#: What a CPU takes minutes for, and from what a GPU can be expected to learn.
ON_CPU = {"steps": 4, "train": 24, "test": 12, "divisions": 2, "batch_size": 2, "max_length": 128}
ON_GPU = {"steps": 600, "train": None, "test": None, "divisions": 4, "batch_size": 16, "max_length": 768}
#: For the tiny model, which learns its letters on any machine.
TINY = {"steps": 120, "train": 192, "test": 96, "divisions": 4, "batch_size": 16, "max_length": 256}
#: Learning rates of the tiny model, which has nothing to lose.
TINY_RATES = {"prompt_learning_rate": 0.05, "hypernetwork_learning_rate": 0.05, "adapter_learning_rate": 5e-3}


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare and print; gives the exit status."""
    parser = argparse.ArgumentParser("python -m benchmarks.alignment", description=__doc__)
    parser.add_argument("--model", choices=MODELS, default="smollm2")
    parser.add_argument("--data", choices=DATA, default="hh-rlhf")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS), metavar="METHOD")
    parser.add_argument("--steps", type=int, help="optimiser steps of every run")
    parser.add_argument("--train", type=int, help="training lists")
    parser.add_argument("--test", type=int, help="held-out lists")
    parser.add_argument("--divisions", type=int, help="trade-offs per edge of the simplex, less one")
    parser.add_argument("--batch-size", type=int, help="lists per step")
    parser.add_argument("--max-length", type=int, help="tokens of prompt and response")
    parser.add_argument("--beta", type=float, default=0.1)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], metavar="SEED")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, default=Path("alignment-runs"), help="folder of runs")
    parser.add_argument("--plot", type=Path, help="where to draw the fronts")
    parser.add_argument("--no-texts", action="store_true", help="leave texts out of what is printed")
    options = parser.parse_args(arguments)
    # A hub is never asked: all that is wanted is here or can be said to be missing.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    given = sys.argv[1:] if arguments is None else arguments
    try:
        report = compare(options, " ".join(["python -m benchmarks.alignment", *given]))
    except MissingSourceError as error:
        print(error)
        return 1
    print(report)
    return 0


def sizes(options: argparse.Namespace) -> dict[str, Any]:
    """How much of everything, by the machine unless it was said."""
    gpu = options.device.startswith("cuda") or (options.device == "auto" and torch.cuda.is_available())
    usual = TINY if options.model == "tiny" else ON_GPU if gpu else ON_CPU
    return {name: usual[name] if getattr(options, name) is None else getattr(options, name) for name in usual}


def compare(options: argparse.Namespace, command: str) -> str:
    """Run all methods with all seeds, and report."""
    size = sizes(options)
    folder = options.out / f"{options.model}-{options.data}"
    folder.mkdir(parents=True, exist_ok=True)
    model = MODELS[options.model](options.out)
    grid = lattice(2, size["divisions"])
    shared = {
        "max_steps": size["steps"],
        "batch_size": size["batch_size"],
        "max_length": size["max_length"],
        "beta": options.beta,
        "device": options.device,
        "verbose": 1,
        **(TINY_RATES if options.model == "tiny" else {}),
    }
    results: dict[str, list[dict[str, Any]]] = {method: [] for method in options.methods}
    for seed in options.seeds:
        source = DATA[options.data](size["train"], size["test"], seed)
        plan = Plan(model, source, grid, seed, shared, folder)
        for method in options.methods:
            print(f"{METHODS[method]}, seed {seed}", flush=True)
            results[method].append(run_method(method, plan))
    names = source.train.names
    if options.plot is not None:
        draw_fronts(results, names, options.plot)
    title = (
        f"## {options.model}, {options.data}: {len(source.train)} training and {len(source.test)} held-out "
        f"lists, {size['steps']} steps of {size['batch_size']} lists, {len(options.seeds)} seed(s)"
    )
    parts = [title, front_table(results, names)]
    if not options.no_texts:
        parts.append(text_table(results, grid.tolist()))
    return "\n\n".join([*parts, machine.provenance(command)])


if __name__ == "__main__":
    raise SystemExit(main())
