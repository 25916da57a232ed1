"""The one-shot objective: losses of all objectives, weighted, in one fused pass where there is one."""

from __future__ import annotations

import logging
from functools import cache
from importlib import import_module
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from hyperrank.losses._segments import (
    check_shapes,
    segment_index,
    segment_logsumexp,
    segment_sum,
    working_dtype,
)
from hyperrank.losses.base import ListLoss
from hyperrank.losses.fused.cpu import listnet_on_cpu, plackett_luce_on_cpu
from hyperrank.losses.fused.prepared import LabelRanks, ListNetTargets, Prepared, prepare

#: Documents that a program looks at together, and numbers at most: longer lists and more draws go by blocks.
BLOCK, BLOCK_NUMBERS = 256, 4096
#: More than any list is long.
ALL_RANKS = 2**31 - 1


@cache
def has_kernels() -> bool:
    """Whether Triton is there; says once in the log where it is not."""
    try:
        import_module("triton")
    except ImportError as error:
        logging.getLogger("hyperrank").warning(
            "Triton cannot be imported (%s): losses on the GPU go one objective after the other. "
            "`pip install hyperrank[gpu]` makes them faster.",
            error,
        )
        return False
    return True


def listnet_on_gpu(
    rewards: Tensor, offsets: Tensor, weights: Tensor, prepared: ListNetTargets, beta: float
) -> tuple[Tensor, Tensor]:
    """As `listnet_on_cpu`; the value is a tensor of shape (), so that nothing waits for it."""
    kernel = import_module("hyperrank.losses.fused.triton_kernels").listnet_kernel
    rewards, shape = rewards.contiguous(), _blocks(rewards.shape[1])
    shares = torch.where(prepared.has_gain[:, None], weights, 0).float().contiguous()
    losses = torch.zeros(len(offsets) - 1, device=rewards.device)
    gradient = torch.empty(rewards.shape, device=rewards.device)
    target = prepared.target.float().contiguous()
    hidden = target if prepared.unobserved is None else prepared.unobserved.contiguous().view(torch.uint8)
    if len(losses):
        kernel[(len(losses),)](
            rewards,
            target,
            hidden,
            offsets,
            shares,
            losses,
            gradient,
            beta,
            *weights.shape[1:],
            HAS_HIDDEN=prepared.unobserved is not None,
            **shape,
        )
    return losses.sum(), gradient


def plackett_luce_on_gpu(
    rewards: Tensor, offsets: Tensor, weights: Tensor, prepared: LabelRanks, beta: float
) -> tuple[Tensor, Tensor]:
    """As `plackett_luce_on_cpu`; the value is a tensor of shape (), so that nothing waits for it."""
    kernel = import_module("hyperrank.losses.fused.triton_kernels").plackett_luce_kernel
    rewards, shape = rewards.contiguous(), _blocks(rewards.shape[1])
    losses = torch.zeros(len(offsets) - 1, device=rewards.device)
    gradient = torch.zeros(rewards.shape, device=rewards.device)
    if len(losses):
        kernel[(len(losses),)](
            rewards,
            random_orders(prepared, offsets),
            prepared.n_observed.contiguous(),
            offsets,
            weights.float().contiguous(),
            torch.empty_like(gradient),
            losses,
            gradient,
            beta,
            len(rewards),
            *weights.shape[1:],
            prepared.top_k or ALL_RANKS,
            **shape,
        )
    return losses.sum(), gradient


def random_orders(prepared: LabelRanks, offsets: Tensor) -> Tensor:
    """Rows of each list by falling label, equal ones in a fresh random order, shape (m, n)."""
    device = prepared.rank.device
    begin = offsets[:-1][segment_index(offsets)]
    # In the high bits where the tied documents of a list begin, in the low ones chance.
    keys = (begin[:, None] + prepared.rank).t().contiguous() << 31
    keys |= torch.randint(0, 2**31, keys.shape, generator=prepared.generator, device=device)
    return keys.argsort(dim=1)


