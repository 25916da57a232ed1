"""``hyperrank front``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hyperrank.cli.command import command
from hyperrank.cli.console import Console
from hyperrank.cli.layout import Layout, layout_options
from hyperrank.cli.outputs import check_output, out_option
from hyperrank.cli.profiling import profile_options, profiled

__all__ = ["front"]

PICTURES = (".png", ".svg", ".pdf")
PAGES = (".html", ".htm")


@command("front")
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("data", type=click.Path(path_type=Path))
@out_option("Where to write: .json, .csv, a page, .html, or a picture, .png, .svg or .pdf.")
@click.option(
    "--html",
    "page",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write a page on which people choose a trade-off, beside what --out writes.",
)
@layout_options(labels=True, features=False)
@profile_options
def front(
    console: Console,
    model: Path,
    data: Path,
    out: Path | None,
    page: Path | None,
    force: bool,
    layout: Layout,
    **options: Any,
) -> None:
    """Measure what MODEL reaches on DATA at each trade-off.

    DATA should hold queries that were not trained on, with labels for every objective: columns or objectives
    of the names that the model knows, or those that --labels names in the same order.
    """
    if out is not None:
        check_output(out, force=force, kinds=(".json", ".csv", *PAGES, *PICTURES))
    if page is not None:
        check_output(page, force=force, kinds=PAGES)
    found = profiled(console, model, data, layout, **options)
    from hyperrank.cli.fronts import front_document, front_text, write_front

    for path in (out, page):
        if path is not None:
            write_front(path, found)
            console.note(f"{path}: {len(found)} trade-offs")
    console.result(front_text(found), front_document(found))
