"""Baselines: what they promise in common with ours, and what each is."""

import numpy as np
import pytest
from sklearn.base import clone

import hyperrank
from hyperrank import (
    EarlyStopping,
    HyperDPORanker,
    LightGBMScalarizationRanker,
    LinearScalarizationRanker,
    MixedScoresRanker,
)
from hyperrank.boosters import booster_scores, fit_booster
from hyperrank.lists import QueryLists
from hyperrank.networks import MLP
from hyperrank.simplex import lattice

FEW_TREES = {"num_boost_round": 8}
QUICK_NETWORK = {
    "max_epochs": 2,
    "network": MLP(hidden=(8, 8)),
    "booster_params": FEW_TREES,
    "random_state": 0,
}


def mixed_scores(**params):
    return MixedScoresRanker(**{"booster_params": FEW_TREES, "random_state": 0, **params})


def lightgbm(weights=3, **params):
    return LightGBMScalarizationRanker(weights, **{"booster_params": FEW_TREES, "random_state": 0, **params})


def networks(weights=3, **params):
    return LinearScalarizationRanker(weights, **{**QUICK_NETWORK, **params})


BASELINES = [
    pytest.param(mixed_scores, id="mixed scores"),
    pytest.param(lightgbm, id="mixed gradients"),
    pytest.param(lambda **params: lightgbm(mixing="labels", **params), id="mixed labels"),
    pytest.param(networks, id="networks"),
]
GRIDS = BASELINES[1:]


@pytest.fixture(scope="module")
def alone(small):
    """A booster for each objective, fitted as the baselines fit theirs."""
    seed = int(np.random.RandomState(0).randint(2**31 - 1))
    lists = QueryLists.from_qid(small.qid)
    return [fit_booster(small.X, y, lists, params=FEW_TREES, seed=seed) for y in small.Y.T]


def ranks(scores):
    return np.argsort(np.argsort(scores, axis=0, kind="stable"), axis=0)


@pytest.mark.parametrize("make", BASELINES)
def test_names_shapes_and_fronts(make, small, unseen):
    ranker = make(objectives=("relevance", "clicks")).fit(small.X, small.Y, qid=small.qid)
    assert ranker.objectives_ == ("relevance", "clicks")
    assert ranker.predict(unseen.X, qid=unseen.qid, weights={"clicks": 1}).shape == (len(unseen.X),)
    at = [[1, 0], [0.5, 0.5]]
    scores = ranker.predict(unseen.X, qid=unseen.qid, weights=at)
    assert scores.shape == (len(unseen.X), 2)
    assert np.isfinite(scores).all()
    front = ranker.pareto_front(unseen.X, unseen.Y, qid=unseen.qid, weights=at)
    assert front.names == ["relevance", "clicks"]
    assert 0 < front.hypervolume() < 1
    assert 0 < ranker.score(unseen.X, unseen.Y, qid=unseen.qid) < 1


