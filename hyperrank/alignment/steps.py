"""One optimiser step of alignment: as many passes through the model as its memory asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hyperrank.alignment.batches import pad_left, rows_of, token_batches
from hyperrank.alignment.policy import Policy
from hyperrank.alignment.seeding import place_rng, seeded
from hyperrank.alignment.settings import AlignmentSettings
from hyperrank.alignment.tokens import TokenLists
from hyperrank.losses import ListLoss, dpo_reward, weighted_loss
from hyperrank.simplex import dirichlet_weights

__all__ = ["AlignmentData", "Steps"]

#: Places of chance in a run.
ORDER, WEIGHTS, TIES = 1, 2, 3


@dataclass(frozen=True)
class AlignmentData:
    """What a policy is trained on.

    Attributes
    ----------
    tokens : TokenLists
    labels : ndarray of shape (n, m), float64
        NaN where unobserved.
    reference : ndarray of shape (n,), float64
        Log-probabilities under the reference.
    scale : ndarray of shape (m,), float64
        What each objective's loss is divided by.
    pad : int
        The token that fills up rows.
    """

    tokens: TokenLists
    labels: NDArray[np.float64]
    reference: NDArray[np.float64]
    scale: NDArray[np.float64]
    pad: int


class Steps:
    """Steps of a run; what a step does depends on the seed, its number and the parameters alone.

    Parameters
    ----------
    policy : Policy
    data : AlignmentData
    loss : callable
        A listwise loss such as `hyperrank.losses.plackett_luce`.
    settings : AlignmentSettings
    seed : int
    """

    def __init__(
        self, policy: Policy, data: AlignmentData, loss: ListLoss, settings: AlignmentSettings, seed: int
    ) -> None:
        self.policy, self.data, self.loss, self.settings, self.seed = policy, data, loss, settings, seed
        n_lists = data.tokens.n_lists
        self.size = min(settings.batch_size, n_lists)
        self.per_epoch = -(-n_lists // self.size)
        whole = settings.max_epochs * self.per_epoch
        self.n_steps = whole if settings.max_steps is None else settings.max_steps
        self.optimiser = torch.optim.AdamW(self._groups(), weight_decay=settings.weight_decay)
        self.peaks = [group["lr"] for group in self.optimiser.param_groups]

    def take(self, number: int, factor: float) -> dict[str, Any]:
        """Step `number`, with the learning rates times a factor: its loss and mean absolute log-ratio."""
        for group, peak in zip(self.optimiser.param_groups, self.peaks, strict=True):
            group["lr"] = peak * factor
        lists, weights = self.drawn(number)
        self.optimiser.zero_grad(set_to_none=True)
        tokens, offsets = self.data.tokens, self.data.tokens.offsets
        lengths = np.concatenate([tokens.lengths[offsets[q] : offsets[q + 1]] for q in lists])
        bounds = np.concatenate([[0], np.cumsum(np.diff(offsets)[lists])])
        loss, ratio, n_rows = 0.0, 0.0, 0
        with seeded(self.policy.model.device, self.seed, TIES, number):
            for places in token_batches(lengths, bounds, self.settings.batch_tokens):
                value, ratios = self._pass(lists[places], weights[places])
                share = value * (len(places) / len(lists))
                share.backward()
                loss, ratio, n_rows = (
                    loss + float(share.detach()),
                    ratio + float(ratios.sum()),
                    n_rows + len(ratios),
                )
        parameters = [p for group in self.optimiser.param_groups for p in group["params"]]
        norm = nn.utils.clip_grad_norm_(parameters, self.settings.max_norm)
        taken = bool(torch.isfinite(norm))
        if taken:
            self.optimiser.step()
        entry = {"step": number + 1, "epoch": number // self.per_epoch + 1, "loss": loss}
        return {**entry, "log_ratio": ratio / n_rows, "taken": taken}

    def drawn(self, number: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Lists of a step, shape (b,), and the weights that each of them draws, shape (b, m)."""
        epoch, place = divmod(number, self.per_epoch)
        order = place_rng(self.seed, ORDER, epoch).permutation(self.data.tokens.n_lists)
        lists = order[place * self.size : (place + 1) * self.size]
        m = self.data.labels.shape[1]
        if self.settings.weights is not None:
            return lists, np.tile(self.settings.weights, (len(lists), 1))
        rng = place_rng(self.seed, WEIGHTS, number)
        return lists, dirichlet_weights(len(lists), m, alpha=self.settings.alpha, rng=rng)

    def _pass(self, lists: NDArray[np.int64], weights: NDArray[np.float64]) -> tuple[Tensor, Tensor]:
        """Mean loss of some lists, and of each response the absolute log-ratio per token."""
        device = self.policy.model.device
        rows = rows_of(lists, self.data.tokens.offsets)
        sizes = np.diff(self.data.tokens.offsets)[lists]
        batch = pad_left(self.data.tokens, rows, self.data.pad).to(device)

        def on_device(values: NDArray[np.float64]) -> Tensor:
            return torch.from_numpy(values).to(device, torch.float32)

        log_probs = self.policy.log_probs(batch, on_device(np.repeat(weights, sizes, axis=0)))
        # The difference in float64: sums over long responses are large, and what is left of them small.
        reference = torch.from_numpy(self.data.reference[rows]).to(device)
        ratio = dpo_reward(log_probs.double(), reference)
        value = weighted_loss(
            (self.settings.beta * ratio).float()[:, None],
            on_device(self.data.labels[rows]),
            torch.from_numpy(np.concatenate([[0], np.cumsum(sizes)])).to(device),
            on_device(weights)[:, None, :],
            loss=self.loss,
            scale=on_device(self.data.scale),
        )
        return value, (ratio.detach() / batch.n_response).abs()

    def _groups(self) -> list[dict[str, Any]]:
        """Parameters by learning rate; those that stand for embeddings learn in units of their size."""
        prompt, settings = self.policy.prompt, self.settings
        unit = self.policy.model.embedding_scale
        outer = list(prompt.outer.parameters())
        groups = [
            {"params": [prompt.base], "lr": settings.prompt_rate * unit},
            {"params": outer, "lr": settings.hypernetwork_rate * unit},
            {"params": list(prompt.inner.parameters()), "lr": settings.hypernetwork_rate},
        ]
        adapters = [value for _, value in self.policy.adapter_parameters()]
        return [*groups, {"params": adapters, "lr": settings.adapter_rate}] if adapters else groups
