"""Options of an aligner, checked before any model is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from hyperrank._checks import check_number, check_random_state, check_verbose
from hyperrank.alignment.base_model import PRECISIONS
from hyperrank.alignment.conditioning import conditioning_factory
from hyperrank.alignment.losses import preference_loss
from hyperrank.alignment.policy import ADAPTER_OPTIONS
from hyperrank.losses import ListLoss, takes_gains

if TYPE_CHECKING:
    from transformers import TrainingArguments

#: Options that count something, with the most that a file may ask for; and those that may be None.
COUNTS: Mapping[str, float | None] = {
    **{"n_tokens": 4096, "prompt_width": 65536},
    **dict.fromkeys(("max_epochs", "batch_size", "batch_tokens")),
}
OPTIONAL_COUNTS = {"max_steps": 1, "max_length": 2, "max_response_length": 1}
POSITIVE = ("beta", "alpha", "prompt_learning_rate", "hypernetwork_learning_rate")
OPTIONAL_POSITIVE = ("adapter_learning_rate", "max_log_ratio")
#: Parameters that do not change what a run is: another length of it, its machine, what it shows.
PASSING = frozenset(
    {"model", "tokenizer", "objectives", "max_steps", "max_epochs", "batch_tokens", "checkpoint_dir"}
    | {"device", "verbose", "training_args"}
)


@dataclass(eq=False, repr=False)
class AlignerParams:
    """Constructor parameters of `HyperPromptAligner`, whose docstring says what they are."""

    model: Any = None
    tokenizer: Any = None
    _: KW_ONLY
    objectives: Sequence[str] | None = None
    conditioning: str = "hyper_prompt"
    n_tokens: int = 16
    prompt_text: str | None = None
    prompt_width: int = 64
    adapters: Mapping[str, Any] | None = None
    loss: str | ListLoss = "plackett_luce"
    length_normalized: bool = False
    sft_weight: float = 0.0
    beta: float = 0.1
    alpha: float = 1.0
    weights: ArrayLike | Mapping[str, float] | None = None
    normalize_objectives: bool = True
    max_epochs: int = 1
    max_steps: int | None = None
    batch_size: int = 16
    batch_tokens: int = 8192
    prompt_learning_rate: float = 1e-2
    hypernetwork_learning_rate: float = 2e-3
    adapter_learning_rate: float | None = None
    max_length: int | None = None
    max_response_length: int | None = None
    precision: str = "auto"
    max_log_ratio: float | None = 2.0
    training_args: Mapping[str, Any] | TrainingArguments | None = None
    checkpoint_dir: str | Path | None = None
    device: str = "auto"
    random_state: int | np.random.RandomState | None = None
    verbose: int = 0


def check_params(params: Mapping[str, Any]) -> None:
    """Check an aligner's constructor parameters; a ValueError names the option and what it may be."""
    for name, most in COUNTS.items():
        check_number(name, params[name], at_least=1, at_most=most, whole=True)
    for name, least in OPTIONAL_COUNTS.items():
        if params[name] is not None:
            check_number(name, params[name], at_least=least, whole=True)
    for name in (*POSITIVE, *OPTIONAL_POSITIVE):
        if params[name] is not None or name in POSITIVE:
            check_number(name, params[name], above=0)
    check_number("sft_weight", params["sft_weight"], at_least=0)
    for name in ("length_normalized", "normalize_objectives"):
        if not isinstance(params[name], bool | np.bool_):
            raise ValueError(f"{name} must be True or False; got {params[name]!r}.")
    if not isinstance(params["prompt_text"], str | None):
        raise ValueError(f"prompt_text must be a text or None; got {params['prompt_text']!r}.")
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
    check_verbose(params["verbose"])
    check_random_state(params["random_state"])


def run_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters that identify a run."""
    return {name: value for name, value in params.items() if name not in PASSING}


def _check_adapters(adapters: object) -> None:
    if adapters is None:
        return
    if not isinstance(adapters, Mapping):
        raise ValueError(f"adapters must be a mapping such as {{'r': 8}}, or None; got {adapters!r}.")
    for name, value in adapters.items():
        kinds = ADAPTER_OPTIONS.get(name)
        if kinds is None:
            raise ValueError(f"adapters take the options {sorted(ADAPTER_OPTIONS)}; got {name!r}.")
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            expected = " or ".join(kind.__name__ for kind in kinds)
            raise ValueError(f"adapters: {name} must be {expected}; got {value!r}.")
    check_number("adapters: r", adapters.get("r", 8), at_least=1, at_most=2**14, whole=True)
    check_number("adapters: lora_alpha", adapters.get("lora_alpha", 8), above=0)
    modules = adapters.get("target_modules", "all-linear")
    # peft reads any other text as a regular expression, which may never end.
    if modules != "all-linear" and (isinstance(modules, str) or not all(isinstance(n, str) for n in modules)):
        raise ValueError(
            "adapters: target_modules must be 'all-linear' or a list of names such as ['q_proj', 'v_proj']; "
            f"got {modules!r}."
        )


def objective_scale(loss: ListLoss, blocks: Sequence[NDArray[np.float64]], normalize: bool) -> torch.Tensor:
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


def draw_seed(random_state: int | np.random.RandomState | None) -> int:
    """A seed: the number given, or one drawn, which leaves numpy's global generator alone."""
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1)[0] >> 1)
    generator = check_random_state(random_state)
    return int(random_state if isinstance(random_state, int | np.integer) else generator.randint(2**31))
