"""The model card: data, fronts, selected trade-offs, versions; as text, JSON and Markdown."""

import hashlib
import json

import numpy as np
import pytest
from cli_files import FEATURES, LABELS

import hyperrank
from hyperrank.cli.describe import as_markdown, as_text, with_other_versions


def test_the_card_tells_what_the_model_was_fitted_on(hr, files):
    card = json.loads(hr("describe model.safetensors --json").stdout)
    sizes = files.train.groupby("qid").size()
    data = card["data"]
    assert (data["n_rows"], data["n_queries"]) == (len(files.train), 30)
    assert data["list_size"] == {"min": sizes.min(), "median": sizes.median(), "max": sizes.max()}
    assert data["missing"] == pytest.approx(files.train[FEATURES].isna().to_numpy().mean())
    for name in LABELS:
        column = files.train[name].dropna()
        expected = {
            "observed": len(column) / len(files.train),
            "mean": column.mean(),
            "max": column.max(),
            "positive": (column > 0).mean(),
        }
        assert data["labels"][name] == pytest.approx(expected)
    assert card["sha256"] == hashlib.sha256(files.model.read_bytes()).hexdigest()
    assert card["versions"] == card["versions_here"]
    assert {"hyperrank", "python", "numpy", "torch", "lightgbm"} <= set(card["versions"])


def test_a_front_and_a_trade_off_are_told(hr, files, tmp_path):
    hr(f"front model.safetensors test.parquet --points 5 --temperature 1 --out {tmp_path / 'front.json'}")
    at = "test.parquet --points 5 --temperature 1"
    hr(f"select model.safetensors {at} --knee --out {tmp_path / 'knee.json'}")
    line = (
        f"describe model.safetensors --front {tmp_path / 'front.json'} --trade-off {tmp_path / 'knee.json'}"
    )
    card = json.loads(hr(f"{line} --json").stdout)
    X, Y, qid = files.test[FEATURES], files.test[LABELS].to_numpy(), files.test["qid"].to_numpy()
    front = files.ranker.pareto_front(X, Y, qid=qid, weights=[[j / 4, 1 - j / 4] for j in range(5)])
    told = card["front"]
    assert told["from"].endswith("front.json")
    assert (told["metric"], told["trade_offs"]) == ("ndcg@10", 5)
    assert told["non_dominated"] == front.non_dominated.sum()
    assert told["hypervolume"] == pytest.approx(front.hypervolume())
    for name in LABELS:
        assert told["objectives"][name]["best"] == pytest.approx(front.points[name].max())
        assert told["objectives"][name]["reference"] == pytest.approx(front.reference[name])
    knee = front.knee()
    chosen = card["trade_offs"]["knee"]["objectives"]
    assert {name: chosen[name]["weight"] for name in LABELS} == dict(zip(LABELS, knee.weights, strict=True))
    assert {name: chosen[name]["value"] for name in LABELS} == pytest.approx(knee.values.to_dict())
    assert {"low", "high"} <= set(chosen["clicks"])
    # Weights are spelled as predict reads them.
    hr(f"predict model.safetensors test.parquet --weights {card['trade_offs']['knee']['weights']}")


def test_the_card_as_markdown(hr, files, tmp_path):
    hr(f"front model.safetensors test.parquet --points 5 --temperature 1 --out {tmp_path / 'front.json'}")
    at = "test.parquet --points 5 --temperature 1"
    hr(f"select model.safetensors {at} --knee --out {tmp_path / 'knee.json'}")
    text = hr(
        f"describe model.safetensors --format markdown --front {tmp_path / 'front.json'} "
        f"--trade-off {tmp_path / 'knee.json'}"
    ).stdout
    lines = text.splitlines()
    assert lines[0] == "# Model card: model.safetensors"
    for title in ("## Data", "### Labels", "## Parameters", "## Versions", "## Front", "### Knee"):
        assert title in lines
    assert "|  | observed | mean | max | positive |" in lines
    assert f"| hyperrank | {hyperrank.__version__} |" in lines
    # All tables are whole: as many cells in each row as in its heading, an empty line before.
    for before, line in zip(["", *lines], lines, strict=False):
        if line.startswith("|") and before.startswith("|"):
            assert line.count("|") == before.count("|")
        elif line.startswith(("|", "#")):
            assert before == ""


