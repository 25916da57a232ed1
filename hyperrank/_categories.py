"""Categorical features: their categories as codes, matched by value whatever holds them."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from hyperrank._columns import is_categorical, take_columns
from hyperrank.files import storable

#: Categories of a feature that are told apart; the rarest beyond are unknown ones.
MAX_CATEGORIES = 1 << 14
#: Rows that a category is learnt from at least; LightGBM, too, leaves rarer ones out.
MIN_ROWS = 3

#: Rows of which none has a category that fit knew are hardly meant so.
MANY_ROWS = 100

Category = str | int | float


def categorical_positions(features: Any, frame: Any, name: str) -> list[int]:
    """Positions of the categorical features among the columns, or a ValueError.

    They are none for None, for ``"from_dtype"`` the columns of a frame whose types are categories, or those
    of names, positions or a mask; errors call the frame `name`.
    """
    columns = [str(column) for column in getattr(frame, "columns", ())]
    if features is None:
        return []
    if isinstance(features, str | Mapping) or not isinstance(features, Iterable):
        if features != "from_dtype":
            raise ValueError(
                f"categorical_features must be 'from_dtype', None, or a list of columns; got {features!r}. "
                f"Of a single column: [{features!r}]."
            )
        dtypes = list(frame.dtypes) if columns and hasattr(frame, "dtypes") else []
        return [j for j, dtype in enumerate(dtypes) if is_categorical(dtype)]
    n_columns = len(columns) or (frame.shape[1] if hasattr(frame, "shape") else len(frame[0]))
    given = features.tolist() if isinstance(features, np.ndarray) else list(features)
    if given and all(isinstance(value, bool) for value in given):
        if len(given) != n_columns:
            raise ValueError(
                f"categorical_features is a mask of {len(given)}; {name} has {n_columns} columns."
            )
        return np.flatnonzero(given).tolist()
    positions = set()
    for value in given:
        if isinstance(value, str) and value in columns:
            positions.add(columns.index(value))
        elif isinstance(value, int | np.integer) and 0 <= value < n_columns:
            positions.add(int(value))
        else:
            raise ValueError(
                f"categorical_features has {value!r}, which is not a column of {name}: "
                + (f"its columns are {columns[:10]}." if columns else f"it has {n_columns}, and no names.")
            )
    return sorted(positions)


def categorical_of(estimator: Any) -> tuple[int, ...]:
    """Positions of the categorical features that an estimator was fitted on."""
    categories: Categories | None = getattr(estimator, "categories_", None)
    return () if categories is None else tuple(categories.values)


def as_pandas_categories(frame: Any) -> Any:
    """A frame as one of pandas, whose columns of categories and of text are of dtype category."""
    import pandas as pd

    if not hasattr(frame, "iloc"):
        categorical = [is_categorical(dtype) for dtype in frame.dtypes]
        frame = pd.DataFrame({name: _of_polars(frame[name]) for name in frame.columns})
        frame = frame.astype({frame.columns[j]: "category" for j in np.flatnonzero(categorical)})
    texts = [pd.api.types.is_string_dtype(dtype) or is_categorical(dtype) for dtype in frame.dtypes]
    return frame.astype({frame.columns[j]: "category" for j in np.flatnonzero(texts)})


@storable
class Categories:
    """The categories of each categorical feature, by the codes that models see in their place.

    A category's code is its place among those of its feature, the most frequent first. Missing values, and
    categories that are not among them, are NaN. `values` has them by the feature's position.
    """

    def __init__(self, values: Mapping[int, Sequence[Category]]) -> None:
        self.values = {int(j): list(values[j]) for j in sorted(values)}
        self._codes = {j: {value: code for code, value in enumerate(own)} for j, own in self.values.items()}

    def __getstate__(self) -> dict[str, Any]:
        """The positions, and the categories as JSON: files hold long texts outside of their header."""
        return {"positions": list(self.values), "values": json.dumps(list(self.values.values()))}

    def __setstate__(self, state: dict[str, Any]) -> None:
        values = json.loads(state["values"])
        made = dict(zip(state["positions"], values, strict=True))
        if not all(type(j) is int and j >= 0 and type(own) is list for j, own in made.items()):
            raise ValueError("categories are not lists by position")
        if any(
            type(value) not in (str, int, float) or value != value for own in values for value in own
        ) or any(len(set(own)) < len(own) or len(own) > MAX_CATEGORIES for own in values):
            raise ValueError("categories are not distinct texts and numbers")
        self.__init__(made)  # type: ignore[misc]

    @property
    def sizes(self) -> dict[int, int]:
        """Number of categories of each categorical feature, by its position."""
        return {j: len(own) for j, own in self.values.items()}

    @classmethod
    def learn(cls, frame: Any, positions: Sequence[int], name: str) -> Self:
        """The categories of some columns that occur often enough; warns of more than are told apart."""
        values = {}
        for j in positions:
            codes, own = _factorized(frame, j, name)
            counts = np.bincount(codes[codes >= 0], minlength=len(own))
            frequent = [code for code in range(len(own)) if counts[code] >= MIN_ROWS]
            frequent.sort(key=lambda code: (-counts[code], isinstance(own[code], str), own[code]))
            if len(frequent) > MAX_CATEGORIES:
                warnings.warn(
                    f"{_where(frame, j, name)} has {len(frequent):,} categories; the {MAX_CATEGORIES:,} most "
                    "frequent are told apart, all others are one. Values that have an order are better left "
                    "numbers.",
                    UserWarning,
                    stacklevel=2,
                )
            values[j] = [own[code] for code in frequent[:MAX_CATEGORIES]]
        return cls(values)

    def encode(self, frame: Any, name: str, feature_names: Sequence[str] | None = None) -> Any:
        """The frame, or array, with float32 codes in its categorical columns, found by name in a frame.

        A ValueError says which column holds text where its categories are numbers, or the other way about.
        """
        frame = _with_columns(frame)
        columns = list(getattr(frame, "columns", ()))
        made = {}
        for j, codes_of in self._codes.items():
            at = j
            if feature_names is not None and feature_names[j] in columns:
                at = columns.index(feature_names[j])
            if at >= frame.shape[1]:
                continue
            codes, own = _factorized(frame, at, name)
            check_kind(own, self.values[j], _where(frame, at, name))
            of_own = np.array([codes_of.get(value, math.nan) for value in own] + [math.nan], dtype=np.float32)
            # One unknown value, such as a new user, may be in all rows of a request.
            if len(own) > 1 and codes_of and len(codes) >= MANY_ROWS and np.isnan(of_own).all():
                warnings.warn(
                    f"{_where(frame, at, name)} holds {own[0]!r} and others, of which fit knew none (but "
                    f"{self.values[j][0]!r}, say): all are taken as unknown.",
                    UserWarning,
                    stacklevel=2,
                )
            made[at] = of_own[codes]
        return replace_columns(frame, made)

    def decode(self, X: NDArray[np.floating[Any]], columns: Sequence[str] | None = None) -> Any:
        """A pandas frame of features, shape (n, d), with categories in the place of their codes."""
        import pandas as pd

        frame = pd.DataFrame(X, columns=None if columns is None else list(columns))
        for j, own in self.values.items():
            codes = np.nan_to_num(X[:, j], nan=-1).astype(np.int64)
            codes[(codes < 0) | (codes >= len(own))] = -1
            frame.isetitem(j, pd.Categorical.from_codes(codes, dtype=pd.CategoricalDtype(own)))
        return frame


def named_categories(
    X: NDArray[np.float32], names: Sequence[str], categories: Mapping[str, Iterable[Category]]
) -> Any:
    """Features as a frame, with categories in the place of codes; as they are where there are none."""
    if not categories:
        return X
    return Categories({names.index(name): list(own) for name, own in categories.items()}).decode(X, names)


def category_codes(frame: Any, name: str) -> tuple[NDArray[np.float32], dict[str, list[Category]]]:
    """Features of a frame of pandas as numbers, and the values whose codes stand for its categories."""
    codes, categories = {}, {}
    for j in categorical_positions("from_dtype", frame, name):
        places, categories[str(frame.columns[j])] = _factorized(frame, j, name)
        codes[j] = np.where(places < 0, np.nan, places).astype(np.float32)
    return np.asarray(replace_columns(frame, codes), dtype=np.float32), categories


def check_kind(given: Iterable[Any], known: Iterable[Any], where: str) -> None:
    """Refuse categories that are all text where the known ones are all numbers, or the other way about."""
    first_given, first_known = (
        {isinstance(value, str): value for value in values} for values in (given, known)
    )
    if first_given and first_known and first_given.keys().isdisjoint(first_known):
        kinds = {True: "text", False: "numbers"}
        (is_text, shown), (was_text, fitted) = (next(iter(d.items())) for d in (first_given, first_known))
        raise ValueError(
            f"{where} holds {kinds[is_text]}, such as {shown!r}; its categories in fit were "
            f"{kinds[was_text]}, such as {fitted!r}."
        )


def _where(frame: Any, j: int, name: str) -> str:
    columns = list(getattr(frame, "columns", ()))
    return f"{name}: column {columns[j] if columns else j!r}"


def _factorized(frame: Any, j: int, name: str) -> tuple[NDArray[np.int64], list[Category]]:
    """The categories of a column, and the place of each row's among them; -1 where it is missing."""
    column = frame.iloc[:, j] if hasattr(frame, "iloc") else take_columns(frame, np.array([j]))[:, 0]
    if hasattr(column, "to_physical"):  # polars
        column = _of_polars(column)
    places: dict[Category, int] = {}
    return place_values(column, places, _where(frame, j, name)), list(places)


