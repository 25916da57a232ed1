"""Preference optimisation against a reference: the implicit reward, and its weighted loss."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

__all__ = ["ListLoss", "dpo_reward", "weighted_loss"]


class ListLoss(Protocol):
    """A loss on flat lists, such as `listnet`, with everything but the data bound."""

    def __call__(self, scores: Tensor, labels: Tensor, offsets: Tensor, *, reduction: str) -> Tensor:
        """Losses of shape (q, k, m) for ``reduction="none"``."""


def dpo_reward(scores: Tensor, reference_scores: Tensor, beta: float | Tensor = 1.0) -> Tensor:
    r"""DPO's implicit reward :math:`r = \beta (s - s_{ref})`.

    Parameters
    ----------
    scores : Tensor of shape (n,) or (n, k)
        Scores of the ranker in training.
    reference_scores : Tensor of shape (n,)
        Scores of the reference ranker.
    beta : float or Tensor, default 1
        How closely the ranker is held to the reference; must broadcast with `scores`.

    Returns
    -------
    Tensor of the shape of `scores`

    References
    ----------
    Rafailov et al.: Direct Preference Optimization, arXiv 2305.18290, equation 5, with the log-ratio of
    policies in Plackett-Luce form (arXiv 2410.08316).

    Examples
    --------
    >>> import torch
    >>> dpo_reward(torch.tensor([2.0, 1.0]), torch.tensor([1.0, 1.0]), beta=0.5)
    tensor([0.5000, 0.0000])
    """
    if reference_scores.shape != scores.shape[:1]:
        raise ValueError(
            f"reference_scores have shape {tuple(reference_scores.shape)}; wanted {tuple(scores.shape[:1])}."
        )
    reference = reference_scores if scores.ndim == 1 else reference_scores[:, None]
    return beta * (scores - reference)


def weighted_loss(
    rewards: Tensor,
    labels: Tensor,
    offsets: Tensor,
    weights: Tensor,
    *,
    loss: ListLoss,
    scale: Tensor | None = None,
    query_weight: Tensor | None = None,
) -> Tensor:
    r"""Mean over lists and draws of :math:`\sum_j w_j L_j / c_j`, the one-shot objective of HyperDPO.

    Parameters
    ----------
    rewards : Tensor of shape (n, k)
        Rewards of the documents under k draws of weights.
    labels : Tensor of shape (n, m)
        Labels; NaN where unobserved.
    offsets : Tensor of shape (q + 1,), int64
        Where each list begins, and the end of the last.
    weights : Tensor of shape (q, k, m)
        The weights that each list drew.
    loss : callable
        A loss such as `listnet`.
    scale : Tensor of shape (m,), optional
        c, what each objective's loss is divided by, so that equal weights mean equal pull.
    query_weight : Tensor of shape (q,), optional
        How much each list counts.

    Returns
    -------
    Tensor of shape ()

    Examples
    --------
    >>> import torch
    >>> from hyperrank.losses import listnet
    >>> rewards, labels = torch.zeros(2, 1), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> weighted_loss(rewards, labels, torch.tensor([0, 2]), torch.tensor([[[0.5, 0.5]]]), loss=listnet)
    tensor(0.6931)
    """
    losses = loss(rewards, labels, offsets, reduction="none")
    if losses.shape != weights.shape:
        raise ValueError(
            f"weights have shape {tuple(weights.shape)}; wanted (q, k, m) = {tuple(losses.shape)}."
        )
    if scale is not None:
        losses = losses / scale
    per_list = (weights * losses).sum(dim=2).mean(dim=1)
    if query_weight is None:
        return per_list.mean()
    return (query_weight * per_list).sum() / query_weight.sum().clamp_min(torch.finfo(per_list.dtype).tiny)