def test_versions_that_are_others_here_stand_beside():
    card = {"model": "m", "versions": {"torch": "2.6", "numpy": "2.0"}}
    card["versions_here"] = {"torch": "2.13", "numpy": "2.0"}
    assert with_other_versions(card)["versions"] == {"torch": "2.6 (here 2.13)", "numpy": "2.0"}
    assert "versions_here" not in with_other_versions(card)
    card["versions_here"] = {"numpy": "2.0"}
    assert with_other_versions(card)["versions"]["torch"] == "2.6 (here none)"


def test_cards_as_text_and_markdown_by_hand():
    card = {"model": "a|b", "n_rows": 1234, "none": {}, "group": {"x": {"low": 0.5}, "y": {"z": {"w": True}}}}
    assert as_text(card) == (
        "model   a|b\nn rows  1,234\nnone    none\ngroup\n  x  low 0.5\n  y\n    z  w yes"
    )
    assert as_markdown(card) == (
        "# Model card: a|b\n\n|  |  |\n| --- | --- |\n| model | a\\|b |\n| n rows | 1,234 |\n"
        "| none | none |\n\n## Group\n\n"
        "|  | low |\n| --- | --- |\n| x | 0.5 |\n\n### Y\n\n|  | w |\n| --- | --- |\n| z | yes |"
    )


def test_a_store_as_markdown(hr, files):
    assert hr("describe train.store --format markdown").stdout.startswith("# Store card: train.store\n")


def test_files_of_older_versions_lack_what_they_did_not_keep(hr, files, tmp_path):
    ranker = hyperrank.load(files.model)
    del ranker.data_summary_
    ranker.save(tmp_path / "old.safetensors")
    card = json.loads(hr(f"describe {tmp_path / 'old.safetensors'} --json").stdout)
    assert card["data"] == {}
    assert "data        none" in hr(f"describe {tmp_path / 'old.safetensors'}").stdout


def test_the_summary_goes_where_a_ranker_goes(files):
    kept = files.ranker.data_summary_
    assert hyperrank.load(files.model).data_summary_ == kept
    assert files.ranker.specialize([0.5, 0.5]).data_summary_ == kept


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "holds no JSON object"),
        ("{}", "does not hold a front: hyperrank front --out"),
        ('{"objectives": ["a"], "points": [], "metric": "x", "hypervolume": 0}', "does not hold a front"),
    ],
)
def test_what_is_no_front_is_refused(hr, files, tmp_path, content, message):
    (tmp_path / "x.json").write_text(content)
    error = hr(f"describe model.safetensors --front {tmp_path / 'x.json'}", code=1).stderr
    assert message in error


def test_what_does_not_fit_the_model_is_refused(hr, files, tmp_path):
    weights = {"relevance": 0.5, "sales": 0.5}
    (tmp_path / "t.json").write_text(json.dumps({"weights": weights, "values": weights}))
    error = hr(f"describe model.safetensors --trade-off {tmp_path / 't.json'}", code=1).stderr
    assert "holds a trade-off of relevance, sales; the model has relevance, clicks" in error
    (tmp_path / "t.json").write_text("{}")
    error = hr(f"describe model.safetensors --trade-off {tmp_path / 't.json'}", code=1).stderr
    assert "does not hold a trade-off" in error
    point = {"weights": {"sales": 1.0}, "values": {"sales": 0.5}, "non_dominated": True}
    front = {"objectives": ["sales"], "points": [point], "metric": "x", "hypervolume": 0.5, "reference": None}
    (tmp_path / "f.json").write_text(json.dumps(front))
    error = hr(f"describe model.safetensors --front {tmp_path / 'f.json'}", code=1).stderr
    assert "holds a front of sales; the model has relevance, clicks" in error
    assert "no such file" in hr("describe model.safetensors --front missing.json", code=1).stderr.lower()
    hr("describe train.store --front f.json", code=2)


def test_a_summary_of_labels_that_are_missing():
    from hyperrank import QueryLists
    from hyperrank.rankers.data import summarize_data

    X = np.array([[1, np.nan], [2, 3]], np.float32)
    Y = np.array([[np.nan, 1], [np.nan, 0]], np.float32)
    found = summarize_data(X, Y, QueryLists.from_sizes([2]), ["a", "b"])
    assert found["labels"] == {
        "a": {"observed": 0.0},
        "b": {"observed": 1.0, "mean": 0.5, "max": 1.0, "positive": 0.5},
    }
    assert found["missing"] == 0.25
