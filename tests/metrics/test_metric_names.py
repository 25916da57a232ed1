"""Metrics by name."""

import pickle
import subprocess
import sys

import numpy as np
import pytest

from hyperrank import metrics
from hyperrank.metrics import Metric, parse_metric, registry

NAMED = {
    "ndcg@10": Metric("ndcg", 10),
    "ndcg": Metric("ndcg"),
    "map": Metric("map"),
    "ap@5": Metric("map", 5),
    "MRR@10": Metric("mrr", 10),
    "rr": Metric("mrr"),
    "precision@5": Metric("precision", 5),
    " P @ 5 ": Metric("precision", 5),
    "err@20": Metric("err", 20),
    "err(max_label=4)@20": Metric("err", 20, (("max_label", 4),)),
    "err(max_label=0.5)": Metric("err", None, (("max_label", 0.5),)),
    "ndcg(convention=ir-measures)@3": Metric("ndcg", 3, (("convention", "ir-measures"),)),
    "mrr(relevant_from=0.5, empty=skip)": Metric("mrr", None, (("relevant_from", 0.5), ("empty", "skip"))),
}


@pytest.mark.parametrize(("name", "metric"), NAMED.items())
def test_parse(name, metric):
    assert parse_metric(name) == metric


@pytest.mark.parametrize("metric", NAMED.values(), ids=str)
def test_there_and_back(metric):
    assert parse_metric(str(metric)) == metric
    assert parse_metric(metric) is metric
    assert pickle.loads(pickle.dumps(metric)) == metric
    assert hash(metric) == hash(parse_metric(str(metric)))


def test_written_as_the_rest_of_the_house_writes_it():
    assert str(Metric("ndcg", 10)) == "ndcg@10"
    assert str(Metric("map")) == "map"


@pytest.mark.parametrize(
    ("name", "function", "options"),
    [
        ("ndcg@2", metrics.ndcg, {"k": 2}),
        ("ndcg(gain=linear)", metrics.ndcg, {"gain": "linear"}),
        ("map@2", metrics.average_precision, {"k": 2}),
        ("mrr", metrics.mrr, {}),
        ("p@2", metrics.precision, {"k": 2}),
        ("err(max_label=9)@2", metrics.err, {"k": 2, "max_label": 9}),
    ],
)
def test_call_is_that_of_the_function(name, function, options):
    rng = np.random.default_rng(0)
    scores, labels, qid = rng.random((30, 2)), rng.integers(0, 3, size=(30, 3)), np.arange(30) % 4
    for per_query in (False, True):
        found = parse_metric(name)(scores, labels, qid=qid, per_query=per_query)
        wanted = function(scores, labels, qid=qid, per_query=per_query, **options)
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ndgc@10", r"unknown metric 'ndgc'; known are \['err', 'map', 'mrr', 'ndcg', 'precision'\]"),
        ("ndcg@ten", "named like 'ndcg@10'"),
        ("ndcg@0", "at least 1"),
        ("", "named like"),
        (None, "named like"),
        (10, "named like"),
        ("precision", "precision needs a cut-off"),
        ("map(gain=linear)", "metric 'map' has no option 'gain'; it has"),
        ("ndcg(k=3)", "has no option 'k'"),
        ("ndcg(linear)@3", "written key=value; got 'linear'"),
    ],
)
def test_refused(name, message):
    with pytest.raises(ValueError, match=message):
        parse_metric(name)


def test_import_brings_nothing_heavy():
    code = "import sys, hyperrank.metrics; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"torch", "pandas", "sklearn", "lightgbm", "moocore", "ir_measures", "scipy"} & set(loaded)


def hits(scores, labels, k=None):
    return float(labels[np.argsort(-scores)][:k].max() > 0)


@pytest.fixture
def registered():
    before = dict(registry._METRICS)
    metrics.register_metric("hits", hits)
    yield
    registry._METRICS.clear()
    registry._METRICS.update(before)


def test_a_metric_of_ones_own_is_known_by_name(registered):
    scores = np.array([[3.0, 1.0], [1.0, 2.0], [2.0, 3.0], [1.0, 0.0]])
    labels = np.array([[0, np.nan], [1, 1], [1, 0], [np.nan, 0]])
    metric = parse_metric("Hits@1")
    assert str(metric) == "hits@1"
    per_query = metric(scores, labels, qid=[0, 0, 1, 1], per_query=True)
    np.testing.assert_array_equal(per_query, [[[0, 1], [1, 1]], [[1, 0], [1, 0]]])
    np.testing.assert_array_equal(metric(scores, labels, qid=[0, 0, 1, 1]), [[0.5, 0.5], [1, 0.5]])
    assert metric(scores[:, 0], labels[:, 0]) == 0.0
    assert parse_metric(hits)(scores[:, 1], labels[:, 0]) == 1.0
    assert str(parse_metric(hits)) == "hits"


def test_one_call_for_all_lists_is_left_alone(registered):
    def twice(scores, labels, *, qid=None, k=None, per_query=False, gain="linear"):
        return 2 * metrics.ndcg(scores, labels, qid=qid, k=k, per_query=per_query, gain=gain)

    metrics.register_metric("twice", twice)
    assert parse_metric("twice(gain=exp2)@3")([2.0, 1.0], [0, 3]) == 2 * metrics.ndcg([2.0, 1.0], [0, 3])


@pytest.mark.parametrize(
    ("name", "function", "message"),
    [
        ("ndcg", hits, "there is a metric 'ndcg' already"),
        ("p", hits, "there is a metric 'p' already"),
        ("hits", len, "there is a metric 'hits' already"),
        ("hits@3", hits, "a metric's name is a word"),
        (3, hits, "a metric's name is a word"),
    ],
)
def test_names_that_cannot_be_registered(registered, name, function, message):
    with pytest.raises(ValueError, match=message):
        metrics.register_metric(name, function)


def test_what_is_no_function_and_what_has_no_cut_off(registered):
    with pytest.raises(TypeError, match="a metric is a function"):
        metrics.register_metric("seven", 7)
    metrics.register_metric("flat", lambda *_: 0.0)
    with pytest.raises(ValueError, match="'flat' has no cut-off, but @3 was given"):
        parse_metric("flat@3")


@pytest.mark.parametrize("metric", [metrics.ndcg, metrics.err, metrics.average_precision])
def test_masked_labels_are_unobserved_and_masked_scores_refused(metric):
    labels = np.ma.masked_array([2, 9, 0], mask=[False, True, False])
    assert metric([1.0, 3.0, 2.0], labels) == metric([1.0, 3.0, 2.0], [2, np.nan, 0])
    with pytest.raises(ValueError, match="scores must be finite"):
        metric(np.ma.masked_array([1.0, 3.0], mask=[False, True]), [1, 0])
