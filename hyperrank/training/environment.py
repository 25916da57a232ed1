"""State of torch that belongs to the caller: fit and predict neither depend on it nor change it."""

from __future__ import annotations

import _thread
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import TypeVar

import torch

from hyperrank.networks.random import NewTensors

__all__ = [
    "default_generator",
    "interruptible",
    "isolated",
    "noted_interrupts",
    "own_threads",
    "set_own_threads",
]

T = TypeVar("T")
#: Held while torch's default number of threads is another than the caller's.
_THREADS_LOCK = threading.Lock()


@contextmanager
def isolated() -> Iterator[None]:
    """Torch as it is by default, for a while: gradients, no inference mode or autocast, single precision.

    Examples
    --------
    >>> import torch
    >>> with torch.inference_mode(), isolated():
    ...     torch.ones(1, requires_grad=True).is_inference()
    False
    """
    with ExitStack() as stack:
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for device in ("cpu", "cuda"):
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        if torch.get_default_dtype() != torch.float32 or torch.get_default_device().type != "cpu":
            stack.enter_context(NewTensors())
        yield


def default_generator(device: torch.device) -> torch.Generator:
    """Torch's own generator of a device."""
    if device.type == "cuda":
        return torch.cuda.default_generators[device.index or 0]
    return torch.default_generator


def _in_new_thread(compute: Callable[[], T]) -> T:
    """What a function gives in a thread that has torch's defaults."""
    results: list[T] = []
    done = _thread.allocate_lock()
    done.acquire()

    def run() -> None:
        try:
            results.append(compute())
        finally:
            done.release()

    _thread.start_new_thread(run, ())
    done.acquire()
    return results[0]


def set_own_threads(n: int) -> None:
    """Set the number of threads that torch uses for operations of this thread alone.

    `torch.set_num_threads` also sets the number that threads begin with from now on. A thread reads it at its
    first operation.
    """
    with _THREADS_LOCK:
        default = _in_new_thread(torch.get_num_threads)
        torch.set_num_threads(n)
        if n != default:
            _in_new_thread(lambda: torch.set_num_threads(default))


@contextmanager
def own_threads(n: int) -> Iterator[int]:
    """Let torch use `n` threads for operations of this thread, and of no other, for a while.

    Yields
    ------
    int
        The number before.

    Examples
    --------
    >>> import torch
    >>> before = torch.get_num_threads()
    >>> with own_threads(1):
    ...     torch.get_num_threads()
    1
    >>> torch.get_num_threads() == before
    True
    """
    before = torch.get_num_threads()
    if n == before:
        yield before
        return
    set_own_threads(n)
    try:
        yield before
    finally:
        set_own_threads(before)


@contextmanager
def noted_interrupts(note: Callable[[], bool]) -> Iterator[None]:
    """Call a function at Ctrl-C, which does what it did before only where that returns False."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if not note():
            before(number, frame)

    signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C at once for a while, whatever is done with it outside."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
