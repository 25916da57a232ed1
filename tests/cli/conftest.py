"""Commands as a user would type them, in a folder with small files."""

import shlex
from collections.abc import Callable

import pytest
from cli_files import LABELS, Files, fitted, frame, letor_lines
from click.testing import CliRunner, Result

from hyperrank import datasets
from hyperrank.cli import main


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> Files:
    folder = tmp_path_factory.mktemp("cli")
    tables = {"train": frame(0), "test": frame(1)}
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False)
        table.to_parquet(folder / f"{name}.parquet", index=False)
        (folder / f"{name}.txt").write_text(letor_lines(table))
        datasets.convert(table, folder / f"{name}.store", labels=LABELS)
    ranker = fitted(tables["train"])
    ranker.save(folder / "model.safetensors")
    return Files(folder, **tables, ranker=ranker)


@pytest.fixture
def files(made, monkeypatch) -> Files:
    """The files, in the folder that commands run in."""
    monkeypatch.chdir(made.folder)
    return made


@pytest.fixture
def hr() -> Callable[..., Result]:
    """Type a command: ``hr("describe model.safetensors")``, which must end with the exit code given."""

    def run(line: str, code: int = 0) -> Result:
        result = CliRunner().invoke(main, shlex.split(line), prog_name="hyperrank")
        assert result.exit_code == code, result.output
        if code:
            assert "Traceback" not in result.output
        return result

    return run
