"""Text, groups and tables that crashed, filled the memory or were cut: the answer before and now; fuzzed."""

import gzip
import io
import tracemalloc
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from hyperrank import datasets
from hyperrank.datasets import convert, load_letor, load_table
from hyperrank.datasets.ranking_data import RankingData
from hyperrank.lists import QueryLists

LINES = "1 1:1\n0 1:2\n2 1:3\n"


@contextmanager
def memory(limit):
    """Fails where what happens inside takes more bytes than that."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < limit
    finally:
        tracemalloc.stop()


GROUPS = {
    "sum beyond 2**64": ([2**63 - 1, 2**63 - 1, 5], "group sums to", "the interpreter crashed"),
    "sum of exactly 2**64": ([2**63 - 1, 2**63 - 1, 2, 3], "group sums to", "the interpreter crashed"),
    "a billion rows": ([1_000_000_000], "group sums to 1,000,000,000 rows", "7.6 GB before it was refused"),
    "unsigned": (np.array([2**64 - 1], dtype=np.uint64), "group sums to", "taken for -1"),
    "beyond every integer": ([2**70], "whole number of rows", "refused"),
    "too few": ([1, 1], "group sums to 2 rows in 2 queries, but there are", "refused"),
    "negative": ([4, -1], "whole number of rows", "refused"),
    "none": ([], "group sums to 0 rows|whole number", "refused"),
    "fractions": ([1.5, 1.5], "whole number of rows", "refused"),
    "a single number": (3, "whole number of rows", "TypeError"),
}


@pytest.mark.parametrize("kind", GROUPS)
def test_groups_are_compared_before_anything_of_their_size_is_made(tmp_path, kind):
    group, message, _before = GROUPS[kind]
    (tmp_path / "a.txt").write_text(LINES)
    with memory(20e6):
        with pytest.raises(ValueError, match=message):
            load_letor(tmp_path / "a.txt", group=group)
        with pytest.raises(ValueError, match=message):
            convert(tmp_path / "a.txt", tmp_path / "s", group=group)
        if isinstance(group, list) and all(isinstance(size, int) and size >= 0 for size in group):
            (tmp_path / "a.query").write_text("".join(f"{size}\n" for size in group))
            with pytest.raises(ValueError, match=f"{message}|sums to|is not a number of rows"):
                load_letor(tmp_path / "a.txt", group=tmp_path / "a.query")
    assert not (tmp_path / "s").exists()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-3, 2**65) | st.integers(0, 3), max_size=5))
@example([3])
@example([0, 3, 0])
def test_groups_of_any_integers(tmp_path_factory, group):
    path = tmp_path_factory.getbasetemp() / "grouped.txt"
    path.write_text(LINES)
    fits = sum(group) == 3 and min(group, default=0) >= 0
    try:
        qid = load_letor(path, group=group).qid.tolist()
    except ValueError:
        assert not fits
    else:
        assert fits
        assert qid == [query for query, size in enumerate(group) for _ in range(size)]


@pytest.mark.parametrize("way", ["letor", "csv", "parquet", "store"])
def test_one_long_query_id_does_not_widen_all(tmp_path, way):
    """Before, 13 GiB for one of 100 kB among 100,000 rows."""
    n, long_id = 5_000, "q" * 100_000
    ids = [f"q{i}" for i in range(n)]
    ids[n // 2] = long_id
    frame = pd.DataFrame({"qid": ids, "a": 1.0, "y": 0})
    with memory(60e6):
        if way in ("letor", "store"):
            (tmp_path / "a.txt").write_text("".join(f"0 qid:{name} 1:1\n" for name in ids))
            read = (
                convert(tmp_path / "a.txt", tmp_path / "s")
                if way == "store"
                else load_letor(tmp_path / "a.txt")
            )
        else:
            getattr(frame, f"to_{way}")(tmp_path / f"a.{way}", index=False)
            read = load_table(tmp_path / f"a.{way}", labels="y")
        assert read.qid.tolist() == ids


BOMBS = {
    "an endless line": (b"a" * (1 << 20), 80, "a line of more than"),
    "zeros": (bytes(1 << 20), 80, "zero bytes"),
    "empty lines": (b"\n" * (1 << 20), 16, "no document found"),
}


@pytest.mark.parametrize("kind", BOMBS)
@pytest.mark.parametrize("name", ["a.txt.gz", "a.csv.gz"])
def test_a_small_gzip_file_does_not_fill_the_memory(tmp_path, kind, name, monkeypatch):
    """Before, a CSV file was decompressed for as long as its first line goes on."""
    content, times, message = BOMBS[kind]
    monkeypatch.setattr(datasets._chunks, "MAX_LINE_BYTES", 1 << 22)
    with gzip.open(tmp_path / name, "wb", compresslevel=1) as file:
        for _ in range(times):
            file.write(content)
    load = load_letor if ".txt" in name else (lambda path: load_table(path, labels="y"))
    with memory(80e6), pytest.raises(ValueError, match=f"{message}|has no name|is empty"):
        load(tmp_path / name)


COMPRESSED = {
    "bzip2": b"BZh91AY",
    "xz": b"\xfd7zXZ\0",
    "zstd": b"\x28\xb5\x2f\xfd",
    "zip": b"PK\x03\x04",
    "gzip": b"\x1f\x8b",
}


@pytest.mark.parametrize("kind", COMPRESSED)
@pytest.mark.parametrize("name", ["a.txt", "a.csv"])
def test_other_compression_is_named(tmp_path, kind, name):
    """Before, bzip2 was taken for UTF-16."""
    (tmp_path / name).write_bytes(COMPRESSED[kind] + bytes(100))
    load = load_letor if name == "a.txt" else (lambda path: load_table(path, labels="y"))
    with pytest.raises(ValueError, match=r"this is (a zip archive|\w+ data)"):
        load(tmp_path / name)


def test_null_is_a_missing_value(tmp_path):
    """Before, an error: LETOR 3.0 and MQ2007 have it."""
    (tmp_path / "a.txt").write_text("1 qid:1 1:NULL 2:3\nNULL qid:1 1:1 2:null\n")
    data = load_letor(tmp_path / "a.txt")
    np.testing.assert_array_equal(data.X, [[np.nan, 3], [1, np.nan]])
    np.testing.assert_array_equal(data.y, [1, np.nan])


@pytest.mark.parametrize("name", ["x.json", "x.xlsx", "x", "."])
def test_other_formats_than_tables_are_told_what_is_read(name):
    """Before, "No such file or directory", or Arrow's words."""
    for source in (name, [name]):
        with pytest.raises(ValueError, match=r"expected \.csv or \.tsv .*, \.parquet .*load_letor"):
            load_table(source, labels="y")
    with pytest.raises(ValueError, match="another format than the files before"):
        load_table(["a.parquet", "b.csv"], labels="y")


