"""Checks of options: numbers and choices."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any


def check_number(
    name: str,
    value: Any,
    *,
    at_least: float | None = None,
    above: float | None = None,
    below: float | None = None,
    whole: bool = False,
    or_auto: bool = False,
) -> float:
    """Check that an option is a number within its range, and give it back.

    `or_auto` is for options that may be ``"auto"`` too, which the caller has looked for: errors say so.
    """
    kind = Integral if whole else Real
    fits = isinstance(value, kind) and not isinstance(value, bool) and value == value
    fits = fits and (at_least is None or value >= at_least) and (above is None or value > above)
    fits = fits and (below is None or value < below)
    if not fits:
        bounds = [("at least", at_least), ("above", above), ("below", below)]
        expected = " and ".join(f"{word} {bound:g}" for word, bound in bounds if bound is not None)
        expected += " or 'auto'" if or_auto else ""
        raise ValueError(f"{name} must be a {'whole ' if whole else ''}number {expected}; got {value!r}.")
    return float(value)


def _check_choice(name: str, value: Any, choices: tuple[Any, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {choices}; got {value!r}.")


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, list | tuple) else (value,)
