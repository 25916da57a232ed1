"""Tables as frames of pandas, batch by batch: CSV with every line checked, Parquet and Arrow, and frames."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hyperrank._checks import as_paths
from hyperrank._columns import index_levels, is_categorical, stored_index
from hyperrank.datasets._chunks import as_ids, text_ids, whole_lines
from hyperrank.datasets._letor_text import number

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

CSV_FILES = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
PARQUET_FILES = frozenset({".parquet", ".pq"})
ARROW_FILES = frozenset({".arrow", ".feather", ".ipc"})
#: Rows that are read of a file at once.
PARQUET_ROWS, CSV_ROWS = 32_768, 20_000


@dataclass(frozen=True)
class Columns:
    """Which columns of a table are what."""

    labels: tuple[str, ...]
    qid: str
    features: tuple[str, ...]
    extra: str | None = None
    #: The values so far of the categorical features, and the code of each.
    categories: dict[str, dict[Any, int]] = field(default_factory=dict)

    @property
    def numbers(self) -> list[str]:
        """Those that hold numbers."""
        features = (name for name in self.features if name not in self.categories)
        return list(dict.fromkeys((*features, *self.labels, *filter(None, [self.extra]))))

    @property
    def used(self) -> list[str]:
        """All that are read."""
        return list(dict.fromkeys((*self.numbers, *self.categories, self.qid)))


@dataclass(frozen=True, eq=False)
class Table:
    """A table that can be gone through once, as frames of the columns that are used.

    `index` are those columns that hold the index of a frame; `is_file` says whether errors begin with `name`;
    `categorical` are columns of such types.
    """

    columns: list[str]
    index: list[str]
    batches: Callable[[Columns], Iterator[pd.DataFrame]]
    name: str
    is_file: bool
    categorical: Sequence[str] = ()


def is_csv(path: Path) -> bool:
    """Whether the name is that of a CSV file."""
    return path.name.lower().endswith(CSV_FILES)


def open_table(source: Any, names: Sequence[str] = ()) -> Table:
    """Open a table: files, or a frame or Arrow table.

    Levels of a pandas frame's index of these names become columns. A ValueError says which file is damaged or
    has other columns.
    """
    if isinstance(source, str | os.PathLike | Sequence):
        paths = as_paths(source)
        return _of_csv_files(paths) if all(map(is_csv, paths)) else _of_arrow_files(paths)
    name = f"a {type(source).__module__.partition('.')[0]} {type(source).__name__}"
    if hasattr(source, "iloc"):
        return _of_pandas(source, names, name)
    schema, batches = _arrow_stream(source)
    return _of_arrow(schema, batches, name, is_file=False)


def _of_pandas(frame: pd.DataFrame, names: Sequence[str], name: str) -> Table:
    levels = [level for level in index_levels(frame) if level in names and level not in list(frame.columns)]
    frame = frame.reset_index(level=levels) if levels else frame.copy(deep=False)
    frame.columns = names = list(map(str, frame.columns))
    kinds = zip(names, frame.dtypes, strict=True)
    categorical = [column for column, dtype in kinds if is_categorical(dtype)]
    return Table(names, [], lambda columns: iter([frame[columns.used]]), name, False, categorical)


def _arrow_stream(source: Any) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """An Arrow table, batch or reader, or anything that gives an Arrow stream, such as frames of polars."""
    arrow = _pyarrow()
    if isinstance(source, arrow.RecordBatch):
        source = arrow.Table.from_batches([source])
    if isinstance(source, arrow.Table):
        return source.schema, iter(source.to_batches())
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


def _of_arrow_files(paths: list[Path]) -> Table:
    """Parquet and Arrow IPC files, one after the other; the columns are those of the first."""
    for path in paths:
        if path.suffix.lower() not in PARQUET_FILES | ARROW_FILES:
            kind = (
                "has another format than the files before" if is_csv(path) else "is not a table by its name"
            )
            raise ValueError(
                f"{path} {'is a folder' if path.is_dir() else kind}; expected .csv or .tsv (plain or .gz), "
                ".parquet or .pq, .arrow, .feather or .ipc. Other formats go by a frame, as in "
                "load_table(pandas.read_json(path)); LETOR text by load_letor, a store by open_store."
            )
    schemas = []
    for path in paths:
        with _naming(path):
            schemas.append(_arrow_file(path)[0])
    _check_same_columns(paths, [schema.names for schema in schemas])

    def batches() -> Iterator[pa.RecordBatch]:
        for path in paths:
            with _naming(path):
                yield from _arrow_file(path)[1]

    return _of_arrow(schemas[0], batches(), _listed(paths), is_file=len(paths) == 1)


def _arrow_file(path: Path) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """The columns and the batches of a file; of which kind it is its name says, and for Arrow its start."""
    arrow = _pyarrow()
    with path.open("rb") as file:  # an OSError that names the file
        start = file.read(6)
    if path.suffix.lower() in PARQUET_FILES:
        from pyarrow import parquet

        reader = parquet.ParquetFile(path, pre_buffer=False)
        return reader.schema_arrow, reader.iter_batches(batch_size=PARQUET_ROWS)
    source = arrow.OSFile(str(path))  # not mapped: a mapped file that somebody overwrites ends the process
    if start != b"ARROW1":
        stream = arrow.ipc.open_stream(source)
        return stream.schema, iter(stream)
    reader = arrow.ipc.open_file(source)
    return reader.schema, map(reader.get_batch, range(reader.num_record_batches))


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


def _of_arrow(schema: pa.Schema, batches: Iterator[pa.RecordBatch], name: str, *, is_file: bool) -> Table:
    try:
        metadata = json.loads((schema.metadata or {}).get(b"pandas", b"{}"))
    except (ValueError, RecursionError):
        metadata = {}
    metadata = metadata if isinstance(metadata, dict) else {}
    described = metadata.get("columns")
    of_pandas = {
        str(column.get("name"))
        for column in (described if isinstance(described, list) else [])
        if isinstance(column, dict) and column.get("pandas_type") == "categorical"
    }
    return Table(
        list(schema.names),
        list(stored_index(schema.names, metadata)),
        lambda columns: (_as_frame(batch.select(columns.used)) for batch in batches),
        name,
        is_file,
        # Of what pandas stored as categories, Parquet keeps text alone.
        [each.name for each in schema if is_categorical(each.type) or each.name in of_pandas],
    )


def _as_frame(batch: pa.RecordBatch) -> pd.DataFrame:
    try:
        return batch.to_pandas(ignore_metadata=True, split_blocks=True)
    except _pyarrow().ArrowException as error:  # such as times of a day in nanoseconds
        kinds = ", ".join(f"{each.name!r} ({each.type})" for each in batch.schema)
        raise ValueError(f"pandas cannot hold one of the columns {kinds}: {error}. Leave it out.") from error


def _pyarrow() -> Any:
    """pyarrow, or an error that says how to get it."""
    try:
        import pyarrow
        import pyarrow.ipc
    except ImportError as error:
        raise ImportError("Parquet and Arrow need pyarrow: pip install 'hyperrank[arrow]'.") from error
    return pyarrow


def _check_same_columns(paths: Sequence[Path], columns: Sequence[Sequence[str]]) -> None:
    for path, names in zip(paths, columns, strict=True):
        if differ := sorted(set(names) ^ set(columns[0]))[:12]:
            raise ValueError(f"{path} has other columns than {paths[0]}: they differ in {differ}.")


def _listed(paths: Sequence[Path]) -> str:
    return ", ".join(map(str, paths))


#: Kinds of columns, as pandas calls them, that are numbers.
_NUMBERS = frozenset({"integer", "floating", "mixed-integer-float", "boolean", "decimal", "empty"})


def column_numbers(column: pd.Series[Any], name: str) -> NDArray[np.float64]:
    """A column of numbers, NaN where there is none."""
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "biuf":
        return column.to_numpy(dtype=np.float64)
    kind, column = _kind_of(column)
    if kind not in _NUMBERS:
        raise _not_numbers(name, kind, is_text=kind == "string")
    return np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan))


def _not_numbers(name: str, what: str, *, is_text: bool) -> ValueError:
    hint = f"name it in categorical_features=[{name!r}] if it is categories, " if is_text else ""
    return ValueError(
        f"column {name!r} holds {what}, not numbers: {hint}leave it out by drop=, or encode it as numbers (a "
        "date as days since another, say)."
    )


def column_ids(column: pd.Series[Any], name: str, first_row: int) -> NDArray[Any]:
    """A column of query ids, as int64 if it holds integers and as text if it holds text."""
    absent = np.flatnonzero(column.isna())
    if len(absent):
        raise ValueError(
            f"column {name!r} has no query id at row {first_row + absent[0]:,}: every row needs one."
        )
    kind, column = _kind_of(column)
    if kind not in ("integer", "string"):
        raise ValueError(
            f"column {name!r} holds {kind}; query ids must be integers or text: convert the column."
        )
    if kind == "integer":
        with suppress(OverflowError):  # beyond 2**63
            return column.to_numpy() if column.dtype == np.int64 else np.array(column.tolist(), np.int64)
    return text_ids(column)


def _kind_of(column: pd.Series[Any]) -> tuple[str, pd.Series[Any]]:
    """What a column holds, as pandas calls it; categories as their values."""
    import pandas as pd

    if is_categorical(column.dtype):
        column = column.astype(object)
    kinds = {"b": "boolean", "i": "integer", "u": "integer", "f": "floating"}
    kind = kinds.get(column.dtype.kind) or pd.api.types.infer_dtype(column, skipna=True)
    if kind in ("mixed", "unknown-array"):
        values = column.dropna()
        kind = f"a {type(values.iloc[0]).__name__} and the like" if len(values) else "empty"
    return kind, column


#: What stands for a number that is missing.
MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "-nan")
_BOOLS = {"true": 1.0, "false": 0.0}


def _of_csv_files(paths: list[Path]) -> Table:
    headers = [_csv_header(path) for path in paths]
    _check_same_columns(paths, headers)

    def batches(columns: Columns) -> Iterator[pd.DataFrame]:
        for path, header in zip(paths, headers, strict=True):
            for frame in _csv_frames(path, header, columns.numbers):
                _read_text(frame, columns)
                yield frame

    return Table(headers[0], list(stored_index(headers[0])), batches, _listed(paths), len(paths) == 1)


def _csv_header(path: Path) -> list[str]:
    """The names of the columns; a ValueError if the first line has none, or some twice."""
    lines = next(whole_lines(path), b"").splitlines(keepends=True)
    try:
        columns = next(csv.reader(map(bytes.decode, lines), delimiter=_delimiter(path)), [])
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not CSV text: {_reason(error)}.") from error
    if not columns:
        raise ValueError(f"{path} is empty; expected a first line with the names of the columns.")
    values = [number(name.strip().encode()) for name in columns]
    if any(value is not None and np.isfinite(value) for value in values):
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


def _csv_frames(path: Path, columns: Sequence[str], numbers: Sequence[str]) -> Iterator[pd.DataFrame]:
    """Read a file batch by batch; a ValueError if a line has more or fewer values than the header, `columns`.

    Columns in `numbers` are read as numbers, all others as text: neither 007 nor NA is taken for a number.
    """
    import pandas as pd

    lines, checked = _Lines(path), False
    # All columns are read: of some alone pandas would skip the rest of lines that are too long.
    with (
        _file_errors(lines),
        pd.read_csv(
            lines,
            sep=_delimiter(path),
            dtype={name: str for name in columns if name not in numbers},
            keep_default_na=False,
            na_values={name: list(MISSING) for name in numbers},
            chunksize=CSV_ROWS,
            low_memory=False,
            encoding="utf-8",
            index_col=False,
        ) as frames,
    ):
        while True:
            with warnings.catch_warnings():
                warnings.simplefilter("error", pd.errors.ParserWarning)
                frame = next(frames, None)
            if frame is None:
                return
            last = frame.iloc[:, -1]
            if not checked and (last.isna() | (last == "")).any():  # as of a line that ends too early
                _check_lengths(path, len(columns))
                checked = True
            yield frame


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
    lines = (line.decode() for piece in whole_lines(path) for line in piece.splitlines(keepends=True))
    rows = csv.reader(lines, delimiter=_delimiter(path))
    for row in rows:
        if len(row) < n_columns and "".join(row).strip():
            raise ValueError(
                f"line {rows.line_num:,} has {len(row)} values, but the header has {n_columns} names: "
                "write a missing value as nothing between two separators."
            )


def _read_text(frame: pd.DataFrame, columns: Columns) -> None:
    """Put numbers, ids and categories in the place of their text."""
    for name in columns.numbers:
        if frame[name].dtype.kind not in "biuf":
            frame[name] = _text_numbers(frame[name], name)
    for name in columns.categories:
        values = frame[name]
        frame[name] = values.where(values != "").map(_category, na_action="ignore")
    ids = frame[columns.qid].str.strip().replace("", None)  # "1" beside "1 " is one query
    frame[columns.qid] = ids if ids.isna().any() else as_ids(ids.tolist())


def _text_numbers(column: pd.Series[Any], name: str) -> NDArray[np.float64]:
    """Numbers, and ``true`` and ``false``, of a column that pandas could not read as numbers."""
    values = np.full(len(column), np.nan)
    for row, value in enumerate(column.tolist()):
        if isinstance(value, str):
            parsed = _BOOLS.get(value.strip().lower(), number(value.strip().encode()))
            if parsed is None:
                shown = value if len(value) <= 40 else value[:40] + "..."
                raise _not_numbers(name, f"{shown!r} at row {column.index[row]:,}", is_text=True)
            values[row] = parsed
        elif value is not None:
            values[row] = value
    return values


class _Lines(io.BufferedIOBase):
    """The lines of a file, decompressed and checked, as a file that pandas reads.

    `fault` is what was wrong with the file: pandas raises an error of its own in its place.
    """

    def __init__(self, path: Path) -> None:
        self._pieces = whole_lines(path)
        self.fault: Exception | None = None

    def readable(self) -> bool:
        """Whether it can be read: always."""
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        """What comes next, whatever its size."""
        try:
            piece = next(self._pieces, b"")
            if b"\0" in piece:
                raise ValueError("zero bytes; this is not CSV text")
        except (OSError, ValueError) as error:
            self.fault = error
            raise
        return piece

    read1 = read  # as Python's own decoder calls it


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
