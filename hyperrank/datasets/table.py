"""Tables with one row per document: CSV, Parquet and Arrow files, frames and Arrow tables."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hyperrank._categories import place_values
from hyperrank._columns import named_like_ids, warn_of_leaks
from hyperrank.datasets._batches import (
    ARROW_FILES,
    PARQUET_FILES,
    Columns,
    Table,
    column_ids,
    column_numbers,
    is_csv,
    open_table,
)
from hyperrank.datasets._chunks import Chunk, Source, chunk_rows, gather
from hyperrank.datasets._letor_text import LARGEST
from hyperrank.datasets.ranking_data import RankingData

if TYPE_CHECKING:
    import pandas as pd


def is_table(source: Any) -> bool:
    """Whether a source is a table with named columns, or files of such."""
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        return is_csv(path) or path.suffix.lower() in PARQUET_FILES | ARROW_FILES
    if isinstance(source, Sequence):
        return len(source) > 0 and all(map(is_table, source))
    return any(hasattr(source, name) for name in ("columns", "__arrow_c_stream__", "schema"))


def _resolve(
    table: Table,
    labels: Sequence[str],
    qid: str,
    features: Sequence[str] | None,
    drop: str | Sequence[str],
    extra: str | None,
    not_features: Sequence[str],
    categorical: str | Sequence[str] | None,
) -> Columns:
    """Find the columns; a ValueError if some are not there, or named twice."""
    where = f"{table.name} has" if table.is_file else "the table has"
    if len(set(table.columns)) < len(table.columns):
        raise ValueError(f"{where} several columns of the same name; rename them.")
    if qid not in table.columns:
        near = named_like_ids(table.columns)
        hint = f"Did you mean {near[0]!r}? " if near else ""
        raise ValueError(
            f"{where} no column {qid!r} of query ids; name it by qid=. {hint}{_listed(table.columns)}"
        )
    further = [] if extra is None else [extra]
    features, drop = None if features is None else _as_names(features), _as_names(drop)
    for names in ([*labels, *further, *drop], features or []):
        absent = [name for name in names if name not in table.columns]
        if absent:
            raise ValueError(f"{where} {absent_columns(absent, table.columns)}")
    if features is None:
        taken = {*labels, *further, *not_features, *drop, *table.index, qid}
        features = [name for name in table.columns if name not in taken]
    used = [*labels, qid, *features]
    twice = [name for name in features if name in {*labels, qid}] or sorted(
        {n for n in used if used.count(n) > 1}
    )
    prefix = f"{table.name}: " if table.is_file else ""
    if twice:
        raise ValueError(
            f"{prefix}{twice[0]!r} cannot be a feature as well: labels, qid and features must differ."
        )
    if not features:
        raise ValueError(f"{prefix}no column is left for features. {_listed(table.columns)}")
    if categorical == "from_dtype":
        categorical = [name for name in features if name in table.categorical]
    absent = [name for name in _as_names(categorical) if name not in features]
    if absent:
        raise ValueError(f"categorical_features: {where} {absent_columns(absent, features, 'feature')}")
    return Columns(tuple(labels), qid, tuple(features), extra, {name: {} for name in _as_names(categorical)})


def _chunks(table: Table, columns: Columns, *, guessed: bool) -> Iterator[Chunk]:
    """Documents of all batches; `guessed` features may be labels."""
    row, step = 0, chunk_rows(len(columns.features))
    try:
        for batch in table.batches(columns):
            for start in range(0, len(batch), step):
                chunk = _chunk(batch.iloc[start : start + step], columns, row)
                if guessed and row == 0:
                    warn_of_leaks(chunk.X, columns.features, chunk.Y, columns.labels, chunk.ids, stacklevel=4)
                yield chunk
                row += len(chunk.X)
        if not row:
            raise ValueError(f"{table.name} holds no row.")
    except ValueError as error:
        if not table.is_file or str(error).startswith(table.name):
            raise
        raise ValueError(f"{table.name}: {error}") from error


def _chunk(rows: pd.DataFrame, columns: Columns, first_row: int) -> Chunk:
    """Some documents; refused beyond bounds, naming column and row."""
    X, Y = (np.empty((len(rows), len(names)), np.float32) for names in (columns.features, columns.labels))
    for j, name in enumerate(columns.features):
        if name in columns.categories:
            codes = place_values(rows[name], columns.categories[name], f"column {name!r}")
            X[:, j] = np.where(codes < 0, np.nan, codes)
        else:
            expected = "finite numbers that float32 can hold"
            X[:, j] = _bounded(rows[name], name, first_row, -LARGEST, expected)
    for j, name in enumerate(columns.labels):
        Y[:, j] = _bounded(rows[name], name, first_row, 0.0, "labels from 0 to 3e38")
    extra = None if columns.extra is None else column_numbers(rows[columns.extra], columns.extra)
    return Chunk(X, Y, column_ids(rows[columns.qid], columns.qid, first_row), extra)


def _bounded(
    column: pd.Series[Any], name: str, first_row: int, lowest: float, expected: str
) -> NDArray[np.float64]:
    values = column_numbers(column, name)
    bad = np.flatnonzero((values < lowest) | (values > LARGEST))
    if len(bad):
        raise ValueError(
            f"column {name!r} holds {values[bad[0]]:g} at row {first_row + bad[0]:,}; expected {expected}, "
            "or nothing (NaN, null) where there is none."
        )
    return values


def table_source(
    source: Any,
    *,
    labels: Sequence[str],
    qid: str = "qid",
    features: Sequence[str] | None = None,
    drop: str | Sequence[str] = (),
    categorical_features: str | Sequence[str] | None = "from_dtype",
    extra: str | None = None,
    not_features: Sequence[str] = (),
) -> Source:
    """Go through a table; arguments as for `load_table`.

    The chunks have the column `extra` beside them; `not_features` are not taken for features by default.
    """
    table = open_table(source, [*labels, qid])
    columns = _resolve(table, labels, qid, features, drop, extra, not_features, categorical_features)
    return Source(
        chunks=_chunks(table, columns, guessed=features is None),
        names=columns.labels,
        feature_names=columns.features,
        description=f"Read from {table.name}.",
        width=len(columns.features),
        missing=float("nan"),
        categories=columns.categories,
    )


def read_table(source: Any, **options: Any) -> tuple[RankingData, NDArray[np.float64] | None]:
    """Read a table as `table_source` does, perhaps without labels; the data, and the values of `extra`."""
    data, values = gather(table_source(source, **options))
    return data, None if options.get("extra") is None else np.concatenate(values)


def load_table(
    source: Any,
    *,
    labels: str | Sequence[str],
    qid: str = "qid",
    features: Sequence[str] | None = None,
    drop: str | Sequence[str] = (),
    categorical_features: str | Sequence[str] | None = "from_dtype",
) -> RankingData:
    """Read ranking data from a table with one row per document.

    Parameters
    ----------
    source : path, sequence of paths, Arrow table, reader or batch, or frame
        CSV files with a header (``.csv``, and ``.tsv`` with tabs, plain or ``.gz``), Parquet files
        (``.parquet``, ``.pq``), Arrow IPC files (``.arrow``, ``.feather``, ``.ipc``), several of them one
        after the other, or a table in memory: pyarrow's, or a frame of pandas or polars.
    labels : str or sequence of str
        Columns of the objectives, the main one first: numbers from 0, null or NaN where unobserved.
    qid : str, default "qid"
        Column of the query ids, integers or text; of a pandas frame it may be a level of the index.
    features : sequence of str, optional
        Columns of the features, numbers, null or NaN where missing; by default all other columns but those in
        `drop`, and but the index that pandas stores in files.
    drop : str or sequence of str, optional
        Columns to leave out.
    categorical_features : "from_dtype", str, sequence of str, or None, default "from_dtype"
        Features that are categories, numbers or text; by default the columns whose type says so: Arrow's
        dictionaries, as which pandas and polars store theirs. In CSV, values that are written as numbers are.

    Returns
    -------
    RankingData
        With rows in the order of the table. Where features are categories, `X` is a frame of pandas, whose
        columns of dtype category rankers take by value.

    Raises
    ------
    ValueError
        If columns are not there or not numbers, a label is negative, a value infinite in float32, a query id
        missing, a line of CSV too short or too long, or a file is damaged.
    ImportError
        Without pyarrow, which the extra ``hyperrank[arrow]`` brings; CSV does not need it.
    OSError
        If a file cannot be opened.

    Warns
    -----
    UserWarning
        If a column that is left for a feature has the values of a label or of the query ids.

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
    return read_table(
        source,
        labels=label_columns(labels),
        qid=qid,
        features=features,
        drop=drop,
        categorical_features=categorical_features,
    )[0]


def label_columns(labels: str | Sequence[str] | None) -> tuple[str, ...]:
    """Names of label columns, at least one."""
    if not (names := _as_names(labels)):
        raise ValueError("pass labels=, the columns of the objectives.")
    return names


def _as_names(names: str | Sequence[str] | None) -> tuple[str, ...]:
    if not isinstance(names, str | Iterable | None):
        raise ValueError(f"expected names of columns, one or a list of them; got {names!r}.")
    return (names,) if isinstance(names, str) else tuple(() if names is None else names)


def absent_columns(absent: Sequence[str], columns: Sequence[str], what: str = "column") -> str:
    """Say which columns, or features, are not there, and what may have been meant."""
    near = get_close_matches(absent[0], columns, n=1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    some = ", ".join(map(repr, absent[:6])) + (f" and {len(absent) - 6} more" if len(absent) > 6 else "")
    word = what if len(absent) == 1 else f"{what}s"
    return f"no {word} {some}. {hint}{_listed(columns, what)}"


def _listed(columns: Sequence[str], what: str = "column") -> str:
    more = f" and {len(columns) - 12} more" if len(columns) > 12 else ""
    return f"Its {what}s are {', '.join(map(repr, columns[:12]))}{more}."
