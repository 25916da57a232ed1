"""Training loop of every network, conditioned or not."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from inspect import signature
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from hyperrank._progress import TrainingProgress
from hyperrank.losses import ListLoss
from hyperrank.networks.random import dropout_generator
from hyperrank.simplex import dirichlet_weights
from hyperrank.training.checkpoint import Checkpoint
from hyperrank.training.data import ListTensors, ShardedLists, document_batches
from hyperrank.training.environment import default_generator, isolated
from hyperrank.training.step import BestState, RunningAverage, Steps, TrainingSettings, TrainingState

Evaluate: TypeAlias = Callable[[nn.Module], float | Mapping[str, float]]


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
    generator: torch.Generator | None = None,  # draws what is dropped, and the orders of ties
    scale: Tensor | None = None,  # (m,), what each objective's loss is divided by
    draw_weights: Callable[[int], np.ndarray] | None = None,  # n -> (n, m); by default Dirichlet draws
    evaluate: Evaluate | None = None,  # a score, or a mapping with one: the highest one's parameters stay
    on_epoch: Callable[[dict[str, float]], bool] | None = None,  # in rank 0; ends training where it is True
    progress: TrainingProgress | None = None,
    keep_on_interrupt: bool = False,  # whether Ctrl-C ends training as if it had ended by itself
    checkpoint: Checkpoint | None = None,  # where the state is stored as it goes, and continues from
) -> TrainingResult:
    """Train a network on query lists in place.

    A FloatingPointError if the loss is NaN or infinite in 10 steps in a row; a MemoryError if memory runs out
    on a single list, while steps on several are made smaller, with a warning.
    """
    checkpoint = checkpoint or Checkpoint()
    processes = checkpoint.processes
    progress = progress or TrainingProgress(settings.max_epochs, verbose=0)
    generator = generator or default_generator(next(network.parameters()).device)
    if draw_weights is None:
        draw_weights = partial(
            dirichlet_weights, n_objectives=data.labels.shape[1], alpha=settings.alpha, rng=rng
        )
    loss = with_generator(loss, generator)
    data.prepare(loss)
    # As many as in any order of the lists.
    n_batches = len([*document_batches(data.lists.sizes, settings.batch_docs, np.random.default_rng(0))])
    steps = Steps(
        network,
        data,
        loss,
        settings,
        scale=scale,
        draw=draw_weights,
        rng=rng,
        n_steps=n_batches * settings.max_epochs,
        processes=processes,
    )
    average = RunningAverage(network, settings.average_decay)
    state = TrainingState(network, steps, average, BestState(), rng, generator)
    checkpoint.restore(state)
    result = TrainingResult(state.history)
    stops_at_interrupt = _ended_by_interrupt(result, steps) if keep_on_interrupt else nullcontext()
    drawn = dropout_generator(network, generator)
    with drawn, progress, stops_at_interrupt, checkpoint.defer_interrupts():
        while state.epoch <= settings.max_epochs and not _is_stopped(state, settings):
            _train_epoch(state, checkpoint)
            state.history.append(_epoch_entry(state, settings, evaluate))
            if processes.on_rank_zero(partial(_report, state.history[-1], progress, on_epoch)):
                break
            state.end_epoch()
            checkpoint.maybe_save(state)
    _take_best(state, result)
    return result


def _is_stopped(state: TrainingState, settings: TrainingSettings) -> bool:
    """Whether the stopping rule ends training before the epoch at hand."""
    rule = settings.stopping
    return rule is not None and bool(state.steps.processes.on_rank_zero(lambda: rule(state.history)))


def _train_epoch(state: TrainingState, checkpoint: Checkpoint) -> None:
    """The steps that are left of an epoch."""
    state.network.train()
    for which in state.batches(state.steps.data.lists.sizes, state.steps.settings.batch_docs):
        state.losses += state.steps.over(which)
        state.average.update()
        state.batch += 1
        checkpoint.maybe_save(state)


def _epoch_entry(
    state: TrainingState, settings: TrainingSettings, evaluate: Evaluate | None
) -> dict[str, float]:
    """Entry of the history for an epoch, with the score of the averaged parameters where it is evaluated."""
    epoch = state.epoch
    entry = {"epoch": float(epoch), "loss": state.steps.mean_loss(state.losses)}
    if evaluate is not None and (epoch % settings.eval_every == 0 or epoch == settings.max_epochs):
        with state.average.applied():
            state.network.eval()
            values = evaluate(state.network)
            entry |= values if isinstance(values, Mapping) else {"score": values}
            state.best.update(entry["score"], epoch, state.network)
    entry["seconds"] = time.perf_counter() - state.started
    return entry


def _take_best(state: TrainingState, result: TrainingResult) -> None:
    """The parameters of the best score into the network, or the averaged ones without scores."""
    state.network.eval()
    result.skipped_steps = state.steps.skipped
    if state.best.state is None:
        state.average.swap()
        result.best_epoch = len(result.history)
    else:
        state.network.load_state_dict(state.best.state)
        result.best_epoch, result.best_score = state.best.epoch, state.best.score


def with_generator(loss: ListLoss, generator: torch.Generator) -> ListLoss:
    """The loss with its random choices by a generator, if it has any and no generator of its own."""
    parameter = signature(loss).parameters.get("generator")
    options: dict[str, Any] = {"generator": generator}
    return loss if parameter is None or parameter.default is not None else partial(loss, **options)


def _report(
    entry: dict[str, float],
    progress: TrainingProgress,
    on_epoch: Callable[[dict[str, float]], bool] | None,
) -> bool:
    """Show an epoch; whether to stop after it."""
    stops = progress.update(entry)
    return bool(on_epoch is not None and on_epoch(entry)) or stops


@contextmanager
def _ended_by_interrupt(result: TrainingResult, steps: Steps) -> Iterator[None]:
    """End at Ctrl-C as if training had ended by itself, once there is something to return."""
    try:
        yield
    except KeyboardInterrupt:
        if not steps.taken:
            raise
        result.is_interrupted = True
