"""What all subcommands share: how they speak, and how they fail."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable
from typing import Any

import click

from hyperrank.cli.console import Console
from hyperrank.cli.processes import refuse_several

__all__ = ["command"]

#: Exit code of an interrupted program, by the shells' custom.
INTERRUPTED = 130


class Command(click.Command):
    """A command whose errors are one line on stderr and exit code 1; a traceback only with ``--debug``."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, BrokenPipeError):
            raise
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            # Where it came while text was executed, as in imports of dataclasses, ``python -m`` would end by
            # the signal, handled or not, until some other text has been executed (CPython's pythonrun.c).
            exec("")
            raise click.exceptions.Exit(INTERRUPTED) from None
        except Exception as error:  # whatever it is, a shell is no place for a traceback
            if ctx.params.get("debug"):
                click.echo(traceback.format_exc(), err=True, nl=False)
            raise click.ClickException(_in_one_line(error)) from error


def command(name: str) -> Callable[[Callable[..., None]], Command]:
    """Make a command of a function that takes a `Console` and its own options.

    Parameters
    ----------
    name : str
        What is typed.
    """

    def decorate(function: Callable[..., None]) -> Command:
        @functools.wraps(function)
        def run(as_json: bool, quiet: bool, **given: Any) -> None:
            given.pop("debug")  # `Command.invoke` knows it
            if name != "fit":
                refuse_several(name)
            function(Console(as_json=as_json, quiet=quiet), **given)

        for option in reversed(_SHARED):
            run = option(run)
        return click.command(name, cls=Command)(run)

    return decorate


_SHARED = (
    click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout."),
    click.option("--quiet", is_flag=True, help="No notes and no progress on stderr."),
    click.option("--debug", is_flag=True, help="Show the traceback of an error."),
)


def _in_one_line(error: Exception) -> str:
    """What an error says, for someone who does not read Python."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError):
        return f"out of memory. {text}".strip()
    if isinstance(error, ValueError | OSError | ImportError | TypeError) and text:
        return text
    return f"unexpected {type(error).__name__}: {text or 'no message'} (--debug shows where)"
