import gzip

import numpy as np
import pytest
from sklearn.datasets import load_svmlight_file

from hyperrank.datasets import _chunks, load_letor


@pytest.fixture
def write(tmp_path):
    def write_file(text, name="data.txt"):
        path = tmp_path / name
        content = text if isinstance(text, bytes) else text.encode()
        with gzip.open(path, "wb") if name.endswith(".gz") else open(path, "wb") as file:
            file.write(content)
        return path

    return write_file


TWO = "2 qid:7 1:0.5 3:1e2 # doc A\n\n# alone\n0 qid:7 2:-4\n1 qid:8\n"


def test_reads_the_format(write):
    data = load_letor(write(TWO), comments=True)
    np.testing.assert_array_equal(data.X, [[0.5, 0, 100], [0, -4, 0], [0, 0, 0]])
    assert data.y.tolist() == [2, 0, 1]
    assert data.qid.tolist() == [7, 7, 8]
    assert data.comments == ("doc A", "", "")
    assert (data.X.dtype, data.Y.dtype, data.qid.dtype) == (np.float32, np.float32, np.int64)
    assert data.feature_names == ("feature_1", "feature_2", "feature_3")


@pytest.mark.parametrize("n_features", [None, 4])
def test_features_numbered_from_0(write, n_features):
    path = write("1 qid:1 0:5 2:1\n0 qid:1 1:2\n")
    data = load_letor(path, zero_based=True, n_features=n_features)
    expected = load_svmlight_file(path, zero_based=True, n_features=n_features)[0]
    np.testing.assert_array_equal(data.X, expected.toarray())
    assert data.feature_names == tuple(f"feature_{j}" for j in range(n_features or 3))
    with pytest.raises(ValueError, match=r"line 1: '0:5' has feature number 0; .* zero_based=True"):
        load_letor(path)
    with pytest.raises(ValueError, match="line 1: '2:1' is beyond n_features=2"):
        load_letor(path, zero_based=True, n_features=2)
    with pytest.raises(ValueError, match="'-1:5' is not a whole number from 0"):
        load_letor(write("1 qid:1 -1:5\n"), zero_based=True)


@pytest.mark.parametrize("chunk_bytes", [4, 40, 1 << 24])
def test_widths_that_grow(write, monkeypatch, chunk_bytes):
    rng = np.random.default_rng(0)
    widths = [*rng.integers(1, 30, size=200), 300, 2, *rng.integers(1, 30, size=50)]
    path = write("".join(f"1 qid:1 {w}:{i + 1}\n" for i, w in enumerate(widths)))
    monkeypatch.setattr(_chunks, "BLOCK_BYTES", 100)
    monkeypatch.setattr(_chunks, "CHUNK_BYTES", chunk_bytes)
    data = load_letor(path)
    np.testing.assert_array_equal(data.X, load_svmlight_file(path)[0].toarray())
    assert data.X.flags.c_contiguous


def test_missing_and_n_features(write):
    data = load_letor(write(TWO), missing=np.nan, n_features=5)
    assert data.X.shape == (3, 5)
    np.testing.assert_array_equal(np.isnan(data.X).sum(axis=1), [3, 4, 5])
    assert data.comments is None


@pytest.mark.parametrize("end", ["\n", "\r\n", "\t\n", " \r\n"])
def test_line_ends(write, end):
    plain, other = load_letor(write(TWO)), load_letor(write(TWO.replace("\n", end), "other.txt"))
    np.testing.assert_array_equal(other.X, plain.X)
    np.testing.assert_array_equal(load_letor(write(TWO.rstrip())).X, plain.X)


@pytest.mark.parametrize(
    ("written", "expected", "kind"),
    [
        (["1", "22"], [1, 22], "i"),
        (["123456789012", "-3"], [123456789012, -3], "i"),
        (["07", "7"], ["07", "7"], "O"),
        (["a:b", "ü.x"], ["a:b", "ü.x"], "O"),
        (["1", "x"], ["1", "x"], "O"),
        (["99999999999999999999", "1"], ["99999999999999999999", "1"], "O"),
    ],
)
def test_query_ids_keep_their_kind(write, written, expected, kind):
    data = load_letor(write("".join(f"1 qid:{q} 1:2.5\n" for q in written)))
    assert data.qid.tolist() == expected
    assert data.qid.dtype.kind == kind


def test_integer_ids_of_one_file_join_string_ids_of_another(write):
    paths = [write("1 qid:3 1:1\n", "a.txt"), write("0 qid:x 2:1\n", "b.txt")]
    data = load_letor(paths)
    assert data.qid.tolist() == ["3", "x"]
    np.testing.assert_array_equal(data.X, [[1, 0], [0, 1]])


