"""The serving benchmark times what it says, and says what it finds."""

import json
import re

import numpy as np
import pytest

from benchmarks import serving
from benchmarks.serving_baselines import LIGHTGBM, OURS, PLAIN, WEIGHTS, Fitted, calls_of, count_leaves

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def fitted():
    small = {"booster_params": {"num_boost_round": 5}, "max_epochs": 1}
    return Fitted.on_synthetic(n_queries=50, **small)


def test_all_calls_score_the_same_documents(fitted):
    found = {name: call() for name, call in calls_of(fitted, fitted.X[:50], 4).items()}
    expected = fitted.ranker.predict(fitted.X[:50], weights=WEIGHTS)
    np.testing.assert_allclose(found[PLAIN], expected, atol=1e-5)
    np.testing.assert_array_equal(found[OURS], expected)
    np.testing.assert_array_equal(found[LIGHTGBM], fitted.lightgbm.predict(fitted.X[:50]))
    assert found[f"{OURS}, 4 weights"].shape == (50, 4)
    answers = {name: json.loads(answer) for name, answer in found.items() if name.endswith("server")}
    for name, scores in ((LIGHTGBM, found[LIGHTGBM]), (OURS, expected)):
        answer = next(answer for server, answer in answers.items() if server.startswith(f"{name}, "))
        assert answer["order"] == np.argsort(-scores, kind="stable").tolist()


def test_the_baseline_has_as_many_leaves(fitted):
    dumped = fitted.lightgbm.booster_.dump_model()["tree_info"]
    boosters = [booster for part in fitted.ranker.reference_.members for booster in part.boosters.boosters]
    leaves = sum(tree["num_leaves"] for b in boosters for tree in b.dump_model()["tree_info"])
    assert count_leaves(fitted.ranker) == leaves
    assert len(dumped) == max(1, round(leaves / 31))


def test_the_report(fitted, monkeypatch):
    monkeypatch.setattr(serving, "REQUESTS", (20, 40))
    text = serving.report(fitted, 3, "python -m benchmarks.serving")
    assert len(re.findall(r"\((?:target: at (?:most|least)) [13]\): (?:met|missed)", text)) >= 5
    assert "20 docs: CPU ms" in text
    phases = re.findall(r"\| (?:features|trees|transform|network|all)[^|]*\|\s*([\d.]+)", text)
    assert len(phases) == 7
    assert all(float(value) > 0 for value in phases)
