"""Preference optimisation against a reference: the implicit reward, and what a loss of it is."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

__all__ = ["ListLoss", "dpo_reward"]


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
