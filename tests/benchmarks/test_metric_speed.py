"""All libraries are timed at the same thing: their values agree."""

from functools import partial

import numpy as np
import pytest
import torch

from benchmarks import metric_speed
from benchmarks.peers_data import mslr_like
from benchmarks.peers_metrics import MAKERS, as_dicts, expected
from benchmarks.peers_timing import Spread, unless_missing

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def as_many_threads_as_before():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def one_call_each(monkeypatch):
    monkeypatch.setattr("benchmarks.peers_timing.LEAST_SECONDS", 0.0)


@pytest.fixture(scope="module")
def baselines():
    data = mslr_like(3_000)
    return {baseline.name: baseline for baseline in unless_missing([partial(make, data) for make in MAKERS])}


@pytest.mark.filterwarnings("ignore")
def test_every_library_gives_the_same_values(baselines):
    for name, baseline in baselines.items():
        tolerance = 1e-5 if name in ("allRank", "pytorchltr") else 1e-9
        assert baseline.difference() <= tolerance, name
    assert {"hyperrank, arrays", "ir-measures, dicts", "scikit-learn", "LightGBM"} <= set(baselines)


def test_differences_are_seen(baselines, monkeypatch):
    """The comparison does not pass for want of comparing."""
    from benchmarks import peers_metrics

    monkeypatch.setattr(peers_metrics, "ndcg", lambda *_, **__: np.array(0.25))
    for name in ("ir-measures, dicts", "ir-measures, reused evaluator", "LightGBM"):
        assert baselines[name].difference() > 1e-3


def test_gains_and_empty_lists_are_those_stated():
    data = mslr_like(1_000)
    qrels, run = as_dicts(data)
    assert [len(labels) for labels in qrels.values()] == data.sizes.tolist()
    assert qrels.keys() == run.keys()
    assert [g for labels in qrels.values() for g in labels.values()] == (2**data.labels - 1).tolist()
    values = expected(data)
    is_empty = np.maximum.reduceat(data.labels, np.r_[0, data.starts]) == 0
    assert (values[is_empty] == 0).all()


@pytest.mark.parametrize(
    ("seconds", "difference", "word"), [(21, 0, "met"), (19, 0, "missed"), (21, 1e-8, "missed")]
)
def test_the_verdict(seconds, difference, word):
    times = {metric_speed.OURS: Spread((1.0,)), metric_speed.DICTS: Spread((float(seconds),))}
    line = metric_speed._verdict(times, {metric_speed.DICTS: difference})
    assert line.startswith(f"{seconds}.0 times as fast as ir-measures with dicts")
    assert line.endswith(f": {word}.")


@pytest.mark.filterwarnings("ignore")
def test_from_the_command_line(tmp_path, capsys):
    assert (
        metric_speed.main(["--documents", "500", "--repetitions", "1", "--out", str(tmp_path / "a.md")]) == 0
    )
    text = (tmp_path / "a.md").read_text()
    assert text in capsys.readouterr().out
    assert "`python -m benchmarks.metric_speed --documents 500 --repetitions 1`" in text
    assert "| hyperrank, arrays | 500 |" in text
    assert str(tmp_path) not in text


@pytest.mark.filterwarnings("ignore")
def test_values_that_differ_are_an_error(monkeypatch, capsys):
    monkeypatch.setattr(metric_speed, "TARGET_DIFFERENCE", -1.0)
    assert metric_speed.main(["--documents", "300", "--repetitions", "1"]) == 1
    assert "values differ from those of ir-measures" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--documents", "-1"], "--documents must be at least 100; got -1"),
        (["--repetitions", "0"], "--repetitions must be at least 1; got 0"),
        (["--loud"], "unrecognized arguments: --loud"),
    ],
)
def test_wrong_arguments_give_one_line(arguments, message, capsys):
    with pytest.raises(SystemExit) as exit_info:
        metric_speed.main(arguments)
    assert exit_info.value.code == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("python -m benchmarks.metric_speed: error: ")
    assert message in last
