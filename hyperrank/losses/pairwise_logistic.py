"""The pairwise logistic loss: Bradley-Terry on every pair of documents with different labels."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import softplus

from hyperrank.losses.arguments import check_flat, reduce_lists
from hyperrank.losses.pairs import anchor_chunks, list_values, observed_rows

__all__ = ["pairwise_logistic"]


def pairwise_logistic(scores: Tensor, labels: Tensor, offsets: Tensor, *, reduction: str = "mean") -> Tensor:
    r"""Mean Bradley-Terry loss over the pairs of a list, on flat, ragged lists.

    .. math:: L_j = \frac{1}{|P_j|} \sum_{(i, l) \in P_j} \log (1 + e^{-(r_i - r_l)}), \qquad
              P_j = \{(i, l) : z^j_i > z^j_l\}

    A list without such a pair has loss 0. Documents whose label is NaN are unobserved and are in no pair of
    that objective. For two documents this is DPO's loss. Time grows with a list's size times its documents
    above the lowest label, memory with its size alone.

    Parameters
    ----------
    scores : Tensor of shape (n,) or (n, k)
        Scores, or DPO rewards, of the documents, for k draws of weights at once.
    labels : Tensor of shape (n,) or (n, m)
        Labels for m objectives; NaN where unobserved.
    offsets : Tensor of shape (q + 1,), int64
        Where each list begins, and the end of the last.
    reduction : {"mean", "sum", "none"}
        Over lists; "none" keeps one loss per list.

    Returns
    -------
    Tensor of shape ([q,] [k,] [m])
        The axes of lists (unless reduced), draws and objectives that the arguments have.

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
    flat = check_flat(scores, labels, offsets)
    losses = []
    for j in range(flat.labels.shape[1]):
        rows, kept = observed_rows(flat.labels[:, j], offsets)
        losses.append(list_values(flat.scores[rows], flat.labels[rows, j], kept, _of_block))
    return reduce_lists(torch.stack(losses, dim=2), flat, reduction)


def _of_block(scores: Tensor, labels: Tensor, is_row: Tensor) -> tuple[Tensor, Tensor]:
    """Values and slopes of lists side by side."""
    value, slope = scores.new_zeros(scores.shape[:2]), torch.zeros_like(scores)
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
        push = torch.sigmoid(-margin).masked_fill_(~is_pair[:, None], 0)
        slope[:, :, anchors] -= push.sum(dim=3)
        slope[:, :, others] += push.sum(dim=2)
    share = 1 / n_pairs.clamp_min(1).to(scores.dtype)[:, None]
    back = torch.zeros_like(slope).scatter_(2, places, slope)
    return value * share, back * share[:, :, None]
