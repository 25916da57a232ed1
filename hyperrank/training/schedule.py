"""The learning rate over a run: linear warm-up, then cosine decay."""

from __future__ import annotations

import math

__all__ = ["warmup_cosine"]


def warmup_cosine(step: int, n_steps: int, *, warmup: float = 0.05, floor: float = 0.01) -> float:
    """Factor on the peak learning rate at a step.

    Parameters
    ----------
    step : int
        Steps taken so far.
    n_steps : int
        Steps of the whole run.
    warmup : float, default 0.05
        Share of the run in which the factor rises from 0 to 1.
    floor : float, default 0.01
        The factor at the end.

    Returns
    -------
    float

    Examples
    --------
    >>> [round(warmup_cosine(step, 100), 2) for step in (0, 4, 5, 52, 100)]
    [0.2, 1.0, 1.0, 0.51, 0.01]
    """
    rising = max(1, round(warmup * n_steps))
    if step < rising:
        return (step + 1) / rising
    progress = min(1.0, (step - rising) / max(1, n_steps - rising))
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress))
