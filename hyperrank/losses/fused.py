"""The weighted loss of all objectives with its gradient in one pass over the scores.

With targets p^j and weights w_j, ListNet's sum over objectives of one list and draw collapses to

    sum_j w_j (logsumexp(r) - sum_i p^j_i r_i) = a logsumexp(r) - sum_i t_i r_i,
    a = sum_j w_j [list has gain], t = sum_j w_j p^j

whose gradient is a softmax(r) - t: one softmax, however many objectives there are. Objectives with
unobserved documents have a softmax of their own, over the others.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from hyperrank.losses._segments import (
    BLOCK_ELEMENTS,
    SizeBlock,
    check_shapes,
    list_blocks,
    segment_index,
    segment_sum,
    size_blocks,
    working_dtype,
)
from hyperrank.losses.base import ListLoss, Loss
from hyperrank.losses.listnet import listnet, target_distribution
from hyperrank.losses.plackett_luce import label_order, plackett_luce, tie_groups

Floats = NDArray[np.floating[Any]]


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
        device = rewards.device.type  # on GPUs the fused form is Triton's, in float32
        on_gpu = device == "cuda" and rewards.dtype != torch.float64
        if prepared is not None and (device == "cpu" or (on_gpu and has_kernels())):
            shares = _shares(weights, scale, query_weight)
            result: Tensor = _Fused.apply(rewards, offsets, shares, prepared, beta)
            return result
    losses = loss(rewards if beta == 1 else beta * rewards, labels, offsets, reduction="none")
    if scale is not None:
        losses = losses / scale
    return mean_over_lists((weights * losses).sum(dim=2).mean(dim=1), query_weight)


def mean_over_lists(per_list: Tensor, query_weight: Tensor | None) -> Tensor:
    """Mean of losses (q,), weighted by query."""
    if query_weight is None:
        return per_list.mean()
    return (query_weight * per_list).sum() / query_weight.sum().clamp_min(torch.finfo(per_list.dtype).tiny)


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
        on_gpu = rewards.device.type != "cpu"
        gpu: Any = import_module("hyperrank.losses.triton_kernels") if on_gpu else None
        value: float | Tensor
        if isinstance(prepared, ListNetTargets):
            listnet = gpu.listnet_on_gpu if on_gpu else listnet_on_cpu
            value, gradient = listnet(rewards, offsets, shares, prepared, beta)
        else:
            plackett_luce = gpu.plackett_luce_on_gpu if on_gpu else plackett_luce_on_cpu
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


@dataclass(frozen=True)
class ListNetTargets:
    """Target distributions of ListNet: each document's share (n, m) in its list's gain, 0 where unobserved.

    `has_gain` (q, m) is False for lists without gain; `unobserved` (n, m) is None if no label is NaN.
    """

    target: Tensor
    has_gain: Tensor
    unobserved: Tensor | None

    def take(self, rows: Tensor, lists: Tensor) -> ListNetTargets:
        """Those of some lists, with their rows."""
        unobserved = None if self.unobserved is None else self.unobserved[rows]
        return ListNetTargets(self.target[rows], self.has_gain[lists], unobserved)


@dataclass(frozen=True)
class LabelRanks:
    """Ranks of documents by falling label, for Plackett-Luce with random orders of tied documents.

    `rank` (n, m) counts observed documents of the same list with a higher label, all of them for unobserved
    ones; `n_observed` (q, m) those with a label. `generator` draws the orders of the first `top_k` ranks.
    """

    rank: Tensor
    n_observed: Tensor
    top_k: int | None
    generator: torch.Generator | None

    def take(self, rows: Tensor, lists: Tensor) -> LabelRanks:
        """Those of some lists, with their rows."""
        return LabelRanks(self.rank[rows], self.n_observed[lists], self.top_k, self.generator)


Prepared = ListNetTargets | LabelRanks


def prepare(loss: Callable[..., Tensor], labels: Tensor, offsets: Tensor) -> Prepared | None:
    """Prepare labels for the fused form of a loss.

    Parameters
    ----------
    loss : callable
        A loss such as `listnet`, or a `functools.partial` of one with some of its options.
    labels : Tensor of shape (n, m)
        Labels; NaN where unobserved.
    offsets : Tensor of shape (q + 1,), int64
        Where each list begins, and the end of the last.

    Returns
    -------
    ListNetTargets, LabelRanks or None
        None for a loss without a fused form.

    Examples
    --------
    >>> import torch
    >>> from hyperrank.losses import listnet
    >>> prepare(listnet, torch.tensor([[1.0], [2.0], [0.0]]), torch.tensor([0, 3])).target.T
    tensor([[0.2500, 0.7500, 0.0000]])
    """
    function, options = _unbound(loss)
    if function is listnet and set(options) <= {"gain"}:
        return _targets(labels, offsets, options.get("gain", "exp2"))
    if function is plackett_luce and set(options) <= {"top_k", "ties", "generator"}:
        top_k = options.get("top_k")
        if options.get("ties", "random") == "random" and (top_k is None or top_k >= 1):
            rank, n_observed = label_ranks(labels, offsets)
            return LabelRanks(rank, n_observed, top_k, options.get("generator"))
    return None


def _unbound(loss: Callable[..., Tensor]) -> tuple[Callable[..., Tensor], dict[str, Any]]:
    """A loss, and the options that are bound to it by name."""
    if isinstance(loss, Loss):
        return type(loss).function, loss.get_params()
    if isinstance(loss, partial) and not loss.args:
        function, options = _unbound(loss.func)
        return function, {**options, **loss.keywords}
    return loss, {}


def _targets(labels: Tensor, offsets: Tensor, gain: str) -> ListNetTargets:
    if labels.device.type == "cpu":  # in blocks, which need no room beside the result
        target = torch.empty_like(labels)
        bounds = offsets.numpy()
        for first, last in list_blocks(bounds, BLOCK_ELEMENTS):
            begin, end = bounds[first], bounds[last]
            target[begin:end] = target_distribution(
                labels[begin:end], offsets[first : last + 1] - offsets[first], gain=gain
            )
    else:
        target = target_distribution(labels, offsets, gain=gain)
    has_gain = segment_sum(target, offsets) > 0.5  # sums are 0 or 1
    unobserved = torch.isnan(labels)
    return ListNetTargets(target, has_gain, unobserved if bool(unobserved.any()) else None)


def label_ranks(labels: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
    """Rank and number of observed documents, as `LabelRanks` has them."""
    unobserved = torch.isnan(labels)
    n_observed = segment_sum((~unobserved).to(torch.float64), offsets).to(torch.int32)
    rank = torch.empty(labels.shape, dtype=torch.int32, device=labels.device)
    columns = labels.masked_fill(unobserved, -torch.inf).T
    if labels.device.type == "cpu":  # sorting lists of a block side by side is two to three times as fast
        for block in size_blocks(offsets.numpy()):
            for j, column in enumerate(columns.numpy()):
                rank[:, j].numpy()[block.rows[block.is_row]] = _block_ranks(column, block)[block.is_row]
        return rank, n_observed
    starts = offsets[:-1][segment_index(offsets)]
    for j, column in enumerate(columns):
        order = label_order(column, offsets)
        groups, _ = tie_groups(column[order], offsets)
        begins = torch.repeat_interleave(groups[:-1], groups.diff())
        rank[order, j] = (begins - starts).to(torch.int32)
    return rank, n_observed


def _block_ranks(labels: Floats, block: SizeBlock) -> NDArray[np.int32]:
    """How many labels of the same list are higher, shape (b, longest); what fills up counts as lowest."""
    keys = np.where(block.is_row, -labels[block.rows], np.inf)
    order = np.argsort(keys, axis=1)
    rising = np.take_along_axis(keys, order, axis=1)
    begins = np.zeros(keys.shape, dtype=np.int32)
    begins[:, 1:] = np.where(rising[:, 1:] != rising[:, :-1], np.arange(1, keys.shape[1]), 0)
    ranks = np.empty_like(begins)
    np.put_along_axis(ranks, order, np.maximum.accumulate(begins, axis=1), axis=1)
    return ranks


#: Rewards up to here need no shift: their exponentials, and sums of those, are far from any limit of float32.
SAFE = 30.0
#: Rewards of a list up to so far apart do the same in float64, once the highest is at 0.
SAFE_SPREAD = 600.0


@np.errstate(invalid="ignore", over="ignore", divide="ignore")
def listnet_on_cpu(
    rewards: Tensor, offsets: Tensor, weights: Tensor, prepared: ListNetTargets, beta: float
) -> tuple[float, Tensor]:
    """Weighted sum of ListNet on beta times rewards (n, k), and its gradient (n, k); weights (q, k, m).

    The gradient is float64 for rewards in float64, otherwise float32.
    """
    dtype = working_dtype(rewards)
    gradient = torch.empty(rewards.shape, dtype=dtype)
    bounds, total = offsets.numpy(), 0.0
    shares = np.where(prepared.has_gain.numpy()[:, None], weights.to(dtype).numpy(), 0)
    is_empty = bounds[1:] == bounds[:-1]
    if is_empty.any():
        bounds, shares = np.append(bounds[:-1][~is_empty], bounds[-1:]), shares[~is_empty]
    for first, last in list_blocks(bounds, max(1, BLOCK_ELEMENTS // max(1, rewards.shape[1]))):
        rows = slice(int(bounds[first]), int(bounds[last]))
        # One row per draw: sums, maxima and repetitions of lists then run along memory.
        block = np.ascontiguousarray(rewards[rows].to(dtype).numpy().T)
        if beta != 1:
            block = block * beta
        target = np.ascontiguousarray(prepared.target[rows].to(dtype).numpy().T)
        hidden = None if prepared.unobserved is None else prepared.unobserved[rows].numpy()
        share = shares[first:last].transpose(2, 1, 0)  # (m, k, q)
        sizes = np.diff(bounds[first : last + 1])
        value, block_gradient = _listnet_block(block, target, share, sizes, hidden)
        total += value
        if beta != 1:
            block_gradient *= beta
        gradient.numpy()[rows] = block_gradient.T
    return total, gradient


def _listnet_block(
    rewards: Floats, target: Floats, share: Floats, sizes: NDArray[np.int64], hidden: NDArray[np.bool_] | None
) -> tuple[float, Floats]:
    """Value and gradient (k, rows) of some lists, none of them empty.

    `share` has shape (m, k, lists), `target` (m, rows) and `hidden`, the unobserved, (rows, m).
    """
    starts = np.cumsum(sizes) - sizes
    has_hidden = np.zeros(len(share), dtype=bool) if hidden is None else hidden.any(axis=0)
    is_safe = float(np.abs(rewards).max()) <= SAFE
    if not is_safe:
        # Shifts do not change the loss; with the highest at 0, nothing overflows or loses digits.
        rewards = rewards - np.repeat(np.maximum.reduceat(rewards, starts, axis=1), sizes, axis=1)
    exponentials = np.exp(rewards)
    value, gradient = 0.0, np.zeros_like(rewards)
    if not has_hidden.all():
        value, factor = _log_sums(exponentials, share[~has_hidden].sum(axis=0), starts)
        np.multiply(exponentials, np.repeat(factor, sizes, axis=1), out=gradient)
    for j in np.flatnonzero(has_hidden).tolist():
        assert hidden is not None
        left, shift = _of_observed(rewards, exponentials, hidden[:, j], starts, sizes, is_safe)
        more, factor = _log_sums(left, share[j], starts)
        value += more + float((share[j] * shift).sum())
        gradient += left * np.repeat(factor, sizes, axis=1)
    weighted_target = np.zeros_like(rewards)
    for j in range(len(share)):
        part = np.repeat(share[j], sizes, axis=1)
        part *= target[j]
        weighted_target += part
    gradient -= weighted_target
    return value - float(np.vdot(weighted_target, rewards)), gradient


def _log_sums(exponentials: Floats, share: Floats, starts: NDArray[np.int64]) -> tuple[float, Floats]:
    """Weighted sum of the lists' log-sum-exps, and factors of exponentials in its gradient."""
    if len(starts) == 1:
        # A long list is summed in pairs of its own; `reduceat` would add one after the other.
        sums = exponentials.sum(axis=1, keepdims=True)
    else:
        sums = np.add.reduceat(exponentials, starts, axis=1)
    counts = share != 0
    safe = np.where(counts, sums, 1)
    return float(np.vdot(share, np.log(safe).astype(share.dtype))), np.where(counts, share / safe, 0)


