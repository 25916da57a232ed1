"""Exported rankers under onnxruntime: the scores that predict gives, whatever the ranker is made of."""

import json

import numpy as np
import pandas as pd
import pytest
from export_helpers import SOME_WEIGHTS, assert_same, served
from hypothesis import given, settings
from hypothesis import strategies as st
from lightgbm import LGBMRanker, LGBMRegressor
from sklearn.ensemble import HistGradientBoostingRegressor

from hyperrank import HyperDPORanker, MixedScoresRanker, QueryLists, SoupRanker, TradeOffs, datasets
from hyperrank.networks import MLP
from hyperrank.networks.feature_transforms import TRANSFORMS
from hyperrank.simplex import corners, lattice_near

pytestmark = pytest.mark.slow

FEW_TREES = {"num_boost_round": 10, "num_leaves": 6, "min_data_in_leaf": 5}
#: Without features in the list, whose operators take most of the time that an export takes.
PLAIN = {"query_standardize": False, "feature_transform": "standard"}
QUICK = {"max_epochs": 3, "network": MLP(hidden=(12, 8)), "booster_params": FEW_TREES, "random_state": 0}
TEMPERATURES = (0.0, 0.5, 1.0, 3.0)


def lightgbm_model(data, kind=LGBMRanker):
    model = kind(n_estimators=15, num_leaves=40, min_child_samples=5, n_jobs=1, verbose=-1)
    group = {"group": QueryLists.from_qid(data.qid).sizes} if kind is LGBMRanker else {}
    return model.fit(data.X, data.Y[:, 0], **group)


def test_the_front_is_the_same_on_real_data(session_of, shared_data):
    names = ("relevance", "quality", "dwell")
    train, test = (
        datasets.fetch_mslr_sample(split, objectives=names, data_home=shared_data)
        for split in ("train", "test")
    )
    ranker = HyperDPORanker(max_epochs=3, network=MLP(dropout=0.3), random_state=0).fit(
        train.X, train.Y, qid=train.qid
    )
    session, weights = session_of(ranker), lattice_near(3, 15)
    clear = 0
    for query in np.unique(test.qid)[:12]:
        X = test.X[test.qid == query]
        for temperature in TEMPERATURES:
            found = served(session, X, weights, temperature)
            expected = ranker.predict(X, weights=weights, temperature=temperature)
            assert_same(found, expected)
            apart = np.diff(np.sort(expected, axis=0), axis=0).min(axis=0) > 1e-5
            clear += apart.sum()
            np.testing.assert_array_equal(found.argsort(axis=0)[:, apart], expected.argsort(axis=0)[:, apart])
    assert clear > 100
    everything = test.X[:5000]
    assert len(everything) > 4800
    for n in (1, 2, 100, len(everything)):
        expected = ranker.predict(everything[:n], weights=weights[:2])
        assert_same(served(session, everything[:n], weights[:2]), expected)
    assert np.ptp(ranker.predict(X, weights=weights), axis=1).max() > 0.1  # weights matter


CATEGORICAL = {
    "categorical_features": ["x1", "x3"],
    "booster_params": {**FEW_TREES, "min_data_per_group": 5, "cat_smooth": 1},
    "random_state": 0,
}


@pytest.mark.parametrize(
    "ranker",
    [
        HyperDPORanker("booster_pairs", **{**QUICK, **CATEGORICAL}),
        HyperDPORanker(None, query_standardize=False, **{**QUICK, **CATEGORICAL}),
        SoupRanker(None, **{**QUICK, **CATEGORICAL, "network": MLP(hidden=(8,), n_members=2)}),
        MixedScoresRanker(**CATEGORICAL),
    ],
    ids=["pairs", "network", "soup", "mixed"],
)
def test_categories_score_as_they_do_here(ranker, holed, session_of):
    codes = np.random.default_rng(0).integers(0, 50, size=(len(holed.X), 2))
    frame = pd.DataFrame(holed.X, columns=[f"x{j}" for j in range(holed.X.shape[1])])
    frame = frame.assign(x1=[f"kind {code}" for code in codes[:, 0]], x3=codes[:, 1])
    ranker = ranker.fit(frame, holed.Y + 2.0 * (codes[:, :1] % 3 == 0), qid=holed.qid)
    session = session_of(ranker)
    categories = json.loads(session.get_modelmeta().custom_metadata_map["categories"])
    assert {int(j): values for j, values in categories.items()} == ranker.categories_.values
    frame.loc[::7, "x1"] = "new"
    frame.loc[::5, "x3"] = np.nan
    X = frame.to_numpy(dtype=object)
    for j, values in categories.items():
        code = {value: number for number, value in enumerate(values)}
        X[:, int(j)] = [code.get(value, np.nan) for value in X[:, int(j)]]
    found = served(session, X.astype(np.float32), SOME_WEIGHTS)
    expected = ranker.predict(frame, weights=SOME_WEIGHTS)
    assert_same(found, expected)
    shuffled = frame.assign(x1=frame.x1.sample(frac=1, random_state=0).to_numpy())
    assert np.abs(ranker.predict(shuffled, weights=SOME_WEIGHTS) - expected).max() > 2e-3


