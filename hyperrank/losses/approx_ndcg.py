"""ApproxNDCG: NDCG with ranks that are smooth in the scores."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from hyperrank._checks import check_number
from hyperrank.files import storable
from hyperrank.losses._segments import losses_by_objective, segment_index, segment_sum
from hyperrank.losses.base import Loss, register_loss
from hyperrank.losses.pairwise import anchor_chunks, best_dcg, values_by_gain

#: Added to variances: scores that differ by less, as those of a new network, are not blown up.
LEAST_VARIANCE = 1e-2


def approx_ndcg(
    scores: Tensor,
    labels: Tensor,
    offsets: Tensor,
    *,
    temperature: float = 0.1,
    gain: str = "exp2",
    standardize: bool = False,
    reduction: str = "mean",
) -> Tensor:
    r"""One less ApproxNDCG on flat, ragged lists.

    .. math:: L_j = 1 - \frac{1}{\text{maxDCG}_j} \sum_i \frac{g(z^j_i)}{\log_2 (1 + \hat\rho_i)}, \qquad
              \hat\rho_i = 1 + \sum_{l \ne i} \frac{1}{1 + e^{(r_i - r_l) / T}}

    A list without gain has loss 0. Documents whose label is NaN are unobserved and leave that objective's
    list. Time grows with a list's size times its documents with gain, memory with its size alone.

    Parameters
    ----------
    scores, labels, offsets, gain, reduction
        As for `listnet`.
    temperature : float, default 0.1
        T: the lower, the nearer to NDCG itself, and the less is there to learn from.
    standardize : bool, default False
        Whether scores count in units of their deviation within the list. Without it the loss falls as all
        scores of a list grow, whatever their order, until no slope is left to learn from.

    Returns
    -------
    Tensor of shape ([q,] [k,] [m])
        As for `listnet`.

    Raises
    ------
    ValueError
        If shapes do not fit, or an option is unknown or out of range.

    References
    ----------
    Qin, Liu, Li: A General Approximation Framework for Direct Optimization of Information Retrieval Measures,
    Information Retrieval 2010.
    Bruch, Zoghi, Bendersky, Najork: Revisiting Approximate Metric Optimization in the Age of Deep Neural
    Networks, SIGIR 2019.

    Examples
    --------
    The document with gain has the smooth rank 1 + 1 / (1 + 1 / e) = 1.7311:

    >>> import torch
    >>> scores, labels = torch.tensor([0.0, 1.0]), torch.tensor([1.0, 0.0])
    >>> approx_ndcg(scores, labels, torch.tensor([0, 2]), temperature=1.0)
    tensor(0.3101)
    """
    check_number("temperature", temperature, above=0)
    of_block = partial(_of_block, temperature=temperature)
    of_objective = partial(values_by_gain, of_block=of_block, gain=gain)
    transform = _standardized if standardize else None
    return losses_by_objective(scores, labels, offsets, of_objective, reduction, transform=transform)


@storable
@dataclass
class ApproxNDCG(Loss):
    """One less ApproxNDCG; formula and papers: `approx_ndcg`.

    Parameters
    ----------
    gain : {"exp2", "linear"}, default "exp2"
        What a label z is worth: 2^z - 1, or z.
    temperature : float, default 0.1
        The lower, the nearer to NDCG itself, and the less is there to learn from.
    standardize : bool, default True
        Whether scores count in units of their deviation within the list; networks learn little without it.

    Examples
    --------
    >>> import torch
    >>> loss = ApproxNDCG(temperature=1.0, standardize=False)
    >>> loss(torch.tensor([0.0, 1.0]), torch.tensor([1.0, 0.0]), torch.tensor([0, 2]))
    tensor(0.3101)
    """

    function: ClassVar = staticmethod(approx_ndcg)
    takes_gains: ClassVar[bool] = True

    gain: str = "exp2"
    temperature: float = 0.1
    standardize: bool = True


register_loss("approx_ndcg", ApproxNDCG)


def _standardized(scores: Tensor, offsets: Tensor) -> Tensor:
    """Scores of shape (n, k) less their list's mean, in units of its deviation unless that is tiny."""
    index, sizes = segment_index(offsets), offsets.diff().clamp_min(1)[:, None]
    centred = scores - (segment_sum(scores, offsets) / sizes)[index]
    variance = segment_sum(centred.square(), offsets) / sizes
    return centred / (variance + LEAST_VARIANCE).sqrt()[index]


def _of_block(scores: Tensor, gains: Tensor, is_row: Tensor, *, temperature: float) -> tuple[Tensor, Tensor]:
    """Values and slopes of lists side by side."""
    slope = torch.zeros_like(scores)
    gains = gains.masked_fill(~is_row, 0) / best_dcg(gains, is_row)[:, None]
    reached = scores.new_zeros(scores.shape[:2])
    # Only ranks of documents with gain are asked for; they are brought to the front.
    order = torch.argsort(gains, dim=1, descending=True)
    n_anchors = int((gains > 0).sum(dim=1).max())
    for chunk in anchor_chunks(scores, n_anchors):
        anchors = order[:, chunk]
        places = anchors[:, None].expand(-1, scores.shape[1], -1)
        gain = gains.gather(1, anchors)[:, None]
        ahead = torch.sigmoid((scores[:, :, None] - scores.gather(2, places)[:, :, :, None]) / temperature)
        ahead.masked_fill_(~is_row[:, None, None], 0)
        rank = 0.5 + ahead.sum(dim=3)  # a document is half ahead of itself
        logs = (1 + rank).log2()
        reached += (gain / logs).sum(dim=2)
        # d(1 - g / log2(1 + rank)) / d rank, times d rank / d (score of the other).
        pull = gain / (logs.square() * (1 + rank) * math.log(2) * temperature)
        change = ahead.mul_(1 - ahead).mul_(pull[:, :, :, None])
        slope += change.sum(dim=2)
        slope.scatter_add_(2, places, -change.sum(dim=3))
    has_gain = (gains > 0).any(dim=1)[:, None]
    return torch.where(has_gain, (1 - reached).clamp_min(0), 0), slope
