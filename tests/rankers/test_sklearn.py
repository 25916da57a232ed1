"""scikit-learn's own checks, and the ways its users compose estimators."""

import pickle

import numpy as np
import sklearn
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from hyperrank import HyperDPORanker, QueryKFold

QUICK = {"max_epochs": 2, "hidden": (8, 8), "random_state": 0}

CONFIGURATIONS = [
    HyperDPORanker(**QUICK),
    HyperDPORanker(reference=None, loss="plackett_luce", ties="rating", conditioning="hypernetwork", **QUICK),
    HyperDPORanker(reference="lightgbm", conditioning="concat", feature_transform="log", **QUICK),
    HyperDPORanker(booster_inputs=True, query_standardize=False, feature_transform="standard", **QUICK),
]


@parametrize_with_checks(
    CONFIGURATIONS,
    expected_failed_checks=lambda _: {"check_array_api_input": "needs SCIPY_ARRAY_API, which is off here"},
)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def test_pickled_rankers_score_alike(fitted, unseen):
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict(unseen.X), fitted.predict(unseen.X))


def test_grid_search_carries_qid_through_a_pipeline(small):
    with sklearn.config_context(enable_metadata_routing=True):
        pipe = make_pipeline(StandardScaler(), HyperDPORanker(**QUICK))
        search = GridSearchCV(
            pipe, {"hyperdporanker__alpha": [0.5, 1.0]}, cv=QueryKFold(2), error_score="raise"
        )
        search.fit(small.X, small.Y, qid=small.qid)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_clone_keeps_every_parameter():
    ranker = HyperDPORanker("lightgbm", beta=0.3, objectives=("a", "b"), booster_params={"num_leaves": 3})
    assert clone(ranker).get_params() == ranker.get_params()
