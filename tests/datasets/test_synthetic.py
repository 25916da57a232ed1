import time
import tracemalloc

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.ensemble import ExtraTreesRegressor

from hyperrank.datasets import make_multilabel_ranking
from hyperrank.datasets.synthetic import _factors, _mixing
from hyperrank.lists import QueryLists


def same(a, b):
    return all(np.array_equal(getattr(a, f), getattr(b, f), equal_nan=True) for f in ("X", "Y", "qid"))


def rank_agreement(data):
    """Mean rank correlation of the first two objectives within queries."""
    values = []
    for q in np.unique(data.qid):
        labels = data.Y[data.qid == q]
        if (labels.max(axis=0) > labels.min(axis=0)).all():
            values.append(spearmanr(labels[:, 0], labels[:, 1]).statistic)
    return np.mean(values)


def test_shapes_types_and_names():
    data = make_multilabel_ranking(30, 7, 12, 4, random_state=0)
    assert (data.X.shape, data.Y.shape, data.qid.shape) == ((210, 12), (210, 4), (210,))
    assert (data.X.dtype, data.Y.dtype, data.qid.dtype) == (np.float32, np.float32, np.int64)
    assert np.bincount(data.qid).tolist() == [7] * 30
    assert data.names == ("objective_0", "objective_1", "objective_2", "objective_3")
    assert len(set(data.feature_names)) == 12
    assert np.isfinite(data.X).all()
    assert np.isfinite(data.Y).all()


def test_deterministic_and_apart_from_numpys_global_state():
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    first = make_multilabel_ranking(20, random_state=3, missing_features=0.1, missing_labels=0.1)
    assert same(first, make_multilabel_ranking(20, random_state=3, missing_features=0.1, missing_labels=0.1))
    assert not same(first, make_multilabel_ranking(20, 9, random_state=4))
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


@pytest.mark.parametrize("kind", [np.random.default_rng, np.random.RandomState])
def test_a_generator_is_used_and_advanced(kind):
    source = kind(5)
    first = make_multilabel_ranking(5, 6, random_state=source)
    second = make_multilabel_ranking(5, 6, random_state=source)
    assert same(first, make_multilabel_ranking(5, 6, random_state=kind(5)))
    assert not same(first, second)


def test_agreement_falls_as_conflict_grows():
    grid = [0.0, 0.25, 0.5, 0.75, 1.0]
    found = [
        rank_agreement(make_multilabel_ranking(150, 40, 8, 2, conflict=c, noise=0.0, random_state=1))
        for c in grid
    ]
    assert (np.diff(found) < -0.1).all()
    assert found[0] == pytest.approx(1.0)
    assert found[-1] < -0.5


@pytest.mark.parametrize(("n_objectives", "conflict"), [(2, 1.0), (3, 0.4), (5, 1.0), (4, 0.0)])
def test_the_mixing_has_the_correlation_promised(n_objectives, conflict):
    root = _mixing(n_objectives, conflict)
    expected = np.full((n_objectives, n_objectives), 1 - conflict * n_objectives / (n_objectives - 1))
    np.fill_diagonal(expected, 1)
    np.testing.assert_allclose(root @ root, expected, atol=1e-6)


def test_factors_are_centred_and_uncorrelated_within_queries():
    rng, lists = np.random.default_rng(0), QueryLists.from_sizes([5, 1, 40, 200])
    documents, queries = (rng.standard_normal((n, 5), dtype=np.float32) for n in (246, 4))
    factors = _factors(rng, lists, documents, queries, 3)
    sums = np.add.reduceat(factors, lists.offsets[:-1])
    np.testing.assert_allclose(sums, 0, atol=1e-3)
    np.testing.assert_allclose(np.cov(factors.T, bias=True), np.eye(3), atol=1e-4)


def test_noise_weakens_agreement():
    quiet, loud = (
        rank_agreement(make_multilabel_ranking(100, 40, 8, conflict=0.0, noise=n, random_state=1))
        for n in (0.0, 0.6)
    )
    assert loud < quiet - 0.3


