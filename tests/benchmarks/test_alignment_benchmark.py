"""The alignment benchmark: every method on the tiny model, runs kept, and what is missing named."""

import json
from argparse import Namespace

import pytest

pytest.importorskip("transformers", reason='pip install "hyperrank[llm]"')
pytest.importorskip("peft", reason='pip install "hyperrank[llm]"')

from benchmarks import alignment, alignment_report, alignment_runs, alignment_sources, alignment_speed

pytestmark = pytest.mark.slow

FEW = [
    "--model",
    "tiny",
    "--data",
    "letters",
    "--steps",
    "2",
    "--train",
    "8",
    "--test",
    "4",
    "--divisions",
    "2",
]
FEW += ["--text-tokens", "4", "--prompt-tokens", "64"]


def test_all_methods_are_compared_once(tmp_path, capsys, monkeypatch):
    given = [*FEW, "--out", str(tmp_path)]
    assert alignment.main(given) == 0
    first = capsys.readouterr().out.rpartition("## tiny")[2]
    for label, _ in alignment_runs.METHODS.values():
        assert f"| {label}, seed 0 " in first
    for mix in ("1 : 0", "0.5 : 0.5", "0 : 1"):
        assert f"| {mix} " in first
    assert "2 steps of 4 lists, seed 0" in first
    # The same command reads what it came to.
    monkeypatch.setattr(alignment_runs, "HyperPromptAligner", None)
    assert alignment.main(given) == 0
    assert capsys.readouterr().out.rpartition("## tiny")[2].split("- Commit")[0] == first.split("- Commit")[0]
    # A page gets the tables of recorded runs, and keeps what is around them.
    page = tmp_path / "page.md"
    page.write_text(f"Before.\n\n{alignment_report.BEGIN}\n\nyesterday\n\n{alignment_report.END}\n\nAfter.\n")
    assert alignment.main(["--report", str(tmp_path / "tiny-letters"), "--page", str(page)]) == 0
    assert page.read_text().startswith("Before.")
    assert page.read_text().endswith("After.\n")
    assert "| LoRA shared out and mixed, max steps 2, seed 0 " in page.read_text()
    assert "yesterday" not in page.read_text()
    # At a corner the soup is the run of that corner.
    soup, runs = (
        json.loads((tmp_path / "tiny-letters" / f"{n}-0.json").read_text())
        for n in ("soup", "dpo-per-weight")
    )
    for at in (0, 2):
        assert [row[at] for row in soup["right"]] == [row[at] for row in runs["right"]]


def test_real_pairs_are_short_and_split_by_prompt(shared_data, tmp_path, monkeypatch):
    monkeypatch.setenv("HYPERRANK_DATA", str(shared_data))
    options = Namespace(train=20, test=10, seed=0, response_tokens=100, prompt_tokens=60)
    source = alignment_sources.hh_rlhf(options, alignment_sources.tiny(tmp_path))
    assert (len(source.train), len(source.test)) == (20, 10)
    assert source.train.names == ("harmlessness", "brevity")
    assert not set(source.train.prompts) & set(source.test.prompts)
    assert max(len(text) for texts in source.train.responses for text in texts) < 100


def test_speed_is_measured_in_processes_of_their_own(tmp_path, capsys):
    given = ["--model", "tiny", "--steps", "1", "--repeats", "1", "--ways", "lora", "--out", str(tmp_path)]
    assert alignment_speed.main(given) == 0
    assert "| hyperrank, LoRA with a core of the weights |" in capsys.readouterr().out


def test_what_is_missing_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HYPERRANK_DATA", str(tmp_path))
    assert alignment.main([*FEW[:2], "--data", "hh-rlhf", "--out", str(tmp_path)]) == 1
    assert "let HYPERRANK_DATA name the folder above" in capsys.readouterr().out

    def absent(name):
        raise alignment_sources.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(alignment_sources.metadata, "files", absent)
    assert alignment.main(["--data", "letters", "--out", str(tmp_path)]) == 1
    assert "benchmarks/alignment-requirements.txt says how" in capsys.readouterr().out
