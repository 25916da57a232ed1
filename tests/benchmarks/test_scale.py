"""The benchmark of scale: data in bounded memory, each measurement once, skipped ones reported."""

import json
import tracemalloc

import numpy as np
import pytest

from benchmarks import scale
from benchmarks.scale_data import check_disk, chunks, made_in_memory, store_bytes, write_store
from benchmarks.scale_points import MEASURES, PARTS, Point, measure, measured_apart, store_of
from benchmarks.scale_processes import _result
from hyperrank import datasets

SMALL = {"rows": 300, "features": 4, "epochs": 1}


def stand_in(folder, point, timeout):
    found = {"seconds": point.rows / 1e6, "cpu": 1.0, "memory": 4e8, "added": point.rows * 1e3, "making": 2.0}
    resumed = {"whole_seconds": 9.0, "killed_after": 4.0, "same": 1.0}
    return found | (resumed if point.part == "resume" else {})


@pytest.fixture
def run(tmp_path, monkeypatch):
    """The command with measurements that are made up."""
    asked = []

    def noted(folder, point, timeout):
        asked.append((point.rows, point.part))
        return stand_in(folder, point, timeout)

    monkeypatch.setattr(scale, "measured_apart", noted)
    monkeypatch.setattr(scale, "write_store", lambda path, *_: path.mkdir())

    def command(*words):
        asked.clear()
        out = tmp_path / "results"
        assert scale.main([*words, "--out", str(out), "--folder", str(tmp_path)]) == 0
        return asked.copy(), (out / "scale.md").read_text()

    return command


def test_rows_are_the_same_however_many_and_labels_can_be_learnt():
    X, Y, qid = made_in_memory(20_000, 9)
    assert X.shape == (20_000, 9)
    assert Y.shape == (20_000, 2)
    sizes = np.bincount(qid)
    assert 1 <= sizes.min() < 20 < 180 < sizes.max() <= 199
    assert (np.diff(qid) >= 0).all()
    assert (np.diff(qid) <= 1).all()
    assert set(np.unique(Y)) == {0, 1, 2, 3, 4}
    some = made_in_memory(10_000, 9)
    assert all((a[:8_000] == b[:8_000]).all() for a, b in zip((X, Y, qid), some, strict=True))
    fitted, *_ = np.linalg.lstsq(np.tanh(X), Y - Y.mean(axis=0), rcond=None)
    explained = 1 - (Y - Y.mean(axis=0) - np.tanh(X) @ fitted).var(axis=0) / Y.var(axis=0)
    assert (explained > 0.2).all()


def test_a_store_is_written_in_bounded_memory_and_no_larger_than_said(tmp_path):
    tracemalloc.start()
    seconds = write_store(tmp_path / "made.store", 150_000, 40)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    store = datasets.open_store(tmp_path / "made.store")
    assert store.X.shape == (150_000, 40)
    assert store.names == ("relevance", "clicks")
    np.testing.assert_array_equal(store.X[-500:], np.concatenate([X for X, *_ in chunks(150_000, 40)])[-500:])
    size = sum(file.stat().st_size for file in store.path.iterdir())
    assert 0.8 * store_bytes(150_000, 40) < size < store_bytes(150_000, 40)
    assert peak < 0.6 * store.X.nbytes
    assert seconds > 0


def test_a_disk_that_is_too_small_is_refused(tmp_path, capsys):
    check_disk(tmp_path, 1_000, 10)
    with pytest.raises(OSError, match=r"1,000,000,000,000 rows of 136 features take .* GB are free: name"):
        check_disk(tmp_path, 10**12, 136)
    with pytest.raises(SystemExit):
        scale.main(["--rows", "1e12", "--out", str(tmp_path), "--folder", str(tmp_path)])
    assert "fewer --rows" in capsys.readouterr().err.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "part",
    [
        pytest.param(part, marks=[pytest.mark.slow] * part.endswith("memory"))
        for name in ("convert", "open", "fit", "predict")
        for part in PARTS[name]
    ],
)
def test_every_measurement_measures(tmp_path_factory, part):
    folder = tmp_path_factory.getbasetemp() / "scale"
    folder.mkdir(exist_ok=True)
    point = Point(part=part, **SMALL)
    if part != "convert" and not store_of(folder, point).exists():
        write_store(store_of(folder, point), point.rows, point.features)
    found = measure(folder, point)
    assert found["seconds"] > 0
    assert found["memory"] > 0
    assert found["added"] >= 0


def test_a_failure_in_a_process_of_its_own_is_said(tmp_path):
    with pytest.raises(RuntimeError, match="store"):
        measured_apart(tmp_path, Point(part="open", **SMALL), 300)


def test_finished_measurements_are_not_repeated(run):
    first, _ = run("--rows", "1000", "--features", "5", "--parts", "convert", "open")
    assert first == [(1_000, "convert"), (1_000, "open"), (1_000, "load")]
    second, text = run("--rows", "1000", "2e3", "--features", "5", "--parts", "convert", "open", "fit")
    assert second == [
        *[(1_000, part) for part in PARTS["fit"]],
        *[(2_000, part) for part in ("convert", "open", "load", *PARTS["fit"])],
    ]
    assert run("--rows", "2000", "--features", "5", "--parts", "open")[0] == []
    assert "## 2,000 rows, 5 features" in text
    assert "| `fit` from the store | 1,000,000 | 0.002 |" in text
    assert "`python -m benchmarks.scale --rows 1000 2e3 --features 5 --parts convert open fit`" in text


def test_all_of_the_table(run):
    asked, text = run("--rows", "1000")
    assert [part for _, part in asked] == list(MEASURES)
    assert "fit from the store: 1.00 times as long as in memory" in text
    assert "killed after 4.0 s, resumed in 0.0 s; from the start 9.0 s; the same ranker to the bit" in text


def test_what_memory_does_not_hold_is_left_out_and_said(run, monkeypatch):
    monkeypatch.setattr(scale, "_available_bytes", lambda: 1.5e6)
    asked, text = run("--rows", "1000", "2000", "--features", "5", "--parts", "fit")
    assert asked == [(1_000, "fit, store"), (1_000, "fit, memory"), (2_000, "fit, store")]
    assert "- 2,000 rows, fit, memory: expected to take 0.0 GiB of memory; 0.0 GiB are available" in text


def test_the_commands_result_is_found_among_other_lines():
    assert _result("warming up\n" + json.dumps({"seconds": 3}, indent=1) + "\nbye") == {"seconds": 3}


@pytest.mark.slow
@pytest.mark.parametrize("part", [*PARTS["processes"], *PARTS["resume"]])
def test_measurements_that_start_commands(tmp_path, part):
    point = Point(part=part, rows=20_000, features=10, epochs=3)
    write_store(store_of(tmp_path, point), point.rows, point.features)
    found = measure(tmp_path, point)
    assert found["seconds"] > 0
    assert found.get("same", 1.0) == 1.0
