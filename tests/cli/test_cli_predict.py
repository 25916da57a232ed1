"""``hyperrank predict``: scores as predict gives them, to the bit, in every form."""

import json

import numpy as np
import pandas as pd
import pytest
from cli_files import FEATURES

from hyperrank import HyperDPORanker, MixedScoresRanker
from hyperrank.cli import _data as for_model


def scores_of(files, *, temperature=1, **options):
    # At a temperature, since other tests measure fronts with this ranker, whose weights have theirs.
    qid = files.test["qid"].to_numpy()
    return files.ranker.predict(files.test[FEATURES], qid=qid, temperature=temperature, **options)


def printed(result) -> pd.DataFrame:
    lines = [line.split(",") for line in result.stdout.splitlines()]
    return pd.DataFrame(lines[1:], columns=lines[0])


@pytest.mark.parametrize("kind", ["csv", "parquet", "store", "txt"])
def test_scores_on_stdout(hr, files, kind):
    result = hr(f"predict model.safetensors test.{kind} --weights relevance=0.7,clicks=0.3")
    table = printed(result)
    expected = scores_of(files, weights=[0.7, 0.3])
    assert list(table.columns) == ["qid", "score"]
    assert table["qid"].astype(int).tolist() == files.test["qid"].tolist()
    assert table["score"].astype(float).tolist() == expected.tolist()
    assert result.stderr.startswith(f"test.{kind}: {len(expected)} rows of 30 queries")


def test_several_trade_offs_and_a_temperature(hr, files):
    weights = "--weights relevance=1 --weights relevance=0.5,clicks=0.5 --weights clicks=1"
    table = printed(hr(f"predict model.safetensors test.csv {weights} --temperature 2.5"))
    expected = scores_of(files, weights=[[1, 0], [0.5, 0.5], [0, 1]], temperature=2.5)
    assert list(table.columns) == ["qid", "score_1", "score_2", "score_3"]
    assert (table.iloc[:, 1:].astype(float).to_numpy() == expected).all()


def test_files_of_scores(hr, files, tmp_path):
    expected = scores_of(files)
    for name in ("s.csv", "s.parquet", "s.npy"):
        result = hr(f"predict model.safetensors test.csv --out {tmp_path / name}")
        assert result.stdout == ""
    assert (np.load(tmp_path / "s.npy") == expected).all()
    assert (pd.read_parquet(tmp_path / "s.parquet")["score"] == expected).all()
    assert [float(line.split(",")[1]) for line in (tmp_path / "s.csv").read_text().split()[1:]] == list(
        expected
    )
    before = (tmp_path / "s.csv").read_bytes()
    hr(f"predict model.safetensors test.csv --temperature 0 --out {tmp_path / 's.csv'}", code=1)
    assert (tmp_path / "s.csv").read_bytes() == before
    hr(f"predict model.safetensors test.csv --temperature 0 --out {tmp_path / 's.csv'} --force")
    assert (tmp_path / "s.csv").read_bytes() != before


def test_the_best_of_each_query(hr, files):
    table = printed(hr("predict model.safetensors test.csv --top 3 --weights clicks=1"))
    scored = files.test[["qid"]].assign(score=scores_of(files, weights=[0, 1]))
    expected = []
    for qid in scored["qid"].unique():
        best = scored[scored["qid"] == qid].sort_values("score", ascending=False, kind="stable").head(3)
        expected += [
            (qid, score, rank, row) for rank, (row, score) in enumerate(best["score"].items(), start=1)
        ]
    assert [tuple(map(float, row)) for row in table.to_numpy()] == [
        tuple(map(float, row)) for row in expected
    ]
    assert list(table.columns) == ["qid", "score", "rank", "row"]


def test_the_best_where_queries_lie_apart_and_scores_are_equal(hr, files, tmp_path):
    rows = pd.DataFrame([[0.0] * 6] * 5, columns=FEATURES).assign(qid=["b", "a", "b", "a", "a"])
    rows.to_csv(tmp_path / "t.csv", index=False)
    table = printed(hr(f"predict model.safetensors {tmp_path / 't.csv'} --top 2"))
    assert table["row"].tolist() == ["0", "2", "1", "3"]
    assert table["qid"].tolist() == ["b", "b", "a", "a"]


