"""Commands: their console, their errors in one line, and the processes of torchrun."""

from __future__ import annotations

import functools
import json
import math
import os
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click

__all__ = ["Console", "Decorator", "as_json", "command", "process_group", "with_options"]

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

#: Exit code of an interrupted program, by the shells' custom.
INTERRUPTED = 130
#: Control characters, and those that turn the direction of text: a terminal obeys them.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
#: An argument of Python in a message, such as ``group=`` or ``zero_based=True``.
_ARGUMENT = re.compile(r"\b([a-z_]+)=(?:True\b)?(?=(['\"\w]?))")
#: A number by objective, as in ``at_least={'relevance': 0.98}``.
_MAPPING = re.compile(r"\b([a-z_]+)=\{'([^']*)': ([^}]*)\}")
#: The argument that names a categorical feature, as errors write it.
_CATEGORICAL = re.compile(r"\bcategorical_features=\['([^']*)'\]")


@dataclass(frozen=True)
class Console:
    """The terminal: whether results are JSON, and whether stderr is for errors alone."""

    as_json: bool = False
    quiet: bool = False

    @property
    def shows_progress(self) -> bool:
        """Whether someone looks: bars in a log file are noise."""
        return not self.quiet and sys.stderr is not None and not sys.stderr.closed and sys.stderr.isatty()

    def note(self, text: str) -> None:
        """Say something that is not a result."""
        if not self.quiet:
            say(text)

    def result(self, text: str, document: Mapping[str, Any]) -> None:
        """Print the result, in the form that was asked for; an empty text prints nothing."""
        if self.as_json:
            click.echo(json.dumps(as_json(document), allow_nan=False))
        elif text:
            click.echo(printable(text))


def say(text: str) -> None:
    """Write a line to stderr, if there is one: without it work continues."""
    try:
        click.echo(printable(text), err=True)
    except (OSError, ValueError):  # its reader has left, or it was closed
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 (open until the process ends)


def printable(text: str) -> str:
    """Text with control characters spelled out: names in files may hold any."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def as_json(value: Any) -> Any:
    """A value as JSON knows it; numbers that are not finite become null."""
    if isinstance(value, Mapping):
        return {str(name): as_json(entry) for name, entry in value.items()}
    if hasattr(value, "tolist"):  # arrays and numbers of numpy, columns of pandas
        return as_json(value.tolist())
    if isinstance(value, list | tuple):
        return [as_json(entry) for entry in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, str | int | None) else repr(value)


class Command(click.Command):
    """A command whose errors are one line on stderr and exit code 1; a traceback only with ``--debug``."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            with warnings.catch_warnings():
                warnings.showwarning = self._show_warning(quiet=bool(ctx.params.get("quiet")))
                return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, BrokenPipeError):
            raise
        except KeyboardInterrupt:
            say("Interrupted.")
            # Where it came while text was executed, as in imports of dataclasses, ``python -m`` would end by
            # the signal, handled or not, until some other text has been executed (CPython's pythonrun.c).
            exec("")
            raise click.exceptions.Exit(INTERRUPTED) from None
        except Exception as error:  # whatever it is, a shell is no place for a traceback
            if ctx.params.get("debug"):
                say(traceback.format_exc().rstrip("\n"))
            say(f"Error: {self._in_options(_in_one_line(error))}")
            raise click.exceptions.Exit(getattr(error, "exit_code", 1)) from error

    def _show_warning(self, *, quiet: bool) -> Callable[..., None]:
        def show(message: Warning | str, *_: object, **__: object) -> None:
            if not quiet:
                say(f"Warning: {self._in_options(' '.join(str(message).split()))}")

        return show

    def _in_options(self, text: str) -> str:
        """A message with the options of the command in the place of arguments of Python."""
        options = {param.name: param.opts[0] for param in self.params if param.opts[0].startswith("--")}

        def option(found: re.Match[str]) -> str:
            spelled = options.get(found[1])
            return found[0] if spelled is None else spelled + " " * bool(found[2])

        if "validation" in options:
            text = re.sub(r"\b[Xy]_val\b", "--validation", text)
        if "categorical" in options:
            text = _CATEGORICAL.sub(r"--categorical \1", text)
        elif " by drop=" in text:  # the model says which columns are read, and as what
            text = _CATEGORICAL.sub(r"fit --categorical \1", text).replace(" by drop=", " of fit by --drop")
        return _ARGUMENT.sub(option, _MAPPING.sub(r"\1=\2=\3", text))


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


def command(name: str, *examples: str) -> Callable[[Callable[..., None]], Command]:
    """Make a command of a function that takes a `Console` and its own options; its help shows examples."""
    lines = "".join(f"\n  hyperrank {name} {line}" for line in examples)

    def decorate(function: Callable[..., None]) -> Command:
        @functools.wraps(function)
        def run(as_json: bool, quiet: bool, **given: Any) -> None:
            given.pop("debug")  # `Command.invoke` knows it
            if name != "fit" and _n_processes() > 1:
                raise ValueError(
                    f"{name} runs in one process: type it without torchrun. Only fit runs in several."
                )
            function(Console(as_json=as_json, quiet=quiet), **given)

        return click.command(name, cls=Command, epilog=f"\b\nExamples:{lines}")(_shared(run))

    return decorate


def with_options(*options: Decorator) -> Decorator:
    """Options of click's, in their order, as one."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


_shared = with_options(
    click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout."),
    click.option("--quiet", is_flag=True, help="No notes, warnings or progress on stderr."),
    click.option("--debug", is_flag=True, help="Show the traceback of an error."),
)


def _n_processes() -> int:
    """How many processes a launcher such as torchrun has started; nothing is imported to know it."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ else 1


@contextmanager
def process_group(device: str | None) -> Iterator[bool]:
    """The process group that torchrun has prepared, for as long as a command runs.

    Yields whether this process is rank 0, which speaks for all. An error in one ends all, and rank 0 says
    which it was. Processes on GPUs (`device` as `HyperDPORanker` takes it) talk by NCCL, others by gloo.
    """
    if _n_processes() == 1:
        yield True
        return
    import torch
    from torch import distributed

    from hyperrank.rankers.dpo.config import resolve_device
    from hyperrank.training import process_group as training_group

    if resolve_device(device or "auto").type == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)) % torch.cuda.device_count())
        distributed.init_process_group("nccl")
    else:
        distributed.init_process_group("gloo")
    try:
        with training_group() as processes:
            yield processes.is_rank_zero
    except Exception:
        if distributed.get_rank() == 0:
            raise
        raise click.exceptions.Exit(1) from None
    finally:
        distributed.destroy_process_group()
