"""Implicit reward of DPO, and its margin form of MODPO."""

from __future__ import annotations

from torch import Tensor


def dpo_reward(scores: Tensor, reference_scores: Tensor, beta: float | Tensor = 1.0) -> Tensor:
    r"""DPO's implicit reward :math:`r = \beta (s - s_{ref})`.

    Parameters
    ----------
    scores : Tensor of shape (n,) or (n, k)
        Scores of the ranker in training.
    reference_scores : Tensor of shape (n,)
        Scores of the reference ranker.
    beta : float or Tensor, default 1
        How closely the ranker stays to the reference; must broadcast with `scores`.

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
            f"reference_scores have shape {tuple(reference_scores.shape)}; "
            f"expected {tuple(scores.shape[:1])}."
        )
    reference = reference_scores if scores.ndim == 1 else reference_scores[:, None]
    return beta * (scores - reference)


def margin_reward(rewards: Tensor, margins: Tensor, weight: float) -> Tensor:
    r"""Reward of one objective, from the reward of a mix less the share of the others.

    .. math:: r' = \frac{r - \sum_{j \ne main} w_j \, r_j}{w_{main}}

    A listwise loss of r' on the labels of the main objective has its optimum where r' is that objective's
    own optimal reward, so where r is the mix :math:`\sum_j w_j r_j` of all objectives' rewards.

    Parameters
    ----------
    rewards : Tensor of shape (n,) or (n, k)
        r, of the ranker in training.
    margins : Tensor of shape (n,)
        :math:`\sum_{j \ne main} w_j r_j`, of rankers trained before.
    weight : float
        :math:`w_{main}`, above 0.

    Returns
    -------
    Tensor of the shape of `rewards`

    Raises
    ------
    ValueError
        If there is not one margin per document, or the weight is not above 0.

    References
    ----------
    Zhou et al.: Beyond One-Preference-Fits-All Alignment: Multi-Objective Direct Preference Optimization
    (MODPO), arXiv 2310.03708, there with pairwise losses.

    Examples
    --------
    >>> import torch
    >>> margin_reward(torch.tensor([2.0, 1.0]), torch.tensor([1.0, 0.0]), 0.5)
    tensor([2., 2.])
    """
    if margins.shape != rewards.shape[:1]:
        raise ValueError(f"margins have shape {tuple(margins.shape)}; expected {tuple(rewards.shape[:1])}.")
    if not weight > 0:
        raise ValueError(f"weight must be above 0: the rewards are divided by it; got {weight!r}.")
    return (rewards - (margins if rewards.ndim == 1 else margins[:, None])) / weight
