"""What can go wrong with a store: broken sources, full disks, killed processes, damaged files."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from hyperrank import datasets
from hyperrank.datasets import StoreError, convert, open_store
from hyperrank.datasets import store as store_module
from hyperrank.files import atomic_folder


@pytest.fixture
def data():
    return datasets.make_multilabel_ranking(n_queries=10, list_size=20, random_state=0)


@pytest.fixture
def store(data, tmp_path):
    return convert(data, tmp_path / "a.store")


def left_in(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("at", [0, 1, 500, 999])
def test_a_broken_line_names_file_and_line_and_nothing_is_kept(tmp_path, at, monkeypatch):
    monkeypatch.setattr(datasets._chunks, "BLOCK_BYTES", 300)
    lines = [f"1 qid:{i // 7} 1:{i}" for i in range(1000)]
    lines[at] = "1 qid:7 1:one"
    path = tmp_path / "a.txt"
    path.write_text("\n".join(lines))
    with pytest.raises(ValueError, match="value of '1:one' is not a number") as caught:
        convert(path, tmp_path / "a.store")
    assert f"{path}, line {at + 1}: " in str(caught.value)
    assert left_in(tmp_path) == ["a.txt"]


def test_the_first_fault_of_a_file_is_named(tmp_path, monkeypatch):
    import gzip

    monkeypatch.setattr(datasets._chunks, "BLOCK_BYTES", 300)
    lines = [f"1 qid:{i // 7} 1:{i} 2:{i * i}" for i in range(20_000)]
    lines[19_970] = "x"
    packed = gzip.compress("\n".join(lines).encode(), mtime=0)
    path = tmp_path / "a.txt.gz"
    path.write_bytes(packed[:-20])
    with pytest.raises(ValueError, match="line 19971: label 'x'"):
        convert(path, tmp_path / "a.store")
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(ValueError, match="damaged or cut off"):
        convert(path, tmp_path / "a.store")
    assert left_in(tmp_path) == ["a.txt.gz"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": "a"}, "labels cannot be given for LETOR text"),
        ({"qid": "query"}, "qid cannot be given for LETOR text"),
    ],
)
def test_options_of_tables_for_text(tmp_path, options, message):
    (tmp_path / "a.txt").write_text("1 qid:1 1:1\n")
    with pytest.raises(ValueError, match=message):
        convert(tmp_path / "a.txt", tmp_path / "s", **options)


def test_options_of_text_for_data_in_memory(data, tmp_path):
    with pytest.raises(ValueError, match="n_features cannot be given for data in memory"):
        convert(data, tmp_path / "s", n_features=3)
    assert left_in(tmp_path) == []


def test_an_array_is_no_source(data, tmp_path):
    with pytest.raises(TypeError, match="put arrays into a RankingData"):
        convert(data.X, tmp_path / "s")
    with pytest.raises(ValueError, match="as unfinished stores do"):
        convert(data, tmp_path / "a.partial")
    assert left_in(tmp_path) == []


def test_nothing_is_written_over(data, store, tmp_path):
    before = left_in(tmp_path)
    with pytest.raises(FileExistsError, match="something already"):
        convert(data, store.path)
    with pytest.raises(FileNotFoundError, match="no such folder"):
        convert(data, tmp_path / "absent" / "a.store")
    assert left_in(tmp_path) == before
    open_store(store.path).verify()


FULL = """
import resource, signal, sys
from hyperrank import datasets
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
data = datasets.make_multilabel_ranking(n_queries=100, list_size=50, random_state=0)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    datasets.convert(data, sys.argv[1])
except OSError as error:
    print(error)
