"""Commands that served, or destroyed, what was not meant: the answer before and now."""

import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from hyperrank import HyperDPORanker
from hyperrank.cli import main
from hyperrank.training.loop import Steps

RNG = np.random.default_rng(0)
QID = np.repeat(np.arange(8), 6)
TABLE = pd.DataFrame(
    {
        "qid": QID,
        "a": RNG.normal(size=48).round(3),
        "b": RNG.normal(size=48).round(3),
        "relevance": RNG.integers(0, 4, size=48),
        "clicks": RNG.integers(0, 30, size=48),
    }
)
TINY = (
    "--reference none --seed 0 --device cpu --set max_epochs=1 --set network__hidden=[4] "
    "--set network__conditioning=concat"
)


def letor(qid: bool) -> str:
    rows = TABLE.itertuples()
    return "".join(f"{r.relevance} {f'qid:{r.qid} ' * qid}1:{r.a} 2:{r.b} 3:{r.clicks}\n" for r in rows)


def hr(line: str, code: int = 0):
    """Type a command, which must end with the exit code given."""
    result = CliRunner().invoke(main, shlex.split(line), prog_name="hyperrank")
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    TABLE.to_csv(folder / "t.csv", index=False)
    TABLE.to_parquet(folder / "t.parquet")
    (folder / "t.txt").write_text(letor(qid=True))
    (folder / "no_qid.txt").write_text(letor(qid=False))
    (folder / "sizes").write_text("6\n" * 8)
    hr(f"fit {folder / 't.csv'} --labels relevance,clicks --out {folder / 'm.safetensors'} {TINY}")
    return folder


@pytest.fixture
def here(folder, monkeypatch, tmp_path) -> Path:
    """The files, in a folder of the test's own."""
    for path in folder.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        # Before: "pass group=", "name the column by qid=", which only Python has.
        ("predict m.safetensors no_qid.txt", "the lines have no 'qid:'; pass --group"),
        ("fit t.csv --labels relevance --out m --qid query", "name it by --qid. Did you mean 'qid'?"),
        ("convert t.csv s", "t.csv is a table: name its label columns by --labels"),
        ("front m.safetensors t.csv --by market", "t.csv has no column 'market'. Its columns are"),
        ("select m.safetensors t.csv --confidence 0.9", "give at_least, as in --at-least relevance=0.98."),
        # Before, two trade-offs were measured.
        ("front m.safetensors t.csv --points 1", "--points 1: a front of 2 objectives has 2 ends at least"),
    ],
)
def test_advice_names_options(here, line, expected):
    assert expected in hr(line, code=1).stderr


@pytest.mark.filterwarnings("always")
def test_validation_on_queries_of_training_is_told_of(here):
    """Before, in silence."""
    TABLE[:42].to_csv("valid.csv", index=False)
    told = hr(f"fit t.csv --labels relevance,clicks --out v.m --validation valid.csv {TINY}").stderr
    assert "queries of --validation are in X, with the same rows" in told


def test_data_that_the_model_reads_are_not_told_of_other_features(here):
    """Before, "leave it out by drop=", which predict has not."""
    TABLE.assign(a="x").to_csv("text.csv", index=False)
    error = hr("predict m.safetensors text.csv", code=1).stderr
    assert "fit --categorical a if it is categories, leave it out of fit by --drop" in error


def test_validation_labels_of_a_store_go_by_name(here):
    """Before, by their place in the store."""
    TABLE[:42].to_csv("valid.csv", index=False)
    hr("convert t.csv t.store --labels relevance,clicks")
    hr("convert valid.csv a.store --labels relevance,clicks")
    hr("convert valid.csv b.store --labels clicks,relevance")
    fit = f"fit t.store {TINY} --set early_stopping=true --json --out"
    found = [json.loads(hr(f"{fit} {name}.m --validation {name}.store").stdout) for name in "ab"]
    assert found[0]["best_score"] == found[1]["best_score"]


def test_text_without_query_ids_is_read_by_every_command(here):
    """Before, convert alone took --group."""
    fit = "--label-features clicks=3 --out g.safetensors"
    hr(f"fit no_qid.txt --group sizes {fit} {TINY}")
    found = json.loads(hr("predict g.safetensors no_qid.txt --group sizes --json").stdout)
    assert found["qid"] == QID.tolist()
    hr("front g.safetensors no_qid.txt --group sizes --label-features clicks=3 --points 3 --quiet")
    assert (
        "is not LETOR text, which --group is for" in hr("predict m.safetensors t.csv --group sizes", 1).stderr
    )


def test_a_trade_off_keeps_its_temperature(here):
    """Before, predict served it at temperature 1, and neither the JSON nor the lines to copy had another."""
    printed = hr("select m.safetensors t.csv --temperature 0.3 --knee --out k.json").stdout
    assert json.loads(Path("k.json").read_text())["temperature"] == 0.3
    chosen = json.loads(hr("predict m.safetensors t.csv --weights k.json --json").stdout)
    assert chosen["temperature"] == 0.3
    *_, shell, python = printed.splitlines()
    assert shell.endswith(" --temperature 0.3")
    assert python.endswith(", temperature=0.3)")
    typed = json.loads(hr(f"predict m.safetensors t.csv {shell} --json").stdout)
    assert typed["score"] == chosen["score"]
    error = hr("predict m.safetensors t.csv --weights k.json --temperature 1", code=1).stderr
    assert "k.json has temperature 0.3, and --temperature 1 was also given: leave" in error
    assert "the weights alone, relevance=" in error
    card = json.loads(hr("describe m.safetensors --trade-off k.json --json").stdout)
    assert card["trade_offs"]["k"]["temperature"] == 0.3


