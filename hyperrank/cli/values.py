"""Values of options: lists of names, pairs of name and number, settings."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import click

__all__ = ["NAMES", "PAIRS", "SETTING", "Names", "numbers_by_name"]


class Names(click.ParamType):
    """Names with commas between: ``relevance,clicks``."""

    name = "names"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """Split at the commas."""
        if isinstance(value, tuple):
            return value
        names = tuple(name.strip() for name in value.split(","))
        if not all(names):
            self.fail(f"{value!r} has an empty name; wanted names with commas between.", param, ctx)
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            self.fail(f"{value!r} names {', '.join(doubled)} more than once.", param, ctx)
        return names


class Pairs(click.ParamType):
    """Pairs with commas between: ``relevance=0.98,clicks=0.9``."""

    name = "name=number,..."

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, float]:
        """Read a number for each name."""
        if isinstance(value, dict):
            return value
        pairs: dict[str, float] = {}
        for part in value.split(","):
            name, has_value, number = (word.strip() for word in part.rpartition("="))
            if not has_value or not name:
                self.fail(f"{part!r} is no pair; wanted name=number, as in relevance=0.98.", param, ctx)
            if name in pairs:
                self.fail(f"{value!r} names {name} more than once.", param, ctx)
            try:
                pairs[name] = float(number)
            except ValueError:
                self.fail(f"{number!r} in {part!r} is no number.", param, ctx)
        return pairs


class Setting(click.ParamType):
    """A parameter and its value, read as JSON or else taken as text: ``hidden=[64,64]``."""

    name = "name=value"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Any]:
        """Split at the first equals sign."""
        if isinstance(value, tuple):
            return value
        name, has_value, text = value.partition("=")
        if not has_value or not name.strip():
            self.fail(f"{value!r} is no setting; wanted name=value, as in max_epochs=5.", param, ctx)
        try:
            return name.strip(), json.loads(text)
        except ValueError:
            return name.strip(), text


NAMES, PAIRS, SETTING = Names(), Pairs(), Setting()


def numbers_by_name(given: Iterable[dict[str, float]], option: str) -> dict[str, float]:
    """Several uses of an option as one mapping.

    Raises
    ------
    ValueError
        If a name is given twice.
    """
    merged: dict[str, float] = {}
    for pairs in given:
        doubled = sorted(merged.keys() & pairs.keys())
        if doubled:
            raise ValueError(f"{option} names {', '.join(doubled)} more than once.")
        merged |= pairs
    return merged
