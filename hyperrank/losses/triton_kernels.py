"""Fused losses on a GPU by Triton: one program per list, long lists by blocks."""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from hyperrank.losses._segments import segment_index
from hyperrank.losses.fused import LabelRanks, ListNetTargets

#: Documents that a program looks at together, and numbers at most: longer lists and more draws go by blocks.
BLOCK, BLOCK_NUMBERS = 256, 4096
#: More than any list is long.
ALL_RANKS = 2**31 - 1


@triton.jit
def _log_sum(
    rewards,
    hidden,
    begin,
    end,
    beta,
    n_draws,
    n_objectives,
    objective,
    HAS_HIDDEN: tl.constexpr,
    BLOCK: tl.constexpr,
    DRAWS: tl.constexpr,
):
    """Highest reward of a list per draw, and the log of the summed exponentials below it."""
    columns, place = tl.arange(0, DRAWS), tl.arange(0, BLOCK)
    top = tl.full((DRAWS,), float("-inf"), tl.float32)
    total = tl.zeros((DRAWS,), tl.float32)
    for at in range(begin, end, BLOCK):
        rows = at + place
        left = rows < end
        if HAS_HIDDEN:
            left = left & (tl.load(hidden + rows * n_objectives + objective, mask=left, other=1) == 0)
        mask = left[:, None] & (columns < n_draws)[None, :]
        x = tl.load(rewards + rows[:, None] * n_draws + columns[None, :], mask=mask, other=0.0)
        x = tl.where(mask, x.to(tl.float32) * beta, float("-inf"))
        higher = tl.maximum(top, tl.max(x, axis=0))
        safe = tl.where(higher == float("-inf"), 0.0, higher)
        total = total * tl.exp(top - safe) + tl.sum(tl.exp(x - safe[None, :]), axis=0)
        top = higher
    return tl.where(top == float("-inf"), 0.0, top), tl.log(tl.where(total == 0.0, 1.0, total))


@triton.jit
def listnet_kernel(
    rewards,
    target,
    hidden,
    offsets,
    shares,
    losses,
    gradient,
    beta,
    n_draws,
    n_objectives,
    HAS_HIDDEN: tl.constexpr,
    BLOCK: tl.constexpr,
    DRAWS: tl.constexpr,
):
    """Losses (q,) and gradient (n, k) of beta times the rewards; `shares` is 0 where a list has no gain."""
    number = tl.program_id(0).to(tl.int64)
    begin, end = tl.load(offsets + number), tl.load(offsets + number + 1)
    columns, place = tl.arange(0, DRAWS), tl.arange(0, BLOCK)
    is_draw = columns < n_draws
    share_at = shares + (number * n_draws + columns) * n_objectives
    loss = tl.zeros((DRAWS,), tl.float32)
    weight = tl.zeros((DRAWS,), tl.float32)
    for j in range(n_objectives):
        weight += tl.load(share_at + j, mask=is_draw, other=0.0)
    top, log_total = _log_sum(
        rewards, hidden, begin, end, beta, n_draws, n_objectives, 0, False, BLOCK, DRAWS
    )
    if not HAS_HIDDEN:
        loss += weight * log_total
    for at in range(begin, end, BLOCK):
        rows = at + place
        left = rows < end
        mask = left[:, None] & is_draw[None, :]
        cells = rows[:, None] * n_draws + columns[None, :]
        x = tl.load(rewards + cells, mask=mask, other=0.0).to(tl.float32) * beta
        # Below the highest reward differences are exact, however far from 0 all of them are.
        x = tl.where(mask, x - top[None, :], 0.0)
        weighted_target = tl.zeros((BLOCK, DRAWS), tl.float32)
        for j in range(n_objectives):
            share = tl.load(share_at + j, mask=is_draw, other=0.0)
            part = tl.load(target + rows * n_objectives + j, mask=left, other=0.0)
            weighted_target += part[:, None] * share[None, :]
        loss -= tl.sum(weighted_target * x, axis=0)
        slope = -weighted_target
        if not HAS_HIDDEN:
            slope += weight[None, :] * tl.exp(x - log_total[None, :])
        tl.store(gradient + cells, beta * slope, mask=mask)
    if HAS_HIDDEN:
        for j in range(n_objectives):
            share = tl.load(share_at + j, mask=is_draw, other=0.0)
            highest, log_left = _log_sum(
                rewards, hidden, begin, end, beta, n_draws, n_objectives, j, True, BLOCK, DRAWS
            )
            loss += share * (highest - top + log_left)
            for at in range(begin, end, BLOCK):
                rows = at + place
                left = rows < end
                left = left & (tl.load(hidden + rows * n_objectives + j, mask=left, other=1) == 0)
                mask = left[:, None] & is_draw[None, :]
                cells = rows[:, None] * n_draws + columns[None, :]
                x = tl.load(rewards + cells, mask=mask, other=0.0).to(tl.float32) * beta
                slope = share[None, :] * tl.exp(tl.where(mask, x - highest[None, :], 0.0) - log_left[None, :])
                before = tl.load(gradient + cells, mask=mask, other=0.0)
                tl.store(gradient + cells, before + beta * slope, mask=mask)
    tl.store(losses + number, tl.sum(tl.where(is_draw, loss, 0.0), axis=0))


@triton.jit
def _join(top, total, other_top, other_total):
    """The sum of two sums, each with its exponent."""
    higher = tl.maximum(top, other_top)
    safe = tl.where(higher == float("-inf"), 0.0, higher)
    return higher, total * tl.exp(top - safe) + other_total * tl.exp(other_top - safe)


