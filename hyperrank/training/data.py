"""Query lists as tensors, and batches of whole lists."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hyperrank.lists import QueryLists
from hyperrank.losses import ListLoss, prepare
from hyperrank.losses.fused import Prepared

#: What a network sees of some grouped rows, which make whole lists: made when it is asked for.
FeaturesOf = Callable[[NDArray[np.int64], QueryLists], Tensor]


@dataclass(frozen=True)
class Margin:
    """What is subtracted from rewards before a loss, and the weight that the rest is divided by."""

    values: Tensor  # (n,)
    weight: float

    def take(self, rows: Tensor) -> Margin:
        """The margin of some documents."""
        return Margin(self.values[rows], self.weight)


@dataclass(frozen=True)
class ReferenceLogits:
    """Reference scores of the training rows in units of reward, and the temperatures to train at."""

    scores: Tensor  # (n, m), or (n, 1) where weights do not mix them
    low: float
    high: float

    def take(self, rows: Tensor) -> ReferenceLogits:
        """Those of some documents."""
        return ReferenceLogits(self.scores[rows], self.low, self.high)

    def draw_temperatures(self, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float64]:
        """Temperatures, uniform on a log scale."""
        return np.exp(rng.uniform(np.log(self.low), np.log(self.high), shape))

    def condition(self, weights: Tensor, temperatures: Tensor) -> Tensor:
        """What conditions the network: weights of shape (q, k, m), and the place of each temperature."""
        place = 2 * torch.log(temperatures / self.low) / np.log(self.high / self.low) - 1
        return torch.cat([weights, place[..., None]], dim=-1)

    def at(self, weights: Tensor, temperatures: Tensor, index: Tensor) -> Tensor:
        """What rewards are added to at the weights and temperature of each draw, shape (n, k)."""
        is_one = self.scores.shape[1] == 1
        mixed = self.scores if is_one else (self.scores[:, None] * weights.index_select(0, index)).sum(dim=-1)
        return mixed / temperatures.index_select(0, index)


@dataclass(frozen=True)
class Batch:
    """Some whole lists: q of them with n documents, d features and m objectives."""

    features: Tensor  # (n, d)
    labels: Tensor  # (n, m)
    offsets: Tensor  # (q + 1,)
    index: Tensor  # (n,), the list of each document
    query_weight: Tensor | None  # (q,)
    share: float | Tensor = 1.0  # mean query weight over that of all lists
    margin: Margin | None = None
    reference_logits: ReferenceLogits | None = None
    prepared: Prepared | None = None  # what a loss with a fused form needs of the labels
    places: NDArray[np.int64] | None = None  # of a shard's lists in the batch of all processes


@dataclass(eq=False)
class ListTensors:
    """All lists of a data set on one device; features may be made when a batch asks for them."""

    features: Tensor | FeaturesOf  # (n, d)
    labels: Tensor  # (n, m)
    lists: QueryLists  # which may group the documents further
    query_weight: Tensor | None = None  # (q,)
    margin: Margin | None = None
    reference_logits: ReferenceLogits | None = None
    prepared: Prepared | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        if self.query_weight is not None:
            tiny = torch.finfo(self.query_weight.dtype).tiny
            self.mean_weight = self.query_weight.mean().clamp_min(tiny)

    def prepare(self, loss: ListLoss) -> None:
        """Make once, for all batches from now on, what a loss needs of the labels."""
        offsets = torch.from_numpy(self.lists.offsets).to(self.labels.device)
        moved = self.lists.moved
        self.prepared = prepare(loss, self.labels if moved is None else self.labels[moved], offsets)

    def batch(self, which: NDArray[np.int64]) -> Batch:
        """The lists numbered `which`."""
        rows, lists = self.lists.take(which)
        device = self.labels.device
        grouped = torch.from_numpy(rows).to(device)
        if self.lists.moved is not None:
            rows = self.lists.moved[rows]
        at = torch.from_numpy(rows).to(device)
        numbers = torch.from_numpy(which).to(device)
        weight = None if self.query_weight is None else self.query_weight[numbers]
        return Batch(
            features=self.features[at] if isinstance(self.features, Tensor) else self.features(rows, lists),
            labels=self.labels[at],
            offsets=torch.from_numpy(lists.offsets).to(device),
            index=torch.from_numpy(lists.index).to(device),
            query_weight=weight,
            share=1.0 if weight is None else weight.mean() / self.mean_weight,
            margin=None if self.margin is None else self.margin.take(at),
            reference_logits=None if self.reference_logits is None else self.reference_logits.take(at),
            prepared=None if self.prepared is None else self.prepared.take(grouped, numbers),
        )


@dataclass(eq=False)
class ShardedLists:
    """The lists of one process, in the place of all that several train on."""

    local: ListTensors
    numbers: NDArray[np.int64]  # of the local lists among all
    lists: QueryLists
    n_processes: int
    mean_weight: float = 1.0  # of all lists

    def __post_init__(self) -> None:
        self.place = np.full(self.lists.n_lists, -1, dtype=np.int64)
        self.place[self.numbers] = np.arange(len(self.numbers))

    @property
    def labels(self) -> Tensor:
        """Labels of the shard."""
        return self.local.labels

    @property
    def reference_logits(self) -> ReferenceLogits | None:
        """Those of the shard."""
        return self.local.reference_logits

    def prepare(self, loss: ListLoss) -> None:
        """Make once what a loss needs of the labels."""
        self.local.prepare(loss)

    def batch(self, which: NDArray[np.int64]) -> Batch:
        """Those of the lists numbered `which` that are in the shard.

        Their share is such that the mean of the processes' gradients is the gradient of the whole batch.
        """
        numbers = self.place[which]
        places = np.flatnonzero(numbers >= 0)
        batch = self.local.batch(numbers[places])
        total = len(places) if batch.query_weight is None else batch.query_weight.sum()
        share = self.n_processes * total / (len(which) * self.mean_weight)
        return replace(batch, share=share, places=places)


class EmptyShards(nn.Module):
    """A network that takes part in a step without any document: its scores are none, its gradient 0."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, features: Tensor, weights: Tensor, index: Tensor | None) -> Tensor:
        """Scores of shape (n, k), which depend on all parameters even where n is 0."""
        if len(features):
            scores: Tensor = self.network(features, weights, index)
            return scores
        touched = sum(p.sum() for p in self.network.parameters() if p.requires_grad)
        return features.new_zeros(0, weights.shape[1]) * touched


