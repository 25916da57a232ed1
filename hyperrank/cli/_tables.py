"""Columns of a table as ranking data."""

from __future__ import annotations

import csv
import gzip
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hyperrank.cli._options import Layout
from hyperrank.datasets import RankingData
from hyperrank.datasets.table import feature_columns, label_columns

__all__ = ["absent_columns", "is_csv", "table_data"]

CSV_FILES = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
#: Rows of a CSV file that are read at once.
BLOCK_ROWS = 20_000
#: What stands for a number that is missing.
MISSING = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "-nan"]


class Block(Protocol):
    """Some rows of a table."""

    def __len__(self) -> int:
        """Rows."""

    def numbers(self, name: str) -> NDArray[np.float64]:
        """A column of numbers, NaN where there is none; an error names column and row within the block."""

    def ids(self, name: str, first_row: int) -> NDArray[Any]:
        """A column of query ids as int64 or str."""


def is_csv(path: Path) -> bool:
    """Whether the name is that of a CSV file."""
    return path.name.lower().endswith(CSV_FILES)


def open_table(path: Path) -> tuple[list[str], Any]:
    """Open a table.

    Returns
    -------
    columns : list of str
    blocks : callable
        ``blocks(columns, qid)`` goes through the rows of some columns; `qid`, if not None, is among them.
    """
    if is_csv(path):
        columns = _header(path)
        return columns, lambda wanted, qid: _csv_blocks(path, wanted, qid)
    from hyperrank.datasets._arrow import arrow_batches

    columns, batches = arrow_batches(path)
    return columns, lambda *_: map(ArrowBlock, batches)


@dataclass(frozen=True)
class ArrowBlock:
    """A batch of an Arrow or Parquet file."""

    batch: Any

    def __len__(self) -> int:
        return int(self.batch.num_rows)

    def numbers(self, name: str) -> NDArray[np.float64]:
        """A column of numbers."""
        from hyperrank.datasets._arrow import batch_numbers

        return batch_numbers(self.batch, name)

    def ids(self, name: str, first_row: int) -> NDArray[Any]:
        """A column of query ids."""
        from hyperrank.datasets._arrow import batch_texts

        return batch_texts(self.batch, name, first_row)


@dataclass(frozen=True)
class CsvBlock:
    """Some lines of a CSV file."""

    frame: Any

    def __len__(self) -> int:
        return len(self.frame)

    def numbers(self, name: str) -> NDArray[np.float64]:
        """A column of numbers."""
        import pandas as pd

        column = self.frame[name]
        if not pd.api.types.is_numeric_dtype(column):
            found = pd.to_numeric(column, errors="coerce")
            row = column.index[found.isna() & column.notna()][0]
            raise ValueError(
                f"column {name!r} holds {column[row]!r} at row {row:,}, not a number: leave the column "
                "out by --drop, or encode it as numbers."
            )
        return np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan))

    def ids(self, name: str, first_row: int) -> NDArray[Any]:
        """A column of query ids."""
        from hyperrank.datasets._letor_lines import as_ids

        column = self.frame[name]
        absent = np.flatnonzero(column.isna() | (column == ""))
        if len(absent):
            raise ValueError(
                f"column {name!r} has no query id at row {first_row + absent[0]:,}: every row needs one."
            )
        return as_ids(column.tolist())


