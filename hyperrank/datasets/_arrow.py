"""Record batches of Parquet and Arrow files, Arrow tables and frames, and their columns as numpy arrays."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["ARROW_FILES", "PARQUET_FILES", "arrow_batches", "batch_numbers", "batch_texts"]

PARQUET_FILES = frozenset({".parquet", ".pq"})
ARROW_FILES = frozenset({".arrow", ".feather", ".ipc"})
#: Rows that are asked of a Parquet file at once.
BATCH_ROWS = 16_384


def arrow_batches(source: Any) -> tuple[list[str], Iterator[Any]]:
    """Open a table.

    Parameters
    ----------
    source : path, sequence of paths, Arrow table, reader or batch, or frame
        Parquet or Arrow IPC files, or anything that gives an Arrow stream, such as frames of polars and
        pandas.

    Returns
    -------
    columns : list of str
    batches : iterator of pyarrow.RecordBatch

    Raises
    ------
    ImportError
        Without pyarrow.
    ValueError
        If a file is damaged or cut off, or files have different columns.
    """
    arrow = _pyarrow()
    if isinstance(source, str | os.PathLike):
        source = [source]
    if isinstance(source, Sequence):
        return _of_files([Path(path) for path in source])
    if isinstance(source, arrow.RecordBatch):
        source = arrow.Table.from_batches([source])
    if isinstance(source, arrow.Table):
        return list(source.column_names), iter(source.to_batches())
    if hasattr(source, "iloc"):
        # pandas would hand over its index as a further column.
        table = arrow.Table.from_pandas(source, preserve_index=False)
        return list(table.column_names), iter(table.to_batches())
    if not isinstance(source, arrow.RecordBatchReader):
        if not hasattr(source, "__arrow_c_stream__"):
            raise TypeError(
                f"a {type(source).__name__} is no table that can be read; wanted a file, a pandas or polars "
                "frame (of a lazy one, what .collect() gives), or an Arrow table."
            )
        source = arrow.RecordBatchReader.from_stream(source)
    return list(source.schema.names), iter(source)


def _of_files(paths: list[Path]) -> tuple[list[str], Iterator[Any]]:
    """The columns of files, and their batches one file after the other."""
    columns = None
    for path in paths:
        with _naming(path), _reader(path) as reader:
            found = list(_schema(reader).names)
        if columns is not None and set(found) != set(columns):
            differ = sorted(set(found) ^ set(columns))[:12]
            raise ValueError(f"{path} has other columns than {paths[0]}: they differ in {differ}.")
        columns = columns or found
    assert columns is not None
    return columns, _batches_of(paths)


def _batches_of(paths: list[Path]) -> Iterator[Any]:
    for path in paths:
        with _naming(path), _reader(path) as reader:
            if hasattr(reader, "iter_batches"):
                yield from reader.iter_batches(batch_size=BATCH_ROWS)
            elif hasattr(reader, "num_record_batches"):
                for number in range(reader.num_record_batches):
                    yield reader.get_batch(number)
            else:
                yield from reader


def _schema(reader: Any) -> Any:
    return reader.schema_arrow if hasattr(reader, "schema_arrow") else reader.schema


def _reader(path: Path) -> Any:
    """A reader of a file; which one its name says, and for Arrow its first bytes."""
    arrow = _pyarrow()
    with path.open("rb") as file:  # an OSError that names the file
        start = file.read(6)
    if path.suffix.lower() in PARQUET_FILES:
        from pyarrow import parquet

        return parquet.ParquetFile(path, pre_buffer=False)
    mapped = arrow.memory_map(str(path))
    return arrow.ipc.open_file(mapped) if start == b"ARROW1" else arrow.ipc.open_stream(mapped)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Errors of Arrow's that name the file."""
    arrow = _pyarrow()
    try:
        yield
    except FileNotFoundError:
        raise
    except (arrow.ArrowException, OSError) as error:
        brief = " ".join(str(error).split())[:200]
        raise ValueError(f"{path}: no such file as its name says, or it is damaged: {brief}") from error


def batch_numbers(batch: Any, name: str) -> NDArray[np.float64]:
    """A column as float64, NaN where it is null."""
    arrow = _pyarrow()
    column = batch.column(batch.schema.get_field_index(name))
    types = arrow.types
    kind = column.type
    tests = (types.is_integer, types.is_floating, types.is_boolean, types.is_decimal)
    if not any(test(kind) for test in tests):
        raise ValueError(
            f"column {name!r} holds {kind}, not numbers: leave it out by features=, or encode it as numbers."
        )
    if types.is_boolean(kind):
        column = column.cast(arrow.uint8())
    return np.asarray(column.cast(arrow.float64(), safe=False).to_numpy(zero_copy_only=False))


def batch_texts(batch: Any, name: str, first_row: int) -> NDArray[Any]:
    """A column of query ids, as int64 if it holds integers and as str if it holds text."""
    arrow = _pyarrow()
    column = batch.column(batch.schema.get_field_index(name))
    if column.null_count:
        row = first_row + int(np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0])
        raise ValueError(f"column {name!r} has no query id at row {row:,}: every row needs one.")
    types = arrow.types
    if types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if types.is_integer(column.type):
        return np.asarray(column.cast(arrow.int64()).to_numpy(zero_copy_only=False))
    if not any(test(column.type) for test in (types.is_string, types.is_large_string, types.is_string_view)):
        raise ValueError(
            f"column {name!r} holds {column.type}; query ids must be integers or text: convert the column."
        )
    return np.asarray(column.to_pylist(), dtype=np.str_)


def _pyarrow() -> Any:
    """pyarrow, or an error that says how to get it."""
    try:
        import pyarrow
        import pyarrow.ipc
    except ImportError as error:
        raise ImportError("Parquet and Arrow need pyarrow: pip install 'hyperrank[arrow]'.") from error
    return pyarrow
