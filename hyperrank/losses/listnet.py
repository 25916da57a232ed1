"""ListNet: cross-entropy between the normalised gains of a list and the softmax of its scores."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from hyperrank.files import storable
from hyperrank.losses._segments import check_flat, reduce_lists, segment_index, segment_logsumexp, segment_sum
from hyperrank.losses.base import Loss, register_loss


def listnet(
    scores: Tensor,
    labels: Tensor,
    offsets: Tensor,
    *,
    gain: str = "exp2",
    reduction: str = "mean",
) -> Tensor:
    r"""Top-one cross-entropy of ListNet on flat, ragged lists.

    .. math:: L_j = -\sum_i p^j_i \log \operatorname{softmax}(r)_i, \qquad
              p^j_i = g(z^j_i) / \sum_l g(z^j_l)

    A list without any gain teaches nothing and has loss 0. Documents whose label is NaN are unobserved:
    they leave both the target and the softmax of that objective. For a list of two documents of which
    one has gain, this is the Bradley-Terry loss of DPO.

    Parameters
    ----------
    scores : Tensor of shape (n,) or (n, k)
        Scores, or DPO rewards, of the documents, for k draws of weights at once.
    labels : Tensor of shape (n,) or (n, m)
        Labels >= 0 for m objectives; NaN where unobserved.
    offsets : Tensor of shape (q + 1,), int64
        Where each list begins, and the end of the last.
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
        If shapes do not fit, or `gain` or `reduction` is unknown.

    References
    ----------
    Cao, Qin, Liu, Tsai, Li: Learning to Rank: From Pairwise Approach to Listwise Approach, ICML 2007.

    Examples
    --------
    >>> import torch
    >>> scores = torch.tensor([1.0, 0.0, 2.0, 2.0])
    >>> labels = torch.tensor([1.0, 0.0, 3.0, 0.0])
    >>> listnet(scores, labels, torch.tensor([0, 2, 4]), reduction="none")
    tensor([0.3133, 0.6931])
    """
    draws, objectives = check_flat(scores, labels, offsets)
    target = target_distribution(objectives, offsets, gain=gain)
    index = segment_index(offsets)
    has_gain = segment_sum(target, offsets) > 0.5  # (q, m): sums are 0 or 1
    expected = segment_sum(target[:, None, :] * draws[:, :, None], offsets)  # (q, k, m)
    unobserved = torch.isnan(objectives)
    if unobserved.any():
        masked = draws[:, :, None].masked_fill(unobserved[:, None, :], -torch.inf)
        log_norm = segment_logsumexp(masked, offsets, index)  # (q, k, m)
    else:
        log_norm = segment_logsumexp(draws, offsets, index)[:, :, None]
    losses = torch.where(has_gain[:, None, :], log_norm - expected, torch.zeros_like(expected))
    return reduce_lists(losses, scores, labels, reduction)


@storable
@dataclass
class ListNet(Loss):
    """Top-one cross-entropy of ListNet; formula and paper: `listnet`.

    Parameters
    ----------
    gain : {"exp2", "linear"}, default "exp2"
        What a label z is worth: 2^z - 1, or z.

    Examples
    --------
    >>> import torch
    >>> ListNet(gain="linear")(torch.zeros(2), torch.tensor([1.0, 0.0]), torch.tensor([0, 2]))
    tensor(0.6931)
    """

    function: ClassVar = staticmethod(listnet)
    takes_gains: ClassVar[bool] = True

    gain: str = "exp2"


register_loss("listnet", ListNet)


def target_distribution(labels: Tensor, offsets: Tensor, *, gain: str = "exp2") -> Tensor:
    """Gains of each list divided by their sum: the target of ListNet.

    Parameters
    ----------
    labels : Tensor of shape (n, m)
        Labels >= 0; NaN where unobserved.
    offsets : Tensor of shape (q + 1,), int64
        Where each list begins, and the end of the last.
    gain : {"exp2", "linear"}
        2^z - 1, or z. Both are taken relative to the list's largest label, so no label overflows.

    Returns
    -------
    Tensor of shape (n, m)
        Zero for unobserved documents and for lists without any gain.

    Examples
    --------
    >>> import torch
    >>> target_distribution(torch.tensor([[2.0], [1.0], [0.0]]), torch.tensor([0, 3])).T
    tensor([[0.7500, 0.2500, 0.0000]])
    """
    known = torch.nan_to_num(labels, nan=0.0)
    top = torch.segment_reduce(known, "max", offsets=offsets, axis=0, initial=0)[segment_index(offsets)]
    if gain == "exp2":
        # expm1 keeps labels far below 1 exact where 2^z - 1 would round to 0.
        small = torch.expm1(known * math.log(2))
        gains = torch.where(top > 1, torch.exp2(known - top) - torch.exp2(-top), small)
    elif gain == "linear":
        gains = known / top.clamp_min(torch.finfo(known.dtype).tiny)
    else:
        raise ValueError(f"gain must be 'exp2' or 'linear'; got {gain!r}.")
    total = segment_sum(gains, offsets)[segment_index(offsets)]
    return torch.where(total > 0, gains / total, torch.zeros_like(gains))
