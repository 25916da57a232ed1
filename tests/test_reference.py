"""References that are fitted here: what their scores are made of, against the models fitted by hand."""

import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMRanker
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import LinearRegression

from hyperrank import HyperDPORanker, MixedScoresRanker, QueryLists, datasets
from hyperrank.boosters import booster_scores, fit_booster
from hyperrank.lists import within_list_deviation
from hyperrank.networks import MLP
from hyperrank.networks.query_normalization import join_standardized
from hyperrank.reference.fit import PAIR_PARAMS

FEW_TREES = {"num_boost_round": 10, "num_leaves": 5, "min_data_in_leaf": 5}


@pytest.fixture(scope="module")
def data():
    return datasets.make_multilabel_ranking(
        n_queries=30, list_size=(5, 20), n_features=6, n_objectives=2, random_state=0
    )


def test_a_deviation_is_that_within_lists():
    lists = QueryLists.from_sizes([2, 2])
    assert within_list_deviation(np.array([0.0, 2.0, 10.0, 12.0]), lists) == pytest.approx(1.0)
    assert within_list_deviation(np.array([5.0, 5.0, 7.0, 7.0]), lists) == 1.0  # nothing to divide by


def test_booster_pairs_add_regressions_on_the_grades_to_the_ranking_booster(data):
    ranker = HyperDPORanker(booster_params=FEW_TREES, max_epochs=1, network=MLP(hidden=(4,)), random_state=0)
    ranker.fit(data.X, data.Y, qid=data.qid)
    found = ranker.predict(data.X, qid=data.qid, weights=[[1, 0], [0, 1], [0.3, 0.7]], temperature=0)

    lists = QueryLists.from_qid(data.qid)
    X, Y = np.asarray(lists.group(data.X), np.float32), lists.group(data.Y)
    seed = int(np.random.RandomState(0).randint(2**31 - 1))
    ends = []
    for labels in Y.T:
        total = 0.0
        # The ranking booster and one of the regressions see each document beside the others of its list too.
        joined = join_standardized(X, lists)
        for objective, seen in (("lambdarank", joined), ("regression", X), ("regression", joined)):
            params = {**PAIR_PARAMS, **FEW_TREES, "objective": objective}
            scores = booster_scores(fit_booster(seen, labels, lists, params=params, seed=seed), seen)
            total = total + scores / within_list_deviation(scores, lists)
        ends.append(lists.ungroup(total / within_list_deviation(total, lists)))
    np.testing.assert_allclose(found[:, :2], np.column_stack(ends))
    np.testing.assert_allclose(found[:, 2], 0.3 * ends[0] + 0.7 * ends[1])


@pytest.mark.parametrize("reference", ["booster_pairs", "boosters"])
def test_boosters_see_lists_where_queries_are_given_and_rows_alone_where_not(reference, data):
    options = {"booster_params": FEW_TREES, "max_epochs": 1, "network": MLP(hidden=(4,)), "random_state": 0}
    with_lists = HyperDPORanker(reference, **options).fit(data.X, data.Y, qid=data.qid)
    some = data.qid == data.qid[0]
    among = with_lists.predict(data.X, qid=data.qid, temperature=0)[some]
    np.testing.assert_array_equal(with_lists.predict(data.X[some], temperature=0), among)
    assert not np.array_equal(with_lists.predict(data.X[:1], temperature=0), among[:1])
    alone = HyperDPORanker(reference, query_standardize=False, **options).fit(data.X, data.Y, qid=data.qid)
    np.testing.assert_array_equal(
        alone.predict(data.X[:1], temperature=0), alone.predict(data.X, qid=data.qid, temperature=0)[:1]
    )


def test_any_estimator_may_be_mixed(data):
    ranker = MixedScoresRanker(LinearRegression()).fit(data.X, data.Y, qid=data.qid)
    lists = QueryLists.from_qid(data.qid)
    ends = []
    for labels in data.Y.T:
        scores = LinearRegression().fit(data.X, labels).predict(data.X)
        ends.append(scores / within_list_deviation(lists.group(scores), lists))
    found = ranker.predict(data.X, weights=[[1, 0], [0, 1], [0.5, 0.5]])
    np.testing.assert_allclose(found, np.column_stack([*ends, (ends[0] + ends[1]) / 2]), atol=1e-5)
    front = ranker.pareto_front(data.X, data.Y, qid=data.qid)
    assert front.reference is not None


@pytest.mark.parametrize(
    "estimator", [LGBMRanker(n_estimators=3, verbose=-1), ExtraTreesRegressor(5, random_state=0)]
)
def test_mixed_estimators_get_queries_and_frames_as_they_want_them(estimator, data):
    frame = pd.DataFrame(data.X, columns=[f"f{j}" for j in range(data.X.shape[1])])
    labels = data.Y.copy()
    labels[::7, 1] = np.nan
    shuffled = np.random.default_rng(0).permutation(len(frame))
    ranker = MixedScoresRanker(estimator)
    ranker.fit(frame.iloc[shuffled], labels[shuffled], qid=data.qid[shuffled])
    assert np.isfinite(ranker.predict(frame, weights=[0.5, 0.5])).all()
    assert not hasattr(estimator, "fitted_")


@pytest.mark.parametrize(
    ("params", "options", "message"),
    [
        ({"estimator": "forest"}, {}, "estimator must have fit and predict"),
        ({"estimator": LinearRegression(), "booster_params": {}}, {}, "booster_params"),
        ({"estimator": LinearRegression()}, {"query_weight": True}, "query_weight"),
    ],
)
def test_what_cannot_be_mixed_is_refused(params, options, message, data):
    given = {"query_weight": np.ones(len(data.X))} if options else {}
    with pytest.raises(ValueError, match=message):
        MixedScoresRanker(**params).fit(data.X, data.Y, qid=data.qid, **given)


def test_an_objective_without_labels_is_named(data):
    labels = data.Y.copy()
    labels[:, 1] = np.nan
    with pytest.raises(ValueError, match="label"):
        MixedScoresRanker(LinearRegression()).fit(data.X, labels, qid=data.qid)