def shards(sizes: NDArray[np.int64], n_shards: int) -> list[NDArray[np.int64]]:
    """Numbers of the lists of each shard, which gets as many lists of each size as the others.

    They are assigned by falling size, there and back again: shards' parts of random batches are alike.
    """
    order = np.argsort(-sizes, kind="stable")
    place = np.arange(len(sizes)) % (2 * n_shards)
    shard = np.minimum(place, 2 * n_shards - 1 - place)
    return [np.sort(order[shard == number]).astype(np.int64) for number in range(n_shards)]


def document_batches(
    sizes: NDArray[np.int64], batch_docs: int, rng: np.random.Generator
) -> Iterator[NDArray[np.int64]]:
    """Shuffle lists and cut them into batches of about `batch_docs` documents; longer lists are alone."""
    order = rng.permutation(len(sizes)).astype(np.int64)
    is_long = sizes[order] > batch_docs
    batches = _cut(order[~is_long], sizes, batch_docs)
    if not is_long.any():
        yield from batches
        return
    batches += [order[at : at + 1] for at in np.flatnonzero(is_long)]
    yield from (batches[at] for at in rng.permutation(len(batches)))


def _cut(order: NDArray[np.int64], sizes: NDArray[np.int64], batch_docs: int) -> list[NDArray[np.int64]]:
    """Batches of nearly equal size: a small rest would be a step with a noisy gradient."""
    ends = np.cumsum(sizes[order])
    total = int(ends[-1]) if len(ends) else 0
    n_batches = max(1, round(total / batch_docs))
    bounds = np.searchsorted(ends, np.arange(1, n_batches) * (total / n_batches))
    return [part for part in np.split(order, np.unique(bounds + 1)) if len(part)]
