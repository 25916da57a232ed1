"""Where words go: results to stdout, as text or one JSON document, notes to stderr."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import click

__all__ = ["Console", "plain"]


@dataclass(frozen=True)
class Console:
    """The terminal, as the user wants it.

    Attributes
    ----------
    as_json : bool
        Whether the result is one JSON document.
    quiet : bool
        Whether stderr is for errors alone.
    """

    as_json: bool = False
    quiet: bool = False

    @property
    def shows_progress(self) -> bool:
        """Whether someone looks: bars in a log file are noise."""
        return not self.quiet and sys.stderr.isatty()

    def note(self, text: str) -> None:
        """Say something that is no result."""
        if not self.quiet:
            click.echo(text, err=True)

    def result(self, text: str, document: Mapping[str, Any]) -> None:
        """Print the result, in the form that was asked for; an empty text prints nothing."""
        if self.as_json:
            click.echo(json.dumps(plain(document), allow_nan=False))
        elif text:
            click.echo(text)


def plain(value: Any) -> Any:
    """A value as JSON knows it; numbers that are not finite become null."""
    if isinstance(value, Mapping):
        return {str(name): plain(part) for name, part in value.items()}
    if hasattr(value, "tolist"):  # arrays and numbers of numpy, columns of pandas
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, str | int | None) else repr(value)
