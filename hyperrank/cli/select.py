"""``hyperrank select``: the trade-off that keeps what must be kept; trade-offs as predict takes them."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hyperrank.cli import _options
from hyperrank.cli._command import Console, as_json, command
from hyperrank.cli._completion import complete_objectives
from hyperrank.cli.front import profile, profile_options

if TYPE_CHECKING:
    import pandas as pd

    from hyperrank.front import Selection

__all__ = ["read_document", "read_trade_offs", "select"]

Pairs = tuple[dict[str, float], ...]


@command(
    "select",
    "model.safetensors valid.csv --at-least relevance=0.98 --out trade-off.json",
    "model.safetensors valid.csv --at-least relevance=0.98 --maximize clicks --confidence 0.9",
    "model.safetensors valid.csv --knee",
    "model.safetensors - --nearest relevance=0.6 --out - < valid.csv > trade-off.json",
)
@click.argument("model", type=_options.PATH)
@click.argument("data", type=_options.DATA)
@click.option(
    "--at-least",
    type=_options.pairs,
    multiple=True,
    metavar="NAME=NUMBER,...",
    shell_complete=complete_objectives,
    help="What to keep, as shares of what the baseline reaches: relevance=0.98.",
)
@click.option("--absolute", is_flag=True, help="Limits are values of the metric, not shares.")
@click.option(
    "--maximize",
    metavar="NAME|NAME=SHARE,...",
    shell_complete=complete_objectives,
    help="What to maximize: an objective, or several with shares; by default those without a limit.",
)
@click.option("--knee", is_flag=True, help="Take the knee, beyond which more of one costs much of another.")
@click.option(
    "--nearest",
    type=_options.pairs,
    multiple=True,
    metavar="NAME=NUMBER,...",
    shell_complete=complete_objectives,
    help="Take what is nearest to these values.",
)
@click.option(
    "--confidence",
    type=float,
    help="Keep the limits with this probability, allowing for few queries and for the choice among many.",
)
@click.option("--in-every-segment", is_flag=True, help="Keep the limits in each segment of --by too.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the resamples.")
@_options.out_option("The trade-off as .json, for --weights of predict; - is stdout.")
@_options.layout_options(labels=True, features=False)
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
    in_every_segment: bool,
    seed: int,
    out: Path | None,
    force: bool,
    layout: _options.Layout,
    **options: Any,
) -> None:
    """Pick a trade-off of MODEL by what it reaches on DATA.

    DATA should hold queries that were not trained on, with labels for every objective.
    """
    if (maximize is not None) + knee + bool(nearest) > 1:
        raise click.UsageError("give one of --maximize, --knee and --nearest.")
    to_stdout = out == _options.STDOUT
    if not to_stdout:
        _options.check_output(out, force=force, kinds=(".json",))
    limits = _options.numbers_by_name(at_least, "--at-least")
    target = _options.numbers_by_name(nearest, "--nearest")
    goal: Any = _options.pairs(maximize) if maximize and "=" in maximize else maximize
    front = profile(console, model, data, layout, **options)
    common: dict[str, Any] = {
        "at_least": limits or None,
        "relative": not absolute,
        "confidence": confidence,
        "in_every_segment": in_every_segment,
        "random_state": seed,
    }
    if knee:
        selection = front.knee(**common)
    elif target:
        selection = front.nearest(target, **common)
    else:
        selection = front.select(maximize=goal, **common)
    document = as_json(selection.to_dict())
    content = json.dumps(document, indent=1, allow_nan=False)
    if out is not None and not to_stdout:
        from hyperrank.files import write_atomically

        write_atomically(out, content.encode() + b"\n")
        console.note(f"{out}: the trade-off")
    console.result(content if to_stdout else _as_text(selection), document)


def _as_text(selection: Selection) -> str:
    """A selection for people, with what to type next, in a shell and in Python."""
    table = repr(selection).partition("\n")[2]
    weights = dict(zip(selection.names, selection.weights.tolist(), strict=True))
    unsure = ""
    if isinstance(selection.evidence, str):
        unsure = f"\nHow sure this is cannot be told: {selection.evidence}"
    shell, python = f"--weights {spelled(weights)}", f"weights={weights}"
    if selection.temperature not in (None, 1):
        shell += f" --temperature {selection.temperature!r}"
        python += f", temperature={selection.temperature!r}"
    return f"{selection.metric}\n{table}{unsure}\n\n{shell}\nranker.predict(X, qid=qid, {python})"


def spelled(weights: dict[str, float] | pd.Series) -> str:
    """A trade-off as ``--weights`` reads it, to the bit."""
    return ",".join(f"{name}={float(weight)!r}" for name, weight in weights.items())


def read_trade_offs(
    given: Sequence[str], temperature: float | None, objectives: Sequence[str]
) -> tuple[Any, float | None]:
    """Weights, None, of shape (m,) or (k, m), and temperature for predict.

    Each of `given` is like ``relevance=0.7,clicks=0.3`` or the path of a file that select wrote. A ValueError
    says which weights, objective or file is wrong, or that temperatures disagree.
    """
    from hyperrank.front.selection import Selection, resolve_trade_off

    if not given:
        return None, temperature
    selections = []
    for text in given:
        try:
            if text.endswith(".json"):
                document = read_document(Path(text))
                if "weights" not in document:  # weights alone, by objective
                    document = {"objectives": list(objectives), "weights": document}
            elif "=" in text:
                document = {"objectives": list(objectives), "weights": _options.pairs(text)}
            else:
                raise ValueError(
                    "expected name=weight pairs, as in relevance=0.7,clicks=0.3, or a .json file of such, or "
                    "one that select wrote."
                )
            selection = Selection.from_dict(document)
        except ValueError as error:
            raise ValueError(f"--weights {text}: {error}") from error
        selections.append(selection)
        carried = selection.temperature
        if temperature is None or carried is None or math.isclose(temperature, carried, rel_tol=1e-9):
            continue
        raise ValueError(
            f"{text} has temperature {carried:g}, and --temperature {temperature:g} was also given: "
            f"leave --temperature out, or give the weights alone, {spelled(selection.named_weights)}."
        )
    trade_offs = selections if len(selections) > 1 else selections[0]
    return resolve_trade_off(trade_offs, temperature, objectives)


def _each_once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON, of which json would keep the last of several values of one name."""
    named = dict(members)
    if len(named) < len(members):
        raise ValueError(f"it has the names {[name for name, _ in members][:10]}, one of them twice")
    return named


def read_document(path: Path) -> dict[str, Any]:
    """The object in a JSON file."""
    try:
        document = json.loads(path.read_bytes(), object_pairs_hook=_each_once)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise ValueError(f"{path} holds no JSON object.")
    return document
