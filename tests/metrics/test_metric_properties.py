"""What must hold for any lists."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_metric_inputs import METRICS

from hyperrank.metrics import ndcg

every_metric = pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
few = settings(max_examples=12, deadline=None)


@st.composite
def distinct(draw):
    """Draw scores without ties, labels with a few NaN, and query ids."""
    n = draw(st.integers(1, 40))
    scores = draw(st.permutations(range(n)))
    label = st.one_of(st.integers(0, 5).map(float), st.floats(0, 5), st.just(float("nan")))
    labels = draw(st.lists(label, min_size=n, max_size=n))
    qid = draw(st.lists(st.integers(0, 4), min_size=n, max_size=n))
    return np.array(scores, dtype=float), np.array(labels), np.array(qid)


@every_metric
@few
@given(lists=distinct(), seed=st.integers(0, 99))
def test_order_of_rows_does_not_matter(metric, lists, seed):
    scores, labels, qid = lists
    order = np.random.default_rng(seed).permutation(len(scores))
    shuffled = metric(scores[order], labels[order], qid=qid[order])
    np.testing.assert_allclose(shuffled, metric(scores, labels, qid=qid), rtol=1e-12)


@every_metric
@few
@given(lists=distinct(), stretch=st.sampled_from([np.cbrt, np.exp, lambda s: 7 * s - 300]))
def test_only_the_order_of_scores_matters(metric, lists, stretch):
    scores, labels, qid = lists
    np.testing.assert_array_equal(metric(stretch(scores), labels, qid=qid), metric(scores, labels, qid=qid))


@every_metric
@few
@given(lists=distinct())
def test_between_zero_and_one(metric, lists):
    scores, labels, qid = lists
    values = metric(scores, labels, qid=qid, per_query=True)
    observed = values[~np.isnan(values)]
    assert ((observed >= 0) & (observed <= 1)).all()


@few
@given(lists=distinct(), k=st.sampled_from([1, 3, 20, None]), gain=st.sampled_from(["exp2", "linear"]))
def test_ideal_order_scores_one(lists, k, gain):
    _, labels, qid = lists
    ideal = ndcg(np.nan_to_num(labels), labels, qid=qid, k=k, gain=gain, per_query=True)
    assert (ideal[~np.isnan(ideal)] == 1.0).all()


@few
@given(lists=distinct(), k=st.sampled_from([1, 3, 20, None]), levels=st.integers(1, 4))
def test_worst_is_never_above_average(lists, k, levels):
    scores, labels, qid = lists
    worst, average, order = (
        ndcg(scores % levels, labels, qid=qid, k=k, ties=ties) for ties in ("worst", "average", "order")
    )
    if not np.isnan(worst):
        assert worst <= average + 1e-12
        assert worst <= order + 1e-12
