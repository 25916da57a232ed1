"""Options of an aligner, checked before any model is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from hyperrank._checks import check_choice, check_number, check_random_state, check_verbose
from hyperrank.alignment.conditioning import conditioning_factory
from hyperrank.alignment.losses import preference_loss
from hyperrank.losses import ListLoss

if TYPE_CHECKING:
    from transformers import TrainingArguments

WHOLE: Mapping[str, Any] = {"at_least": 1, "whole": True}
POSITIVE: Mapping[str, Any] = {"above": 0}
#: Bounds of options that are numbers; a file may ask for no more prompt vectors and hidden units.
BOUNDS: Mapping[str, Mapping[str, Any]] = {
    **dict.fromkeys(("max_epochs", "max_steps", "batch_size", "batch_tokens"), WHOLE),
    **dict.fromkeys(("beta", "alpha", "max_log_ratio", "adapter_learning_rate"), POSITIVE),
    **dict.fromkeys(("prompt_learning_rate", "hypernetwork_learning_rate"), POSITIVE),
    "n_tokens": {**WHOLE, "at_most": 4096},
    "prompt_width": {**WHOLE, "at_most": 65536},
    "max_length": {**WHOLE, "at_least": 2},
    "max_response_length": WHOLE,
    "sft_weight": {"at_least": 0},
}
MAY_BE_NONE = {"max_steps", "max_length", "max_response_length", "adapter_learning_rate", "max_log_ratio"}
CHOICES: Mapping[str, tuple[Any, ...]] = {
    "precision": ("auto", "float32", "bfloat16"),
    "device": ("auto", "cpu", "cuda"),
    "length_normalized": (True, False),
    "normalize_objectives": (True, False),
}
#: Options of `peft.LoraConfig` that may be given, here and in files. All others can run code, name regular
#: expressions, or train parameters that the reference shares.
ADAPTER_OPTIONS = ("r", "lora_alpha", "target_modules", "use_rslora", "lora_dropout")
#: Parameters that a file does not hold: they are of a machine or a session.
NOT_STORED = frozenset(
    {"model", "tokenizer", "training_args", "checkpoint_dir", "device", "random_state", "verbose"}
)
#: Parameters that do not change what a run is: another length of it, its machine, what it shows.
PASSING = NOT_STORED - {"random_state"} | {"objectives", "max_steps", "max_epochs", "batch_tokens"}


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
    for name, bounds in BOUNDS.items():
        if params[name] is not None or name not in MAY_BE_NONE:
            check_number(name, params[name], **bounds)
    for name, choices in CHOICES.items():
        check_choice(name, params[name], choices)
    if not isinstance(params["prompt_text"], str | None):
        raise ValueError(f"prompt_text must be a text or None; got {params['prompt_text']!r}.")
    conditioning_factory(params["conditioning"])
    if params["adapters"] is not None:
        _check_adapters(params["adapters"])
    preference_loss(params["loss"])
    check_verbose(params["verbose"])
    check_random_state(params["random_state"])


def _check_adapters(adapters: object) -> None:
    if not isinstance(adapters, Mapping):
        raise ValueError(f"adapters must be a mapping such as {{'r': 8}}, or None; got {adapters!r}.")
    for name in adapters:
        check_choice("adapters: an option", name, ADAPTER_OPTIONS)
    check_number("adapters: r", adapters.get("r", 8), at_least=1, at_most=2**14, whole=True)
    check_number("adapters: lora_alpha", adapters.get("lora_alpha", 8), **POSITIVE)
    check_choice("adapters: use_rslora", adapters.get("use_rslora", False), (True, False))
    if adapters.get("lora_dropout"):
        raise ValueError("lora_dropout must be 0: policy and reference are computed without dropout.")
    modules = adapters.get("target_modules", "all-linear")
    # peft reads any other text as a regular expression, which may never end.
    listed = isinstance(modules, list | tuple) and all(isinstance(name, str) for name in modules)
    if modules != "all-linear" and not listed:
        raise ValueError(
            "adapters: target_modules must be 'all-linear' or a list of names such as ['q_proj', 'v_proj']; "
            f"got {modules!r}."
        )


def draw_seed(random_state: int | np.random.RandomState | None) -> int:
    """A seed: the number given, or one drawn, which leaves numpy's global generator alone."""
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1)[0] >> 1)
    generator = check_random_state(random_state)
    return int(random_state if isinstance(random_state, int | np.integer) else generator.randint(2**31))
