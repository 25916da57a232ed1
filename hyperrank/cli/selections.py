"""Selections as text, documents and files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hyperrank.bootstrap import Evidence
from hyperrank.cli.console import plain
from hyperrank.cli.trade_offs import spelled
from hyperrank.files import write_atomically
from hyperrank.front import ParetoFront, Selection

__all__ = ["selection_document", "selection_text", "write_selection"]


def selection_document(selection: Selection, front: ParetoFront) -> dict[str, Any]:
    """A selection as JSON knows it; ``weights`` is what predict takes."""
    document: dict[str, Any] = {
        "weights": dict(zip(front.names, selection.weights.tolist(), strict=True)),
        "metric": front.metric,
        "values": selection.values.to_dict(),
        "limits": selection.limits.to_dict(),
    }
    if isinstance(selection.evidence, Evidence):
        document["confidence"] = selection.confidence.to_dict()
        document["joint_confidence"] = selection.joint_confidence
        document["interval"] = selection.interval().to_dict("index")
    return dict(plain(document))


def selection_text(selection: Selection, front: ParetoFront) -> str:
    """A selection for people, with what to type next, in a shell and in Python."""
    table = repr(selection).partition("\n")[2]
    weights = dict(zip(front.names, selection.weights.tolist(), strict=True))
    unsure = (
        f"\nHow sure this is cannot be told: {selection.evidence}"
        if isinstance(selection.evidence, str)
        else ""
    )
    return (
        f"{front.metric}\n{table}{unsure}\n\n"
        f"--weights {spelled(selection.weights.tolist(), front.names)}\n"
        f"ranker.predict(X, qid=qid, weights={weights})"
    )


def write_selection(path: Path, document: dict[str, Any]) -> None:
    """Write a selection's document, whole or not at all."""
    write_atomically(path, json.dumps(document, indent=1, allow_nan=False).encode() + b"\n")
