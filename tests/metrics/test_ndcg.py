"""NDCG against its definition."""

import math

import numpy as np
import pytest
from metric_oracles import Lists, ndcg_of_list, ragged

from hyperrank.lists import QueryLists
from hyperrank.metrics import ndcg


def expected(lists: Lists, **choices):
    return np.array([ndcg_of_list(s, z, **choices) for s, z in lists.each()])


@pytest.mark.parametrize("gain", ["exp2", "linear"])
@pytest.mark.parametrize("ties", ["order", "worst"])
@pytest.mark.parametrize("k", [1, 3, 10, 16, 17, 40, None])
def test_equals_the_definition(gain, ties, k):
    lists = ragged(0, tied=True)
    found = ndcg(lists.scores, lists.labels, qid=lists.qid, k=k, gain=gain, ties=ties, per_query=True)
    np.testing.assert_allclose(found, expected(lists, k=k, gain=gain, ties=ties), rtol=1e-12)


@pytest.mark.parametrize("size", range(1, 20))
@pytest.mark.parametrize("ties", ["order", "worst"])
def test_list_shorter_than_the_cutoff(size, ties):
    scores, labels = np.arange(size, dtype=float), np.arange(size) % 3 + 1.0
    wanted = ndcg_of_list(scores, labels, k=12)
    # A longer list beside it makes the tile wider than the list.
    scores, labels = np.append(scores, np.zeros(16)), np.append(labels, np.zeros(16))
    qid = np.repeat([0, 1], [size, 16])
    assert ndcg(scores, labels, qid=qid, k=12, ties=ties) == pytest.approx(wanted, rel=1e-12)


def test_rounding_never_exceeds_one():
    for n in range(1, 100):
        assert ndcg(np.zeros(n), np.ones(n), ties="average") <= 1.0


@pytest.mark.parametrize("k", [1, 3, None])
def test_average_is_the_mean_over_all_orders_of_the_tied(k):
    lists = ragged(1, tied=True, longest=6)
    lists.scores = np.round(lists.scores)
    found = ndcg(lists.scores, lists.labels, qid=lists.qid, k=k, ties="average", per_query=True)
    np.testing.assert_allclose(found, expected(lists, k=k, ties="average"), rtol=1e-12)


@pytest.mark.parametrize("ties", ["order", "average", "worst"])
def test_ways_with_ties_agree_where_there_are_none(ties):
    lists = ragged(2, tied=False)
    found = ndcg(lists.scores, lists.labels, qid=lists.qid, k=10, ties=ties)
    assert found == pytest.approx(np.nanmean(expected(lists, k=10)), rel=1e-12)


def test_three_ways_with_one_tie():
    scores, labels = [1.0, 1.0], [1, 0]
    late = 1 / math.log2(3)
    assert ndcg(scores, labels, ties="order") == 1.0
    assert ndcg(scores, labels, ties="worst") == pytest.approx(late)
    assert ndcg(scores, labels, ties="average") == pytest.approx((1 + late) / 2)


@pytest.mark.parametrize(("empty", "value"), [("zero", 0.5), (0, 0.5), ("one", 1.0), (1, 1.0), ("skip", 1.0)])
def test_all_zero_list(empty, value):
    assert ndcg([2.0, 1.0, 0.0], [1, 0, 0], qid=[0, 0, 1], empty=empty) == value


def test_every_list_skipped_is_nan_without_a_warning():
    assert math.isnan(ndcg([1.0, 2.0], [0, 0]))
    assert math.isnan(ndcg([], []))
    assert np.isnan(ndcg(np.ones((2, 3)), np.zeros((2, 2)))).all()


def test_unobserved_list_is_skipped_under_every_convention():
    nan = float("nan")
    found = ndcg([1.0, 2.0], [nan, 1], qid=[0, 1], empty="one", per_query=True)
    np.testing.assert_array_equal(found, [nan, 1.0])


def test_list_of_size_zero_is_skipped():
    found = ndcg([1.0, 2.0], [0, 1], qid=QueryLists.from_sizes([0, 2, 0]), empty="zero", per_query=True)
    np.testing.assert_array_equal(found, [np.nan, 1.0, np.nan])


@pytest.mark.parametrize("gain", ["exp2", "linear"])
def test_huge_labels_do_not_overflow(gain):
    top = 1e308
    assert ndcg([2.0, 1.0, 0.0], [top, top, top], gain=gain) == 1.0
    assert ndcg([0.0, 1.0], [5000.0, 4999.0]) == pytest.approx(
        (0.5 + 1 / math.log2(3)) / (1 + 0.5 / math.log2(3))
    )


def test_tiny_labels_keep_their_digits():
    # 2^z - 1 is z log 2 to first order, so the ratio is that of linear gains.
    labels, scores = np.array([1e-13, 3e-13, 2e-13]), [3.0, 2.0, 1.0]
    assert ndcg(scores, labels) == pytest.approx(ndcg(scores, labels, gain="linear"), rel=1e-12)


def test_tiny_and_huge_labels_beside_each_other():
    labels, scores = np.array([[2e30, 0.5], [1e30, 3.0], [0.0, 1e-3]]), [2.0, 3.0, 1.0]
    found = ndcg(scores, labels)
    assert found[0] == pytest.approx(1 / math.log2(3))
    assert found[1] == pytest.approx(ndcg_of_list(np.array(scores), labels[:, 1]), rel=1e-14)


@pytest.mark.parametrize("other", [0.5, 33.0])
def test_whole_grades_are_worth_the_same_in_any_company(other):
    # Gains of small whole grades are looked up where all of a tile are such, and computed elsewhere.
    rng = np.random.default_rng(8)
    labels, scores = rng.integers(0, 32, size=(50, 20)).astype(float), rng.normal(size=(50, 20))
    alone = [ndcg(scores[i], labels[i]) for i in range(50)]
    labels, scores = np.append(labels, np.full(20, other)), np.append(scores, np.arange(20.0))
    beside = ndcg(scores, labels, qid=np.repeat(np.arange(51), 20), per_query=True)
    np.testing.assert_allclose(beside[:50], alone, rtol=1e-14)


def test_negative_infinity_is_no_rank_for_the_most_negative_score():
    lowest = -np.finfo(float).max
    assert ndcg([lowest, lowest, lowest], [0, 1, 0], k=2) == pytest.approx(1 / math.log2(3))
    assert ndcg([lowest, lowest, lowest], [0, 0, 1]) == pytest.approx(0.5)


@pytest.mark.parametrize("k", [5, None])
def test_one_long_list_among_short_ones(k):
    rng = np.random.default_rng(5)
    sizes = [1] * 500 + [100_000] + [3] * 50
    lists = QueryLists.from_sizes(sizes)
    scores, labels = rng.random((lists.n_rows, 2)), rng.integers(0, 5, size=lists.n_rows)
    found = ndcg(scores, labels, qid=lists, k=k, per_query=True)
    long = slice(500, 100_500)
    for column in range(2):
        one = ndcg_of_list(scores[long, column], labels[long].astype(float), k=k)
        assert found[500, column] == pytest.approx(one, rel=1e-11)
    assert np.isin(found[:500], [1.0, np.nan]).all() or np.nanmin(found[:500]) == 1.0


def test_float32_scores_are_ranked_as_they_are():
    lists = ragged(6, tied=True)
    wide = ndcg(lists.scores, lists.labels, qid=lists.qid, k=5)
    assert ndcg(lists.scores.astype(np.float32), lists.labels, qid=lists.qid, k=5) == wide