def place_values(column: Any, places: dict[Category, int], where: str) -> NDArray[np.int64]:
    """The place of each value of a column among the categories so far, which grow; -1 where it is missing."""
    import pandas as pd

    try:
        codes, found = pd.factorize(column if hasattr(column, "iloc") else pd.Series(column))
    except TypeError as error:  # lists, say
        raise ValueError(f"{where} holds values that cannot be categories: {error}.") from error
    return np.array([*(_place(value, places, where) for value in found.tolist()), -1], dtype=np.int64)[codes]


def _place(value: Any, places: dict[Category, int], where: str) -> int:
    """The place of a value among the categories so far, which are those that are equal to it; -1 for NaN."""
    if isinstance(value, str):
        category: Category = str(value)
    elif isinstance(value, int | np.integer | np.bool_):
        category = int(value)
    elif isinstance(value, float | np.floating) and math.isfinite(value):
        # Float32 and float64 are to be equal.
        category = int(value) if value == int(value) else float(np.float32(value))
    elif value is None or value != value:
        return -1
    else:
        raise ValueError(
            f"{where} holds the category {value!r} ({type(value).__name__}); categories are text, whole "
            "numbers or numbers: write others as text."
        )
    return places.setdefault(category, len(places))


def _of_polars(column: Any) -> Any:
    """A column of polars as an array: categories as text, nulls as None or NaN."""
    import polars

    return (column.cast(polars.String) if is_categorical(column.dtype) else column).to_numpy()


def _with_columns(frame: Any) -> Any:
    """A frame, or anything else as an array."""
    if hasattr(frame, "iloc") or hasattr(frame, "with_columns") or isinstance(frame, np.ma.MaskedArray):
        return frame
    array = frame.toarray() if hasattr(frame, "toarray") else np.asarray(frame)
    # Of a list of numbers and text numpy makes text alone.
    return np.asarray(frame, dtype=object) if array.dtype.kind in "SU" else array


def replace_columns(frame: Any, columns: Mapping[int, Any]) -> Any:
    """A frame, or an array of numbers, with some columns in the place of what it has."""
    if hasattr(frame, "isetitem"):
        changed = frame.copy(deep=False)
        for j, values in columns.items():
            changed.isetitem(j, values)
        return changed
    if hasattr(frame, "with_columns"):
        return frame.with_columns(**{frame.columns[j]: values for j, values in columns.items()})
    changed = frame.copy() if frame.dtype.kind in "Of" else frame.astype(np.float64)
    for j, values in columns.items():
        changed[:, j] = values
    return changed
