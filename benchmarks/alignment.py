"""A language model aligned once for all weights, beside one DPO run per weight and a soup of adapters.

Fronts of preference accuracy on held-out pairs, with their spread over these pairs and over seeds. Runs are
kept in a folder: the same command goes on where it was stopped, and `--report` writes their tables into the
page of results. On a GPU give more `--steps`.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.alignment_report import front_table, recorded, tables, write_tables
from benchmarks.alignment_runs import METHODS, Plan, run_method
from benchmarks.alignment_sources import DATA, MODELS, MissingSourceError
from hyperrank.simplex import lattice

__all__ = ["main"]

#: The page of results.
PAGE = Path(__file__).parent / "results" / "alignment.md"
#: Learning rates of the tiny model, which has nothing to lose.
TINY_RATES = {"prompt_learning_rate": 0.05, "hypernetwork_learning_rate": 0.05, "adapter_learning_rate": 5e-3}


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare and print; gives the exit status."""
    parser = argparse.ArgumentParser("python -m benchmarks.alignment", description=__doc__)
    parser.add_argument("--model", choices=MODELS, default="smollm2")
    parser.add_argument("--data", choices=DATA, default="hh-rlhf")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS), metavar="METHOD")
    parser.add_argument("--steps", type=int, default=200, help="optimizer steps of every run")
    parser.add_argument("--train", type=int, help="training lists; all by default")
    parser.add_argument("--test", type=int, help="held-out lists; all by default")
    parser.add_argument("--response-tokens", type=int, default=32, help="longer responses are left out")
    parser.add_argument("--prompt-tokens", type=int, default=32, help="longer prompts are cut from the left")
    parser.add_argument("--divisions", type=int, default=10, help="evaluated trade-offs, less one")
    parser.add_argument("--batch-size", type=int, default=4, help="lists per step")
    parser.add_argument("--n-tokens", type=int, default=8, help="prompt vectors")
    parser.add_argument("--beta", type=float, default=0.1)
    parser.add_argument("--adapter-rate", type=float, default=5e-4)
    parser.add_argument("--prompt-rate", type=float, default=5e-3)
    parser.add_argument("--hyper-rate", type=float, default=5e-3, help="of what the weights move")
    parser.add_argument("--alpha", type=float, default=1.0, help="concentration of the weights in training")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--precision", choices=("auto", "float32", "bfloat16"), default="auto")
    parser.add_argument("--text-tokens", type=int, default=40, help="of sampled texts; 0 for none")
    parser.add_argument("--out", type=Path, default=Path("alignment-runs"), help="folder of runs")
    parser.add_argument("--report", type=Path, nargs="+", help="folders of recorded runs, for --page alone")
    parser.add_argument("--page", type=Path, default=PAGE, help="what gets the tables of --report")
    options = parser.parse_args(arguments)
    if options.report is not None:
        write_tables(options.page, tables(recorded(options.report)))
        return 0
    # A hub is never asked: all that is needed is here, or can be said to be missing.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    given = sys.argv[1:] if arguments is None else arguments
    try:
        report = compare(options, " ".join(["python -m benchmarks.alignment", *given]))
    except MissingSourceError as error:
        print(error)
        return 1
    print(report)
    return 0


def compare(options: argparse.Namespace, command: str) -> str:
    """Run all methods, and report."""
    folder = options.out / f"{options.model}-{options.data}"
    folder.mkdir(parents=True, exist_ok=True)
    model = MODELS[options.model](options.out)
    source = DATA[options.data](options, model)
    rates: dict[str, Any] = {
        "adapter_learning_rate": options.adapter_rate,
        "prompt_learning_rate": options.prompt_rate,
        "hypernetwork_learning_rate": options.hyper_rate,
    }
    plan = Plan(
        model,
        source,
        lattice(2, options.divisions),
        lattice(2, 2),
        options.seed,
        {
            "max_steps": options.steps,
            "batch_size": options.batch_size,
            "n_tokens": options.n_tokens,
            "max_length": options.prompt_tokens + options.response_tokens + 24,
            "max_response_length": options.response_tokens,
            "beta": options.beta,
            "alpha": options.alpha,
            "precision": options.precision,
            "verbose": 1,
            **(TINY_RATES if options.model == "tiny" else rates),
        },
        options.text_tokens,
        folder,
    )
    results = {}
    for method in options.methods:
        name = METHODS[method][0]
        print(f"{name}, seed {options.seed}", flush=True)
        run = results[name, options.seed] = run_method(method, plan)
        print(front_table({name: run}, source.train.names), flush=True)
    title = (
        f"## {options.model}, {options.data}: {len(source.train)} training and {len(source.test)} held-out "
        f"lists, {options.steps} steps of {options.batch_size} lists, seed {options.seed}"
    )
    return "\n\n".join([title, tables(results), machine.provenance(command)])


if __name__ == "__main__":
    raise SystemExit(main())
