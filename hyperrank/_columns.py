"""Columns as numbers: masked and null entries become NaN, dates and text are refused by name."""

from __future__ import annotations

import datetime
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set, Sized
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperrank.memmap import MappedRows, in_memory, is_mapped, take_rows

#: What pandas calls an index without a name when it stores it, and readers of CSV a column without one.
_STORED_INDEX = re.compile(r"__index_level_\d+__|Unnamed: \d+(_level_\d+)?")
#: What has no number that everybody would agree on, though some of it has a ``__float__``.
_OTHERS = (
    *(datetime.date, datetime.time, datetime.timedelta, np.datetime64, np.timedelta64),
    *(bytes, bytearray, complex, list, tuple, set, np.ndarray),
)
#: What columns of query ids are often called, without underscores and spaces.
USUAL_IDS = ("qid", "queryid", "query", "searchid", "sessionid")
#: Rows, evenly spaced, in which labels are looked for among the features.
_SAMPLE_ROWS = 2048
#: Rows of a mapped file that are in memory at a time while columns are taken.
CHUNK_ROWS = 100_000
#: Fewer rows have equal columns by chance.
_FEW_ROWS = 20
#: Types of polars and Arrow, by the beginning of their names, that no number is made of.
_NOT_NUMBERS = re.compile(
    r"(date|time|duration|interval|month_|categorical|enum|dictionary|binary|fixed_size|list|large_list|struct|"
    r"map|array|object|extension|union|unknown)",
    re.IGNORECASE,
)


def n_rows_of(X: Any) -> int:
    """Rows of features of any kind; 0 of what has no length, which the checks of the features refuse."""
    return int(X.shape[0]) if hasattr(X, "shape") and X.shape else len(X) if isinstance(X, Sized) else 0


def as_numbers(values: Any, name: str) -> Any:
    """Values of which numpy makes the numbers that they mean, or an error that names the column.

    Masked entries and nulls among objects become NaN, sparse columns dense; what holds numbers alone is given
    back as it is. A ValueError says which column holds dates, durations, text, lists or other things.
    """
    _refuse_records(values, name)
    if isinstance(values, np.ma.MaskedArray):
        return _filled(values, name)
    if isinstance(values, np.ndarray):
        return _of_array(in_memory(values), name)
    if isinstance(values, list | tuple):
        return _of_list(values, name)
    if type(values).__name__ == "LazyFrame":
        raise ValueError(f"{name} is a LazyFrame, which has no values yet: pass what .collect() gives.")
    if hasattr(values, "iloc") or type(values).__module__.partition(".")[0] == "pandas":
        return _of_pandas(values, name)
    for column, dtype, content in _typed_columns(values):
        if _NOT_NUMBERS.match(str(dtype)):
            raise _refusal(name, column, dtype, is_category=is_categorical(dtype))
        if "string" in str(dtype).lower():
            _check_text(content.to_pylist() if hasattr(content, "to_pylist") else content, name, column)
    return values


def is_categorical(dtype: Any) -> bool:
    """Whether a type of pandas, polars or Arrow is that of categories."""
    return str(dtype).lower().startswith(("category", "categorical", "enum", "dictionary"))


def _typed_columns(values: Any) -> Iterator[tuple[str | None, Any, Any]]:
    """Name, type and content of each column of what Arrow or polars hold; none of others."""
    if hasattr(values, "schema") and (hasattr(values, "column_names") or hasattr(values, "get_columns")):
        for column in getattr(values, "column_names", values.columns):
            yield from ((column, dtype, each) for _, dtype, each in _typed_columns(values[column]))
    elif hasattr(values, "to_physical"):  # a polars series
        yield values.name or None, values.dtype, values
    elif hasattr(values, "to_pylist"):  # an Arrow array
        yield None, values.type, values


def _refuse_records(values: Any, name: str) -> None:
    """Refuse what holds no rows, and what names them but is not a frame: numpy would read it by position."""
    if isinstance(values, str | bytes | Set | Iterator) or values is None or callable(values):
        shown = f": {values[:40]!r}" if isinstance(values, str) else ""
        raise TypeError(
            f"{name} is a {type(values).__name__}{shown}; expected an array or a frame of numbers."
        )
    if hasattr(values, "feature_names") and hasattr(values, "qid"):
        raise TypeError(
            f"{name} is a {type(values).__name__}: pass its parts, data.X, data.Y and qid=data.qid."
        )
    first = values[0] if isinstance(values, list | tuple) and len(values) else values
    is_record = isinstance(first, Mapping) and not hasattr(first, "shape")  # a dok_matrix is a dict
    is_row = isinstance(values, list | tuple) and hasattr(first, "iloc")
    if is_record or is_row or (isinstance(values, np.ndarray) and values.dtype.names is not None):
        kind = "structured array" if isinstance(values, np.ndarray) else type(values).__name__
        kind += "" if first is values else f" of {type(first).__name__}"
        raise TypeError(
            f"{name} is a {kind}; expected an array or a frame, whose columns go by name: "
            f"pandas.DataFrame({name})."
        )
    if getattr(values, "requires_grad", False):
        raise ValueError(f"{name} is a tensor with a gradient: pass what .detach() gives.")


