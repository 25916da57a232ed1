"""Preference loss of a batch: weighted list losses of implicit rewards, IPO, and an SFT term."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hyperrank.losses import ListLoss, get_loss, takes_gains


def ipo(scores: Tensor, labels: Tensor, offsets: Tensor, *, reduction: str = "mean") -> Tensor:
    r"""Squared distance of each pair's reward margin from 1/2: IPO's loss, times :math:`\beta^2`."""
    losses = []
    for first, last in itertools.pairwise(offsets.tolist()):
        rewards, z = scores[first:last, 0], labels[first:last]
        better = z[:, None, :] > z[None, :, :]
        square = (rewards[:, None] - rewards[None, :] - 0.5).square()[:, :, None]
        losses.append((better * square).sum(dim=(0, 1)) / better.sum(dim=(0, 1)).clamp(min=1))
    stacked = torch.stack(losses)[:, None, :]
    return stacked if reduction == "none" else stacked.mean(dim=0)


def preference_loss(loss: str | ListLoss) -> ListLoss:
    """A loss of `hyperrank.losses`, also by the names of DPO's literature."""
    if loss == "ipo":
        return ipo
    return get_loss("plackett_luce" if loss == "sigmoid" else loss)


def objective_scale(loss: ListLoss, blocks: Sequence[NDArray[np.float64]], normalize: bool) -> Tensor:
    """What each objective's loss is divided by, shape (m,): its value under the reference, or 1."""
    labels = np.concatenate(list(blocks))
    if takes_gains(loss) and (labels < 0).any():
        raise ValueError(
            f"loss={loss!r} takes gains: labels must be 0 or more; got {np.nanmin(labels):g}. "
            "Use loss='plackett_luce', to which only their order matters."
        )
    if not normalize:
        return torch.ones(labels.shape[1])
    offsets = torch.from_numpy(np.cumsum([0, *map(len, blocks)]))
    rewards = torch.zeros(len(labels), 1, dtype=torch.float64)
    value = loss(rewards, torch.from_numpy(labels), offsets, reduction="none").mean(dim=(0, 1))
    # An objective that a stream's first lists do not tell apart has no scale yet.
    return torch.where(value > 0, value, torch.ones_like(value)).float()


@dataclass(frozen=True)
class PreferenceLoss:
    r"""The loss of a batch, :math:`\sum_j w_j (L_j(r) / c_j + \lambda \, NLL_j)`."""

    loss: ListLoss
    scale: Tensor
    beta: float
    length_normalized: bool = False
    sft_weight: float = 0.0

    def rewards(self, output: dict[str, Tensor]) -> Tensor:
        """Implicit rewards of what `Policy.forward` gave, shape (B,)."""
        ratio = output["log_probs"] - output["reference"]
        return self.beta * (ratio / output["n_tokens"] if self.length_normalized else ratio)

    def __call__(self, output: dict[str, Tensor], batch: Mapping[str, Tensor]) -> Tensor:
        """Mean over the lists of a batch of `ListCollator`."""
        value = self.per_list(output, batch).mean()
        if self.sft_weight:
            nll = (-output["log_probs"] / output["n_tokens"]).to(batch["targets"].dtype)
            value = value + self.sft_weight * _sft(nll, batch["targets"], batch["offsets"], batch["weights"])
        return value

    def per_list(self, output: dict[str, Tensor], batch: Mapping[str, Tensor]) -> Tensor:
        """Preference losses of shape (q,), without the SFT term."""
        rewards = self.rewards(output).to(batch["targets"].dtype)[:, None]
        losses = self.loss(rewards, batch["targets"], batch["offsets"], reduction="none")[:, 0, :]
        return (losses / self.scale.to(losses) * batch["weights"]).sum(dim=1)


def _sft(nll: Tensor, labels: Tensor, offsets: Tensor, weights: Tensor) -> Tensor:
    """Mean over lists of the weighted NLL of each objective's best responses; unobserved ones count 0."""
    total = []
    for w, (first, last) in zip(weights, itertools.pairwise(offsets.tolist()), strict=True):
        z = labels[first:last].nan_to_num(nan=-math.inf)
        best = (z == z.max(dim=0).values) & z.isfinite()
        per_objective = (best * nll[first:last, None]).sum(dim=0) / best.sum(dim=0).clamp(min=1)
        total.append((w * per_objective).sum())
    return torch.stack(total).mean()
