"""Metrics by name."""

import pickle
import subprocess
import sys

import numpy as np
import pytest

from hyperrank import metrics
from hyperrank.metrics import Metric, parse_metric

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
