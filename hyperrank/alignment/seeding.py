"""Chance that depends on a seed and a place alone, so that a fit can be taken up anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

__all__ = ["drawn_seed", "place_rng", "seeded"]


def drawn_seed(random_state: int | np.random.RandomState | None) -> int:
    """A whole number from what scikit-learn takes as a random state.

    Raises
    ------
    ValueError
        If it is nothing of the kind.

    Examples
    --------
    >>> drawn_seed(7)
    7
    """
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1)[0])
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31))
    if (
        isinstance(random_state, int | np.integer)
        and not isinstance(random_state, bool)
        and random_state >= 0
    ):
        return int(random_state)
    raise ValueError(
        f"random_state must be a whole number from 0 on, a numpy RandomState or None; got {random_state!r}."
    )


def place_rng(seed: int, *place: int) -> np.random.Generator:
    """The generator of one place of a run, such as a step: no state is carried from place to place.

    Examples
    --------
    >>> bool(place_rng(0, 1, 5).random() == place_rng(0, 1, 5).random() != place_rng(0, 1, 6).random())
    True
    """
    return np.random.default_rng([seed, *place])


@contextmanager
def seeded(device: torch.device, seed: int, *place: int) -> Iterator[None]:
    """Torch's generators at a place of a run; afterwards they are as they were."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        drawn = int(place_rng(seed, *place).integers(2**63))
        # torch.manual_seed would reach devices whose state is not kept here.
        torch.default_generator.manual_seed(drawn)
        if devices:
            torch.cuda.manual_seed(drawn)
        yield
