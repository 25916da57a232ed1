"""Commands that served, or destroyed, what was not meant: the answer before and now."""

import json
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from hyperrank.cli import main

RNG = np.random.default_rng(0)
QID = np.repeat(np.arange(8), 6)
TABLE = pd.DataFrame(
    {
        "qid": QID,
        "a": RNG.normal(size=48).round(3),
        "b": RNG.normal(size=48).round(3),
        "relevance": RNG.integers(0, 4, size=48),
        "clicks": RNG.integers(0, 50, size=48),
    }
)
TINY = "--reference none --seed 0 --set max_epochs=1 --set hidden=[4] --set conditioning=concat --device cpu"


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
    ],
)
def test_advice_names_options(here, line, expected):
    assert expected in hr(line, code=1).stderr


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
