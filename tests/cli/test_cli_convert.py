"""``hyperrank convert``: stores, and labels that stand among the features."""

import json

import numpy as np
import pandas as pd
import pytest
from cli_files import FEATURES, LABELS, SHORT

from hyperrank import datasets


@pytest.mark.parametrize(
    ("data", "options"),
    [
        ("train.csv", "--labels relevance,clicks"),
        ("train.parquet", "--labels relevance,clicks"),
        ("train.store", ""),
        ("train.txt", "--label-features clicks=7"),
        ("train.txt", "--labels relevance --label-features clicks=feature_7"),
    ],
    ids=["csv", "parquet", "store", "text", "text-named"],
)
def test_every_kind_of_file_becomes_the_same_store(hr, files, tmp_path, data, options):
    result = hr(f"convert {data} {tmp_path / 's'} {options}")
    assert result.stdout == (
        f"{tmp_path / 's'}: {len(files.train)} documents of 30 queries, 6 features, "
        "objectives relevance, clicks\n"
    )
    store = datasets.open_store(tmp_path / "s")
    assert (files.train[FEATURES].to_numpy(np.float32) == store.X).all()
    assert (files.train[LABELS].to_numpy(np.float32) == store.Y).all()
    assert (store.qid == files.train["qid"].to_numpy()).all()
    assert store.names == tuple(LABELS)
    assert store.feature_names == tuple(FEATURES)


def test_text_goes_as_it_is(hr, files, tmp_path):
    (tmp_path / "t.txt").write_text("1 0:0.5\n0 1:2\n2 0:1\n")
    (tmp_path / "t.group").write_text("2\n1\n")
    options = f"--group {tmp_path / 't.group'} --zero-based --missing nan --n-features 3"
    found = json.loads(hr(f"convert {tmp_path / 't.txt'} {tmp_path / 's'} {options} --json").stdout)
    assert (found["n_rows"], found["n_queries"], found["n_features"]) == (3, 2, 3)
    store = datasets.open_store(tmp_path / "s")
    np.testing.assert_array_equal(store.X[0], [0.5, np.nan, np.nan])
    assert store.feature_names[0] == "feature_0"


def test_a_store_is_replaced_only_if_asked(hr, files, tmp_path):
    line = f"convert train.txt {tmp_path / 's'}"
    hr(line)
    assert "--force to replace it" in hr(line, code=1).stderr
    hr(f"{line} --force --label-features clicks=7")
    assert datasets.open_store(tmp_path / "s").names == ("relevance", "clicks")
    # What fails leaves the old one, and nothing else.
    hr(f"convert nothing.txt {tmp_path / 's'} --force", code=1)
    assert datasets.open_store(tmp_path / "s").names == ("relevance", "clicks")
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


def test_nothing_but_a_store_is_replaced(hr, files, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").write_text("precious")
    for target in ("photos", "photos/one.jpg"):
        result = hr(f"convert train.txt {tmp_path / target} --force", code=1)
        assert "nothing but a store is replaced" in result.stderr
    assert (tmp_path / "photos" / "one.jpg").read_text() == "precious"


def test_the_mslr_sample_end_to_end(hr, shared_data, tmp_path, monkeypatch):
    """As the literature has it: quality and dwell time leave the features and become graded objectives."""
    monkeypatch.setenv("HYPERRANK_DATA", str(shared_data))
    monkeypatch.chdir(tmp_path)
    text = shared_data / "mslr_web10k_5k"
    layout = "--label-features quality=132,dwell=136 --grade quality,dwell --drop 133,134,135"
    hr(f"convert {text / 'msn1.fold1.train.5k.txt'} train.store {layout}")
    hr(f"convert {text / 'msn1.fold1.test.5k.txt'} test.store {layout}")
    objectives = ("relevance", "quality", "dwell")
    for split in ("train", "test"):
        expected = datasets.fetch_mslr_sample(split, objectives=objectives, download=False)
        store = datasets.open_store(f"{split}.store")
        assert (store.X == expected.X).all()
        assert (store.Y == expected.Y).all()
        assert (store.qid == expected.qid).all()
    hr(f"fit train.store --out m.safetensors {SHORT}")
    hr("predict m.safetensors test.store --out of_store.parquet --weights relevance=0.5,dwell=0.5")
    # The text still holds the five columns that the model does not know.
    test = text / "msn1.fold1.test.5k.txt"
    hr(f"predict m.safetensors {test} --out of_text.parquet --weights relevance=0.5,dwell=0.5")
    of_store, of_text = pd.read_parquet("of_store.parquet"), pd.read_parquet("of_text.parquet")
    assert (of_store == of_text).all(axis=None)
    front = json.loads(hr("front m.safetensors test.store --json --points 3").stdout)
    assert front["objectives"] == list(objectives)
    of_text = json.loads(
        hr(f"front m.safetensors {test} {layout.rpartition(' --drop')[0]} --json --points 3").stdout
    )
    assert of_text == front


def test_mq2008_as_text(hr, shared_data, tmp_path):
    text = shared_data / "mq2008" / "S1.txt"
    layout = "--label-features page_rank=41 --grade page_rank"
    hr(f"fit {text} {layout} --out {tmp_path / 'm'} {SHORT}")
    found = json.loads(hr(f"predict {tmp_path / 'm'} {text} --json --weights page_rank=1").stdout)
    assert found["qid"] == datasets.load_letor(text).qid.tolist()
