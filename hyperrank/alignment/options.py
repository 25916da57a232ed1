"""The constructor's options, checked and resolved before any model is loaded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hyperrank.alignment.seeding import drawn_seed, seeded
from hyperrank.alignment.settings import AlignmentSettings
from hyperrank.losses import ListLoss, named_loss
from hyperrank.simplex import as_weights

__all__ = ["check_options", "list_loss", "objective_names", "objective_scale", "refuse_no_gains", "resolved"]

#: Losses of gains, for which a label cannot be negative.
OF_GAINS = ("listnet", "lambda_loss", "approx_ndcg")
#: Options that count something, and their least value; None is allowed where the flag says so.
COUNTS = {
    "n_tokens": (1, False),
    "prompt_width": (1, False),
    "max_epochs": (1, False),
    "max_steps": (1, True),
    "batch_size": (1, False),
    "batch_tokens": (1, False),
    "log_every": (1, False),
    "checkpoint_every": (1, False),
    "sample_tokens": (0, False),
    "max_length": (2, True),
    "max_response_length": (1, True),
}
#: Options that must be above 0.
POSITIVE = (
    "beta",
    "alpha",
    "prompt_learning_rate",
    "hypernetwork_learning_rate",
    "adapter_learning_rate",
    "max_norm",
)


def check_options(aligner: Any) -> None:
    """Check an aligner's constructor parameters.

    Raises
    ------
    ValueError
        With the option, what was given and what it may be.
    """
    for name, (least, optional) in COUNTS.items():
        value = getattr(aligner, name)
        whole = isinstance(value, int | np.integer) and not isinstance(value, bool) and value >= least
        if not whole and not (optional and value is None):
            allowed = f"a whole number of at least {least}" + (", or None" if optional else "")
            raise ValueError(f"{name} must be {allowed}; got {value!r}.")
    for name in POSITIVE:
        value = getattr(aligner, name)
        if not (isinstance(value, float | int | np.number) and math.isfinite(value) and value > 0):
            raise ValueError(f"{name} must be a number above 0; got {value!r}.")
    if aligner.max_log_ratio is not None and not aligner.max_log_ratio > 0:
        raise ValueError(f"max_log_ratio must be above 0, or None; got {aligner.max_log_ratio!r}.")
    if not aligner.weight_decay >= 0:
        raise ValueError(f"weight_decay must be 0 or more; got {aligner.weight_decay!r}.")
    if aligner.adapters is not None and not hasattr(aligner.adapters, "keys"):
        raise ValueError(
            f"adapters must be a mapping of arguments of peft.LoraConfig, such as {{'r': 8}}, or None; "
            f"got {aligner.adapters!r}."
        )
    list_loss(aligner)
    if not isinstance(aligner.random_state, np.random.RandomState):
        drawn_seed(aligner.random_state)


def list_loss(aligner: Any) -> ListLoss:
    """The loss that an aligner's options name."""
    return named_loss(aligner.loss, gain=aligner.gain, top_k=aligner.top_k, ties=aligner.ties)


def objective_names(given: Sequence[str] | None, n_objectives: int) -> tuple[str, ...]:
    """Names of the objectives.

    Raises
    ------
    ValueError
        If there are not as many as columns of labels, or two are the same.
    """
    if given is None:
        return tuple(f"objective_{j}" for j in range(n_objectives))
    names = tuple(str(name) for name in given)
    if isinstance(given, str) or len(names) != n_objectives or len(set(names)) != len(names):
        raise ValueError(f"objectives must be {n_objectives} different names, one per label; got {given!r}.")
    return names


def resolved(aligner: Any, names: Sequence[str]) -> AlignmentSettings:
    """The options of the loop."""
    weights = aligner.weights
    if weights is not None:
        weights = as_weights(weights, len(names), names)
        if weights.ndim != 1:
            raise ValueError(f"weights must be one trade-off of shape ({len(names)},); got {weights.shape}.")
    return AlignmentSettings(
        beta=aligner.beta,
        alpha=aligner.alpha,
        weights=weights,
        max_epochs=aligner.max_epochs,
        max_steps=aligner.max_steps,
        batch_size=aligner.batch_size,
        batch_tokens=aligner.batch_tokens,
        prompt_rate=aligner.prompt_learning_rate,
        hypernetwork_rate=aligner.hypernetwork_learning_rate,
        adapter_rate=aligner.adapter_learning_rate,
        weight_decay=aligner.weight_decay,
        max_norm=aligner.max_norm,
        max_log_ratio=aligner.max_log_ratio,
        log_every=aligner.log_every,
        checkpoint_every=aligner.checkpoint_every,
    )


def refuse_no_gains(loss: str, labels: NDArray[np.float64]) -> None:
    """See that a loss of gains is not given negative ones.

    Raises
    ------
    ValueError
        If a label is negative.
    """
    if loss in OF_GAINS and (labels < 0).any():
        raise ValueError(
            f"loss={loss!r} takes gains: labels must be 0 or more; got {np.nanmin(labels):g}. "
            "Use loss='plackett_luce', to which only their order matters."
        )


def objective_scale(
    aligner: Any, labels: NDArray[np.float64], offsets: NDArray[np.int64]
) -> NDArray[np.float64]:
    """What each objective's loss is divided by, shape (m,): its value under the reference, or 1."""
    if not aligner.normalize_objectives:
        return np.ones(labels.shape[1])
    rewards = torch.zeros(len(labels), 1, dtype=torch.float64)
    # Equal rewards make any order of tied responses as likely, but the loss draws one all the same.
    with seeded(torch.device("cpu"), 0):
        value = list_loss(aligner)(
            rewards, torch.from_numpy(labels), torch.from_numpy(offsets), reduction="none"
        )
    return np.asarray(value.mean(dim=(0, 1)).numpy())
