"""Labels, names of objectives, and single numbers per row, checked."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_array

__all__ = ["naming", "read_labels", "read_scores"]


def read_labels(
    y: Any, n_rows: int, *, objectives: Sequence[str] | None = None, name: str = "y"
) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Check labels and name the objectives.

    Parameters
    ----------
    y : array-like or frame of shape (n,) or (n, m)
        Labels >= 0, NaN where unobserved.
    n_rows : int
        Rows of `X`.
    objectives : sequence of str, optional
        Names of the objectives. By default those of the frame's columns, or objective_0, objective_1, ...
        A frame that has all these names is read by them, in whatever order its columns are.
    name : str, default "y"
        What to call `y` in an error.

    Returns
    -------
    labels : ndarray of shape (n, m), float32
    names : tuple of str

    Raises
    ------
    ValueError
        If labels are missing, negative, infinite, of another length than `X`, or wrongly named.
    """
    if y is None:
        raise ValueError(
            f"requires y to be passed, but the target {name} is None: give one column per objective."
        )
    found = _column_names(y)
    if objectives is not None and found is not None and set(objectives) <= set(found):
        y, found = y[list(objectives)], list(objectives)
    with naming(name):
        labels = check_array(
            y,
            dtype=np.float64,
            ensure_2d=False,
            ensure_all_finite="allow-nan",
            ensure_min_samples=0,
            input_name=name,
        )
    if labels.ndim not in (1, 2) or (labels.ndim == 2 and labels.shape[1] == 0):
        raise ValueError(f"{name} has shape {labels.shape}; wanted (n,) or (n, m), one column per objective.")
    if len(labels) != n_rows:
        raise ValueError(
            f"{name} has {len(labels)} rows, but X has {n_rows}: inconsistent numbers of samples."
        )
    labels = labels[:, None] if labels.ndim == 1 else labels
    with np.errstate(invalid="ignore"):
        bad = (labels < 0) | (labels > np.finfo(np.float32).max)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise ValueError(
            f"{name} must hold labels from 0 up to 3e38; got {labels[row, column]} at row {row}, "
            f"column {column}. Shift or rescale that objective (labels are gains: more is better)."
        )
    return labels.astype(np.float32), _objective_names(objectives, found, labels.shape[1], name)


def read_scores(values: Any, n_rows: int, *, name: str) -> NDArray[np.float64]:
    """Check one number per row, such as reference scores or weights.

    Raises
    ------
    ValueError
        If there is not one finite number per row.
    """
    with naming(name):
        scores = check_array(values, dtype=np.float64, ensure_2d=False, ensure_min_samples=0, input_name=name)
    if scores.ndim == 2 and scores.shape[1] == 1:
        scores = scores[:, 0]
    if scores.shape != (n_rows,):
        raise ValueError(f"{name} has shape {scores.shape}; wanted ({n_rows},), one number per row.")
    return np.asarray(scores)


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Errors of scikit-learn's and numpy's that name the argument, and no warning before them."""
    try:
        # Values beyond float32 become infinite, which is refused.
        with np.errstate(over="ignore", invalid="ignore"):
            yield
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:
        # A RuntimeError is what torch raises of tensors that have a gradient.
        if re.search(rf"\b{name}\b", str(error)) and isinstance(error, TypeError | ValueError):
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{name}: {error}") from error


def _column_names(y: Any) -> list[str] | None:
    """Names that a frame or series gives its columns, where they are all strings."""
    names: list[Hashable] | None = None
    if hasattr(y, "columns"):
        names = list(y.columns)
    elif getattr(y, "name", None) is not None:
        names = [y.name]
    if names is None or not all(isinstance(n, str) for n in names):
        return None
    return [str(n) for n in names]


def _objective_names(
    objectives: Sequence[str] | None, found: list[str] | None, m: int, name: str
) -> tuple[str, ...]:
    """Names of the objectives: those asked for, those of the frame, or numbered ones."""
    if objectives is None:
        names = tuple(found) if found is not None else tuple(f"objective_{j}" for j in range(m))
    else:
        names = tuple(objectives)
    if len(names) != m:
        raise ValueError(
            f"{name} has {m} columns, but the objectives are {list(names)}: one column for each."
        )
    if len(set(names)) != len(names):
        raise ValueError(f"objectives must have different names; got {list(names)}.")
    unknown = sorted(set(names) - set(found or names))
    if unknown and m > 1:
        raise ValueError(f"{name} has columns {found}, but not the objectives {unknown}.")
    return names
