"""Which features are permuted, alone or in groups, and what they are called."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Columns", "named_columns", "permuted_frame"]


@dataclass(frozen=True)
class Columns:
    """One feature, or several that are permuted together.

    Attributes
    ----------
    name : str
    index : tuple of int
        Numbers of the columns.
    """

    name: str
    index: tuple[int, ...]


def named_columns(
    features: Sequence[Any] | Mapping[str, Any] | None, known: Sequence[str] | None, n_features: int
) -> list[Columns]:
    """What is asked for, found among the features.

    Parameters
    ----------
    features : sequence of str or int, mapping of str to such, or None
        Features one by one, or groups by name; all, one by one, for None.
    known : sequence of str or None
        Names of all features; x0, x1, ... where there are none.
    n_features : int

    Returns
    -------
    list of Columns

    Raises
    ------
    ValueError
        If a feature is unknown, or named twice.

    Examples
    --------
    >>> named_columns({"text": [0, 1], "price": "x2"}, None, 3)
    [Columns(name='text', index=(0, 1)), Columns(name='price', index=(2,))]
    """
    names = [f"x{j}" for j in range(n_features)] if known is None else [str(name) for name in known]
    where = {name: j for j, name in enumerate(names)}
    if features is None:
        return [Columns(name, (j,)) for j, name in enumerate(names)]
    if isinstance(features, Mapping):
        found = [Columns(str(name), _index(group, where, names)) for name, group in features.items()]
    else:
        numbers = [_index(feature, where, names) for feature in _each(features)]
        found = [Columns(" + ".join(names[j] for j in index), index) for index in numbers]
    given = [columns.name for columns in found]
    doubled = sorted({name for name in given if given.count(name) > 1})
    if not found or doubled:
        raise ValueError(f"features must name at least one feature, each once; got {doubled or features!r}.")
    return found


def _each(features: Any) -> Iterable[Any]:
    """Features that were given, a lone one as well."""
    return [features] if isinstance(features, str | Integral) else features


def _index(group: Any, where: Mapping[str, int], names: Sequence[str]) -> tuple[int, ...]:
    found = []
    for feature in _each(group):
        is_number = isinstance(feature, Integral) and not isinstance(feature, bool)
        if is_number and 0 <= int(feature) < len(names):
            found.append(int(feature))
        elif isinstance(feature, str) and feature in where:
            found.append(where[feature])
        else:
            shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
            raise ValueError(
                f"features names {feature!r}, which is none of the {len(names)} features ({shown}) nor a "
                "number of one."
            )
    if not found or len(set(found)) < len(found):
        raise ValueError(f"features must name at least one feature, each once; got {group!r}.")
    return tuple(found)


def permuted_frame(frame: Any, index: Sequence[int], order: NDArray[np.int64]) -> Any:
    """Features as the caller gave them, some columns in another order; the rest is as it was.

    Parameters
    ----------
    frame : array or frame of shape (n, d)
    index : sequence of int
    order : ndarray of shape (n,), int64
    """
    if hasattr(frame, "isetitem"):
        changed = frame.copy(deep=False)
        for j in index:
            changed.isetitem(j, frame.iloc[order, j].array)
        return changed
    if hasattr(frame, "with_columns"):  # polars
        return frame.with_columns([frame[:, j][order] for j in index])
    changed = frame.copy()
    changed[:, list(index)] = frame[order][:, list(index)]
    return changed
