"""Parquet and Arrow files, Arrow tables and frames in batches of rows."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hyperrank._checks import as_path
from hyperrank._columns import stored_index
from hyperrank.datasets._csv import is_csv
from hyperrank.datasets._letor_lines import text_ids

if TYPE_CHECKING:
    import pyarrow as pa

PARQUET_FILES = frozenset({".parquet", ".pq"})
ARROW_FILES = frozenset({".arrow", ".feather", ".ipc"})
#: Rows that are asked of a Parquet file at once.
BATCH_ROWS = 16_384


def arrow_batches(source: Any) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """Open a table: Parquet or Arrow IPC files, or anything that gives an Arrow stream, such as frames.

    Gives the columns, of several files those of the first, and the batches of rows. A ValueError says which
    file is damaged or has other columns, or that a frame's column is of several types.
    """
    arrow = _pyarrow()
    if isinstance(source, str | os.PathLike):
        source = [source]
    if isinstance(source, Sequence):
        return _of_files([as_path(path) for path in source])
    if isinstance(source, arrow.RecordBatch):
        source = arrow.Table.from_batches([source])
    if isinstance(source, arrow.Table):
        return source.schema, iter(source.to_batches())
    if hasattr(source, "iloc"):
        return _of_pandas(source)
    if not isinstance(source, arrow.RecordBatchReader):
        if not hasattr(source, "__arrow_c_stream__"):
            raise TypeError(
                f"a {type(source).__name__} is not a table that can be read; expected a file, a pandas or "
                "polars frame (of a lazy one, what .collect() gives), or an Arrow table."
            )
        try:
            source = arrow.RecordBatchReader.from_stream(source)
        except arrow.ArrowException as error:  # of a kind that Arrow lacks, such as 128-bit integers
            raise ValueError(f"a column has a type that Arrow does not know; cast it: {error}") from error
    return source.schema, iter(source)


def _of_pandas(frame: Any) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """A frame of pandas, which would hand over its index as a further column, and knows sparse columns."""
    arrow = _pyarrow()
    sparse = {name: dtype.subtype for name, dtype in frame.dtypes.items() if hasattr(dtype, "fill_value")}
    try:
        table = arrow.Table.from_pandas(frame.astype(sparse) if sparse else frame, preserve_index=False)
    except arrow.ArrowException as error:
        raise ValueError(
            f"a column of the frame is of several types: {' '.join(map(str, error.args))}"
        ) from error
    return table.schema, iter(table.to_batches())


def _of_files(paths: list[Path]) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """The columns of files, and their batches one file after the other."""
    first = None
    for path in paths:
        _check_kind(path)
    for path in paths:
        with _naming(path), _reader(path) as reader:
            schema = reader.schema_arrow if hasattr(reader, "schema_arrow") else reader.schema
        if first is not None and set(schema.names) != set(first.names):
            differ = sorted(set(schema.names) ^ set(first.names))[:12]
            raise ValueError(f"{path} has other columns than {paths[0]}: they differ in {differ}.")
        first = first or schema
    return first, _batches_of(paths)


def _check_kind(path: Path) -> None:
    """Refuse what the name does not say to be a table."""
    if path.suffix.lower() not in PARQUET_FILES | ARROW_FILES:
        what = "has another format than the files before" if is_csv(path) else "is not a table by its name"
        what = "is a folder" if path.is_dir() else what
        raise ValueError(
            f"{path} {what}; expected .csv or .tsv (plain or .gz), .parquet or .pq, .arrow, .feather or "
            ".ipc. Other formats go by a frame, as in load_table(pandas.read_json(path)); LETOR text by "
            "load_letor, a store by open_store."
        )


def _batches_of(paths: list[Path]) -> Iterator[pa.RecordBatch]:
    for path in paths:
        with _naming(path), _reader(path) as reader:
            if hasattr(reader, "iter_batches"):
                yield from reader.iter_batches(batch_size=BATCH_ROWS)
            elif hasattr(reader, "num_record_batches"):
                for number in range(reader.num_record_batches):
                    yield reader.get_batch(number)
            else:
                yield from reader


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
        raise ValueError(f"{path}: not such a file as its name says, or damaged: {brief}") from error


def index_columns(schema: pa.Schema) -> list[str]:
    """The columns that hold the index of the frame that was stored."""
    return list(stored_index(schema.names, _pandas_metadata(schema)))


def categorical_columns(schema: pa.Schema) -> list[str]:
    """The columns of dictionaries, and those that pandas stored as categories: Parquet keeps text alone."""
    described = _pandas_metadata(schema).get("columns")
    of_pandas = {
        str(column.get("name"))
        for column in (described if isinstance(described, list) else [])
        if isinstance(column, dict) and column.get("pandas_type") == "categorical"
    }
    return [each.name for each in schema if str(each.type).startswith("dictionary") or each.name in of_pandas]


def _pandas_metadata(schema: pa.Schema) -> dict[str, Any]:
    try:
        metadata = json.loads((schema.metadata or {}).get(b"pandas", b"{}"))
    except (ValueError, RecursionError):
        metadata = {}
    return metadata if isinstance(metadata, dict) else {}


@dataclass(frozen=True)
class ArrowBatch:
    """Some rows of a table."""

    batch: pa.RecordBatch

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return int(self.batch.num_rows)

    def slice(self, start: int, length: int) -> ArrowBatch:
        """Some of the rows."""
        return ArrowBatch(self.batch.slice(start, length))

    def numbers(self, name: str) -> NDArray[np.float64]:
        """A column of numbers, NaN where it is null."""
        arrow = _pyarrow()
        column, types = self._column(name), arrow.types
        kind = column.type.value_type if types.is_dictionary(column.type) else column.type
        tests = (types.is_integer, types.is_floating, types.is_boolean, types.is_decimal, types.is_null)
        if not any(test(kind) for test in tests):
            hint = f"name it in categorical_features=[{name!r}] if it is categories, "
            raise ValueError(
                f"column {name!r} holds {kind}, not numbers: {hint * ('string' in str(kind))}leave it out by "
                "drop=, or encode it as numbers (a date as days since another, say)."
            )
        if types.is_dictionary(column.type):
            column = column.dictionary_decode()
        if types.is_boolean(kind):
            column = column.cast(arrow.uint8())
        return np.asarray(column.cast(arrow.float64(), safe=False).to_numpy(zero_copy_only=False))

    def values(self, name: str) -> Any:
        """A column of categories as a series of pandas."""
        return self._column(name).to_pandas()

    def ids(self, name: str, first_row: int) -> NDArray[Any]:
        """A column of query ids, as int64 if it holds integers and as text if it holds text."""
        arrow = _pyarrow()
        column = self._column(name)
        if column.null_count:
            row = first_row + int(np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0])
            raise ValueError(f"column {name!r} has no query id at row {row:,}: every row needs one.")
        types = arrow.types
        kind = column.type.value_type if types.is_dictionary(column.type) else column.type
        if types.is_integer(kind):
            try:
                return np.asarray(column.cast(arrow.int64()).to_numpy(zero_copy_only=False))
            except arrow.ArrowInvalid:  # beyond 2**63
                return text_ids([str(value) for value in column.to_pylist()])
        texts = (types.is_string, types.is_large_string, types.is_string_view)
        if not any(test(kind) for test in texts):
            raise ValueError(
                f"column {name!r} holds {kind}; query ids must be integers or text: convert the column."
            )
        return text_ids(column.to_pylist())

    def _column(self, name: str) -> pa.Array:
        return self.batch.column(self.batch.schema.get_field_index(name))


def _pyarrow() -> Any:
    """pyarrow, or an error that says how to get it."""
    try:
        import pyarrow
        import pyarrow.ipc
    except ImportError as error:
        raise ImportError("Parquet and Arrow need pyarrow: pip install 'hyperrank[arrow]'.") from error
    return pyarrow
