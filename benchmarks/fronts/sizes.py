"""How large a fitted ranker is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["network_and_leaves"]

_LEAVES = re.compile(r"^num_leaves=(\d+)$", re.MULTILINE)


def network_and_leaves(ranker: Any) -> tuple[int, int]:
    """Parameters of a ranker's networks, and leaves of its boosters; what parts share counts once."""
    import torch

    n_parameters = n_leaves = 0
    for part in _parts(ranker, set()):
        if isinstance(part, torch.nn.Parameter):
            n_parameters += part.numel()
        else:
            n_leaves += sum(map(int, _LEAVES.findall(part)))
    return n_parameters, n_leaves


def _parts(value: Any, seen: set[int]) -> Iterator[Any]:
    """Parameters and texts of boosters within an object, each once, however they are held."""
    import lightgbm
    import torch

    from hyperrank.boosters import BoosterSet

    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, torch.nn.Module):
        yield from value.parameters()
    elif isinstance(value, torch.nn.Parameter):
        yield value
    elif isinstance(value, lightgbm.Booster):
        yield value.model_to_string()
    elif isinstance(value, BoosterSet):
        yield from value.texts
    elif isinstance(value, Mapping):
        for held in value.values():
            yield from _parts(held, seen)
    elif isinstance(value, list | tuple):
        for held in value:
            yield from _parts(held, seen)
    elif type(value).__module__.split(".")[0] == "hyperrank":
        for held in vars(value).values() if hasattr(value, "__dict__") else ():
            yield from _parts(held, seen)
