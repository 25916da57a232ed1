"""Options that are objects or names of them, and the nested parameters that searches set."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from hyperrank.losses import get_loss
from hyperrank.networks import get_network
from hyperrank.training import AdamW, CheckpointFile, EarlyStopping, TradeOffs

__all__ = ["OBJECTS", "get_checkpoint_file", "get_optimizer", "get_trade_offs", "with_objects"]


def get_optimizer(optimizer: str | AdamW) -> AdamW:
    """The optimiser of a parameter.

    Raises
    ------
    ValueError
        If it is neither "adamw" nor an `AdamW`.
    """
    if isinstance(optimizer, AdamW):
        return optimizer
    if not isinstance(optimizer, str) or optimizer != "adamw":
        raise ValueError(
            f"optimizer must be 'adamw' or an object such as AdamW(learning_rate=1e-3); got {optimizer!r}."
        )
    return AdamW()


def get_trade_offs(trade_offs: str | TradeOffs) -> TradeOffs:
    """The trade-offs of a parameter.

    Raises
    ------
    ValueError
        If it is neither "uniform" nor a `TradeOffs`.
    """
    if isinstance(trade_offs, TradeOffs):
        return trade_offs
    if not isinstance(trade_offs, str) or trade_offs != "uniform":
        raise ValueError(
            f"trade_offs must be 'uniform' or an object such as TradeOffs(alpha=0.5); got {trade_offs!r}."
        )
    return TradeOffs()


def get_checkpoint_file(checkpoint: Any) -> CheckpointFile:
    """The checkpoint file of a parameter.

    Raises
    ------
    ValueError
        If it is neither a path nor a `CheckpointFile`.
    """
    if isinstance(checkpoint, CheckpointFile):
        return checkpoint
    if not isinstance(checkpoint, str | os.PathLike):
        raise ValueError(
            "checkpoint must be None, the path of a file, or CheckpointFile(path, every=60); "
            f"got {checkpoint!r}."
        )
    return CheckpointFile(checkpoint)


def _get_early_stopping(early_stopping: Any) -> EarlyStopping:
    return early_stopping if isinstance(early_stopping, EarlyStopping) else EarlyStopping()


#: What makes the object of each parameter that may be given by name.
OBJECTS: Mapping[str, Callable[[Any], Any]] = {
    "loss": get_loss,
    "network": get_network,
    "trade_offs": get_trade_offs,
    "optimizer": get_optimizer,
    "early_stopping": _get_early_stopping,
    "checkpoint": get_checkpoint_file,
}


def with_objects(params: Mapping[str, Any], current: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters to set, with an object for each name of one that has a nested parameter among them.

    Parameters
    ----------
    params : mapping
        As ``set_params`` takes them, such as ``{"loss__top_k": 5}``.
    current : mapping
        The parameters that there are.

    Returns
    -------
    dict
        Such as ``{"loss": PlackettLuce(), "loss__top_k": 5}``.

    Examples
    --------
    >>> with_objects({"loss__top_k": 5}, {"loss": "plackett_luce"})
    {'loss': PlackettLuce(top_k=None, ties='random'), 'loss__top_k': 5}
    """
    nested = {key.partition("__")[0] for key in params if "__" in key}
    objects = {
        name: OBJECTS[name](params.get(name, current.get(name)))
        for name in OBJECTS
        if name in nested and name in {**current, **params}
    }
    return {**objects, **{key: value for key, value in params.items() if key not in objects}}