def test_gzip_and_byte_order_mark(write):
    expected = load_letor(write(TWO)).X
    np.testing.assert_array_equal(load_letor(write(TWO, "data.txt.gz")).X, expected)
    np.testing.assert_array_equal(load_letor(write(b"\xef\xbb\xbf" + TWO.encode())).X, expected)


def test_nan_is_read_as_missing_and_unjudged(write):
    data = load_letor(write("nan qid:1 1:nan 2:1\n"))
    assert np.isnan(data.y[0])
    np.testing.assert_array_equal(data.X, [[np.nan, 1]])


def test_group_as_numbers_and_files(write):
    path, sizes = write("1 1:1\n0 1:2\n2 1:3\n"), write("2\n\n1\n", "data.query")
    for group in ([2, 1], np.array([2, 1]), sizes, str(sizes), [sizes]):
        assert load_letor(path, group=group).qid.tolist() == [0, 0, 1]
    assert load_letor([path, path], group=[sizes, sizes]).qid.tolist() == [0, 0, 1, 2, 2, 3]


@pytest.mark.parametrize("block_bytes", [7, 64, 1000])
def test_the_size_of_blocks_does_not_matter(write, monkeypatch, block_bytes):
    rng = np.random.default_rng(0)
    rows = (
        f"{rng.integers(5)} qid:{i // 7} "
        + " ".join(f"{j}:{rng.normal():.5g}" for j in range(1, 9) if rng.random() < 0.8)
        for i in range(100)
    )
    path = write("\n".join(rows))
    whole = load_letor(path)
    monkeypatch.setattr(_chunks, "BLOCK_BYTES", block_bytes)
    pieces = load_letor(path)
    np.testing.assert_array_equal(pieces.X, whole.X)
    np.testing.assert_array_equal(pieces.Y, whole.Y)
    np.testing.assert_array_equal(pieces.qid, whole.qid)
    np.testing.assert_array_equal(whole.X, load_svmlight_file(path)[0].toarray().astype(np.float32))


GOOD = "1 qid:1 1:1 2:2\n"


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("x qid:1 1:1", "label 'x' is not a number"),
        ("1_0 qid:1 1:1", "label '1_0' is not a number"),
        ("-1 qid:1 1:1", "label '-1' is negative"),
        ("inf qid:1 1:1", "label 'inf' is infinite"),
        ("1 1:1", "this line lacks a 'qid:'"),
        ("1 qid: 1:1", "'qid:' holds no query id"),
        ("1 1:1 qid:1", "lacks a 'qid:'"),
        ("1 qid:1 qid:1 1:1", "'qid:1' is in the wrong place"),
        ("1 qid:1 0:1", "'0:1' has feature number 0"),
        ("1 qid:1 -3:1", "number of '-3:1' is not a whole number"),
        ("1 qid:1 1.5:1", "number of '1.5:1' is not a whole number"),
        ("1 qid:1 2:1 1:1", "'1:1' follows feature 2"),
        ("1 qid:1 2:1 2:1", "'2:1' gives feature 2 twice"),
        ("1 qid:1 1:one", "value of '1:one' is not a number"),
        ("1 qid:1 1:", "value of '1:' is not a number"),
        ("1 qid:1 1:1:1", "value of '1:1:1' is not a number"),
        ("1 qid:1 1:0x10", "value of '1:0x10' is not a number"),
        ("1 qid:1 1:inf", "value of '1:inf' is infinite"),
        ("1 qid:1 1:-1e39", "value of '1:-1e39' is infinite in float32"),
        ("1 qid:1 12", "'12' has no ':'"),
        ("1 qid:1 1 :2", "'1' has no ':'"),
        ("1 qid:1 4:1", "'4:1' is beyond n_features=3"),
        ("\x89PNG\x1a", "label .* is not a number"),
    ],
)
def test_errors_name_file_line_and_text(write, bad, message):
    path = write(GOOD * 3 + "\n# note\n" + bad + "\n" + GOOD)
    with pytest.raises(ValueError, match=message) as caught:
        load_letor(path, n_features=3)
    assert f"{path}, line 6: " in str(caught.value)


def test_line_numbers_count_on_over_blocks(write, monkeypatch):
    monkeypatch.setattr(_chunks, "BLOCK_BYTES", 100)
    with pytest.raises(ValueError, match="line 1001: label 'x'"):
        load_letor(write(GOOD * 1000 + "x qid:1 1:1\n"))
    with pytest.raises(ValueError, match="line 1001: this line has a 'qid:'"):
        load_letor(write("1 1:1\n" * 1000 + GOOD), group=[1001])


