"""Options of an aligner, checked and resolved before any model is loaded."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hyperrank._checks import check_number
from hyperrank.alignment.base_model import PRECISIONS
from hyperrank.alignment.conditioning import conditioning_factory
from hyperrank.alignment.losses import preference_loss
from hyperrank.alignment.policy import ADAPTER_OPTIONS
from hyperrank.losses import ListLoss, takes_gains
from hyperrank.simplex import as_weights

#: Options that count something, and their least value; and those that may be None.
COUNTS = {"n_tokens": 1, "prompt_width": 1, "max_epochs": 1, "batch_size": 1, "batch_tokens": 1}
OPTIONAL_COUNTS = {"max_steps": 1, "max_length": 2, "max_response_length": 1}
POSITIVE = ("beta", "alpha", "prompt_learning_rate", "hypernetwork_learning_rate")
OPTIONAL_POSITIVE = ("adapter_learning_rate", "max_log_ratio")
#: Parameters that do not change what a run is: another length of it, its machine, what it shows.
PASSING = frozenset(
    {"model", "tokenizer", "objectives", "max_steps", "max_epochs", "batch_tokens", "checkpoint_dir"}
    | {"device", "verbose", "training_args"}
)


@dataclass(frozen=True)
class TrainingConfig:
    """What training needs to know beside policy and data: parameters of the aligner, resolved."""

    objectives: tuple[str, ...]
    loss: ListLoss
    weights: NDArray[np.float64] | None
    seed: int
    beta: float
    alpha: float
    sft_weight: float
    length_normalized: bool
    normalize_objectives: bool
    max_epochs: int
    max_steps: int | None
    batch_size: int
    prompt_learning_rate: float
    hypernetwork_learning_rate: float
    adapter_learning_rate: float | None
    max_log_ratio: float | None
    training_args: Any
    checkpoint_dir: str | Path | None
    device: str
    verbose: int

    @classmethod
    def from_params(cls, params: Mapping[str, Any], objectives: tuple[str, ...]) -> TrainingConfig:
        """Resolve parameters that `check_params` has checked."""
        weights = params["weights"]
        if weights is not None:
            weights = as_weights(weights, len(objectives), objectives)
            if weights.ndim != 1:
                m = len(objectives)
                raise ValueError(f"weights must be one trade-off of shape ({m},); got {weights.shape}.")
        resolved = {"objectives": objectives, "loss": preference_loss(params["loss"]), "weights": weights}
        shared = {field.name: params[field.name] for field in fields(cls) if field.name in params}
        # Processes of one run draw alike.
        together = params["random_state"] is None and int(os.environ.get("WORLD_SIZE", "1")) > 1
        return cls(**{**shared, **resolved, "seed": 0 if together else draw_seed(params["random_state"])})

    @property
    def whole_arguments(self) -> bool:
        """Whether the caller gave a whole `TrainingArguments`."""
        return self.training_args is not None and not isinstance(self.training_args, Mapping)


def check_params(params: Mapping[str, Any]) -> None:
    """Check an aligner's constructor parameters; a ValueError names the option and what it may be."""
    for name, least in (COUNTS | OPTIONAL_COUNTS).items():
        if params[name] is not None or name in COUNTS:
            check_number(name, params[name], at_least=least, whole=True)
    for name in (*POSITIVE, *OPTIONAL_POSITIVE):
        if params[name] is not None or name in POSITIVE:
            check_number(name, params[name], above=0, below=math.inf)
    check_number("sft_weight", params["sft_weight"], at_least=0, below=math.inf)
    conditioning_factory(params["conditioning"])
    _check_adapters(params["adapters"])
    preference_loss(params["loss"])
    if params["precision"] not in ("auto", *PRECISIONS):
        raise ValueError(f"precision must be 'auto', 'float32' or 'bfloat16'; got {params['precision']!r}.")
    if params["device"] not in ("auto", "cpu", "cuda"):
        raise ValueError(
            f"device must be 'auto', 'cpu' or 'cuda'; got {params['device']!r}. For one GPU of several: "
            "CUDA_VISIBLE_DEVICES; for all of them: accelerate launch."
        )
    if not isinstance(params["random_state"], np.random.RandomState):
        draw_seed(params["random_state"])


def run_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters that a run is told from others by."""
    return {name: value for name, value in params.items() if name not in PASSING}


def _check_adapters(adapters: object) -> None:
    if adapters is None:
        return
    if not isinstance(adapters, Mapping):
        raise ValueError(f"adapters must be a mapping such as {{'r': 8}}, or None; got {adapters!r}.")
    for name, value in adapters.items():
        if name not in ADAPTER_OPTIONS:
            raise ValueError(f"adapters take the options {sorted(ADAPTER_OPTIONS)}; got {name!r}.")
        kinds = ADAPTER_OPTIONS[name]
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            expected = " or ".join(kind.__name__ for kind in kinds)
            raise ValueError(f"adapters: {name} must be {expected}; got {value!r}.")
    if not 1 <= adapters.get("r", 8) <= 2**14:
        raise ValueError(f"adapters: r must lie between 1 and 16384; got {adapters['r']!r}.")
    modules = adapters.get("target_modules", "all-linear")
    # peft reads any other text as a regular expression, which may never end.
    if modules != "all-linear" and (isinstance(modules, str) or not all(isinstance(n, str) for n in modules)):
        raise ValueError(
            "adapters: target_modules must be 'all-linear' or a list of names such as ['q_proj', 'v_proj']; "
            f"got {modules!r}."
        )


def objective_names(given: Sequence[str] | None, n_objectives: int) -> tuple[str, ...]:
    """Names of the objectives; objective_0, objective_1, ... by default."""
    if given is None:
        return tuple(f"objective_{j}" for j in range(n_objectives))
    names = tuple(str(name) for name in given)
    if isinstance(given, str) or len(names) != n_objectives or len(set(names)) != len(names):
        raise ValueError(f"objectives must be {n_objectives} different names, one per label; got {given!r}.")
    return names


def objective_scale(config: TrainingConfig, blocks: Sequence[NDArray[np.float64]]) -> torch.Tensor:
    """What each objective's loss is divided by, shape (m,): its value under the reference, or 1."""
    labels = np.concatenate(list(blocks))
    if takes_gains(config.loss) and (labels < 0).any():
        raise ValueError(
            f"loss={config.loss!r} takes gains: labels must be 0 or more; got {np.nanmin(labels):g}. "
            "Use loss='plackett_luce', to which only their order matters."
        )
    if not config.normalize_objectives:
        return torch.ones(labels.shape[1])
    offsets = torch.from_numpy(np.cumsum([0, *map(len, blocks)]))
    rewards = torch.zeros(len(labels), 1, dtype=torch.float64)
    value = config.loss(rewards, torch.from_numpy(labels), offsets, reduction="none").mean(dim=(0, 1))
    # An objective that a stream's first lists do not tell apart has no scale yet.
    return torch.where(value > 0, value, torch.ones_like(value)).float()


def draw_seed(random_state: int | np.random.RandomState | None) -> int:
    """A seed from what scikit-learn takes as a random state."""
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1)[0] >> 1)
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31))
    is_int = isinstance(random_state, int | np.integer) and not isinstance(random_state, bool)
    if is_int and 0 <= random_state < 2**32:
        return int(random_state)
    raise ValueError(
        "random_state must be a whole number from 0 to 2**32 - 1, a numpy RandomState or None; "
        f"got {random_state!r}."
    )
