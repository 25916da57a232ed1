"""Cards, nested names and values, as text and as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["as_markdown", "as_text"]

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
