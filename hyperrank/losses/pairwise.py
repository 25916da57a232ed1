"""Losses of pairs of documents: LambdaLoss and the pairwise logistic loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import softplus

from hyperrank._checks import check_number
from hyperrank.files import storable
from hyperrank.losses._segments import losses_by_objective, segment_index, size_blocks
from hyperrank.losses.base import Loss, register_loss
from hyperrank.losses.listnet import target_distribution

#: Pairs looked at together, over lists and draws: what is made of them stays within tens of MiB.
CHUNK_PAIRS = 2**20

#: ``(scores (b, k, L), labels (b, L), is_row (b, L)) -> values (b, k), gradients (b, k, L)``.
BlockLoss = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


def list_values(scores: Tensor, labels: Tensor, offsets: Tensor, of_block: BlockLoss) -> Tensor:
    """Values of lists, shape (q, k), for scores (n, k) and labels or gains (n,) without NaN.

    `of_block` gives values and gradients of lists side by side; places that only fill up are to be ignored.
    """
    values: Tensor = _ListValues.apply(scores, labels, offsets, of_block)
    return values


def values_by_gain(
    scores: Tensor, labels: Tensor, offsets: Tensor, *, of_block: BlockLoss, gain: str
) -> Tensor:
    """`list_values` of gains instead of labels, divided by their sum, by which the largest DCG is too."""
    gains = target_distribution(labels[:, None], offsets, gain=gain)[:, 0]
    return list_values(scores, gains, offsets, of_block)


class _ListValues(torch.autograd.Function):
    """One value for each list and draw; gradients are stored, nothing of the pairs is."""

    @staticmethod
    def forward(  # type: ignore[no-untyped-def]
        ctx, scores: Tensor, labels: Tensor, offsets: Tensor, of_block: BlockLoss
    ) -> Tensor:
        """Values of shape (q, k)."""
        device = scores.device
        values = scores.new_zeros(len(offsets) - 1, scores.shape[1])
        gradients = torch.zeros_like(scores)
        for block in size_blocks(offsets.cpu().numpy(), scores.shape[1]):
            rows, is_row = (torch.from_numpy(part).to(device) for part in (block.rows, block.is_row))
            value, gradient = of_block(scores[rows].transpose(1, 2).contiguous(), labels[rows], is_row)
            values[torch.from_numpy(block.lists).to(device)] = value
            gradients[rows[is_row]] = gradient.transpose(1, 2)[is_row]
        ctx.save_for_backward(gradients, offsets)
        return values

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[no-untyped-def]
        """Each list's gradients times what comes in for it."""
        gradients, offsets = ctx.saved_tensors
        return gradients * grad[segment_index(offsets)], None, None, None


