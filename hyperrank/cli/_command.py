"""What all subcommands share: how they speak, and how they fail."""

from __future__ import annotations

import functools
import json
import math
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click

__all__ = ["Console", "command", "plain", "process_group"]


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


def _n_processes() -> int:
    """How many processes a launcher such as torchrun has started; nothing is imported to know it."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ else 1


def refuse_several(name: str) -> None:
    """Refuse to run a command several times at once, on the same files.

    Raises
    ------
    ValueError
        In each of the processes.
    """
    if _n_processes() > 1:
        raise ValueError(f"{name} runs in one process: type it without torchrun. Only fit runs in several.")


@contextmanager
def process_group(device: str | None) -> Iterator[bool]:
    """The process group that torchrun has prepared, for as long as a command runs.

    Yields whether this process is rank 0, which speaks for all. An error in one ends all, and rank 0 says
    which it was.

    Parameters
    ----------
    device : str or None
        Where to train, as `HyperDPORanker` takes it: processes on GPUs talk by NCCL, others by gloo.
    """
    if _n_processes() == 1:
        yield True
        return
    from torch import distributed

    from hyperrank.rankers.dpo.config import resolve_device
    from hyperrank.training import process_group as training_group

    _initialise(distributed, resolve_device(device or "auto").type == "cuda")
    try:
        with training_group() as processes:
            yield processes.is_rank_zero
    except Exception:
        if distributed.get_rank() == 0:
            raise
        raise click.exceptions.Exit(1) from None
    finally:
        distributed.destroy_process_group()


def _initialise(distributed: Any, on_gpus: bool) -> None:
    if not on_gpus:
        distributed.init_process_group("gloo")
        return
    import torch

    torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)) % torch.cuda.device_count())
    distributed.init_process_group("nccl")


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
            raise click.ClickException(_in_options(_in_one_line(error), self.params)) from error


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


#: An argument of Python in a message, such as ``group=`` or ``zero_based=True``.
_ARGUMENT = re.compile(r"\b([a-z_]+)=(?:True\b)?(?=(['\"\w]?))")


def _in_options(text: str, params: Sequence[click.Parameter]) -> str:
    """A message with the options of the command in the place of arguments of Python."""
    options = {param.name: param.opts[0] for param in params if param.opts[0].startswith("--")}

    def option(found: re.Match[str]) -> str:
        spelled = options.get(found[1])
        return found[0] if spelled is None else spelled + " " * bool(found[2])

    return _ARGUMENT.sub(option, text)


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
