"""Options that say what is what in data files: labels, queries, features."""

from __future__ import annotations

import errno
import functools
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

__all__ = ["PAIRS", "SETTING", "Layout", "check_output", "layout_options", "numbers_by_name", "out_option"]


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


@dataclass(frozen=True)
class Layout:
    """What is what in a data file.

    Attributes
    ----------
    labels : tuple of str
        Of tables the columns of the objectives, of a store some of its objectives, of LETOR text what to
        call its label; empty where the user did not say.
    qid : str
        Of tables the column of the query ids.
    features : tuple of str
        Of tables the columns of the features; empty: all that are left.
    drop : tuple of str
        Columns or features to leave out.
    label_features : tuple of str
        Of LETOR text and stores features that are labels: ``132`` or ``quality=132``.
    grade : tuple of str
        Objectives whose values become grades by quantile within the query.
    missing : float
        Of LETOR text the value of features that a line leaves out.
    zero_based : bool
        Of LETOR text whether features are numbered from 0.
    group : Path or None
        Of LETOR text without query ids the file with the rows of each query.
    """

    labels: tuple[str, ...] = ()
    qid: str = "qid"
    features: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    label_features: tuple[str, ...] = ()
    grade: tuple[str, ...] = ()
    missing: float = 0.0
    zero_based: bool = False
    group: Path | None = None


_LABELS = (
    click.option(
        "--labels",
        type=NAMES,
        default=(),
        help="Objectives, the main one first: label columns of a CSV or Parquet file, objectives of a "
        "store, or what to call the label of LETOR text.",
    ),
    click.option(
        "--label-features",
        type=NAMES,
        default=(),
        help="Features of LETOR text or a store that are labels and leave the features, by number or name, "
        "and perhaps what to call them: 132,clicks=134.",
    ),
    click.option(
        "--grade",
        type=NAMES,
        default=(),
        help="Objectives whose raw values, such as clicks or seconds, become grades 0 to 4 by quantile "
        "within the query.",
    ),
)
_COLUMNS = (
    click.option(
        "--qid",
        default="qid",
        show_default=True,
        metavar="COLUMN",
        help="Column of the query ids in a table.",
    ),
    click.option(
        "--missing",
        type=float,
        default=0.0,
        show_default=True,
        help="Value of features that a line of LETOR text leaves out; nan for missing.",
    ),
    click.option("--zero-based", is_flag=True, help="Features of LETOR text are numbered from 0."),
    click.option(
        "--group",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Rows per query of LETOR text without qid:, one number a line.",
    ),
)
_FEATURES = (
    click.option(
        "--features",
        type=NAMES,
        default=(),
        help="Feature columns of a table; by default all but labels and query ids.",
    ),
    click.option("--drop", type=NAMES, default=(), help="Columns or features to leave out."),
)


def layout_options(*, labels: bool, features: bool) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of a `Layout`, which it gets as ``layout``.

    Parameters
    ----------
    labels, features : bool
        Whether the command reads labels, and whether it may choose features (or a model knows them).
    """
    options = (*(_LABELS if labels else ()), *_COLUMNS, *(_FEATURES if features else ()))

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(function)
        def run(*args: Any, **given: Any) -> None:
            own = {name: given.pop(name) for name in Layout.__dataclass_fields__ if name in given}
            function(*args, layout=Layout(**own), **given)

        for option in reversed(options):
            run = option(run)
        return run

    return decorate


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
