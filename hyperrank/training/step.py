"""Optimiser steps on whole lists, and the state of a training between two of them."""

from __future__ import annotations

import copy
import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hyperrank.losses import ListLoss, margin_reward, temperature_loss, weighted_loss
from hyperrank.training.data import Batch, ListTensors, ShardedLists, document_batches
from hyperrank.training.distributed import SingleProcess
from hyperrank.training.options import StoppingRule


def warmup_cosine(step: int, n_steps: int, *, warmup: float = 0.05, floor: float = 0.01) -> float:
    """Factor on the peak learning rate at a step."""
    rising = max(1, round(warmup * n_steps))
    if step < rising:
        return (step + 1) / rising
    progress = min(1.0, (step - rising) / max(1, n_steps - rising))
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress))


@dataclass(frozen=True)
class TrainingSettings:
    """Epochs, batches, optimiser, weights and stopping of the loop."""

    max_epochs: int = 100
    batch_docs: int = 1024  # about: lists stay whole
    learning_rate: float = 2e-3  # at the peak of the schedule
    weight_decay: float = 1e-2
    max_norm: float = 1.0  # longer gradients are shortened to it
    average_decay: float = 0.0  # of the running average of parameters, per step; 0 for none
    n_draws: int = 4  # weights per list and step
    alpha: float = 1.0  # of the Dirichlet distribution that they are drawn from
    stopping: StoppingRule | None = None
    eval_every: int = 1  # epochs


#: Steps in a row whose loss may be NaN or infinite before training gives up.
MAX_BAD_STEPS = 10
#: What torch says on a CPU without memory, in a plain RuntimeError.
NO_MEMORY = ("can't allocate memory", "not enough memory")


