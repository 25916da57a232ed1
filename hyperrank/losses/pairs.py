"""Losses of pairs of documents: blocks of lists, blocks of pairs, and the slope made beside the value."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from hyperrank.losses.blocks import size_blocks
from hyperrank.losses.segments import segment_index

__all__ = ["BlockLoss", "anchor_chunks", "list_values", "observed_rows"]

#: Pairs looked at together, over lists and draws: what is made of them stays within tens of MiB.
CHUNK_PAIRS = 2**20

#: ``(scores (b, k, L), labels (b, L), is_row (b, L)) -> values (b, k), slopes (b, k, L)``.
BlockLoss = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


def observed_rows(labels: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
    """Rows with a label, and the offsets of the lists that they make.

    Parameters
    ----------
    labels : Tensor of shape (n,)
        Labels; NaN where unobserved.
    offsets : Tensor of shape (q + 1,), int64
        Where each list begins, and the end of the last.

    Examples
    --------
    >>> import torch
    >>> observed_rows(torch.tensor([1.0, torch.nan, 0.0]), torch.tensor([0, 2, 3]))
    (tensor([0, 2]), tensor([0, 1, 2]))
    """
    known = ~torch.isnan(labels)
    before = torch.cat([offsets.new_zeros(1), known.cumsum(0)])
    return known.nonzero()[:, 0], before[offsets]


def list_values(scores: Tensor, labels: Tensor, offsets: Tensor, of_block: BlockLoss) -> Tensor:
    """Values of lists, shape (q, k), with a gradient that is made in the same pass.

    Parameters
    ----------
    scores : Tensor of shape (n, k)
    labels : Tensor of shape (n,)
        Labels, or gains, without NaN.
    offsets : Tensor of shape (q + 1,), int64
    of_block : callable
        The loss of lists side by side; see `BlockLoss`. Places that only fill up are to be ignored.
    """
    values: Tensor = _ListValues.apply(scores, labels, offsets, of_block)
    return values


class _ListValues(torch.autograd.Function):
    """One value for each list and draw; slopes are kept, nothing of the pairs is."""

    @staticmethod
    def forward(  # type: ignore[no-untyped-def]
        ctx, scores: Tensor, labels: Tensor, offsets: Tensor, of_block: BlockLoss
    ) -> Tensor:
        """Values of shape (q, k)."""
        device = scores.device
        values = scores.new_zeros(len(offsets) - 1, scores.shape[1])
        slopes = torch.zeros_like(scores)
        for block in size_blocks(offsets.cpu().numpy(), scores.shape[1]):
            rows, is_row = (torch.from_numpy(part).to(device) for part in (block.rows, block.is_row))
            value, slope = of_block(scores[rows].transpose(1, 2).contiguous(), labels[rows], is_row)
            values[torch.from_numpy(block.lists).to(device)] = value
            slopes[rows[is_row]] = slope.transpose(1, 2)[is_row]
        ctx.save_for_backward(slopes, offsets)
        return values

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[no-untyped-def]
        """Each list's slopes times what comes in for it."""
        slopes, offsets = ctx.saved_tensors
        return slopes * grad[segment_index(offsets)], None, None, None


def anchor_chunks(scores: Tensor, n_anchors: int) -> Iterator[slice]:
    """Runs of anchors whose pairs with all documents fit a chunk, for scores of shape (b, k, L)."""
    step = max(1, CHUNK_PAIRS // max(1, scores.numel()))
    for first in range(0, n_anchors, step):
        yield slice(first, min(first + step, n_anchors))