def _of_observed(
    rewards: Floats,
    exponentials: Floats,
    hidden: NDArray[np.bool_],
    starts: NDArray[np.int64],
    sizes: NDArray[np.int64],
    is_safe: bool,
) -> tuple[Floats, Any]:
    """Exponentials of the observed documents, and the lists' shifts that they are to be read with."""
    if is_safe:
        return np.where(hidden, 0, exponentials), 0.0
    # The highest of the list may be hidden, and the others so far below that their exponentials are 0.
    left = np.where(hidden, -np.inf, rewards)
    top = np.maximum.reduceat(left, starts, axis=1)
    top = np.where(np.isneginf(top), 0, top)
    return np.exp(left - np.repeat(top, sizes, axis=1)), top


def plackett_luce_on_cpu(
    rewards: Tensor, offsets: Tensor, weights: Tensor, prepared: LabelRanks, beta: float
) -> tuple[float, Tensor]:
    """Weighted sum of Plackett-Luce on beta times rewards (n, k), and its gradient, as `listnet_on_cpu`."""
    dtype = working_dtype(rewards)
    n_draws, n_objectives = weights.shape[1:]
    # One row more, for what stands in places that only fill up.
    gradient = torch.empty((len(rewards) + 1, n_draws), dtype=dtype)
    shares, total = weights.to(dtype).transpose(1, 2), 0.0
    for block in size_blocks(offsets.numpy(), n_draws * n_objectives):
        rows = torch.from_numpy(block.rows)
        flat = rewards.index_select(0, rows.view(-1)).to(dtype)
        if beta != 1:
            flat = flat * beta
        by_draw = np.ascontiguousarray(flat.view(*rows.shape, n_draws).numpy().transpose(0, 2, 1))
        share = shares[torch.from_numpy(block.lists)]
        value, block_gradient = _plackett_luce_block(torch.from_numpy(by_draw), block, rows, share, prepared)
        total += value
        by_row = np.ascontiguousarray(block_gradient.numpy().transpose(0, 2, 1)).reshape(-1, n_draws)
        target = (
            rows if block.is_row.all() else rows.masked_fill(~torch.from_numpy(block.is_row), len(rewards))
        )
        gradient.index_copy_(0, target.view(-1), torch.from_numpy(by_row))
    if beta != 1:
        gradient *= beta
    return total, gradient[:-1]


