"""State of a training between two batches: all that the rest depends on, as plain values and back."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hyperrank.training.data import document_batches
from hyperrank.training.step import Steps

__all__ = ["BestState", "RunningAverage", "TrainingState"]


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
        self.swap()
        try:
            yield
        finally:
            self.swap()

    @torch.no_grad()
    def swap(self) -> None:
        """Swap the network's parameters and the averaged ones; nothing without an average."""
        for averaged, parameter in zip(self.averaged, self.network.parameters(), strict=False):
            trained = parameter.detach().clone()
            parameter.copy_(averaged)
            averaged.copy_(trained)


class BestState:
    """The best evaluated parameters so far."""

    def __init__(self) -> None:
        self.score, self.epoch = -math.inf, 0
        self.state: dict[str, Tensor] | None = None

    def update(self, score: float, epoch: int, network: nn.Module) -> None:
        """Keep the network's parameters if their score is the highest; a NaN never is."""
        if score > self.score:
            self.score, self.epoch = score, epoch
            self.state = copy.deepcopy(network.state_dict())


@dataclass
class TrainingState:
    """A training between two batches.

    Attributes
    ----------
    network : Module
    steps : Steps
    average : RunningAverage
    best : BestState
    rng : numpy.random.Generator
        Of the shuffling and the weights.
    generator : torch.Generator
        Of dropout and the orders of ties.
    history : list of dict
        An entry per epoch that is over.
    epoch, batch : int
        The epoch at hand, from 1 on, and how many of its batches are done.
    losses : list of Tensor
        Of the steps of the epoch at hand.
    """

    network: nn.Module
    steps: Steps
    average: RunningAverage
    best: BestState
    rng: np.random.Generator
    generator: torch.Generator
    history: list[dict[str, float]] = field(default_factory=list)
    epoch: int = 1
    batch: int = 0
    losses: list[Tensor] = field(default_factory=list)
    #: State of the generator before the lists of the epoch at hand were shuffled.
    shuffled_from: Any = None
    #: When the epoch at hand began, or would have begun had it not been interrupted.
    started: float = 0.0

    def batches(self, sizes: NDArray[np.int64], batch_docs: int) -> list[NDArray[np.int64]]:
        """The batches that are left of the epoch at hand."""
        shuffler = self.rng
        if self.batch == 0:
            self.shuffled_from, self.started = self.rng.bit_generator.state, time.perf_counter()
        else:  # the same order as before the interruption
            shuffler = np.random.default_rng()
            shuffler.bit_generator.state = self.shuffled_from
        return list(document_batches(sizes, batch_docs, shuffler))[self.batch :]

    def end_epoch(self) -> None:
        """Go to the beginning of the next."""
        self.epoch, self.batch, self.losses = self.epoch + 1, 0, []

    def state(self) -> dict[str, Any]:
        """All of it as plain values and arrays, which may share memory with it: write them at once."""
        steps, average, best = self.steps, self.average, self.best
        return {
            "epoch": self.epoch,
            "batch": self.batch,
            "seconds": time.perf_counter() - self.started if self.batch else 0.0,
            "history": self.history,
            "losses": _array(torch.stack(self.losses)) if self.losses else None,
            "rng": {"now": self.rng.bit_generator.state, "before": self.shuffled_from},
            "torch": _array(self.generator.get_state()),
            "network": _arrays(self.network.state_dict()),
            "optimiser": {k: _arrays(v) for k, v in steps.optimiser.state_dict()["state"].items()},
            "steps": [steps.taken, steps.bad, steps.skipped, float(steps.too_many)],
            "average": {"n_updates": average.n_updates, "averaged": [_array(p) for p in average.averaged]},
            "best": [best.score, best.epoch],
            "best_state": None if best.state is None else _arrays(best.state),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from the state of another process; of what is not one, an error of any kind."""
        device = self._device
        self.epoch, self.batch, self.history = state["epoch"], state["batch"], list(state["history"])
        self.started = time.perf_counter() - state["seconds"]
        losses = state["losses"]
        self.losses = [] if losses is None else self.steps.local_losses(torch.tensor(losses, device=device))
        self.network.load_state_dict(_tensors(state["network"]))
        self._restore_steps(state["steps"], state["optimiser"])
        self._restore_average(state["average"])
        self.best.score, self.best.epoch = state["best"]
        if state["best_state"] is not None:
            self.best.state = {k: v.to(device) for k, v in _tensors(state["best_state"]).items()}
        self.shuffled_from = state["rng"]["before"]
        self.rng.bit_generator.state = state["rng"]["now"]
        processes = self.steps.processes
        if processes.is_rank_zero:
            self.generator.set_state(torch.tensor(state["torch"]))
        else:  # the file has the generator of rank 0, and what is dropped differs between processes
            self.generator.manual_seed((processes.rank << 32) + self.steps.taken)

    @property
    def _device(self) -> torch.device:
        return next(self.network.parameters()).device

    def _restore_steps(self, counts: list[Any], moments: Mapping[int, Mapping[str, Any]]) -> None:
        steps, optimiser = self.steps, self.steps.optimiser
        steps.taken, steps.bad, steps.skipped, steps.too_many = counts
        groups = optimiser.state_dict()["param_groups"]
        optimiser.load_state_dict(
            {"state": {k: _tensors(v) for k, v in moments.items()}, "param_groups": groups}
        )

    @torch.no_grad()
    def _restore_average(self, stored: Mapping[str, Any]) -> None:
        self.average.n_updates = stored["n_updates"]
        for averaged, value in zip(self.average.averaged, stored["averaged"], strict=True):
            averaged.copy_(torch.tensor(value))


def _array(tensor: Tensor) -> NDArray[Any]:
    return np.asarray(tensor.detach().cpu().numpy())


def _arrays(tensors: Mapping[str, Tensor]) -> dict[str, NDArray[Any]]:
    return {name: _array(tensor) for name, tensor in tensors.items()}


def _tensors(arrays: Mapping[str, Any]) -> dict[str, Tensor]:
    return {name: torch.tensor(array) for name, array in arrays.items()}
