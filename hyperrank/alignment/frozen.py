"""A language model as we hold it: our own modules around the caller's frozen parameters."""

from __future__ import annotations

import copy
from typing import Any

from torch import nn

__all__ = ["frozen_copy", "refuse_unfit", "without_dropout"]


def refuse_unfit(model: Any) -> None:
    """See that a model can be steered by a prompt and has an undisturbed reference in itself.

    Raises
    ------
    ValueError
        If it has an encoder, is quantised, carries adapters, or takes no embeddings.
    """
    name = type(model).__name__
    config = getattr(model, "config", None)
    if not isinstance(model, nn.Module) or config is None or not hasattr(model, "get_input_embeddings"):
        raise ValueError(
            "model must be a folder or a name that transformers loads, or a causal language model of it; "
            f"got {name}."
        )
    if getattr(config, "is_encoder_decoder", False):
        raise ValueError(f"{name} has an encoder; wanted a causal language model (a decoder alone).")
    if getattr(model, "is_quantized", False) or getattr(config, "quantization_config", None) is not None:
        raise ValueError(f"{name} is quantised: load it dequantised, in float32 or bfloat16.")
    if hasattr(model, "peft_config") or getattr(model, "_hf_peft_config_loaded", False):
        raise ValueError(
            f"{name} carries adapters, and the reference is the model with adapters off: "
            "merge them first, with merge_and_unload()."
        )


def frozen_copy(model: nn.Module) -> nn.Module:
    """The model in modules of its own, which share its memory and ask for no gradients.

    Adapters, modes and devices of the copy leave the original as it is. Dropout is off in it: the reference
    is computed without, and policy and reference must be computed alike.

    Examples
    --------
    >>> from torch import nn
    >>> model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))
    >>> held = frozen_copy(model)
    >>> held[0].weight.data_ptr() == model[0].weight.data_ptr(), held[0].weight.requires_grad, held[1].p
    (True, False, 0.0)
    """
    memo: dict[int, Any] = {id(p): nn.Parameter(p.detach(), requires_grad=False) for p in model.parameters()}
    memo |= {id(buffer): buffer for buffer in model.buffers()}
    held: nn.Module = without_dropout(copy.deepcopy(model, memo))
    return held.eval()


def without_dropout(model: nn.Module) -> nn.Module:
    """Turn off dropout in any mode, in place: activation checkpointing works in training mode alone."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        for name, value in vars(module).items():
            if "drop" in name and isinstance(value, float):
                setattr(module, name, 0.0)
    return model
