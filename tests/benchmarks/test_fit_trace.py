"""Traces of fits: functions and files that were called, and how deep."""

import threading
from pathlib import Path

import pytest

import hyperrank
from benchmarks import fit_trace
from benchmarks.fit_trace import trace_calls
from hyperrank import HyperDPORanker, datasets

HERE = Path(__file__).resolve().parent


def inner():
    return list(range(2))


def outer():
    return inner()


def test_calls_under_a_folder_are_counted():
    with trace_calls(HERE) as calls:
        outer()
        inner()
        thread = threading.Thread(target=outer)
        thread.start()
        thread.join()
    assert calls.by_file == {"test_fit_trace.py": ["inner", "outer"]}
    assert calls.n_functions == 2
    assert calls.deepest == 2
    outer()
    assert calls.n_functions == 2
    with trace_calls(HERE.parent / "none") as elsewhere:
        outer()
    assert elsewhere.by_file == {}


def test_a_fit_passes_at_most_forty_files():
    """More would be more than a reader follows: merge what belongs together, or inline what hides nothing."""
    data = datasets.make_multilabel_ranking(100, list_size=3, n_features=3, n_objectives=2, random_state=0)
    ranker = HyperDPORanker(max_epochs=1, n_jobs=1, random_state=0)
    ranker.fit(data.X, data.Y, qid=data.qid)  # imports what is imported when it is first needed
    with trace_calls(Path(hyperrank.__file__).parent) as calls:
        ranker.fit(data.X, data.Y, qid=data.qid)
    assert len(calls.by_file) <= 40, list(calls.by_file)


@pytest.mark.slow
def test_both_fits_are_traced(capsys):
    assert fit_trace.main(["--queries", "12", "--files"]) == 0
    printed = capsys.readouterr().out
    assert "    rankers/hyperdpo.py: " in printed
    assert "    ensemble/_hist_gradient_boosting/grower.py: " in printed