def refuse_other_order(values: Any, name: str, rows: Any, name_of_rows: str = "X") -> None:
    """Refuse a frame or series of pandas that has the index of another in another order, or another index.

    Rows go by position, and the indices say that this is not meant, unless one just counts the rows or they
    have different names.
    """
    if not (hasattr(values, "iloc") and hasattr(rows, "iloc")) or len(values) != len(rows):
        return
    index, expected = values.index, rows.index
    if index.equals(expected) or index.nlevels != expected.nlevels:
        return
    counts = index.value_counts(dropna=False)
    is_shuffled = expected.value_counts(dropna=False).reindex(counts.index).eq(counts).all()
    counts_rows = any(np.array_equal(each, np.arange(len(index))) for each in (index, expected))
    if is_shuffled:
        what = f"the index of {name_of_rows} in another order"
    elif index.names == expected.names and not counts_rows:
        what = f"another index than {name_of_rows}"
    else:
        return
    raise ValueError(
        f"{name} has {what}, and rows go by position: pass {name}.loc[{name_of_rows}.index], or "
        f"{name}.to_numpy() if the rows are in one order already."
    )


def arrow_to_pandas(values: Any) -> Any:
    """An Arrow table or batch as a frame of pandas, whose stored index is its index; others as they are."""
    is_arrow = hasattr(values, "schema") and type(values).__module__.partition(".")[0] == "pyarrow"
    if is_arrow and hasattr(values, "read_all"):
        raise ValueError("a RecordBatchReader can be read only once: pass the table that .read_all() gives.")
    return values.to_pandas() if is_arrow and hasattr(values, "to_pandas") else values


def _refusal(name: str, column: Any, what: Any, *, is_category: bool = False) -> ValueError:
    where = name if column is None else f"{name}: column {column!r}"
    hint = ""
    if is_category and name.startswith("X") and column is not None:
        hint = f"fit with categorical_features=[{column!r}] if it is categories, "
    return ValueError(
        f"{where} holds {what}, not numbers: {hint}leave it out, or encode it as numbers (a date as days "
        "since another, say)."
    )


def _filled(values: np.ma.MaskedArray[Any, Any], name: str) -> NDArray[Any]:
    """A masked array with NaN in the place of what is masked."""
    data = np.asarray(_of_array(np.asarray(values.data), name))
    mask = np.ma.getmaskarray(values)
    if not mask.any():
        return data
    return np.where(mask, np.nan, data if data.dtype.kind == "f" else data.astype(np.float64))


def _of_array(values: NDArray[Any], name: str) -> NDArray[Any]:
    if values.dtype.kind in "mMS":
        raise _refusal(name, None, values.dtype)
    if values.dtype.kind == "c":
        raise ValueError(f"{name}: Complex data not supported: got {values.dtype}.")
    if values.dtype.kind == "U":
        for j, column in enumerate(values.T if values.ndim == 2 else [values]):
            _check_text(column.ravel().tolist(), name, j if values.ndim == 2 else None)
    if values.dtype.kind != "O" or values.ndim not in (1, 2) or not values.size:
        return values
    if values.ndim == 1:
        return _of_objects(values, name, None)
    columns = [_of_objects(column, name, j) for j, column in enumerate(values.T)]
    return values if all(column.dtype == object for column in columns) else np.stack(columns, axis=1)


def _of_list(values: Sequence[Any], name: str) -> Any:
    if any(isinstance(value, np.ma.MaskedArray) for value in values):
        return _filled(np.ma.stack([np.ma.asarray(value) for value in values]), name)
    try:
        array = np.asarray(values)
    except (TypeError, ValueError):
        return values  # ragged, which the checks of shape say better
    return _of_array(array, name)


