"""``hyperrank describe``."""

from __future__ import annotations

from pathlib import Path

import click

from hyperrank.cli.command import command
from hyperrank.cli.console import Console

__all__ = ["describe"]


@command("describe")
@click.argument("what", type=click.Path(path_type=Path), metavar="MODEL|STORE")
def describe(console: Console, what: Path) -> None:
    """Say what a model file or a store holds: a model card."""
    if what.is_dir():
        from hyperrank.cli.store_card import store_card as card
    else:
        from hyperrank.cli.model_card import model_card as card
    from hyperrank.cli.cards import as_text

    found = card(what)
    console.result(as_text(found), found)
