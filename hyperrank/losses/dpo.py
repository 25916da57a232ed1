"""Implicit reward of DPO, its margin form of MODPO, and the loss at a temperature."""

from __future__ import annotations

import torch
from torch import Tensor

from hyperrank.losses._segments import segment_index, segment_logsumexp, segment_sum
from hyperrank.losses.fused import ListNetTargets, mean_over_lists


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


#: Stands for no chance at all; finite, so that nothing times it is 0 and not NaN.
_NEVER = -1e30


def temperature_loss(
    rewards: Tensor,
    reference_logits: Tensor,
    offsets: Tensor,
    weights: Tensor,
    *,
    prepared: object,
    scale: Tensor | None = None,
    query_weight: Tensor | None = None,
) -> Tensor:
    r"""Cross-entropy from the best policy at a temperature to the policy that is served there.

    With :math:`h = \tfrac{\beta}{t \sigma} s_{ref}`, what the reference weighs against rewards at temperature
    t, documents are served by :math:`\operatorname{softmax}(h + r)`. DPO's optimum at that temperature picks
    them by :math:`\pi^j_i \propto e^{h_i} p^j_i`, and the loss is that of ListNet with this target:

    .. math:: L = - \sum_j \frac{w_j}{c_j} \sum_i e^{h_i - \max h} \, p^j_i \,
                  \log \operatorname{softmax}(h + r)_i

    The target is not brought to sum 1: a list counts as much as the reference agrees with its labels. So
    :math:`p^j` may be a sample of what it stands for (a click), and the optimum of r is, at every
    temperature, that of ListNet itself, :math:`r = \log p + const`. What differs between temperatures is
    what errors of r cost: only those among documents that the reference leaves close at t.
    For :math:`h = 0` it is ListNet.

    Parameters
    ----------
    rewards : Tensor of shape (n, k)
        Rewards of the documents under k draws of weights and temperature.
    reference_logits : Tensor of shape (n, k)
        h. It must not depend on the labels of its own list: cross-fitted by query.
    offsets : Tensor of shape (q + 1,), int64
        Where each list begins, and the end of the last.
    weights : Tensor of shape (q, k, m)
        The weights that each list drew.
    prepared : ListNetTargets
        What `prepare` makes of `listnet` and the labels.
    scale : Tensor of shape (m,), optional
        c, what each objective's loss is divided by.
    query_weight : Tensor of shape (q,), optional
        How much each list counts.

    Returns
    -------
    Tensor of shape ()
        The mean over lists and draws.

    Raises
    ------
    ValueError
        If the labels were prepared for another loss than `listnet`.

    References
    ----------
    Rafailov et al.: Direct Preference Optimization, arXiv 2305.18290, equation 4, the optimal policy.
    Ren, Xiao, Shavlovsky, Ying, Rahmanian: HyperDPO, arXiv 2410.08316, on temperature conditioning.

    Examples
    --------
    >>> import torch
    >>> from hyperrank.losses import listnet, prepare
    >>> labels, offsets = torch.tensor([[1.0], [0.0]]), torch.tensor([0, 2])
    >>> ready, at = prepare(listnet, labels, offsets), torch.ones(1, 1, 1)
    >>> temperature_loss(torch.zeros(2, 1), torch.zeros(2, 1), offsets, at, prepared=ready)
    tensor(0.6931)
    """
    if not isinstance(prepared, ListNetTargets):
        raise ValueError("the loss at a temperature is made of listnet: other losses have no such form.")
    index = segment_index(offsets)
    shares = (weights if scale is None else weights / scale).index_select(0, index)
    top = torch.segment_reduce(reference_logits, "max", offsets=offsets, axis=0).index_select(0, index)
    importance = torch.exp(reference_logits - top)
    scores = rewards + reference_logits
    if prepared.unobserved is None:
        target = importance * (prepared.target[:, None] * shares).sum(dim=-1)
        losses = _cross_entropy(target, scores, offsets, index)
    else:
        losses = scores.new_zeros(len(offsets) - 1, scores.shape[1])
        for j, unobserved in enumerate(prepared.unobserved.T):
            target = importance * prepared.target[:, j, None] * shares[..., j]
            known = scores.masked_fill(unobserved[:, None], _NEVER)
            losses = losses + _cross_entropy(target, known, offsets, index)
    return mean_over_lists(losses.mean(dim=1), query_weight)


def _cross_entropy(target: Tensor, scores: Tensor, offsets: Tensor, index: Tensor) -> Tensor:
    """Of each list and draw, shape (q, k)."""
    log_share = scores - segment_logsumexp(scores, offsets, index).index_select(0, index)
    return -segment_sum(target * log_share, offsets)
