"""What a run shows: loss, hypervolume and the time left, or nothing at all."""

import io
import re
import sys

import pytest
from training_helpers import data_of, network_of, run

from hyperrank._progress import ProgressBar, with_progress


def shown(terminal: io.StringIO, verbose: int = 1, *, evaluates: bool = True) -> str:
    evaluate = (lambda _: 0.12345) if evaluates else None
    with ProgressBar(3, verbose=verbose, unit="epoch", leave=True) as bar:
        run(network_of(), data_of(), max_epochs=3, on_epoch=bar.show_epoch, evaluate=evaluate)
    return terminal.getvalue()


def test_a_bar_shows_loss_hypervolume_and_time_left(terminal: io.StringIO) -> None:
    last = shown(terminal).rstrip("\n").split("\r")[-1]
    assert re.search(r"training: +100%", last)
    assert "3/3" in last
    assert re.search(r"loss=\d\.\d{4}", last)
    assert "hypervolume=0.1235" in last
    assert re.search(r"\[\d\d:\d\d<\d\d:\d\d", last)


def test_all_is_shown_in_eighty_columns(terminal: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    last = shown(terminal).rstrip("\n").split("\r")[-1]
    assert len(last) <= 80
    assert last.endswith("hypervolume=0.1235]")


def test_without_validation_there_is_no_hypervolume_to_show(terminal: io.StringIO) -> None:
    found = shown(terminal, evaluates=False)
    assert "loss=" in found
    assert "hypervolume" not in found


def test_quiet_runs_show_nothing(terminal: io.StringIO) -> None:
    assert shown(terminal, verbose=0) == ""
    run(network_of(), data_of(), max_epochs=1)
    assert terminal.getvalue() == ""


def test_a_phase_leaves_no_line_in_a_terminal(terminal: io.StringIO) -> None:
    with ProgressBar(2, verbose=1, desc="boosters") as bar:
        bar.extend(2)
        bar.advance()
    lines = terminal.getvalue().split("\r")
    assert any(line.startswith("boosters:") for line in lines)
    assert not lines[-1].strip()
    assert "\n" not in terminal.getvalue()


def test_a_notebook_gets_the_widget_of_tqdm(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = type("OutStream", (io.StringIO,), {"__module__": "ipykernel.iostream"})()
    monkeypatch.setattr(sys, "stderr", stream)
    made: list[dict] = []
    monkeypatch.setattr("tqdm.auto.tqdm", lambda **options: made.append(options))
    ProgressBar(3, verbose=1)
    assert made[0]["file"] is stream
    assert "{bar}" in made[0]["bar_format"]


def test_a_long_phase_has_more_lines_in_a_log(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hyperrank._progress.SECONDS_BETWEEN_LINES", 0.0)
    with ProgressBar(2, verbose=1, desc="boosters") as bar:
        bar.advance()
        assert "boosters:  50% 1/2" in capfd.readouterr().err
        bar.advance()
    lines = capfd.readouterr().err.splitlines()
    assert lines
    assert all(line.startswith("boosters: 100% 2/2 [") for line in lines)


def test_the_bar_is_closed_when_a_run_fails(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError), ProgressBar(3, verbose=1, leave=True) as bar:
        run(network_of(), data_of(), on_epoch=bar.show_epoch, evaluate=lambda _: 1 / 0)
    assert bar.bar is None
    assert capfd.readouterr().err.endswith("\n")


class Ended(io.StringIO):
    """A pipe that nobody reads any more."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.left = after

    def write(self, text: str) -> int:
        self.left -= 1
        if self.left < 0:
            raise BrokenPipeError
        return len(text)


def closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize(
    "stream", [None, closed(), Ended(0), Ended(4)], ids=["none", "closed", "ended", "ends"]
)
def test_training_goes_on_where_there_is_no_stderr(monkeypatch, stream) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    with ProgressBar(3, verbose=1) as bar:
        result = run(network_of(), data_of(), max_epochs=3, on_epoch=bar.show_epoch)
    assert len(result.history) == 3
    assert list(with_progress("abc", total=3, unit="network", verbose=1)) == ["a", "b", "c"]
