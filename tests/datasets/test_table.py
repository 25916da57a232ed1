"""Parquet, Arrow and frames: one row per document, read into memory or into a store."""

import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest

from hyperrank.datasets import _chunks as chunks_module
from hyperrank.datasets import convert, load_table

pa = pytest.importorskip("pyarrow")
feather = pytest.importorskip("pyarrow.feather")
parquet = pytest.importorskip("pyarrow.parquet")

COLUMNS = {
    "qid": [3, 3, 1, 3, 1],
    "bm25": [0.5, None, 2.0, 1.0, 4.0],
    "clicks": [3, 0, 1, None, 2],
    "relevance": [2, 0, 1, 0, None],
    "is_new": [True, False, True, None, False],
}
LABELS = ["relevance", "clicks"]
NAN = float("nan")


def arrow():
    return pa.table(COLUMNS)


def as_source(kind, folder):
    table = arrow()
    if kind == "parquet":
        parquet.write_table(table, folder / "a.parquet", row_group_size=2)
        return folder / "a.parquet"
    if kind in ("csv", "tsv.gz"):
        table.to_pandas().to_csv(folder / f"a.{kind}", sep="\t" if "tsv" in kind else ",", index=False)
        return folder / f"a.{kind}"
    if kind == "feather":
        feather.write_feather(table, folder / "a.feather")
        return str(folder / "a.feather")
    if kind in ("arrow file", "arrow stream"):
        path = folder / "a.arrow"
        new = pa.ipc.new_file if kind == "arrow file" else pa.ipc.new_stream
        with new(path, table.schema) as writer:
            writer.write_table(table, max_chunksize=2)
        return path
    if kind == "two files":
        parquet.write_table(table[:3], folder / "a.parquet")
        parquet.write_table(table[3:].select(table.column_names[::-1]), folder / "b.parquet")
        return [folder / "a.parquet", folder / "b.parquet"]
    return {
        "table": table,
        "batch": table.to_batches()[0],
        "reader": pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=2)),
        "pandas": pd.DataFrame(COLUMNS, index=[9, 8, 7, 6, 5]),
        "polars": pl.DataFrame(COLUMNS),
    }[kind]


FILES = ["csv", "tsv.gz", "parquet", "feather", "arrow file", "arrow stream", "two files"]
KINDS = [*FILES, "table", "batch", "reader"]


@pytest.mark.parametrize("kind", [*KINDS, "pandas", "polars"])
def test_every_kind_of_table_is_read_alike(kind, tmp_path):
    data = load_table(as_source(kind, tmp_path), labels=LABELS)
    assert (data.names, data.feature_names) == (("relevance", "clicks"), ("bm25", "is_new"))
    np.testing.assert_array_equal(data.X, [[0.5, 1], [NAN, 0], [2, 1], [1, NAN], [4, 0]])
    np.testing.assert_array_equal(data.Y, [[2, 3], [0, 0], [1, 1], [0, NAN], [NAN, 2]])
    assert data.qid.tolist() == [3, 3, 1, 3, 1]
    assert (data.X.dtype, data.Y.dtype, data.qid.dtype) == (np.float32, np.float32, np.int64)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_table_is_converted(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(chunks_module, "CHUNK_BYTES", 8)
    source = as_source(kind, tmp_path)
    store = convert(source, tmp_path / "s", labels="relevance", features=["bm25"])
    assert store.qid.tolist() == [3, 3, 3, 1, 1]
    np.testing.assert_array_equal(store.X[:, 0], [0.5, NAN, 1, 2, 4])
    np.testing.assert_array_equal(store.y, [2, 0, 0, 1, NAN])


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (["b", "a", "b"], ["b", "a", "b"]),
        (pa.array(["b", "a", "b"]).dictionary_encode(), ["b", "a", "b"]),
        (pa.array(["x", "y", "x"], pa.large_string()), ["x", "y", "x"]),
        (pa.array([1, 2, 1], pa.uint8()), [1, 2, 1]),
    ],
)
def test_kinds_of_ids(ids, expected):
    table = pa.table({"qid": ids, "f": [1, 2, 3], "y": [0, 1, 0]})
    for source in (table, table.to_pandas(types_mapper=pd.ArrowDtype)):
        assert load_table(source, labels="y").qid.tolist() == expected


def test_arrow_columns_in_frames_of_pandas():
    values = {"f": [1, 2, 3], "c": pa.array(["b", None, "a"]).dictionary_encode(), "none": pa.nulls(3)}
    table = pa.table({"qid": [1, 1, 2], "y": [0, 1, 0], **values})
    found = load_table(table.to_pandas(types_mapper=pd.ArrowDtype), labels="y")
    pd.testing.assert_frame_equal(found.X, load_table(table, labels="y").X)


