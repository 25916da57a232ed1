"""The benchmark of rankers over the one in production."""

import json

import pytest

from benchmarks import production
from benchmarks.production import METHODS, main, rows_of


def record(shares, *, is_production=False):
    found = {"hypervolume": 0.2, "over temperatures": 0.25, "shares": shares, "is production": is_production}
    return {"production alone": {"hypervolume": 0.1}, **dict.fromkeys(METHODS, found)}


def test_rows_count_what_is_chosen_and_kept():
    refused = {"hypervolume": 0.2, "over temperatures": 0.25, "refusal": "too few"}
    nothing = {"production alone": {"hypervolume": 0.1}, **dict.fromkeys(METHODS, refused)}
    itself = record([1.0, 1.0], is_production=True)
    alone, mapping, *_ = rows_of([record([0.99, 1.5]), record([0.9, 1.3]), itself, nothing])
    assert (alone["hypervolume"], alone["finds a trade-off"]) == ("0.1000", "")
    assert mapping["finds a trade-off"] == "50%"
    assert mapping["at least 0.98"] == "50%"
    assert mapping["others gain"] == "+40%"


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
