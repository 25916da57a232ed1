"""How many threads grow boosters and score by them; results do not depend on it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache

__all__ = ["booster_threads", "held_to", "scoring_threads"]

_HELD_TO: ContextVar[int | None] = ContextVar("held_to", default=None)


@contextmanager
def booster_threads(n: int) -> Iterator[None]:
    """Grow and score boosters with so many threads for a while, where this thread asks.

    Boosters on few data are grown by one thread each in any case.

    Examples
    --------
    >>> with booster_threads(2):
    ...     held_to()
    2
    """
    token = _HELD_TO.set(n)
    try:
        yield
    finally:
        _HELD_TO.reset(token)


def held_to() -> int | None:
    """The threads that `booster_threads` asks for; None where nobody does."""
    return _HELD_TO.get()


def scoring_threads() -> int:
    """Threads to score with: those asked for, or as many as OpenMP's own variable allows, or all cores."""
    return held_to() or _allowed()


@cache
def _allowed() -> int:
    from joblib import cpu_count

    wanted = os.environ.get("OMP_NUM_THREADS", "")
    cores: int = cpu_count()
    return min(cores, int(wanted)) if wanted.isdecimal() and int(wanted) > 0 else cores
