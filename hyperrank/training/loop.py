"""Training of networks, conditioned or not: the loop, and its steps on batches of whole lists."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from inspect import signature
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hyperrank._environment import dropout_generator, isolated
from hyperrank.losses import ListLoss, margin_reward, temperature_loss, weighted_loss
from hyperrank.simplex import dirichlet_weights
from hyperrank.training.checkpoint import Checkpoint, Optimiser, RunningAverage, TrainingState
from hyperrank.training.data import Batch, ListTensors, ShardedLists, document_batches
from hyperrank.training.distributed import SingleProcess
from hyperrank.training.options import StoppingRule

Evaluate: TypeAlias = Callable[[nn.Module], float | Mapping[str, float]]

#: Steps in a row whose loss may be NaN or infinite before training gives up.
MAX_BAD_STEPS = 10
#: Documents, about, whose activations are in memory at a time on a CPU.
DOCUMENTS_AT_ONCE = 2048
#: What torch says on a CPU without memory, in a plain RuntimeError.
NO_MEMORY = ("can't allocate memory", "not enough memory")


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


@dataclass
class TrainingResult:
    """Outcome of a training: an entry per epoch, and the epoch whose parameters the network has now.

    `best_score` is NaN without validation; `skipped_steps` counts steps whose gradient was not finite.
    """

    history: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    best_score: float = math.nan
    skipped_steps: int = 0
    is_interrupted: bool = False


@isolated()
def train(
    network: nn.Module,  # ``(features, weights, index) -> rewards (n, k)``
    data: ListTensors | ShardedLists,
    *,
    loss: ListLoss,
    settings: TrainingSettings,
    rng: np.random.Generator,  # shuffles lists and draws weights, the same in all processes
    generator: torch.Generator,  # draws what is dropped, and the orders of ties
    scale: Tensor | None = None,  # (m,), what each objective's loss is divided by
    draw_weights: Callable[[int], np.ndarray] | None = None,  # n -> (n, m); by default Dirichlet draws
    evaluate: Evaluate | None = None,  # a score, or a mapping with one: the highest one's parameters stay
    on_epoch: Callable[[dict[str, float]], object] | None = None,  # in rank 0; ends training where it is true
    keep_on_interrupt: bool = False,  # whether Ctrl-C ends training as if it had ended by itself
    checkpoint: Checkpoint | None = None,  # where the state is stored as it goes, and continues from
) -> TrainingResult:
    """Train a network on query lists in place.

    A FloatingPointError if the loss is NaN or infinite in 10 steps in a row; a MemoryError if memory runs out
    on a single list, while steps on several are made smaller, with a warning.
    """
    checkpoint = checkpoint or Checkpoint()
    processes = checkpoint.processes
    if draw_weights is None:
        draw_weights = partial(
            dirichlet_weights, n_objectives=data.labels.shape[1], alpha=settings.alpha, rng=rng
        )
    loss = with_generator(loss, generator)
    data.prepare(loss)
    # As many as in any order of the lists.
    n_batches = len([*document_batches(data.lists.sizes, settings.batch_docs, np.random.default_rng(0))])
    # The gradient of a constant is rounding, which the optimiser would make whole steps of.
    constants = getattr(network, "constants", ())
    optimiser = Optimiser(
        [p for name, p in network.named_parameters() if p.requires_grad and name not in constants],
        settings.weight_decay,
    )
    state = TrainingState(network, optimiser, RunningAverage(network, settings.average_decay), rng, generator)
    steps = Steps(
        state, data, loss, settings, scale, draw_weights, n_batches * settings.max_epochs, processes
    )
    checkpoint.restore(state)
    result = TrainingResult(state.history)
    rule = settings.stopping
    try:
        with dropout_generator(network, generator), checkpoint.defer_interrupts():
            while state.epoch <= settings.max_epochs:
                if rule is not None and processes.on_rank_zero(lambda: bool(rule(state.history))):
                    break
                _train_epoch(state, steps, checkpoint)
                state.history.append(_epoch_entry(state, steps, evaluate))
                if on_epoch is not None and processes.on_rank_zero(lambda: bool(on_epoch(state.history[-1]))):
                    break
                state.end_epoch()
                checkpoint.maybe_save(state)
    except KeyboardInterrupt:
        if not (keep_on_interrupt and state.taken):
            raise
        result.is_interrupted = True
    _take_best(state, result)
    return result


def _train_epoch(state: TrainingState, steps: Steps, checkpoint: Checkpoint) -> None:
    """The steps that are left of an epoch."""
    state.network.train()
    for which in state.batches(steps.data.lists.sizes, steps.settings.batch_docs):
        state.losses += steps.over(which)
        state.average.update()
        state.batch += 1
        checkpoint.maybe_save(state)


def _epoch_entry(state: TrainingState, steps: Steps, evaluate: Evaluate | None) -> dict[str, float]:
    """Entry of the history for an epoch, with the score of the averaged parameters where it is evaluated."""
    entry = {"epoch": float(state.epoch), "loss": steps.mean_loss(state.losses)}
    if evaluate is not None:
        with state.average.applied():
            state.network.eval()
            values = evaluate(state.network)
            entry |= values if isinstance(values, Mapping) else {"score": values}
            state.keep_best(entry["score"])
    entry["seconds"] = time.perf_counter() - state.started
    return entry


def _take_best(state: TrainingState, result: TrainingResult) -> None:
    """The parameters of the best score into the network, or the averaged ones without scores."""
    state.network.eval()
    result.skipped_steps = state.skipped
    if state.best_parameters is None:
        state.average.swap()
        result.best_epoch = len(result.history)
    else:
        state.network.load_state_dict(state.best_parameters)
        result.best_epoch, result.best_score = state.best_epoch, state.best_score


def with_generator(loss: ListLoss, generator: torch.Generator) -> ListLoss:
    """The loss with its random choices by a generator, if it has any and no generator of its own."""
    parameter = signature(loss).parameters.get("generator")
    options: dict[str, Any] = {"generator": generator}
    return loss if parameter is None or parameter.default is not None else partial(loss, **options)


@dataclass
class Steps:
    """Forward, backward, clipping, schedule; in several processes on shards of the same lists."""

    state: TrainingState
    data: ListTensors | ShardedLists
    loss: ListLoss
    settings: TrainingSettings
    scale: Tensor | None
    draw: Callable[[int], NDArray[np.float64]]
    n_steps: int
    processes: SingleProcess

    def __post_init__(self) -> None:
        self.forward = self.processes.wrap(self.state.network)

    def over(self, which: NDArray[np.int64]) -> list[Tensor]:
        """Take a step on the lists numbered `which`, or several on parts of them; gives their losses."""
        losses, pending = [], [which]
        while pending:
            part = pending.pop()
            n_documents = int(self.data.lists.sizes[part].sum())
            if n_documents >= self.state.too_many and len(part) > 1:
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
        self.state.network.zero_grad(set_to_none=True)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if n_lists == 1:
            raise MemoryError(
                f"out of memory on a single query of {n_documents:,} documents: lower n_draws, n_members or "
                "hidden, or split the query."
            )
        if self.state.too_many == np.inf:
            warnings.warn(
                f"out of memory at {n_documents:,} documents in a step: steps are smaller from now on. Set "
                "batch_docs lower to choose yourself.",
                UserWarning,
                stacklevel=2,
            )
        self.state.too_many = n_documents // 2 + 1

    def _step(self, which: NDArray[np.int64]) -> Tensor:
        """One step; its loss, detached."""
        drawn = self.draw(len(which) * self.settings.n_draws)
        weights = drawn.reshape(len(which), self.settings.n_draws, -1)
        logits = self.data.reference_logits
        temperatures = None if logits is None else logits.draw_temperatures(weights.shape[:2], self.state.rng)

        def forward(part: NDArray[np.int64]) -> tuple[Batch, Tensor]:
            batch = self.data.batch(which[part])
            local = part if batch.places is None else part[batch.places]
            at = None if temperatures is None else torch.from_numpy(temperatures[local]).to(batch.features)
            return batch, self._loss(batch, torch.from_numpy(weights[local]).to(batch.features), at)

        # Of all parameters: constants get a gradient too, and none that is NaN may stay.
        self.state.network.zero_grad(set_to_none=True)
        total = shares = torch.zeros((), device=self.data.labels.device)
        for part in self._parts(which):
            batch, value = self.processes.run_synced(
                partial(forward, part), is_out_of_memory=_is_out_of_memory
            )
            share = batch.share * (len(part) / len(which))
            with self.processes.exchanging_gradients():
                (value * share).backward()
            total, shares = total + value.detach() * share, shares + share
        self._take()
        return total / shares if self.processes.size == 1 else torch.stack([total, shares])

    def _parts(self, which: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Places of lists whose gradients are made together: large batches would take much memory."""
        places = np.arange(len(which), dtype=np.int64)
        if self.processes.size > 1 or self.data.labels.device.type != "cpu":
            return [places]
        ends = np.cumsum(self.data.lists.sizes[which])
        return np.split(places, np.flatnonzero(np.diff((ends - 1) // DOCUMENTS_AT_ONCE)) + 1)

    def _take(self) -> None:
        """Change the parameters by their gradients, if these are finite."""
        learning_rate = self.settings.learning_rate * warmup_cosine(self.state.taken, self.n_steps)
        self.state.taken += 1
        norm = nn.utils.clip_grad_norm_(self.state.network.parameters(), self.settings.max_norm)
        if torch.isfinite(norm):
            self.state.optimiser.step(learning_rate)
            self.state.bad = 0
        else:
            self._skip()

    def mean_loss(self, losses: list[Tensor]) -> float:
        """Mean over steps of what `over` gave, those of all processes taken together; NaN left out."""
        values = torch.stack(losses)
        if values.ndim == 2:
            total, share = torch.from_numpy(self.processes.all_reduce(values.double().cpu().numpy())).T
            values = total / share.clamp_min(torch.finfo(share.dtype).tiny)
        return float(values.nanmean())

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
            rewards, batch.labels, batch.offsets, weights, loss=self.loss, prepared=batch.prepared, **shared
        )

    def _skip(self) -> None:
        """Leave out a step whose gradient is not finite; give up when that does not pass."""
        self.state.bad += 1
        self.state.skipped += 1
        if self.state.bad >= MAX_BAD_STEPS:
            raise FloatingPointError(
                f"the loss was NaN or infinite in {self.state.bad} steps in a row, at step "
                f"{self.state.taken}: lower learning_rate, or look for extreme labels or features."
            )


def _is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return any(words in str(error) for words in NO_MEMORY)


def warmup_cosine(step: int, n_steps: int, *, warmup: float = 0.05, floor: float = 0.01) -> float:
    """Factor on the peak learning rate at a step."""
    rising = max(1, round(warmup * n_steps))
    if step < rising:
        return (step + 1) / rising
    progress = min(1.0, (step - rising) / max(1, n_steps - rising))
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress))
