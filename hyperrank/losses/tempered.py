"""ListNet on the policy that is served: rewards over a reference, at each draw's own temperature."""

from __future__ import annotations

import torch
from torch import Tensor

from hyperrank.losses.fused import ListNetTargets
from hyperrank.losses.segments import segment_index, segment_logsumexp, segment_sum

__all__ = ["tempered_loss"]

#: Stands for no chance at all; finite, so that nothing times it is 0 and not NaN.
_NEVER = -1e30


def tempered_loss(
    rewards: Tensor,
    held: Tensor,
    offsets: Tensor,
    weights: Tensor,
    *,
    prepared: object,
    scale: Tensor | None = None,
    query_weight: Tensor | None = None,
) -> Tensor:
    r"""Cross-entropy from the best policy at a temperature to the one that is served there.

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
    held : Tensor of shape (n, k)
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
    >>> tempered_loss(torch.zeros(2, 1), torch.zeros(2, 1), offsets, at, prepared=ready)
    tensor(0.6931)
    """
    if not isinstance(prepared, ListNetTargets):
        raise ValueError("the loss at a temperature is made of listnet: other losses have no such form.")
    index = segment_index(offsets)
    shares = (weights if scale is None else weights / scale).index_select(0, index)
    top = torch.segment_reduce(held, "max", offsets=offsets, axis=0).index_select(0, index)
    importance = torch.exp(held - top)
    scores = rewards + held
    if prepared.unobserved is None:
        target = importance * (prepared.target[:, None] * shares).sum(dim=-1)
        losses = _cross_entropy(target, scores, offsets, index)
    else:
        losses = scores.new_zeros(len(offsets) - 1, scores.shape[1])
        for j, unobserved in enumerate(prepared.unobserved.T):
            target = importance * prepared.target[:, j, None] * shares[..., j]
            known = scores.masked_fill(unobserved[:, None], _NEVER)
            losses = losses + _cross_entropy(target, known, offsets, index)
    per_list = losses.mean(dim=1)
    if query_weight is None:
        return per_list.mean()
    return (query_weight * per_list).sum() / query_weight.sum().clamp_min(torch.finfo(per_list.dtype).tiny)


def _cross_entropy(target: Tensor, scores: Tensor, offsets: Tensor, index: Tensor) -> Tensor:
    """Of each list and draw, shape (q, k)."""
    log_share = scores - segment_logsumexp(scores, offsets, index).index_select(0, index)
    return -segment_sum(target * log_share, offsets)