def _plackett_luce_block(
    rewards: Tensor, block: SizeBlock, rows: Tensor, share: Tensor, prepared: LabelRanks
) -> tuple[float, Tensor]:
    """Value and gradient (b, k, longest) of a block, all objectives; `share` has shape (b, m, k)."""
    n_lists, n_objectives, n_draws = share.shape
    # Labels decide, and among equal ones chance; falling keys, so that the first rank comes last.
    keys = torch.rand((*rows.shape, n_objectives), generator=prepared.generator, dtype=torch.float64)
    keys += prepared.rank[rows]
    keys.neg_()
    if not block.is_row.all():
        keys.masked_fill_(~torch.from_numpy(block.is_row)[:, :, None], -torch.inf)
    order = torch.from_numpy(np.argsort(np.ascontiguousarray(keys.numpy().transpose(0, 2, 1)), axis=2))
    shape = (n_lists, n_objectives, n_draws, rows.shape[1])
    places = order[:, :, None].expand(shape)
    out, unpicked = _left_out(prepared, torch.from_numpy(block.lists), rows.shape[1])
    least, largest = (float(end) for end in rewards.aminmax())
    sums = _plain_sums if max(-least, largest) <= SAFE else _shifted_sums
    losses, gradients = sums(rewards[:, None].expand(shape).gather(3, places), out, unpicked)
    gradients *= share[:, :, :, None]
    gradient = torch.zeros_like(rewards)
    for j in range(n_objectives):
        gradient.scatter_add_(2, places[:, j], gradients[:, j])
    return float(torch.dot(share.reshape(-1), losses.view(-1))), gradient