@pytest.mark.parametrize("make", BASELINES)
def test_random_state_decides_all(make, small, unseen):
    first, second, other = (
        make(random_state=seed).fit(small.X, small.Y, qid=small.qid).predict(unseen.X, weights=lattice(2, 2))
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()


@pytest.mark.parametrize("make", BASELINES)
def test_labels_may_be_unobserved(make, small, unseen):
    Y = small.Y.copy()
    Y[::7] = np.nan
    Y[3::11, 1] = np.nan
    ranker = make().fit(small.X, Y, qid=small.qid)
    assert np.isfinite(ranker.predict(unseen.X, qid=unseen.qid)).all()


@pytest.mark.parametrize("make", BASELINES)
def test_an_objective_without_labels_is_refused(make, small):
    Y = small.Y.copy()
    Y[:, 1] = np.nan
    with pytest.raises(ValueError, match="label"):
        make().fit(small.X, Y, qid=small.qid)


@pytest.mark.parametrize("make", BASELINES)
def test_one_objective_is_enough(make, small, unseen):
    ranker = make().fit(small.X, small.Y[:, 0], qid=small.qid)
    scores = ranker.predict(unseen.X, qid=unseen.qid, weights=[[1.0], [1.0]])
    assert scores.shape == (len(unseen.X), 2)
    np.testing.assert_array_equal(scores[:, 0], ranker.predict(unseen.X, qid=unseen.qid))
    assert len(ranker.pareto_front(unseen.X, unseen.Y[:, 0], qid=unseen.qid)) == 1


@pytest.mark.parametrize("make", BASELINES)
def test_query_weights_count(make, small, unseen):
    weight = np.where(small.qid % 2 == 0, 1.0, 0.01)
    plain, weighted = (
        make().fit(small.X, small.Y, qid=small.qid, query_weight=w).predict(unseen.X) for w in (None, weight)
    )
    assert (plain != weighted).any()


def test_mixing_scores_is_linear(small, unseen):
    ranker = mixed_scores().fit(small.X, small.Y, qid=small.qid)
    ends = ranker.predict(unseen.X, weights=[[1, 0], [0, 1]])
    np.testing.assert_allclose(ranker.predict(unseen.X, weights=[0.3, 0.7]), ends @ [0.3, 0.7])


def test_mixed_scores_end_in_the_boosters_of_one_objective(small, unseen, alone):
    ranker = mixed_scores().fit(small.X, small.Y, qid=small.qid)
    ends = ranker.predict(unseen.X, weights=[[1, 0], [0, 1]])
    expected = np.column_stack([booster_scores(b, unseen.X) for b in alone])
    np.testing.assert_allclose(ends * ranker.reference_.scales, expected)


@pytest.mark.parametrize("mixing", ["gradients", "labels"])
def test_lightgbm_ends_in_the_boosters_of_one_objective(mixing, small, unseen, alone):
    ranker = lightgbm(mixing=mixing).fit(small.X, small.Y, qid=small.qid)
    ends = ranker.predict(unseen.X, weights=[[1, 0], [0, 1]])
    expected = np.column_stack([booster_scores(b, unseen.X) for b in alone])
    np.testing.assert_allclose(ends, expected, rtol=1e-6)


def test_mixed_gradients_of_equal_objectives_are_those_of_one(small):
    """Copies of one objective, however weighted, must teach what the objective teaches."""
    params = {"bagging_freq": 0, "feature_fraction": 1.0, "num_boost_round": 3}
    twice = np.column_stack([small.Y[:, 0], small.Y[:, 0]])
    mixed = lightgbm([[0.3, 0.7]], booster_params=params).fit(small.X, twice, qid=small.qid)
    lists = QueryLists.from_qid(small.qid)
    one = fit_booster(small.X, small.Y[:, 0], lists, params=params, seed=0)
    np.testing.assert_allclose(
        mixed.predict(small.X, weights=[0.3, 0.7]), booster_scores(one, small.X), rtol=1e-4
    )


def test_mixing_must_be_known(small):
    with pytest.raises(ValueError, match="mixing must be one of"):
        lightgbm(mixing="scores").fit(small.X, small.Y, qid=small.qid)


@pytest.mark.parametrize("make", GRIDS)
def test_weights_not_held_are_refused_with_the_nearest_named(make, small):
    ranker = make(weights=[[1, 0], [0.4, 0.6], [0, 1]]).fit(small.X, small.Y, qid=small.qid)
    ranker.predict(small.X, weights=[0.4004, 0.5996])
    for ask in (ranker.predict, lambda X, weights: ranker.pareto_front(X, small.Y, weights=weights)):
        with pytest.raises(ValueError, match=r"no model for weights \[0.3, 0.7\].*nearest is \[0.4, 0.6\]"):
            ask(small.X, weights=[[1, 0], [0.3, 0.7]])


@pytest.mark.parametrize("make", GRIDS)
def test_fronts_and_predictions_default_to_weights_held(make, small, unseen):
    ranker = make(weights=[[1, 0], [0.4, 0.6]]).fit(small.X, small.Y, qid=small.qid)
    front = ranker.pareto_front(unseen.X, unseen.Y, qid=unseen.qid)
    np.testing.assert_array_equal(front.weights, ranker.weights_)
    nearest_to_equal = ranker.predict(unseen.X, qid=unseen.qid, weights=[0.4, 0.6])
    np.testing.assert_array_equal(ranker.predict(unseen.X, qid=unseen.qid), nearest_to_equal)


@pytest.mark.parametrize("make", GRIDS)
@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (0, "at least 1"),
        ([[0.5, 0.6]], "must sum to 1"),
        ([[1.0, 0, 0]], "weights have shape"),
        ([[0.5, 0.5], [0.5, 0.5]], "twice"),
    ],
)
def test_weights_to_train_at_are_checked(make, weights, message, small):
    with pytest.raises(ValueError, match=message):
        make(weights=weights).fit(small.X, small.Y, qid=small.qid)


