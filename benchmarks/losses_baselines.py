"""Losses of several objectives from hyperrank and other libraries, and their peak memory."""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.machine import current_memory_bytes, peak_memory_bytes, reset_peak_memory
from benchmarks.peers_data import GRADE_SHARES, mslr_like_sizes, padded, peer
from hyperrank.losses import (
    listnet,
    pairwise_logistic,
    plackett_luce,
    prepare,
    target_distribution,
    weighted_loss,
)

__all__ = ["MAKERS", "Baseline", "Data", "make_data", "peak_apart"]

#: Lists in a batch where slates are padded by batch, as in training.
BATCH_LISTS = 32
#: Lists that losses of all pairs are given: those of peers want the square of the longest for each.
FEW_LISTS = 32

OURS = {"ListNet": listnet, "Plackett-Luce": plackett_luce, "pairwise logistic": pairwise_logistic}


@dataclass(frozen=True)
class Data:
    """Flat scores (n,), labels (n, m), weights (q, m) and list sizes (q,), and where they are to be used."""

    scores: NDArray[np.float32]
    labels: NDArray[np.float32]
    weights: NDArray[np.float32]
    sizes: NDArray[np.int64]
    device: str = "cpu"

    def first(self, n_lists: int) -> Data:
        """The first lists alone."""
        n = int(self.sizes[:n_lists].sum())
        return Data(
            self.scores[:n], self.labels[:n], self.weights[:n_lists], self.sizes[:n_lists], self.device
        )

    def batches(self, n_lists: int | None) -> Iterator[Data]:
        """All lists, so many at a time."""
        step = n_lists or len(self.sizes)
        ends = np.concatenate([[0], np.cumsum(self.sizes)])
        for first in range(0, len(self.sizes), step):
            last = min(first + step, len(self.sizes))
            rows = slice(int(ends[first]), int(ends[last]))
            some = slice(first, last)
            yield Data(
                self.scores[rows], self.labels[rows], self.weights[some], self.sizes[some], self.device
            )


@dataclass(frozen=True)
class Baseline:
    """One way to compute a loss and its gradient.

    Attributes
    ----------
    name, loss, note : str
    documents : int
        Documents that one call goes over.
    run : callable
        One call, forward and backward; gives the value.
    """

    name: str
    loss: str
    documents: int
    run: Callable[[], Any]
    note: str


def make_data(documents: int, objectives: int, *, device: str = "cpu", seed: int = 0) -> Data:
    """Lists and grades as in MSLR-WEB10K, weights that differ from list to list."""
    rng = np.random.default_rng(seed)
    sizes = mslr_like_sizes(documents, rng)
    labels = rng.choice(len(GRADE_SHARES), size=(documents, objectives), p=GRADE_SHARES)
    scores = rng.standard_normal(documents, dtype=np.float32)
    weights = rng.dirichlet(np.ones(objectives), size=len(sizes))
    return Data(scores, labels.astype(np.float32), weights.astype(np.float32), sizes, device)


def ours(loss: str, data: Data, *, ready: bool = True) -> Baseline:
    """hyperrank.losses.weighted_loss on flat tensors."""
    data = data.first(FEW_LISTS) if loss == "pairwise logistic" else data
    device = torch.device(data.device)
    offsets = torch.from_numpy(np.concatenate([[0], np.cumsum(data.sizes)])).to(device)
    labels = torch.from_numpy(data.labels).to(device)
    weights = torch.from_numpy(data.weights).to(device)[:, None]
    rewards = torch.from_numpy(data.scores).to(device)[:, None].requires_grad_()
    function: Any = OURS[loss]
    prepared = prepare(function, labels, offsets) if ready else None

    def run() -> float:
        rewards.grad = None
        value = weighted_loss(rewards, labels, offsets, weights, loss=function, prepared=prepared)
        value.backward()
        return float(value.detach())

    how = "targets made once, as in training" if ready else "targets made in every call"
    note = "no padding" if loss == "pairwise logistic" else f"no padding; {how}"
    name = "hyperrank" if ready else "hyperrank, nothing prepared"
    return Baseline(name, loss, len(data.labels), run, note)


