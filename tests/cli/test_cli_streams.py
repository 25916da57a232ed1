"""Tables through pipes, the examples in the help, and what the shell completes."""

import gzip
import io
import json
import shlex
from pathlib import Path

import pandas as pd
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from hyperrank.cli import main
from hyperrank.cli._completion import LOSSES, METRICS
from hyperrank.losses import get_loss
from hyperrank.metrics import parse_metric


def hr(line: str, content: bytes | None = None, code: int = 0):
    result = CliRunner().invoke(main, shlex.split(line), prog_name="hyperrank", input=content)
    assert result.exit_code == code, result.output
    return result


def parquet(path: Path) -> bytes:
    buffer = io.BytesIO()
    pd.read_csv(path).to_parquet(buffer)
    return buffer.getvalue()


FORMATS = {
    "CSV": Path.read_bytes,
    "tabs": lambda path: path.read_bytes().replace(b",", b"\t"),
    "gzip": lambda path: gzip.compress(path.read_bytes()),
    "Parquet": parquet,
}


@pytest.mark.parametrize("kind", FORMATS)
def test_data_come_from_standard_input(files, kind):
    expected = hr(f"predict {files.model} {files / 'test.csv'}").stdout
    content = FORMATS[kind](files / "test.csv")
    assert hr(f"predict {files.model} - --out -", content).stdout == expected


def test_letor_text_comes_from_standard_input(files, tmp_path):
    content = (files / "train.txt").read_bytes()
    line = f"--label-features clicks=7 --out {tmp_path / 'm'} --set max_epochs=1 --reference none --quiet"
    hr(f"fit - {line}", content)
    hr(f"fit - {line} --force", gzip.compress(content))


def test_results_go_to_standard_output(files, tmp_path):
    test = (files / "test.csv").read_bytes()
    front = pd.read_csv(io.StringIO(hr(f"front {files.model} - --points 3 --out -", test).stdout))
    assert "weight_relevance" in front
    choice = hr(f"select {files.model} - --knee --out -", test).stdout
    (tmp_path / "k.json").write_text(choice)
    weights = tmp_path / "w.json"
    weights.write_text(json.dumps(json.loads(choice)["weights"]))
    at = json.loads(choice)["temperature"]
    by_choice, by_weights = (
        hr(f"predict {files.model} - --weights {path}", test).stdout
        for path in (tmp_path / "k.json", f"{weights} --temperature {at}")
    )
    assert by_choice == by_weights


@pytest.mark.parametrize(
    ("line", "content", "code", "expected"),
    [
        ("predict {model} -", b"", 2, "nothing on standard input"),
        ("fit {train} --labels relevance --out -", None, 1, "a model goes to a file"),
        ("front {model} - --out - --json", b"qid\n1\n", 2, "give one of the two"),
        ("front {model} {test} --html -", None, 1, "its name must end in .html"),
    ],
)
def test_what_cannot_go_through_a_pipe_is_refused(files, line, content, code, expected):
    names = {"model": files.model, "train": files / "train.csv", "test": files / "test.csv"}
    assert expected in hr(line.format(**names), content, code).stderr


@pytest.mark.parametrize("name", main.commands)
def test_examples_in_the_help_are_of_options_that_there_are(name):
    command, lines = main.commands[name], hr(f"{name} --help").stdout.partition("Examples:")[2]
    options = {option for param in command.params for option in param.opts}
    words = [word for line in lines.splitlines() for word in line.split()]
    assert f"hyperrank {name} " in lines
    assert {word for word in words if word.startswith("--")} <= options


def completed(line: str) -> list[str]:
    *args, incomplete = line.split(" ")
    items = ShellComplete(main, {}, "hyperrank", "_HYPERRANK_COMPLETE").get_completions(args, incomplete)
    return [item.value for item in items if item.type == "plain"]


def test_values_are_completed(files):
    assert completed(f"fit {files / 'train.csv'} --labels relevance,cl") == ["relevance,clicks"]
    assert completed(f"fit {files / 'train.csv'} --qid q") == ["qid"]
    assert completed(f"predict {files.model} --weights relevance=0.7,c") == ["relevance=0.7,clicks="]
    assert completed(f"predict {files.model} --weights r") == ["relevance="]
    assert completed("fit --loss pl") == ["plackett_luce"]
    assert completed("fit --set boost") == ["booster_params="]
    for nothing in (f"fit {files.model} --labels r", "predict no/such/file --weights r", "fit --labels r"):
        assert completed(nothing) == []


def test_completed_names_are_those_that_there_are():
    assert [type(get_loss(name)) for name in LOSSES]
    with pytest.raises(ValueError, match="must be 'listnet'") as error:
        get_loss("")
    assert all(f"'{name}'" in str(error.value) for name in LOSSES)
    assert [str(parse_metric(name)) for name in METRICS] == list(METRICS)
