"""The readers' benchmark: the same rows for all, measured apart, and a table that says what it found."""

import numpy as np
import pytest

from benchmarks import readers
from benchmarks.readers_methods import METHODS, measure
from hyperrank.datasets import load_letor

pytestmark = pytest.mark.slow


@pytest.fixture
def files(shared_data, monkeypatch, tmp_path):
    monkeypatch.setenv("HYPERRANK_DATA", str(shared_data))
    return readers.write_files(12_000, tmp_path / "files", {"text", "gzip"})


def test_the_sample_is_repeated_under_ids_of_its_own(files, shared_data):
    data = load_letor(files["text"])
    assert data.X.shape == (12_000, 136)
    np.testing.assert_array_equal(data.X[10_000:], data.X[:2_000])
    assert not set(data.qid[:10_000]) & set(data.qid[10_000:])
    np.testing.assert_array_equal(load_letor(files["gzip"]).X, data.X)


def test_readers_read_all_rows(files):
    for name in ("hyperrank.load_letor", "scikit-learn", "pandas.read_csv", "polars.read_csv"):
        found = measure(METHODS[name], files["text"], files["text"])
        assert found["rows"] == 12_000
        assert min(found["seconds"], found["cpu"]) > 0


def test_the_command(shared_data, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("HYPERRANK_DATA", str(shared_data))
    methods = ["hyperrank.load_letor", "scikit-learn", "LightGBM"]
    command = ["--rows", "3000", "--repetitions", "1", "--out", str(tmp_path), "--methods", *methods]
    assert readers.main([*command, "--folder", str(tmp_path)]) == 0
    text = (tmp_path / "readers.md").read_text()
    assert text in capsys.readouterr().out
    assert "| scikit-learn |" in text
    assert "times as fast as scikit-learn's reader (target: 4 times)" in text
    assert "| LightGBM | - |" in text  # it cannot read query ids: the reason stands in the table
    assert sorted(path.name for path in tmp_path.iterdir()) == ["readers.jsonl", "readers.md"]


def test_finished_readings_are_not_repeated(monkeypatch, tmp_path):
    measured = []

    def measure(name, small, path):
        measured.append(name)
        return {"rows": 5, "seconds": 2.0 + len(measured), "cpu": 1.0, "memory": 1 << 20}

    def write(rows, folder, kinds):
        folder.mkdir()
        (folder / "rows.txt").write_text("0 qid:1 1:1\n")
        return {"text": folder / "rows.txt"}

    monkeypatch.setattr(readers, "_measured_apart", measure)
    monkeypatch.setattr(readers, "write_files", write)
    command = ["--rows", "5", "--out", str(tmp_path), "--folder", str(tmp_path), "--methods"]
    readers.main([*command, "scikit-learn", "--repetitions", "1"])
    with (tmp_path / "readers.jsonl").open("a") as file:
        file.write('{"method": "sci')  # as after an interruption
    readers.main([*command, "scikit-learn", "pandas.read_csv", "--repetitions", "2"])
    assert sorted(measured) == ["pandas.read_csv"] * 2 + ["scikit-learn"] * 2
    readers.main([*command, "scikit-learn", "pandas.read_csv", "--repetitions", "2"])
    assert len(measured) == 4
    # Readings of other rows are others.
    found, _ = readers.run(["scikit-learn"], 6, 1, tmp_path / "readers.jsonl", tmp_path)
    assert len(found["scikit-learn"]) == 1
    assert len(measured) == 5


def test_a_reader_of_files_that_cannot_be_made_is_named():
    assert "pyarrow" in readers._measured_apart("hyperrank.load_table", None, None)