"""


@pytest.mark.skipif(os.name != "posix", reason="sizes of files are limited by POSIX alone")
def test_a_disk_that_fills_up(tmp_path):
    """A limit on file sizes stands in: the write fails half-way, as on a full disk."""
    path = tmp_path / "a.store"
    done = subprocess.run([sys.executable, "-c", FULL, str(path)], capture_output=True, text=True, check=True)
    assert "nothing was kept" in done.stdout
    assert str(path) in done.stdout
    assert left_in(tmp_path) == []


KILLED = """
import sys
from hyperrank import datasets
datasets._chunks.BLOCK_BYTES = 1 << 14
print("ready", flush=True)
sys.stdin.readline()
datasets.convert(sys.argv[1], sys.argv[2])
print("done", flush=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="processes are killed by POSIX signals")
def test_a_killed_process_leaves_nothing_that_opens(tmp_path):
    """At random moments from the first row to after the last; what is there at the end is whole."""
    text = tmp_path / "a.txt"
    rng = np.random.default_rng(0)
    lines = (f"1 qid:{q} " + " ".join(f"{j}:{v:.3f}" for j, v in enumerate(rng.random(20), 1))
             for q in rng.integers(0, 50, size=8000))  # fmt: skip
    text.write_text("\n".join(lines))
    moments = random.Random(0)
    expected, whole, killed = convert(text, tmp_path / "expected"), 0, 0
    for attempt in range(3):
        path = tmp_path / f"{attempt}.store"
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(text), str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with process:
            assert process.stdout.readline() == "ready\n"
            process.stdin.write("\n")
            process.stdin.flush()
            if attempt == 0:
                process.stdout.readline()
            elif attempt == 1:  # certainly in the middle: some rows are there, and not all
                started = time.monotonic()
                while not any(f.stat().st_size for f in tmp_path.glob(".1.store.*.partial/X.f32")):
                    assert not path.exists(), "a store has its name before it is whole"
                    assert time.monotonic() - started < 60, "there are no rows to be seen"
                    time.sleep(0.001)
            else:
                time.sleep(moments.random() * 0.8)
            process.send_signal(signal.SIGKILL)
        if path.exists():
            found = open_store(path)
            found.verify()
            np.testing.assert_array_equal(found.X, expected.X)
            whole += 1
        else:
            killed += 1
            for partial in tmp_path.glob(f".{attempt}.store.*.partial"):
                assert attempt > 0
                with pytest.raises(StoreError, match=r"not a store|never finished"):
                    open_store(partial)
    assert whole >= 1
    assert killed >= 1


ARRAYS = ["X.f32", "Y.f32", "offsets.i64", "ids.i64", "checksums.u32", "store.json"]


@pytest.mark.parametrize("file", ARRAYS)
@pytest.mark.parametrize("damage", ["cut", "longer", "missing"])
def test_a_file_of_another_size_is_found_at_opening(store, file, damage):
    path = store.path / file
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(content[:-4] if damage == "cut" else content + b"0000")
    with pytest.raises(StoreError, match=file.replace(".", r"\.")):
        open_store(store.path)


@pytest.mark.parametrize("file", ARRAYS)
def test_a_flipped_bit_is_found(store, file):
    rng = np.random.default_rng(0)
    path = store.path / file
    content = path.read_bytes()
    for at in rng.integers(0, len(content), size=12):
        damaged = bytearray(content)
        damaged[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        with pytest.raises(StoreError) as caught:
            open_store(store.path).verify()
        assert "store" in str(caught.value)
    path.write_bytes(content)
    open_store(store.path).verify()


def test_a_flipped_bit_of_the_features_is_named_with_its_block(store, monkeypatch):
    path = store.path / "X.f32"
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"X\.f32 is damaged between byte 0 and"):
        open_store(store.path).verify()


def test_ids_and_offsets_of_a_store_of_texts(data, tmp_path):
    store = convert(replace(data, qid=data.qid.astype(np.str_)), tmp_path / "t.store")
    path = store.path / "ids.utf8"
    path.write_bytes(path.read_bytes()[::-1])
    with pytest.raises(StoreError, match=r"ids\.utf8 is damaged"):
        open_store(store.path).verify()


def test_an_unfinished_store_is_none_even_if_it_is_all_there(store):
    """A process may be killed after the last byte, and before the folder has its name."""
    partial = store.path.rename(store.path.with_name(".a.store.01234567.partial"))
    with pytest.raises(StoreError, match="was never finished"):
        open_store(partial)


