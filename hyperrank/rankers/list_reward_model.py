"""Rewards by a transformer that sees a list as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hyperrank.assigned import MixedRows
from hyperrank.files import storable
from hyperrank.lists import QueryLists
from hyperrank.networks import ListTransformer
from hyperrank.rankers.reward_model import RewardModel
from hyperrank.rankers.tiles import in_tiles

__all__ = ["ListRewardModel"]

#: Rows, about, that are scored at a time where weights differ within a list.
ROWS_AT_ONCE = 8192


@storable
class ListRewardModel(RewardModel):
    """Rewards of documents under any weights, each list seen as a whole.

    Parameters and attributes are those of `RewardModel`, with a `ListTransformer` for a network. Where each
    document is a list of its own, scores are the same to the bit in any company; elsewhere up to rounding.
    """

    network_kind = ListTransformer
    network: ListTransformer

    @property
    def knows_lists(self) -> bool:
        """Whether the score of a document depends on the others of its list."""
        return self.query_standardize or not self.network.alone

    def scores(self, features: Tensor, lists: QueryLists, weights: Tensor, n_threads: int = 1) -> Tensor:
        """Network scores of shape (n, k) for what the network sees, one trade-off after the other."""
        self.network.eval()
        at = weights.to(self.device, torch.float32)
        if self.network.alone:
            under = (partial(self.network, weights=w[None]) for w in at)
            return torch.cat([in_tiles(function, features, n_threads) for function in under], dim=1)
        index = torch.from_numpy(lists.index).to(self.device)
        with torch.no_grad():
            return torch.cat([self.network(features, w[None], index) for w in at], dim=1)

    def scores_by_row(
        self, features: Tensor, lists: QueryLists, mixes: MixedRows, n_threads: int = 1
    ) -> Tensor:
        """Network scores of shape (n,), each row under its own weights."""
        self.network.eval()
        if self.network.alone:
            return self._alone_by_row(features, mixes, n_threads)
        out = features.new_empty(len(features))
        distinct = mixes.distinct
        for rows, of_list, own, numbers in _asked(lists, distinct.index):
            weights = torch.from_numpy(distinct.mixes[numbers]).to(self.device, torch.float32)
            index = torch.from_numpy(of_list).to(self.device)
            with torch.no_grad():
                scores = self.network(features[torch.from_numpy(rows)], weights[:, None], index)[:, 0]
            out[torch.from_numpy(rows[own])] = scores[torch.from_numpy(own)]
        return out

    def _alone_by_row(self, features: Tensor, mixes: MixedRows, n_threads: int) -> Tensor:
        weights = torch.from_numpy(mixes.by_row).to(self.device, torch.float32)
        d = features.shape[1]

        def score(tile: Tensor) -> Tensor:
            each = torch.arange(len(tile), device=tile.device)
            return self.network(tile[:, :d].contiguous(), tile[:, None, d:], each)[:, 0]

        return in_tiles(score, torch.cat([features, weights], dim=1), n_threads)


def _asked(
    lists: QueryLists, mix_of_row: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_], NDArray[np.int64]]]:
    """Lists with the weights that some of their rows have, a bounded number of rows at a time.

    Yields the rows, the number of each row's list among these, whether its score is asked for (since the
    weights are its own), and for each of the lists the number of its weights.
    """
    n_mixes = int(mix_of_row.max(initial=0)) + 1
    pairs = np.unique(lists.index * n_mixes + mix_of_row)
    which, numbers = pairs // n_mixes, pairs % n_mixes
    ends = np.cumsum(lists.sizes[which])
    for part in np.split(np.arange(len(pairs)), np.flatnonzero(np.diff(ends // ROWS_AT_ONCE)) + 1):
        rows, some = lists.take(which[part])
        own = mix_of_row[rows] == numbers[part][some.index]
        yield rows, some.index, own, numbers[part]
