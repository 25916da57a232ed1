"""``hyperrank describe`` and ``export``."""

import json

import numpy as np
import onnxruntime
import pytest
from cli_files import FEATURES, LABELS

import hyperrank
from hyperrank import HyperDPORanker, LinearScalarizationRanker, MixedScoresRanker, datasets
from hyperrank.networks import MLP


def test_a_model_card(hr, files):
    card = json.loads(hr("describe model.safetensors --json").stdout)
    assert (card["class"], card["objectives"], card["n_features"]) == ("HyperDPORanker", LABELS, 6)
    assert card["features"] == FEATURES
    assert card["parameters"] == {
        "booster_params": {"num_iterations": 5},
        "network": "MLP(hidden=[8, 8], conditioning='film', dropout='auto', n_members='auto')",
        "max_epochs": 1,
        "random_state": 0,
        "reference": "lightgbm",
    }
    assert card["reference"] == {"kind": "lightgbm", "objective": "relevance", "needs_scores": False}
    assert card["training"]["epochs"] == 1
    assert card["training"]["best_hypervolume"] is None
    assert card["tuning"] == {}
    assert card["versions"]["hyperrank"] == hyperrank.__version__


def test_a_model_card_as_text(hr, files):
    lines = hr("describe model.safetensors").stdout.splitlines()
    assert "objectives  relevance, clicks" in lines
    assert "features    feature_1, feature_2, feature_3, feature_4, feature_5, ... (6 in all)" in lines
    assert "  max_epochs      1" in lines
    assert "tuning      none" in lines


def test_the_card_has_what_tuning_chose(hr, tmp_path):
    data = datasets.make_multilabel_ranking(n_queries=110, list_size=4, n_features=3, random_state=0)
    ranker = HyperDPORanker(
        "lightgbm",
        max_epochs=1,
        network=MLP(hidden=(8, 8)),
        booster_params={"num_iterations": 3},
        random_state=0,
    )
    ranker.fit(data.X, data.Y, qid=data.qid).save(tmp_path / "m")
    card = json.loads(hr(f"describe {tmp_path / 'm'} --json").stdout)
    assert card["tuning"]["reward_scale_factor"] == ranker.tuning_.reward_scale_factor
    assert card["tuning"]["candidates"] == len(ranker.tuning_.candidates)
    assert card["features"] is None
    assert "reward_scale" in hr(f"describe {tmp_path / 'm'}").stdout


@pytest.mark.parametrize("kind", ["specialized", "mixed", "scalarization"])
def test_cards_of_other_rankers(hr, files, tmp_path, kind):
    X, Y = files.train[FEATURES], files.train[LABELS]
    qid = files.train["qid"].to_numpy()
    if kind == "specialized":
        ranker = files.ranker.specialize([0.75, 0.25])
    elif kind == "mixed":
        ranker = MixedScoresRanker(n_jobs=1, booster_params={"num_iterations": 3}).fit(X, Y, qid=qid)
    else:
        ranker = LinearScalarizationRanker(
            [[1, 0], [0, 1]], None, network=MLP(hidden=(4, 4)), max_epochs=1, random_state=0
        )
        ranker.fit(X, Y, qid=qid)
    ranker.save(tmp_path / "m")
    card = json.loads(hr(f"describe {tmp_path / 'm'} --json").stdout)
    assert card["class"] == type(ranker).__name__
    assert card["objectives"] == LABELS
    if kind == "specialized":
        assert card["weights"] == {"relevance": 0.75, "clicks": 0.25}
    assert hr(f"describe {tmp_path / 'm'}").stdout


def test_a_store_is_described_too(hr, files):
    card = json.loads(hr("describe train.store --json").stdout)
    assert (card["n_rows"], card["n_queries"], card["objectives"]) == (len(files.train), 30, LABELS)
    assert "n queries      30" in hr("describe train.store").stdout


def test_export_scores_as_predict_does(hr, files, tmp_path):
    out = tmp_path / "model.onnx"
    result = hr(f"export model.safetensors {out}")
    assert result.stdout == f"{out}: {out.stat().st_size:,} bytes\n"
    one = files.test[files.test["qid"] == files.test["qid"][0]]
    inputs = {
        "X": one[FEATURES].to_numpy(np.float32),
        "weights": np.array([[0.7, 0.3]], np.float32),
        "temperature": np.ones(1, np.float32),
    }
    (scores,) = onnxruntime.InferenceSession(out).run(None, inputs)
    expected = files.ranker.predict(one[FEATURES], weights=[[0.7, 0.3]], temperature=1)
    np.testing.assert_allclose(scores, expected, atol=1e-4)
    assert "--force" in hr(f"export model.safetensors {out}", code=1).stderr
    assert ".onnx" in hr(f"export model.safetensors {tmp_path / 'model.pb'}", code=1).stderr