@pytest.mark.parametrize("source", [io.StringIO(LINES), io.BytesIO(b""), 3, None])
def test_text_is_read_by_its_path(source):
    """Before, an error of pathlib."""
    with pytest.raises(TypeError, match="expected the path of a file, or a sequence of paths; got a"):
        load_letor(source)


def test_data_in_memory_honour_a_mask(tmp_path):
    """Before, a store held what was under the mask."""
    X = np.ma.array([[1.0, 2], [3, 4]], mask=[[0, 1], [0, 0]])
    data = RankingData(X, np.ma.array([[1.0], [2]], mask=[[1], [0]]), np.array([1, 1]), ("y",), ("a", "b"))
    store = convert(data, tmp_path / "s")
    np.testing.assert_array_equal(store.X, [[1, np.nan], [3, 4]])
    np.testing.assert_array_equal(store.Y, [[np.nan], [2]])
    with pytest.raises(ValueError, match="X holds datetime64"):
        RankingData(np.zeros((2, 1), "M8[D]"), np.ones((2, 1)), np.array([1, 1]), ("y",), ("a",))


def _loaded(source):
    """The data, or the message of the one error that there may be."""
    try:
        return load_table(source, labels="y"), ""
    except ValueError as error:
        return None, str(error)


cell = st.sampled_from(
    [
        "1",
        "0",
        "-1",
        "2.5",
        "",
        "NA",
        "nan",
        "inf",
        "1e400",
        "True",
        "x",
        '"1"',
        '"a""b"',
        '"1,2"',
        '"',
        " ",
        "1e5",
        "007",
        "\0",
    ]
)
row = st.lists(cell, min_size=1, max_size=5)


