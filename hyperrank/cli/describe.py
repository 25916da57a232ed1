"""``hyperrank describe``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hyperrank.cli._command import Console, command, plain
from hyperrank.cli._options import Layout, layout_options
from hyperrank.cli.front import profile_options, profiled

if TYPE_CHECKING:
    from hyperrank.front.pareto_front import ParetoFront
    from hyperrank.rankers import BaseRanker

__all__ = ["as_markdown", "as_text", "describe", "for_people"]


@command("describe")
@click.argument("what", type=click.Path(path_type=Path), metavar="MODEL|STORE")
@click.option(
    "--data", type=click.Path(path_type=Path), help="Measure the front of MODEL on these data with labels."
)
@click.option(
    "--front",
    "saved",
    type=click.Path(path_type=Path),
    help="Or tell the front that front --out wrote as .json.",
)
@click.option(
    "--trade-off",
    "trade_offs",
    type=click.Path(path_type=Path),
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
@layout_options(labels=True, features=False)
@profile_options
def describe(
    console: Console,
    what: Path,
    data: Path | None,
    saved: Path | None,
    trade_offs: tuple[Path, ...],
    form: str,
    layout: Layout,
    **options: Any,
) -> None:
    """Say what a model file or a store holds: a model card.

    With --data or --front it tells what the model reaches, with --trade-off which trade-offs were selected.
    """
    if data is not None and saved is not None:
        raise click.UsageError("give one of --data and --front.")
    if what.is_dir():
        if data is not None or saved is not None or trade_offs:
            raise click.UsageError("a store has neither front nor trade-offs.")

        shown = found = store_card(what)
    else:
        found = model_card(what)
        if data is not None:
            found["front"] = front_part(profiled(console, what, data, layout, **options), str(data))
        elif saved is not None:
            found["front"] = front_part(read_front(saved, found["objectives"]), str(saved))
        if trade_offs:
            found["trade_offs"] = {
                path.stem: read_trade_off(path, found["objectives"]) for path in trade_offs
            }
        shown = for_people(found)

    console.result(as_text(shown) if form == "text" else as_markdown(shown), found)


#: Names of a long list that are shown.
SHOWN = 5
INDENT = "  "


def as_text(card: Mapping[str, Any], indent: str = "") -> str:
    """A card for people: a line per value, groups indented, groups within groups on a line."""
    leaves = {name: value for name, value in card.items() if not _is_group(value, indent)}
    width = max((len(name) for name in leaves), default=0)
    lines = []
    for name, value in card.items():
        title = name.replace("_", " ") if not indent else name
        if name in leaves:
            lines.append(f"{indent}{title:{width}}  {_shown(value)}".rstrip())
        else:
            lines += [f"{indent}{title}", as_text(value, indent + INDENT)]
    return "\n".join(lines)


def as_markdown(card: Mapping[str, Any]) -> str:
    """A card for wikis: a table of what it says, and one for each group."""
    (kind, name), *_ = card.items()
    lines = [f"# {kind.capitalize()} card: {name}", ""]
    lines += _table({name: value for name, value in card.items() if not _is_group(value)})
    for title, group in card.items():
        if _is_group(group):
            lines += ["", f"## {title.replace('_', ' ').capitalize()}", ""]
            lines += _section(group)
    return "\n".join(lines)


def _section(group: Mapping[str, Any]) -> list[str]:
    """Values in one table, groups of groups in one each, their common names as columns."""
    deeper = {name: value for name, value in group.items() if _is_group(value, INDENT)}
    lines = _table({name: value for name, value in group.items() if name not in deeper})
    for name, rows in deeper.items():
        if not all(isinstance(part, Mapping) for part in rows.values()):
            lines += ["" for _ in lines[:1]]
            lines += [f"### {name}", "", *_section(rows)]
            continue
        columns = list(dict.fromkeys(column for row in rows.values() for column in row))
        lines += ["" for _ in lines[:1]]
        lines += [_row(name, *columns), _row(*["---"] * (1 + len(columns)))]
        lines += [_row(title, *(_shown(row.get(c, "")) for c in columns)) for title, row in rows.items()]
    return lines


def _table(values: Mapping[str, Any]) -> list[str]:
    if not values:
        return []
    rows = [_row(name.replace("_", " "), _shown(value)) for name, value in values.items()]
    return [_row("", ""), _row("---", "---"), *rows]


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _is_group(value: Any, indent: str = "") -> bool:
    """Whether a value takes lines of its own: a mapping, but one of values alone within a group."""
    if not isinstance(value, Mapping) or not value:
        return False
    return not indent or any(isinstance(part, Mapping) for part in value.values())


def _shown(value: Any) -> str:
    if value is None or value == {}:
        return "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_shown(part)}" for name, part in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list | tuple):
        more = f", ... ({len(value):,} in all)" if len(value) > SHOWN else ""
        return ", ".join(map(_shown, value[:SHOWN])) + more
    return str(value)


def model_card(path: Path) -> dict[str, Any]:
    """What a model knows of its data, its objectives, parameters, reference and training, and versions.

    Parameters
    ----------
    path : Path
        A file that ``save`` wrote.

    Returns
    -------
    dict
        As JSON knows it.

    Raises
    ------
    ModelFileError
        If the file is none, or damaged.
    """
    from hyperrank.files import read_model_file
    from hyperrank.rankers import load
    from hyperrank.rankers.io import versions

    ranker = load(path)
    head, _ = read_model_file(path)
    names = getattr(ranker, "feature_names_in_", None)
    card = {
        "model": str(path),
        "class": type(ranker).__name__,
        "bytes": path.stat().st_size,
        "sha256": _checksum(path),
        "objectives": ranker.objectives_,
        "metric": ranker.metric,
        "n_features": ranker.n_features_in_,
        "features": names,
        "data": getattr(ranker, "training_data_", {}),
        "parameters": _changed(ranker),
        "reference": _reference(ranker),
        "training": _training(ranker),
        "trial": _trial(ranker),
        "versions": head.get("versions", {}),
        "versions_here": versions(),
    }
    if hasattr(ranker, "weights_"):
        card["weights"] = _weights(ranker)
    return dict(plain(card))


def for_people(card: dict[str, Any]) -> dict[str, Any]:
    """The card with versions told once, and those that are others here beside them."""
    here = card.get("versions_here")
    if here is None:
        return card
    told = {
        name: version if here.get(name) == version else f"{version} (here {here.get(name, 'none')})"
        for name, version in card["versions"].items()
    }
    return {**{name: value for name, value in card.items() if name != "versions_here"}, "versions": told}


def _checksum(path: Path) -> str:
    """What ``sha256sum`` says of the file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _changed(ranker: BaseRanker) -> dict[str, Any]:
    """Parameters that differ from their defaults; objectives are told elsewhere."""
    defaults = {name: known.default for name, known in signature(type(ranker)).parameters.items()}
    params = ranker.get_params(deep=False)
    return {
        name: value if isinstance(value, str | int | float | list | tuple | dict | None) else _kind(value)
        for name, value in params.items()
        if name not in ("objectives", "verbose") and not _same(value, defaults[name])
    }


