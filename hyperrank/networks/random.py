"""Random numbers of networks by explicit generators: initial parameters and dropout."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

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


def forked(generator: torch.Generator | None = None) -> torch.Generator:
    """A generator that draws what another will, and leaves it as it is; torch's own by default."""
    state = torch.get_rng_state() if generator is None else generator.get_state()
    return torch.Generator().set_state(state)


class Dropout(nn.Module):
    """Dropout whose masks a generator of its own draws, where it has one.

    They are the bits of `torch.nn.functional.dropout` on a CPU whose generator has the same state.
    """

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
        mask = torch.empty_like(hidden).bernoulli_(1 - self.p, generator=self.generator)
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
