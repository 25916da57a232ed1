"""What tells one language model, or one tokenizer, from another."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import torch
from torch import nn

__all__ = ["model_fingerprint", "tokenizer_fingerprint"]

#: Entries of a configuration that say nothing of what the model computes.
PASSING = frozenset(
    {
        "_name_or_path",
        "architectures",
        "bos_token_id",
        "dtype",
        "eos_token_id",
        "pad_token_id",
        "torch_dtype",
        "transformers_version",
        "use_cache",
    }
)


def model_fingerprint(model: nn.Module) -> str:
    """SHA-256 of a model's class, configuration and parameters, these to bfloat16's precision.

    The same model in float32 and in bfloat16 has one fingerprint.

    Parameters
    ----------
    model : PreTrainedModel
        Without adapters.

    Returns
    -------
    str
    """
    config = {k: v for k, v in model.config.to_diff_dict().items() if k not in PASSING}  # type: ignore[operator, union-attr]
    digest = hashlib.sha256(type(model).__name__.encode())
    digest.update(json.dumps(config, sort_keys=True, default=str).encode())
    for name, value in sorted(model.state_dict().items()):
        digest.update(f"\n{name} {tuple(value.shape)}\n".encode())
        rounded = value.detach().to("cpu", torch.bfloat16) if value.is_floating_point() else value.cpu()
        digest.update(rounded.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def tokenizer_fingerprint(tokenizer: Any) -> str:
    """SHA-256 of a tokenizer's vocabulary, special tokens, and of what it makes of a probe."""
    probe = "The quick brown fox, 1 + 1 = 2.\n\nHuman: \u00e9\u4e2d \U0001f600"
    known = {
        "vocabulary": sorted(tokenizer.get_vocab().items()),
        "special": {name: str(token) for name, token in tokenizer.special_tokens_map.items()},
        "probe": tokenizer(probe).input_ids,
    }
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()
