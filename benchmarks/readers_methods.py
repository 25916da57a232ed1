"""Readers that `benchmarks.readers` compares, each in a separate process.

``python -m benchmarks.readers_methods NAME SMALL FILE`` reads a small file, so that everything is imported,
and then another, and prints what that took as JSON.
"""

from __future__ import annotations

import io
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import current_memory_bytes, peak_memory_bytes, reset_peak_memory

__all__ = ["METHODS", "Method", "measure"]

#: Text that the parsers of other tables are given at once.
PIECE_BYTES = 1 << 24
#: What stands between numbers becomes a line end, so that any parser of tables sees one column.
ONE_COLUMN = bytes.maketrans(b" :", b"\n\n")
BLANKS = bytes.maketrans(b":", b" ")


@dataclass(frozen=True)
class Method:
    """A reader.

    Attributes
    ----------
    name : str
    read : callable
        A path to the number of rows read.
    note : str
        What is read, and what is not.
    file : {"text", "gzip", "parquet"}
        The kind of file it is given.
    """

    name: str
    read: Callable[[Path], int]
    note: str
    file: str = "text"


def measure(method: Method, small: Path, path: Path) -> dict[str, float]:
    """Read a file once, after a small one that does not count.

    Returns
    -------
    dict
        ``rows``, ``seconds`` on the clock, ``cpu`` seconds of all threads, and ``memory``: the most bytes
        over what was there before.
    """
    method.read(small)
    before = current_memory_bytes()
    reset_peak_memory()
    wall, cpu = time.perf_counter(), time.process_time()
    rows = method.read(path)
    return {
        "rows": rows,
        "seconds": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
        "memory": peak_memory_bytes() - before,
    }


def _ours(path: Path) -> int:
    from hyperrank.datasets import load_letor

    return len(load_letor(path).X)


def _ours_table(path: Path) -> int:
    from hyperrank.datasets import load_table

    return len(load_table(path, labels="relevance").X)


def _ours_store(path: Path) -> int:
    from hyperrank.datasets import convert

    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        return len(convert(path, Path(folder, "made.store")).X)


def _scikit_learn(path: Path) -> int:
    from sklearn.datasets import load_svmlight_file

    return int(load_svmlight_file(str(path), query_id=True)[0].shape[0])


def _xgboost(path: Path) -> int:
    import xgboost

    return int(xgboost.DMatrix(f"{path}?format=libsvm").get_data().shape[0])


def _lightgbm(path: Path) -> int:
    import lightgbm

    return int(lightgbm.Dataset(str(path), params={"verbosity": -1}).construct().num_data())


def _pandas(path: Path) -> int:
    import pandas as pd

    rows = 0
    for piece in _pieces(path):
        numbers = piece.replace(b"qid:", b"").translate(ONE_COLUMN)
        options = {"header": None, "dtype": "float64", "na_filter": False}
        pd.read_csv(io.BytesIO(numbers), **options)  # type: ignore[call-overload]
        rows += piece.count(b"\n")
    return rows


def _polars(path: Path) -> int:
    import polars as pl

    rows = 0
    for piece in _pieces(path):
        numbers = piece.replace(b" \n", b"\n").replace(b"qid:", b"").translate(ONE_COLUMN)
        pl.read_csv(numbers, has_header=False, schema={"number": pl.Float64})
        rows += piece.count(b"\n")
    return rows


def _pyarrow(path: Path) -> int:
    import pyarrow as pa
    from pyarrow import csv

    rows = 0
    for piece in _pieces(path):
        table = csv.read_csv(
            pa.BufferReader(piece.translate(BLANKS)),
            read_options=csv.ReadOptions(autogenerate_column_names=True, block_size=1 << 22),
            parse_options=csv.ParseOptions(delimiter=" ", quote_char=False),
        )
        rows += table.num_rows
    return rows


def _pieces(path: Path) -> Iterator[bytes]:
    """Whole lines of a file, a few MB at a time."""
    rest = b""
    with path.open("rb") as file:
        while read := file.read(PIECE_BYTES):
            head, newline, rest = (rest + read).rpartition(b"\n")
            yield head + newline


NUMBERS_ALONE = "numbers only: rows, labels, ids and errors are left to do"
METHODS = {
    method.name: method
    for method in (
        Method("hyperrank.load_letor", _ours, "dense float32, every line checked"),
        Method("scikit-learn", _scikit_learn, "`load_svmlight_file`: sparse float64"),
        Method("hyperrank.load_letor, gzip", _ours, "the same from a `.gz` file", "gzip"),
        Method("hyperrank.convert", _ours_store, "into a store on the same disk, forced to the disk"),
        Method("hyperrank.load_table", _ours_table, "the same rows as Parquet", "parquet"),
        Method("XGBoost", _xgboost, "`DMatrix`, deprecated; sparse float32, faults pass unseen"),
        Method("LightGBM", _lightgbm, "`Dataset`: binned, not features"),
        Method("pandas.read_csv", _pandas, NUMBERS_ALONE),
        Method("polars.read_csv", _polars, NUMBERS_ALONE),
        Method("pyarrow.csv", _pyarrow, "columns of lines of equal length alone: no sparse files, no faults"),
    )
}

if __name__ == "__main__":
    print(json.dumps(measure(METHODS[sys.argv[1]], *map(Path, sys.argv[2:]))))
