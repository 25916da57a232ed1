"""Base model: loaded by name or taken as passed, frozen, fingerprinted, and the torch state it runs in."""

from __future__ import annotations

import copy
import hashlib
import json
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from hyperrank._checks import import_extra

#: Entries of a configuration that do not change what the model computes.
INERT_CONFIG = frozenset(
    {"_name_or_path", "architectures", "bos_token_id", "dtype", "eos_token_id", "pad_token_id"}
    | {"torch_dtype", "transformers_version", "use_cache"}
)
#: accelerate's state and torch's generators are global: fits and generations of one process take turns.
_LOCK = threading.RLock()


@contextmanager
def isolated(seed: int | None = None, *, grad: bool) -> Iterator[None]:
    """Torch's defaults and seeded generators inside; the caller's modes and generators afterwards."""
    with _LOCK:
        python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002
        dtype = torch.get_default_dtype()
        try:
            with (
                torch.random.fork_rng(devices=list(range(torch.cuda.device_count()))),
                torch.inference_mode(False),
                torch.set_grad_enabled(grad),
                # Nested contexts inherit that nothing is cached: else weights of the first step would stay.
                torch.autocast("cpu", enabled=False, cache_enabled=False),
                torch.autocast("cuda", enabled=False, cache_enabled=False),
            ):
                torch.set_default_dtype(torch.float32)
                if seed is not None:
                    torch.manual_seed(seed)
                yield
        finally:
            torch.set_default_dtype(dtype)
            random.setstate(python_state)
            np.random.set_state(numpy_state)  # noqa: NPY002


@dataclass(frozen=True)
class BaseModel:
    """A frozen language model and its tokenizer."""

    model: Any
    tokenizer: Any
    name: str
    fingerprint: str
    precision: torch.dtype

    @cached_property
    def tokenizer_fingerprint(self) -> str:
        """SHA-256 of vocabulary, special tokens, and the tokens of a probe text."""
        probe = "The quick brown fox, 1 + 1 = 2.\n\nHuman: \u00e9\u4e2d \U0001f600"
        content = {
            "vocabulary": sorted(self.tokenizer.get_vocab().items()),
            "special": {name: str(token) for name, token in self.tokenizer.special_tokens_map.items()},
            "probe": self.tokenizer(probe).input_ids,
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def load_base_model(model: Any, tokenizer: Any, device: str, precision: str) -> BaseModel:
    """Load a model and its tokenizer, or take those that were passed, which stay as they are."""
    transformers = import_extra("transformers", "llm")
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device='cuda', but torch finds no CUDA device; use device='auto' or 'cpu'.")
    on_gpu = device != "cpu" and torch.cuda.is_available()
    halved = precision == "auto" and on_gpu and torch.cuda.is_bf16_supported()
    dtype = torch.bfloat16 if halved or precision == "bfloat16" else torch.float32
    if isinstance(model, str | Path):
        name = str(model)
        loaded = _from_pretrained(transformers.AutoModelForCausalLM, name, dtype=dtype)
    else:
        loaded, name = model, getattr(model, "name_or_path", "") or type(model).__name__
    _refuse_unsupported(loaded)
    if tokenizer is None or isinstance(tokenizer, str | Path):
        tokenizer = _from_pretrained(transformers.AutoTokenizer, str(tokenizer or name))
    fingerprint, frozen = model_fingerprint(loaded), frozen_copy(loaded)
    # Models that are quantized or spread over devices must be neither moved nor cast.
    if not getattr(loaded, "is_quantized", False) and len(getattr(loaded, "hf_device_map", {})) < 2:
        frozen.to("cuda" if on_gpu else "cpu")
        if dtype == torch.bfloat16:
            # Buffers, such as positions, need more digits than parameters.
            for value in frozen.parameters():
                value.data = value.data.to(torch.bfloat16)
    return BaseModel(frozen, tokenizer, name, fingerprint, dtype)


def frozen_copy(model: nn.Module) -> nn.Module:
    """Copy modules but share parameters, without gradients or dropout: adapters leave the original alone."""
    memo: dict[int, Any] = {id(buffer): buffer for buffer in model.buffers()}
    for value in model.parameters():
        # A quantized parameter is more than its numbers, and never has a gradient.
        plain = type(value) is nn.Parameter
        memo[id(value)] = nn.Parameter(value.detach(), requires_grad=False) if plain else value
    return without_dropout(copy.deepcopy(model, memo)).eval()


def without_dropout(model: nn.Module) -> nn.Module:
    """Turn off dropout in every mode, in place: policy and reference must be computed alike."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        for name, value in vars(module).items():
            if "drop" in name and isinstance(value, float):
                setattr(module, name, 0.0)
    return model


def model_fingerprint(model: Any) -> str:
    """SHA-256 of class, configuration and parameters, rounded to bfloat16: one for every precision."""
    config = {k: v for k, v in model.config.to_diff_dict().items() if k not in INERT_CONFIG}
    digest = hashlib.sha256(type(model).__name__.encode())
    digest.update(json.dumps(config, sort_keys=True, default=str).encode())
    values: dict[str, torch.Tensor] = model.state_dict()
    if getattr(model, "is_quantized", False):
        # Quantized parameters are packed anew at their first use: the others tell models apart.
        values = {name: value for name, value in model.named_parameters() if type(value) is nn.Parameter}
    for name, value in sorted(values.items()):
        digest.update(f"\n{name} {tuple(value.shape)}\n".encode())
        rounded = value.detach().to("cpu", torch.bfloat16) if value.is_floating_point() else value.cpu()
        digest.update(rounded.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _refuse_unsupported(model: Any) -> None:
    name, config = type(model).__name__, getattr(model, "config", None)
    if not isinstance(model, nn.Module) or config is None or not hasattr(model, "get_input_embeddings"):
        raise ValueError(f"model must be a name or folder for transformers, or a causal model; got {name}.")
    if getattr(config, "is_encoder_decoder", False):
        raise ValueError(f"{name} has an encoder; expected a causal language model (decoder only).")
    if hasattr(model, "peft_config") or getattr(model, "_hf_peft_config_loaded", False):
        raise ValueError(
            f"{name} carries adapters, and the reference is the model with adapters off: "
            "merge them first, with merge_and_unload()."
        )


def _from_pretrained(kind: Any, name: str, **options: Any) -> Any:
    try:
        return kind.from_pretrained(name, trust_remote_code=False, **options)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{kind.__name__} finds nothing it can load under {name!r}: {reason}") from error