def test_networks_have_the_budget_of_ours(small):
    """Same epochs, steps and trunk for each network as for the one that is conditioned."""
    ours = HyperDPORanker(**QUICK_NETWORK).fit(small.X, small.Y, qid=small.qid)
    theirs = networks().fit(small.X, small.Y, qid=small.qid)
    assert len(theirs.models_) == len(theirs.histories_) == 3
    assert [len(history) for history in theirs.histories_] == [len(ours.history_)] * 3
    for model in theirs.models_:
        for mine, its in zip(ours.model_.network.trunk, model.network.trunk, strict=True):
            assert mine.weight.shape == its.weight.shape
    shared = set(theirs.get_params(deep=False)) & set(ours.get_params(deep=False))
    assert all(type(theirs)().get_params()[name] == HyperDPORanker().get_params()[name] for name in shared)


def test_networks_start_from_the_reference_of_ours(small, unseen):
    ours = HyperDPORanker(**QUICK_NETWORK).fit(small.X, small.Y, qid=small.qid)
    theirs = networks().fit(small.X, small.Y, qid=small.qid)
    at = lattice(2, 2)
    np.testing.assert_allclose(
        theirs.predict(unseen.X, weights=at, temperature=0), ours.predict(unseen.X, weights=at, temperature=0)
    )
    assert theirs.reward_scale_ == ours.reward_scale_


def test_networks_never_see_the_reference(small, unseen):
    """Trained with one or without, their own output ranks alike: benchmarks take both fronts of one fit."""
    with_one = networks().fit(small.X, small.Y, qid=small.qid)
    without = networks(reference=None).fit(small.X, small.Y, qid=small.qid)
    at = lattice(2, 2)
    rewards_alone = with_one.predict(unseen.X, qid=unseen.qid, weights=at, temperature=1e9)
    np.testing.assert_array_equal(
        ranks(rewards_alone), ranks(without.predict(unseen.X, qid=unseen.qid, weights=at))
    )


def test_networks_stop_by_their_own_weights(small, unseen):
    ranker = networks(max_epochs=4, early_stopping=EarlyStopping(patience=1)).fit(
        small.X, small.Y, qid=small.qid, X_val=unseen.X, y_val=unseen.Y, qid_val=unseen.qid
    )
    best = max(entry["score"] for entry in ranker.histories_[0])
    reached = ranker.score(unseen.X, unseen.Y, qid=unseen.qid, weights=ranker.weights_[0])
    assert reached == pytest.approx(best, abs=1e-6)


def test_networks_follow_their_weights(small):
    """A network for one objective must know that objective best of all."""
    ranker = networks(weights=2, reference=None, max_epochs=10, network=MLP(hidden=(32, 32)))
    front = ranker.fit(small.X, small.Y, qid=small.qid).pareto_front(small.X, small.Y, qid=small.qid)
    assert (front.points.to_numpy().argmax(axis=0) == [0, 1]).all()


@pytest.mark.parametrize("make", BASELINES)
def test_clone_keeps_every_parameter(make):
    ranker = make(objectives=("a", "b"), metric="map")
    assert clone(ranker).get_params() == ranker.get_params()


def test_baseline_are_public():
    for name in ("MixedScoresRanker", "LightGBMScalarizationRanker", "LinearScalarizationRanker"):
        assert name in hyperrank.__all__
        assert getattr(hyperrank, name).__name__ == name
