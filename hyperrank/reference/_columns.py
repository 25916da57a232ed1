"""Columns of a reference model among those of the features: by name wherever both have names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["columns_of_model", "model_width", "take_columns"]

#: Names that libraries make up for the columns of arrays.
MADE_UP = re.compile(r"(Column_|f)?\d+")
#: Names that an error lists at most.
MOST_LISTED = 5


def columns_of_model(model: Any, frame: Any) -> NDArray[np.int64] | None:
    """Positions among the features of the columns that a fitted model takes, in its order.

    Parameters
    ----------
    model : object
        Fitted.
    frame : object
        Features: a frame, or an array without names.

    Returns
    -------
    ndarray of shape (k,), int64, or None
        None where all columns are taken as they are.

    Raises
    ------
    ValueError
        If the model was fitted on columns that a frame lacks, or on another number of columns.
    """
    names, expected = _names_of_frame(frame), _names_of_model(model)
    if names is not None and expected is not None:
        by_name = _by_name(names, expected)
        if by_name is not None:
            return None if by_name == list(range(len(names))) else np.array(by_name, dtype=np.int64)
        if not all(MADE_UP.fullmatch(name) for name in expected):
            known = set(names) | {_in_lightgbm(name) for name in names}
            missing = [name for name in expected if name not in known]
            raise ValueError(
                f"the reference {type(model).__name__} was fitted on columns that X lacks: "
                f"{_listed(missing)}. X has {_listed(names)}."
            )
    width, n_columns = model_width(model), _n_columns(frame)
    if width is not None and n_columns is not None and width != n_columns:
        raise ValueError(
            f"the reference {type(model).__name__} was fitted on {width} features, and X has {n_columns}: "
            "where both have names of columns, as frames do, those of the reference are found by name."
        )
    return None


def model_width(model: Any) -> int | None:
    """How many features a fitted model takes; None where it does not say."""
    width = getattr(model, "n_features_in_", None)
    if width is None and callable(getattr(model, "num_feature", None)):
        width = model.num_feature()
    return None if width is None else int(width)


def take_columns(frame: Any, columns: NDArray[np.int64]) -> Any:
    """Columns of an array, sparse matrix or frame by their positions; of the same kind."""
    if hasattr(frame, "iloc"):
        return frame.iloc[:, columns]
    if hasattr(frame, "column_names"):  # an Arrow table
        return frame.select(columns.tolist())
    return frame[:, columns]


def _by_name(names: Sequence[str], expected: Sequence[str]) -> list[int] | None:
    """Where each expected name stands; None where some stands nowhere.

    Raises
    ------
    ValueError
        If one stands twice.
    """
    exact: dict[str, list[int]] = {}
    for position, name in enumerate(names):
        for known in {name, _in_lightgbm(name)}:
            exact.setdefault(known, []).append(position)
    if not all(name in exact for name in expected):
        return None
    twice = [name for name in expected if len(exact[name]) > 1]
    if twice:
        raise ValueError(f"X has several columns that the reference may mean by {_listed(twice)}.")
    return [exact[name][0] for name in expected]


def _names_of_frame(frame: Any) -> list[str] | None:
    columns = getattr(frame, "column_names", getattr(frame, "columns", None))
    return None if columns is None else [str(name) for name in columns]


def _names_of_model(model: Any) -> list[str] | None:
    """Names of the columns that a model was fitted on, of LightGBM, XGBoost, CatBoost and scikit-learn."""
    names = getattr(getattr(model, "booster_", model), "feature_name", None)
    if callable(names):
        return [str(name) for name in names()]
    for attribute in ("feature_names_in_", "feature_names_", "feature_names"):
        names = getattr(model, attribute, None)
        if names is not None and not callable(names):
            return [str(name) for name in names]
    return None


def _n_columns(frame: Any) -> int | None:
    shape = getattr(frame, "shape", None)
    return int(shape[1]) if shape is not None and len(shape) == 2 else None


def _in_lightgbm(name: str) -> str:
    """A name as LightGBM stores it."""
    return name.replace(" ", "_")


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_LISTED} more" if len(names) > MOST_LISTED else ""
    return ", ".join(map(repr, names[:MOST_LISTED])) + more
