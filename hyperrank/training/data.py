"""Query lists as tensors, and batches of whole lists."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hyperrank.lists import QueryLists
from hyperrank.losses import ListLoss, Prepared, prepare
from hyperrank.training.temperature import ReferenceLogits

__all__ = [
    "Batch",
    "EmptyShards",
    "FeaturesOf",
    "ListTensors",
    "Margin",
    "ShardedLists",
    "document_batches",
    "shards",
]

#: What a network sees of some grouped rows, which make whole lists: made when it is asked for.
FeaturesOf = Callable[[NDArray[np.int64], QueryLists], Tensor]


@dataclass(frozen=True)
class Margin:
    """What is taken off the rewards before a loss sees them, and what the rest is divided by.

    Attributes
    ----------
    values : Tensor of shape (n,)
        One for each document.
    weight : float
        The weight of the objective that is trained on.
    """

    values: Tensor
    weight: float

    def take(self, rows: Tensor) -> Margin:
        """The margin of some documents."""
        return Margin(self.values[rows], self.weight)


@dataclass(frozen=True)
class Batch:
    """Some whole lists.

    Attributes
    ----------
    features : Tensor of shape (n, d)
    labels : Tensor of shape (n, m)
    offsets : Tensor of shape (q + 1,), int64
    index : Tensor of shape (n,), int64
        The list of each row.
    query_weight : Tensor of shape (q,) or None
    share : float or Tensor of shape ()
        How much the batch counts beside others: its mean query weight over that of all lists.
    margin : Margin or None
    reference_logits : ReferenceLogits or None
    prepared : ListNetTargets, LabelRanks or None
        What a loss with a fused form needs of the labels.
    places : ndarray of int64 or None
        Where the lists of a shard stand in the batch of all processes; None where there are no others.
    """

    features: Tensor
    labels: Tensor
    offsets: Tensor
    index: Tensor
    query_weight: Tensor | None
    share: float | Tensor = 1.0
    margin: Margin | None = None
    reference_logits: ReferenceLogits | None = None
    prepared: Prepared | None = None
    places: NDArray[np.int64] | None = None


class ListTensors:
    """All lists of a data set on one device.

    Parameters
    ----------
    features : Tensor of shape (n, d), or callable
        Transformed features of grouped rows; or what gives those of some rows, where all would be too many.
    labels : Tensor of shape (n, m)
        Labels of grouped rows.
    lists : QueryLists
        The lists of the rows.
    query_weight : Tensor of shape (q,), optional
        How much each list counts.
    margin : Margin, optional
        What the loss sees the rewards less of.
    reference_logits : ReferenceLogits, optional
        For a network that is conditioned on the temperature.
    """

    def __init__(
        self,
        features: Tensor | FeaturesOf,
        labels: Tensor,
        lists: QueryLists,
        query_weight: Tensor | None = None,
        margin: Margin | None = None,
        reference_logits: ReferenceLogits | None = None,
    ) -> None:
        self.features = features
        self.labels = labels
        self.lists = lists
        self.query_weight = query_weight
        self.margin = margin
        self.reference_logits = reference_logits
        self.prepared: Prepared | None = None
        if query_weight is not None:
            self.mean_weight = query_weight.mean().clamp_min(torch.finfo(query_weight.dtype).tiny)

    def prepare(self, loss: ListLoss) -> None:
        """Make once, for all batches from now on, what a loss needs of the labels."""
        offsets = torch.from_numpy(self.lists.offsets).to(self.labels.device)
        self.prepared = prepare(loss, self.labels, offsets)

    def batch(self, which: NDArray[np.int64]) -> Batch:
        """The lists numbered `which`."""
        rows, lists = self.lists.take(which)
        device = self.labels.device
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
            prepared=None if self.prepared is None else self.prepared.take(at, numbers),
        )


class ShardedLists:
    """The lists of one process, in the place of all that several train on.

    Parameters
    ----------
    local : ListTensors
        The lists of the process's shard.
    numbers : ndarray of int64
        What they are numbered among all.
    lists : QueryLists
        All lists.
    n_processes : int
        How many train together.
    mean_weight : float
        Of all lists.
    """

    def __init__(
        self,
        local: ListTensors,
        numbers: NDArray[np.int64],
        lists: QueryLists,
        *,
        n_processes: int,
        mean_weight: float = 1.0,
    ) -> None:
        self.local, self.lists = local, lists
        self.n_processes, self.mean_weight = n_processes, mean_weight
        self.place = np.full(lists.n_lists, -1, dtype=np.int64)
        self.place[numbers] = np.arange(len(numbers))

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

    Lists are assigned by falling size, there and back again. Batches are drawn at random from all lists: that
    each shard has its part of the long ones and of the short ones makes its parts of the batches alike.

    Parameters
    ----------
    sizes : ndarray of shape (q,), int64
        Documents per list.
    n_shards : int

    Returns
    -------
    list of ndarray of int64
        Rising numbers; together they are all.

    Examples
    --------
    >>> [shard.tolist() for shard in shards(np.array([9, 8, 7, 1, 1]), 2)]
    [[0, 3, 4], [1, 2]]
    """
    order = np.argsort(-sizes, kind="stable")
    place = np.arange(len(sizes)) % (2 * n_shards)
    shard = np.minimum(place, 2 * n_shards - 1 - place)
    return [np.sort(order[shard == number]).astype(np.int64) for number in range(n_shards)]


def document_batches(
    sizes: NDArray[np.int64], batch_docs: int, rng: np.random.Generator
) -> Iterator[NDArray[np.int64]]:
    """Shuffle lists and cut them into batches of about `batch_docs` documents.

    A list is never cut: one that is longer than `batch_docs` is a batch of its own.

    Parameters
    ----------
    sizes : ndarray of shape (q,), int64
        Documents per list.
    batch_docs : int
        Documents per batch, about: a batch ends with the list that reaches it.
    rng : numpy.random.Generator
        Shuffles the lists.

    Yields
    ------
    ndarray of int64
        Numbers of the lists in the batch.

    Examples
    --------
    >>> import numpy as np
    >>> batches = document_batches(np.array([3, 3, 3, 3]), 6, np.random.default_rng(0))
    >>> [len(batch) for batch in batches]
    [2, 2]
    """
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
