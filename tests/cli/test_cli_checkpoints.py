"""``hyperrank fit --checkpoint --resume``: one line for the first start and for each after a crash."""

import signal

import pytest
from cli_files import SHORT, same_scores

import hyperrank
from hyperrank.training.loop import Steps

FIT = f"fit train.csv --labels relevance,clicks {SHORT}"


@pytest.fixture
def line(tmp_path):
    return f"{FIT} --out {tmp_path / 'm'} --checkpoint {tmp_path / 'fit'}"


@pytest.fixture
def interrupted(hr, files, line, monkeypatch):
    """What a fit said that Ctrl-C ended in training."""
    over = Steps.over

    def interrupt(self, which):
        signal.raise_signal(signal.SIGINT)
        return over(self, which)

    with monkeypatch.context() as patch:
        patch.setattr(Steps, "over", interrupt)
        return hr(f"{line} --resume", code=130)


def test_without_a_checkpoint_there_yet_it_begins(hr, files, line, tmp_path):
    hr(f"{line} --resume")
    assert [path.name for path in tmp_path.iterdir()] == ["m"]
    assert same_scores(tmp_path / "m", files)
    assert hyperrank.load(tmp_path / "m").checkpoint is None


def test_an_interrupted_fit_goes_on_to_the_same_model(hr, files, line, tmp_path, interrupted):
    assert f"The same command with --resume continues from {tmp_path / 'fit'}." in interrupted.stderr
    assert interrupted.stderr.endswith("Interrupted.\n")
    assert [path.name for path in tmp_path.iterdir()] == ["fit"]
    hr(f"{line} --resume")
    assert same_scores(tmp_path / "m", files)
    assert same_scores(tmp_path / "m", files, relevance=0.2, clicks=0.8)
    assert not (tmp_path / "fit").exists()


def test_an_unfinished_fit_is_not_lost(hr, line, tmp_path, interrupted):
    found = hr(line, code=1)
    assert f"Error: {tmp_path / 'fit'} is there already: --resume continues from it" in found.stderr
    found = hr(f"{line} --resume --set trade_offs__alpha=2", code=1)
    assert "is the checkpoint of another fit: trade_offs__alpha was 1 and is 2" in found.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--resume", "--resume needs the file that the fit was kept in: --checkpoint FILE"),
        ("--checkpoint {0}/m", "--checkpoint and --out are the same file"),
        ("--checkpoint {0}/text --resume", "is not a hyperrank model, or truncated"),
        ("--checkpoint {0}/text", "is not a hyperrank model, or truncated"),
        ("--checkpoint {0}/nowhere/fit", "There is no such folder"),
        ("--checkpoint {0}/fit --set checkpoint=fit", "checkpoint is given twice"),
    ],
    ids=range(6),
)
def test_wrong_options_are_named_before_the_data_are_read(hr, files, tmp_path, options, words):
    (tmp_path / "text").write_text("relevance,clicks\n")
    line = f"fit nothing.csv --labels relevance,clicks --out {tmp_path / 'm'}"
    assert words in hr(f"{line} {options.format(tmp_path)}", code=1).stderr
