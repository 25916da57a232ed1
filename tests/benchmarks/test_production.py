"""The benchmark of rankers over the one in production."""

import json

import numpy as np
import pytest

from benchmarks import production
from benchmarks.production import METHODS, ManyTested, beyond_limit, main, rows_of
from hyperrank import ParetoFront


def record(shares, errors=0.0, *, is_production=False):
    chosen = {"shares": shares, "errors": errors, "is production": is_production}
    found = {"hypervolume": 0.2, "over temperatures": 0.25, **chosen}
    return {"production alone": {"hypervolume": 0.1}, **dict.fromkeys(METHODS, found)}


def test_rows_count_what_is_chosen_and_kept():
    refused = {"hypervolume": 0.2, "over temperatures": 0.25, "refusal": "too few"}
    nothing = {"production alone": {"hypervolume": 0.1}, **dict.fromkeys(METHODS, refused)}
    itself = record([1.0, 1.0], is_production=True)
    alone, mapping, *_ = rows_of([record([0.99, 1.5]), record([0.9, 1.3], -2.0), itself, nothing])
    assert (alone["hypervolume"], alone["finds a trade-off"]) == ("0.1000", "")
    assert mapping["finds a trade-off"] == "50%"
    assert mapping["at least 0.98"] == "50%"
    assert mapping["surely below 0.98"] == "50%"
    assert mapping["others gain"] == "+40%"


def test_how_far_beyond_its_limit_an_objective_lies():
    per_query = np.array([[[0.9, 0.1], [0.8, 0.2], [np.nan, 0.3]]])
    reference = np.array([[0.5, 0.5], [0.6, 0.5], [np.nan, 0.5]])
    means = (np.nanmean(values, axis=-2) for values in (per_query, reference))
    front = ParetoFront(
        next(means),
        [[1.0, 0.0]],
        names=("a", "b"),
        per_query=per_query,
        reference=next(means),
        reference_per_query=reference,
    )
    differences = np.array([0.9 - 0.98 * 0.5, 0.8 - 0.98 * 0.6])
    expected = differences.mean() / differences.std(ddof=1) * 2**0.5
    assert np.isclose(beyond_limit(front), expected, rtol=1e-5)


def test_folds_of_many_test_queries():
    source = ManyTested(n_folds=2)
    folds = [source.fold(number) for number in range(2)]
    trained, tested = ([set(getattr(fold, part).qid) for fold in folds] for part in ("train", "test"))
    assert [len(queries) for queries in trained] == [144, 144]
    assert not trained[0] & trained[1]
    assert len(tested[0]) == 1200
    assert tested[0] == tested[1]
    assert not tested[0] & (trained[0] | trained[1])


@pytest.mark.slow
def test_a_split_of_real_data_is_recorded_and_not_run_again(shared_data, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("HYPERRANK_DATA", str(shared_data))
    monkeypatch.setattr(production, "ROUNDS", 10)
    monkeypatch.setattr(production, "TEMPERATURES", (0.0, 1.0))
    line = ["--data", "mslr-sample", "--seeds", "0", "--records", str(tmp_path / "records.jsonl")]
    assert main([*line, "--folds", "2"]) == 0
    records = [json.loads(text) for text in (tmp_path / "records.jsonl").read_text().splitlines()]
    assert [found["fold"] for found in records] == [0, 1]
    monkeypatch.setattr(production, "split_record", None)
    assert main([*line, "--folds", "2"]) == 0
    assert "mapping reference" in capsys.readouterr().out
