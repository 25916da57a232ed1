"""State of torch that belongs to the caller: fit and predict neither depend on it nor change it."""

from __future__ import annotations

import _thread
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ContextDecorator, ExitStack, contextmanager
from types import FrameType
from typing import Any

import torch

from hyperrank.networks.random import NewTensors

#: Held while torch's default number of threads is another than the caller's.
_THREADS_LOCK = threading.Lock()


class isolated(ContextDecorator):  # noqa: N801 - called as a function is
    """Torch as it is by default, for a while: gradients, no inference mode or autocast, single precision."""

    def _recreate_cm(self) -> isolated:
        return isolated()

    def __enter__(self) -> None:
        self.stack = ExitStack()
        if torch.is_inference_mode_enabled():
            self.stack.enter_context(torch.inference_mode(False))
        if not torch.is_grad_enabled():
            self.stack.enter_context(torch.enable_grad())
        for device in ("cpu", "cuda"):
            if torch.is_autocast_enabled(device):
                self.stack.enter_context(torch.autocast(device, enabled=False))
        if torch.get_default_dtype() != torch.float32 or torch.get_default_device().type != "cpu":
            self.stack.enter_context(NewTensors())

    def __exit__(self, *error: Any) -> None:
        self.stack.__exit__(*error)


def default_generator(device: torch.device) -> torch.Generator:
    """Torch's own generator of a device."""
    if device.type == "cuda":
        return torch.cuda.default_generators[device.index or 0]
    return torch.default_generator


def _set_own_threads(n: int) -> int:
    """Set the number of threads of torch's operations in this thread; the number that threads begin with.

    `torch.set_num_threads` sets the latter too, and threads read it at their first operation. So another
    thread, which begins with that number, puts it back.
    """
    defaults: list[int] = []
    has_read, is_set, is_back = (_thread.allocate_lock() for _ in range(3))
    for lock in (has_read, is_set, is_back):
        lock.acquire()

    def put_back() -> None:
        defaults.append(torch.get_num_threads())
        has_read.release()
        is_set.acquire()
        if defaults[0] != n:
            torch.set_num_threads(defaults[0])
        is_back.release()

    _thread.start_new_thread(put_back, ())
    has_read.acquire()
    torch.set_num_threads(n)
    is_set.release()
    is_back.acquire()
    return defaults[0]


def single_threaded() -> None:
    """Let torch use one thread for operations of this thread, for as long as it lives."""
    with _THREADS_LOCK:
        if torch.get_num_threads() != 1:
            _set_own_threads(1)


@contextmanager
def own_threads(n: int) -> Iterator[int]:
    """Let torch use `n` threads for operations of this thread, and of no other, for a while."""
    with _THREADS_LOCK:
        before = torch.get_num_threads()
        default = before if n == before else _set_own_threads(n)
    try:
        yield before
    finally:
        with _THREADS_LOCK:
            if default != before:
                _set_own_threads(before)
            elif n != before:
                torch.set_num_threads(before)


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
