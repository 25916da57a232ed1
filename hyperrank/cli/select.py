"""``hyperrank select``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hyperrank.cli.command import command
from hyperrank.cli.console import Console
from hyperrank.cli.layout import Layout, layout_options
from hyperrank.cli.outputs import check_output, out_option
from hyperrank.cli.profiling import profile_options, profiled
from hyperrank.cli.values import PAIRS, numbers_by_name

__all__ = ["select"]

Pairs = tuple[dict[str, float], ...]


@command("select")
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "--at-least",
    type=PAIRS,
    multiple=True,
    help="What to keep, as shares of the reference ranker's value: relevance=0.98.",
)
@click.option("--absolute", is_flag=True, help="Limits are values of the metric, not shares.")
@click.option(
    "--maximize",
    metavar="NAME|NAME=SHARE,...",
    help="What is best otherwise: an objective, or several with shares; by default those without a limit.",
)
@click.option("--knee", is_flag=True, help="Take the knee, beyond which more of one costs much of another.")
@click.option("--nearest", type=PAIRS, multiple=True, help="Take what is nearest to these values.")
@click.option("--confidence", type=float, help="Keep the limits in this share of resamples of the queries.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the resamples.")
@out_option("The trade-off as .json, for --weights of predict.")
@layout_options(labels=True, features=False)
@profile_options
def select(
    console: Console,
    model: Path,
    data: Path,
    at_least: Pairs,
    absolute: bool,
    maximize: str | None,
    knee: bool,
    nearest: Pairs,
    confidence: float | None,
    seed: int,
    out: Path | None,
    force: bool,
    layout: Layout,
    **options: Any,
) -> None:
    """Pick a trade-off of MODEL by what it reaches on DATA.

    DATA should hold queries that were not trained on, with labels for every objective.
    """
    if (maximize is not None) + knee + bool(nearest) > 1:
        raise click.UsageError("give one of --maximize, --knee and --nearest.")
    if out is not None:
        check_output(out, force=force, kinds=(".json",))
    limits = numbers_by_name(at_least, "--at-least")
    target = numbers_by_name(nearest, "--nearest")
    goal: Any = PAIRS(maximize) if maximize and "=" in maximize else maximize
    front = profiled(console, model, data, layout, **options)
    common: dict[str, Any] = {
        "at_least": limits or None,
        "relative": not absolute,
        "confidence": confidence,
        "random_state": seed,
    }
    if knee:
        found = front.knee(**common)
    elif target:
        found = front.nearest(target, **common)
    else:
        found = front.select(maximize=goal, **common)
    from hyperrank.cli.selections import selection_document, selection_text, write_selection

    document = selection_document(found, front)
    if out is not None:
        write_selection(out, document)
        console.note(f"{out}: the trade-off")
    console.result(selection_text(found, front), document)