def _of_objects(values: NDArray[Any], name: str, column: Any) -> NDArray[Any]:
    """Objects without dates, as floats where some are null; what else they are is left to others."""
    for row, value in enumerate(values):
        kind = type(value)
        if isinstance(value, _OTHERS) or kind.__name__ in ("NaTType", "Period", "Interval"):
            raise _refusal(name, column, f"a {kind.__name__} at row {row}")
        if not hasattr(kind, "__float__") and not isinstance(value, str) and not _is_null(value):
            where = f"{name}:" if column is None else f"{name}: column {column!r} has"
            raise TypeError(f"{where} a {kind.__name__} at row {row}; argument must be a string or a number.")
    null = np.fromiter(map(_is_null, values), bool)
    if not null.any():
        return values
    filled = values.copy()
    filled[null] = np.nan
    try:
        return filled.astype(np.float64)
    except (TypeError, ValueError):
        return values


def _is_null(value: Any) -> bool:
    return value is None or type(value).__name__ == "NAType"


def _of_pandas(values: Any, name: str) -> Any:
    """A frame or series, its odd columns as floats; an index or array as a series."""
    import pandas as pd

    if not hasattr(values, "columns"):
        values = values if hasattr(values, "iloc") else pd.Series(values, name=getattr(values, "name", None))
        made = _of_column(values, name, values.name)
        return values if made is None else made
    if not len(values.columns):
        return values.to_numpy(dtype=np.float64)
    if values.columns.nlevels > 1:
        raise ValueError(
            f"{name} has columns of {values.columns.nlevels} levels; expected one name each: "
            f"{name}.columns = ['_'.join(map(str, levels)) for levels in {name}.columns]."
        )
    changed: Any = None
    for j, dtype in enumerate(values.dtypes):
        if isinstance(dtype, np.dtype) and dtype.kind in "biuf":
            continue
        made = _of_column(values.iloc[:, j], name, values.columns[j])
        if made is not None:
            changed = values.copy(deep=False) if changed is None else changed
            changed.isetitem(j, made)
    return values if changed is None else changed


def _of_column(column: Any, name: str, label: Any) -> Any:
    """A column of pandas as another one; None where it can stay."""
    import pandas as pd

    dtype = column.dtype
    kind = getattr(dtype, "kind", "O")
    if isinstance(dtype, pd.SparseDtype):
        dense = column.sparse.to_dense()
        made = _of_column(dense, name, label)
        return dense if made is None else made
    if isinstance(dtype, pd.CategoricalDtype):
        if dtype.categories.dtype.kind not in "biuf":
            raise _refusal(name, label, f"categories of {dtype.categories.dtype}", is_category=True)
        return column.astype(np.float64)
    if isinstance(dtype, pd.ArrowDtype):
        if kind not in "biuf" and not str(dtype).startswith("decimal"):
            raise _refusal(name, label, dtype)
        return pd.Series(column.to_numpy(dtype=np.float64, na_value=np.nan), index=column.index)
    if kind in "biuf":
        return None
    if not isinstance(dtype, pd.StringDtype) and not pd.api.types.is_object_dtype(dtype):
        raise _refusal(name, label, dtype)
    objects = column.to_numpy(dtype=object)
    made = _of_objects(objects, name, label)
    if made.dtype == object:
        _check_text(objects, name, label)
    return None if made is objects else pd.Series(made, index=column.index)


def _check_text(values: Any, name: str, column: Any) -> None:
    """Refuse text that is not a number; what is neither is left to others."""
    for row, value in enumerate(values):
        if isinstance(value, str):
            try:
                float(value)
            except ValueError:
                shown = value if len(value) <= 40 else value[:40] + "..."
                raise _refusal(name, column, f"{shown!r} at row {row}", is_category=True) from None


def stored_index(columns: Sequence[Any], metadata: Mapping[str, Any] | None = None) -> Iterator[str]:
    """Columns of a table that hold the index of a pandas frame; `metadata` is what pandas wrote with it."""
    levels = (metadata or {}).get("index_columns") or []
    named = {level for level in levels if isinstance(level, str)}
    for column in columns:
        if isinstance(column, str) and (column in named or _STORED_INDEX.fullmatch(column)):
            yield column


def refuse_stored_index(columns: Sequence[Any], name: str) -> None:
    """Refuse features of which one is the index of a frame that was stored."""
    for column in stored_index(columns):
        raise ValueError(
            f"{name} has the column {column!r}, which is the index of a frame that was stored: drop it, "
            "since the order of rows is not a feature (pandas leaves it out by index=False)."
        )


