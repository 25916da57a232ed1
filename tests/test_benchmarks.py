"""The benchmarks run, and their tables say what the runs did."""

import json

import numpy as np
import pandas as pd
import pytest

from benchmarks import data as benchmark_data
from benchmarks import demo, quick_front
from benchmarks.methods import HYPERDPO, NETWORKS, Method
from benchmarks.runs import Run, run_all
from hyperrank import LightGBMScalarizationRanker, datasets
from hyperrank.simplex import lattice_near

SHORT = {"max_epochs": 1, "hidden": (8, 8)}


@pytest.fixture(scope="module")
def few():
    made = datasets.make_multilabel_ranking(
        n_queries=30, list_size=(4, 8), n_features=6, n_objectives=2, random_state=0
    )
    assert made.names == ("objective_0", "objective_1")
    return made


def made_up_run(method, fold, hypervolume, seconds):
    return Run(method, fold, 0, hypervolume, (0.5, 0.25), [[0.5, 0.1], [0.1, 0.25]], seconds, seconds / 2)


def test_every_method_runs_on_every_fold(few, capsys):
    weights = lattice_near(2, 3)
    runs = run_all(few, weights, folds=2, network_params=SHORT)
    table = pd.DataFrame([vars(run) for run in runs])
    assert (table.groupby("method").size() == 2).all()
    assert table["method"].nunique() == 6
    assert table["hypervolume"].between(0, 1).all()
    assert (table["fit_seconds"] > 0).all()
    for run in runs:
        assert run.corners == (run.points[0][0], run.points[2][1])
    report = quick_front.report(runs, few.names)
    assert "Best rival: " in report
    assert all(method in report for method in table["method"])
    assert capsys.readouterr().out.count("hypervolume") == len(runs)


def test_methods_take_turns_at_going_first(few):
    order = []

    def noted(name):
        def make(weights, seed, **params):
            order.append(name)
            return LightGBMScalarizationRanker(
                weights, random_state=seed, booster_params={"num_boost_round": 1}, **params
            )

        return Method(make, {name: {}})

    run_all(few, lattice_near(2, 2), folds=2, methods=[noted("a"), noted("b")])
    assert order == ["a", "b", "b", "a"]


def test_the_report_compares_fold_by_fold():
    runs = [
        made_up_run(method, fold, hypervolume, seconds)
        for method, values, seconds in [
            (HYPERDPO, (0.2, 0.4), 1.0),
            (NETWORKS, (0.1, 0.2), 8.0),
            ("another", (0.19, 0.39), 2.0),
        ]
        for fold, hypervolume in enumerate(values)
    ]
    report = quick_front.report(runs, ("relevance", "clicks"))
    assert "Best rival: another. HyperDPO ahead by +0.0100 ± 0.0000, on 2 of 2 folds." in report
    assert "One fit takes 0.125 of the separate networks' time, 0.125 of their CPU time." in report
    assert "0.3000 ± 0.1414" in report


def test_quick_front_from_the_command_line(few, monkeypatch, tmp_path, capsys):
    def quick_runs(data, weights, **options):
        return run_all(data, weights, network_params=SHORT, **options)

    monkeypatch.setattr(quick_front, "sample_or_generated", lambda _: few)
    monkeypatch.setattr(quick_front, "N_WEIGHTS", 2)
    monkeypatch.setattr(quick_front, "run_all", quick_runs)
    quick_front.main(["--folds", "2", "--out", str(tmp_path / "runs.json")])
    written = json.loads((tmp_path / "runs.json").read_text())
    assert written["objectives"] == list(few.names)
    assert len(written["runs"]) == 12
    assert "HyperDPO ahead by" in capsys.readouterr().out


def test_demo_prints_the_table_and_draws_the_front(few, tmp_path, capsys):
    demo.show(few, tmp_path / "made", network_params=SHORT)
    printed = capsys.readouterr().out
    picture = (tmp_path / "made" / "front.png").resolve()
    assert str(picture) in printed
    assert picture.read_bytes().startswith(b"\x89PNG")
    for row in (
        "the reference",
        "all weight on objective_1",
        "equal weights",
        "chosen",
        "boosters, scores mixed",
    ):
        assert row in printed


def test_without_the_sample_it_says_so_in_one_line(monkeypatch, capsys):
    def not_there(**_):
        raise datasets.FetchError("The sample is not there:\nno network.")

    monkeypatch.setattr(benchmark_data.datasets, "fetch_mslr_sample", not_there)
    made = benchmark_data.sample_or_generated(["relevance", "clicks"])
    assert made.Y.shape[1] == 2
    assert np.unique(made.qid).size == 86
    assert capsys.readouterr().out.strip().splitlines() == [
        "Generated data instead of real ones, so figures differ from those quoted: "
        "The sample is not there: no network."
    ]
