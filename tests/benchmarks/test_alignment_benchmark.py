"""The alignment benchmark: every method on the tiny model, runs kept, and what is missing named."""

import json

import pytest

pytest.importorskip("transformers", reason='pip install "hyperrank[llm]"')
pytest.importorskip("peft", reason='pip install "hyperrank[llm]"')

from benchmarks import alignment, alignment_runs, alignment_sources

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


@pytest.fixture(autouse=True)
def short_texts(monkeypatch):
    monkeypatch.setattr(alignment_runs, "TEXT_TOKENS", 4)


def test_all_methods_are_compared_once(tmp_path, capsys, monkeypatch):
    given = [*FEW, "--out", str(tmp_path), "--plot", str(tmp_path / "fronts.png")]
    assert alignment.main(given) == 0
    first = capsys.readouterr().out
    for label in alignment_runs.METHODS.values():
        assert f"| {label} " in first
    for mix in ("1 : 0", "0.5 : 0.5", "0 : 1"):
        assert f"| {mix} " in first
    assert "2 steps of 16 lists, 1 seed(s)" in first
    assert (tmp_path / "fronts.png").stat().st_size > 1000
    # The same command reads what it came to.
    monkeypatch.setattr(alignment_runs, "HyperPromptAligner", None)
    assert alignment.main(given) == 0
    assert capsys.readouterr().out.split("- Commit")[0] == first.split("- Commit")[0]


def test_the_soup_of_one_is_that_one(tmp_path):
    """At a corner the soup is the run of that corner."""
    methods = ["--methods", "dpo-per-weight", "soup", "--no-texts"]
    assert alignment.main([*FEW, "--out", str(tmp_path), *methods]) == 0
    runs = {path.name.rsplit("-", 2)[0]: json.loads(path.read_text()) for path in tmp_path.glob("*/*.json")}
    for at in (0, 2):
        assert runs["soup"]["points"][at] == runs["dpo-per-weight"]["points"][at]
        assert runs["soup"]["texts"][at] == runs["dpo-per-weight"]["texts"][at]
    assert runs["soup"]["seconds"] < runs["dpo-per-weight"]["seconds"]


def test_real_pairs_are_split_by_prompt(shared_data, monkeypatch):
    monkeypatch.setenv("HYPERRANK_DATA", str(shared_data))
    source = alignment_sources.hh_rlhf(20, 10, 0)
    assert (len(source.train), len(source.test)) == (20, 10)
    assert source.train.names == ("harmlessness", "brevity")
    assert not set(source.train.prompts) & set(source.test.prompts)


def test_what_is_missing_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HYPERRANK_DATA", str(tmp_path))
    assert alignment.main([*FEW[:2], "--data", "hh-rlhf", "--out", str(tmp_path)]) == 1
    assert "let HYPERRANK_DATA name the folder above" in capsys.readouterr().out

    def absent(name):
        raise alignment_sources.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(alignment_sources.metadata, "files", absent)
    assert alignment.main(["--data", "letters", "--out", str(tmp_path)]) == 1
    assert "benchmarks/alignment-requirements.txt says how" in capsys.readouterr().out
