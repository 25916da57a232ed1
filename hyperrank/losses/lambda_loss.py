"""LambdaLoss: pairs of documents, weighted by what swapping them would change of NDCG."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import softplus

from hyperrank.losses.arguments import check_flat, reduce_lists
from hyperrank.losses.listnet import target_distribution
from hyperrank.losses.pairs import anchor_chunks, list_values, observed_rows

__all__ = ["lambda_loss"]


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
    scores : Tensor of shape (n,) or (n, k)
        Scores, or DPO rewards, of the documents, for k draws of weights at once.
    labels : Tensor of shape (n,) or (n, m)
        Labels >= 0 for m objectives; NaN where unobserved.
    offsets : Tensor of shape (q + 1,), int64
        Where each list begins, and the end of the last.
    weighting : {"lambdarank", "ndcg_loss2"}
        d, as above.
    top_k : int, optional
        K of NDCG@K: only pairs of which one is among the first K count, and D is 0 behind; all by default.
    gain : {"exp2", "linear"}
        g(z) = 2^z - 1, or z.
    reduction : {"mean", "sum", "none"}
        Over lists; "none" keeps one loss per list.

    Returns
    -------
    Tensor of shape ([q,] [k,] [m])
        The axes of lists (unless reduced), draws and objectives that the arguments have.

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
    flat = check_flat(scores, labels, offsets)
    if weighting not in ("lambdarank", "ndcg_loss2"):
        raise ValueError(f"weighting must be 'lambdarank' or 'ndcg_loss2'; got {weighting!r}.")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k must be at least 1, or None for all ranks; got {top_k}.")
    losses = []
    for j in range(flat.labels.shape[1]):
        rows, kept = observed_rows(flat.labels[:, j], offsets)
        # Gains come divided by their sum, which the largest DCG is divided by as well.
        gains = target_distribution(flat.labels[rows, j, None], kept, gain=gain)[:, 0]
        of_block = partial(_of_block, weighting=weighting, top_k=top_k)
        losses.append(list_values(flat.scores[rows], gains, kept, of_block))
    return reduce_lists(torch.stack(losses, dim=2), flat, reduction)


def discounts(n: int, like: Tensor, top_k: int | None = None) -> Tensor:
    """1 / log2(1 + rank) of the ranks from 1 to n, 0 behind `top_k`."""
    found = 1 / torch.arange(2, n + 2, dtype=like.dtype, device=like.device).log2()
    if top_k is not None:
        found[top_k:] = 0
    return found


def best_dcg(gains: Tensor, is_row: Tensor, top_k: int | None = None) -> Tensor:
    """The DCG of lists (b, longest) by falling gain; 1 for those without gain."""
    best = gains.masked_fill(~is_row, 0).sort(dim=1, descending=True).values
    total = best @ discounts(gains.shape[1], gains, top_k)
    return torch.where(total > 0, total, torch.ones_like(total))


def _of_block(
    scores: Tensor, gains: Tensor, is_row: Tensor, *, weighting: str, top_k: int | None
) -> tuple[Tensor, Tensor]:
    """Values and slopes of lists side by side."""
    longest = scores.shape[2]
    value, slope = scores.new_zeros(scores.shape[:2]), torch.zeros_like(scores)
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
        push = torch.sigmoid(-margin).mul_(weight).mul_(better)
        slope.scatter_add_(2, anchors, -push.sum(dim=3))
        slope += push.sum(dim=2)
    return value, torch.zeros_like(slope).scatter_(2, places, slope)


def _ranking(scores: Tensor, gains: Tensor, is_row: Tensor) -> Tensor:
    """Places (b, k, longest) by falling score, the lower gain first where scores are equal."""
    by_gain = torch.argsort(gains, dim=1, stable=True)[:, None].expand(scores.shape)
    keys = scores.masked_fill(~is_row[:, None], -torch.inf).gather(2, by_gain)
    return by_gain.gather(2, torch.argsort(keys, dim=2, descending=True, stable=True))