def test_the_features_tell_the_labels_as_far_as_noise_lets_them():
    found = []
    for noise in (0.0, 0.9):
        data = make_multilabel_ranking(400, 25, 12, noise=noise, random_state=0)
        train = data.qid < 300
        trees = ExtraTreesRegressor(20, min_samples_leaf=5, random_state=0).fit(data.X[train], data.Y[train])
        guess = trees.predict(data.X[~train])
        found.append([spearmanr(guess[:, j], data.Y[~train, j]).statistic for j in range(3)])
    assert min(found[0]) > 0.2
    assert (np.subtract(*found) > 0.1).all()


def test_grade_shares():
    data = make_multilabel_ranking(500, 20, random_state=0)
    shares = [(g == data.Y).mean(axis=0) for g in range(5)]
    np.testing.assert_allclose(
        shares, np.repeat([[0.52], [0.32], [0.13], [0.02], [0.01]], 3, axis=1), atol=2e-3
    )


def test_queries_differ_in_their_number_of_good_documents():
    data = make_multilabel_ranking(300, 20, noise=0.0, random_state=0)
    good = np.bincount(data.qid, weights=data.Y[:, 0] > 0)
    # Had the queries no shift of their own, the count could spread no more than a binomial one.
    assert good.var() > 1.5 * 20 * 0.48 * 0.52


def test_ragged_sizes():
    sizes = np.bincount(make_multilabel_ranking(3000, (2, 400), 1, 1, random_state=0).qid)
    assert sizes.min() == 2
    assert 300 < sizes.max() <= 400
    assert np.median(sizes) < 0.6 * sizes.mean()


def test_kinds_of_features():
    data = make_multilabel_ranking(60, 30, 40, random_state=0)
    kinds = [name.rpartition("_")[0] for name in data.feature_names]
    assert {k: kinds.count(k) for k in kinds} == {
        "normal": 14,
        "lognormal": 5,
        "student": 5,
        "count": 10,
        "query": 6,
    }
    for j, kind in enumerate(kinds):
        column = data.X[:, j].reshape(60, 30)
        constant = (column == column[:, :1]).all()
        assert constant == (kind == "query"), data.feature_names[j]
        if kind == "count":
            assert (column == np.round(column)).all()
            assert (column == 0).mean() > 0.2
        if kind == "lognormal":
            assert (column > 0).all()
            assert column.mean() > 2 * np.median(column)
        if kind == "student":
            assert np.abs(column).max() > 6 * np.quantile(np.abs(column), 0.68)
    scales = np.median(np.abs(data.X[:, :16]), axis=0)
    assert scales.max() > 100 * scales.min()


def test_missing_shares():
    data = make_multilabel_ranking(200, 20, 20, missing_features=0.3, missing_labels=0.1, random_state=0)
    assert np.isnan(data.X).mean() == pytest.approx(0.3, abs=0.02)
    assert np.isnan(data.Y).mean() == pytest.approx(0.1, abs=0.01)
    of_query = np.isnan(data.X[:, -1]).reshape(200, 20)
    assert (of_query == of_query[:, :1]).all()


@pytest.mark.parametrize("n_objectives", [1, 2, 12])
def test_small_and_wide(n_objectives):
    data = make_multilabel_ranking(3, (1, 2), 2, n_objectives, conflict=1.0, random_state=0)
    assert data.Y.shape[1] == n_objectives
    assert np.isfinite(data.Y).all()


@pytest.mark.slow
def test_the_size_of_mslr_in_seconds_and_little_memory():
    tracemalloc.start()
    start = time.perf_counter()
    data = make_multilabel_ranking(6000, 120, 136, random_state=0)
    assert time.perf_counter() - start < 60
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.3 * (data.X.nbytes + data.Y.nbytes)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_queries": 0}, "n_queries must be a whole number at least 1"),
        ({"list_size": 0}, "list_size"),
        ({"list_size": (5, 4)}, "list_size"),
        ({"conflict": 1.5}, "conflict must be a number at least 0 and at most 1; got 1.5"),
        ({"noise": -0.1}, "noise must be"),
        ({"missing_labels": 1.0}, "missing_labels must be a number at least 0 and below 1"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_multilabel_ranking(random_state=0, **arguments)
