"""All metrics against ir-measures, and the bridge to it."""

import functools
import shutil

import ir_measures
import numpy as np
import pytest
from metric_oracles import Lists, err_of_list, ragged

from hyperrank.metrics import average_precision, err, ir_measures_report, mrr, ndcg, precision

EXP_GAINS = "gains={1:1,2:3,3:7,4:15}"
PAIRS = [
    ("nDCG@1", functools.partial(ndcg, convention="ir-measures", k=1)),
    ("nDCG@10", functools.partial(ndcg, convention="ir-measures", k=10)),
    ("nDCG", functools.partial(ndcg, convention="ir-measures")),
    (f"nDCG({EXP_GAINS})@10", functools.partial(ndcg, convention="ir-measures-exp", k=10)),
    (f"nDCG({EXP_GAINS})", functools.partial(ndcg, convention="ir-measures-exp")),
    ("RR", mrr),
    ("RR@3", functools.partial(mrr, k=3)),
    ("RR(rel=2)", functools.partial(mrr, relevant_from=2)),
    ("AP", average_precision),
    ("AP@5", functools.partial(average_precision, k=5)),
    ("AP(rel=2)@20", functools.partial(average_precision, relevant_from=2, k=20)),
    ("P@5", functools.partial(precision, k=5)),
    ("P(rel=2)@30", functools.partial(precision, relevant_from=2, k=30)),
]
ROUNDED_PAIRS = [
    ("nDCG(dcg='exp-log2')@5", functools.partial(ndcg, convention="ir-measures-exp", k=5)),
    ("ERR@5", functools.partial(err, max_label=4, k=5)),
    ("ERR@20", functools.partial(err, max_label=4, k=20)),
]


def by_dicts(lists: Lists, measure: str) -> np.ndarray:
    """Ask ir-measures without the bridge; ids make ties break by row.

    trec_eval and gdeval rank higher ids first; MS MARCO's script, which computes RR@k, lower ones.
    """
    step = 1 if measure.startswith("RR@") else -1
    qrels, run = {}, {}
    for i, (scores, labels) in enumerate(lists.each()):
        ids = [f"{500_000 + step * j}" for j in range(len(labels))]
        qrels[str(i)] = dict(zip(ids, map(int, labels), strict=True))
        run[str(i)] = dict(zip(ids, map(float, scores), strict=True))
    found = ir_measures.iter_calc([ir_measures.parse_measure(measure)], qrels, run)
    values = {int(m.query_id): m.value for m in found}
    return np.array([values[i] for i in range(len(qrels))])


@pytest.mark.parametrize(("measure", "metric"), PAIRS, ids=[name for name, _ in PAIRS])
def test_equals_ir_measures(lists, measure, metric):
    theirs = by_dicts(lists, measure)
    ours = metric(lists.scores, lists.labels, qid=lists.qid, per_query=True)
    np.testing.assert_allclose(ours, theirs, atol=1e-12)
    assert metric(lists.scores, lists.labels, qid=lists.qid) == pytest.approx(theirs.mean(), abs=1e-12)


@pytest.mark.skipif(shutil.which("perl") is None, reason="ir-measures computes these by a Perl script")
@pytest.mark.parametrize(("measure", "metric"), ROUNDED_PAIRS, ids=[name for name, _ in ROUNDED_PAIRS])
def test_equals_gdeval_up_to_its_rounding(lists, measure, metric):
    ours = metric(lists.scores, lists.labels, qid=lists.qid, per_query=True)
    np.testing.assert_allclose(ours, by_dicts(lists, measure), atol=5.1e-6)


@pytest.mark.parametrize(("measure", "metric"), PAIRS, ids=[name for name, _ in PAIRS])
def test_bridge_with_unobserved_labels_equals_the_metrics(measure, metric):
    lists = ragged(11, tied=True)
    lists.labels[np.random.default_rng(0).random(len(lists.qid)) < 0.3] = np.nan
    lists.labels[lists.qid == lists.qid[0]] = np.nan
    report = ir_measures_report(lists.scores, lists.labels, [measure], qid=lists.qid)
    ours = metric(lists.scores, lists.labels, qid=lists.qid, per_query=True)
    assert np.isnan(ours[0])
    np.testing.assert_allclose(report.per_query[measure], ours, atol=1e-12)
    assert report.mean[measure] == pytest.approx(np.nanmean(ours), abs=1e-12)


