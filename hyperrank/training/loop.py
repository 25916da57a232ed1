"""The one training loop: every network, conditioned or not, is trained here."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hyperrank.losses import ListLoss, margin_reward, tempered_loss, weighted_loss
from hyperrank.simplex import dirichlet_weights
from hyperrank.training.data import Batch, ListTensors, document_batches
from hyperrank.training.progress import TrainingProgress
from hyperrank.training.schedule import warmup_cosine
from hyperrank.training.settings import TrainingSettings
from hyperrank.training.states import BestState, RunningAverage

__all__ = ["TrainingResult", "train"]

#: Steps in a row whose loss may be NaN or infinite before training gives up.
MAX_BAD_STEPS = 10


@dataclass
class TrainingResult:
    """What a run did.

    Attributes
    ----------
    history : list of dict
        One entry per epoch: ``epoch``, ``loss``, ``seconds``, and ``score`` where evaluated.
    best_epoch : int
        The epoch whose parameters the network holds now.
    best_score : float
        Its validation score; NaN without validation.
    """

    history: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    best_score: float = math.nan


def train(
    network: nn.Module,
    data: ListTensors,
    *,
    loss: ListLoss,
    settings: TrainingSettings,
    rng: np.random.Generator,
    scale: Tensor | None = None,
    draw_weights: Callable[[int], np.ndarray] | None = None,
    evaluate: Callable[[nn.Module], float] | None = None,
    progress: TrainingProgress | None = None,
) -> TrainingResult:
    """Train a network on query lists in place.

    Parameters
    ----------
    network : Module
        ``network(features, weights, index) -> scores of shape (n, k)``, read as rewards.
    data : ListTensors
        The training lists.
    loss : callable
        A listwise loss such as `hyperrank.losses.listnet`.
    settings : TrainingSettings
        Epochs, batches, optimiser, weights, stopping.
    rng : numpy.random.Generator
        Shuffles lists and draws weights; torch's generator (dropout, tied orders) is the caller's.
    scale : Tensor of shape (m,), optional
        What each objective's loss is divided by.
    draw_weights : callable, optional
        ``n -> weights of shape (n, m)``; by default Dirichlet draws by ``settings.alpha``.
    evaluate : callable, optional
        ``network -> score``, higher is better. The parameters of the best score are restored at the end.
    progress : TrainingProgress, optional
        Shown while training.

    Returns
    -------
    TrainingResult

    Raises
    ------
    FloatingPointError
        If the loss is NaN or infinite in 10 steps in a row.
    """
    progress = progress or TrainingProgress(settings.max_epochs, verbose=0)
    n_objectives = data.labels.shape[1]
    draw = draw_weights or (lambda n: dirichlet_weights(n, n_objectives, alpha=settings.alpha, rng=rng))
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    average = RunningAverage(network, settings.average_decay)
    best = BestState()
    result = TrainingResult()
    data.prepare(loss)
    n_batches = sum(
        1 for _ in document_batches(data.lists.sizes, settings.batch_docs, np.random.default_rng(0))
    )
    steps = _Steps(network, optimiser, loss, settings, scale, n_batches * settings.max_epochs)
    with progress:
        for epoch in range(1, settings.max_epochs + 1):
            started = time.perf_counter()
            network.train()
            losses = []
            for which in document_batches(data.lists.sizes, settings.batch_docs, rng):
                batch = data.batch(which)
                weights = draw(len(which) * settings.n_draws).reshape(len(which), settings.n_draws, -1)
                temperatures = None
                if batch.anchor is not None:
                    drawn = batch.anchor.draw(weights.shape[:2], rng)
                    temperatures = torch.from_numpy(drawn).to(batch.features)
                losses.append(steps.take(batch, torch.from_numpy(weights).to(batch.features), temperatures))
                average.update()
            entry = {"epoch": float(epoch), "loss": float(torch.stack(losses).nanmean())}
            if evaluate is not None and (epoch % settings.eval_every == 0 or epoch == settings.max_epochs):
                with average.applied():
                    network.eval()
                    entry["score"] = evaluate(network)
                    best.offer(entry["score"], epoch, network)
            entry["seconds"] = time.perf_counter() - started
            result.history.append(entry)
            stopped = progress.update(entry)
            if stopped or (settings.patience is not None and best.waited >= settings.patience):
                break
    network.eval()
    if best.state is None:
        average.exchange()
        result.best_epoch = len(result.history)
    else:
        network.load_state_dict(best.state)
        result.best_epoch, result.best_score = best.epoch, best.score
    return result


class _Steps:
    """Optimiser steps: forward, backward, clipping, schedule."""

    def __init__(
        self,
        network: nn.Module,
        optimiser: torch.optim.Optimizer,
        loss: ListLoss,
        settings: TrainingSettings,
        scale: Tensor | None,
        n_steps: int,
    ) -> None:
        self.network, self.optimiser, self.loss, self.settings = network, optimiser, loss, settings
        self.scale, self.n_steps = scale, n_steps
        self.taken = 0
        self.bad = 0

    def take(self, batch: Batch, weights: Tensor, temperatures: Tensor | None = None) -> Tensor:
        """Take one step and return its loss, detached."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.settings.learning_rate * warmup_cosine(self.taken, self.n_steps)
        self.taken += 1
        value = self._loss(batch, weights, temperatures)
        self.optimiser.zero_grad(set_to_none=True)
        (value * batch.share).backward()
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.max_norm)
        if torch.isfinite(norm):
            self.optimiser.step()
            self.bad = 0
        else:
            self._skip()
        return value.detach()

    def _loss(self, batch: Batch, weights: Tensor, temperatures: Tensor | None) -> Tensor:
        shared: dict[str, Any] = {"scale": self.scale, "query_weight": batch.query_weight}
        if batch.anchor is not None and temperatures is not None:
            rewards = self.network(batch.features, batch.anchor.beside(weights, temperatures), batch.index)
            held = batch.anchor.held(weights, temperatures, batch.index)
            return tempered_loss(rewards, held, batch.offsets, weights, prepared=batch.prepared, **shared)
        rewards = self.network(batch.features, weights, batch.index)
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
        if self.bad >= MAX_BAD_STEPS:
            raise FloatingPointError(
                f"the loss was NaN or infinite in {self.bad} steps in a row, at step {self.taken}: "
                "lower learning_rate, or look for extreme labels or features."
            )
