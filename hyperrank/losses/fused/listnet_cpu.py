"""ListNet of all objectives and its gradient, block by block on a CPU.

With targets p^j and weights w_j, the sum over objectives of one list and draw collapses to

    sum_j w_j (logsumexp(r) - sum_i p^j_i r_i) = a logsumexp(r) - sum_i t_i r_i,
    a = sum_j w_j [list has gain], t = sum_j w_j p^j

whose gradient is a softmax(r) - t: one softmax, however many objectives there are. Objectives with
unobserved documents have a softmax of their own, over the others.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hyperrank.losses.arguments import working_dtype
from hyperrank.losses.blocks import BLOCK_ELEMENTS, list_blocks
from hyperrank.losses.fused.prepared import ListNetTargets

__all__ = ["listnet_on_cpu"]

Floats = NDArray[np.floating[Any]]

#: Rewards up to here need no shift: their exponentials, and sums of those, are far from any limit of float32.
SAFE = 30.0


@np.errstate(invalid="ignore", over="ignore", divide="ignore")
def listnet_on_cpu(
    rewards: Tensor, offsets: Tensor, weights: Tensor, prepared: ListNetTargets, beta: float
) -> tuple[float, Tensor]:
    """Weighted sum over lists, draws and objectives of ListNet on beta times the rewards, and its gradient.

    Parameters
    ----------
    rewards : Tensor of shape (n, k)
    offsets : Tensor of shape (q + 1,), int64
    weights : Tensor of shape (q, k, m)
        What each loss is multiplied by.
    prepared : ListNetTargets
    beta : float

    Returns
    -------
    float
    Tensor of shape (n, k)
        In float64 for rewards in float64, otherwise in float32.
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
        value, slope = _block(block, target, share, sizes, hidden)
        total += value
        if beta != 1:
            slope *= dtype_of(slope, beta)
        gradient.numpy()[rows] = slope.T
    return total, gradient


def dtype_of(like: Floats, value: float) -> Any:
    """A number of the type of an array."""
    return like.dtype.type(value)


def _block(
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
    value, slope = 0.0, np.zeros_like(rewards)
    if not has_hidden.all():
        value, factor = _log_sums(exponentials, share[~has_hidden].sum(axis=0), starts)
        np.multiply(exponentials, np.repeat(factor, sizes, axis=1), out=slope)
    for j in np.flatnonzero(has_hidden).tolist():
        assert hidden is not None
        left, shift = _of_observed(rewards, exponentials, hidden[:, j], starts, sizes, is_safe)
        more, factor = _log_sums(left, share[j], starts)
        value += more + float((share[j] * shift).sum())
        slope += left * np.repeat(factor, sizes, axis=1)
    wanted = np.zeros_like(rewards)
    for j in range(len(share)):
        part = np.repeat(share[j], sizes, axis=1)
        part *= target[j]
        wanted += part
    slope -= wanted
    return value - float(np.vdot(wanted, rewards)), slope


def _log_sums(exponentials: Floats, share: Floats, starts: NDArray[np.int64]) -> tuple[float, Floats]:
    """Weighted sum of the lists' log-sum-exps, and what their exponentials are multiplied by in its slope."""
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
