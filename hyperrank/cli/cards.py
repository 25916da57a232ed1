"""Cards, nested names and values, as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["as_text"]

#: Names of a long list that are shown.
SHOWN = 5
INDENT = "  "


def as_text(card: Mapping[str, Any], indent: str = "") -> str:
    """A card for people: a line per value, groups indented."""
    width = max((len(name) for name, value in card.items() if not isinstance(value, Mapping)), default=0)
    lines = []
    for name, value in card.items():
        title = name.replace("_", " ") if not indent else name
        if not isinstance(value, Mapping):
            lines.append(f"{indent}{title:{width}}  {_shown(value)}".rstrip())
        elif value:
            lines += [f"{indent}{title}", as_text(value, indent + INDENT)]
        else:
            lines.append(f"{indent}{title:{width}}  none")
    return "\n".join(lines)


def _shown(value: Any) -> str:
    if value is None:
        return "none"
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