CONDITIONED = ("film", "concat", "hypernetwork")
SLOW_PAIRS = [(t, c) for t in TRANSFORMS[1:] for c in CONDITIONED[1:]]


@pytest.mark.parametrize(
    ("transform", "conditioning"),
    [
        *((transform, "film") for transform in TRANSFORMS),
        *(("quantile", conditioning) for conditioning in CONDITIONED[1:]),
        *(pytest.param(*pair, marks=pytest.mark.slow) for pair in SLOW_PAIRS),
    ],
)
def test_networks_score_as_they_do_here(transform, conditioning, holed, session_of):
    within = {"film": True, "concat": "auto", "hypernetwork": False}[conditioning]
    ranker = HyperDPORanker(
        None,
        feature_transform=transform,
        query_standardize=within,
        **{**QUICK, "network": MLP(hidden=(12, 8), conditioning=conditioning)},
    ).fit(holed.X, holed.Y, qid=holed.qid)
    session = session_of(ranker)
    for n, k in ((1, 1), (2, 3), (100, 2), (len(holed.X), 1)):
        X, weights = holed.X[:n], SOME_WEIGHTS[:k]
        for temperature in TEMPERATURES:
            found = served(session, X, weights, temperature)
            assert_same(found, ranker.predict(X, weights=weights, temperature=temperature))
    expected = ranker.predict(holed.X, weights=SOME_WEIGHTS)
    assert np.ptp(expected, axis=0).min() > 0.1
    assert np.ptp(expected, axis=1).max() > 0.01


def options_of(kind, data):
    if kind == "a LightGBM ranker":
        return {**PLAIN, "reference": lightgbm_model(data)}
    if kind == "a LightGBM booster":
        return {**PLAIN, "reference": lightgbm_model(data, LGBMRegressor).booster_}
    if kind == "no reference, boosters beside the features":
        return {**PLAIN, "reference": None}
    return {"reference": kind, "feature_transform": "standard"}


@pytest.mark.parametrize(
    "kind",
    [
        "booster_pairs",
        "a LightGBM ranker",
        "a LightGBM booster",
        "no reference, boosters beside the features",
    ],
)
def test_references_are_in_the_file(kind, holed, session_of):
    ranker = HyperDPORanker(**{**QUICK, **options_of(kind, holed)}).fit(holed.X, holed.Y, qid=holed.qid)
    session = session_of(ranker)
    assert [put.name for put in session.get_inputs()] == ["X", "weights", "temperature"]
    for X in (holed.X, holed.X[:1]):
        for temperature in TEMPERATURES:
            found = served(session, X, SOME_WEIGHTS, temperature)
            assert_same(found, ranker.predict(X, weights=SOME_WEIGHTS, temperature=temperature))
    moves = served(session, holed.X, SOME_WEIGHTS, 3.0) - served(session, holed.X, SOME_WEIGHTS, 0.5)
    assert np.abs(moves).max() > 0.01


def test_a_front_of_references_may_be_left_outside(holed, session_of):
    ranker = HyperDPORanker("boosters", **QUICK, **PLAIN).fit(holed.X, holed.Y, qid=holed.qid)
    session = session_of(ranker, include_reference=False)
    parts = ranker.predict(holed.X, weights=corners(2), temperature=0)
    expected = ranker.predict(holed.X, weights=SOME_WEIGHTS, temperature=2)
    assert_same(served(session, holed.X, SOME_WEIGHTS, 2, parts), expected)
    assert np.abs(served(session, holed.X, SOME_WEIGHTS, 2, parts[::-1]) - expected).max() > 0.1


def test_a_model_that_onnx_does_not_know_is_left_outside(holed, session_of, tmp_path):
    model = HistGradientBoostingRegressor(max_iter=10)
    ranker = HyperDPORanker(model, **QUICK, **PLAIN).fit(holed.X, holed.Y, qid=holed.qid)
    with pytest.raises(ValueError, match=r"HistGradientBoostingRegressor .* include_reference=False"):
        session_of(ranker)
    assert not list(tmp_path.iterdir())
    session = session_of(ranker, include_reference=False)
    outside = ranker.reference_.model.predict(holed.X)
    found = served(session, holed.X, SOME_WEIGHTS, 0.5, outside)
    assert_same(found, ranker.predict(holed.X, weights=SOME_WEIGHTS, temperature=0.5))


