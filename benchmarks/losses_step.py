"""Time of training: phases of a step, whether a GPU waits for Python, and documents per second of a fit."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

from benchmarks.losses_baselines import make_data
from benchmarks.markdown import markdown_table
from hyperrank import HyperDPORanker, QueryLists
from hyperrank.datasets import make_multilabel_ranking
from hyperrank.losses import listnet, weighted_loss
from hyperrank.networks import ConditionedScorer
from hyperrank.simplex import dirichlet_weights
from hyperrank.training import ListTensors, document_batches

__all__ = ["Fit", "fit_throughput", "step_profile"]

#: As HyperDPORanker has them on large data.
BATCH_DOCS, N_DRAWS, HIDDEN, DROPOUT = 8192, 2, (128, 128), 0.5
PHASES = ("batch", "network", "loss", "backward", "optimiser")
UNTIMED = 3


class _Clock:
    """Seconds by phase; on a GPU each phase waits for what it started."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.seconds: dict[str, list[float]] = {phase: [] for phase in PHASES}

    @contextmanager
    def of(self, phase: str) -> Iterator[None]:
        """Time a phase."""
        self._wait()
        started = time.perf_counter()
        yield
        self._wait()
        self.seconds[phase].append(time.perf_counter() - started)

    def _wait(self) -> None:
        if self.device != "cpu":
            torch.cuda.synchronize()


def step_profile(n_documents: int, device: str, *, n_steps: int = 30, seed: int = 0) -> str:
    """A table of the phases of a step as Markdown, and on a GPU how busy it is when nothing waits.

    Parameters
    ----------
    n_documents : int
        Documents to train on, in lists as long as MSLR's.
    device : str
        "cpu" or "cuda".
    n_steps : int, default 30
        Steps that are timed, after three that are not.
    seed : int
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    made = make_data(n_documents, N_OBJECTIVES, device=device, seed=seed)
    lists = QueryLists.from_sizes(made.sizes)
    # Features as they are and standardised within the list: twice as many inputs.
    features = torch.randn(lists.n_rows, 2 * N_FEATURES, device=device)
    data = ListTensors(features, torch.from_numpy(made.labels).to(device), lists)
    data.prepare(listnet)
    network = ConditionedScorer(2 * N_FEATURES, N_OBJECTIVES, hidden=HIDDEN, dropout=DROPOUT).to(device)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3)
    batches = _batches(lists, rng)
    clock = _Clock(device)
    for step in range(UNTIMED + n_steps):
        if step == UNTIMED:
            clock = _Clock(device)
        _step(data, network, optimiser, next(batches), rng, clock)
    medians = {phase: float(np.median(seconds)) for phase, seconds in clock.seconds.items()}
    total = sum(medians.values())
    rows = [
        {"phase": phase, "milliseconds": f"{1e3 * seconds:.2f}", "share": f"{seconds / total:.1%}"}
        for phase, seconds in medians.items()
    ]
    text = (
        f"A step of the default network on {BATCH_DOCS:,} documents, {2 * N_FEATURES} inputs, {N_OBJECTIVES} "
        f"objectives, {N_DRAWS} draws of weights, {device}, medians of {n_steps}:\n\n"
        f"{markdown_table(rows)}\n\n"
        f"{medians['loss'] / total:.1%} of it in the loss, whose gradient is made there (target: under 10%)."
    )
    if device != "cpu":
        text += "\n" + _busy_share(lambda: _step(data, network, optimiser, next(batches), rng, None), n_steps)
    return text


def _batches(lists: QueryLists, rng: np.random.Generator) -> Iterator[np.ndarray]:
    while True:
        yield from document_batches(lists.sizes, BATCH_DOCS, rng)


def _step(
    data: ListTensors,
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    which: np.ndarray,
    rng: np.random.Generator,
    clock: _Clock | None,
) -> None:
    """One step as the training loop takes it; without a clock nothing waits."""

    def of(phase: str) -> AbstractContextManager[None]:
        return nullcontext() if clock is None else clock.of(phase)

    with of("batch"):
        batch = data.batch(which)
        drawn = dirichlet_weights(len(which) * N_DRAWS, N_OBJECTIVES, alpha=1.0, rng=rng)
        weights = torch.from_numpy(drawn.reshape(len(which), N_DRAWS, -1)).to(batch.features)
    with of("network"):
        rewards = network(batch.features, weights, batch.index)
    with of("loss"):
        value = weighted_loss(
            rewards, batch.labels, batch.offsets, weights, loss=listnet, prepared=batch.prepared
        )
    with of("backward"):
        optimiser.zero_grad(set_to_none=True)
        value.backward()
    with of("optimiser"):
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()


def _busy_share(step: Callable[[], None], n_steps: int) -> str:
    """Share of the time on the wall in which the GPU ran kernels, by torch's profiler."""
    torch.cuda.synchronize()
    started = time.perf_counter()
    with profile(activities=[ProfilerActivity.CUDA]) as profiled:
        for _ in range(n_steps):
            step()
        torch.cuda.synchronize()
    seconds = time.perf_counter() - started
    busy = sum(event.self_device_time_total for event in profiled.key_averages()) / 1e6
    return f"Steps one after the other keep the GPU busy {busy / seconds:.0%} of the time."


N_FEATURES, N_OBJECTIVES = 136, 3
#: The generator draws sizes evenly on a logarithmic scale: these have a mean of 120, as those of MSLR.
LIST_SIZE = (1, 800)


@dataclass(frozen=True)
class Fit:
    """One fit: rows, epochs, seconds on the wall in all and of the epochs, and where."""

    rows: int
    queries: int
    epochs: int
    seconds: float
    training_seconds: float
    device: str

    def sentence(self) -> str:
        """What it says."""
        return (
            f"`HyperDPORanker(reference=None)`, {self.rows:,} generated rows in {self.queries:,} queries, "
            f"{N_FEATURES} features, {N_OBJECTIVES} objectives, 2 draws of weights per query, {self.device}: "
            f"{self.rows * self.epochs / self.training_seconds:,.0f} documents per second in training "
            f"({self.epochs} epochs), {self.rows * self.epochs / self.seconds:,.0f} of the whole fit, "
            "checks and transform included."
        )


def fit_throughput(n_queries: int, epochs: int, device: str) -> Fit:
    """Fit the default network without boosters, which would be most of the time at few epochs."""
    data = make_multilabel_ranking(
        n_queries=n_queries,
        list_size=LIST_SIZE,
        n_features=N_FEATURES,
        n_objectives=N_OBJECTIVES,
        random_state=0,
    )
    ranker = HyperDPORanker(
        reference=None, max_epochs=epochs, early_stopping=False, device=device, n_jobs=1, random_state=0
    )
    started = time.perf_counter()
    ranker.fit(data.X, data.Y, qid=data.qid)
    if device != "cpu":
        torch.cuda.synchronize()
    seconds = time.perf_counter() - started
    training = sum(entry["seconds"] for entry in ranker.history_)
    return Fit(len(data.X), n_queries, epochs, seconds, training, device)
