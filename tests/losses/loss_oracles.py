"""Slow and plain Plackett-Luce and ListNet, one list and one objective at a time."""

from collections.abc import Callable
from functools import partial
from itertools import permutations

import torch
from torch import Tensor

from hyperrank.losses import listnet, plackett_luce

LOSSES: dict[str, Callable[..., Tensor]] = {
    "listnet": listnet,
    "listnet linear": partial(listnet, gain="linear"),
    "random": partial(plackett_luce, ties="random"),
    "average": partial(plackett_luce, ties="average"),
    "rating": partial(plackett_luce, ties="rating"),
    "top 3 random": partial(plackett_luce, ties="random", top_k=3),
    "top 3 average": partial(plackett_luce, ties="average", top_k=3),
    "top 3 rating": partial(plackett_luce, ties="rating", top_k=3),
}
#: The losses that give one number for given arguments.
EXACT = [name for name in LOSSES if "random" not in name]


def offsets_of(*sizes: int) -> Tensor:
    return torch.tensor([0, *sizes]).cumsum(0)


def order_loss(scores: Tensor, order: tuple[int, ...], top_k: int | None = None) -> Tensor:
    ranked = scores[list(order)]
    terms = [torch.logsumexp(ranked[k:], 0) - ranked[k] for k in range(len(order))]
    return torch.stack(terms[:top_k]).sum() if terms else scores.sum()


def tied_orders(labels: Tensor) -> list[tuple[int, ...]]:
    """All orders of the documents by falling label."""
    found = []
    for order in permutations(range(len(labels))):
        sorted_labels = labels[list(order)]
        if (sorted_labels[1:] <= sorted_labels[:-1]).all():
            found.append(order)
    return found


def average_loss(scores: Tensor, labels: Tensor, top_k: int | None = None) -> Tensor:
    return torch.stack([order_loss(scores, order, top_k) for order in tied_orders(labels)]).mean()


def rating_loss(scores: Tensor, labels: Tensor, top_k: int | None = None) -> Tensor:
    total = scores.new_zeros(())
    for grade in labels.unique():
        if top_k is None or (labels > grade).sum() < top_k:
            left, top = scores[labels <= grade], scores[labels == grade]
            total = total - torch.log(top.exp().sum() / left.exp().sum())
    return total


def listnet_loss(scores: Tensor, labels: Tensor, gain: str = "exp2") -> Tensor:
    gains = 2**labels - 1 if gain == "exp2" else labels
    if gains.sum() == 0:
        return scores.new_zeros(())
    return -(gains / gains.sum() * torch.log_softmax(scores, 0)).sum()
