"""``hyperrank front`` and ``select``: what the Python API measures and picks."""

import json

import lightgbm
import numpy as np
import pandas as pd
import pytest
from cli_files import FEATURES, LABELS


@pytest.fixture(scope="module")
def front(made):
    test = made.test
    return made.ranker.pareto_front(test[FEATURES], test[LABELS], qid=test["qid"].to_numpy())


@pytest.mark.parametrize(
    "data",
    [
        "test.csv",
        "test.store",
        "test.parquet --labels relevance,clicks",
        "test.txt --label-features clicks=7",
    ],
    ids=["csv", "store", "parquet", "text"],
)
def test_the_front_of_every_kind_of_file(hr, files, front, data):
    found = json.loads(hr(f"front model.safetensors {data} --json").stdout)
    assert found["hypervolume"] == front.hypervolume()
    assert found["reference"] == front.reference.to_dict()
    assert [point["values"] for point in found["points"]] == front.points.to_dict("records")
    assert [point["weights"] for point in found["points"]] == front.weights.to_dict("records")
    assert (found["metric"], found["objectives"]) == ("ndcg@10", LABELS)


def test_the_front_as_text(hr, files, front):
    text = hr("front model.safetensors test.csv").stdout
    assert text.startswith(
        f"ndcg@10 of {len(front)} trade-offs at temperatures 0, 0.1, 0.3, 1 and 3, "
        f"{front.non_dominated.sum()} of them non-dominated; hyper"
    )
    assert f"reference: relevance {front.reference['relevance']:.4f}" in text
    assert len(text.splitlines()) == 3 + front.non_dominated.sum()


