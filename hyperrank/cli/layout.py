"""Options that say what is what in data files: labels, queries, features."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from hyperrank.cli.values import NAMES

__all__ = ["Layout", "layout_options"]


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
    """

    labels: tuple[str, ...] = ()
    qid: str = "qid"
    features: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    label_features: tuple[str, ...] = ()
    grade: tuple[str, ...] = ()
    missing: float = 0.0
    zero_based: bool = False


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
