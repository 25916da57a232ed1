"""Reductions and scans over the segments of a flat tensor; nothing is padded.

A segment is the run ``offsets[q]:offsets[q + 1]`` of the rows. All functions take rows of shape
(n, ...) and are differentiable.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["reverse_logcumsumexp", "segment_index", "segment_logsumexp", "segment_sum"]


def segment_index(offsets: Tensor) -> Tensor:
    """For each row the number of its segment, shape (n,)."""
    numbers = torch.arange(len(offsets) - 1, device=offsets.device)
    return torch.repeat_interleave(numbers, offsets.diff())


def segment_sum(rows: Tensor, offsets: Tensor) -> Tensor:
    """Sum of each segment, shape (q, ...); an empty segment sums to 0."""
    return torch.segment_reduce(rows, "sum", offsets=offsets, axis=0, initial=0)


def segment_logsumexp(rows: Tensor, offsets: Tensor, index: Tensor | None = None) -> Tensor:
    """Log of the summed exponentials of each segment, shape (q, ...); -inf for an empty segment.

    `index` is ``segment_index(offsets)`` where the caller has it already.
    """
    index = segment_index(offsets) if index is None else index
    with torch.no_grad():
        top = torch.segment_reduce(rows, "max", offsets=offsets, axis=0)
        # An empty segment has no maximum; 0 keeps its -inf out of the arithmetic below.
        top = torch.where(torch.isfinite(top), top, torch.zeros_like(top))
    return top + segment_sum(torch.exp(rows - top[index]), offsets).log()


def reverse_logcumsumexp(rows: Tensor, offsets: Tensor) -> Tensor:
    """For each row the log of the summed exponentials from it to the end of its segment, shape (n, ...).

    The scan doubles its reach in each pass, so a segment of length L costs log2(L) passes, and every
    sum is taken in log space: tails far below the segment's maximum keep full relative precision.
    """
    result: Tensor = _ReverseLogCumSumExp.apply(rows, offsets)
    return result


class _ReverseLogCumSumExp(torch.autograd.Function):
    """The scan with its own gradient, so that no pass has to be kept for the backward."""

    @staticmethod
    def forward(ctx, rows: Tensor, offsets: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        """c_i = log sum_{l >= i} exp(r_l)."""
        index = segment_index(offsets)
        tails = _scan(rows, offsets[1:][index], reverse=True, offsets=offsets)
        ctx.save_for_backward(rows, tails, offsets, index)
        return tails

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:  # type: ignore[no-untyped-def]
        """dr_l = exp(r_l) sum_{i <= l} g_i exp(-c_i), for each sign of g apart so that logs exist."""
        rows, tails, offsets, index = ctx.saved_tensors
        starts = offsets[:-1][index]
        total = torch.zeros_like(rows)
        for sign in (1.0, -1.0):
            part = (sign * grad).clamp_min(0)
            if part.any():
                heads = _scan(part.log() - tails, starts, reverse=False, offsets=offsets)
                total += sign * torch.exp(rows + heads)
        return total, None


def _scan(rows: Tensor, bounds: Tensor, *, reverse: bool, offsets: Tensor) -> Tensor:
    """Inclusive log-sum-exp scan within segments; `bounds` is each row's end (reverse) or start."""
    out = rows.clone()
    n = len(rows)
    longest = int(offsets.diff().max()) if len(offsets) > 1 else 0
    position = torch.arange(n, device=rows.device)
    reach = 1
    while reach < longest:
        if reverse:
            here, there = slice(0, n - reach), slice(reach, n)
            inside = position[here] + reach < bounds[here]
        else:
            here, there = slice(reach, n), slice(0, n - reach)
            inside = position[here] - reach >= bounds[here]
        inside = inside.view(-1, *[1] * (rows.ndim - 1))
        joined = torch.logaddexp(out[here], out[there])
        out[here] = torch.where(inside, joined, out[here])
        reach *= 2
    return out
