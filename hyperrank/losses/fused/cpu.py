"""ListNet of all objectives and its gradient, block by block on a CPU.

With targets p^j and weights w_j, the sum over objectives of one list and draw collapses to

    sum_j w_j (logsumexp(r) - sum_i p^j_i r_i) = a logsumexp(r) - sum_i t_i r_i,
    a = sum_j w_j [list has gain], t = sum_j w_j p^j

whose gradient is a softmax(r) - t: one softmax, however many objectives there are. Objectives with
unobserved documents have a softmax of their own, over the others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hyperrank.losses._segments import BLOCK_ELEMENTS, SizeBlock, list_blocks, size_blocks, working_dtype
from hyperrank.losses.fused.prepared import LabelRanks, ListNetTargets

Floats = NDArray[np.floating[Any]]

#: Rewards up to here need no shift: their exponentials, and sums of those, are far from any limit of float32.
SAFE = 30.0


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
    shares = weights.to(dtype).numpy()
    has_gain = prepared.has_gain.numpy()
    for first, last in list_blocks(bounds, max(1, BLOCK_ELEMENTS // max(1, rewards.shape[1]))):
        rows = slice(int(bounds[first]), int(bounds[last]))
        sizes = np.diff(bounds[first : last + 1])
        some: slice | NDArray[np.int64] = slice(first, last)
        if not sizes.all():
            some, sizes = first + np.flatnonzero(sizes), sizes[sizes > 0]
            if not len(sizes):
                continue
        # One row per draw: sums, maxima and repetitions of lists then run along memory.
        block = np.ascontiguousarray(rewards[rows].to(dtype).numpy().T)
        if beta != 1:
            block = block * dtype_of(block, beta)
        target = np.ascontiguousarray(prepared.target[rows].to(dtype).numpy().T)
        hidden = None if prepared.unobserved is None else prepared.unobserved[rows].numpy()
        share = np.where(has_gain[some, None], shares[some], 0).transpose(2, 1, 0)  # (m, k, q)
        value, block_gradient = _listnet_block(block, target, share, sizes, hidden)
        total += value
        if beta != 1:
            block_gradient *= dtype_of(block_gradient, beta)
        gradient.numpy()[rows] = block_gradient.T
    return total, gradient


def dtype_of(like: Floats, value: float) -> Any:
    """A number of the type of an array."""
    return like.dtype.type(value)


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


#: Rewards of a list up to so far apart do the same in float64, once the highest is at 0.
SAFE_SPREAD = 600.0


@dataclass(frozen=True)
class _Ranked:
    """Rewards of a block from last rank to first, shape (b, m, k, longest), and which of them count.

    `is_out` marks places without an observed document, `is_unpicked` also those after the first K ranks; both
    have shape (b, m, 1, longest), and are None where there are none.
    """

    rewards: Tensor
    is_out: Tensor | None
    is_unpicked: Tensor | None


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
    is_out, is_unpicked = _left_out(prepared, torch.from_numpy(block.lists), rows.shape[1])
    ranked = _Ranked(rewards[:, None].expand(shape).gather(3, places), is_out, is_unpicked)
    losses, gradients = _how_to_sum(rewards)(ranked)
    gradients *= share[:, :, :, None]
    gradient = torch.zeros_like(rewards)
    for j in range(n_objectives):
        gradient.scatter_add_(2, places[:, j], gradients[:, j])
    return float(torch.dot(share.reshape(-1), losses.view(-1))), gradient


def _left_out(prepared: LabelRanks, lists: Tensor, longest: int) -> tuple[Tensor | None, Tensor | None]:
    """Places without an observed document, and places that are not picked; None for none."""
    n_observed = prepared.n_observed[lists][:, :, None, None]
    rank = torch.arange(longest - 1, -1, -1, dtype=torch.int32)
    is_out = None if int(n_observed.min()) == longest else rank >= n_observed
    if prepared.top_k is None or prepared.top_k >= longest:
        return is_out, is_out
    return is_out, rank >= n_observed.clamp(max=prepared.top_k)


def _how_to_sum(rewards: Tensor) -> Callable[[_Ranked], tuple[Tensor, Tensor]]:
    """The cheapest way to sum exponentials of these rewards without loss of digits."""
    least, largest = (float(end) for end in rewards.aminmax())
    if max(-least, largest) <= SAFE:
        return _plain_sums
    if (rewards.amax(dim=-1) - rewards.amin(dim=-1)).max() <= SAFE_SPREAD:
        return _shifted_sums
    return _sums_of_logs


def _plain_sums(ranked: _Ranked) -> tuple[Tensor, Tensor]:
    """Losses (b, m, k) and gradients (b, m, k, longest), the exponentials as they are."""
    masses = ranked.rewards.exp()
    if ranked.is_out is not None:
        masses.masked_fill_(ranked.is_out, 0)
    left = masses.cumsum(dim=-1)
    if ranked.is_unpicked is None:
        losses = left.log().sub_(ranked.rewards).sum(dim=-1)
        heads = left.reciprocal_().flip(-1).cumsum_(dim=-1).flip(-1)
        return losses, masses.mul_(heads).sub_(1)
    losses = left.log().sub_(ranked.rewards).masked_fill_(ranked.is_unpicked, 0).sum(dim=-1)
    heads = left.reciprocal_().masked_fill_(ranked.is_unpicked, 0).flip(-1).cumsum_(dim=-1).flip(-1)
    return losses, masses.mul_(heads).sub_((~ranked.is_unpicked).to(masses.dtype))


def _shifted_sums(ranked: _Ranked) -> tuple[Tensor, Tensor]:
    """The same with the highest reward of each list at 0, in float64."""
    rewards = ranked.rewards.double()
    rewards -= rewards.amax(dim=-1, keepdim=True)
    losses, gradients = _plain_sums(_Ranked(rewards, ranked.is_out, ranked.is_unpicked))
    return losses.to(ranked.rewards.dtype), gradients.to(ranked.rewards.dtype)


def _sums_of_logs(ranked: _Ranked) -> tuple[Tensor, Tensor]:
    """The same with running sums in log space: slow, and right however far rewards are apart."""
    rewards = ranked.rewards.double()
    rewards -= rewards.amax(dim=-1, keepdim=True)
    nowhere = torch.zeros(rewards.shape[-1], dtype=torch.bool)
    is_out = nowhere if ranked.is_out is None else ranked.is_out
    is_unpicked = nowhere if ranked.is_unpicked is None else ranked.is_unpicked
    left = rewards.masked_fill(is_out, -torch.inf).logcumsumexp(dim=-1)
    losses = (left - rewards).masked_fill(is_unpicked, 0).sum(dim=-1)
    heads = (-left).masked_fill(is_unpicked, -torch.inf).flip(-1).logcumsumexp(dim=-1).flip(-1)
    gradients = torch.exp(rewards + heads).masked_fill(is_out, 0) - (~is_unpicked).to(rewards.dtype)
    return losses.to(ranked.rewards.dtype), gradients.to(ranked.rewards.dtype)
