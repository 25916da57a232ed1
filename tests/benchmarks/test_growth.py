"""Slopes are those of the data, finished points are not repeated, and what cannot be measured is said."""

import json
import math
from itertools import pairwise

import numpy as np
import pytest

from benchmarks import growth, growth_points
from benchmarks.growth import main, predicted, run
from benchmarks.growth_points import METHODS, Point, measure, measured_apart
from benchmarks.growth_report import LABELS, slope, table

pytestmark = pytest.mark.slow

ALONE = "HyperDPORanker, reference=None"


def points(values=(100, 1_000, 10_000), method=ALONE):
    return [Point("rows", method, rows=n, documents=10, objectives=2, weights=1) for n in values]


def power_law(point, _timeout):
    seconds = 1e-4 * point.rows**1.5
    return {"seconds": seconds, "wall_seconds": seconds, "bytes": 7.0 * point.rows}


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0, 2.3])
def test_slope_of_a_power_law(exponent):
    values = np.geomspace(10, 1e6, 9)
    found, n_points = slope(values, 3.0 * values**exponent)
    assert found == pytest.approx(exponent, abs=1e-9)
    assert n_points == 5


def test_slope_looks_at_the_upper_half_alone():
    values = [1, 10, 100, 1_000, 10_000]
    found, n_points = slope(values, [5.0, 5.0, 10.0, 100.0, 1_000.0])
    assert (found, n_points) == (pytest.approx(1.0), 3)


def test_slope_takes_the_last_two_points_where_the_upper_half_has_one():
    assert slope([1, 2, 100], [1.0, 1.0, 50.0]) == (pytest.approx(1.0), 2)


@pytest.mark.parametrize(("values", "costs"), [([], []), ([5], [1.0]), ([1, 10, 100], [1.0, 0.0, 0.0])])
def test_no_slope_of_too_little(values, costs):
    assert math.isnan(slope(values, costs)[0])


def test_finished_points_are_not_repeated(tmp_path):
    path, measured = tmp_path / "growth.jsonl", []

    def noted(point, timeout):
        measured.append(point.rows)
        return power_law(point, timeout)

    first, _ = run(points((100, 1_000)), path, 1e9, noted)
    # As after an interruption in the midst of writing.
    with path.open("a") as file:
        file.write('{"axis": "ro')
    second, skipped = run(points(), path, 1e9, noted)
    assert measured == [100, 1_000, 10_000]
    assert second[:2] == first
    assert skipped == []
    assert [json.loads(line)["rows"] for line in path.read_text().splitlines()] == measured


def test_points_expected_to_take_too_long_are_skipped_and_said_so(tmp_path):
    records, skipped = run(points(), tmp_path / "growth.jsonl", 5.0, power_law)
    assert [r["rows"] for r in records] == [100, 1_000]
    assert skipped == [f"rows 10,000, {ALONE}: expected to take 100 s, the limit is 5 s"]


def test_failures_are_said_and_the_rest_goes_on(tmp_path):
    def fails(point, timeout):
        if point.rows == 1_000:
            raise RuntimeError("its process ended with code -9")
        return power_law(point, timeout)

    records, skipped = run(points(), tmp_path / "growth.jsonl", 1e9, fails)
    assert [r["rows"] for r in records] == [100, 10_000]
    assert skipped == [f"rows 1,000, {ALONE}: its process ended with code -9"]


def test_prediction():
    assert predicted([], 10) == 0.0
    assert predicted([(10, 2.0)], 100) == pytest.approx(20.0)
    assert predicted([(10, 2.0), (100, 20.0)], 1_000) == pytest.approx(200.0)
    # Neither falling nor exploding: small points are noise.
    assert predicted([(10, 2.0), (100, 1.0)], 1_000) == pytest.approx(1.0)
    assert predicted([(10, 1e-6), (100, 1.0)], 1_000) == pytest.approx(100.0)


def test_the_table_names_slopes_command_and_versions(tmp_path):
    records, skipped = run(points(), tmp_path / "growth.jsonl", 5.0, power_law)
    text = table(records, skipped, "python -m benchmarks.growth --quick")
    assert "`python -m benchmarks.growth --quick`" in text
    assert "**1.50** (2)" in text
    assert "**1.00** (2)" in text
    assert "torch " in text
    assert "expected to take 100 s" in text


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("axis", LABELS)
def test_every_method_is_measured(axis, method):
    sizes = {"rows": 200, "documents": 10, "objectives": 2, "weights": 3}
    found = measure(Point(axis=axis, method=method, **sizes))
    assert found["seconds"] > 0
    assert found["bytes"] >= 0


def test_measured_in_a_process_of_its_own():
    found = measured_apart(points((200,))[0], timeout=300)
    assert found["seconds"] > 0
    with pytest.raises(RuntimeError, match="ValueError"):
        measured_apart(Point("rows", ALONE, rows=100, documents=10, objectives=0, weights=1), timeout=300)


def test_from_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(growth, "run", lambda points, path, limit: run(points, path, limit, power_law))
    assert main(["--quick", "--axes", "rows", "--limit-seconds", "1e9", "--out", str(tmp_path)]) == 0
    text = (tmp_path / "growth.md").read_text()
    assert text in capsys.readouterr().out
    assert str(tmp_path) not in text
    assert "`python -m benchmarks.growth --quick --axes rows --limit-seconds 1e9`" in text
    assert (tmp_path / "growth.png").read_bytes().startswith(b"\x89PNG")


def test_trade_offs_are_different_and_on_the_simplex():
    for m in (1, 2, 5):
        lattice = growth_points._lattice(7, m)
        assert lattice.shape == (7, m)
        assert lattice.sum(axis=1) == pytest.approx(1)
        assert m == 1 or all((a != b).any() for a, b in pairwise(lattice))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--axes", "columns"], "invalid choice: 'columns'"),
        (["--limit-seconds", "0"], "--limit-seconds must be above 0; got 0"),
        (["--limit-seconds", "nan"], "--limit-seconds must be above 0; got nan"),
        (["--out", __file__], "--out must be a folder"),
    ],
)
def test_wrong_arguments_give_one_line(arguments, message, capsys):
    with pytest.raises(SystemExit) as exit_info:
        main(arguments)
    assert exit_info.value.code == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("python -m benchmarks.growth: error: ")
    assert message in last
