"""What a model file holds: a model card."""

from __future__ import annotations

import hashlib
from inspect import signature
from pathlib import Path
from typing import Any

from hyperrank.cli.console import plain
from hyperrank.files import read_model_file
from hyperrank.rankers import BaseRanker, load
from hyperrank.rankers.saving import versions

__all__ = ["for_people", "model_card"]


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
