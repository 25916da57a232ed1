"""``hyperrank select``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hyperrank.cli._command import Console, command, plain
from hyperrank.cli._options import PAIRS, Layout, check_output, layout_options, numbers_by_name, out_option
from hyperrank.cli.front import profile_options, profiled

if TYPE_CHECKING:
    from hyperrank.front.pareto_front import ParetoFront
    from hyperrank.front.selection import Selection

__all__ = ["read_weights", "select"]

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

    document = dict(plain(found.to_dict()))
    if out is not None:
        write_selection(out, document)
        console.note(f"{out}: the trade-off")
    console.result(selection_text(found, front), document)


EXPECTED = "expected name=weight pairs, as in relevance=0.7,clicks=0.3, or a .json file that select wrote"


def read_weights(given: Sequence[str], objectives: Sequence[str]) -> Any:
    """Trade-offs for predict.

    Parameters
    ----------
    given : sequence of str
        Each ``relevance=0.7,clicks=0.3`` or the path of a file that select wrote.
    objectives : sequence of str
        Of the ranker.

    Returns
    -------
    Selection, list of Selection, ndarray of shape (m,), frame of shape (k, m), or None
        Selections keep their temperature; None for no trade-off.

    Raises
    ------
    ValueError
        If weights are off the simplex, an objective is unknown, or a file holds no trade-off.
    """
    import numpy as np
    import pandas as pd

    from hyperrank.simplex import as_weights
    from hyperrank.weights import TRADE_OFF

    found = []
    for text in given:
        try:
            named = _named(text)
            weights = as_weights(named, len(objectives), objectives)
        except ValueError as error:
            raise ValueError(f"--weights {text}: {error}") from error
        found.append(named if getattr(named, "temperature", None) is not None else weights)
    if len(found) < 2:
        return found[0] if found else None
    if all(isinstance(each, np.ndarray) for each in found):
        return pd.DataFrame(found).rename_axis(TRADE_OFF)
    return found


def spelled(weights: Sequence[float], objectives: Sequence[str]) -> str:
    """A trade-off as ``--weights`` reads it, to the bit."""
    return ",".join(f"{name}={float(w)!r}" for name, w in zip(objectives, weights, strict=True))


def _named(text: str) -> Selection | dict[str, float]:
    from hyperrank.front.selection import Selection

    if text.endswith(".json"):
        try:
            return Selection.from_dict(json.loads(Path(text).read_text()))
        except ValueError as error:
            raise ValueError(f"the file holds no trade-off ({error}); {EXPECTED}.") from error
    if "=" not in text:
        raise ValueError(f"{EXPECTED}.")
    return dict(PAIRS(text))


def selection_text(selection: Selection, front: ParetoFront) -> str:
    """A selection for people, with what to type next, in a shell and in Python."""
    from hyperrank.front.selection import at_temperature

    table = repr(selection).partition("\n")[2]
    at = selection.temperature
    in_shell = "" if at is None else f" --temperature {at!r}"
    in_python = "" if at is None else f", temperature={at!r}"
    unsure = (
        f"\nHow sure this is cannot be told: {selection.evidence}"
        if isinstance(selection.evidence, str)
        else ""
    )
    return (
        f"{front.metric}{at_temperature(at)}\n{table}{unsure}\n\n"
        f"--weights {spelled(selection.weights.tolist(), front.names)}{in_shell}\n"
        f"ranker.predict(X, qid=qid, weights={selection.named_weights.to_dict()}{in_python})"
    )


def write_selection(path: Path, document: dict[str, Any]) -> None:
    """Write a selection's document, whole or not at all."""
    from hyperrank.files import write_atomically

    write_atomically(path, json.dumps(document, indent=1, allow_nan=False).encode() + b"\n")