@pytest.mark.filterwarnings("ignore:labels in y look like other units")
def test_labels_are_graded_as_for_the_fit(here):
    """Before, fronts of a model of grades were measured on raw clicks unless --grade was repeated."""
    hr(f"fit t.csv --labels relevance,clicks --grade clicks --out g.safetensors {TINY}")
    repeated = json.loads(hr("front g.safetensors t.csv --grade clicks --json --points 3").stdout)
    found = hr("front g.safetensors t.csv --json --points 3")
    assert json.loads(found.stdout) == repeated
    assert "clicks: graded by quantile within the query, as for the fit of the model." in found.stderr
    assert json.loads(hr("front m.safetensors t.csv --json --points 3").stdout) != repeated
    other = hr("front m.safetensors t.csv --grade clicks --json --points 3")
    assert "Warning: --grade clicks: the model was fitted on values that were not graded." in other.stderr
    assert json.loads(hr("describe g.safetensors --json").stdout)["graded"] == ["clicks"]


@pytest.mark.skipif(os.name != "posix", reason="devices of POSIX")
@pytest.mark.parametrize("kind", ["device", "pipe", "folder"])
@pytest.mark.parametrize(
    "line",
    [
        f"fit t.csv --labels relevance,clicks {TINY} --out {{}} --force",
        "predict m.safetensors t.csv --out {}.csv --force",
        "front m.safetensors t.csv --points 3 --out {}.json --force",
        "export m.safetensors {}.onnx --force",
    ],
)
def test_outputs_are_regular_files(here, line, kind):
    """Before, fit --force replaced a device for the whole machine, and a pipe by a file."""
    suffix = line.partition("{}")[2].split()[0] if "{}." in line else ""
    target = Path(f"target{suffix}")
    if kind == "device":
        target.symlink_to(os.devnull)
    elif kind == "pipe":
        os.mkfifo(target)
    else:
        target.mkdir()
    before = target.stat()
    error = hr(line.format("target"), code=1).stderr
    assert "expected the name of a file" in error
    assert target.stat().st_mode == before.st_mode


def test_a_model_is_not_named_like_another_format(here):
    """Before, m.pkl was a safetensors file, found out by whoever opened it."""
    error = hr(f"fit t.csv --labels relevance {TINY} --out m.pkl", code=1).stderr
    assert "m.pkl ends in .pkl, but what is written is safetensors" in error
    assert "rows of" not in error, "before the data are read"


def test_names_in_files_cannot_command_the_terminal(here):
    """Before, describe printed them as they are."""
    evil = TABLE.rename(columns={"a": "a\x1b[31m", "b": "b\u202ex"})
    evil.to_parquet("e.parquet")
    hr("convert e.parquet s --labels relevance,clicks")
    shown = hr("describe s").stdout
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "a\\x1b[31m" in shown
    assert "\x1b" not in hr("fit e.parquet --labels relevance --drop nothing --out x", code=1).stderr


def test_a_closed_stderr_is_no_reason_to_fail(here):
    """Before, an error of sys.stderr.isatty()."""
    command = [sys.executable, "-m", "hyperrank", "predict", "m.safetensors", "t.csv", "--out", "s.csv"]
    subprocess.run(["sh", "-c", shlex.join(command) + " 2>&-"], check=True, timeout=120)
    assert len(pd.read_csv("s.csv")) == 48


def _interrupt(monkeypatch):
    over = Steps.over

    def interrupt(self, which):
        signal.raise_signal(signal.SIGINT)
        return over(self, which)

    monkeypatch.setattr(Steps, "over", interrupt)


def test_ctrl_c_writes_no_model(here, monkeypatch):
    """Before, Ctrl-C without --checkpoint wrote what had been learnt by then, with exit code 0."""
    _interrupt(monkeypatch)
    fit = f"fit t.csv --labels relevance,clicks {TINY} --out new.safetensors"
    assert hr(fit, code=130).stderr.endswith("Interrupted.\n")
    assert not Path("new.safetensors").exists()


def test_a_failed_fit_keeps_its_checkpoint(here, monkeypatch):
    """Before, the checkpoint was deleted before the model was there: a full disk cost both."""

    def full(*_):
        raise OSError(28, "No space left on device", "new.safetensors")

    fit = f"fit t.csv --labels relevance,clicks {TINY} --out new.safetensors --checkpoint c"
    fit += " --set checkpoint__every=0"
    with monkeypatch.context() as patch:
        patch.setattr(HyperDPORanker, "save", full)
        assert "No space left" in hr(fit, code=1).stderr
    assert Path("c").exists()
    hr(f"{fit} --resume")
    assert not Path("c").exists()
    expected = Path("m.safetensors").stat().st_size
    assert abs(Path("new.safetensors").stat().st_size - expected) < 100
