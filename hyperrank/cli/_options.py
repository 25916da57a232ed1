"""Options of commands: names, weights and settings, the layout of data files, outputs."""

from __future__ import annotations

import functools
import gzip
import io
import json
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from hyperrank.cli._command import Decorator, with_options
from hyperrank.cli._completion import Complete, complete_columns


def names(given: str | tuple[str, ...]) -> tuple[str, ...]:
    """Names with commas between: ``relevance,clicks``."""
    if isinstance(given, tuple):  # the default
        return given
    found = tuple(name.strip() for name in given.split(","))
    if not all(found):
        raise click.BadParameter(f"{given!r} has an empty name; expected names with commas between.")
    doubled = sorted({name for name in found if found.count(name) > 1})
    if doubled:
        raise click.BadParameter(f"{given!r} names {', '.join(doubled)} more than once.")
    return found


def pairs(given: str) -> dict[str, float]:
    """Numbers by name, with commas between: ``relevance=0.98,clicks=0.9``."""
    found: dict[str, float] = {}
    for pair in given.split(","):
        name, has_value, number = (word.strip() for word in pair.rpartition("="))
        if not has_value or not name:
            raise click.BadParameter(f"{pair!r} is not a pair; expected name=number, as in relevance=0.98.")
        if name in found:
            raise click.BadParameter(f"{given!r} names {name} more than once.")
        try:
            found[name] = float(number)
        except ValueError:
            raise click.BadParameter(f"{number!r} in {pair!r} is not a number.") from None
    return found


def setting(given: str) -> tuple[str, Any]:
    """A parameter and its value, read as JSON or else taken as text: ``network__hidden=[64,64]``."""
    name, has_value, text = given.partition("=")
    if not has_value or not name.strip():
        raise click.BadParameter(f"{given!r} is not a setting; expected name=value, as in max_epochs=5.")
    try:
        return name.strip(), json.loads(text)
    except ValueError:
        return name.strip(), text


class DataFile(click.Path):
    """Path of a data file; ``-`` is standard input, kept in a file for as long as the command runs."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read what is piped in."""
        if value != "-" or ctx is None or ctx.resilient_parsing:
            return super().convert(value, param, ctx)
        stream = sys.stdin.buffer
        start = stream.read(SNIFFED_BYTES)
        if not start:
            self.fail("nothing on standard input, or it is named twice.", param, ctx)
        folder = ctx.with_resource(tempfile.TemporaryDirectory(prefix="hyperrank-"))
        path = Path(folder, f"stdin{_suffix(start)}")
        with path.open("wb") as file:
            file.write(start)
            shutil.copyfileobj(stream, file)
        return path


#: Bytes by which the format of piped data is recognised.
SNIFFED_BYTES = 1 << 16
#: Standard output, as ``--out``.
STDOUT = Path("-")


def _suffix(start: bytes) -> str:
    """The suffix of the format that begins like this."""
    if start.startswith(b"PAR1"):
        return ".parquet"
    if start.startswith((b"ARROW1", b"\xff\xff\xff\xff")):
        return ".arrow"
    compressed = ".gz" if start.startswith(b"\x1f\x8b") else ""
    if compressed:
        with gzip.open(io.BytesIO(start)) as file, suppress(EOFError, OSError):
            start = file.read(1024)
    line = start.lstrip().partition(b"\n")[0]
    kind = ".tsv" if b"\t" in line else ".csv"
    if line.startswith(b"#") or re.match(rb"\S+ +(qid:|\d+:)", line):
        kind = ".txt"
    return kind + compressed


DATA, PATH = DataFile(), click.Path(path_type=Path)


def numbers_by_name(given: Iterable[dict[str, float]], option: str) -> dict[str, float]:
    """Several uses of an option as one mapping; a name must not be given twice."""
    merged: dict[str, float] = {}
    for numbers in given:
        doubled = sorted(merged.keys() & numbers.keys())
        if doubled:
            raise ValueError(f"{option} names {', '.join(doubled)} more than once.")
        merged |= numbers
    return merged


@dataclass(frozen=True)
class Layout:
    """The options that say what is what in a data file, as `layout_options` explains them."""

    labels: tuple[str, ...] = ()
    qid: str = "qid"
    features: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    label_features: tuple[str, ...] = ()
    grade: tuple[str, ...] = ()
    missing: float = 0.0
    zero_based: bool = False
    group: Path | None = None


def _names_option(option: str, text: str, complete: Complete | None = complete_columns) -> Decorator:
    return click.option(option, type=names, default=(), shell_complete=complete, help=text)


_LABELS = (
    _names_option(
        "--labels",
        "Objectives, the main one first: label columns of a CSV or Parquet file, objectives of a store, or "
        "what to call the label of LETOR text.",
    ),
    _names_option(
        "--label-features",
        "Features of LETOR text or a store that are labels and leave the features, by number or name, and "
        "perhaps what to call them: 132,clicks=134.",
        complete=None,
    ),
    _names_option(
        "--grade",
        "Objectives whose raw values, such as clicks or seconds, become grades 0 to 4 by quantile within the "
        "query.",
    ),
)
_COLUMNS = (
    click.option(
        "--qid",
        default="qid",
        shell_complete=complete_columns,
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
        type=PATH,
        metavar="FILE",
        help="Rows per query of LETOR text without qid:, one number a line.",
    ),
)
_FEATURES = (
    _names_option("--features", "Feature columns of a table; by default all but labels and query ids."),
    _names_option("--drop", "Columns or features to leave out."),
    _names_option(
        "--categorical",
        "Features that are categories, text or numbers; by default the columns whose type says so.",
    ),
)
#: Options of several commands.
REF_SCORES = click.option(
    "--ref-scores", metavar="COLUMN", help="Column of a table with the reference's scores."
)
TEMPERATURE = click.option(
    "--temperature", type=float, help="How far to move from the reference: 0 is the reference, 1 as trained."
)


def layout_options(*, labels: bool, features: bool) -> Decorator:
    """Give a command the options of a `Layout`, which it gets as ``layout``.

    `labels`: whether the command reads labels; `features`: whether it may choose features.
    """
    options = (*(_LABELS if labels else ()), *_COLUMNS, *(_FEATURES if features else ()))

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(function)
        def run(*args: Any, **given: Any) -> None:
            own = {name: given.pop(name) for name in Layout.__dataclass_fields__ if name in given}
            function(*args, layout=Layout(**own), **given)

        return with_options(*options)(run)

    return decorate


def out_option(text: str, *, required: bool = False) -> Decorator:
    """Give a command ``--out`` and ``--force``."""
    return with_options(
        click.option("--out", type=PATH, required=required, metavar="FILE", help=text),
        click.option("--force", is_flag=True, help="Replace what is there."),
    )


def check_output(path: Path | None, *, force: bool, kinds: Sequence[str] = ()) -> None:
    """Refuse an output before the work that would be lost.

    It exists and may not be replaced, is a folder or device, or does not end in one of the `kinds`.
    """
    from hyperrank.files import check_writable

    if path is None:
        return
    if kinds and path.suffix.lower() not in kinds:
        raise ValueError(f"{path} does not say what to write: its name must end in {', '.join(kinds)}.")
    check_writable(path)
    if path.exists() and not force:
        raise ValueError(f"{path} exists already: choose another name, or --force to replace it.")
