"""What exported files say of themselves, and what is refused before any is written."""

import json
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

import hyperrank
from hyperrank import (
    HyperDPORanker,
    LightGBMScalarizationRanker,
    LinearScalarizationRanker,
    MixedScoresRanker,
    export,
)
from hyperrank.networks import MLP

QUICK = {"max_epochs": 1, "network": MLP(hidden=(4,)), "feature_transform": "none", "random_state": 0}


@pytest.fixture(scope="module")
def ranker(holed):
    X = pd.DataFrame(holed.X, columns=[f"column {number}" for number in range(holed.X.shape[1])])
    return HyperDPORanker(None, objectives=("clicks", "margin"), query_standardize=False, **QUICK).fit(
        X, holed.Y, qid=holed.qid
    )


@pytest.fixture(scope="module")
def path(ranker, tmp_path_factory):
    pytest.importorskip("onnx")
    folder = tmp_path_factory.mktemp("exported")
    path = export.to_onnx(ranker, folder / "ranker.onnx")
    assert path == folder / "ranker.onnx"
    assert list(folder.iterdir()) == [path]
    return path


def test_a_file_says_what_it_is(ranker, path):
    onnx = pytest.importorskip("onnx")
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    properties = {entry.key: entry.value for entry in model.metadata_props}
    assert properties["class"] == "HyperDPORanker"
    assert properties["hyperrank_version"] == hyperrank.__version__
    assert json.loads(properties["objectives"]) == ["clicks", "margin"]
    assert json.loads(properties["feature_names"]) == list(ranker.feature_names_in_)
    assert json.loads(properties["default_weights"]) == [0.5, 0.5]
    assert json.loads(properties["inputs"]) == ["X", "weights", "temperature"]
    shapes = {
        put.name: [size.dim_param or size.dim_value for size in put.type.tensor_type.shape.dim]
        for put in (*model.graph.input, *model.graph.output)
    }
    assert shapes == {"X": ["n", 7], "weights": ["k", 2], "temperature": [1], "scores": ["n", "k"]}


def test_nothing_of_this_machine_is_in_a_file(path):
    content = path.read_bytes()
    assert b".py" not in content
    assert b"torch" not in content


def test_an_export_is_quiet_and_repeatable_and_leaves_the_ranker_as_it_was(
    ranker, path, holed, tmp_path, capfd
):
    X = pd.DataFrame(holed.X, columns=ranker.feature_names_in_)
    before = ranker.predict(X)
    again = export.to_onnx(ranker, tmp_path / "again.onnx")
    assert capfd.readouterr() == ("", "")
    assert again.read_bytes() == path.read_bytes()
    np.testing.assert_array_equal(ranker.predict(X), before)


def test_rankers_that_cannot_be_exported_are_named(holed, tmp_path):
    path = tmp_path / "ranker.onnx"
    with pytest.raises(NotFittedError):
        export.to_onnx(HyperDPORanker(), path)
    params = {"num_boost_round": 2}
    for grid in (
        LightGBMScalarizationRanker(weights=2, booster_params=params, random_state=0),
        LinearScalarizationRanker(weights=2, reference=None, **QUICK),
    ):
        grid.fit(holed.X, holed.Y, qid=holed.qid)
        with pytest.raises(ValueError, match=f"{type(grid).__name__} cannot .*HyperDPORanker, SoupRanker"):
            export.to_onnx(grid, path)
    assert not path.exists()


def test_without_onnx_the_error_says_what_to_install(ranker, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ImportError, match=r'pip install "hyperrank\[onnx\]"'):
        export.to_onnx(ranker, tmp_path / "ranker.onnx")
    assert not list(tmp_path.iterdir())


def test_a_failed_export_leaves_the_old_file(tmp_path):
    path = tmp_path / "ranker.onnx"
    path.write_text("old")
    models = MixedScoresRanker(booster_params={"num_boost_round": 2}, random_state=0)
    models.objectives_, models.n_features_in_ = ("a", "b"), 7
    models.reference_ = type("Other", (), {"main": 0})()
    with pytest.raises(ValueError, match="Other cannot be joined"):
        export.to_onnx(models, path)
    assert path.read_text() == "old"