class Steps:
    """Forward, backward, clipping, schedule; in several processes on shards of the same lists."""

    def __init__(
        self,
        network: nn.Module,
        data: ListTensors | ShardedLists,
        loss: ListLoss,
        settings: TrainingSettings,
        *,
        scale: Tensor | None,
        draw: Callable[[int], NDArray[np.float64]],
        rng: np.random.Generator,
        n_steps: int,
        processes: SingleProcess,
    ) -> None:
        self.network, self.data, self.loss, self.settings = network, data, loss, settings
        self.scale, self.draw, self.rng, self.n_steps = scale, draw, rng, n_steps
        self.processes = processes
        self.forward = processes.wrap(network)
        # The gradient of a constant is rounding, which the optimiser would make whole steps of.
        constants = getattr(network, "constants", ())
        self.optimiser = torch.optim.AdamW(
            [parameter for name, parameter in network.named_parameters() if name not in constants],
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
        )
        #: Documents of a step that ran out of memory.
        self.too_many = np.inf
        self.taken = 0
        self.bad = 0
        self.skipped = 0

    def over(self, which: NDArray[np.int64]) -> list[Tensor]:
        """Take a step on the lists numbered `which`, or several on parts of them; gives their losses."""
        losses, pending = [], [which]
        while pending:
            part = pending.pop()
            n_documents = int(self.data.lists.sizes[part].sum())
            if n_documents >= self.too_many and len(part) > 1:
                pending += [part[len(part) // 2 :], part[: len(part) // 2]]
                continue
            try:
                losses.append(self._step(part))
                continue
            except (RuntimeError, MemoryError) as error:
                if not _is_out_of_memory(error):
                    raise
            # Outside of the handler, which keeps all tensors of the failed step alive.
            self._make_room(n_documents, len(part))
            pending.append(part)
        return losses

    def _make_room(self, n_documents: int, n_lists: int) -> None:
        """After a step that ran out of memory: smaller ones from now on, if that is possible."""
        self.network.zero_grad(set_to_none=True)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if n_lists == 1:
            raise MemoryError(
                f"out of memory on a single query of {n_documents:,} documents: lower n_draws, n_members or "
                "hidden, or split the query."
            )
        if self.too_many == np.inf:
            warnings.warn(
                f"out of memory at {n_documents:,} documents in a step: steps are smaller from now on. Set "
                "batch_docs lower to choose yourself.",
                UserWarning,
                stacklevel=2,
            )
        self.too_many = n_documents // 2 + 1

    def _step(self, which: NDArray[np.int64]) -> Tensor:
        """One step; its loss, detached."""
        drawn = self.draw(len(which) * self.settings.n_draws)
        weights = drawn.reshape(len(which), self.settings.n_draws, -1)
        logits = self.data.reference_logits
        temperatures = None if logits is None else logits.draw_temperatures(weights.shape[:2], self.rng)

        def forward() -> tuple[Batch, Tensor]:
            batch = self.data.batch(which)
            local = slice(None) if batch.places is None else batch.places
            at = None if temperatures is None else torch.from_numpy(temperatures[local]).to(batch.features)
            return batch, self._loss(batch, torch.from_numpy(weights[local]).to(batch.features), at)

        return self._take(*self.processes.run_synced(forward, is_out_of_memory=_is_out_of_memory))

    def _take(self, batch: Batch, value: Tensor) -> Tensor:
        for group in self.optimiser.param_groups:
            group["lr"] = self.settings.learning_rate * warmup_cosine(self.taken, self.n_steps)
        # Of all parameters: constants get a gradient too, and none that is NaN may stay.
        self.network.zero_grad(set_to_none=True)
        with self.processes.exchanging_gradients():
            (value * batch.share).backward()
        self.taken += 1
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.max_norm)
        if torch.isfinite(norm):
            self.optimiser.step()
            self.bad = 0
        else:
            self._skip()
        value = value.detach()
        return value if batch.places is None else torch.stack([value, torch.ones_like(value)]) * batch.share

    def mean_loss(self, losses: list[Tensor]) -> float:
        """Mean over steps of what `over` gave, those of all processes taken together; NaN left out."""
        values = torch.stack(losses)
        if values.ndim == 2:
            total, share = torch.from_numpy(self.processes.all_reduce(values.double().cpu().numpy())).T
            values = total / share.clamp_min(torch.finfo(share.dtype).tiny)
        return float(values.nanmean())

    def local_losses(self, losses: Tensor) -> list[Tensor]:
        """Losses as `over` gives them here, of those that as many or other processes wrote.

        They are those of rank 0: what others had of the epoch's loss is not in its checkpoint.
        """
        if self.processes.size == 1:
            return list(losses if losses.ndim == 1 else losses[:, 0] / losses[:, 1])
        if losses.ndim == 1:
            losses = torch.stack([losses, torch.ones_like(losses)], dim=1)
        return list(losses if self.processes.is_rank_zero else torch.zeros_like(losses))

    def _loss(self, batch: Batch, weights: Tensor, temperatures: Tensor | None) -> Tensor:
        shared: dict[str, Any] = {"scale": self.scale, "query_weight": batch.query_weight}
        logits, condition = batch.reference_logits, weights
        if logits is not None and temperatures is not None:
            condition = logits.condition(weights, temperatures)
        rewards = self.forward(batch.features, condition, batch.index)
        if batch.places is not None and not len(batch.places):
            return rewards.sum()  # another process has the batch's lists
        n_members = rewards.shape[1] // weights.shape[1]
        if n_members > 1:  # of a packed ensemble, each with a loss of its own
            weights = weights.repeat_interleave(n_members, dim=1)
            if temperatures is not None:
                temperatures = temperatures.repeat_interleave(n_members, dim=1)
        if logits is not None and temperatures is not None:
            at = logits.at(weights, temperatures, batch.index)
            return temperature_loss(rewards, at, batch.offsets, weights, prepared=batch.prepared, **shared)
        if batch.margin is not None:
            rewards = margin_reward(rewards, batch.margin.values, batch.margin.weight)
        return weighted_loss(
            rewards,
            batch.labels,
            batch.offsets,
            weights,
            loss=self.loss,
            prepared=batch.prepared,
            **shared,
        )

    def _skip(self) -> None:
        """Leave out a step whose gradient is not finite; give up when that does not pass."""
        self.bad += 1
        self.skipped += 1
        if self.bad >= MAX_BAD_STEPS:
            raise FloatingPointError(
                f"the loss was NaN or infinite in {self.bad} steps in a row, at step {self.taken}: "
                "lower learning_rate, or look for extreme labels or features."
            )


def _is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return any(words in str(error) for words in NO_MEMORY)


class RunningAverage:
    """Exponential running average of a network's parameters."""

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
    """A training between two batches."""

    network: nn.Module
    steps: Steps
    average: RunningAverage
    best: BestState
    rng: np.random.Generator  # of the shuffling and the weights
    generator: torch.Generator  # of dropout and the orders of ties
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
        """Go on from the state of another process."""
        steps, device = self.steps, next(self.network.parameters()).device
        self._check(state)
        self.epoch, self.batch, self.history = state["epoch"], state["batch"], list(state["history"])
        self.started = time.perf_counter() - state["seconds"]
        losses = state["losses"]
        self.losses = [] if losses is None else steps.local_losses(torch.tensor(losses, device=device))
        self.network.load_state_dict(_tensors(state["network"]))
        steps.taken, steps.bad, steps.skipped, steps.too_many = state["steps"]
        moments = {number: _tensors(values) for number, values in state["optimiser"].items()}
        groups = steps.optimiser.state_dict()["param_groups"]
        steps.optimiser.load_state_dict({"state": moments, "param_groups": groups})
        self.average.n_updates = state["average"]["n_updates"]
        for averaged, value in zip(self.average.averaged, state["average"]["averaged"], strict=True):
            averaged.copy_(torch.tensor(value))
        self.best.score, self.best.epoch = state["best"]
        if state["best_state"] is not None:
            self.best.state = {k: v.to(device) for k, v in _tensors(state["best_state"]).items()}
        self.shuffled_from = state["rng"]["before"]
        self.rng.bit_generator.state = state["rng"]["now"]
        processes = steps.processes
        if processes.is_rank_zero:
            self.generator.set_state(torch.tensor(state["torch"]))
        else:  # the file has the generator of rank 0, and what is dropped differs between processes
            self.generator.manual_seed((processes.rank << 32) + steps.taken)

    def _check(self, state: Mapping[str, Any]) -> None:
        """Refuse a state whose parts are not those of this training."""
        parameters = [_array(p) for group in self.steps.optimiser.param_groups for p in group["params"]]
        _check_like(state["network"], _arrays(self.network.state_dict()))
        if state["best_state"] is not None:
            _check_like(state["best_state"], _arrays(self.network.state_dict()))
        _check_like(state["average"]["averaged"], [_array(p) for p in self.average.averaged])
        for number, moments in state["optimiser"].items():
            like = {"exp_avg": parameters[number], "exp_avg_sq": parameters[number]}
            _check_like(moments, {"step": np.array(1, np.float32), **like})
            _expect(moments["step"] >= 1 and (moments["exp_avg_sq"] >= 0).all())
        taken, bad, skipped, too_many = state["steps"]
        counts = (state["epoch"], state["batch"], taken, bad, skipped, state["average"]["n_updates"])
        _expect(all(type(count) is int and 0 <= count < 2**53 for count in counts))
        _expect(state["epoch"] == len(state["history"]) + 1 and isinstance(too_many, float) and too_many > 0)
        for number, entry in enumerate(state["history"], start=1):
            names = {name for name in entry if not name.startswith("validation/")} - {"score"}
            _expect(names == {"epoch", "loss", "seconds"} and entry["epoch"] == number)
            _expect(all(isinstance(value, float) for value in entry.values()))
        score, epoch = state["best"]
        _expect(isinstance(score, float) and type(epoch) is int and 0 <= epoch < state["epoch"])
        _expect(isinstance(state["seconds"], float) and 0 <= state["seconds"] < np.inf)
        losses = state["losses"]
        _expect((0 if losses is None else len(losses)) >= state["batch"])
        _expect(losses is None or (losses.dtype.kind == "f" and losses.shape[1:] in ((), (2,))))
        for stored in filter(None, state["rng"].values()):
            np.random.default_rng().bit_generator.state = stored
        _expect(state["rng"]["now"] is not None and (state["batch"] == 0 or bool(state["rng"]["before"])))


def _array(tensor: Tensor) -> NDArray[Any]:
    return np.asarray(tensor.detach().cpu().numpy())


def _arrays(tensors: Mapping[str, Tensor]) -> dict[str, NDArray[Any]]:
    return {name: _array(tensor) for name, tensor in tensors.items()}


def _tensors(arrays: Mapping[str, Any]) -> dict[str, Tensor]:
    return {name: torch.tensor(array) for name, array in arrays.items()}


def _expect(is_so: Any) -> None:
    if not is_so:
        raise ValueError("what it says of the training is not a state of it")


def _check_like(stored: Any, expected: Any) -> None:
    """Refuse arrays of other shapes or types than expected, and those that are not finite."""
    if isinstance(expected, np.ndarray):
        _expect(
            isinstance(stored, np.ndarray)
            and (stored.shape, stored.dtype) == (expected.shape, expected.dtype)
        )
        _expect(stored.dtype.kind != "f" or np.isfinite(stored).all())
        return
    _expect(type(stored) is type(expected) and len(stored) == len(expected))
    for name in expected if isinstance(expected, dict) else range(len(expected)):
        _check_like(stored[name], expected[name])