def test_a_wild_feature_number_does_not_ask_for_all_memory(write):
    with pytest.raises(ValueError, match="2,000,000,000 dense columns; pass n_features"):
        load_letor(write("1 qid:1 2000000000:1\n"))


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (b"", "a.txt", "no document found"),
        (b"# only\n\n", "a.txt", "no document found"),
        (b"\0\1\2" * 100, "a.bin", "zero bytes"),
        (gzip.compress(b"1 qid:1 1:1\n", mtime=0), "a.txt", "let the name end in .gz"),
    ],
)
def test_files_that_are_none(tmp_path, content, name, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        load_letor(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("damage", ["cut", "garbage", "flipped"])
def test_damaged_gzip(tmp_path, damage):
    packed = bytearray(gzip.compress(GOOD.encode() * 5000 + bytes(range(48, 58)) * 50))
    if damage == "flipped":
        packed[len(packed) // 2] ^= 0xFF
    path = tmp_path / "a.txt.gz"
    path.write_bytes({"cut": packed[:-20], "garbage": b"1 qid:1 1:1\n", "flipped": packed}[damage])
    with pytest.raises(ValueError, match=r"a\.txt\.gz: the gzip file is damaged or cut off"):
        load_letor(path)


def test_an_endless_line_is_no_text(write, monkeypatch):
    monkeypatch.setattr(_chunks, "BLOCK_BYTES", 10)
    monkeypatch.setattr(_chunks, "MAX_LINE_BYTES", 1000)
    with pytest.raises(ValueError, match="more than 1,000 bytes"):
        load_letor(write("1 qid:1" + " " * 2000))


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("1 1:1\n", {}, "no 'qid:'; pass group="),
        (GOOD, {"group": [1]}, "leave group out"),
        ("1 1:1\n", {"group": [2]}, "group sums to 2 rows in 1 queries, but there are 1 rows"),
        ("1 1:1\n", {"group": [0.5]}, "whole number"),
        ("1 1:1\n", {"group": [-1, 2]}, "whole number"),
        (GOOD, {"n_features": 0}, "n_features must be at least 1"),
        (GOOD, {"missing": np.inf}, "finite or NaN"),
    ],
)
def test_options_that_do_not_fit(write, text, options, message):
    with pytest.raises(ValueError, match=message):
        load_letor(write(text), **options)


def test_hint_at_the_sizes_file(write):
    write("1\n", "data.txt.query")
    with pytest.raises(ValueError, match=r"pass group='.*data\.txt\.query'"):
        load_letor(write("1 1:1\n"))
    with pytest.raises(ValueError, match=r"x\.query, line 2: b'two' is not a number of rows"):
        load_letor(write("1 1:1\n"), group=write("1\ntwo\n", "x.query"))


def test_no_path_and_no_file(tmp_path):
    with pytest.raises(ValueError, match="at least one file"):
        load_letor([])
    with pytest.raises(FileNotFoundError):
        load_letor(tmp_path / "absent.txt")


REAL = [
    "mslr_web10k_5k/msn1.fold1.train.5k.txt",
    "mslr_web10k_5k/msn1.fold1.test.5k.txt",
    *(f"mq2008/S{i}.txt" for i in range(1, 6)),
    "trec_news_2018/trec_news_2018.train",
    "trec_news_2018/trec_news_2018.test",
    "lightgbm_lambdarank/rank.train",
    "lightgbm_lambdarank/rank.test",
]


@pytest.mark.parametrize("name", REAL)
def test_real_files_as_scikit_learn_reads_them(shared_data, name):
    path = shared_data / name
    group = None if "qid:" in path.read_text()[:200] else f"{path}.query"
    data = load_letor(path, group=group)
    X, y, qid = load_svmlight_file(path, query_id=True, zero_based=False)
    np.testing.assert_array_equal(data.X, X.toarray().astype(np.float32))
    np.testing.assert_array_equal(data.y, y)
    if group is None:
        np.testing.assert_array_equal(data.qid, qid)
    else:
        assert np.bincount(data.qid).tolist() == np.loadtxt(group, dtype=int).tolist()


def test_comments_of_mq2008(shared_data):
    data = load_letor([shared_data / f"mq2008/S{i}.txt" for i in range(1, 6)], comments=True)
    assert data.X.shape == (15211, 46)
    assert len(np.unique(data.qid)) == 784
    # Two of the five public files were stored without comments.
    starts = {
        name: {c[:10] for c in data.comments[a:b]} for name, a, b in [("S1", 0, 2933), ("S2", 2933, 6568)]
    }
    assert starts == {"S1": {"docid = GX"}, "S2": {""}}