def _header(path: Path) -> list[str]:
    """The names of the columns of a CSV file."""
    opened: Any = gzip.open if path.suffix.lower() == ".gz" else open
    with opened(path, "rt", newline="", encoding="utf-8-sig") as file:
        try:
            columns = next(csv.reader(file, delimiter=_delimiter(path)), [])
        except (csv.Error, UnicodeDecodeError) as error:
            raise ValueError(f"{path} is no CSV text: {error}.") from error
    if not columns:
        raise ValueError(f"{path} is empty; wanted a first line with the names of the columns.")
    if any(_is_number(name) for name in columns):
        raise ValueError(
            f"{path} has no header: its first line {_some(columns)} holds numbers. Put the names of the "
            "columns there."
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


def _csv_blocks(path: Path, wanted: Sequence[str], qid: str | None) -> Iterator[CsvBlock]:
    """Go through a CSV file; ids are text, so that neither 007 nor NA is taken for something else."""
    import pandas as pd

    # All columns are asked for: of some alone pandas would pass over lines that are too long.
    frames = pd.read_csv(
        path,
        sep=_delimiter(path),
        dtype={name: str for name in _header(path) if name not in wanted or name == qid},
        keep_default_na=False,
        na_values={name: MISSING for name in wanted if name != qid},
        chunksize=BLOCK_ROWS,
        low_memory=False,
        encoding="utf-8-sig",
        index_col=False,
    )
    with frames:
        while True:
            with warnings.catch_warnings():
                warnings.simplefilter("error", pd.errors.ParserWarning)
                try:
                    frame = next(frames, None)
                except pd.errors.ParserWarning as warning:
                    raise ValueError(f"lines have more values than the header has names: {warning}") from None
            if frame is None:
                return
            yield CsvBlock(frame)


def _delimiter(path: Path) -> str:
    return "\t" if ".tsv" in path.name.lower() else ","


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.strip().lower() not in ("nan", "inf", "infinity")


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")


#: What columns of query ids are often called, without underscores and spaces.
USUAL_IDS = ("qid", "queryid", "query", "searchid", "sessionid")


def table_data(
    path: Path,
    layout: Layout,
    *,
    labels: Sequence[str],
    features: Sequence[str] | None = None,
    beside: Sequence[str] = (),
    column: str | None = None,
) -> tuple[RankingData, NDArray[np.float64] | None]:
    """Read a CSV, Parquet or Arrow file.

    Parameters
    ----------
    path : Path
    layout : Layout
    labels : sequence of str
        Columns of the objectives; none where they do not matter.
    features : sequence of str, optional
        Columns of the features; by default what the layout says, or all that are left.
    beside : sequence of str
        Columns that are no features even where all that are left would be.
    column : str, optional
        A further column of numbers, such as the reference's scores.

    Returns
    -------
    data : RankingData
    values : ndarray of shape (n,) or None
        Of the further column.

    Raises
    ------
    ValueError
        If a column is not there or not of numbers, naming file, column and row.
    """
    columns, blocks = open_table(path)
    further = [] if column is None else [column]
    _check_columns(path, columns, [*labels, *further, *layout.drop], layout.qid)
    if features is None:
        taken = {*labels, *further, *beside, *layout.drop, layout.qid}
        features = layout.features or [name for name in columns if name not in taken]
    _check_columns(path, columns, features, layout.qid)
    both = [name for name in features if name in {*labels, layout.qid}]
    if both or not features:
        why = f"{both[0]!r} cannot be a feature as well" if both else "no column is left for features"
        raise ValueError(f"{path}: {why}.")
    return _read(path, blocks, layout.qid, list(labels), list(features), column)


def _read(
    path: Path, blocks: Any, qid: str, labels: list[str], features: list[str], column: str | None
) -> tuple[RankingData, NDArray[np.float64] | None]:
    from hyperrank.datasets._chunks import GrowingRows
    from hyperrank.datasets._letor_lines import merge_ids

    X = GrowingRows(len(features), np.nan)
    ids, targets, values, n_rows = [], [], [], 0
    wanted = list(dict.fromkeys([*features, *labels, qid, *([] if column is None else [column])]))
    try:
        for block in filter(len, blocks(wanted, qid)):
            X.append(feature_columns(block.numbers, features, len(block), n_rows))
            targets.append(label_columns(block.numbers, labels, len(block), n_rows))
            ids.append(block.ids(qid, n_rows))
            if column is not None:
                values.append(block.numbers(column))
            n_rows += len(block)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    found = merge_ids(ids)
    if found is None:
        raise ValueError(f"{path} holds no row.")
    data = RankingData(
        X=X.finish(),
        Y=np.concatenate(targets),
        qid=found,
        names=tuple(labels),
        feature_names=tuple(features),
        description=f"Read from {path.name}.",
    )
    return data, np.concatenate(values) if values else None


def _check_columns(path: Path, columns: Sequence[str], wanted: Sequence[str], qid: str) -> None:
    """Refuse columns that are not there."""
    if qid not in columns:
        near = [name for name in columns if name.lower().replace("_", "").replace(" ", "") in USUAL_IDS]
        hint = f"Was {near[0]!r} meant? " if near else ""
        raise ValueError(
            f"{path} has no column {qid!r} of query ids; name it by --qid. {hint}{_there_are(columns)}"
        )
    absent = [name for name in wanted if name not in columns]
    if absent:
        raise ValueError(absent_columns(path, absent, columns))


def absent_columns(path: Path, absent: Sequence[str], columns: Sequence[str], what: str = "column") -> str:
    """Say which columns, or features, are not there, and what may have been meant."""
    near = get_close_matches(absent[0], columns, n=1)
    hint = f"Was {near[0]!r} meant? " if near else ""
    some = ", ".join(map(repr, absent[:6])) + (f" and {len(absent) - 6} more" if len(absent) > 6 else "")
    word = what if len(absent) == 1 else f"{what}s"
    return f"{path} lacks the {word} {some}. {hint}{_there_are(columns)}"


def _there_are(columns: Sequence[str]) -> str:
    more = f" and {len(columns) - 12} more" if len(columns) > 12 else ""
    return f"There are {', '.join(map(repr, columns[:12]))}{more}."
