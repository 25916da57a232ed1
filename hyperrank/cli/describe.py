"""``hyperrank describe``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hyperrank.cli.command import command
from hyperrank.cli.console import Console
from hyperrank.cli.layout import Layout, layout_options
from hyperrank.cli.profiling import profile_options, profiled

__all__ = ["describe"]


@command("describe")
@click.argument("what", type=click.Path(path_type=Path), metavar="MODEL|STORE")
@click.option(
    "--data", type=click.Path(path_type=Path), help="Measure the front of MODEL on these data with labels."
)
@click.option(
    "--front",
    "saved",
    type=click.Path(path_type=Path),
    help="Or tell the front that front --out wrote as .json.",
)
@click.option(
    "--trade-off",
    "trade_offs",
    type=click.Path(path_type=Path),
    multiple=True,
    help="A trade-off that select wrote; may be repeated.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "markdown"]),
    default="text",
    show_default=True,
    help="What to print.",
)
@layout_options(labels=True, features=False)
@profile_options
def describe(
    console: Console,
    what: Path,
    data: Path | None,
    saved: Path | None,
    trade_offs: tuple[Path, ...],
    form: str,
    layout: Layout,
    **options: Any,
) -> None:
    """Say what a model file or a store holds: a model card.

    With --data or --front it tells what the model reaches, with --trade-off which trade-offs were selected.
    """
    if data is not None and saved is not None:
        raise click.UsageError("give one of --data and --front.")
    if what.is_dir():
        if data is not None or saved is not None or trade_offs:
            raise click.UsageError("a store has neither front nor trade-offs.")
        from hyperrank.cli.store_card import store_card

        shown = found = store_card(what)
    else:
        from hyperrank.cli.fronts import front_document
        from hyperrank.cli.model_card import for_people, model_card
        from hyperrank.cli.reached import front_part, read_front, read_trade_off

        found = model_card(what)
        if data is not None:
            front = front_document(profiled(console, what, data, layout, **options))
            found["front"] = front_part(front, str(data))
        elif saved is not None:
            found["front"] = front_part(read_front(saved, found["objectives"]), str(saved))
        if trade_offs:
            found["trade_offs"] = {
                path.stem: read_trade_off(path, found["objectives"]) for path in trade_offs
            }
        shown = for_people(found)
    from hyperrank.cli.cards import as_markdown, as_text

    console.result(as_text(shown) if form == "text" else as_markdown(shown), found)
