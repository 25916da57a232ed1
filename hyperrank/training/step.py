"""Optimiser steps on whole lists, smaller ones where memory runs out."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hyperrank.losses import ListLoss, margin_reward, temperature_loss, weighted_loss
from hyperrank.training.data import Batch, ListTensors, ShardedLists
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
                f"out of memory on a single query of {n_documents:,} documents: lower n_draws or hidden, or "
                "split the query."
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
