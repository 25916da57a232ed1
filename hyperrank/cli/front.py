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


@command("front")
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("data", type=click.Path(path_type=Path))
@out_option("Where to write: .json, .csv, or a picture, .png, .svg or .pdf.")
@layout_options(labels=True, features=False)
@profile_options
def front(
    console: Console, model: Path, data: Path, out: Path | None, force: bool, layout: Layout, **options: Any
) -> None:
    """Measure what MODEL reaches on DATA at each trade-off.

    DATA should hold queries that were not trained on, with labels for every objective: columns or objectives
    of the names that the model knows, or those that --labels names in the same order.
    """
    if out is not None:
        check_output(out, force=force, kinds=(".json", ".csv", *PICTURES))
    found = profiled(console, model, data, layout, **options)
    from hyperrank.cli.fronts import front_document, front_text, write_front

    if out is not None:
        write_front(out, found)
        console.note(f"{out}: {len(found)} trade-offs")
    console.result(front_text(found), front_document(found))