def test_a_column_that_pandas_cannot_hold():
    times = pa.array([0, 1, 2], pa.time64("ns"))
    with pytest.raises(ValueError, match=r"'time' \(time64\[ns\]\)"):
        load_table(pa.table({"qid": [1, 1, 2], "y": [0, 1, 0], "time": times}), labels="y")


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({}, {"labels": ["dwell"]}, r"no column 'dwell'\. Its columns are 'qid'"),
        ({}, {"labels": ["click"]}, r"no column 'click'\. Did you mean 'clicks'\? Its"),
        ({}, {"qid": "query"}, r"no column 'query' of query ids; name it by qid=\. Did you mean 'qid'\?"),
        ({}, {"features": ["bm25", "x"]}, "no column 'x'"),
        ({}, {"drop": "x"}, "no column 'x'"),
        ({}, {"features": []}, "no column is left for features"),
        ({}, {"features": ["bm25", "clicks"]}, "'clicks' cannot be a feature as well"),
        ({}, {"labels": []}, "pass labels="),
        ({"url": list("abcde")}, {}, "column 'url' holds string, not numbers: .*leave it out by drop="),
        ({"relevance": [2, 0, -1, 0, 0]}, {}, "column 'relevance' holds -1 at row 2; expected labels from 0"),
        ({"bm25": [0, 0, 0, 0, 1e39]}, {}, r"column 'bm25' holds 1e\+39 at row 4; expected finite numbers"),
        ({"bm25": [0, 0, 0, NAN, -np.inf]}, {}, "column 'bm25' holds -inf at row 4"),
        ({"qid": [1, 1, None, 2, 2]}, {}, "column 'qid' has no query id at row 2"),
        ({"qid": [1.0, 1, 2, 2, 2]}, {}, "column 'qid' holds floating; query ids must be integers or text"),
    ],
)
def test_errors_name_column_and_row(changes, options, message, tmp_path):
    table = pa.table({**COLUMNS, **changes})
    with pytest.raises(ValueError, match=message):
        load_table(table, **{"labels": LABELS, **options})
    parquet.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=message):
        convert(tmp_path / "a.parquet", tmp_path / "s", **{"labels": LABELS, **options})
    assert [path.name for path in tmp_path.iterdir()] == ["a.parquet"]


@pytest.mark.parametrize("name", ["a.parquet", "a.feather", "a.arrow"])
def test_damaged_files(tmp_path, name):
    path = tmp_path / name
    if name == "a.parquet":
        parquet.write_table(arrow(), path)
    else:
        feather.write_feather(arrow(), path, compression="uncompressed")
    whole = path.read_bytes()
    for content in (b"", b"1 qid:1 1:1\n", whole[: len(whole) // 2], whole[:-3]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=name.replace(".", r"\.")):
            load_table(path, labels=LABELS)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        load_table(path, labels=LABELS)


def test_files_of_other_columns(tmp_path):
    parquet.write_table(arrow(), tmp_path / "a.parquet")
    parquet.write_table(arrow().drop_columns(["bm25"]), tmp_path / "b.parquet")
    with pytest.raises(ValueError, match=r"b\.parquet has other columns .* differ in \['bm25'\]"):
        load_table([tmp_path / "a.parquet", tmp_path / "b.parquet"], labels=LABELS)


def test_what_is_no_table():
    with pytest.raises(TypeError, match="LazyFrame is not a table that can be read"):
        load_table(pl.DataFrame(COLUMNS).lazy(), labels=LABELS)
    with pytest.raises(ValueError, match="holds no row"):
        load_table(arrow()[:0], labels=LABELS)


def test_a_table_of_no_row_makes_no_store(tmp_path):
    with pytest.raises(ValueError, match="holds no row"):
        convert(arrow()[:0], tmp_path / "s", labels=LABELS)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="zero_based cannot be given for a table"):
        convert(arrow(), tmp_path / "s", labels=LABELS, zero_based=True)


def test_without_pyarrow_frames_of_pandas_are_read_and_the_extra_is_named():
    script = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "import pandas\n"
        "from hyperrank.datasets import load_table\n"
        "frame = pandas.DataFrame({'qid': [1, 1], 'f': [0, 1], 'y': [0, 1]})\n"
        "print(load_table(frame, labels='y').X.tolist())\n"
        "try:\n    load_table('a.parquet', labels='y')\n"
        "except ImportError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "[[0.0], [1.0]]" in done.stdout
    assert "pip install 'hyperrank[arrow]'" in done.stdout