def anchor_chunks(scores: Tensor, n_anchors: int) -> Iterator[slice]:
    """Runs of anchors whose pairs with all documents fit a chunk, for scores of shape (b, k, L)."""
    step = max(1, CHUNK_PAIRS // max(1, scores.numel()))
    for first in range(0, n_anchors, step):
        yield slice(first, min(first + step, n_anchors))


def lambda_loss(
    scores: Tensor,
    labels: Tensor,
    offsets: Tensor,
    *,
    weighting: str = "lambdarank",
    top_k: int | None = None,
    gain: str = "exp2",
    reduction: str = "mean",
) -> Tensor:
    r"""LambdaLoss with weights of NDCG on flat, ragged lists.

    .. math:: L_j = \sum_{z^j_i > z^j_l} \frac{|g(z^j_i) - g(z^j_l)| \, d_{il}}{\text{maxDCG}_j}
              \log (1 + e^{-(r_i - r_l)})

    where, with :math:`\rho_i` the rank of a document by its present score and
    :math:`D(\rho) = 1 / \log_2 (1 + \rho)`, the weight is :math:`d_{il} = |D(\rho_i) - D(\rho_l)|` for
    ``"lambdarank"`` and, for the tighter bound ``"ndcg_loss2"``,
    :math:`d_{il} = D(|\rho_i - \rho_l|) - D(|\rho_i - \rho_l| + 1)`. Weights are constants in the gradient.
    Documents of equal score are ranked with the lower label first: a tie counts as the mistake it can be.

    A list without gain has loss 0. Documents whose label is NaN are unobserved and leave that objective's
    list. Time grows with a list's size times its documents with gain, or times `top_k`; memory with its size
    alone.

    Parameters
    ----------
    scores, labels, offsets, gain, reduction
        As for `listnet`.
    weighting : {"lambdarank", "ndcg_loss2"}
        d, as above.
    top_k : int, optional
        K of NDCG@K: only pairs of which one is among the first K count, and D is 0 behind; all by default.

    Returns
    -------
    Tensor of shape ([q,] [k,] [m])
        As for `listnet`.

    Raises
    ------
    ValueError
        If shapes do not fit, or an option is unknown.

    References
    ----------
    Burges, Ragno, Le: Learning to Rank with Nonsmooth Cost Functions (LambdaRank), NIPS 2006.
    Wang, Li, Golbandi, Bendersky, Najork: The LambdaLoss Framework for Ranking Metric Optimization,
    CIKM 2018.

    Examples
    --------
    Swapping the two is worth 1 - 1 / log2(3) = 0.3691 of NDCG, times log(1 + e) = 1.3133:

    >>> import torch
    >>> scores, labels = torch.tensor([0.0, 1.0]), torch.tensor([1.0, 0.0])
    >>> lambda_loss(scores, labels, torch.tensor([0, 2]))
    tensor(0.4847)
    """
    if weighting not in ("lambdarank", "ndcg_loss2"):
        raise ValueError(f"weighting must be 'lambdarank' or 'ndcg_loss2'; got {weighting!r}.")
    if top_k is not None:
        check_number("top_k", top_k, at_least=1, whole=True)
    of_block = partial(_lambda_block, weighting=weighting, top_k=top_k)
    of_objective = partial(values_by_gain, of_block=of_block, gain=gain)
    return losses_by_objective(scores, labels, offsets, of_objective, reduction)


@storable
@dataclass
class LambdaLoss(Loss):
    """LambdaLoss with weights of NDCG; formula and papers: `lambda_loss`.

    Parameters
    ----------
    gain : {"exp2", "linear"}, default "exp2"
        What a label z is worth: 2^z - 1, or z.
    top_k : int, optional
        K of NDCG@K; all ranks count by default.
    weighting : {"lambdarank", "ndcg_loss2"}, default "lambdarank"
        How much a pair counts.

    Examples
    --------
    >>> import torch
    >>> LambdaLoss(top_k=1)(torch.tensor([0.0, 1.0]), torch.tensor([1.0, 0.0]), torch.tensor([0, 2]))
    tensor(1.3133)
    """

    function: ClassVar = staticmethod(lambda_loss)
    takes_gains: ClassVar[bool] = True

    gain: str = "exp2"
    top_k: int | None = None
    weighting: str = "lambdarank"


register_loss("lambda_loss", LambdaLoss)


def discounts(n: int, like: Tensor, top_k: int | None = None) -> Tensor:
    """1 / log2(1 + rank) of the ranks from 1 to n, 0 behind `top_k`."""
    discount = 1 / torch.arange(2, n + 2, dtype=like.dtype, device=like.device).log2()
    if top_k is not None:
        discount[top_k:] = 0
    return discount


def best_dcg(gains: Tensor, is_row: Tensor, top_k: int | None = None) -> Tensor:
    """The DCG of lists (b, longest) by falling gain; 1 for those without gain."""
    best = gains.masked_fill(~is_row, 0).sort(dim=1, descending=True).values
    total = best @ discounts(gains.shape[1], gains, top_k)
    return torch.where(total > 0, total, torch.ones_like(total))


def _lambda_block(
    scores: Tensor, gains: Tensor, is_row: Tensor, *, weighting: str, top_k: int | None
) -> tuple[Tensor, Tensor]:
    """Values and gradients of lists side by side."""
    longest = scores.shape[2]
    value, gradient = scores.new_zeros(scores.shape[:2]), torch.zeros_like(scores)
    best = best_dcg(gains, is_row, top_k)[:, None, None]
    places = _ranking(scores, gains, is_row)
    scores = scores.gather(2, places)
    gains = (gains[:, None] / best).expand(scores.shape).gather(2, places)
    is_row = is_row[:, None].expand(scores.shape).gather(2, places)
    rank = torch.arange(longest, device=scores.device)
    discount = discounts(longest, scores, top_k)
    # Neighbouring discounts of far ranks differ in their last digits alone.
    drops = -discounts(longest + 1, scores.double()).diff().to(scores.dtype)
    # Pairs without gain, and those behind the first K ranks, weigh nothing.
    is_anchor = (gains > 0) & is_row if top_k is None else (rank < top_k).expand(scores.shape)
    order = torch.argsort(is_anchor.to(torch.int8), dim=2, descending=True, stable=True)
    for chunk in anchor_chunks(scores, int(is_anchor.sum(dim=2).max())):
        anchors = order[:, :, chunk]
        apart = (rank - anchors[:, :, :, None]).abs_()
        if weighting == "lambdarank":
            change = (discount[anchors][:, :, :, None] - discount).abs_()
        else:
            change = drops[(apart - 1).clamp_min_(0)]
        better = gains.gather(2, anchors)[:, :, :, None] - gains[:, :, None]
        weight = change.mul_(better.abs())
        # Two anchors meet twice.
        weight = torch.where(is_anchor[:, :, None], weight / 2, weight)
        is_pair = is_row[:, :, None] & is_row.gather(2, anchors)[:, :, :, None]
        weight.mul_(is_pair & is_anchor.gather(2, anchors)[:, :, :, None])
        better = better.sign_()
        margin = (scores.gather(2, anchors)[:, :, :, None] - scores[:, :, None]).mul_(better)
        value += (softplus(-margin) * weight).sum(dim=(2, 3))
        derivative = torch.sigmoid(-margin).mul_(weight).mul_(better)
        gradient.scatter_add_(2, anchors, -derivative.sum(dim=3))
        gradient += derivative.sum(dim=2)
    return value, torch.zeros_like(gradient).scatter_(2, places, gradient)


def _ranking(scores: Tensor, gains: Tensor, is_row: Tensor) -> Tensor:
    """Places (b, k, longest) by falling score, the lower gain first where scores are equal."""
    by_gain = torch.argsort(gains, dim=1, stable=True)[:, None].expand(scores.shape)
    keys = scores.masked_fill(~is_row[:, None], -torch.inf).gather(2, by_gain)
    return by_gain.gather(2, torch.argsort(keys, dim=2, descending=True, stable=True))


def pairwise_logistic(scores: Tensor, labels: Tensor, offsets: Tensor, *, reduction: str = "mean") -> Tensor:
    r"""Mean Bradley-Terry loss over the pairs of a list, on flat, ragged lists.

    .. math:: L_j = \frac{1}{|P_j|} \sum_{(i, l) \in P_j} \log (1 + e^{-(r_i - r_l)}), \qquad
              P_j = \{(i, l) : z^j_i > z^j_l\}

    A list without such a pair has loss 0. Documents whose label is NaN are unobserved and are in no pair of
    that objective. For two documents this is DPO's loss. Time grows with a list's size times its documents
    above the lowest label, memory with its size alone.

    Parameters
    ----------
    scores, labels, offsets, reduction
        As for `listnet`; labels may be negative.

    Returns
    -------
    Tensor of shape ([q,] [k,] [m])
        As for `listnet`.

    Raises
    ------
    ValueError
        If shapes do not fit, or `reduction` is unknown.

    References
    ----------
    Bradley, Terry: Rank Analysis of Incomplete Block Designs, Biometrika 1952.
    Burges et al.: Learning to Rank using Gradient Descent (RankNet), ICML 2005.

    Examples
    --------
    >>> import torch
    >>> scores, labels = torch.tensor([1.0, 0.0, 2.0]), torch.tensor([1.0, 0.0, 0.0])
    >>> pairwise_logistic(scores, labels, torch.tensor([0, 3]))
    tensor(0.8133)
    """
    of_objective = partial(list_values, of_block=_logistic_block)
    return losses_by_objective(scores, labels, offsets, of_objective, reduction)


@storable
@dataclass
class PairwiseLogistic(Loss):
    """Mean Bradley-Terry loss over the pairs of a list; formula and papers: `pairwise_logistic`.

    Examples
    --------
    >>> import torch
    >>> PairwiseLogistic()(torch.zeros(2), torch.tensor([1.0, 0.0]), torch.tensor([0, 2]))
    tensor(0.6931)
    """

    function: ClassVar = staticmethod(pairwise_logistic)


register_loss("pairwise_logistic", PairwiseLogistic)


def _logistic_block(scores: Tensor, labels: Tensor, is_row: Tensor) -> tuple[Tensor, Tensor]:
    """Values and gradients of lists side by side."""
    value, gradient = scores.new_zeros(scores.shape[:2]), torch.zeros_like(scores)
    n_pairs = torch.zeros(len(labels), dtype=torch.float64, device=scores.device)
    # Falling labels: every worse document comes after its anchor.
    labels = labels.masked_fill(~is_row, -torch.inf)
    order = torch.argsort(labels, dim=1, descending=True, stable=True)
    labels, is_row = labels.gather(1, order), is_row.gather(1, order)
    places = order[:, None].expand(scores.shape)
    scores = scores.gather(2, places)
    lowest = labels.masked_fill(~is_row, torch.inf).amin(dim=1, keepdim=True)
    for anchors in anchor_chunks(scores, int((labels > lowest).sum(dim=1).max())):
        others = slice(anchors.start + 1, None)
        is_pair = (labels[:, anchors, None] > labels[:, None, others]) & is_row[:, None, others]
        margin = scores[:, :, anchors, None] - scores[:, :, None, others]
        n_pairs += is_pair.sum(dim=(1, 2))
        value += softplus(-margin).masked_fill_(~is_pair[:, None], 0).sum(dim=(2, 3))
        derivative = torch.sigmoid(-margin).masked_fill_(~is_pair[:, None], 0)
        gradient[:, :, anchors] -= derivative.sum(dim=3)
        gradient[:, :, others] += derivative.sum(dim=2)
    share = 1 / n_pairs.clamp_min(1).to(scores.dtype)[:, None]
    back = torch.zeros_like(gradient).scatter_(2, places, gradient)
    return value * share, back * share[:, :, None]
