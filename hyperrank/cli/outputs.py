"""Files that commands write: refused before any work if they cannot be meant, written whole or not at all."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

__all__ = ["check_output", "out_option"]


def out_option(text: str, *, required: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command ``--out`` and ``--force``."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        function = click.option("--force", is_flag=True, help="Replace what is there.")(function)
        kind = click.Path(path_type=Path)
        return click.option("--out", type=kind, required=required, metavar="FILE", help=text)(function)

    return decorate


def check_output(path: Path, *, force: bool, kinds: Sequence[str] = ()) -> None:
    """Refuse an output before the work that would be lost.

    Parameters
    ----------
    path : Path
    force : bool
        Whether an existing file may be replaced.
    kinds : sequence of str, optional
        The ends of its name that say what to write.

    Raises
    ------
    ValueError
        If the file exists and may not be replaced, is a folder, or its name says nothing.
    FileNotFoundError
        If its folder does not exist.
    """
    if kinds and path.suffix.lower() not in kinds:
        raise ValueError(f"{path} does not say what to write: its name must end in {', '.join(kinds)}.")
    if path.is_dir():
        raise ValueError(f"{path} is a folder; give the name of a file.")
    if path.exists() and not force:
        raise ValueError(f"{path} exists already: choose another name, or --force to replace it.")
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "there is no such folder", str(path.parent))
