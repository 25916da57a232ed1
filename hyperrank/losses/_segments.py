"""Reductions and scans over the segments of a flat tensor; nothing is padded.

A segment is the run ``offsets[q]:offsets[q + 1]`` of the rows. All functions take rows of shape
(n, ...) and are differentiable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


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

    The scan doubles its reach in each pass, in log space: far tails keep full relative precision.
    """
    result: Tensor = _ReverseLogCumSumExp.apply(rows, offsets)
    return result


class _ReverseLogCumSumExp(torch.autograd.Function):
    """The scan with its own gradient, so that no pass has to be stored for the backward."""

    @staticmethod
    def forward(ctx, rows: Tensor, offsets: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        """c_i = log sum_{l >= i} exp(r_l)."""
        index, place = segment_index(offsets), torch.arange(len(rows), device=rows.device)
        tails = _scan(rows, offsets[1:][index] - 1 - place, reverse=True)
        ctx.save_for_backward(rows, tails, place - offsets[:-1][index])
        return tails

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:  # type: ignore[no-untyped-def]
        """dr_l = exp(r_l) sum_{i <= l} g_i exp(-c_i), for each sign of g apart so that logs exist."""
        rows, tails, n_before = ctx.saved_tensors
        total = torch.zeros_like(rows)
        for sign in (1.0, -1.0):
            part = (sign * grad).clamp_min(0)
            if part.any():
                heads = _scan(part.log() - tails, n_before, reverse=False)
                total += sign * torch.exp(rows + heads)
        return total, None


def _scan(rows: Tensor, n_others: Tensor, *, reverse: bool) -> Tensor:
    """Inclusive log-sum-exp scan; `n_others` rows of its segment are before each, or behind it in reverse."""
    out = rows.clone()
    n_others = n_others.view(-1, *[1] * (rows.ndim - 1))
    furthest = int(n_others.max()) if len(rows) else 0
    reach = 1
    while reach <= furthest:
        here, there = slice(reach, None), slice(None, -reach)
        if reverse:
            here, there = there, here
        joined = torch.logaddexp(out[here], out[there])
        out[here] = torch.where(n_others[here] >= reach, joined, out[here])
        reach *= 2
    return out


def check_shapes(scores: Tensor, labels: Tensor, offsets: Tensor) -> None:
    """Raise a ValueError unless scores, labels and offsets describe the same documents."""
    for name, value in {"scores": scores, "labels": labels, "offsets": offsets}.items():
        if not isinstance(value, Tensor):
            raise TypeError(
                f"{name} must be a tensor; got a {type(value).__name__}: torch.as_tensor({name})."
            )
    if scores.ndim not in (1, 2) or labels.ndim not in (1, 2):
        raise ValueError(
            f"scores have shape {tuple(scores.shape)} and labels {tuple(labels.shape)}; "
            "expected (n,) or (n, k) and (n,) or (n, m)."
        )
    if len(scores) != len(labels):
        raise ValueError(f"{len(scores)} scores, but {len(labels)} labels: give one of each per document.")
    if offsets.ndim != 1 or len(offsets) == 0 or offsets.dtype != torch.int64:
        raise ValueError(
            f"offsets must be int64 of shape (q + 1,); got {offsets.dtype} {tuple(offsets.shape)}."
        )
    # Compared on the device they live on, with one transfer.
    first, last, shortest = torch.stack(
        [offsets[0], offsets[-1], offsets.diff(append=offsets[-1:]).min()]
    ).tolist()
    if first != 0 or last != len(scores) or shortest < 0:
        falling = ", and fall in between" if shortest < 0 else ""
        raise ValueError(
            f"offsets run from {first} to {last}{falling}; expected 0 to {len(scores)}, the number of "
            "documents."
        )


def working_dtype(scores: Tensor) -> torch.dtype:
    """What sums of these scores are taken in: float32 for halves, whose digits are too few to sum."""
    return scores.dtype if scores.dtype in (torch.float32, torch.float64) else torch.float32


def check_flat(scores: Tensor, labels: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
    """Scores (n, k) and labels (n, m), checked by `check_shapes`.

    Scores are less the highest of their list: no loss sees the shift, and differences stay exact.
    """
    check_shapes(scores, labels, offsets)
    scores = scores.to(working_dtype(scores))
    draws = scores if scores.ndim == 2 else scores[:, None]
    top = torch.segment_reduce(draws.detach(), "max", offsets=offsets, axis=0, initial=-torch.inf)
    objectives = labels if labels.ndim == 2 else labels[:, None]
    return draws - top.index_select(0, segment_index(offsets)), objectives.to(scores.dtype)


def losses_by_objective(
    scores: Tensor,
    labels: Tensor,
    offsets: Tensor,
    loss: Callable[[Tensor, Tensor, Tensor], Tensor],
    reduction: str,
    *,
    transform: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> Tensor:
    """A loss of scores (n, k), labels (n,) and offsets, of each objective on its observed rows; reduced.

    `transform` makes what the loss sees of the scores (n, k) and offsets of all rows.
    """
    draws, objectives = check_flat(scores, labels, offsets)
    draws = draws if transform is None else transform(draws, offsets)
    losses = []
    for column in objectives.T:
        known = ~torch.isnan(column)
        before = torch.cat([offsets.new_zeros(1), known.cumsum(0)])
        losses.append(loss(draws[known], column[known], before[offsets]))
    return reduce_lists(torch.stack(losses, dim=2), scores, labels, reduction)


def reduce_lists(losses: Tensor, scores: Tensor, labels: Tensor, reduction: str) -> Tensor:
    """Reduce losses (q, k, m) over lists, without the axes that the caller's scores and labels lack."""
    if labels.ndim == 1:
        losses = losses[:, :, 0]
    if scores.ndim == 1:
        losses = losses[:, 0]
    if reduction == "none":
        return losses
    if reduction == "sum":
        return losses.sum(dim=0)
    if reduction == "mean":
        return losses.mean(dim=0) if len(losses) else losses.sum(dim=0)
    raise ValueError(f"reduction must be 'mean', 'sum' or 'none'; got {reduction!r}.")


#: Numbers per block, about: a handful of arrays of so many stay in the second-level cache.
BLOCK_ELEMENTS = 32_768
#: Numbers of padding that cost no more than starting another block does.
FREE_PADDING = 8192
#: Share of padding that a block of lists of about equal size may have.
PADDING_SHARE = 0.1


@dataclass(frozen=True)
class SizeBlock:
    """Some lists of about the same size, side by side: their numbers (b,) and rows (b, longest).

    `rows` repeats the last row of a shorter list, where `is_row` is False.
    """

    lists: NDArray[np.int64]
    rows: NDArray[np.int64]
    is_row: NDArray[np.bool_]


def list_blocks(offsets: NDArray[np.int64], elements: int) -> Iterator[tuple[int, int]]:
    """Runs of whole lists with about `elements` rows each, as (first, last + 1); a longer list is alone."""
    first, n_lists = 0, len(offsets) - 1
    while first < n_lists:
        fits = int(np.searchsorted(offsets, offsets[first] + elements, side="right")) - 1
        last = max(fits, first + 1)
        yield first, last
        first = last


def size_blocks(offsets: NDArray[np.int64], width: int = 1) -> Iterator[SizeBlock]:
    """Lists by falling size, cut where padding to the longest of a block would cost more than a cut.

    `width` is how many numbers each document has. Empty lists are in no block.
    """
    sizes = np.diff(offsets)
    order = np.argsort(-sizes, kind="stable")
    order = order[: np.count_nonzero(sizes)]
    falling = sizes[order]
    documents = np.concatenate([[0], np.cumsum(falling)])
    elements, free = BLOCK_ELEMENTS // max(1, width), FREE_PADDING // max(1, width)
    first = 0
    while first < len(order):
        longest = int(falling[first])
        most = min(max(1, elements // longest), len(order) - first)
        n_documents = documents[first + 1 : first + 1 + most] - documents[first]
        padding = longest * np.arange(1, most + 1) - n_documents
        fits = np.flatnonzero(padding <= free + PADDING_SHARE * n_documents)
        last = first + 1 + int(fits[-1])
        lists, place = order[first:last], np.arange(longest)
        widths = sizes[lists, None]
        rows = offsets[lists, None] + np.minimum(place, widths - 1)
        yield SizeBlock(lists, rows, is_row=place < widths)
        first = last