def test_bridge_is_exact_where_32_bit_scores_are_not():
    scores = 1e9 + np.arange(50) / 64
    labels = (np.arange(50) == 40).astype(int)
    assert ir_measures_report(scores, labels, ["RR"]).mean["RR"] == pytest.approx(1 / 10)


def test_bridge_keeps_the_order_of_ids_and_measures():
    qid = np.array(["late", "early", "late", "mid"], dtype=object)
    report = ir_measures_report([1.0, 1.0, 2.0, 3.0], [1, 1, 0, 0], ["RR", "AP", "P@1"], qid=qid)
    assert report.ids.tolist() == ["late", "early", "mid"]
    assert list(report.mean) == list(report.per_query) == ["RR", "AP", "P@1"]
    assert report.per_query["RR"].tolist() == [0.5, 1.0, 0.0]


def test_bridge_without_any_label():
    report = ir_measures_report([1.0], [np.nan], ["RR"])
    assert np.isnan(report.mean["RR"])
    assert np.isnan(report.per_query["RR"]).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0], [0.5]), "takes whole numbers as labels; got 0.5"),
        (([[1.0, 2.0]], [1]), r"scores have shape \(1, 2\) and labels \(1,\)"),
        (([1.0], [1], ["nDGC@10"]), "does not know the measure 'nDGC@10'"),
    ],
)
def test_bridge_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        ir_measures_report(*arguments)


@pytest.mark.skipif(shutil.which("perl") is None, reason="ir-measures computes ERR by a Perl script")
def test_bridge_says_what_gdeval_refuses():
    with pytest.raises(ValueError, match="gdeval, which failed; it takes labels up to 4"):
        ir_measures_report([1.0], [5], ["ERR@10"])


@pytest.mark.parametrize("k", [1, 4, None])
@pytest.mark.parametrize("max_label", [4, 7.5])
def test_err_equals_the_definition(k, max_label):
    lists = ragged(12, tied=True)
    found = err(lists.scores, lists.labels, qid=lists.qid, k=k, max_label=max_label, per_query=True)
    wanted = [err_of_list(s, z, k, max_label) for s, z in lists.each()]
    np.testing.assert_allclose(found, wanted, atol=1e-14)


def test_err_takes_the_highest_label_of_each_objective():
    scores, labels = [3.0, 2.0, 1.0], np.array([[0, 1], [3, np.nan], [2, 0]])
    found = err(scores, labels)
    assert found[0] == err(scores, labels[:, 0], max_label=3)
    assert found[1] == err([3.0, 1.0], [1, 0], max_label=1) == 0.5


def test_err_of_huge_labels():
    assert err([1.0, 0.0], [1e6, 0]) == 1.0
    assert err([0.0, 1.0], [1e6, 0]) == 0.5


@pytest.mark.parametrize(
    ("max_label", "message"),
    [(1, "labels reach 2 in column 0, above max_label=1"), (0, "positive"), (np.inf, "finite")],
)
def test_err_refuses(max_label, message):
    with pytest.raises(ValueError, match=message):
        err([1.0], [2], max_label=max_label)


@pytest.mark.parametrize("metric", [mrr, average_precision, functools.partial(precision, k=1), err])
def test_list_without_relevant_documents(metric):
    arguments = {"scores": [2.0, 1.0, 1.0], "labels": [1, 0, 0], "qid": [0, 0, 1]}
    value = metric(**arguments, empty="skip")
    assert metric(**arguments) == value / 2
    assert metric(**arguments, empty="one") == (value + 1) / 2


def test_relevant_from():
    assert mrr([2.0, 1.0], [0.5, 0.2], relevant_from=0.5) == 1.0
    assert mrr([2.0, 1.0], [0.2, 0.5], relevant_from=0.5) == 0.5
    with pytest.raises(ValueError, match="relevant_from must be positive"):
        mrr([1.0], [1], relevant_from=0)
