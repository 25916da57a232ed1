"""The benchmark of the losses: baselines compute the same thing, the command writes its table."""

from functools import partial

import pytest
import torch

from benchmarks import losses, losses_step
from benchmarks.losses_baselines import MAKERS, make_data, peak_apart
from benchmarks.losses_step import fit_throughput
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


@pytest.mark.filterwarnings("ignore")
def test_baselines_of_listnet_agree_on_its_value():
    data = make_data(2_000, 2)
    baselines = unless_missing([partial(make, data) for make in MAKERS])
    # allRank's targets are a softmax of the labels.
    values = {r.name: r.run() for r in baselines if r.loss == "ListNet" and "allRank" not in r.name}
    assert {"hyperrank", "hyperrank, nothing prepared", "padded torch", "padded torch, by batch"} <= set(
        values
    )
    for name, value in values.items():
        assert value == pytest.approx(values["hyperrank"], rel=1e-4), name


def test_baselines_of_plackett_luce_agree_but_for_the_order_of_ties():
    baselines = [make(make_data(20_000, 1)) for make in MAKERS[:4] + MAKERS[8:12]]
    values = {r.name: r.run() for r in baselines if r.loss == "Plackett-Luce"}
    assert len(values) == 4
    for name, value in values.items():
        assert value == pytest.approx(values["hyperrank"], rel=0.01), name


@pytest.mark.filterwarnings("ignore")
def test_memory_is_measured_apart():
    flat, slates = (peak_apart(number, 100_000, 2, "cpu", 0) for number in (0, 2))
    assert 0 < flat < slates


def test_a_fit_says_how_fast_it_was():
    fit = fit_throughput(12, 1, "cpu")
    assert fit.rows > 0
    assert "documents per second in training (1 epochs)" in fit.sentence()


@pytest.mark.parametrize(
    ("seconds", "memory", "word"), [(4.0, 3.0, "met"), (2.0, 3.0, "missed"), (4.0, 1.5, "missed")]
)
def test_the_verdict(seconds, memory, word):
    data = make_data(1_000, 1)
    baselines = [MAKERS[0](data), MAKERS[2](data)]
    figures = [(1.0, 1.0), (seconds, memory)]
    rows = [
        {"baseline": baseline, "objectives": 1, "time": Spread((taken,)), "memory": peak}
        for baseline, (taken, peak) in zip(baselines, figures, strict=True)
    ]
    (line,) = losses._verdict([rows])
    assert f"at least {seconds} times as fast as padded torch" in line
    assert line.endswith(f": {word}.")


@pytest.mark.filterwarnings("ignore")
def test_the_phases_of_a_step_add_up(monkeypatch):
    monkeypatch.setattr(losses_step, "BATCH_DOCS", 200)
    text = losses_step.step_profile(600, "cpu", n_steps=2)
    shares = [
        float(line.split("|")[3].strip(" %")) for line in text.splitlines() if "%" in line and "|" in line
    ]
    assert len(shares) == len(losses_step.PHASES)
    assert sum(shares) == pytest.approx(100, abs=0.3)


def test_from_the_command_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(losses, "MAKERS", MAKERS[:3])
    monkeypatch.setattr(losses, "peak_apart", lambda *_: 2.0**20)
    options = ["--documents", "500", "--objectives", "2", "--repetitions", "1", "--fit-queries", "10"]
    assert losses.main([*options, "--fit-epochs", "1", "--out", str(tmp_path / "a.md")]) == 0
    text = (tmp_path / "a.md").read_text()
    assert text in capsys.readouterr().out
    assert "## 2 objectives" in text
    assert "| hyperrank | ListNet |" in text
    assert str(tmp_path) not in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--documents", "-1"], "--documents must be at least 100; got -1"),
        (["--objectives", "0"], "--objectives must be at least 1; got 0"),
    ],
)
def test_wrong_arguments_give_one_line(arguments, message, capsys):
    with pytest.raises(SystemExit):
        losses.main(arguments)
    assert message in capsys.readouterr().err