def index_levels(frame: Any) -> list[Any]:
    """Names of the levels of a pandas frame's index; none of other frames."""
    names = getattr(getattr(frame, "index", None), "names", None)
    return [] if names is None or not hasattr(frame, "iloc") else list(names)


def row_labels(frame: Any, n_rows: int) -> NDArray[Any]:
    """What to call each row: its label in a pandas frame, and otherwise its number."""
    index = getattr(frame, "index", None) if hasattr(frame, "iloc") else None
    if index is None:
        return np.arange(n_rows)
    return (index.droplevel("qid") if "qid" in index.names and index.nlevels > 1 else index).to_numpy()


def named_like_ids(columns: Iterable[Any]) -> list[str]:
    """Columns whose names are those that query ids often have."""
    texts = [column for column in columns if isinstance(column, str)]
    return [text for text in texts if re.sub(r"[_ ]", "", text.lower()) in USUAL_IDS]


def warn_of_leaks(
    X: Any,
    features: Sequence[Any],
    Y: NDArray[np.floating[Any]],
    objectives: Sequence[str],
    qid: NDArray[Any],
    *,
    stacklevel: int = 2,
) -> None:
    """Warn of features that are labels or query ids: by the name of an objective, or by the same values."""
    leaks = {name: f"is named like the objective {name!r}" for name in features if name in objectives}
    n_rows = min(len(X), _SAMPLE_ROWS)
    rows = np.linspace(0, len(X) - 1, n_rows).astype(np.int64)
    some = np.asarray(X[rows])
    columns = {f"the objective {name!r}": Y[rows, j] for j, name in enumerate(objectives)}
    if qid.dtype.kind in "iuf":
        columns["the query ids"] = qid[rows]
    for what, values in columns.items():
        column = values.astype(np.float32)[:, None]
        if n_rows < _FEW_ROWS or len(np.unique(column)) < 2:  # these may be equal by chance
            continue
        for k in np.flatnonzero(((some == column) | (np.isnan(some) & np.isnan(column))).all(axis=0)):
            leaks.setdefault(features[int(k)], f"has the values of {what}")
    for feature, why in leaks.items():
        warnings.warn(
            f"the feature {feature!r} {why}: a model that is shown its labels learns nothing else. Leave the "
            "column out, unless it is known before documents are ranked.",
            UserWarning,
            stacklevel=stacklevel + 1,
        )


def warn_of_rounding(given: Any, X: NDArray[np.float32], features: Sequence[Any], name: str) -> None:
    """Warn of features whose values float32 does not tell apart, such as seconds since 1970."""
    rows = np.linspace(0, len(X) - 1, min(len(X), _SAMPLE_ROWS)).astype(np.int64)
    some = take_rows(given, rows)
    is_pandas = hasattr(some, "iloc")
    exact = some.to_numpy(np.float64, na_value=np.nan) if is_pandas else np.asarray(some, dtype=np.float64)
    for j in np.flatnonzero(np.abs(np.nan_to_num(exact)).max(axis=0, initial=0) > 2.0**24).tolist():
        if 2 * len(np.unique(X[rows, j])) < len(np.unique(exact[:, j])):
            warnings.warn(
                f"{name}: the values of {features[j]!r} are so large that float32, which features are held "
                "in, does not tell most of them apart: subtract a constant, as of a time the first one.",
                UserWarning,
                stacklevel=5,
            )


def take_columns(frame: Any, columns: NDArray[np.int64]) -> Any:
    """Columns of an array, sparse matrix or frame by their positions; of the same kind."""
    if hasattr(frame, "iloc"):
        return frame.iloc[:, columns]
    if is_mapped(frame):
        return np.concatenate([chunk[:, columns] for chunk in MappedRows(frame).chunks(CHUNK_ROWS)])
    if hasattr(frame, "column_names"):  # an Arrow table
        return frame.select(columns.tolist())
    return frame[:, columns]


def warn_of_label_scores(
    scores: NDArray[np.floating[Any]], name: str, Y: NDArray[np.floating[Any]], objectives: Sequence[str]
) -> None:
    """Warn of scores (n,) or (n, k) of a ranker that are an objective's labels."""
    if len(scores) < _FEW_ROWS:
        return
    for column in scores.reshape(len(scores), -1).T:
        for objective, labels in zip(objectives, Y.T, strict=True):
            if np.array_equal(column.astype(np.float32), labels) and len(np.unique(labels)) > 1:
                warnings.warn(
                    f"{name} has the values of the objective {objective!r}: labels are not known before "
                    "documents are ranked; expected the scores of a ranker.",
                    UserWarning,
                    stacklevel=5,
                )
