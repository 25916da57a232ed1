"""The comparison on validation folds: test queries stay out of it, and ratios are to the first setting."""

import numpy as np
import pytest

from benchmarks import validation
from benchmarks.fronts.sources import Synthetic

pytestmark = pytest.mark.slow

SIZES = {"n_queries": 24, "list_size": (5, 8), "n_features": 6}
SHORT = {
    "max_epochs": 1,
    "network__hidden": [4],
    "booster_params": {"num_boost_round": 2, "min_data_in_leaf": 2},
}


@pytest.fixture
def few():
    return Synthetic(["objective_0", "objective_1"], 2, SIZES)


def test_neither_part_has_a_query_of_the_test_fold(few):
    for number in range(2):
        train, judge = validation.validation_fold(few, number)
        fold = few.fold(number)
        assert set(train.qid) | set(judge.qid) == set(fold.train.qid)
        assert not set(train.qid) & set(judge.qid)
        assert not (set(train.qid) | set(judge.qid)) & set(fold.test.qid)


def test_a_setting_beside_another(few):
    rows = validation.compare(few, 2, [SHORT, {**SHORT, "reference": None}], [0.0, 1.0])
    assert [row["temperature"] for row in rows] == ["0", "1", "0", "1"]
    assert rows[0]["ratio"] == "1.000 ± 0.000"
    found = [float(row["hypervolume"]) for row in rows]
    np.testing.assert_allclose(float(rows[3]["ratio"].split()[0]), found[3] / found[0], atol=2e-3)
    assert rows[0]["chosen"] == "-; -"


def test_from_the_command_line(few, capsys, monkeypatch):
    monkeypatch.setattr(validation, "DATA", {"few": (lambda: few, 1)})
    assert validation.main(["--data", "few", "--params", '{"max_epochs": 1, "network__hidden": [4]}']) == 0
    printed = capsys.readouterr().out
    assert "## few, 1 validation folds" in printed
    assert "- Commit:" in printed


def test_data_that_cannot_be_had_are_said_before_anything_is_trained(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("HYPERRANK_DATA", str(tmp_path))
    with pytest.raises(SystemExit):
        validation.main(["--data", "mq2008"])
    assert "HYPERRANK_DATA" in capsys.readouterr().err.splitlines()[-1]