def test_json_is_one_document(hr, files, tmp_path):
    found = json.loads(hr("predict model.safetensors test.csv --weights clicks=1 --json").stdout)
    assert found["score"] == scores_of(files, weights=[0, 1]).tolist()
    assert (found["n_rows"], found["weights"]) == (len(files.test), [0, 1])
    out = tmp_path / "s.csv"
    found = json.loads(hr(f"predict model.safetensors test.csv --out {out} --json").stdout)
    assert found["out"] == str(out)


def test_quiet_says_nothing(hr, files, tmp_path):
    result = hr(f"predict model.safetensors test.csv --out {tmp_path / 's.csv'} --quiet")
    assert (result.stdout, result.stderr) == ("", "")


def test_columns_may_be_in_any_order_with_others_beside(hr, files, tmp_path):
    shuffled = files.test[["feature_3", "qid", *FEATURES[3:], "feature_2", "feature_1"]].assign(title="words")
    shuffled.to_csv(tmp_path / "t.csv", index=False)
    table = printed(hr(f"predict model.safetensors {tmp_path / 't.csv'}"))
    assert table["score"].astype(float).tolist() == scores_of(files).tolist()


def test_text_may_lack_the_last_features(hr, files, tmp_path):
    (tmp_path / "t.txt").write_text("0 qid:1 1:0.5 2:1\n0 qid:1 2:3\n")
    table = printed(hr(f"predict model.safetensors {tmp_path / 't.txt'}"))
    X = pd.DataFrame([[0.5, 1, 0, 0, 0, 0], [0, 3, 0, 0, 0, 0]], columns=FEATURES)
    assert table["score"].astype(float).tolist() == files.ranker.predict(X, qid=[1, 1]).tolist()


@pytest.mark.parametrize("n_rows", [1, 7, 40], ids=["1-row", "7-rows", "40-rows"])
def test_a_store_is_scored_in_chunks_of_whole_queries(hr, files, monkeypatch, n_rows):
    chunks = []
    predict = HyperDPORanker.predict

    def spied(self, X, **options):
        chunks.append(len(X))
        return predict(self, X, **options)

    monkeypatch.setattr(HyperDPORanker, "predict", spied)
    monkeypatch.setattr(for_model, "CHUNK_BYTES", n_rows * 6 * 4)
    table = printed(hr("predict model.safetensors test.store"))
    monkeypatch.undo()
    sizes = files.test.groupby("qid", sort=False).size()
    # Loading scores five rows of its own twice: at the stored trade-offs, and at all of a grid.
    assert chunks[:2] == [5, 5]
    assert sum(chunks[2:]) == len(files.test)
    assert len(chunks) > 2
    assert max(chunks[2:]) <= max(n_rows, sizes.max())
    monkeypatch.chdir(files.folder)
    assert table["score"].astype(float).tolist() == scores_of(files).tolist()


def test_a_model_without_names_takes_features_as_they_come(hr, files, tmp_path):
    ranker = MixedScoresRanker(n_jobs=1, booster_params={"num_iterations": 3}, random_state=0)
    X, qid = files.train[FEATURES].to_numpy(), files.train["qid"].to_numpy()
    ranker.fit(X, files.train[["relevance", "clicks"]], qid=qid).save(tmp_path / "m")
    table = printed(hr(f"predict {tmp_path / 'm'} test.parquet --weights relevance=1"))
    expected = ranker.predict(
        files.test[FEATURES].to_numpy(), qid=files.test["qid"].to_numpy(), weights=[1, 0]
    )
    assert table["score"].astype(float).tolist() == expected.tolist()
    result = hr(f"predict {tmp_path / 'm'} test.csv --temperature 2", code=1)
    assert "a MixedScoresRanker, which has no temperature" in result.stderr
    files.test.drop(columns="feature_2").to_csv(tmp_path / "t.csv", index=False)
    result = hr(f"predict {tmp_path / 'm'} {tmp_path / 't.csv'}", code=1)
    assert "has 5 features; the model was fitted on 6, without names" in result.stderr