@triton.jit
def _running(x, top, total):
    """Logs of running sums of exp(x) down a block after what came before, and what comes before the next."""
    tops, totals = tl.associative_scan((x, tl.where(x == float("-inf"), 0.0, 1.0)), 0, _join)
    tops, totals = _join(tops, totals, top[None, :], total[None, :])
    highest = tl.max(x, axis=0)
    safe = tl.where(highest == float("-inf"), 0.0, highest)
    top, total = _join(top, total, highest, tl.sum(tl.exp(x - safe[None, :]), axis=0))
    return tops + tl.log(tl.where(totals == 0.0, 1.0, totals)), top, total


@triton.jit
def plackett_luce_kernel(
    rewards,
    order,
    n_observed,
    offsets,
    shares,
    tails,
    losses,
    gradient,
    beta,
    n_rows,
    n_draws,
    n_objectives,
    top_k,
    BLOCK: tl.constexpr,
    DRAWS: tl.constexpr,
):
    """Losses (q,) and gradient (n, k), which must be 0 before, of beta times the rewards.

    `order` (m, n) has each list's rows by rank, the unobserved last; `tails` (n, k) is room to work in.
    """
    number = tl.program_id(0).to(tl.int64)
    begin, end = tl.load(offsets + number), tl.load(offsets + number + 1)
    columns, place = tl.arange(0, DRAWS), tl.arange(0, BLOCK)
    is_draw = columns < n_draws
    loss = tl.zeros((DRAWS,), tl.float32)
    highest = tl.full((DRAWS,), float("-inf"), tl.float32)
    for at in range(begin, end, BLOCK):
        mask = (at + place < end)[:, None] & is_draw[None, :]
        cells = (at + place)[:, None] * n_draws + columns[None, :]
        x = tl.load(rewards + cells, mask=mask, other=0.0).to(tl.float32) * beta
        highest = tl.maximum(highest, tl.max(tl.where(mask, x, float("-inf")), axis=0))
    highest = tl.where(highest == float("-inf"), 0.0, highest)
    for j in range(n_objectives):
        share = tl.load(shares + (number * n_draws + columns) * n_objectives + j, mask=is_draw, other=0.0)
        size = tl.load(n_observed + number * n_objectives + j)
        rows_at = order + j * n_rows + begin
        top = tl.full((DRAWS,), float("-inf"), tl.float32)
        total = tl.zeros((DRAWS,), tl.float32)
        for done in range(0, size, BLOCK):
            rank = size - 1 - done - place
            mask = (rank >= 0)[:, None] & is_draw[None, :]
            rows = tl.load(rows_at + rank, mask=rank >= 0, other=0)
            x = tl.load(rewards + rows[:, None] * n_draws + columns[None, :], mask=mask, other=0.0)
            x = tl.where(mask, x.to(tl.float32) * beta - highest[None, :], float("-inf"))
            left, top, total = _running(x, top, total)
            is_picked = mask & (rank < top_k)[:, None]
            loss += share * tl.sum(tl.where(is_picked, left, 0.0) - tl.where(is_picked, x, 0.0), axis=0)
            tl.store(tails + (begin + rank)[:, None] * n_draws + columns[None, :], left, mask=mask)
        # Other threads of this program read what these have written.
        tl.debug_barrier()
        top = tl.full((DRAWS,), float("-inf"), tl.float32)
        total = tl.zeros((DRAWS,), tl.float32)
        for done in range(0, size, BLOCK):
            rank = done + place
            mask = (rank < size)[:, None] & is_draw[None, :]
            is_picked = mask & (rank < top_k)[:, None]
            left = tl.load(tails + (begin + rank)[:, None] * n_draws + columns[None, :], mask=mask, other=0.0)
            heads, top, total = _running(tl.where(is_picked, -left, float("-inf")), top, total)
            rows = tl.load(rows_at + rank, mask=rank < size, other=0)
            cells = rows[:, None] * n_draws + columns[None, :]
            x = tl.load(rewards + cells, mask=mask, other=0.0).to(tl.float32) * beta
            x = tl.where(mask, x - highest[None, :] + heads, 0.0)
            slope = share[None, :] * (tl.exp(x) - tl.where(is_picked, 1.0, 0.0))
            before = tl.load(gradient + cells, mask=mask, other=0.0)
            tl.store(gradient + cells, before + beta * slope, mask=mask)
        tl.debug_barrier()
    tl.store(losses + number, tl.sum(tl.where(is_draw, loss, 0.0), axis=0))


def listnet_on_gpu(
    rewards: Tensor, offsets: Tensor, weights: Tensor, prepared: ListNetTargets, beta: float
) -> tuple[Tensor, Tensor]:
    """As `listnet_on_cpu`; the value is a tensor of shape (), so that nothing waits for it."""
    rewards, shape = rewards.contiguous(), _blocks(rewards.shape[1])
    shares = torch.where(prepared.has_gain[:, None], weights, 0).float().contiguous()
    losses = torch.zeros(len(offsets) - 1, device=rewards.device)
    gradient = torch.empty(rewards.shape, device=rewards.device)
    target = prepared.target.float().contiguous()
    hidden = target if prepared.unobserved is None else prepared.unobserved.contiguous().view(torch.uint8)
    if len(losses):
        listnet_kernel[(len(losses),)](
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
    rewards, shape = rewards.contiguous(), _blocks(rewards.shape[1])
    losses = torch.zeros(len(offsets) - 1, device=rewards.device)
    gradient = torch.zeros(rewards.shape, device=rewards.device)
    if len(losses):
        plackett_luce_kernel[(len(losses),)](
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
