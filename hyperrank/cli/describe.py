"""``hyperrank describe``: the card of a model or a store, as text, Markdown or JSON."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from hyperrank._checks import Params
from hyperrank.cli._command import Console, as_json, command
from hyperrank.cli._options import PATH
from hyperrank.cli.select import read_document

if TYPE_CHECKING:
    from hyperrank.front import ParetoFront
    from hyperrank.rankers import BaseRanker

__all__ = ["as_markdown", "as_text", "describe", "with_other_versions"]

T = TypeVar("T")

#: Names of a long list that are shown.
SHOWN = 5
INDENT = "  "


@command(
    "describe",
    "model.safetensors",
    "model.safetensors --front front.json --trade-off trade-off.json --format markdown",
    "train.store --json",
)
@click.argument("what", type=PATH, metavar="MODEL|STORE")
@click.option("--front", "saved", type=PATH, help="The front that front --out wrote as .json.")
@click.option(
    "--trade-off",
    "trade_offs",
    type=PATH,
    multiple=True,
    help="A trade-off that select wrote; may be repeated.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "markdown"]),
    default="text",
    show_default=True,
    help="What to print.",
)
def describe(
    console: Console, what: Path, saved: Path | None, trade_offs: tuple[Path, ...], form: str
) -> None:
    """Describe a model file or a store: a model card.

    With --front it has what the model reaches, with --trade-off which trade-offs were selected.
    """
    if what.is_dir():
        if saved is not None or trade_offs:
            raise click.UsageError("a store has neither front nor trade-offs.")
        shown = card = store_card(what)
    else:
        card = model_card(what)
        if saved is not None:
            from hyperrank.front import ParetoFront

            front = _read(saved, "front", "front", ParetoFront.from_dict, card["objectives"])
            card["front"] = front_section(front, saved)
        if trade_offs:
            card["trade_offs"] = {
                path.stem: _trade_off_section(path, card["objectives"]) for path in trade_offs
            }
        shown = with_other_versions(card)
    console.result(as_text(shown) if form == "text" else as_markdown(shown), card)


def _sections(
    card: Mapping[str, Any], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """The values of a card, and those of each group in it under the names that lead there.

    Below the first level, a group of plain values is a row of the group that it is in.
    """
    groups = {
        name: value
        for name, value in card.items()
        if isinstance(value, Mapping)
        and value
        and (not path or any(isinstance(entry, Mapping) for entry in value.values()))
    }
    yield path, {name: value for name, value in card.items() if name not in groups}
    for name, group in groups.items():
        yield from _sections(group, (*path, name))


def as_text(card: Mapping[str, Any]) -> str:
    """A card for people: a line per value, groups indented."""
    lines = []
    for path, rows in _sections(card):
        indent = INDENT * len(path)
        if path:
            lines.append(INDENT * (len(path) - 1) + _title(path[-1]))
        width = max(map(len, rows), default=0)
        titles = {name: name if path else _title(name) for name in rows}
        lines += [f"{indent}{titles[name]:{width}}  {_shown(value)}".rstrip() for name, value in rows.items()]
    return "\n".join(lines)


def as_markdown(card: Mapping[str, Any]) -> str:
    """A card for wikis: a table for each group, with columns where its rows are groups of values."""
    (kind, name), *_ = card.items()
    lines = [f"# {kind.capitalize()} card: {name}"]
    for path, rows in _sections(card):
        if path:
            lines.append(f"\n{'#' * (1 + len(path))} {_title(path[-1]).capitalize()}")
        if not rows:
            continue
        has_columns = all(isinstance(row, Mapping) for row in rows.values())
        columns = list(dict.fromkeys(c for row in rows.values() for c in row)) if has_columns else [""]
        cells = {name: row if has_columns else {"": row} for name, row in rows.items()}
        lines += ["", _row("", *columns), _row(*["---"] * (1 + len(columns)))]
        lines += [
            _row(_title(name), *(_shown(row.get(c, "")) for c in columns)) for name, row in cells.items()
        ]
    return "\n".join(lines)


def _title(name: str) -> str:
    return name.replace("_", " ")


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _shown(value: Any) -> str:
    if value is None or value == {}:
        return "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_shown(entry)}" for name, entry in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list | tuple):
        more = f", ... ({len(value):,} in all)" if len(value) > SHOWN else ""
        return ", ".join(map(_shown, value[:SHOWN])) + more
    return str(value).replace("\n", "\\n")


def model_card(path: Path) -> dict[str, Any]:
    """What a model knows of its data, its objectives, parameters, reference and training, and versions."""
    from hyperrank.files import read_model_file
    from hyperrank.rankers import load
    from hyperrank.rankers.io import versions

    ranker: Any = load(path)
    head, _ = read_model_file(path)
    tuning, history = getattr(ranker, "tuning_", None), getattr(ranker, "history_", None)
    with path.open("rb") as file:
        checksum = hashlib.file_digest(file, "sha256").hexdigest()
    card = {
        "model": str(path),
        "class": type(ranker).__name__,
        "bytes": path.stat().st_size,
        "sha256": checksum,
        "objectives": ranker.objectives_,
        "metric": ranker.metric,
        "n_features": ranker.n_features_in_,
        "features": getattr(ranker, "feature_names_in_", None),
        "data": getattr(ranker, "data_summary_", {}),
        "parameters": _changed_parameters(ranker),
        "reference": _reference(ranker),
        "training": {},
        "tuning": {},
        "versions": head.get("versions", {}),
        "versions_here": versions(),
    }
    if getattr(ranker, "graded_objectives_", ()):
        card["graded"] = ranker.graded_objectives_
    if history:
        card["training"] = {
            "epochs": len(history),
            "best_epoch": getattr(ranker, "best_epoch_", None),
            "best_hypervolume": getattr(ranker, "best_score_", None),
            "loss": history[-1].get("loss"),
        }
    if tuning is not None:
        card["tuning"] = {
            "dropout": tuning.dropout,
            "max_epochs": tuning.max_epochs,
            "reward_scale_factor": tuning.reward_scale_factor,
            "candidates": len(tuning.candidates),
        }
    if hasattr(ranker, "weights_"):
        grid = ranker.weights_
        single = dict(zip(ranker.objectives_, grid[0].tolist(), strict=True))
        card["weights"] = {"trade_offs": len(grid)} if len(grid) > 1 else single
    return dict(as_json(card))


def with_other_versions(card: dict[str, Any]) -> dict[str, Any]:
    """The card with each version once, followed by that of this machine where it differs."""
    here = card.get("versions_here")
    if here is None:
        return card
    versions = {
        name: version if here.get(name) == version else f"{version} (here {here.get(name, 'none')})"
        for name, version in card["versions"].items()
    }
    return {**{name: value for name, value in card.items() if name != "versions_here"}, "versions": versions}


def _changed_parameters(ranker: BaseRanker) -> dict[str, Any]:
    """Parameters that differ from their defaults, but for the objectives."""
    defaults = {name: known.default for name, known in signature(type(ranker)).parameters.items()}
    params = ranker.get_params(deep=False)
    return {
        name: _as_json_or_text(value)
        for name, value in params.items()
        if name not in ("objectives", "verbose") and not _is_same(value, defaults[name])
    }


def _as_json_or_text(value: Any) -> Any:
    """A parameter as it is, an object such as ``MLP(hidden=(64, 64))`` as its text."""
    if isinstance(value, Params):
        return repr(value)
    if isinstance(value, Mapping):
        return {str(key): _as_json_or_text(item) for key, item in value.items()}
    is_plain = isinstance(value, str | int | float | list | tuple | None)
    return value if is_plain else f"a {type(value).__name__}"


def _is_same(value: Any, default: Any) -> bool:
    """Whether a value is a default; files hold tuples as lists."""
    if isinstance(value, list | tuple) and isinstance(default, list | tuple):
        return list(value) == list(default)
    return type(value) is type(default) and bool(value == default)


def _reference(ranker: Any) -> dict[str, Any]:
    """The reference that the ranker improves on."""
    fitted = getattr(ranker, "reference_", None)
    if fitted is None:
        return {}
    named = getattr(ranker, "reference", None)
    section: dict[str, Any] = {"kind": _as_json_or_text(named)}
    main = getattr(ranker, "reference_objective", None)
    if main is not None:
        section["objective"] = main if isinstance(main, str) else ranker.objectives_[main]
    section["needs_scores"] = bool(fitted.needs_scores)
    return section


def front_section(front: ParetoFront, source: Path) -> dict[str, Any]:
    """A front in a few numbers: how good it is, and the best of each objective, with the reference."""
    best = {}
    for name in front.names:
        row = int(front.points[name].to_numpy().argmax())
        best[name] = {
            "best": front.points[name].iloc[row],
            "reference": None if front.reference is None else front.reference[name],
            "at": _spelled(dict(zip(front.names, front.weights.to_numpy()[row].tolist(), strict=True))),
        }
    section = {
        "from": str(source),
        "metric": front.metric,
        "trade_offs": len(front),
        "non_dominated": int(front.non_dominated.sum()),
        "hypervolume": front.hypervolume(),
        "objectives": best,
    }
    if front.temperatures is not None and set(front.temperatures) != {1}:
        several = sorted(set(front.temperatures.tolist()))
        section["temperature"] = several if front.temperature is None else front.temperature
    return dict(as_json(section))


def _read(path: Path, what: str, command: str, from_dict: Callable[..., T], objectives: list[str]) -> T:
    """What a command wrote to a file, of a model with these objectives."""
    document = read_document(path)
    try:
        found: Any = from_dict(document)
    except ValueError as error:
        raise ValueError(
            f"{path} does not hold a {what}: hyperrank {command} --out {path.name} writes one."
        ) from error
    if set(found.names) != set(objectives):
        raise ValueError(
            f"{path} holds a {what} of {', '.join(found.names)}; the model has {', '.join(objectives)}."
        )
    return found


def _trade_off_section(path: Path, objectives: list[str]) -> dict[str, Any]:
    """The trade-off in a file, of a model with these objectives."""
    from hyperrank.front import Selection

    selection = _read(path, "trade-off", "select", Selection.from_dict, objectives)
    document = selection.to_dict()
    shared = {name: document.get(name) for name in ("metric", "temperature", "joint_confidence")}
    columns = {"weight": "weights", "value": "values", "limit": "limits", "confidence": "confidence"}
    return {
        "weights": _spelled(document["weights"]),
        **{name: value for name, value in shared.items() if value is not None or name == "metric"},
        "objectives": {
            name: {
                **{
                    title: document[key][name]
                    for title, key in columns.items()
                    if name in document.get(key, {})
                },
                **document.get("interval", {}).get(name, {}),
            }
            for name in objectives
        },
    }


def _spelled(weights: Mapping[str, float]) -> str:
    """A trade-off for reading, as ``--weights`` takes it; the files hold it to the bit."""
    return ",".join(f"{name}={weight:.6g}" for name, weight in weights.items())


def store_card(path: Path) -> dict[str, Any]:
    """Shape and names of a store."""
    from hyperrank.datasets import open_store

    store = open_store(path)
    sizes = store.lists.sizes
    return {
        "store": str(path),
        "description": store.description,
        "n_rows": len(store),
        "n_queries": len(sizes),
        "longest_query": int(sizes.max()),
        "objectives": store.names,
        "n_features": len(store.feature_names),
        "features": store.feature_names,
    }