def _same(value: Any, default: Any) -> bool:
    """Whether a value is a default; files hold tuples as lists."""
    if isinstance(value, list | tuple) and isinstance(default, list | tuple):
        return list(value) == list(default)
    return type(value) is type(default) and bool(value == default)


def _reference(ranker: BaseRanker) -> dict[str, Any]:
    """What the ranker starts from."""
    fitted = getattr(ranker, "reference_", None)
    if fitted is None:
        return {}
    named = getattr(ranker, "reference", None)
    found: dict[str, Any] = {"kind": named if isinstance(named, str | None) else _kind(named)}
    if getattr(ranker, "reference_objective", None) is not None:
        main = ranker.reference_objective
        found["objective"] = main if isinstance(main, str) else ranker.objectives_[main]
    found["needs_scores"] = fitted.needs_scores
    return found


def _training(ranker: BaseRanker) -> dict[str, Any]:
    """How the fit went."""
    history = getattr(ranker, "history_", None)
    if not history:
        return {}
    return {
        "epochs": len(history),
        "best_epoch": getattr(ranker, "best_epoch_", None),
        "best_hypervolume": getattr(ranker, "best_score_", None),
        "loss": history[-1].get("loss"),
    }


def _trial(ranker: BaseRanker) -> dict[str, Any]:
    """What a trial on held-out queries chose."""
    trial = getattr(ranker, "trial_", None)
    if trial is None:
        return {}
    return {
        "dropout": trial.dropout,
        "max_epochs": trial.max_epochs,
        "pull": trial.pull,
        "tried": len(trial.tried),
    }


