"""The weighted losses by Triton, and what happens without it."""

from __future__ import annotations

import logging
from functools import cache
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from hyperrank.losses._segments import segment_index
from hyperrank.losses.fused.prepared import LabelRanks, ListNetTargets

__all__ = ["has_kernels", "listnet_on_gpu", "plackett_luce_on_gpu"]

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
