"""Which of a run's parameters are evaluated and kept: their running average, and the best so far."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

__all__ = ["BestState", "RunningAverage"]


class RunningAverage:
    """Exponential running average of a network's parameters.

    Parameters
    ----------
    network : Module
        Whose parameters are averaged.
    decay : float
        Share of the average that a step keeps, once it is old enough; 0 for no average at all.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network, self.decay, self.n_updates = network, decay, 0
        self.averaged = [p.detach().clone() for p in network.parameters()] if decay > 0 else []

    @torch.no_grad()
    def update(self) -> None:
        """Take in the network's parameters as they are now."""
        if self.decay <= 0:
            return
        self.n_updates += 1
        # A young average forgets faster, so that the random start does not linger in it.
        decay = min(self.decay, (1 + self.n_updates) / (10 + self.n_updates))
        for averaged, parameter in zip(self.averaged, self.network.parameters(), strict=True):
            averaged.lerp_(parameter, 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The averaged parameters in the network for a while."""
        self.exchange()
        try:
            yield
        finally:
            self.exchange()

    @torch.no_grad()
    def exchange(self) -> None:
        """Swap the network's parameters and the averaged ones; nothing without an average."""
        for averaged, parameter in zip(self.averaged, self.network.parameters(), strict=False):
            held = parameter.detach().clone()
            parameter.copy_(averaged)
            averaged.copy_(held)


class BestState:
    """The best evaluated parameters so far, and how many evaluations ago that was."""

    def __init__(self) -> None:
        self.score, self.epoch, self.waited = -math.inf, 0, 0
        self.state: dict[str, Tensor] | None = None

    def offer(self, score: float, epoch: int, network: nn.Module) -> None:
        """Keep the network's parameters if their score is the highest; a NaN never is."""
        if score > self.score:
            self.score, self.epoch, self.waited = score, epoch, 0
            self.state = copy.deepcopy(network.state_dict())
        else:
            self.waited += 1
