"""``hyperrank fit``: the model that the Python API would fit, to the bit, from every kind of file."""

import json

import lightgbm
import numpy as np
import pandas as pd
import pytest
from cli_files import FEATURES, LABELS, SHORT, fitted, same_scores

import hyperrank
from hyperrank import QueryLists, TradeOffs
from hyperrank.losses import PlackettLuce
from hyperrank.networks import MLP
from hyperrank.rankers import HyperDPORanker

LABELLED = "--labels relevance,clicks"


@pytest.mark.parametrize(
    ("data", "options"),
    [
        ("train.csv", LABELLED),
        ("train.parquet", LABELLED),
        ("train.store", ""),
        ("train.txt", "--label-features clicks=7"),
    ],
    ids=["csv", "parquet", "store", "text"],
)
def test_every_kind_of_file_gives_the_model_of_python(hr, files, tmp_path, data, options):
    out = tmp_path / "model.safetensors"
    result = hr(f"fit {data} {options} --out {out} {SHORT}")
    assert f"{out}: a ranker of relevance, clicks, 6 features" in result.stdout
    assert hyperrank.load(out).feature_names_in_.tolist() == FEATURES
    assert same_scores(out, files)
    assert same_scores(out, files, relevance=0.2, clicks=0.8)


def test_validation_stops_training_as_in_python(hr, files, tmp_path):
    line = f"fit train.csv {LABELLED} --validation test.parquet --out {tmp_path / 'm'} {SHORT} --json"
    found = json.loads(hr(line).stdout)
    ranker = HyperDPORanker(
        reference="lightgbm",
        random_state=0,
        max_epochs=1,
        network=MLP(hidden=[8, 8]),
        booster_params={"num_iterations": 5},
        objectives=LABELS,
    ).fit(
        files.train[FEATURES],
        files.train[LABELS],
        qid=files.train["qid"],
        X_val=files.test[FEATURES],
        y_val=files.test[LABELS],
        qid_val=files.test["qid"],
    )
    assert found["best_score"] == ranker.best_score_
    assert found["objectives"] == LABELS
    assert (found["n_rows"], found["n_features"]) == (len(files.train), 6)


def test_validation_text_may_lack_the_last_features(hr, files, tmp_path):
    (tmp_path / "v.txt").write_text("1 qid:1 1:0.5 7:1\n0 qid:1 2:1 7:0\n2 qid:2 1:1 7:2\n0 qid:2 1:2 7:1\n")
    options = f"--label-features clicks=7 --out {tmp_path / 'm'} {SHORT} --json"
    found = json.loads(hr(f"fit train.txt --validation {tmp_path / 'v.txt'} {options}").stdout)
    assert found["best_score"] > 0


def test_a_lightgbm_file_is_a_reference(hr, files, tmp_path):
    sizes = QueryLists.from_qid(files.train["qid"].to_numpy()).sizes
    today = lightgbm.LGBMRanker(n_estimators=3, min_child_samples=5, n_jobs=1, verbose=-1)
    today.fit(files.train[FEATURES], files.train["relevance"], group=sizes)
    today.booster_.save_model(tmp_path / "today.txt")
    out = tmp_path / "model.safetensors"
    short = SHORT.replace("--reference lightgbm", f"--reference {tmp_path / 'today.txt'}")
    hr(f"fit train.csv {LABELLED} --out {out} {short}")
    at_rest = hyperrank.load(out).predict(files.test[FEATURES], temperature=0)
    np.testing.assert_allclose(at_rest, today.predict(files.test[FEATURES]))


def test_scores_of_a_column_are_a_reference(hr, files, tmp_path):
    for name in ("train", "test"):
        table = getattr(files, name)
        table.assign(today=table["feature_1"] * 2).to_csv(tmp_path / f"{name}.csv", index=False)
    short = SHORT.replace("--reference lightgbm", "--reference scores --ref-scores today")
    out = tmp_path / "model.safetensors"
    hr(f"fit {tmp_path / 'train.csv'} {LABELLED} --out {out} {short}")
    found = hr(f"predict {out} {tmp_path / 'test.csv'} --ref-scores today --temperature 0 --quiet --json")
    np.testing.assert_allclose(json.loads(found.stdout)["score"], files.test["feature_1"] * 2, rtol=1e-6)
    hr(f"predict {out} {tmp_path / 'test.csv'}", code=1)
    assert hyperrank.load(out).feature_names_in_.tolist() == FEATURES