@settings(max_examples=150, deadline=None)
@given(st.lists(row, max_size=6), st.sampled_from(["\n", "\r\n", "\n\n"]), st.booleans())
def test_csv_of_any_cells_is_read_or_refused(tmp_path_factory, rows, end, with_bom):
    """Whatever is read has as many rows as there are lines, and no cell that was not there."""
    path = tmp_path_factory.getbasetemp() / "fuzzed.csv"
    text = end.join(["qid,a,y", *map(",".join, rows)]) + end
    path.write_bytes(("\ufeff" * with_bom + text).encode())
    data, message = _loaded(path)
    if data is None:
        assert str(path) in message
        return
    assert not np.isinf(data.X).any()
    assert not (data.Y < 0).any()
    if not any('"' in value for values in rows for value in values):
        lines = [values for values in rows if "".join(values).strip()]
        assert len(data.X) == len(lines)
        assert all(len(values) == 3 for values in lines)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_parquet_with_other_bytes_is_read_or_refused(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "fuzzed.parquet"
    table = pa.table({"qid": [1, 1, 2], "a": [0.5, None, 2], "y": [0, 1, 2]})
    parquet.write_table(table, path, compression="none", store_schema=False)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    _loaded(path)


def test_one_name_is_one_feature():
    """Before, its letters were features where columns had such names."""
    table = pd.DataFrame({"qid": [1, 1], "a": [1.0, 2], "b": [3.0, 4], "ab": [5.0, 6], "y": [1, 0]})
    assert load_table(table, labels="y", features="ab").X.tolist() == [[5.0], [6.0]]


def test_query_ids_of_csv_with_spaces_around(tmp_path):
    """Before, "1" and "1 " were two queries, and spaces alone an id."""
    path = tmp_path / "t.csv"
    path.write_text("qid,a,y\n1,2,1\n1 ,3,0\n 1,4,0\n")
    assert load_table(path, labels="y").qid.tolist() == [1, 1, 1]
    path.write_text("qid,a,y\n1,2,1\n  ,3,0\n")
    with pytest.raises(ValueError, match="no query id at row 1"):
        load_table(path, labels="y")


def test_options_of_readers_that_are_no_numbers(tmp_path):
    """Before, numpy's words, or grades of no whole number."""
    (tmp_path / "t.txt").write_text("1 qid:1 1:2\n")
    with pytest.raises(ValueError, match="missing must be finite or NaN"):
        load_letor(tmp_path / "t.txt", missing="none")
    with pytest.raises(ValueError, match="n_grades must be a whole number at least 2"):
        datasets.quantile_grades([1, 2, 3], [1, 1, 1], n_grades=2.5)
    with pytest.raises(ValueError, match="random_state must be a whole number"):
        datasets.make_multilabel_ranking(n_queries=2, random_state="a")


SIZES = {
    "whose sum wraps": [2**62] * 4,
    "beyond int64": np.array([2**63], dtype=np.uint64),
    "that are masked": np.ma.array([1, 2], mask=[0, 1]),
}


@pytest.mark.parametrize("kind", SIZES)
def test_sizes_of_lists_are_numbers_of_rows(kind):
    """Before, offsets below 0, or what lies under the mask."""
    with pytest.raises(ValueError, match="sizes must be numbers of rows that there can be"):
        QueryLists.from_sizes(SIZES[kind])


columns = st.sampled_from(
    [
        pa.array([1, 0, 2]),
        pa.array([1.5, None, 2]),
        pa.array([True, None, False]),
        pa.array(["1", "x", None]),
        pa.array(["a", "b", "a"]).dictionary_encode(),
        pa.array([5, 7, 5]).dictionary_encode(),
        pa.array([1, 2, 3], pa.date32()),
        pa.array([1, 2, 3], pa.timestamp("ns", "UTC")),
        pa.array([1, 2, 3], pa.duration("s")),
        pa.array([1, 2, 3], pa.time32("s")),
        pa.array([[1], [2], []]),
        pa.array([{"x": 1}] * 3),
        pa.array([b"1", b"2", b"3"]),
        pa.array([None] * 3),
        pa.array([2**64 - 1, 0, 1], pa.uint64()),
        pa.array([1, 2, 3], pa.decimal128(5, 1)),
        pa.array([1, 2, 3], pa.float16()),
        pa.array([-1, 2, 3]),
    ]
)


@settings(max_examples=100, deadline=None)
@given(columns, columns, columns)
def test_arrow_tables_of_any_columns_are_numbers_or_refused(qid, feature, label):
    table = pa.table({"qid": qid, "a": feature, "y": label})
    data, message = _loaded(table)
    if data is None:
        assert "column '" in message
        return
    if hasattr(data.X, "columns"):  # categories
        assert data.X["a"].astype(object).tolist() == table["a"].to_pylist()
        return
    for column, found in [("a", data.X[:, 0]), ("y", data.Y[:, 0])]:
        values = table[column].to_pylist()
        np.testing.assert_array_equal(found, [np.nan if v is None else np.float32(float(v)) for v in values])