def test_scores_that_predict_takes_are_an_input(holed, session_of):
    own = np.random.default_rng(1).normal(size=len(holed.X))
    ranker = HyperDPORanker("scores", **QUICK, **PLAIN).fit(holed.X, holed.Y, qid=holed.qid, ref_scores=own)
    session = session_of(ranker)
    expected = ranker.predict(holed.X, weights=SOME_WEIGHTS, ref_scores=own)
    assert_same(served(session, holed.X, SOME_WEIGHTS, 1, own), expected)


def test_soups_are_mixed_in_the_graph(holed, session_of):
    ranker = SoupRanker("lightgbm", **QUICK, **PLAIN).fit(holed.X, holed.Y, qid=holed.qid)
    session = session_of(ranker)
    for weights in (SOME_WEIGHTS, SOME_WEIGHTS[:1], lattice_near(2, 21)):
        for n in (1, len(holed.X)):
            expected = ranker.predict(holed.X[:n], weights=weights, temperature=2)
            assert_same(served(session, holed.X[:n], weights, 2), expected)
    assert np.ptp(expected, axis=1).max() > 0.1


def test_mixed_scores_need_neither_network_nor_temperature(holed, session_of):
    ranker = MixedScoresRanker(booster_params=FEW_TREES, random_state=0)
    session = session_of(ranker.fit(holed.X, holed.Y, qid=holed.qid))
    assert [put.name for put in session.get_inputs()] == ["X", "weights"]
    expected = ranker.predict(holed.X, weights=SOME_WEIGHTS)
    assert_same(served(session, holed.X, SOME_WEIGHTS), expected)

    of_models = MixedScoresRanker(LGBMRegressor(n_estimators=5, n_jobs=1, verbose=-1))
    session = session_of(of_models.fit(holed.X, holed.Y, qid=holed.qid))
    expected = of_models.predict(holed.X, weights=SOME_WEIGHTS)
    assert_same(served(session, holed.X, SOME_WEIGHTS), expected)


def test_networks_that_know_the_temperature(holed, session_of):
    ranker = HyperDPORanker("lightgbm", trade_offs=TradeOffs(temperature_range=(0.2, 4.0)), **QUICK, **PLAIN)
    session = session_of(ranker.fit(holed.X, holed.Y, qid=holed.qid))
    for temperature in (0, 0.2, 1, 3.7):
        expected = ranker.predict(holed.X, weights=SOME_WEIGHTS, temperature=temperature)
        assert_same(served(session, holed.X, SOME_WEIGHTS, temperature), expected)
    rewards = [
        (served(session, holed.X, SOME_WEIGHTS, t) - served(session, holed.X, SOME_WEIGHTS, 0)) / t
        for t in (0.2, 4)
    ]
    assert np.abs(rewards[0] - rewards[1]).max() > 0.01


def test_one_objective_alone(holed, session_of):
    ranker = HyperDPORanker("boosters", **QUICK, **PLAIN).fit(holed.X, holed.Y[:, 0], qid=holed.qid)
    session = session_of(ranker)
    expected = ranker.predict(holed.X, weights=[[1.0], [1.0]])
    assert_same(served(session, holed.X, [[1.0], [1.0]]), expected)


def test_any_request_is_scored_as_here(holed, session_of):
    """Rows, weights and temperatures of all kinds, features far from those of training among them."""
    ranker = HyperDPORanker("boosters", **QUICK).fit(holed.X, holed.Y, qid=holed.qid)
    session = session_of(ranker)

    @settings(max_examples=20)
    @given(
        st.integers(0, 2**32 - 1),
        st.integers(5, 30),  # as many rows as trade-offs would be ambiguous
        st.integers(1, 4),
        st.sampled_from([1e-6, 1.0, 1e4, 1e30]),
        st.floats(0, 5),
    )
    def check(seed, n, k, scale, temperature):
        rng = np.random.default_rng(seed)
        X = (rng.normal(size=(n, 7)) * scale).astype(np.float32)
        X[rng.random(X.shape) < 0.1] = np.nan
        X[:, 0] = X[0, 0]
        weights = rng.dirichlet([1, 1], size=k)
        expected = ranker.predict(X, weights=weights, temperature=temperature)
        assert_same(served(session, X, weights, temperature), expected)

    check()
