"""Shapes of what goes in and comes out, and what is refused."""

import functools

import numpy as np
import pandas as pd
import pytest
from metric_oracles import ragged

from hyperrank.lists import QueryLists
from hyperrank.metrics import _blocks, average_precision, err, mrr, ndcg, precision

METRICS = {
    "ndcg": functools.partial(ndcg, k=5),
    "ndcg all": ndcg,
    "ndcg worst": functools.partial(ndcg, ties="worst", k=5),
    "ndcg average": functools.partial(ndcg, ties="average", k=5, empty="one"),
    "mrr": mrr,
    "map": average_precision,
    "precision": functools.partial(precision, k=5),
    "err": functools.partial(err, k=5),
}
every_metric = pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)


def several(seed=0, nan=True):
    """Scores (n, 5), labels (n, 3) and qid; the last two objectives lack labels."""
    lists, rng = ragged(seed, tied=True), np.random.default_rng(seed)
    n = len(lists.qid)
    labels = rng.integers(0, 4, size=(n, 3)).astype(float)
    if nan:
        labels[rng.random(n) < 0.2, 1] = np.nan
        labels[lists.qid % 5 == 0, 2] = np.nan
    return rng.integers(0, 9, size=(n, 5)) / 8.0, labels, lists.qid


@every_metric
def test_shapes(metric):
    scores, labels, qid = several()
    n_lists = len(set(qid))
    for s, s_shape in ((scores, (5,)), (scores[:, 0], ()), (scores[:, :1], (1,))):
        for z, z_shape in ((labels, (3,)), (labels[:, 0], ()), (labels[:, :1], (1,))):
            assert np.shape(metric(s, z, qid=qid)) == s_shape + z_shape
            assert metric(s, z, qid=qid, per_query=True).shape == (n_lists, *s_shape, *z_shape)
    assert type(metric(scores[:, 0], labels[:, 0], qid=qid)) is float


@every_metric
@pytest.mark.parametrize("nan", [False, True], ids=["complete", "NaN"])
@pytest.mark.parametrize("tile", [7, 1 << 16])
def test_all_columns_at_once_equal_one_at_a_time(metric, nan, tile, monkeypatch):
    scores, labels, qid = several(nan=nan)
    alone = np.empty((len(set(qid)), 5, 3))
    for i in range(5):
        for j in range(3):
            alone[:, i, j] = metric(scores[:, i], labels[:, j], qid=qid, per_query=True)
    if metric is METRICS["err"]:
        assert (np.nanmax(labels, axis=0) == 3).all()
    monkeypatch.setattr(_blocks, "TILE", tile)
    np.testing.assert_allclose(metric(scores, labels, qid=qid, per_query=True), alone, rtol=1e-13)
    np.testing.assert_allclose(metric(scores, labels, qid=qid), np.nanmean(alone, axis=0), rtol=1e-12)


@every_metric
def test_unobserved_label_means_the_row_is_not_there(metric):
    scores, labels, qid = several()
    for j in (1, 2):
        there = ~np.isnan(labels[:, j])
        wanted = metric(scores[there], labels[there, j], qid=qid[there])
        np.testing.assert_allclose(metric(scores, labels[:, j], qid=qid), wanted, rtol=1e-12)


@every_metric
def test_query_lists_stand_for_query_ids_in_the_order_of_the_caller(metric):
    scores, labels, qid = several()
    by_ids = metric(scores, labels, qid=qid, per_query=True)
    np.testing.assert_array_equal(
        metric(scores, labels, qid=QueryLists.from_qid(qid), per_query=True), by_ids
    )
    names = np.array([f"query {q}" for q in qid])
    np.testing.assert_array_equal(metric(scores, labels, qid=names, per_query=True), by_ids)


@every_metric
def test_inputs_are_left_alone(metric):
    scores, labels, qid = several()
    kept = scores.copy(), labels.copy(), qid.copy()
    for array in (scores, labels, qid):
        array.flags.writeable = False
    metric(scores, labels, qid=qid)
    metric(scores[:, 0], labels[:, 0])
    for array, copy in zip((scores, labels, qid), kept, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_frames_lists_and_columns_in_fortran_order():
    scores, labels, qid = several()
    wanted = ndcg(scores, labels, qid=qid)
    frame = pd.DataFrame(labels, columns=list("abc"))
    np.testing.assert_array_equal(ndcg(pd.DataFrame(scores), frame, qid=pd.Series(qid)), wanted)
    np.testing.assert_array_equal(ndcg(np.asfortranarray(scores), np.asfortranarray(labels), qid=qid), wanted)
    np.testing.assert_array_equal(ndcg(scores.tolist(), labels.tolist(), qid=qid.tolist()), wanted)


@every_metric
@pytest.mark.parametrize(
    ("scores", "labels", "qid", "message"),
    [
        ([1.0, 2.0], [1], None, "scores have 2 rows and labels 1"),
        ([1.0, np.nan], [1, 0], None, r"scores must be finite; got nan at row 1 \(1 such in all\)"),
        ([[1.0, 2.0], [1.0, -np.inf]], [1, 0], None, "scores must be finite; got -inf at row 1, column 1"),
        ([1.0, 2.0], [0, -1], None, "labels must not be negative; got -1.0 at row 1"),
        ([1.0, 2.0], [np.nan, -1], None, "labels must not be negative; got -1.0 at row 1"),
        ([1.0, 2.0], [np.inf, 0], None, "labels must be finite, or NaN where unobserved; got inf at row 0"),
        ([1.0, 2.0], [np.inf, np.nan], None, "labels must be finite"),
        ([[[1.0]]], [1], None, r"scores have shape \(1, 1, 1\); expected \(n,\) or \(n, K\)"),
        ([1.0], np.zeros((1, 0)), None, r"labels have shape \(1, 0\); expected \(n,\) or \(n, m\)"),
        (["high"], [1], None, "scores holds .* not numbers"),
        ([1.0, 2.0], [1, 0], [1], "qid has 1 entries, but there are 2 rows"),
        ([1.0, 2.0], [1, 0], QueryLists.from_sizes([3]), "query lists of 3 rows, but there are 2"),
    ],
)
def test_refused(metric, scores, labels, qid, message):
    with pytest.raises(ValueError, match=message):
        metric(scores, labels, qid=qid)


@pytest.mark.parametrize("metric", [ndcg, mrr, average_precision, precision, err])
@pytest.mark.parametrize("k", [0, -1, 2.5, "10", True])
def test_cutoff_must_be_a_positive_whole_number(metric, k):
    with pytest.raises(ValueError, match="k must be a whole number of at least 1"):
        metric([1.0], [1], k=k)


def test_precision_needs_a_cutoff():
    with pytest.raises(ValueError, match="precision needs a cut-off"):
        precision([1.0], [1], k=None)
