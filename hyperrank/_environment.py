"""Process-wide state that belongs to the caller: torch's defaults, random numbers and threads, and Ctrl-C.

Fit and predict neither depend on it nor change it.
"""

from __future__ import annotations

import _thread
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

#: Held while torch's default number of threads is another than the caller's.
_THREADS_LOCK = threading.Lock()
#: Functions that draw where they are given no generator.
_RANDOM = frozenset(
    {
        torch.rand,
        torch.randn,
        torch.randint,
        torch.randperm,
        torch.bernoulli,
        torch.multinomial,
        Tensor.uniform_,
        Tensor.normal_,
        Tensor.bernoulli_,
        nn.init.uniform_,
        nn.init.normal_,
        nn.init.kaiming_uniform_,
        nn.init.xavier_uniform_,
    }
)
#: Functions that make tensors of torch's default dtype where they are told no other.
_FLOATS = frozenset(
    {torch.empty, torch.zeros, torch.ones, torch.rand, torch.randn, torch.linspace, torch.eye}
)
#: Functions that do so where they are given numbers of Python.
_OF_NUMBERS = frozenset({torch.tensor, torch.as_tensor, torch.full, torch.arange, torch.scalar_tensor})


class NewTensors(TorchFunctionMode):
    """New tensors in single precision on the CPU, whatever torch's defaults are, for a while.

    `generator` draws random numbers, such as the initial parameters of networks; torch's own by default.
    """

    def __init__(self, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.generator = generator

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call a function of torch with what it would take from torch's state."""
        options = dict(kwargs or {})
        if func in _RANDOM and self.generator is not None and options.get("generator") is None:
            options["generator"] = self.generator
        if func in _FLOATS or (func in _OF_NUMBERS and _has_floats([*args, *options.values()])):
            options["dtype"] = options.get("dtype") or torch.float32
        if func in _FLOATS | _OF_NUMBERS:
            options["device"] = options.get("device") or "cpu"
        return func(*args, **options)


def _has_floats(values: Sequence[Any]) -> bool:
    """Whether there is a float of Python among values, or in lists of them."""
    return any(
        isinstance(value, float) or (isinstance(value, list | tuple) and _has_floats(value))
        for value in values
    )


@contextmanager
def isolated() -> Iterator[None]:
    """Torch as it is by default, for a while: gradients, no inference mode or autocast, single precision."""
    with ExitStack() as stack:
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
        if not torch.is_grad_enabled():
            stack.enter_context(torch.enable_grad())
        for device in ("cpu", "cuda"):
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        if torch.get_default_dtype() != torch.float32 or torch.get_default_device().type != "cpu":
            stack.enter_context(NewTensors())
        yield


def forked(generator: torch.Generator | None = None) -> torch.Generator:
    """A generator that draws what another will, and leaves it as it is; torch's own by default."""
    state = torch.get_rng_state() if generator is None else generator.get_state()
    return torch.Generator().set_state(state)


class Dropout(nn.Module):
    """Dropout whose masks a generator of its own draws, where it has one."""

    generator: torch.Generator | None = None

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, hidden: Tensor) -> Tensor:
        """The input with some elements 0 and the others larger, in training."""
        if not self.training or self.p == 0:
            return hidden
        if self.generator is None:
            return nn.functional.dropout(hidden, self.p)
        # On a CPU `bernoulli_` takes five times as long.
        mask = torch.rand(hidden.shape, generator=self.generator, device=hidden.device).lt_(1 - self.p)
        return hidden * mask.div_(1 - self.p)


@contextmanager
def dropout_generator(network: nn.Module, generator: torch.Generator | None) -> Iterator[None]:
    """Let a generator draw the masks of all dropout in a network for a while."""
    layers = [module for module in network.modules() if isinstance(module, Dropout)]
    for layer in layers:
        layer.generator = generator
    try:
        yield
    finally:
        for layer in layers:
            layer.generator = None


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


def noted_interrupts(note: Callable[[], bool]) -> AbstractContextManager[None]:
    """Call a function at Ctrl-C, which does what it did before only where that returns False."""
    before = signal.getsignal(signal.SIGINT)
    if not callable(before):
        return nullcontext()

    def handle(number: int, frame: FrameType | None) -> None:
        if not note():
            before(number, frame)

    return _interrupts_handled_by(handle)


def interruptible() -> AbstractContextManager[None]:
    """Ctrl-C at once for a while, whatever is done with it outside."""
    return _interrupts_handled_by(signal.default_int_handler)


@contextmanager
def _interrupts_handled_by(handler: Callable[[int, FrameType | None], Any]) -> Iterator[None]:
    """Another handler of Ctrl-C for a while; only the main thread has one."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
