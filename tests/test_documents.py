"""Code blocks of README and docs: they run, are narrow enough, and split one draw by query."""

import io
import os
import re
import shlex
import subprocess
from contextlib import redirect_stdout
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from hyperrank import datasets
from hyperrank.cli import main
from hyperrank.rankers.dpo import tuning

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
#: Pages that a build of the site makes of files that are tested where they are.
MADE = {DOCS / "changes.md", *(DOCS / "results").glob("*.md")}
TUTORIALS = sorted((DOCS / "tutorials").glob("plot_*.py"))
DOCUMENTS = [ROOT / "README.md", *sorted(set(DOCS.rglob("*.md")) - MADE)]
#: Pages that take longest, or do what README does; `make test-slow` runs them.
LONG = {
    DOCS / f"{name}.md"
    for name in ("alignment", "dask", "export", "index", "scale", "serving", "sklearn", "tour")
}
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(path: Path, language: str) -> list[str]:
    return [code for found, code in BLOCK.findall(path.read_text()) if found == language]


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=[pytest.mark.slow] * (path in LONG)) for path in DOCUMENTS],
    ids=lambda p: str(p.relative_to(ROOT)),
)
def test_python_blocks_run(path, shared_data, monkeypatch, tmp_path):
    """A document is one session: later blocks use names of earlier ones."""
    monkeypatch.setattr(tuning, "CANDIDATES", tuning.CANDIDATES[:2])  # the site's build tries all
    monkeypatch.setenv("HYPERRANK_DATA", str(shared_data))
    monkeypatch.chdir(tmp_path)
    mpl.use("Agg")
    session: dict[str, object] = {}
    with redirect_stdout(io.StringIO()) as printed:
        for number, code in enumerate(blocks(path, "python")):
            exec(compile(code, f"{path.name}, block {number}", "exec"), session)
    if path.name == "README.md":  # the only page whose output is written by hand
        shown, found = (words_of(text) for text in (*blocks(path, "text"), printed.getvalue()))
        assert shown == found


def words_of(output: str) -> list[str]:
    """The words of an output, whatever its numbers."""
    return re.findall(r"[A-Za-z_]+", output)


def run_console(code: str) -> int:
    """Run the lines of a console block in this process; gives their number."""
    lines = code.replace("\\\n", " ").splitlines()
    for line in lines:
        command, *words = shlex.split(line)
        assert command == "hyperrank", line
        done = CliRunner().invoke(main, words)
        assert done.exit_code == 0, f"{line}\n{done.output}"
    return len(lines)


def test_commands_run(monkeypatch, tmp_path):
    """The page on the command line is one session of Python and console blocks."""
    pytest.importorskip("onnxscript", reason="the page exports a ranker")
    monkeypatch.chdir(tmp_path)
    mpl.use("Agg")
    text = (ROOT / "docs" / "cli.md").read_text()
    session: dict[str, object] = {}
    n_commands = 0
    for language, code in BLOCK.findall(text):
        if language == "python":
            exec(compile(code, "cli.md", "exec"), session)
        elif language == "console":
            n_commands += run_console(code)
    assert n_commands > 10


def test_commands_of_the_readme_run(monkeypatch, tmp_path):
    """On tables with the columns that they name; the commands set no seed, so it is set here."""
    monkeypatch.chdir(tmp_path)
    np.random.seed(0)  # noqa: NPY002 - the generator that fit uses without a seed
    data = datasets.make_multilabel_ranking(n_queries=90, n_objectives=2, n_features=4, random_state=0)
    frame = pd.DataFrame(data.X, columns=["a", "b", "c", "d"]).assign(query_id=data.qid)
    frame[["relevance", "clicks"]] = data.Y
    place = np.unique(data.qid, return_inverse=True)[1]
    parts = {"train": place < 60, "valid": (place >= 60) & (place < 90), "test": place >= 75}
    for name, rows in parts.items():
        frame[rows].to_csv(f"{name}.csv", index=False)
    assert sum(run_console(code) for code in blocks(ROOT / "README.md", "console")) == 3
    assert len(pd.read_csv("scores.csv")) == parts["test"].sum()


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_code_fits_the_page(path):
    """At 1400 pixels a line of more than 88 characters would scroll."""
    wide = [
        line for _, code in BLOCK.findall(path.read_text()) for line in code.splitlines() if len(line) > 88
    ]
    assert wide == []


@pytest.mark.parametrize("path", [*DOCUMENTS, *TUTORIALS], ids=lambda p: str(p.relative_to(ROOT)))
def test_one_draw_of_data(path):
    """Two seeds of the generator are two tasks: what is held out comes from the same draw, split by query."""
    draws = re.findall(r"make_multilabel_ranking\((.*?)\)\n", path.read_text(), re.DOTALL)
    seeds = [re.findall(r"random_state=(\w+)", draw) for draw in draws]
    assert len({str(seed) for seed in seeds}) <= 1


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_shell_blocks_name_commands_that_exist(path):
    for code in blocks(path, "bash"):
        for line in filter(None, (line.split("#")[0].strip() for line in code.splitlines())):
            words = line.split()
            if words[0] == "make":
                # A dry run: tests may run under make.
                outer = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
                subprocess.run(
                    ["make", "-n", *words[1:]], cwd=ROOT, check=True, capture_output=True, env=outer
                )
            elif words[:2] == ["python", "-m"]:
                assert (ROOT / (words[2].replace(".", "/") + ".py")).is_file(), line
            elif words[0] == "python":
                assert (ROOT / words[1]).is_file(), line
            else:
                assert words[0] == "pip", f"no test runs {line!r}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text()):
        if "://" not in target:
            assert (path.parent / target).exists(), target
