"""Training loop of every network, conditioned or not."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from inspect import signature
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hyperrank.losses import ListLoss
from hyperrank.networks.random import dropout_generator
from hyperrank.simplex import dirichlet_weights
from hyperrank.training.checkpoint import Checkpoint
from hyperrank.training.data import ListTensors, ShardedLists, document_batches
from hyperrank.training.environment import default_generator, isolated
from hyperrank.training.progress import TrainingProgress
from hyperrank.training.state import BestState, RunningAverage, TrainingState
from hyperrank.training.step import Steps, TrainingSettings
from hyperrank.training.stopping import EarlyStopping

__all__ = ["TrainingResult", "train", "with_generator"]


@dataclass
class TrainingResult:
    """Outcome of a training.

    Attributes
    ----------
    history : list of dict
        One entry per epoch: ``epoch``, ``loss``, ``seconds``, and ``score`` where evaluated.
    best_epoch : int
        The epoch whose parameters the network has now.
    best_score : float
        Its validation score; NaN without validation.
    skipped_steps : int
        Steps that were left out because their gradient was not finite.
    is_interrupted : bool
        Whether Ctrl-C ended the training.
    """

    history: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    best_score: float = math.nan
    skipped_steps: int = 0
    is_interrupted: bool = False


@isolated()
def train(
    network: nn.Module,
    data: ListTensors | ShardedLists,
    *,
    loss: ListLoss,
    settings: TrainingSettings,
    rng: np.random.Generator,
    generator: torch.Generator | None = None,
    scale: Tensor | None = None,
    draw_weights: Callable[[int], np.ndarray] | None = None,
    evaluate: Callable[[nn.Module], float] | None = None,
    on_epoch: Callable[[dict[str, float]], bool] | None = None,
    progress: TrainingProgress | None = None,
    keep_on_interrupt: bool = False,
    checkpoint: Checkpoint | None = None,
) -> TrainingResult:
    """Train a network on query lists in place.

    Parameters
    ----------
    network : Module
        ``network(features, weights, index) -> scores of shape (n, k)``, read as rewards.
    data : ListTensors or ShardedLists
        The training lists; where several processes train together, the shard of this one.
    loss : callable
        A listwise loss such as `hyperrank.losses.listnet`.
    settings : TrainingSettings
        Epochs, batches, optimiser, weights, stopping.
    rng : numpy.random.Generator
        Shuffles lists and draws weights, the same in all processes.
    generator : torch.Generator, optional
        Draws what is dropped and the orders of ties, on the network's device; torch's own by default.
    scale : Tensor of shape (m,), optional
        What each objective's loss is divided by.
    draw_weights : callable, optional
        ``n -> weights of shape (n, m)``; by default Dirichlet draws by ``settings.alpha``.
    evaluate : callable, optional
        ``network -> score``, higher is better, and the same in all processes. The parameters of the best
        score are restored at the end.
    on_epoch : callable, optional
        Called in rank 0 with the entry of each epoch; training stops where it returns True.
    progress : TrainingProgress, optional
        Shown while training, by rank 0.
    keep_on_interrupt : bool, default False
        Whether Ctrl-C ends the training as if it had ended by itself, rather than raising KeyboardInterrupt.
    checkpoint : Checkpoint, optional
        Where the state of the training is stored as it goes, and what it goes on from; it names the processes
        that train together.

    Returns
    -------
    TrainingResult

    Raises
    ------
    FloatingPointError
        If the loss is NaN or infinite in 10 steps in a row.
    MemoryError
        If memory runs out in a step on a single list; steps on several are made smaller, with a warning.
    """
    checkpoint = checkpoint or Checkpoint()
    processes = checkpoint.processes
    progress = progress or TrainingProgress(settings.max_epochs, verbose=0)
    n_objectives = data.labels.shape[1]
    draw = draw_weights or (lambda n: dirichlet_weights(n, n_objectives, alpha=settings.alpha, rng=rng))
    sizes, batch_docs = data.lists.sizes, settings.batch_docs
    generator = generator or default_generator(next(network.parameters()).device)
    loss = with_generator(loss, generator)
    data.prepare(loss)
    n_batches = sum(1 for _ in document_batches(sizes, batch_docs, np.random.default_rng(0)))
    n_steps = n_batches * settings.max_epochs
    steps = Steps(
        network, data, loss, settings, scale=scale, draw=draw, rng=rng, n_steps=n_steps, processes=processes
    )
    average, best = RunningAverage(network, settings.average_decay), BestState()
    state = TrainingState(network, steps, average, best, rng, generator)
    checkpoint.restore(state)
    result = TrainingResult(state.history)
    stops = settings.stopping or (EarlyStopping(settings.patience) if settings.patience else None)

    def is_stopped() -> bool:
        return stops is not None and bool(processes.on_rank_zero(lambda: stops(state.history)))

    stops_at_interrupt = _ended_by_interrupt(result, steps) if keep_on_interrupt else nullcontext()
    drawn = dropout_generator(network, generator)
    with drawn, progress, stops_at_interrupt, checkpoint.defer_interrupts():
        while state.epoch <= settings.max_epochs and not is_stopped():
            network.train()
            for which in state.batches(sizes, batch_docs):
                state.losses += steps.over(which)
                average.update()
                state.batch += 1
                checkpoint.maybe_save(state)
            epoch = state.epoch
            entry = {"epoch": float(epoch), "loss": steps.mean_loss(state.losses)}
            if evaluate is not None and (epoch % settings.eval_every == 0 or epoch == settings.max_epochs):
                with average.applied():
                    network.eval()
                    entry["score"] = evaluate(network)
                    best.update(entry["score"], epoch, network)
            entry["seconds"] = time.perf_counter() - state.started
            state.history.append(entry)
            if processes.on_rank_zero(partial(_report, entry, progress, on_epoch)):
                break
            state.end_epoch()
            checkpoint.maybe_save(state)
    network.eval()
    result.skipped_steps = steps.skipped
    if best.state is None:
        average.swap()
        result.best_epoch = len(result.history)
    else:
        network.load_state_dict(best.state)
        result.best_epoch, result.best_score = best.epoch, best.score
    return result


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
