"""ListNet of all objectives and draws with its gradient: one program per list, long lists by blocks."""

from __future__ import annotations

import triton
import triton.language as tl

__all__ = ["listnet_kernel"]


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
        wanted = tl.zeros((BLOCK, DRAWS), tl.float32)
        for j in range(n_objectives):
            share = tl.load(share_at + j, mask=is_draw, other=0.0)
            part = tl.load(target + rows * n_objectives + j, mask=left, other=0.0)
            wanted += part[:, None] * share[None, :]
        loss -= tl.sum(wanted * x, axis=0)
        slope = -wanted
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
