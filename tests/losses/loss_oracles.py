"""Slow and plain losses, one list and one objective at a time."""

import math
from collections.abc import Callable
from functools import partial
from itertools import permutations

import torch
from torch import Tensor

from hyperrank.losses import approx_ndcg, lambda_loss, listnet, pairwise_logistic, plackett_luce

LOSSES: dict[str, Callable[..., Tensor]] = {
    "listnet": listnet,
    "listnet linear": partial(listnet, gain="linear"),
    "random": partial(plackett_luce, ties="random"),
    "average": partial(plackett_luce, ties="average"),
    "rating": partial(plackett_luce, ties="rating"),
    "top 3 random": partial(plackett_luce, ties="random", top_k=3),
    "top 3 average": partial(plackett_luce, ties="average", top_k=3),
    "top 3 rating": partial(plackett_luce, ties="rating", top_k=3),
    "logistic": pairwise_logistic,
    "lambda": lambda_loss,
    "lambda top 3": partial(lambda_loss, top_k=3),
    "ndcg_loss2": partial(lambda_loss, weighting="ndcg_loss2", gain="linear"),
    "ndcg_loss2 top 3": partial(lambda_loss, weighting="ndcg_loss2", top_k=3),
    "approx": approx_ndcg,
    "approx linear": partial(approx_ndcg, gain="linear", temperature=2.0),
}
#: Their value is no longer that of Bradley-Terry for two documents.
OF_NDCG = [name for name in LOSSES if name.startswith(("lambda", "ndcg", "approx"))]
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


def gains_of(labels: Tensor, gain: str = "exp2") -> Tensor:
    return 2**labels - 1 if gain == "exp2" else labels


def dcg(gains: Tensor, top_k: int | None = None) -> Tensor:
    """DCG of gains in the order they stand."""
    ranks = torch.arange(1, len(gains) + 1, dtype=gains.dtype)
    return (gains / torch.log2(1 + ranks))[:top_k].sum()


def logistic_loss(scores: Tensor, labels: Tensor) -> Tensor:
    n = range(len(scores))
    terms = [
        torch.log1p(torch.exp(scores[other] - scores[i]))
        for i in n
        for other in n
        if labels[i] > labels[other]
    ]
    return torch.stack(terms).mean() if terms else scores.new_zeros(())


def ranking(scores: Tensor, labels: Tensor) -> list[int]:
    """Documents by falling score, the lower label first where scores are equal."""
    keys = list(zip((-scores).tolist(), labels.tolist(), strict=True))
    return sorted(range(len(scores)), key=keys.__getitem__)


def lambdarank_loss(scores: Tensor, labels: Tensor, top_k: int | None = None, gain: str = "exp2") -> Tensor:
    """Every pair really swapped, and NDCG computed anew."""
    gains = gains_of(labels, gain)
    best = dcg(gains.sort(descending=True).values, top_k)
    order = ranking(scores, labels)
    total = scores.new_zeros(())
    for a, i in enumerate(order):
        for b, other in enumerate(order):
            if labels[i] > labels[other]:
                swapped = order.copy()
                swapped[a], swapped[b] = other, i
                change = (dcg(gains[order], top_k) - dcg(gains[swapped], top_k)).abs() / best
                total = total + change * torch.log1p(torch.exp(scores[other] - scores[i]))
    return total


def ndcg_loss2(scores: Tensor, labels: Tensor, top_k: int | None = None, gain: str = "exp2") -> Tensor:
    gains = gains_of(labels, gain)
    best = dcg(gains.sort(descending=True).values, top_k)
    order = ranking(scores, labels)
    total = scores.new_zeros(())
    for a, i in enumerate(order):
        for b, other in enumerate(order):
            if labels[i] > labels[other] and (top_k is None or min(a, b) < top_k):
                apart = abs(a - b)
                step = 1 / math.log2(1 + apart) - 1 / math.log2(2 + apart)
                total = total + (gains[i] - gains[other]) * step / best * torch.log1p(
                    torch.exp(scores[other] - scores[i])
                )
    return total


def approx_loss(scores: Tensor, labels: Tensor, temperature: float = 0.1, gain: str = "exp2") -> Tensor:
    gains = gains_of(labels, gain)
    if gains.sum() == 0:
        return scores.new_zeros(())
    reached = scores.new_zeros(())
    for i in range(len(scores)):
        others = [other for other in range(len(scores)) if other != i]
        ahead = [torch.sigmoid((scores[other] - scores[i]) / temperature) for other in others]
        rank = 1 + sum(ahead, scores.new_zeros(()))
        reached = reached + gains[i] / torch.log2(1 + rank)
    return 1 - reached / dcg(gains.sort(descending=True).values)