def test_files_of_fronts(hr, files, front, tmp_path):
    for name in ("front.json", "front.csv", "front.png", "front.svg"):
        hr(f"front model.safetensors test.csv --out {tmp_path / name}")
    assert json.loads((tmp_path / "front.json").read_text())["hypervolume"] == front.hypervolume()
    table = pd.read_csv(tmp_path / "front.csv")
    np.testing.assert_allclose(table[LABELS], front.points)
    assert list(table.columns) == list(front.to_frame().columns)
    assert (tmp_path / "front.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in (tmp_path / "front.svg").read_bytes()


def test_the_page_of_a_front(hr, files, front, tmp_path):
    page, table = tmp_path / "front.html", tmp_path / "front.csv"
    result = hr(f"front model.safetensors test.csv --html {page} --out {table}")
    assert result.stderr.endswith(f"{table}: {len(front)} trade-offs\n{page}: {len(front)} trade-offs\n")
    assert page.read_text() == front.to_html(tmp_path / "same.html").read_text()
    assert "exists already" in hr(f"front model.safetensors test.csv --html {page}", code=1).stderr
    hr(f"front model.safetensors test.csv --points 3 --html {page} --force")
    assert "must end in .html" in hr(f"front model.safetensors test.csv --html {table}.txt", code=1).stderr


def test_metric_points_and_temperature(hr, files):
    options = "--metric map --points 5 --temperature 3 --json"
    found = json.loads(hr(f"front model.safetensors test.csv {options}").stdout)
    weights = [[1, 0], [0.75, 0.25], [0.5, 0.5], [0.25, 0.75], [0, 1]]
    test = files.test
    front = files.ranker.pareto_front(
        test[FEATURES], test[LABELS], qid=test["qid"].to_numpy(), weights=weights, metric="map", temperature=3
    )
    assert [point["values"] for point in found["points"]] == front.points.to_dict("records")


def test_labels_of_other_names_go_by_their_order(hr, files, front, tmp_path):
    renamed = files.test.rename(columns={"relevance": "grade", "clicks": "seen"})
    renamed.to_csv(tmp_path / "t.csv", index=False)
    found = json.loads(hr(f"front model.safetensors {tmp_path / 't.csv'} --labels grade,seen --json").stdout)
    assert found["hypervolume"] == front.hypervolume()
    result = hr(f"front model.safetensors {tmp_path / 't.csv'}", code=1)
    assert "has no columns 'relevance', 'clicks'" in result.stderr


@pytest.mark.parametrize(
    ("options", "method", "arguments"),
    [
        ("", "select", {}),
        ("--at-least relevance=0.9", "select", {"at_least": {"relevance": 0.9}}),
        (
            "--at-least relevance=0.8 --at-least clicks=0.7 --maximize clicks",
            "select",
            {"at_least": {"relevance": 0.8, "clicks": 0.7}, "maximize": "clicks"},
        ),
        ("--maximize relevance=2,clicks=1", "select", {"maximize": {"relevance": 2, "clicks": 1}}),
        (
            "--at-least clicks=0.3 --absolute",
            "select",
            {"at_least": {"clicks": 0.3}, "relative": False},
        ),
        (
            "--at-least relevance=0.6 --confidence 0.8 --seed 3",
            "select",
            {"at_least": {"relevance": 0.6}, "confidence": 0.8, "random_state": 3},
        ),
        ("--knee", "knee", {}),
        ("--nearest relevance=0.5,clicks=0.4", "nearest", {"target": {"relevance": 0.5, "clicks": 0.4}}),
    ],
    ids=["plain", "limit", "two-limits", "shares", "absolute", "confidence", "knee", "nearest"],
)
def test_selections(hr, files, front, options, method, arguments):
    found = json.loads(hr(f"select model.safetensors test.csv {options} --json").stdout)
    expected = getattr(front, method)(**arguments)
    assert list(found["weights"].values()) == expected.weights.tolist()
    assert found["values"] == expected.values.to_dict()
    assert found["limits"] == expected.limits.to_dict()
    assert found["joint_confidence"] == expected.joint_confidence
    assert found["interval"]["clicks"]["low"] == expected.interval().loc["clicks", "low"]


def test_a_selection_goes_to_predict(hr, files, front, tmp_path):
    out = tmp_path / "trade-off.json"
    result = hr(f"select model.safetensors test.csv --at-least relevance=0.9 --out {out}")
    chosen = front.select(at_least={"relevance": 0.9})
    test = files.test
    expected = files.ranker.predict(test[FEATURES], qid=test["qid"].to_numpy(), weights=chosen).tolist()
    *_, typed, python = result.stdout.splitlines()
    for weights in (f"--weights {out}", typed):
        found = json.loads(hr(f"predict model.safetensors test.csv {weights} --json").stdout)
        assert found["score"] == expected
    session = {"ranker": files.ranker, "X": test[FEATURES], "qid": test["qid"].to_numpy()}
    assert eval(python, session).tolist() == expected


def test_a_single_query_is_not_taken_for_certainty(hr, files, tmp_path):
    one = files.test[files.test["qid"] == files.test["qid"].iloc[0]]
    one.assign(relevance=1, clicks=1).to_csv(tmp_path / "one.csv", index=False)
    found = hr(f"select model.safetensors {tmp_path / 'one.csv'}").stdout
    assert "How sure this is cannot be told: 1 queries count" in found


@pytest.mark.filterwarnings("default:each of the 166 rows")
def test_ids_of_documents_taken_for_those_of_queries_are_noticed(hr, files, tmp_path):
    files.test.assign(qid=range(len(files.test))).to_csv(tmp_path / "alone.csv", index=False)
    found = hr(f"front model.safetensors {tmp_path / 'alone.csv'}")
    assert "queries (one document each: are these the query ids?), " in found.stderr


def test_what_cannot_be_kept_says_what_can(hr, files, tmp_path):
    out = tmp_path / "t.json"
    result = hr(f"select model.safetensors test.csv --at-least relevance=3 --out {out}", code=3)
    assert "cannot be met: the best is" in result.stderr
    assert result.stderr.count("\n") == 2  # what was read, and the error
    assert not out.exists()


def test_temperatures_baseline_and_segments_are_those_of_python(hr, files, tmp_path):
    test = files.test
    market = np.array(["de", "fr"])[pd.factorize(test["qid"])[0] % 2]
    scores = np.random.default_rng(0).random(len(test))
    test.assign(market=market, production=scores).to_csv(tmp_path / "t.csv", index=False)
    options = "--temperatures 0,0.3,2 --points 3 --baseline production --by market"
    out = tmp_path / "front.json"
    told = hr(f"front model.safetensors {tmp_path / 't.csv'} {options} --out {out}").stdout
    expected = files.ranker.pareto_front(
        test[FEATURES], test[LABELS], qid=test["qid"].to_numpy(), weights=[[1, 0], [0.5, 0.5], [0, 1]],
        temperatures=(0, 0.3, 2), baseline=scores, by=market,
    )  # fmt: skip
    assert json.loads(out.read_text()) == json.loads(json.dumps(expected.to_dict()))
    assert "\nbaseline: relevance" in told
    assert "by segment" in told
    limits = "--at-least relevance=0.9 --in-every-segment --json"
    picked = hr(f"select model.safetensors {tmp_path / 't.csv'} {options} {limits}").stdout
    chosen = expected.select({"relevance": 0.9}, in_every_segment=True)
    assert json.loads(picked)["index"] == chosen.index
    model = tmp_path / "production.txt"
    booster = lightgbm.train(
        {"verbose": -1, "num_leaves": 3, "min_data_in_leaf": 3, "num_threads": 1},
        lightgbm.Dataset(test[FEATURES], test["clicks"]),
        2,
    )
    booster.save_model(model)
    found = hr(f"front model.safetensors test.csv --baseline {model} --points 3 --json").stdout
    assert json.loads(found)["baseline"] == "Booster"
    assert "takes numbers" in hr("front model.safetensors test.csv --temperatures a", code=2).stderr
    assert "no column 'x'" in hr("front model.safetensors test.csv --by x", code=1).stderr
