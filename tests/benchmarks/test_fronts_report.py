"""The report of benchmarks.fronts from files, and the command line."""

import json
import re
import shutil
from functools import partial

import pytest

from benchmarks.fronts import cli
from benchmarks.fronts.methods import front_order
from benchmarks.fronts.plan import plan
from benchmarks.fronts.plots import STYLES
from benchmarks.fronts.processes import in_own_process
from benchmarks.fronts.report import write_report
from benchmarks.fronts.results import read_results
from benchmarks.fronts.store import Store, StoreError
from benchmarks.fronts.suite import run_all
from benchmarks.markdown import p_value


def call(function, *arguments):
    return function(*arguments)


@pytest.fixture(scope="module")
def finished(few, short_params, tmp_path_factory):
    """Finished runs of two methods on two folds."""
    folder = tmp_path_factory.mktemp("finished")
    runs = plan(few, ["mixed-scores", "hyperdpo"], n_seeds=1, params=short_params, n_weights=3)
    run_all(runs, Store(folder), call)
    return folder


@pytest.fixture
def folder(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "runs")


def test_report_from_files(folder, tmp_path):
    path, text = write_report([folder], tmp_path / "made", n_resamples=50)
    assert path.read_text() == text + "\n"
    for part in (
        "## synthetic: objective_0, objective_1 (2 folds)",
        "**HyperDPO, one network**",
        "Best baseline: boosters, scores mixed; HyperDPO is ahead in",
        "### Correlation with the weights",
        "- mixed-scores: defaults (booster_params",
        "values computed again by ir-measures",
        "### Cost",
    ):
        assert part in text
    pictures = re.findall(r"\]\((.*?\.png)\)", text)
    assert len(pictures) == 1
    for picture in pictures:
        assert (tmp_path / "made" / picture).read_bytes().startswith(b"\x89PNG")


def test_differences_between_runs_are_reported(folder):
    store = Store(folder)
    record = json.loads(store.lines.read_text().splitlines()[0])
    store.append([{**record, "commit": "another"}])
    assert any(text.startswith("Runs differ in commit: ") for text in read_results([folder])[0].warnings())
    store.append([{**record, "options": {"max_epochs": 7}}])
    assert any(
        text.startswith("Runs differ in parameters: ") for text in read_results([folder])[0].warnings()
    )


def test_missing_runs_are_reported(folder):
    store = Store(folder)
    of_hyperdpo = [line for line in store.lines.read_text().splitlines() if '"method": "hyperdpo"' in line]
    others = [line for line in store.lines.read_text().splitlines() if line not in of_hyperdpo]
    store.lines.write_text("\n".join([of_hyperdpo[0], *others]) + "\n")
    (data,) = read_results([folder])
    assert "hyperdpo has 1 of 2 runs: its means are over those; tests pair what both have." in data.warnings()
    assert data.places(["hyperdpo", "mixed-scores"]) == [(json.loads(of_hyperdpo[0])["fold"], 0)]


def test_nothing_finished(tmp_path):
    failed = {
        "key": "a",
        "front": "soup",
        "status": "failed",
        "method": "soup",
        "data": "synthetic",
        "objectives": ["a", "b"],
        "folds": 2,
        "fold": 0,
        "seed": 0,
        "error": "none",
    }
    store = Store(tmp_path)
    store.append([failed])
    with pytest.raises(StoreError, match="is finished"):
        read_results([tmp_path])


@pytest.mark.parametrize(
    "executor", [call, pytest.param(in_own_process, marks=pytest.mark.slow)], ids=["here", "processes"]
)
def test_from_the_command_line(tmp_path, write_letor, capsys, monkeypatch, executor):
    monkeypatch.setattr(cli, "run_all", partial(run_all, executor=executor))
    write_letor(tmp_path / "data.txt", range(9), 5)
    out = tmp_path / "out"
    params = {"mixed-scores": {"booster_params": {"num_boost_round": 2}}}
    command = [
        *("--data", "letor", str(tmp_path / "data.txt"), "--objectives", "label,-2", "--folds", "2"),
        *("--seeds", "1", "--weights", "3", "--methods", "mixed-scores", "--params", json.dumps(params)),
        *("--out", str(out)),
    ]
    assert cli.main(command) == 0
    printed = capsys.readouterr().out
    assert "letor data.txt: label, -2. 2 runs" in printed
    assert str(tmp_path) not in (out / "report.md").read_text()
    assert cli.main(command) == 0
    assert len((out / "runs.jsonl").read_text().splitlines()) == 2
    capsys.readouterr()
    (out / "report.md").unlink()
    assert cli.main(["report", str(out)]) == 0
    assert "boosters, scores mixed" in capsys.readouterr().out
    assert "python -m benchmarks.fronts --data letor data.txt" in (out / "report.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--data", "msn"],
            f"--data takes {cli.DATA}; got msn.",
        ),
        (["--data", "mslr"], "--data takes"),
        (
            ["--data", "synthetic", "--methods", "hyperdpo,ours"],
            "there is no method 'ours'; there are hyperdpo",
        ),
        (["--data", "synthetic", "--objectives", "clicks"], "no objective 'clicks'; it has objective_0"),
        (["--data", "synthetic", "--folds", "1"], "--folds must be at least 2"),
        (["--data", "mq2008", "--repeats", "2"], "folds of its own, which cannot be dealt anew"),
        (["--data", "mslr", "nowhere"], "nowhere holds no Fold1"),
        (["--data", "letor", "nowhere"], "--data letor needs --objectives"),
        (["--data", "letor", "nowhere", "--objectives", "label", "3"], "There is no file or folder nowhere"),
        (["--data", "synthetic", "--params", "{"], "--params takes JSON"),
        (["--data", "synthetic", "--params", '{"soup": 3}'], "--params takes an object"),
        (["report", "nowhere"], "There is no nowhere/runs.jsonl"),
    ],
)
def test_wrong_options_are_errors_of_one_line(arguments, message, capsys):
    assert cli.main(arguments) == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.count("\n") == 1


def test_p_values_as_text():
    assert (p_value(1 / 2001, 2000), p_value(0.0312, 2000)) == ("< 0.001", "0.031")


def test_every_front_has_a_look_of_its_own():
    assert set(STYLES) == set(front_order())
    assert len(set(STYLES.values())) == len(STYLES)
