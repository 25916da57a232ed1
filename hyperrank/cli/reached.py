"""What a model reaches, as its card tells it: fronts and selected trade-offs, from files that we wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hyperrank.cli.console import plain

__all__ = ["front_part", "read_front", "read_trade_off"]


def front_part(front: Mapping[str, Any], source: str) -> dict[str, Any]:
    """A front in a few numbers: how good it is, and the best of each objective, beside the reference.

    Parameters
    ----------
    front : mapping
        The document of a front.
    source : str
        Where it is from.
    """
    objectives, points = list(front["objectives"]), list(front["points"])
    reference = front.get("reference") or {}
    best = {}
    for name in objectives:
        point = max(points, key=lambda point: point["values"][name])
        best[name] = {
            "best": point["values"][name],
            "reference": reference.get(name),
            "at": _spelled([point["weights"][other] for other in objectives], objectives),
        }
    return dict(
        plain(
            {
                "from": source,
                "metric": front["metric"],
                "trade_offs": len(points),
                "non_dominated": sum(bool(point["non_dominated"]) for point in points),
                "hypervolume": front["hypervolume"],
                "objectives": best,
            }
        )
    )


def read_front(path: Path, objectives: Sequence[str]) -> dict[str, Any]:
    """The document of a front of a model with these objectives.

    Raises
    ------
    ValueError
        If the file holds none, or one of other objectives.
    """
    document = _document(path)
    try:
        front_part(document, "")
        found = list(document["objectives"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{path} holds no front: hyperrank front --out {path.name} writes one.") from error
    if found != list(objectives):
        raise ValueError(
            f"{path} holds a front of {', '.join(map(str, found))}; the model has {', '.join(objectives)}."
        )
    return document


def read_trade_off(path: Path, objectives: Sequence[str]) -> dict[str, Any]:
    """A trade-off as select wrote it, for a model with these objectives.

    Raises
    ------
    ValueError
        If the file holds none, or one of other objectives.
    """
    document = _document(path)
    weights = document.get("weights")
    if not isinstance(weights, dict) or not isinstance(document.get("values"), dict):
        raise ValueError(f"{path} holds no trade-off: hyperrank select --out {path.name} writes one.")
    if set(weights) != set(objectives):
        raise ValueError(
            f"{path} holds a trade-off of {', '.join(weights)}; the model has {', '.join(objectives)}."
        )
    order = [weights[name] for name in objectives]
    told: dict[str, Any] = {"weights": _spelled(order, objectives), "metric": document.get("metric")}
    if "joint_confidence" in document:
        told["joint_confidence"] = document["joint_confidence"]
    by_name = {
        "weight": weights,
        "value": document["values"],
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