def _slates(data: Data, n_lists: int | None) -> list[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Scores, labels (-1 where padded), mask and weights of slates, each batch padded to its longest."""
    made = []
    for part in data.batches(n_lists):
        scores = torch.from_numpy(padded(part.scores, part.sizes, 0.0)).to(data.device).requires_grad_()
        labels = torch.from_numpy(padded(part.labels, part.sizes, -1.0)).to(data.device)
        weights = torch.from_numpy(part.weights).to(data.device)
        made.append((scores, labels, labels[:, :, 0] >= 0, weights))
    return made


def _over(slates: list[Any], step: Callable[..., Tensor], n_lists: int) -> Callable[[], float]:
    def run() -> float:
        total = 0.0
        for scores, *rest in slates:
            scores.grad = None
            value = step(scores, *rest) / n_lists
            value.backward()
            total += float(value.detach())
        return total

    return run


def _padded_listnet(scores: Tensor, target: Tensor, mask: Tensor, weights: Tensor) -> Tensor:
    logs = scores.masked_fill(~mask, -1e9).log_softmax(dim=1)
    return -(weights * (target * logs[:, :, None]).sum(dim=1)).sum()


def _padded_plackett_luce(scores: Tensor, labels: Tensor, mask: Tensor, weights: Tensor) -> Tensor:
    total = scores.new_zeros(())
    for j in range(labels.shape[2]):
        order = (labels[:, :, j] + torch.rand_like(scores)).argsort(dim=1, descending=True)
        ranked = scores.masked_fill(~mask, -torch.inf).gather(1, order)
        counts = mask.gather(1, order)
        shifted = ranked - ranked.amax(dim=1, keepdim=True).detach()
        left = shifted.exp().flip(1).cumsum(dim=1).flip(1)
        terms = torch.where(counts, left.clamp_min(1e-30).log() - shifted.where(counts, 0), 0)
        total = total + (weights[:, j] * terms.sum(dim=1)).sum()
    return total


def padded_torch(loss: str, by_batch: bool, data: Data) -> Baseline:
    """Slates and masks, in the few lines that one would write."""
    n_lists = BATCH_LISTS if by_batch else None
    slates = _slates(data, n_lists)
    if loss == "ListNet":
        slates = [(s, _padded_targets(z, m), m, w) for s, z, m, w in slates]
    step = _padded_listnet if loss == "ListNet" else _padded_plackett_luce
    longest = f"the longest of {BATCH_LISTS} lists" if by_batch else f"the longest, {data.sizes.max()}"
    name = "padded torch, by batch" if by_batch else "padded torch"
    return Baseline(
        name, loss, len(data.labels), _over(slates, step, len(data.sizes)), f"padded to {longest}, beforehand"
    )


def _padded_targets(labels: Tensor, mask: Tensor) -> Tensor:
    flat = labels.clamp_min(0).reshape(-1, labels.shape[2])
    offsets = torch.arange(0, len(flat) + 1, labels.shape[1], device=labels.device)
    return target_distribution(flat, offsets).view_as(labels) * mask[:, :, None]


def allrank(loss: str, by_batch: bool, data: Data) -> Baseline:
    """Its listNet and listMLE, one objective after the other."""
    losses = peer("allrank.models.losses", "allRank")
    function = losses.listNet if loss == "ListNet" else losses.listMLE

    def step(scores: Tensor, labels: Tensor, _: Tensor, weights: Tensor) -> Tensor:
        # It gives the mean over lists alone, so weights are those of the batch.
        each = [function(scores, labels[:, :, j]) * weights[:, j].sum() for j in range(labels.shape[2])]
        return torch.stack(each).sum()

    slates = _slates(data, BATCH_LISTS if by_batch else None)
    name = "allRank, by batch" if by_batch else "allRank"
    note = "padded beforehand; softmax of labels as targets" if loss == "ListNet" else "padded beforehand"
    return Baseline(name, loss, len(data.labels), _over(slates, step, len(data.sizes)), note)


def pytorchltr(data: Data) -> Baseline:
    """Its pairwise logistic loss; it has no listwise one."""
    criterion = peer("pytorchltr.loss", "pytorchltr").PairwiseLogisticLoss()
    few = data.first(FEW_LISTS)
    ((scores, labels, _, weights),) = _slates(few, None)
    sizes = torch.from_numpy(few.sizes).to(data.device)
    whole = labels.clamp_min(0).long()

    def step(scores: Tensor, weights: Tensor) -> Tensor:
        each = [weights[:, j] * criterion(scores, whole[:, :, j], sizes) for j in range(whole.shape[2])]
        return torch.stack(each).sum()

    run = _over([(scores, weights)], step, len(few.sizes))
    return Baseline(
        "pytorchltr", "pairwise logistic", len(few.labels), run, f"{FEW_LISTS} lists alone; a sum"
    )


def rax(loss: str, by_batch: bool, data: Data) -> Baseline:
    """Compiled by JAX, on its CPU backend."""
    library, jax = peer("rax", "rax"), peer("jax", "jax")
    jnp = jax.numpy
    slates = []
    for part in data.batches(BATCH_LISTS if by_batch else None):
        longest = int(part.sizes.max())
        # One shape for all batches, or each would be compiled anew.
        width = -(-longest // 100) * 100 if by_batch else longest
        labels = np.pad(padded(part.labels, part.sizes, 0.0), ((0, 0), (0, width - longest), (0, 0)))
        scores = np.pad(padded(part.scores, part.sizes, 0.0), ((0, 0), (0, width - longest)))
        mask = np.arange(width) < part.sizes[:, None]
        gains = 2**labels - 1
        totals = np.maximum(gains.sum(axis=1, keepdims=True), 1e-9)
        aims = gains / totals if loss == "ListNet" else labels
        slates.append(tuple(map(jnp.asarray, (scores, aims, mask, part.weights))))
    function = library.softmax_loss if loss == "ListNet" else library.listmle_loss

    def value(scores: Any, aims: Any, mask: Any, weights: Any) -> Any:
        each = [
            weights[:, j] * function(scores, aims[:, :, j], where=mask, reduce_fn=None)
            for j in range(aims.shape[2])
        ]
        return sum(each).sum()

    compiled = jax.jit(jax.value_and_grad(value))

    def run() -> float:
        total = 0.0
        for slate in slates:
            found, gradient = compiled(*slate)
            gradient.block_until_ready()
            total += float(found)
        return total / len(data.sizes)

    name = "rax, by batch" if by_batch else "rax"
    return Baseline(name, loss, len(data.labels), run, "JAX on the CPU, compiled and padded beforehand")


def _makers() -> Iterator[Callable[[Data], Baseline]]:
    for loss in ("ListNet", "Plackett-Luce"):
        yield partial(ours, loss)
        yield partial(ours, loss, ready=False)
        for baseline in (padded_torch, allrank, rax):
            for by_batch in (False, True):
                yield partial(baseline, loss, by_batch)
    yield partial(ours, "pairwise logistic")
    yield pytorchltr


MAKERS: tuple[Callable[[Data], Baseline], ...] = tuple(_makers())


#: Documents of the first call, which loads and compiles what each process needs.
FEW_DOCUMENTS = 1000


def peak_apart(maker: int, documents: int, objectives: int, device: str, seed: int) -> float:
    """Bytes of the maker of that number, from flat data to gradients, above what was there before."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.losses_baselines"])
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_peak, maker, documents, objectives, device, seed).result()


def _peak(maker: int, documents: int, objectives: int, device: str, seed: int) -> float:
    torch.set_num_threads(1)
    MAKERS[maker](make_data(min(documents, FEW_DOCUMENTS), objectives, device=device, seed=seed)).run()
    data = make_data(documents, objectives, device=device, seed=seed)
    gc.collect()
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        MAKERS[maker](data).run()
        return float(torch.cuda.max_memory_allocated() - before)
    # Freed memory goes back to the system, so that the peak counts every allocation.
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    reset_peak_memory()
    before = current_memory_bytes()
    MAKERS[maker](data).run()
    return float(max(0, peak_memory_bytes() - before))
