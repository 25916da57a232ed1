"""The comparison of temperatures: both kinds on the same folds, differences paired."""

import numpy as np
import pytest

from benchmarks import temperature
from benchmarks.fronts.sources import Synthetic

pytestmark = pytest.mark.slow

SIZES = {"n_queries": 24, "list_size": (4, 8), "n_features": 6}
SHORT = {
    "max_epochs": 1,
    "network__hidden": [4],
    "booster_params": {"num_boost_round": 2, "min_data_in_leaf": 2},
}


@pytest.fixture
def few():
    return Synthetic(["objective_0", "objective_1"], 2, SIZES)


def test_rows_of_temperatures(few):
    rows, cost = temperature.compare(few, 2, [0], [0.5, 4.0], SHORT)
    assert [row["temperature"] for row in rows] == ["0.5", "4"]
    for row in rows:
        gain = float(row["conditioned"]) - float(row["linear"])
        assert float(row["difference"].split()[0]) == pytest.approx(gain, abs=2e-4)
        assert row["better in"].endswith(" of 2")
    assert float(rows[0]["closeness"].split()[0]) > float(rows[1]["closeness"].split()[0])
    assert "linear rule" in cost


def test_closeness_is_rank_correlation_within_lists():
    base = np.array([[1.0], [2.0], [3.0], [5.0], [4.0], [7.0]])
    qid = np.array([0, 0, 0, 1, 1, 2])
    assert temperature.closeness(base * [[10]], base, qid) == pytest.approx(1.0)
    turned = base.copy()
    turned[3:5] = turned[[4, 3]]
    assert temperature.closeness(turned, base, qid) == pytest.approx(0.0)


def test_from_the_command_line(few, capsys, monkeypatch):
    monkeypatch.setattr(temperature, "DATA", {"few": lambda: few})
    given = [
        "--data",
        "few",
        "--folds",
        "1",
        "--temperatures",
        "2",
        "--params",
        '{"max_epochs": 1, "network__hidden": [4]}',
    ]
    assert temperature.main(given) == 0
    printed = capsys.readouterr().out
    assert "## few, 1 test folds" in printed
    assert "- Commit:" in printed
