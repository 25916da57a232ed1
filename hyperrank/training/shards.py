"""Lists dealt out to processes, and one process's share of all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from hyperrank.lists import QueryLists
from hyperrank.losses import ListLoss
from hyperrank.training.anchor import Anchor
from hyperrank.training.data import Batch, ListTensors

__all__ = ["EmptyShare", "ShareOfLists", "dealt"]


def dealt(sizes: NDArray[np.int64], n_hands: int) -> list[NDArray[np.int64]]:
    """Deal lists out by falling size, there and back again: as many lists of each size to every hand.

    Batches are drawn at random from all lists. That each hand has its part of the long ones and of the short
    ones, and not only as many documents in all, is what makes their parts of a batch alike.

    Parameters
    ----------
    sizes : ndarray of shape (q,), int64
        Documents per list.
    n_hands : int

    Returns
    -------
    list of ndarray of int64
        Rising numbers of the lists of each hand; together they are all.

    Examples
    --------
    >>> [hand.tolist() for hand in dealt(np.array([9, 8, 7, 1, 1]), 2)]
    [[0, 3, 4], [1, 2]]
    """
    order = np.argsort(-sizes, kind="stable")
    place = np.arange(len(sizes)) % (2 * n_hands)
    hand = np.minimum(place, 2 * n_hands - 1 - place)
    return [np.sort(order[hand == number]).astype(np.int64) for number in range(n_hands)]


class ShareOfLists:
    """The lists of one process, in the place of all that several train on.

    Parameters
    ----------
    own : ListTensors
        The process's own lists.
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
        own: ListTensors,
        numbers: NDArray[np.int64],
        lists: QueryLists,
        *,
        n_processes: int,
        mean_weight: float = 1.0,
    ) -> None:
        self.own, self.lists = own, lists
        self.n_processes, self.mean_weight = n_processes, mean_weight
        self.place = np.full(lists.n_lists, -1, dtype=np.int64)
        self.place[numbers] = np.arange(len(numbers))

    @property
    def labels(self) -> Tensor:
        """Labels of the own lists."""
        return self.own.labels

    @property
    def anchor(self) -> Anchor | None:
        """The reference of the own lists."""
        return self.own.anchor

    def prepare(self, loss: ListLoss) -> None:
        """Make once what a loss needs of the labels."""
        self.own.prepare(loss)

    def batch(self, which: NDArray[np.int64]) -> Batch:
        """The own ones of the lists numbered `which`.

        Their share is such that the mean of the processes' gradients is the gradient of the whole batch.
        """
        numbers = self.place[which]
        places = np.flatnonzero(numbers >= 0)
        batch = self.own.batch(numbers[places])
        total = len(places) if batch.query_weight is None else batch.query_weight.sum()
        share = self.n_processes * total / (len(which) * self.mean_weight)
        return replace(batch, share=share, places=places)


class EmptyShare(nn.Module):
    """A network that takes part in a step without any document: its scores are none, its gradient 0.

    Parameters
    ----------
    network : Module
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, features: Tensor, weights: Tensor, index: Tensor) -> Tensor:
        """Scores of shape (n, k), which depend on all parameters even where n is 0."""
        if len(features):
            scores: Tensor = self.network(features, weights, index)
            return scores
        touched = sum(p.sum() for p in self.network.parameters() if p.requires_grad)
        return features.new_zeros(0, weights.shape[1]) * touched
