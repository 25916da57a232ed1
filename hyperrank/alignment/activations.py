"""Activations that are computed again in the backward pass rather than kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["fewer_activations"]


@contextmanager
def fewer_activations(model: Any, wanted: bool) -> Iterator[None]:
    """Keep the input of each layer alone for the backward pass, if `wanted`.

    transformers does so in training mode alone, which changes nothing else: dropout is off in any mode.

    Raises
    ------
    ValueError
        If the model does not know how.
    """
    if not wanted:
        yield
        return
    # transformers 5.24 has given the methods new names.
    old = not hasattr(model, "activation_checkpointing_enable")
    prefix = "gradient_checkpointing" if old else "activation_checkpointing"
    try:
        getattr(model, f"{prefix}_enable")({"use_reentrant": False})
    except ValueError as error:
        raise ValueError(
            f"{type(model).__name__} has no activation checkpointing: set activation_checkpointing=False, "
            "and lower batch_tokens if memory is short."
        ) from error
    model.train()
    try:
        yield
    finally:
        getattr(model, f"{prefix}_disable")()
        model.eval()
