"""Commands that torchrun starts in several processes: one group, of which the first speaks and writes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

__all__ = ["process_group", "refuse_several"]


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

    Yields whether this process is the one that speaks. An error in one process ends all, and the first says
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

    from hyperrank.rankers.options import resolve_device
    from hyperrank.training import joined

    _initialise(distributed, resolve_device(device or "auto").type == "cuda")
    is_first = distributed.get_rank() == 0
    try:
        with joined():
            yield is_first
    except Exception:
        if is_first:
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