def test_what_is_no_store(store, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("1 qid:1 1:1\n")
    for name, message in [("absent", "not a store"), ("folder", "not a store"), ("file", "not a folder")]:
        with pytest.raises(StoreError, match=message):
            open_store(tmp_path / name)
    described = store.path / "store.json"
    document = json.loads(described.read_text())
    for change, message in [
        ({"format": 99}, "format 99"),
        ({"kind": "x"}, "not describe"),
        ({"names": []}, "checksum"),
    ]:
        described.write_text(json.dumps({**document, **change}))
        with pytest.raises(StoreError, match=message):
            open_store(store.path)
    for text in ("", "[]", "{", "null", "[" * 100_000):
        described.write_text(text)
        with pytest.raises(StoreError, match="damaged"):
            open_store(store.path)


def _forged(store, change):
    """The description of a store with a change, and with the checksum that belongs to it."""
    path = store.path / "store.json"
    document = json.loads(path.read_text())
    del document["sha256"]
    change(document)
    path.write_text(json.dumps({**document, "sha256": store_module._digest(document)}))


FORGED = {
    "no arrays": lambda d: d.pop("arrays"),
    "no names": lambda d: d.pop("names"),
    "no checksums": lambda d: d.pop("checksums"),
    "a number as description": lambda d: d.update(description=1),
    "a number as name": lambda d: d.update(names=[1, 2, 3]),
    "too few names": lambda d: d.update(names=["a"]),
    "no features": lambda d: d.update(feature_names=[]),
    "a file elsewhere": lambda d: d["arrays"].update({"../a.f32": [1]}),
    "an array of an unknown type": lambda d: d["arrays"].update({"a.f128": [1]}),
    "a missing array": lambda d: d["arrays"].pop("Y.f32"),
    "a shape of text": lambda d: d["arrays"].update({"X.f32": ["200", 20]}),
    "a negative shape": lambda d: d["arrays"].update({"X.f32": [-200, -20]}),
    "a huge shape": lambda d: d["arrays"].update({"X.f32": [2**62, 20]}),
    "a shape of one axis": lambda d: d["arrays"].update({"X.f32": [4000]}),
    "no queries": lambda d: d["arrays"].update({"offsets.i64": [0], "ids.i64": [-1]}),
    "too many checksums": lambda d: d["arrays"].update({"checksums.u32": [10]}),
}


@pytest.mark.parametrize("forged", FORGED)
def test_a_forged_description_is_refused(store, forged):
    """Before, KeyError, IndexError, TypeError or StopIteration."""
    _forged(store, FORGED[forged])
    with pytest.raises(StoreError, match=r"store\.json is not as convert writes it"):
        open_store(store.path)


@pytest.mark.parametrize("damage", ["text", "ends"])
def test_damaged_ids_are_a_store_error(data, tmp_path, damage):
    """Before, UnicodeDecodeError, or ids of others."""
    store = convert(replace(data, qid=data.qid.astype(np.str_)), tmp_path / "t.store")
    path = store.path / ("ids.utf8" if damage == "text" else "id_ends.i64")
    content = bytearray(path.read_bytes())
    content[0] = 0xFF
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"ids\.utf8 is damaged"):
        _ = open_store(store.path).qid


@pytest.mark.skipif(os.name != "posix", reason="locks are POSIX's")
def test_what_killed_conversions_left_is_deleted_by_the_next(data, tmp_path):
    """Before, it stayed for ever; of a living process it stays."""
    left = tmp_path / ".a.store.01234567.partial"
    for name in (left, tmp_path / ".b.store.01234567.partial"):
        name.mkdir()
        (name / "X.f32").write_bytes(b"0000")
    with atomic_folder(tmp_path / "a.store") as alive:
        convert(data, tmp_path / "a.store")
        assert alive.exists()
        assert not left.exists()
        shutil.rmtree(tmp_path / "a.store")
    assert left_in(tmp_path) == [".b.store.01234567.partial", "a.store"]


def test_a_store_is_replaced_when_the_new_one_is_whole(data, store, tmp_path):
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(ValueError, match="line 1"):
        convert(tmp_path / "a.txt", store.path, overwrite=True)
    open_store(store.path).verify()
    convert(data.take(data.qid < 2), store.path, overwrite=True)
    assert len(open_store(store.path)) == 40
    assert left_in(tmp_path) == ["a.store", "a.txt"]
    with pytest.raises(FileExistsError):
        convert(data, tmp_path / "a.txt", overwrite=True)


def test_a_read_only_folder_and_several_readers(store, data):
    for file in store.path.iterdir():
        file.chmod(0o444)
    store.path.chmod(0o555)
    script = (
        "import sys; from hyperrank import datasets; s = datasets.open_store(sys.argv[1]); s.verify(); "
        "s.release(); print(float(s.X[:, 0].sum()))"
    )
    command = [sys.executable, "-c", script, str(store.path)]
    readers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    sums = {reader.communicate()[0] for reader in readers}
    store.path.chmod(0o755)
    assert len(sums) == 1
    assert float(sums.pop()) == float(store.X[:, 0].sum())