def _left_out(prepared: LabelRanks, lists: Tensor, longest: int) -> tuple[Tensor | None, Tensor | None]:
    """Places without an observed document, and also those after the first K ranks; None for none.

    Both have shape (b, m, 1, longest), from last rank to first.
    """
    n_observed = prepared.n_observed[lists][:, :, None, None]
    rank = torch.arange(longest - 1, -1, -1, dtype=torch.int32)
    is_out = None if int(n_observed.min()) == longest else rank >= n_observed
    if prepared.top_k is None or prepared.top_k >= longest:
        return is_out, is_out
    return is_out, rank >= n_observed.clamp(max=prepared.top_k)


def _plain_sums(rewards: Tensor, out: Tensor | None, unpicked: Tensor | None) -> tuple[Tensor, Tensor]:
    """Losses (b, m, k) and gradients of ranked rewards (b, m, k, longest), the exponentials as they are."""
    masses = _fill(rewards.exp(), out, 0)
    left = masses.cumsum(dim=-1)
    losses = _fill(left.log().sub_(rewards), unpicked, 0).sum(dim=-1)
    heads = _fill(left.reciprocal_(), unpicked, 0).flip(-1).cumsum_(dim=-1).flip(-1)
    return losses, masses.mul_(heads).sub_(1 if unpicked is None else (~unpicked).to(masses.dtype))