def test_features_may_be_named_or_left_out(hr, files, tmp_path):
    table = files.train.assign(title="words", seen=1)
    table.to_csv(tmp_path / "t.csv", index=False)
    for options in ("--drop title,seen", f"--features {','.join(FEATURES)}"):
        out = tmp_path / "m.safetensors"
        hr(f"fit {tmp_path / 't.csv'} {LABELLED} --out {out} {SHORT} {options} --force")
        assert same_scores(out, files)


def test_query_ids_may_be_text_in_another_column(hr, files, tmp_path):
    names = "q-" + files.train["qid"].astype(str)
    files.train.drop(columns="qid").assign(query=names).to_csv(tmp_path / "t.csv", index=False)
    hr(f"fit {tmp_path / 't.csv'} {LABELLED} --qid query --out {tmp_path / 'm'} {SHORT}")
    ranker = fitted(files.train.assign(qid=names))
    X = files.test[FEATURES]
    assert (hyperrank.load(tmp_path / "m").predict(X) == ranker.predict(X)).all()


def test_grades_are_quantiles_within_the_query(hr, files, tmp_path):
    raw = files.train.assign(clicks=np.exp(files.train["feature_2"].clip(-3, 3)) * 1000)
    raw.to_parquet(tmp_path / "raw.parquet", index=False)
    hr(f"fit {tmp_path / 'raw.parquet'} {LABELLED} --grade clicks --out {tmp_path / 'm'} {SHORT}")
    grades = hyperrank.datasets.quantile_grades(raw["clicks"], raw["qid"])
    ranker = fitted(raw.assign(clicks=grades))
    X = files.test[FEATURES]
    assert (hyperrank.load(tmp_path / "m").predict(X) == ranker.predict(X)).all()


def test_settings_reach_the_ranker(hr, files, tmp_path):
    line = f"fit train.csv {LABELLED} --out {tmp_path / 'm'} {SHORT} --loss plackett_luce --metric ndcg@5"
    hr(f"{line} --set loss__ties=rating --set trade_offs__alpha=0.5 --set normalize_objectives=false")
    params = hyperrank.load(tmp_path / "m").get_params()
    assert params["loss"] == PlackettLuce(ties="rating")
    assert params["trade_offs"] == TradeOffs(alpha=0.5)
    assert (params["normalize_objectives"], params["metric"], params["verbose"]) == (False, "ndcg@5", 0)
    assert params["network"] == MLP(hidden=[8, 8])


def test_a_model_is_replaced_only_if_asked(hr, files, tmp_path):
    out = tmp_path / "m"
    out.write_text("precious")
    result = hr(f"fit nothing.csv --out {out}", code=1)  # before anything is read
    assert result.stderr == f"Error: {out} exists already: choose another name, or --force to replace it.\n"
    assert out.read_text() == "precious"
    hr(f"fit train.csv {LABELLED} --out {out} {SHORT} --force")
    assert same_scores(out, files)


def test_what_fails_leaves_nothing(hr, files, tmp_path):
    pd.DataFrame({"qid": [1, 1], "f": [0.5, 1], "relevance": [1, 0]}).to_csv(tmp_path / "t.csv", index=False)
    hr(f"fit {tmp_path / 't.csv'} --labels relevance --out {tmp_path / 'm'} --loss hinge", code=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t.csv"]


def test_references_by_objective_are_files_and_features(hr, files, tmp_path):
    sizes = QueryLists.from_qid(files.train["qid"].to_numpy()).sizes
    today = lightgbm.LGBMRanker(n_estimators=3, min_child_samples=5, n_jobs=1, verbose=-1)
    today.fit(files.train[FEATURES[::-1]], files.train["relevance"], group=sizes)
    path, out = tmp_path / "today.txt", tmp_path / "model.safetensors"
    today.booster_.save_model(path)
    given = f"--reference relevance={path} --reference clicks=feature_2"
    hr(f"fit train.csv {LABELLED} --out {out} {SHORT.replace('--reference lightgbm', given)}")
    at_rest = hyperrank.load(out).predict(files.test[FEATURES], temperature=0, weights=np.eye(2))
    np.testing.assert_array_equal(at_rest[:, 0], today.predict(files.test[FEATURES[::-1]]))
    np.testing.assert_array_equal(np.argsort(at_rest[:, 1]), np.argsort(files.test["feature_2"]))
    card = json.loads(hr(f"describe {out} --json").stdout)
    assert card["reference"]["kind"] == {"relevance": "a Booster", "clicks": "feature_2"}
    for wrong, message in (
        ("nothing.txt", "neither a column"),
        ("f --reference lightgbm", "not OBJ"),
    ):
        line = SHORT.replace("--reference lightgbm", f"--reference relevance={wrong}")
        assert message in hr(f"fit train.csv {LABELLED} --out {out} {line} --force", code=1).stderr
