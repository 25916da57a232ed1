"""Tables with one row per document as chunks: Parquet and Arrow files, Arrow tables, frames."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from .arrow_batches import ARROW_FILES, PARQUET_FILES, arrow_batches, batch_numbers, batch_texts
from .chunks import Chunk, Source, chunk_rows
from .table_columns import feature_columns, label_columns

__all__ = ["is_table", "table_source"]


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
