"""Interleaved timing of baselines, so that a slow phase of the machine affects all alike."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

__all__ = ["MissingPeerError", "Spread", "interleaved", "unless_missing"]


#: Quick tasks are called again until this much time is filled: a single call measures what is in the cache.
LEAST_SECONDS = 0.2


class MissingPeerError(Exception):
    """A peer that cannot be imported here; its message is one line."""


@dataclass(frozen=True)
class Spread:
    """CPU seconds of several repetitions."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one."""
        return median(self.seconds)

    def __str__(self) -> str:
        low, high = min(self.seconds), max(self.seconds)
        return f"{self.median:.4g} ({low:.4g} to {high:.4g})"


def interleaved(
    tasks: Mapping[str, Callable[[], Any]],
    repetitions: int,
    clock: Callable[[], float] = time.process_time,
) -> dict[str, Spread]:
    """Time every task so many times: all once, then all again in the opposite order, and so on.

    Every task runs once beforehand, untimed, and the garbage collector stands still meanwhile, as in timeit.
    CPU seconds of this process are counted by default: on a machine shared with others the clock on the wall
    would measure the neighbours. Tasks should keep to one thread.
    """
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for task in tasks.values():
        task()
    for repetition in range(repetitions):
        for name in list(tasks)[:: 1 if repetition % 2 == 0 else -1]:
            seconds[name].append(_seconds(tasks[name], clock))
    return {name: Spread(tuple(taken)) for name, taken in seconds.items()}


def unless_missing(makers: Sequence[Callable[[], Any]], say: Callable[[str], None] = print) -> list[Any]:
    """What the makers make; a peer that is missing is named in one line and left out."""
    made = []
    for make in makers:
        try:
            made.append(make())
        except MissingPeerError as error:
            say(f"skipped: {error}")
    return made


def _seconds(task: Callable[[], Any], clock: Callable[[], float]) -> float:
    """Seconds of one call, the mean over as many calls as fill a moment."""
    gc.collect()
    was_on = gc.isenabled()
    gc.disable()
    calls = 0
    try:
        started = clock()
        while True:
            task()
            calls += 1
            taken = clock() - started
            if taken >= LEAST_SECONDS:
                return taken / calls
    finally:
        if was_on:
            gc.enable()
