"""Options: checks of numbers and choices, and the base of option objects; imports of what is optional."""

from __future__ import annotations

import os
import sys
from collections.abc import Hashable, Sequence
from dataclasses import fields
from importlib import import_module
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeGuard

if TYPE_CHECKING:
    import numpy as np


def check_number(
    name: str,
    value: Any,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    above: float | None = None,
    below: float | None = None,
    whole: bool = False,
    or_auto: bool = False,
) -> float:
    """Check that an option is a finite number within its range, and give it back.

    `or_auto` is for options that may be ``"auto"`` too, which the caller has looked for: errors say so.
    """
    kind = Integral if whole else Real
    is_number = isinstance(value, kind) and not isinstance(value, bool)
    is_finite = is_number and abs(value) <= sys.float_info.max
    fits = is_finite and (at_least is None or value >= at_least) and (above is None or value > above)
    fits = fits and (below is None or value < below) and (at_most is None or value <= at_most)
    if not fits:
        bounds = [("at least", at_least), ("above", above), ("below", below), ("at most", at_most)]
        expected = " and ".join(f"{word} {bound:.10g}" for word, bound in bounds if bound is not None)
        expected += " or 'auto'" if or_auto else ""
        kind_of = "whole " if whole else "finite " if is_number and not is_finite else ""
        raise ValueError(f"{name} must be a {f'{kind_of}number {expected}'.rstrip()}; got {value!r}.")
    return float(value)


def is_whole(value: Any) -> TypeGuard[int]:
    """Whether something is a whole number, which True and False are not."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def position_in(names: Sequence[str], given: Any) -> int | None:
    """The place in `names` that a name has, or that a number from 0 is; None for what is neither."""
    if isinstance(given, str) and given in names:
        return names.index(given)
    return int(given) if is_whole(given) and 0 <= int(given) < len(names) else None


def check_random_state(random_state: Any) -> np.random.RandomState:
    """The generator that a seed, a RandomState or None means; a ValueError for anything else."""
    from sklearn import utils  # takes a second, which readers need not wait for

    try:
        return utils.check_random_state(random_state)
    except ValueError as error:
        raise ValueError(
            "random_state must be a whole number from 0 to 2**32 - 1, a numpy.random.RandomState or None; "
            f"got {random_state!r}."
        ) from error


def check_n_jobs(n_jobs: Any) -> int | None:
    """How many tasks at a time, as joblib has it: None for all cores, or a whole number but 0."""
    if n_jobs is None or (is_whole(n_jobs) and n_jobs != 0):
        return None if n_jobs is None else int(n_jobs)
    raise ValueError(f"n_jobs must be None or a whole number other than 0, such as -1; got {n_jobs!r}.")


def check_verbose(verbose: Any) -> int:
    """How much a fit says: 0, 1 or more, or True."""
    if not isinstance(verbose, Integral):
        raise ValueError(f"verbose must be 0, 1 or a higher whole number; got {verbose!r}.")
    return int(verbose)


def as_path(path: Any) -> Path:
    """The path that text or a path object means; a TypeError for anything else, such as an open file."""
    if not isinstance(path, str | os.PathLike) or not isinstance(os.fspath(path), str):
        raise TypeError(f"expected the path of a file, as text or pathlib.Path; got a {type(path).__name__}.")
    if "\0" in os.fspath(path):
        raise ValueError(f"the path {os.fspath(path)!r} holds a NUL, which no name of a file may.")
    return Path(path)


def as_paths(path: Any) -> list[Path]:
    """One or several paths as a list, of one at least."""
    paths = [path] if isinstance(path, str | os.PathLike) else path
    if not isinstance(paths, Sequence) or not all(isinstance(p, str | os.PathLike) for p in paths):
        raise TypeError(
            f"expected the path of a file, or a sequence of paths; got a {type(path).__name__}. Of a file "
            "that is open, pass its name."
        )
    if not paths:
        raise ValueError("the sequence of paths is empty; give at least one file.")
    return [as_path(p) for p in paths]


def check_choice(name: str, value: Any, choices: tuple[Any, ...]) -> None:
    if not isinstance(value, Hashable) or value not in choices:
        raise ValueError(f"{name} must be one of {choices}; got {value!r}.")


def import_extra(module: str, extra: str) -> Any:
    """Import a module that comes with an extra of the package, or say how to install it."""
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(f'{error}: pip install "hyperrank[{extra}]" brings what this needs.') from error


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, list | tuple | range) else (value,)


class Params:
    """Base class of dataclasses with options of a ranker, such as those of its loss.

    A ranker that is given one lets scikit-learn reach its fields, as in ``ranker.set_params(loss__top_k=5)``.
    The constructor only stores, as scikit-learn asks: who takes the object checks it.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass
    ... class Cooling(Params):
    ...     rate: float = 0.5
    >>> Cooling().set_params(rate=0.1)
    Cooling(rate=0.1)
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]  # what makes a class a dataclass to type checkers

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters by name.

        Parameters
        ----------
        deep : bool, default True
            Whether to add, as ``name__parameter``, the parameters of parameters that have some.

        Returns
        -------
        dict
        """
        params = {field.name: getattr(self, field.name) for field in fields(self)}
        if deep:
            for name, value in list(params.items()):
                if isinstance(value, Params):
                    params |= {f"{name}__{key}": inner for key, inner in value.get_params().items()}
        return params

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name.

        Parameters
        ----------
        **params
            New values; ``name__parameter`` sets a parameter of a parameter.

        Returns
        -------
        Params
            Itself.

        Raises
        ------
        ValueError
            If there is no such parameter.
        """
        known = [field.name for field in fields(self)]
        for name, value in params.items():
            own, _, inner = name.partition("__")
            if own not in known or (inner and not isinstance(getattr(self, own), Params)):
                raise ValueError(f"{type(self).__name__} has no parameter {name!r}; it has {known}.")
            if inner:
                getattr(self, own).set_params(**{inner: value})
            else:
                setattr(self, own, value)
        return self
