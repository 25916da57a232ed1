"""Rankers as files: the same bits after loading, and what cannot be saved. Hostile files: tests/served."""

import warnings

import lightgbm
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.ensemble import RandomForestRegressor
from sklearn.exceptions import NotFittedError

import hyperrank
from hyperrank import (
    HyperDPORanker,
    LightGBMScalarizationRanker,
    LinearScalarizationRanker,
    MixedScoresRanker,
    ModelFileError,
    MODPORanker,
    SoupRanker,
)
from hyperrank.datasets import make_multilabel_ranking
from hyperrank.networks import MLP, Transformer

DATA = make_multilabel_ranking(n_queries=25, n_objectives=2, n_features=6, random_state=0)
SMALL = {"booster_params": {"num_boost_round": 4, "num_leaves": 4}, "random_state": 0}
QUICK = {**SMALL, "max_epochs": 1, "network": MLP(hidden=(12, 8))}
RANKERS = {
    "pairs": HyperDPORanker(**QUICK),
    "boosters": HyperDPORanker("boosters", **QUICK, query_standardize=False, feature_transform="log"),
    "one booster": HyperDPORanker(
        "lightgbm", **{**QUICK, "network": MLP(hidden=(12, 8), conditioning="hypernetwork")}
    ),
    "no reference": HyperDPORanker(None, **{**QUICK, "network": MLP(hidden=(12, 8), conditioning="concat")}),
    "transformer": HyperDPORanker(**{**QUICK, "network": Transformer(hidden=(8,))}),
    "mixed scores": MixedScoresRanker(**SMALL),
    "searched": MixedScoresRanker(booster_params="search", random_state=0),
    "labels": LightGBMScalarizationRanker(weights=3, mixing="labels", **SMALL),
    "networks": LinearScalarizationRanker(weights=3, **QUICK),
    "soup": SoupRanker(**QUICK),
    "modpo": MODPORanker(weights=3, **QUICK),
}


def fitted(name):
    return clone(RANKERS[name]).fit(DATA.X, DATA.Y, qid=DATA.qid)


def scores(ranker, **options):
    held = getattr(ranker, "weights_", None)
    at = [[1.0, 0.0], [0.3, 0.7]] if held is None else held[:2]
    return ranker.predict(DATA.X, qid=DATA.qid, weights=at, **options)


@pytest.mark.parametrize("name", RANKERS)
def test_a_loaded_ranker_is_the_saved_one_to_the_bit(name, tmp_path):
    ranker = fitted(name)
    again = hyperrank.load(ranker.save(tmp_path / "model"))
    assert type(again) is type(ranker)
    np.testing.assert_array_equal(scores(again), scores(ranker))
    assert again.get_params() == ranker.get_params()
    assert repr(again) == repr(ranker)
    wanted = {name for name in vars(ranker) if name.endswith("_") and not name.startswith("_")}
    assert {name for name in vars(again) if name.endswith("_") and not name.startswith("_")} == wanted
    # Once more: what was loaded can be saved, to the same bytes.
    assert again.save(tmp_path / "twice").read_bytes() == (tmp_path / "model").read_bytes()


def test_a_loaded_ranker_goes_on(tmp_path):
    ranker = fitted("pairs")
    again = hyperrank.load(ranker.save(tmp_path / "model"))
    for one in (ranker, again):
        one.partial_fit(DATA.X, DATA.Y, qid=DATA.qid)
    np.testing.assert_array_equal(scores(again), scores(ranker))
    refitted = clone(again).fit(DATA.X, DATA.Y, qid=DATA.qid)
    np.testing.assert_array_equal(scores(refitted), scores(fitted("pairs")))


def test_frames_keep_their_names(tmp_path):
    X = pd.DataFrame(DATA.X, columns=[f"feature {j}" for j in range(6)])
    Y = pd.DataFrame(DATA.Y, columns=["relevance", "clicks"])
    ranker = HyperDPORanker(**QUICK).fit(X, Y, qid=DATA.qid)
    again = hyperrank.load(ranker.save(tmp_path / "model"))
    assert again.objectives_ == ("relevance", "clicks")
    assert list(again.feature_names_in_) == list(X.columns)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one, other = (r.predict(X, qid=DATA.qid, weights={"relevance": 1}) for r in (again, ranker))
    np.testing.assert_array_equal(one, other)
    with pytest.raises(ValueError, match="feature names"):
        again.predict(X.iloc[:, ::-1])


@pytest.mark.parametrize("is_wrapped", [True, False])
def test_a_reference_of_lightgbms_goes_along_as_its_text(is_wrapped, tmp_path):
    order = np.argsort(DATA.qid, kind="stable")
    groups = np.unique(DATA.qid, return_counts=True)[1]
    model = lightgbm.LGBMRanker(n_estimators=5, verbose=-1)
    model.fit(DATA.X[order], DATA.Y[order, 0], group=groups)
    ranker = HyperDPORanker(model if is_wrapped else model.booster_, **QUICK)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "X does not have valid feature names")
        ranker.fit(DATA.X, DATA.Y, qid=DATA.qid)
        again = hyperrank.load(ranker.save(tmp_path / "model"))
        np.testing.assert_array_equal(scores(again), scores(ranker))
    assert isinstance(again.reference, lightgbm.Booster)


def test_scores_as_reference(tmp_path):
    ranker = HyperDPORanker("scores", **QUICK)
    ranker.fit(DATA.X, DATA.Y, qid=DATA.qid, ref_scores=DATA.X[:, 0])
    again = hyperrank.load(ranker.save(tmp_path / "model"))
    options = {"ref_scores": DATA.X[:, 1]}
    np.testing.assert_array_equal(scores(again, **options), scores(ranker, **options))


def test_what_cannot_be_saved_says_so(tmp_path):
    with pytest.raises(NotFittedError):
        HyperDPORanker().save(tmp_path / "model")
    forest = RandomForestRegressor(n_estimators=2, random_state=0).fit(DATA.X, DATA.Y[:, 0])
    ranker = HyperDPORanker(forest, **QUICK).fit(DATA.X, DATA.Y, qid=DATA.qid)
    with pytest.raises(ModelFileError, match=r"RandomForestRegressor, which cannot be stored without pickle"):
        ranker.save(tmp_path / "model")
    assert not list(tmp_path.iterdir())
    with pytest.raises(FileNotFoundError):
        fitted("pairs").save(tmp_path / "nowhere" / "model")
