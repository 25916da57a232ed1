"""Plackett-Luce of all objectives and draws with its gradient: one program per list, long lists by blocks.

Running sums are kept as a highest exponent and a sum below it, so that no tail loses digits.
"""

from __future__ import annotations

import triton
import triton.language as tl

__all__ = ["plackett_luce_kernel"]


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
