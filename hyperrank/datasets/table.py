"""Tables with one row per document, read into memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperrank.datasets._arrow import ARROW_FILES, PARQUET_FILES, arrow_batches, batch_numbers, batch_texts
from hyperrank.datasets._chunks import Chunk, GrowingRows, Source, chunk_rows
from hyperrank.datasets._letor_lines import merge_ids
from hyperrank.datasets.ranking_data import RankingData

__all__ = ["feature_columns", "is_table", "label_columns", "load_table", "table_source"]

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


def is_table(source: Any) -> bool:
    """Whether a source is a table with named columns, or files of such."""
    if isinstance(source, str | os.PathLike):
        return Path(source).suffix.lower() in PARQUET_FILES | ARROW_FILES
    if isinstance(source, Sequence):
        return len(source) > 0 and all(is_table(part) for part in source)
    return hasattr(source, "columns") or hasattr(source, "__arrow_c_stream__") or hasattr(source, "schema")


def table_source(
    source: Any, *, labels: str | Sequence[str] | None, qid: str, features: Sequence[str] | None
) -> Source:
    """Go through a table; arguments as for `load_table`."""
    columns, batches = arrow_batches(source)
    names = (labels,) if isinstance(labels, str) else tuple(labels or ())
    if not names:
        raise ValueError(f"pass labels=, the columns of the objectives; there are {_some(columns)}.")
    chosen = tuple(features) if features is not None else tuple(c for c in columns if c not in {*names, qid})
    _check_columns(columns, names, qid, chosen)
    return Source(
        chunks=_chunks(batches, names, qid, chosen),
        names=names,
        feature_names=chosen,
        description=f"Read from {_called(source)}.",
        width=len(chosen),
        missing=float("nan"),
    )


def _chunks(
    batches: Iterator[Any], names: tuple[str, ...], qid: str, features: tuple[str, ...]
) -> Iterator[Chunk]:
    """Documents of all batches."""
    row, step = 0, chunk_rows(len(features))
    for whole in batches:
        for start in range(0, whole.num_rows, step):
            batch = whole.slice(start, step)
            numbers = partial(batch_numbers, batch)
            X = feature_columns(numbers, features, batch.num_rows, row)
            Y = label_columns(numbers, names, batch.num_rows, row)
            yield Chunk(X, Y, batch_texts(batch, qid, row))
            row += batch.num_rows


def _check_columns(columns: list[str], names: tuple[str, ...], qid: str, features: tuple[str, ...]) -> None:
    """Refuse columns that are not there, or wanted twice."""
    wanted = [*names, qid, *features]
    absent = [name for name in wanted if name not in columns]
    if absent:
        raise ValueError(f"there are no columns {_some(absent)}; the table has {_some(columns)}.")
    doubled = sorted({name for name in wanted if wanted.count(name) > 1}) if len(wanted) < 1000 else []
    if doubled or len(set(wanted)) < len(wanted):
        raise ValueError(f"labels, qid and features must be different columns; {_some(doubled)} are doubled.")
    if len(set(columns)) < len(columns):
        raise ValueError("the table has several columns of the same name; rename them.")
    if not features:
        raise ValueError(f"no column is left for features; the table has {_some(columns)}.")


def _some(names: Sequence[str]) -> str:
    """Names for a message, cut if there are many."""
    return f"{list(names[:12])}" + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def _called(source: Any) -> str:
    """What to call a source."""
    if isinstance(source, str | os.PathLike):
        return str(source)
    if isinstance(source, Sequence):
        return ", ".join(map(str, source))
    return f"a {type(source).__module__.partition('.')[0]} {type(source).__name__}"


def load_table(
    source: Any,
    *,
    labels: str | Sequence[str],
    qid: str = "qid",
    features: Sequence[str] | None = None,
) -> RankingData:
    """Read ranking data from a table with one row per document.

    Parameters
    ----------
    source : path, sequence of paths, Arrow table, reader or batch, or frame
        Parquet files (``.parquet``, ``.pq``), Arrow IPC files (``.arrow``, ``.feather``, ``.ipc``), several
        of them one after the other, or a table in memory: pyarrow's, or a frame of pandas or polars.
    labels : str or sequence of str
        Columns of the objectives, the main one first: numbers from 0, null or NaN where unobserved.
    qid : str, default "qid"
        Column of the query ids, integers or text.
    features : sequence of str, optional
        Columns of the features, numbers, null or NaN where missing; all other columns by default.

    Returns
    -------
    RankingData
        With rows in the order of the table.

    Raises
    ------
    ValueError
        If columns are not there or not numbers, a label is negative, a value infinite in float32, a query id
        missing, or a file is damaged.
    ImportError
        Without pyarrow, which the extra ``hyperrank[arrow]`` brings.
    OSError
        If a file cannot be opened.

    Examples
    --------
    >>> import polars
    >>> frame = polars.DataFrame(
    ...     {"qid": [1, 1, 2], "bm25": [0.5, None, 2.0], "clicks": [3, 0, 1], "relevance": [2, 0, 1]}
    ... )
    >>> data = load_table(frame, labels=["relevance", "clicks"])
    >>> data
    RankingData(X (3, 1), Y (3, 2): relevance, clicks; 2 queries)
    >>> data.X[:, 0].tolist()
    [0.5, nan, 2.0]
    """
    table = table_source(source, labels=labels, qid=qid, features=features)
    assert table.feature_names is not None
    X = GrowingRows(len(table.feature_names), np.nan)
    ids, targets = [], []
    for chunk in table.chunks:
        ids.append(chunk.ids)
        X.append(chunk.X)
        targets.append(chunk.Y)
    found = merge_ids(ids)
    if found is None:
        raise ValueError(f"{table.description.removeprefix('Read from ').rstrip('.')} holds no row.")
    return RankingData(
        X=X.finish(),
        Y=np.concatenate(targets),
        qid=found,
        names=table.names,
        feature_names=table.feature_names,
        description=table.description,
    )
