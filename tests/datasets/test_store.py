"""The columnar store: what goes in comes out, grouped by query, from every kind of source."""

import gzip
import time
import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperrank import datasets
from hyperrank.datasets import _chunks, convert, load_letor, open_store
from hyperrank.datasets.store import ArrayFile, Description, n_blocks, size_of
from hyperrank.lists import QueryLists
from hyperrank.memmap import is_mapped


def same(store, data):
    """A store holds what data hold, their rows brought together by query."""
    lists = QueryLists.from_qid(data.qid)
    np.testing.assert_array_equal(store.X, lists.group(data.X))
    np.testing.assert_array_equal(store.Y, lists.group(data.Y))
    assert store.qid.tolist() == lists.group(data.qid).tolist()
    assert store.offsets.tolist() == lists.offsets.tolist()
    assert store.names == data.names
    assert store.feature_names == data.feature_names
    store.verify()


@pytest.fixture
def data():
    return datasets.make_multilabel_ranking(
        n_queries=30, list_size=(1, 40), missing_features=0.1, missing_labels=0.1, random_state=0
    )


def test_round_trip(data, tmp_path):
    store = convert(data, tmp_path / "a.store")
    same(store, data)
    again = open_store(tmp_path / "a.store")
    same(again, data)
    loaded = again.load()
    for field in ("X", "Y", "qid"):
        np.testing.assert_array_equal(getattr(loaded, field), getattr(data, field))
        assert getattr(loaded, field).dtype == getattr(data, field).dtype
        assert getattr(loaded, field).flags.writeable
    assert loaded.description == data.description
    assert again.y.tolist() == again.Y[:, 0].tolist() or np.isnan(again.y).any()


def test_arrays_are_plain_mapped_and_read_only(data, tmp_path):
    store = convert(data, tmp_path / "a.store")
    assert type(store.X) is np.ndarray
    assert is_mapped(store.X)
    with pytest.raises(ValueError, match="read-only"):
        store.X[0, 0] = 1
    before = store.X.copy()
    store.release()
    np.testing.assert_array_equal(store.X, before)


rows = st.lists(st.tuples(st.integers(0, 5), st.integers(1, 12)), min_size=1, max_size=40)


@settings(max_examples=60)
@given(rows, st.booleans(), st.sampled_from([64, 200, 1 << 24]), st.booleans())
def test_scattered_queries_and_growing_widths(tmp_path_factory, rows, as_text, chunk_bytes, packed):
    """Queries lie apart, and the widest row comes anywhere: as the reader in memory has it, but grouped."""
    folder = tmp_path_factory.mktemp("scattered")
    name = "q" if as_text else ""
    text = "".join(f"{i % 5} qid:{name}{q} {w}:{i + 1}\n" for i, (q, w) in enumerate(rows)).encode()
    path = folder / ("a.txt.gz" if packed else "a.txt")
    path.write_bytes(gzip.compress(text, mtime=0) if packed else text)
    patch = pytest.MonkeyPatch()
    with patch.context() as changed:
        changed.setattr(_chunks, "CHUNK_BYTES", chunk_bytes)
        changed.setattr(datasets._chunks, "BLOCK_BYTES", 50)
        store = convert(path, folder / "a.store")
    same(store, load_letor(path))


@pytest.mark.parametrize("missing", [0.0, float("nan")])
@pytest.mark.parametrize("n_features", [None, 9])
@pytest.mark.parametrize("zero_based", [False, True])
def test_options_of_text(tmp_path, missing, n_features, zero_based):
    options = {"missing": missing, "n_features": n_features, "zero_based": zero_based}
    path = tmp_path / "a.txt"
    path.write_text("1 qid:1 1:5\n0 qid:2 2:1 7:3\n2 qid:1\n")
    same(convert(path, tmp_path / "a.store", **options), load_letor(path, **options))


