"""Fronts as text, documents and files."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from hyperrank.cli.console import plain
from hyperrank.files import write_atomically
from hyperrank.front import ParetoFront

__all__ = ["front_document", "front_text", "write_front"]


def front_document(front: ParetoFront) -> dict[str, Any]:
    """A front as JSON knows it."""
    points = [
        {"weights": weights, "values": values, "non_dominated": bool(kept)}
        for weights, values, kept in zip(
            front.weights.to_dict("records"),
            front.points.to_dict("records"),
            front.non_dominated,
            strict=True,
        )
    ]
    return {
        "metric": front.metric,
        "objectives": front.names,
        "hypervolume": front.hypervolume(),
        "reference": None if front.reference is None else front.reference.to_dict(),
        "points": points,
    }


def front_text(front: ParetoFront) -> str:
    """A front for people: the trade-offs that no other beats."""
    table = front.to_frame()[front.non_dominated].drop(columns="non_dominated")
    lines = [
        f"{front.metric} of {len(front)} trade-offs, {len(table)} of them non-dominated; "
        f"hypervolume {front.hypervolume():.4f}"
    ]
    if front.reference is not None:
        values = ", ".join(f"{name} {value:.4f}" for name, value in front.reference.items())
        lines.append(f"reference: {values}")
    return "\n".join([*lines, table.to_string(index=False, float_format="{:.4f}".format)])


def write_front(path: Path, front: ParetoFront) -> None:
    """Write a front in the form that the name of the file says, whole or not at all."""
    kind = path.suffix.lower()
    if kind in (".html", ".htm"):
        front.to_html(path)
        return
    if kind == ".json":
        content = json.dumps(plain(front_document(front)), indent=1, allow_nan=False).encode() + b"\n"
    elif kind == ".csv":
        content = front.to_frame().to_csv(index=False, lineterminator="\n").encode()
    else:
        buffer = io.BytesIO()
        front.plot().savefig(buffer, format=kind[1:], dpi=150, bbox_inches="tight")
        content = buffer.getvalue()
    write_atomically(path, content)
