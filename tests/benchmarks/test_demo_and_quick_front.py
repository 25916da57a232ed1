"""The demo and the quick comparison."""

import numpy as np
import pytest

from benchmarks import demo, quick_front
from hyperrank import datasets

SHORT = {"max_epochs": 1, "network__hidden": (8, 8)}


def not_there(**_):
    raise datasets.FetchError("The sample is not there:\nno network.")


def test_demo_prints_the_table_and_draws_the_front(tmp_path, capsys):
    few = datasets.make_multilabel_ranking(
        n_queries=30, list_size=(4, 8), n_features=6, n_objectives=2, random_state=0
    )
    demo.show(few, tmp_path / "made", network_params=SHORT)
    printed = capsys.readouterr().out
    picture = (tmp_path / "made" / "front.png").resolve()
    assert str(picture) in printed
    assert picture.read_bytes().startswith(b"\x89PNG")
    for row in (
        "the reference",
        "all weight on objective_1",
        "equal weights",
        "chosen",
        "boosters, scores mixed",
    ):
        assert row in printed


def test_without_the_sample_the_demo_says_so_in_one_line(monkeypatch, capsys):
    monkeypatch.setattr(demo.datasets, "fetch_mslr_sample", not_there)
    made = demo.sample_or_generated(["relevance", "clicks"])
    assert made.Y.shape[1] == 2
    assert np.unique(made.qid).size == 86
    assert capsys.readouterr().out.strip().splitlines() == [
        "Generated data instead of real ones, so figures differ from those quoted: "
        "The sample is not there: no network."
    ]


@pytest.fixture
def compared(monkeypatch):
    """What quick_front hands to the comparison, which is tested elsewhere."""
    calls = []

    def compare(source, methods, **options):
        calls.append((source, methods, options))
        return 0

    monkeypatch.setattr(quick_front, "compare", compare)
    return calls


def test_quick_front_is_a_preset(shared_data, monkeypatch, tmp_path, compared):
    monkeypatch.setenv("HYPERRANK_DATA", str(shared_data))
    assert quick_front.main(["--folds", "2", "--out", str(tmp_path)]) == 0
    ((source, methods, options),) = compared
    assert (source.label, source.objectives) == ("mslr-sample", ("relevance", "quality", "dwell"))
    assert (methods[-1], options["out"], options["n_seeds"]) == ("hyperdpo", tmp_path, 1)


def test_quick_front_without_the_sample(monkeypatch, compared, capsys):
    monkeypatch.setattr(datasets, "fetch_mslr_sample", not_there)
    assert quick_front.main([]) == 0
    assert compared[0][0].label == "synthetic"
    assert "Generated data instead of real ones" in capsys.readouterr().out
    assert quick_front.main(["--objectives", "relevance", "prices"]) == 2
    assert "no objective 'prices'" in capsys.readouterr().err
