"""How a policy is trained, in one place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["AlignmentSettings"]


@dataclass(frozen=True)
class AlignmentSettings:
    """What the loop needs to know besides policy, data and loss.

    Attributes
    ----------
    beta : float
        How closely the policy is held to the reference.
    alpha : float
        Concentration of the Dirichlet distribution that weights are drawn from.
    weights : ndarray of shape (m,) or None
        One trade-off for the whole run in place of draws.
    max_epochs : int
        Passes over the data.
    max_steps : int or None
        Steps in place of them.
    batch_size : int
        Lists per step.
    batch_tokens : int
        Padded tokens per pass; a step makes as many passes as it needs.
    prompt_rate, hypernetwork_rate, adapter_rate : float
        Peak learning rates of AdamW.
    weight_decay : float
    max_norm : float
        Gradients longer than this are shortened to it.
    max_log_ratio : float or None
        Mean absolute log-ratio, nats per token, beyond which training stops.
    log_every : int
        Steps between states to go back to, and sampled texts.
    checkpoint_every : int
        Steps between checkpoints.
    """

    beta: float
    alpha: float
    weights: NDArray[np.float64] | None
    max_epochs: int
    max_steps: int | None
    batch_size: int
    batch_tokens: int
    prompt_rate: float
    hypernetwork_rate: float
    adapter_rate: float
    weight_decay: float
    max_norm: float
    max_log_ratio: float | None
    log_every: int
    checkpoint_every: int