def _weights(ranker: Any) -> dict[str, Any]:
    """The trade-offs of a ranker that knows some alone."""
    held = ranker.weights_
    if len(held) > 1:
        return {"held": len(held)}
    return dict(zip(ranker.objectives_, held[0].tolist(), strict=True))


def _kind(value: Any) -> str:
    return f"a {type(value).__name__}"


def front_part(front: ParetoFront, source: str) -> dict[str, Any]:
    """A front in a few numbers: how good it is, and the best of each objective, beside the reference.

    Parameters
    ----------
    front : ParetoFront
    source : str
        Where it is from.
    """
    best = {}
    for name in front.names:
        row = int(front.points[name].to_numpy().argmax())
        best[name] = {
            "best": front.points[name].iloc[row],
            "reference": None if front.reference is None else front.reference[name],
            "at": _spelled(front.weights.iloc[row].tolist(), front.names),
        }
    told = {
        "from": source,
        "metric": front.metric,
        "temperature": front.temperature,
        "trade_offs": len(front),
        "non_dominated": front.non_dominated.sum(),
        "hypervolume": front.hypervolume(),
        "objectives": best,
    }
    return dict(plain({name: value for name, value in told.items() if value is not None}))


def read_front(path: Path, objectives: Sequence[str]) -> ParetoFront:
    """The front, as ``hyperrank front`` wrote it, of a model with these objectives.

    Raises
    ------
    ValueError
        If the file holds none, or one of other objectives.
    """
    from hyperrank.front.pareto_front import ParetoFront

    document = _document(path)
    try:
        found = ParetoFront.from_dict(document)
    except ValueError as error:
        raise ValueError(f"{path} holds no front: hyperrank front --out {path.name} writes one.") from error
    if found.names != list(objectives):
        raise ValueError(
            f"{path} holds a front of {', '.join(found.names)}; the model has {', '.join(objectives)}."
        )
    return found


def read_trade_off(path: Path, objectives: Sequence[str]) -> dict[str, Any]:
    """A trade-off as select wrote it, for a model with these objectives.

    Raises
    ------
    ValueError
        If the file holds none, or one of other objectives.
    """
    from hyperrank.front.selection import Selection

    document = _document(path)
    try:
        found, values = Selection.from_dict(document), dict(document["values"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} holds no trade-off: hyperrank select --out {path.name} writes one."
        ) from error
    if set(found.names) != set(objectives):
        raise ValueError(
            f"{path} holds a trade-off of {', '.join(found.names)}; the model has {', '.join(objectives)}."
        )
    told: dict[str, Any] = {
        "weights": _spelled(found.named_weights[list(objectives)].tolist(), objectives),
        "temperature": found.temperature,
        "metric": found.metric,
        "joint_confidence": document.get("joint_confidence"),
    }
    told = {name: value for name, value in told.items() if value is not None}
    by_name = {
        "weight": document["weights"],
        "value": values,
        **_columns(document.get("interval") or {}, ("low", "high")),
        "limit": document.get("limits") or {},
        "confidence": document.get("confidence") or {},
    }
    told["objectives"] = {
        name: {what: values[name] for what, values in by_name.items() if name in values}
        for name in objectives
    }
    return told


def _spelled(weights: Sequence[float], objectives: Sequence[str]) -> str:
    """A trade-off for reading, as ``--weights`` takes it; the files hold it to the bit."""
    return ",".join(f"{name}={w:.6g}" for name, w in zip(objectives, weights, strict=True))


def _columns(rows: Mapping[str, Mapping[str, Any]], names: Sequence[str]) -> dict[str, dict[str, Any]]:
    return {name: {title: row.get(name) for title, row in rows.items()} for name in names}


def _document(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path} is no JSON: {error}") from error
    if not isinstance(document, dict):
        raise ValueError(f"{path} holds no JSON object.")
    return document


def store_card(path: Path) -> dict[str, Any]:
    """Shape and names of a store.

    Raises
    ------
    StoreError
        If the folder is none.
    """
    import numpy as np

    from hyperrank.datasets import open_store

    store = open_store(path)
    sizes = np.diff(store.offsets)
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