def _shifted_sums(rewards: Tensor, out: Tensor | None, unpicked: Tensor | None) -> tuple[Tensor, Tensor]:
    """The same in float64 with the highest reward of each list at 0, however large the rewards are."""
    shifted = rewards.double()
    shifted -= shifted.amax(dim=-1, keepdim=True)
    sums = _plain_sums if shifted.min() >= -SAFE_SPREAD else _sums_of_logs
    losses, gradients = sums(shifted, out, unpicked)
    return losses.to(rewards.dtype), gradients.to(rewards.dtype)


def _sums_of_logs(rewards: Tensor, out: Tensor | None, unpicked: Tensor | None) -> tuple[Tensor, Tensor]:
    """The same with running sums in log space: slow, and right however far rewards are apart."""
    left = _fill(rewards.clone(), out, -torch.inf).logcumsumexp(dim=-1)
    losses = _fill(left - rewards, unpicked, 0).sum(dim=-1)
    heads = _fill(-left, unpicked, -torch.inf).flip(-1).logcumsumexp(dim=-1).flip(-1)
    gradients = _fill(torch.exp(rewards + heads), out, 0)
    return losses, gradients.sub_(1 if unpicked is None else (~unpicked).to(rewards.dtype))


def _fill(values: Tensor, mask: Tensor | None, value: float) -> Tensor:
    return values if mask is None else values.masked_fill_(mask, value)
