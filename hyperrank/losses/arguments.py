"""What every loss checks of its arguments, and how it reduces over lists."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hyperrank.losses.segments import segment_index

__all__ = ["FlatLists", "check_flat", "check_shapes", "reduce_lists", "working_dtype"]


@dataclass(frozen=True)
class FlatLists:
    """Scores and labels with all axes present, and which of them the caller gave.

    Attributes
    ----------
    scores : Tensor of shape (n, k)
        Less the highest of their list: no loss sees the shift, and differences of large scores stay exact.
    labels : Tensor of shape (n, m)
    has_draws, has_objectives : bool
        Whether the axis k or m was given, and so is kept in the result.
    """

    scores: Tensor
    labels: Tensor
    has_draws: bool
    has_objectives: bool


def check_shapes(scores: Tensor, labels: Tensor, offsets: Tensor) -> None:
    """Check that scores, labels and offsets describe the same documents.

    Raises
    ------
    ValueError
        If a shape does not fit the others, or offsets do not cover the documents.
    """
    if scores.ndim not in (1, 2) or labels.ndim not in (1, 2):
        raise ValueError(
            f"scores have shape {tuple(scores.shape)} and labels {tuple(labels.shape)}; "
            "wanted (n,) or (n, k) and (n,) or (n, m)."
        )
    if len(scores) != len(labels):
        raise ValueError(f"{len(scores)} scores, but {len(labels)} labels: give one of each per document.")
    if offsets.ndim != 1 or len(offsets) == 0 or offsets.dtype != torch.int64:
        raise ValueError(
            f"offsets must be int64 of shape (q + 1,); got {offsets.dtype} {tuple(offsets.shape)}."
        )
    # The ends are compared on the device they live on; one transfer, not two.
    first, last = offsets[[0, -1]].tolist()
    if first != 0 or last != len(scores):
        raise ValueError(
            f"offsets run from {first} to {last}; wanted 0 to {len(scores)}, the number of documents."
        )


def working_dtype(scores: Tensor) -> torch.dtype:
    """What sums of these scores are taken in: float32 for halves, whose digits are too few to sum."""
    return scores.dtype if scores.dtype in (torch.float32, torch.float64) else torch.float32


def check_flat(scores: Tensor, labels: Tensor, offsets: Tensor) -> FlatLists:
    """Scores and labels with all axes, checked by `check_shapes`."""
    check_shapes(scores, labels, offsets)
    scores = scores.to(working_dtype(scores))
    draws = scores if scores.ndim == 2 else scores[:, None]
    top = torch.segment_reduce(draws.detach(), "max", offsets=offsets, axis=0, initial=-torch.inf)
    return FlatLists(
        scores=draws - top.index_select(0, segment_index(offsets)),
        labels=(labels if labels.ndim == 2 else labels[:, None]).to(scores.dtype),
        has_draws=scores.ndim == 2,
        has_objectives=labels.ndim == 2,
    )


def reduce_lists(losses: Tensor, flat: FlatLists, reduction: str) -> Tensor:
    """Reduce losses of shape (q, k, m) over lists, and drop the axes the caller did not give."""
    if not flat.has_objectives:
        losses = losses[:, :, 0]
    if not flat.has_draws:
        losses = losses[:, 0]
    if reduction == "none":
        return losses
    if reduction == "sum":
        return losses.sum(dim=0)
    if reduction == "mean":
        return losses.mean(dim=0) if len(losses) else losses.sum(dim=0)
    raise ValueError(f"reduction must be 'mean', 'sum' or 'none'; got {reduction!r}.")
