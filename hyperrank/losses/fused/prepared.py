"""Targets and ranks of labels, made once for all steps of a fused loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hyperrank.losses._segments import BLOCK_ELEMENTS, SizeBlock, list_blocks, segment_sum, size_blocks
from hyperrank.losses.base import Loss
from hyperrank.losses.listnet import listnet, target_distribution
from hyperrank.losses.plackett_luce import label_order, plackett_luce, tie_groups


@dataclass(frozen=True)
class ListNetTargets:
    """Target distributions of ListNet: each document's share (n, m) in its list's gain, 0 where unobserved.

    `has_gain` (q, m) is False for lists that teach nothing; `unobserved` (n, m) is None if no label is NaN.
    """

    target: Tensor
    has_gain: Tensor
    unobserved: Tensor | None

    def take(self, rows: Tensor, lists: Tensor) -> ListNetTargets:
        """Those of some lists, with their rows."""
        unobserved = None if self.unobserved is None else self.unobserved[rows]
        return ListNetTargets(self.target[rows], self.has_gain[lists], unobserved)


@dataclass(frozen=True)
class LabelRanks:
    """Ranks of documents by falling label, for Plackett-Luce with random orders of tied documents.

    `rank` (n, m) counts observed documents of the same list with a higher label, all of them for unobserved
    ones; `n_observed` (q, m) those with a label. `generator` draws the orders of the first `top_k` ranks.
    """

    rank: Tensor
    n_observed: Tensor
    top_k: int | None
    generator: torch.Generator | None

    def take(self, rows: Tensor, lists: Tensor) -> LabelRanks:
        """Those of some lists, with their rows."""
        return LabelRanks(self.rank[rows], self.n_observed[lists], self.top_k, self.generator)


Prepared = ListNetTargets | LabelRanks


def prepare(loss: Callable[..., Tensor], labels: Tensor, offsets: Tensor) -> Prepared | None:
    """Prepare labels for the fused form of a loss.

    Parameters
    ----------
    loss : callable
        A loss such as `listnet`, or a `functools.partial` of one with some of its options.
    labels : Tensor of shape (n, m)
        Labels; NaN where unobserved.
    offsets : Tensor of shape (q + 1,), int64
        Where each list begins, and the end of the last.

    Returns
    -------
    ListNetTargets, LabelRanks or None
        None for a loss without a fused form.

    Examples
    --------
    >>> import torch
    >>> from hyperrank.losses import listnet
    >>> prepare(listnet, torch.tensor([[1.0], [2.0], [0.0]]), torch.tensor([0, 3])).target.T
    tensor([[0.2500, 0.7500, 0.0000]])
    """
    function, options = _unbound(loss)
    if function is listnet and set(options) <= {"gain"}:
        return _targets(labels, offsets, options.get("gain", "exp2"))
    if function is plackett_luce and set(options) <= {"top_k", "ties", "generator"}:
        top_k = options.get("top_k")
        if options.get("ties", "random") == "random" and (top_k is None or top_k >= 1):
            rank, n_observed = label_ranks(labels, offsets)
            return LabelRanks(rank, n_observed, top_k, options.get("generator"))
    return None


def _unbound(loss: Callable[..., Tensor]) -> tuple[Callable[..., Tensor], dict[str, Any]]:
    """A loss, and the options that are bound to it by name."""
    if isinstance(loss, Loss):
        return type(loss).function, loss.get_params()
    if isinstance(loss, partial) and not loss.args:
        function, options = _unbound(loss.func)
        return function, {**options, **loss.keywords}
    return loss, {}


def _targets(labels: Tensor, offsets: Tensor, gain: str) -> ListNetTargets:
    unobserved = torch.isnan(labels)
    if labels.device.type == "cpu":
        target = torch.empty_like(labels)
        bounds = offsets.numpy()
        for first, last in list_blocks(bounds, BLOCK_ELEMENTS):
            begin, end = bounds[first], bounds[last]
            target[begin:end] = target_distribution(
                labels[begin:end], offsets[first : last + 1] - offsets[first], gain=gain
            )
    else:
        target = target_distribution(labels, offsets, gain=gain)
    has_gain = segment_sum(target, offsets) > 0.5  # sums are 0 or 1
    return ListNetTargets(target, has_gain, unobserved if bool(unobserved.any()) else None)


def label_ranks(labels: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
    """Rank and number of observed documents, as `LabelRanks` has them."""
    known = ~torch.isnan(labels)
    n_observed = segment_sum(known.to(torch.float64), offsets).to(torch.int32)
    rank = torch.empty(labels.shape, dtype=torch.int32, device=labels.device)
    # Falling labels as rising keys, unobserved ones last.
    keys = torch.where(known, -labels, torch.full_like(labels, torch.inf))
    if labels.device.type == "cpu":
        for block in size_blocks(offsets.numpy()):
            for j in range(labels.shape[1]):
                column = keys[:, j].numpy()[block.rows]
                rank[:, j].numpy()[block.rows[block.is_row]] = _block_ranks(column, block)[block.is_row]
    else:
        for j in range(labels.shape[1]):
            order = label_order(-keys[:, j], offsets)
            groups, _ = tie_groups(keys[order, j], offsets)
            begins = torch.repeat_interleave(groups[:-1], groups.diff())
            starts = torch.repeat_interleave(offsets[:-1], offsets.diff())
            rank[order, j] = (begins - starts).to(torch.int32)
    return rank, n_observed


def _block_ranks(keys: NDArray[np.floating[Any]], block: SizeBlock) -> NDArray[np.int32]:
    """For each key of a row the number of smaller ones in it; repetitions that fill up count as largest."""
    keys[~block.is_row] = np.inf
    order = np.argsort(keys, axis=1)
    rising = np.take_along_axis(keys, order, axis=1)
    begins = np.zeros(keys.shape, dtype=np.int32)
    begins[:, 1:] = np.where(rising[:, 1:] != rising[:, :-1], np.arange(1, keys.shape[1]), 0)
    ranks = np.empty_like(begins)
    np.put_along_axis(ranks, order, np.maximum.accumulate(begins, axis=1), axis=1)
    return ranks
