"""Tables in batches of rows: CSV with every line checked, Parquet and Arrow, and frames."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hyperrank._checks import as_path
from hyperrank._columns import stored_index
from hyperrank.datasets._chunks import as_ids, text_ids, whole_lines
from hyperrank.datasets._letor_text import number

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from typing_extensions import Buffer

PARQUET_FILES = frozenset({".parquet", ".pq"})
ARROW_FILES = frozenset({".arrow", ".feather", ".ipc"})
#: Rows that are asked of a Parquet file at once.
PARQUET_ROWS = 16_384


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
                yield from reader.iter_batches(batch_size=PARQUET_ROWS)
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


CSV_FILES = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
#: Rows that are read at once.
BATCH_ROWS = 20_000
#: What stands for a number that is missing.
MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "-nan")
_BOOLS = {"true": 1.0, "false": 0.0}


def is_csv(path: Path) -> bool:
    """Whether the name is that of a CSV file."""
    return path.name.lower().endswith(CSV_FILES)


def csv_header(path: Path) -> list[str]:
    """The names of the columns; a ValueError if the first line has none, or some twice."""
    lines = next(whole_lines(path), b"").splitlines(keepends=True)
    try:
        columns = next(csv.reader(map(bytes.decode, lines), delimiter=_delimiter(path)), [])
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not CSV text: {_reason(error)}.") from error
    if not columns:
        raise ValueError(f"{path} is empty; expected a first line with the names of the columns.")
    if any(_is_number(name) for name in columns):
        shown = ", ".join(columns[:6]) + (", ..." if len(columns) > 6 else "")
        raise ValueError(
            f"{path} has no header: its first line {shown} holds numbers. Put the names of the columns there."
        )
    if "" in columns:
        raise ValueError(
            f"{path}: column {columns.index('') + 1} has no name. The index of a frame? pandas "
            "leaves that out by to_csv(index=False)."
        )
    if len(columns) == 1 and (found := re.search("[;|\t]", columns[0])):
        raise ValueError(
            f"{path} has one column, {columns[0]!r:.80}: columns are separated by commas (tabs in files "
            f"whose name ends in .tsv), not by {found[0]!r}."
        )
    doubled = sorted({name for name in columns if columns.count(name) > 1})
    if doubled:
        raise ValueError(f"{path} has several columns of the name {doubled[0]!r}: rename them.")
    return columns


def csv_batches(path: Path, columns: Sequence[str], numbers: Sequence[str]) -> Iterator[CsvBatch]:
    """Read a file batch by batch; a ValueError if a line has more or fewer values than the header, `columns`.

    Columns in `numbers` are read as numbers, all others as text: neither 007 nor NA is taken for a number.
    """
    import pandas as pd

    lines, checked = _Lines(path), False
    # All columns are read: of some alone pandas would skip the rest of lines that are too long.
    with (
        _file_errors(lines),
        io.BufferedReader(lines, 1 << 18) as file,
        pd.read_csv(
            file,
            sep=_delimiter(path),
            dtype={name: str for name in columns if name not in numbers},
            keep_default_na=False,
            na_values={name: list(MISSING) for name in numbers},
            chunksize=BATCH_ROWS,
            low_memory=False,
            encoding="utf-8",
            index_col=False,
        ) as frames,
    ):
        while (frame := _next(frames)) is not None:
            last = frame.iloc[:, -1]
            if not checked and (last.isna() | (last == "")).any():  # as of a line that ends too early
                _check_lengths(path, len(columns))
                checked = True
            yield CsvBatch(frame)


def _next(frames: Iterator[pd.DataFrame]) -> pd.DataFrame | None:
    import pandas as pd

    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        return next(frames, None)


@contextmanager
def _file_errors(lines: _Lines) -> Iterator[None]:
    """Raise what was wrong with the file in place of errors of pandas."""
    import pandas as pd

    try:
        yield
    except pd.errors.ParserWarning as warning:
        raise ValueError("lines have more values than the header has names.") from warning
    except (UnicodeDecodeError, pd.errors.ParserError) as error:
        raise (lines.fault or ValueError(f"{_reason(error)}.")) from None
    except Exception as error:  # pandas may wrap what the file itself raised
        raise (lines.fault or error) from None


def _reason(error: Exception) -> str:
    """What is wrong with CSV text that Python or pandas refuses to read."""
    if isinstance(error, UnicodeDecodeError):
        return (
            f"it has the byte {error.object[error.start]:#x}, which is not UTF-8; write it as UTF-8 (text of "
            "Latin-1: iconv -f LATIN1 -t UTF-8)"
        )
    if found := re.search(r"EOF inside string starting at row (\d+)", str(error)):
        return f'a quote (") that opens in row {int(found[1]) - 1:,} is not closed'
    if found := re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error)):
        return f"line {found[2]} has {found[3]} values, but the header has {found[1]} names"
    return str(error)


def _check_lengths(path: Path, n_columns: int) -> None:
    """Refuse lines that end too early, which pandas fills with missing values."""
    with (
        io.BufferedReader(_Lines(path)) as file,
        io.TextIOWrapper(file, encoding="utf-8", newline="") as text,
    ):
        rows = csv.reader(text, delimiter=_delimiter(path))
        for row in rows:
            if len(row) < n_columns and "".join(row).strip():
                raise ValueError(
                    f"line {rows.line_num:,} has {len(row)} values, but the header has {n_columns} names: "
                    "write a missing value as nothing between two separators."
                )


@dataclass(frozen=True)
class CsvBatch:
    """Some rows of a CSV file; its index numbers the rows of the file."""

    frame: pd.DataFrame

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.frame)

    def slice(self, start: int, length: int) -> CsvBatch:
        """Some of the rows."""
        return CsvBatch(self.frame.iloc[start : start + length])

    def numbers(self, name: str) -> NDArray[np.float64]:
        """A column of numbers, NaN where there is none."""
        column = self.frame[name]
        if column.dtype.kind in "biuf":
            return np.asarray(column.to_numpy(dtype=np.float64))
        values = np.full(len(column), np.nan)
        for row, value in enumerate(column.tolist()):
            if isinstance(value, str):
                parsed = _BOOLS.get(value.strip().lower(), number(value.strip().encode()))
                if parsed is None:
                    shown = value if len(value) <= 40 else value[:40] + "..."
                    raise ValueError(
                        f"column {name!r} holds {shown!r} at row {column.index[row]:,}, not a number: name "
                        f"the column in categorical_features=[{name!r}] if it is categories, leave it out by "
                        "drop=, or encode it as numbers."
                    )
                values[row] = parsed
            elif value is not None:
                values[row] = value
        return values

    def values(self, name: str) -> pd.Series[Any]:
        """A column of categories: numbers where they are written just so, or text; NaN where it is empty."""
        column = self.frame[name]
        return column.where(column != "").map(_category, na_action="ignore")

    def ids(self, name: str, first_row: int) -> NDArray[np.generic]:
        """A column of query ids."""
        column = self.frame[name].str.strip()  # "1" beside "1 " is one query
        absent = np.flatnonzero(column.isna() | (column == ""))
        if len(absent):
            raise ValueError(
                f"column {name!r} has no query id at row {first_row + absent[0]:,}: every row needs one."
            )
        return as_ids(column.tolist())


class _Lines(io.RawIOBase):
    """The lines of a file, decompressed and checked, as a file that pandas reads.

    `fault` is what was wrong with the file: pandas raises an error of its own in its place.
    """

    def __init__(self, path: Path) -> None:
        self._pieces, self._left = whole_lines(path), memoryview(b"")
        self.fault: Exception | None = None

    def readable(self) -> bool:
        """Whether it can be read: always."""
        return True

    def readinto(self, buffer: Buffer) -> int:
        """Fill a buffer with what comes next."""
        if not self._left:
            try:
                piece = next(self._pieces, b"")
                if b"\0" in piece:
                    raise ValueError("zero bytes; this is not CSV text")
            except (OSError, ValueError) as error:
                self.fault = error
                raise
            self._left = memoryview(piece)
        room = memoryview(buffer).cast("B")
        n_bytes = min(len(room), len(self._left))
        room[:n_bytes], self._left = self._left[:n_bytes], self._left[n_bytes:]
        return n_bytes


def _delimiter(path: Path) -> str:
    return "\t" if ".tsv" in path.name.lower() else ","


def _category(text: str) -> str | int | float:
    """The number that is written just so, or the text: neither 007 nor 1.10 is one."""
    for kind in (int, float):
        try:
            if text[-1].isdigit() and str(value := kind(text)) == text:
                return value
        except ValueError:
            continue
    return text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.strip().lower() not in ("nan", "inf", "infinity")
