"""Columns of a table as a matrix, each value checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["feature_columns", "label_columns"]

LARGEST = float(np.finfo(np.float32).max)
#: A column of numbers by its name, NaN where there is none.
Numbers = Callable[[str], NDArray[np.float64]]


def feature_columns(
    numbers: Numbers, names: Sequence[str], n_rows: int, first_row: int
) -> NDArray[np.float32]:
    """Some columns of a part of a table that begins at a row, shape (n, d).

    Raises
    ------
    ValueError
        If a value is infinite in float32, naming column and row.
    """
    return _columns(numbers, names, n_rows, first_row, -LARGEST, "finite numbers that float32 can hold")


def label_columns(numbers: Numbers, names: Sequence[str], n_rows: int, first_row: int) -> NDArray[np.float32]:
    """The same of labels, which are not negative either."""
    return _columns(numbers, names, n_rows, first_row, 0.0, "labels from 0 to 3e38")


def _columns(
    numbers: Numbers, names: Sequence[str], n_rows: int, first_row: int, lowest: float, wanted: str
) -> NDArray[np.float32]:
    table = np.empty((n_rows, len(names)), dtype=np.float32)
    for j, name in enumerate(names):
        values = numbers(name)
        with np.errstate(invalid="ignore"):
            bad = np.flatnonzero((values < lowest) | (values > LARGEST))
        if len(bad):
            raise ValueError(
                f"column {name!r} holds {values[bad[0]]:g} at row {first_row + bad[0]:,}; wanted {wanted}, "
                "or nothing (NaN, null) where there is none."
            )
        table[:, j] = values
    return table
