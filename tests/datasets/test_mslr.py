import shutil

import numpy as np
import pytest

from hyperrank.datasets import FetchError, fetch, fetch_mslr_sample, load_letor, quantile_grades
from hyperrank.datasets.fetch import Archive, data_home, digest_of


@pytest.fixture(autouse=True)
def no_network(request, monkeypatch):
    """Whoever asks for a download without saying so fails."""
    if "network" not in request.keywords:
        monkeypatch.setattr(Archive, "download", lambda *_: pytest.fail("a download was tried"))
    monkeypatch.delenv("HYPERRANK_DATA", raising=False)


@pytest.fixture(scope="module")
def table(shared_data):
    return load_letor([shared_data / fetch.MSLR.folder / name for name in fetch.MSLR_FILES.values()])


def test_raw_columns(shared_data, table):
    data = fetch_mslr_sample(data_home=shared_data, labels="raw")
    assert (data.X.shape, data.Y.shape) == ((10000, 131), (10000, 6))
    assert (data.X.dtype, data.Y.dtype) == (np.float32, np.float32)
    assert data.X.flags.c_contiguous
    np.testing.assert_array_equal(data.X, table.X[:, :131])
    np.testing.assert_array_equal(data.Y[:, 0], table.y)
    np.testing.assert_array_equal(data.Y[:, 1:], table.X[:, 131:])
    assert data.names == ("relevance", "quality", "quality2", "query_clicks", "url_clicks", "dwell")
    assert data.Y[:, 4].max() == 1060864


def test_grades_by_default(shared_data, table):
    data = fetch_mslr_sample(data_home=shared_data)
    np.testing.assert_array_equal(data.Y[:, 0], table.y)
    np.testing.assert_array_equal(data.Y[:, 1:], quantile_grades(table.X[:, 131:], table.qid))
    assert np.unique(data.Y).tolist() == [0, 1, 2, 3, 4]


def test_splits_are_disjoint_and_make_the_whole(shared_data):
    train, test, both = (fetch_mslr_sample(s, data_home=shared_data) for s in ("train", "test", None))
    assert not set(train.qid) & set(test.qid)
    assert len(set(train.qid)) == len(set(test.qid)) == 43
    file = shared_data / fetch.MSLR.folder / "msn1.fold1.train.5k.txt"
    np.testing.assert_array_equal(train.Y[:, 0], load_letor(file).y)
    np.testing.assert_array_equal(both.X, np.vstack([train.X, test.X]))
    np.testing.assert_array_equal(both.Y, np.vstack([train.Y, test.Y]))
    np.testing.assert_array_equal(both.qid, np.concatenate([train.qid, test.qid]))


def test_signals_never_return_as_features(shared_data):
    data = fetch_mslr_sample("test", objectives=["dwell", "relevance"], data_home=shared_data)
    assert data.names == ("dwell", "relevance")
    assert data.X.shape == (5000, 131)


def test_feature_names(shared_data):
    names = fetch.mslr_feature_names()
    assert len(names) == len(set(names)) == 131
    # Numbers as in Microsoft's list of features.
    published = {
        1: "covered query term number, body",
        20: "IDF, whole document",
        22: "sum of term frequency, anchor",
        70: "variance of stream length normalized term frequency, whole document",
        71: "sum of tf*idf, body",
        96: "boolean model, body",
        108: "BM25, title",
        125: "LMIR.JM, whole document",
        126: "number of slashes in url",
        130: "PageRank",
        131: "SiteRank",
    }
    assert {i: names[i - 1] for i in published} == published
    assert fetch_mslr_sample("test", data_home=shared_data).feature_names == names


def test_data_home_and_its_layouts(shared_data, tmp_path, monkeypatch):
    name = fetch.MSLR_FILES["test"]
    expected = fetch_mslr_sample("test", data_home=shared_data).X
    monkeypatch.setenv("HYPERRANK_DATA", str(shared_data))
    np.testing.assert_array_equal(fetch_mslr_sample("test", download=False).X, expected)
    shutil.copy(shared_data / fetch.MSLR.folder / name, tmp_path / name)
    monkeypatch.setenv("HYPERRANK_DATA", str(tmp_path))
    np.testing.assert_array_equal(fetch_mslr_sample("test", download=False).X, expected)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_where_the_data_home_is(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert data_home() == tmp_path / ".cache" / "hyperrank"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert data_home() == tmp_path / "xdg" / "hyperrank"
    monkeypatch.setenv("HYPERRANK_DATA", "~/mine")
    assert data_home() == tmp_path / "mine"
    assert data_home(tmp_path / "given") == tmp_path / "given"


def test_absent_files_name_the_ways_out(tmp_path):
    with pytest.raises(FetchError, match="download=False") as caught:
        fetch_mslr_sample(data_home=tmp_path, download=False)
    for part in (str(tmp_path), "HYPERRANK_DATA", "make_multilabel_ranking"):
        assert part in str(caught.value)
    assert isinstance(caught.value, OSError)


def test_damaged_file_of_the_user_is_not_replaced(tmp_path):
    damaged = tmp_path / fetch.MSLR_FILES["train"]
    damaged.write_text("1 qid:1 1:1\n")
    with pytest.raises(FetchError, match="is damaged: its sha256"):
        fetch_mslr_sample("train", data_home=tmp_path)
    assert damaged.read_text() == "1 qid:1 1:1\n"


def test_damaged_download_is_fetched_again(shared_data, tmp_path, monkeypatch):
    folder = tmp_path / fetch.MSLR.folder
    folder.mkdir()
    (folder / fetch.MSLR_FILES["test"]).write_text("cut")

    def download(archive, target):
        for name in archive.digests:
            shutil.copyfile(shared_data / fetch.MSLR.folder / name, target / name)

    with pytest.raises(FetchError, match="not whole"):
        fetch_mslr_sample("test", data_home=tmp_path, download=False)
    monkeypatch.setattr(Archive, "download", download)
    assert fetch_mslr_sample("test", data_home=tmp_path).X.shape == (5000, 131)
    assert digest_of(folder / fetch.MSLR_FILES["test"]) == fetch.MSLR.digests[fetch.MSLR_FILES["test"]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": "valid"}, "split must be 'train', 'test' or None"),
        ({"labels": "grade"}, "labels must be 'grades' or 'raw'"),
        ({"objectives": ["clicks"]}, r"unknown objectives \['clicks'\]; there are \['relevance'"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        fetch_mslr_sample(**arguments)


@pytest.mark.network
def test_download_for_real(tmp_path):
    data = fetch_mslr_sample(data_home=tmp_path)
    assert data.X.shape == (10000, 131)
    assert sorted(path.name for path in (tmp_path / fetch.MSLR.folder).iterdir()) == sorted(
        fetch.MSLR.digests
    )
