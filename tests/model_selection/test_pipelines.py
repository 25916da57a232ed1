"""Trade-offs and validation data through a Pipeline, nested parameters, and rankers in other processes."""

import subprocess
import sys

import joblib
import numpy as np
import pytest
import sklearn
from lightgbm import LGBMRanker
from sklearn.base import clone
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from hyperrank import HyperDPORanker, MixedScoresRanker, QueryLists, datasets
from hyperrank.model_selection import make_ranking_scorer
from hyperrank.networks import MLP

QUICK = {"max_epochs": 2, "network": MLP(hidden=(4, 4)), "reference": None, "random_state": 0}
AT = [0.8, 0.2]


@pytest.fixture(scope="module")
def held_out():
    return datasets.make_multilabel_ranking(
        n_queries=9, list_size=(3, 9), n_features=4, n_objectives=2, random_state=6
    )


@pytest.fixture(scope="module")
def alone(lists):
    """The ranker on features that were scaled by hand."""
    X = StandardScaler().fit_transform(lists.X)
    return HyperDPORanker(**QUICK).fit(X, lists.Y, qid=lists.qid), X


@pytest.mark.usefixtures("routing")
def test_trade_offs_pass_through_a_pipeline_with_routing(lists, alone):
    pipe = make_pipeline(StandardScaler(), HyperDPORanker(**QUICK)).fit(lists.X, lists.Y, qid=lists.qid)
    own, X = alone
    options = {"qid": lists.qid, "weights": AT}
    np.testing.assert_array_equal(
        pipe.predict(lists.X, temperature=2, **options), own.predict(X, temperature=2, **options)
    )
    assert pipe.predict(lists.X, qid=lists.qid, weights=np.eye(2)).shape == (len(lists.X), 2)
    assert pipe.score(lists.X, lists.Y, **options) == own.score(X, lists.Y, **options)
    by_query = (lists.qid % 3).astype(float)
    assert pipe.score(lists.X, lists.Y, sample_weight=by_query, **options) == own.score(
        X, lists.Y, sample_weight=by_query, **options
    )


def test_trade_offs_pass_through_a_pipeline_without_routing(lists, alone):
    pipe = make_pipeline(StandardScaler(), HyperDPORanker(**QUICK))
    pipe.fit(lists.X, lists.Y, hyperdporanker__qid=lists.qid)
    own, X = alone
    options = {"qid": lists.qid, "weights": AT}
    np.testing.assert_array_equal(pipe.predict(lists.X, **options), own.predict(X, **options))
    np.testing.assert_array_equal(
        pipe.predict(lists.X, temperature=0.5, **options), own.predict(X, temperature=0.5, **options)
    )
    scorer = make_ranking_scorer(weights=AT)
    expected = own.score(X, lists.Y, **options)
    assert scorer(pipe, lists.X, lists.Y, qid=lists.qid) == pytest.approx(expected)
    # scikit-learn drops both arguments here without a word, as docs/sklearn.md warns.
    assert pipe.score(lists.X, lists.Y, **options) == own.score(X, lists.Y)


@pytest.mark.usefixtures("routing")
def test_validation_data_are_transformed_like_training_data(lists, held_out, alone):
    ranker = HyperDPORanker(**QUICK).set_fit_request(X_val=True, y_val=True, qid_val=True)
    pipe = Pipeline([("scale", StandardScaler()), ("rank", ranker)], transform_input=["X_val"])
    pipe.fit(lists.X, lists.Y, qid=lists.qid, X_val=held_out.X, y_val=held_out.Y, qid_val=held_out.qid)
    X = alone[1]
    scaled = StandardScaler().fit(lists.X).transform(held_out.X)
    own = HyperDPORanker(**QUICK)
    own.fit(X, lists.Y, qid=lists.qid, X_val=scaled, y_val=held_out.Y, qid_val=held_out.qid)
    assert np.isfinite(own.best_score_)
    assert pipe["rank"].best_score_ == own.best_score_
    np.testing.assert_array_equal(pipe.predict(held_out.X), own.predict(scaled))


def test_parameters_of_nested_references():
    nested = HyperDPORanker(reference=HyperDPORanker(reference=LGBMRanker(n_estimators=3)))
    assert nested.get_params()["reference__reference__n_estimators"] == 3
    copy = clone(nested).set_params(reference__reference__n_estimators=7, reference__beta=0.5)
    assert copy.reference.reference.n_estimators == 7
    assert (nested.reference.reference.n_estimators, nested.reference.beta) == (3, "auto")
    assert "reference__n_estimators" not in HyperDPORanker().get_params()
    with pytest.raises(ValueError, match="Invalid parameter 'trees'"):
        nested.set_params(reference__trees=1)


def test_cloning_forgets_the_fit_of_a_reference_unless_frozen(lists):
    from sklearn.frozen import FrozenEstimator

    group = QueryLists.from_qid(lists.qid).sizes
    booster = LGBMRanker(n_estimators=2, n_jobs=1, verbose=-1).fit(lists.X, lists.Y[:, 0], group=group)
    assert not hasattr(clone(HyperDPORanker(reference=booster)).reference, "booster_")
    kept = clone(HyperDPORanker(**(QUICK | {"reference": FrozenEstimator(booster)})))
    kept.fit(lists.X, lists.Y, qid=lists.qid)
    np.testing.assert_allclose(kept.predict(lists.X, temperature=0), booster.predict(lists.X))


LOAD = """
import joblib, sys
import numpy as np
ranker, X, qid, expected = joblib.load(sys.argv[1])
np.testing.assert_array_equal(ranker.predict(X, qid=qid, weights=[0.8, 0.2]), expected)
joblib.dump(ranker, sys.argv[2])
"""


def test_rankers_go_to_other_processes_and_back(lists, tmp_path):
    ranker = HyperDPORanker(**(QUICK | {"reference": "boosters"})).fit(lists.X, lists.Y, qid=lists.qid)
    scores = ranker.predict(lists.X, qid=lists.qid, weights=AT)
    sent, back = tmp_path / "sent.joblib", tmp_path / "back.joblib"
    joblib.dump((ranker, lists.X, lists.qid, scores), sent)
    subprocess.run([sys.executable, "-c", LOAD, str(sent), str(back)], check=True)
    for mode in (None, "r"):  # read into memory, or mapped from the file
        again = joblib.load(back, mmap_mode=mode)
        np.testing.assert_array_equal(again.predict(lists.X, qid=lists.qid, weights=AT), scores)


@pytest.mark.parametrize(
    "ranker",
    [
        HyperDPORanker(**QUICK),
        HyperDPORanker(**(QUICK | {"reference": "boosters"})),
        MixedScoresRanker(random_state=0),
    ],
    ids=["network", "boosters", "mixed"],
)
def test_skops_keeps_rankers_without_pickle(ranker, lists):
    skops = pytest.importorskip("skops.io")
    ranker = clone(ranker).fit(lists.X, lists.Y, qid=lists.qid)
    stored = skops.dumps(ranker)
    types = skops.get_untrusted_types(data=stored)
    assert all(name.startswith("hyperrank.") for name in types), types
    again = skops.loads(stored, trusted=types)
    np.testing.assert_array_equal(
        again.predict(lists.X, qid=lists.qid, weights=AT), ranker.predict(lists.X, qid=lists.qid, weights=AT)
    )


def test_routing_is_off_unless_asked_for():
    """The tests above mean what they say."""
    assert not sklearn.get_config()["enable_metadata_routing"]
