"""Values that the shell completes: names of losses and metrics, columns of data, objectives of a model."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import click
from click.shell_completion import CompletionItem

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]
#: Written down, since the registries import torch, for which nobody who presses a key waits.
LOSSES = ("listnet", "plackett_luce", "lambda_loss", "approx_ndcg", "pairwise_logistic")
METRICS = ("ndcg@10", "err@10", "map", "mrr", "precision@10")


def one_of(*names: str, or_file: bool = False) -> Complete:
    """Completion of a value that is one of some names, or the path of a file."""

    def complete(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return _matching(names, incomplete, or_file=or_file)

    return complete


def complete_columns(ctx: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Columns of the data, after the last comma."""
    before, comma, _ = incomplete.rpartition(",")
    return _matching([f"{before}{comma}{name}" for name in _columns(_argument(ctx, "data"))], incomplete)


def complete_objectives(ctx: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Objectives of the model, after the last comma, to be followed by a number; or a file."""
    before, comma, _ = incomplete.rpartition(",")
    names = [f"{before}{comma}{name}=" for name in _objectives(_argument(ctx, "model"))]
    return _matching(names, incomplete, or_file=not before)


def complete_settings(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Parameters of the ranker."""
    from inspect import signature

    from hyperrank.rankers import HyperDPORanker

    return _matching([f"{name}=" for name in signature(HyperDPORanker).parameters], incomplete)


def _argument(ctx: click.Context, name: str) -> Path | None:
    """An argument typed before the option whose value is asked for, which ends click's parsing."""
    names = [param.name for param in ctx.command.params if isinstance(param, click.Argument)]
    given = dict(zip(names, ctx.args, strict=False))
    return Path(given[name]) if name in given else ctx.params.get(name)


def _matching(names: Iterable[str], incomplete: str, *, or_file: bool = False) -> list[CompletionItem]:
    matching = [CompletionItem(name) for name in names if name.startswith(incomplete)]
    return [*matching, CompletionItem(incomplete, type="file")] if or_file else matching


def _columns(path: Path | None) -> Sequence[str]:
    """Columns of a table, objectives of a store; none of what cannot be read."""
    with suppress(Exception):  # whatever is wrong, the command will say
        if path is not None and path.is_dir():
            return list(json.loads((path / "store.json").read_bytes())["names"])
        from hyperrank.datasets._batches import open_table

        return [] if path is None else open_table(path).columns
    return []


def _objectives(path: Path | None) -> Sequence[str]:
    """Objectives in the header of a model file; none of what cannot be read."""
    with suppress(Exception):
        if path is not None:
            with path.open("rb") as file:
                header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
            return list(json.loads(header["__metadata__"]["hyperrank"])["objectives"])
    return []
