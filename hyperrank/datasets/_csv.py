"""CSV files in batches of rows: every line checked, columns as numbers or as query ids."""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hyperrank.datasets._chunks import whole_lines
from hyperrank.datasets._letor_lines import as_ids, number

if TYPE_CHECKING:
    import pandas as pd
    from typing_extensions import Buffer

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
        raise ValueError(f"{path} is not CSV text: {error}.") from error
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
        while (frame := _next(frames, lines)) is not None:
            last = frame.iloc[:, -1]
            if not checked and (last.isna() | (last == "")).any():  # as of a line that ends too early
                _check_lengths(path, len(columns))
                checked = True
            yield CsvBatch(frame)


def _next(frames: Iterator[pd.DataFrame], lines: _Lines) -> pd.DataFrame | None:
    import pandas as pd

    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        try:
            return next(frames, None)
        except pd.errors.ParserWarning as warning:
            raise ValueError("lines have more values than the header has names.") from warning
        except Exception as error:
            raise (lines.fault or error) from None


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
