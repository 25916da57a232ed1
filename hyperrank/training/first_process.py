"""How the first process works while the others wait: with the threads of all, and ended by Ctrl-C at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from hyperrank.boosters import booster_threads

__all__ = ["all_threads", "interrupting"]


@contextmanager
def all_threads() -> Iterator[None]:
    """The threads of all processes of this machine, for work that the others wait for.

    Each of them may have been held to its share, as by torchrun, which sets ``OMP_NUM_THREADS=1``.
    """
    here = int(os.environ.get("LOCAL_WORLD_SIZE", 0))
    if not here:
        yield
        return
    before = torch.get_num_threads()
    n = min(os.cpu_count() or 1, here * before)
    torch.set_num_threads(n)
    try:
        with booster_threads(n):
            yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def interrupting() -> Iterator[None]:
    """Ctrl-C at once, for work that the others wait for."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