def test_several_files_and_sizes_given_apart(tmp_path):
    for name, lines in [("a.txt", "1 1:1\n0 1:2\n"), ("b.txt", "2 2:3\n")]:
        (tmp_path / name).write_text(lines)
    paths = [tmp_path / "a.txt", tmp_path / "b.txt"]
    same(convert(paths, tmp_path / "s", group=[1, 2]), load_letor(paths, group=[1, 2]))
    for number, group in enumerate([[1], [4]]):
        with pytest.raises(ValueError, match="group sums to"):
            convert(paths, tmp_path / f"t{number}", group=group)
    with pytest.raises(ValueError, match="pass group="):
        convert(paths, tmp_path / "u")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.txt", "b.txt", "s"]


def test_real_files(shared_data, tmp_path):
    paths = [shared_data / f"mq2008/S{i}.txt" for i in (1, 2)]
    same(convert(paths, tmp_path / "a.store"), load_letor(paths))


def test_queries_of_one_document_and_a_long_one(tmp_path):
    sizes = [1] * 500 + [20_000] + [1] * 500
    qid = np.repeat(np.arange(len(sizes)), sizes)
    X = np.arange(len(qid) * 2, dtype=np.float32).reshape(-1, 2)
    data = datasets.RankingData(X, X[:, :1], qid, ("a",), ("f", "g"))
    same(convert(data, tmp_path / "a.store"), data)
    shuffled = np.random.default_rng(0).permutation(len(qid))
    same(convert(data.take(shuffled), tmp_path / "b.store"), data.take(shuffled))


def test_ids_of_text_come_back(data, tmp_path):
    texts = np.array([f"Frage ü{q}" for q in data.qid])
    store = convert(replace(data, qid=texts), tmp_path / "a.store")
    assert store.ids.tolist() == list(dict.fromkeys(texts.tolist()))
    assert store.load().qid.tolist() == texts.tolist()
    assert QueryLists.from_qid(store.qid).offsets.tolist() == store.lists.offsets.tolist()


def test_opening_does_not_read_the_features(tmp_path):
    """A sparse file of 40 GB opens in under a second."""
    data = datasets.make_multilabel_ranking(n_queries=2, list_size=5, n_features=4, random_state=0)
    store = convert(data, tmp_path / "a.store")
    path, n_rows = store.path, 10_000_000
    names = (("a",), tuple(f"f{j}" for j in range(1000)), "")
    offsets = np.arange(0, n_rows + 1, 100)
    for name, values in [("offsets.i64", offsets), ("ids.i64", offsets[1:])]:
        with ArrayFile(path / name) as file:
            file.append(values)
    with (path / "X.f32").open("wb") as file:
        file.truncate(n_rows * 4000)
    with (path / "Y.f32").open("wb") as file:
        file.truncate(n_rows * 4)
    shapes = {
        "X.f32": (n_rows, 1000),
        "Y.f32": (n_rows, 1),
        "offsets.i64": (len(offsets),),
        "ids.i64": (len(offsets) - 1,),
    }
    n_checksums = sum(n_blocks(size_of(file, shape)) for file, shape in shapes.items())
    checksums = np.zeros(n_checksums, dtype="<u4")
    with ArrayFile(path / "checksums.u32") as file:
        file.append(checksums)
    shapes["checksums.u32"] = (n_checksums,)
    Description(shapes, *names, zlib.crc32(checksums.tobytes())).write(path / "store.json")
    start = time.process_time()
    store = open_store(path)
    assert store.X[-1, -1] == 0
    assert time.process_time() - start < 1
    assert store.X.nbytes == 40_000_000_000


def test_fit_and_predict_straight_from_a_store(data, tmp_path):
    from hyperrank import HyperDPORanker

    filled = replace(data, Y=np.nan_to_num(data.Y))
    store = convert(filled, tmp_path / "a.store")
    options = {"max_epochs": 1, "random_state": 0, "reference": None}
    of_store = HyperDPORanker(**options).fit(store.X, store.Y, qid=store.qid)
    in_memory = HyperDPORanker(**options).fit(filled.X, filled.Y, qid=filled.qid)
    np.testing.assert_array_equal(
        of_store.predict(store.X, qid=store.qid), in_memory.predict(filled.X, qid=filled.qid)
    )