def _blocks(n_draws: int) -> dict[str, Any]:
    draws = 1 << max(0, n_draws - 1).bit_length()
    return {"DRAWS": draws, "BLOCK": max(16, min(BLOCK, BLOCK_NUMBERS // draws))}


def weighted_loss(
    rewards: Tensor,
    labels: Tensor,
    offsets: Tensor,
    weights: Tensor,
    *,
    loss: ListLoss,
    scale: Tensor | None = None,
    query_weight: Tensor | None = None,
    beta: float | Tensor = 1.0,
    prepared: Prepared | None = None,
) -> Tensor:
    r"""Mean over lists and draws of :math:`\sum_j w_j L_j / c_j`, the one-shot objective of HyperDPO.

    `listnet`, and `plackett_luce` with random orders of tied documents, read the rewards once for all
    objectives and make the gradient in the same pass, in memory of a few times the rewards. Other losses,
    and gradients with respect to anything but rewards and `beta`, go one objective after the other.

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
        c, what each objective's loss is divided by, so that equal weights have equal influence.
    query_weight : Tensor of shape (q,), optional
        How much each list counts.
    beta : float or Tensor, default 1
        What rewards are multiplied by first; a tensor must broadcast with them, such as one beta per draw.
    prepared : ListNetTargets or LabelRanks, optional
        What `prepare` makes of the same loss, labels and offsets: labels do not change from step to step.

    Returns
    -------
    Tensor of shape ()

    Raises
    ------
    ValueError
        If shapes do not fit.

    References
    ----------
    Ren, Xiao, Shavlovsky, Ying, Rahmanian: HyperDPO, arXiv 2410.08316.

    Examples
    --------
    >>> import torch
    >>> from hyperrank.losses import listnet
    >>> rewards, labels = torch.zeros(2, 1), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> weighted_loss(rewards, labels, torch.tensor([0, 2]), torch.tensor([[[0.5, 0.5]]]), loss=listnet)
    tensor(0.6931)
    """
    if prepared is None:
        # Lists that were prepared have been looked at; asking a GPU again in every step would make it wait.
        check_shapes(rewards, labels, offsets)
    if isinstance(beta, Tensor):
        rewards, beta = beta * rewards, 1.0
    expected = (len(offsets) - 1, rewards.shape[1], labels.shape[1])
    if tuple(weights.shape) != expected:
        raise ValueError(f"weights have shape {tuple(weights.shape)}; expected (q, k, m) = {expected}.")
    constants = (weights, scale, query_weight, labels)
    if not any(c is not None and c.requires_grad for c in constants):
        if prepared is None:
            prepared = prepare(loss, labels.to(working_dtype(rewards)), offsets)
        if prepared is not None and _is_fused_on(rewards):
            shares = _shares(weights, scale, query_weight)
            result: Tensor = _Fused.apply(rewards, offsets, shares, prepared, beta)
            return result
    losses = loss(rewards if beta == 1 else beta * rewards, labels, offsets, reduction="none")
    if scale is not None:
        losses = losses / scale
    per_list = (weights * losses).sum(dim=2).mean(dim=1)
    if query_weight is None:
        return per_list.mean()
    return (query_weight * per_list).sum() / query_weight.sum().clamp_min(torch.finfo(per_list.dtype).tiny)


def _is_fused_on(rewards: Tensor) -> bool:
    """Whether there is a fused form for the device: on GPUs by Triton, in float32."""
    if rewards.device.type == "cpu":
        return True
    return rewards.device.type == "cuda" and rewards.dtype != torch.float64 and has_kernels()


def _shares(weights: Tensor, scale: Tensor | None, query_weight: Tensor | None) -> Tensor:
    """What the loss of each list, draw and objective is multiplied by before all are summed."""
    n_lists, n_draws, _ = weights.shape
    if scale is not None:
        weights = weights / scale
    if query_weight is None:
        return weights / max(1, n_lists * n_draws)
    total = query_weight.sum().clamp_min(torch.finfo(query_weight.dtype).tiny)
    return weights * (query_weight / total / n_draws)[:, None, None]


class _Fused(torch.autograd.Function):
    """Value and gradient made together; the backward only scales what is there."""

    @staticmethod
    def forward(  # type: ignore[no-untyped-def]
        ctx, rewards: Tensor, offsets: Tensor, shares: Tensor, prepared: Prepared, beta: float
    ) -> Tensor:
        """The weighted sum, as a tensor of shape ()."""
        on_cpu = rewards.device.type == "cpu"
        value: float | Tensor
        if isinstance(prepared, ListNetTargets):
            listnet = listnet_on_cpu if on_cpu else listnet_on_gpu
            value, gradient = listnet(rewards, offsets, shares, prepared, beta)
        else:
            plackett_luce = plackett_luce_on_cpu if on_cpu else plackett_luce_on_gpu
            value, gradient = plackett_luce(rewards, offsets, shares, prepared, beta)
        ctx.save_for_backward(gradient)
        ctx.dtype = rewards.dtype
        return value if isinstance(value, Tensor) else gradient.new_tensor(value)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[no-untyped-def]
        """The gradient times what comes in."""
        (gradient,) = ctx.saved_tensors
        return (gradient * grad).to(ctx.dtype), None, None, None, None


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
    per_list = losses.mean(dim=1)
    if query_weight is None:
        return per_list.mean()
    return (query_weight * per_list).sum() / query_weight.sum().clamp_min(torch.finfo(per_list.dtype).tiny)


def _cross_entropy(target: Tensor, scores: Tensor, offsets: Tensor, index: Tensor) -> Tensor:
    """Of each list and draw, shape (q, k)."""
    log_share = scores - segment_logsumexp(scores, offsets, index).index_select(0, index)
    return -segment_sum(target * log_share, offsets)
