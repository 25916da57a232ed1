"""What soups and MODPO promise in common with the other rankers."""

import copy
import pickle
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
import torch
from lightgbm import LGBMRanker
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import hyperrank
from hyperrank import AdamW, EarlyStopping, HyperDPORanker, LinearScalarizationRanker, MODPORanker, SoupRanker
from hyperrank.lists import QueryLists
from hyperrank.networks import MLP
from hyperrank.rankers.dpo import reward_model
from hyperrank.rankers.dpo import reward_model as tiles
from hyperrank.rankers.dpo.reward_model import RewardModel
from hyperrank.reference import GroupedRows
from hyperrank.simplex import lattice

FEW_TREES = {"num_boost_round": 8}
QUICK = {
    "max_epochs": 3,
    "network": MLP(hidden=(8, 8)),
    "booster_params": FEW_TREES,
    "n_jobs": 1,
    "random_state": 0,
}
AT = lattice(2, 2)


def soup(**params):
    return SoupRanker(**{**QUICK, **params})


def modpo(**params):
    return MODPORanker(3, **{**QUICK, **params})


def linear(**params):
    return LinearScalarizationRanker(3, **{**QUICK, **params})


RANKERS = pytest.mark.parametrize("make", [soup, modpo])


@RANKERS
def test_names_shapes_and_fronts(make, small, unseen):
    ranker = make(objectives=("relevance", "clicks")).fit(small.X, small.Y, qid=small.qid)
    assert ranker.objectives_ == ("relevance", "clicks")
    assert ranker.predict(unseen.X, qid=unseen.qid, weights={"clicks": 1}).shape == (len(unseen.X),)
    assert ranker.predict(unseen.X, qid=unseen.qid, weights=AT).dtype == np.float64
    front = ranker.pareto_front(unseen.X, unseen.Y, qid=unseen.qid, weights=AT)
    assert front.names == ["relevance", "clicks"]
    assert 0 < front.hypervolume() < 1
    assert front.reference is not None
    assert 0 < ranker.score(unseen.X, unseen.Y, qid=unseen.qid) < 1


@RANKERS
def test_the_defaults_are_ours(make):
    """The same trunk, optimiser and budget unless the caller says otherwise."""
    ours, theirs = HyperDPORanker().get_params(), type(make())().get_params()
    own = {"pretraining", "weights", "min_main_weight", "off_grid"}
    assert set(theirs) - own <= set(ours)
    assert all(theirs[name] == ours[name] for name in set(theirs) - own)
    assert set(ours) - set(theirs) == {"trade_offs", "warm_start", "checkpoint", "callbacks", "tuning"}
    changed = make(objectives=("a", "b"), metric="map", beta=0.3)
    assert clone(changed).get_params() == changed.get_params()


@RANKERS
def test_random_state_decides_all(make, small, unseen):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first, second, other = (
        make(random_state=seed).fit(small.X, small.Y, qid=small.qid).predict(unseen.X, weights=AT)
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()
    assert torch.equal(before, torch.get_rng_state())


@RANKERS
@pytest.mark.parametrize("query_standardize", [True, False])
def test_a_score_is_the_same_to_the_bit_in_any_company(make, query_standardize, small, unseen):
    """Whole queries alone or among others, or single rows where features do not depend on the query."""
    ranker = make(query_standardize=query_standardize, network=MLP(hidden=(128, 128)), max_epochs=1)
    ranker.fit(small.X, small.Y, qid=small.qid)
    scores = ranker.predict(unseen.X, qid=unseen.qid, weights=AT)
    rng = np.random.default_rng(0)
    kept = (
        np.flatnonzero(np.isin(unseen.qid, [3, 7, 11]))
        if query_standardize
        else rng.integers(len(scores), size=31)
    )
    rows = rng.permutation(kept)
    for chunk in (7, reward_model.CHUNK):
        with patch.object(reward_model, "CHUNK", chunk), patch.object(tiles, "CHUNKS_TO_SHARE", 1):
            again = ranker.predict(unseen.X[rows], qid=unseen.qid[rows], weights=AT)
        np.testing.assert_array_equal(again, scores[rows])
    for column, mix in zip(scores.T, AT, strict=True):
        np.testing.assert_array_equal(ranker.predict(unseen.X, qid=unseen.qid, weights=mix), column)


def plain(value) -> bool:
    """Whether this is arrays, numbers and text all through."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and plain(entry) for key, entry in value.items())
    if isinstance(value, list | tuple):
        return all(plain(entry) for entry in value)
    return value is None or isinstance(value, np.ndarray | np.generic | int | float | str)


@RANKERS
def test_the_state_is_plain_and_comes_back(make, small, unseen):
    ranker = make().fit(small.X, small.Y, qid=small.qid)
    if isinstance(ranker, SoupRanker):
        models = [ranker.model_]
    else:
        models = [model for model in ranker.models_ if model] + list(ranker.margin_models_.values())
    for model in models:
        assert isinstance(model, RewardModel)
        assert plain(model.__getstate__())
    expected = ranker.predict(unseen.X, qid=unseen.qid, weights=AT)
    for again in (pickle.loads(pickle.dumps(ranker)), copy.deepcopy(ranker)):
        assert type(again) is type(ranker)
        np.testing.assert_array_equal(again.predict(unseen.X, qid=unseen.qid, weights=AT), expected)


@RANKERS
def test_temperature_pulls_along_a_line(make, small, unseen):
    ranker = make().fit(small.X, small.Y, qid=small.qid)
    at = {t: ranker.predict(unseen.X, qid=unseen.qid, weights=AT, temperature=t) for t in (0, 1, 2.5)}
    np.testing.assert_allclose(at[2.5] - at[0], 2.5 * (at[1] - at[0]), rtol=1e-9, atol=1e-12)
    parts = ranker.reference_.scores(GroupedRows(unseen.X, QueryLists.from_qid(unseen.qid), unseen.X, None))
    np.testing.assert_allclose(at[0], parts @ AT.T, rtol=1e-12)


@RANKERS
@pytest.mark.parametrize("reference", ["lightgbm", "scores", "model"])
def test_any_reference_may_stand_before_them(make, reference, small, unseen):
    given = {}
    if reference == "scores":
        given = {"ref_scores": np.arange(len(small.X), dtype=float)}
    model = LGBMRanker(n_estimators=3, num_leaves=4, n_jobs=1, verbose=-1)
    ranker = make(reference=model if reference == "model" else reference)
    ranker.fit(small.X, small.Y, qid=small.qid, **given)
    given = {name: scores[: len(unseen.X)] for name, scores in given.items()}
    scores = ranker.predict(unseen.X, qid=unseen.qid, weights=AT, **given)
    at_rest = ranker.predict(unseen.X, qid=unseen.qid, weights=AT, temperature=0, **given)
    assert np.ptp(scores - at_rest) > 0
    np.testing.assert_array_equal(at_rest[:, 0], at_rest[:, 1])


@RANKERS
def test_labels_and_features_may_be_missing(make, small, unseen):
    X, Y = small.X.copy(), small.Y.copy()
    X[::5, 2] = np.nan
    Y[::7] = np.nan
    Y[3::11, 1] = np.nan
    Y[small.qid == small.qid[0]] = np.nan
    ranker = make().fit(X, Y, qid=small.qid)
    assert np.isfinite(ranker.predict(unseen.X, qid=unseen.qid, weights=AT)).all()
    unobserved = small.Y.copy()
    unobserved[:, 1] = np.nan
    with pytest.raises(ValueError, match="no label"):
        make().fit(small.X, unobserved, qid=small.qid)


@pytest.mark.filterwarnings("ignore:each of the .* rows of X is a query of its own:UserWarning")
@RANKERS
def test_lists_of_one_document_and_one_objective(make, small):
    lonely = make().fit(small.X, small.Y, qid=np.arange(len(small.X)))
    assert np.isfinite(lonely.predict(small.X[:1], weights=AT)).all()
    one = make().fit(small.X, small.Y[:, 0], qid=small.qid)
    scores = one.predict(small.X, qid=small.qid, weights=[[1.0], [1.0]])
    np.testing.assert_array_equal(scores[:, 0], one.predict(small.X, qid=small.qid))
    assert len(one.pareto_front(small.X, small.Y[:, 0], qid=small.qid)) == 1


@RANKERS
def test_frames_are_read_by_name(make, small, unseen):
    X = pd.DataFrame(small.X, columns=[f"f{i}" for i in range(8)])
    Y = pd.DataFrame(small.Y, columns=["relevance", "clicks"])
    framed = make().fit(X.assign(qid=small.qid), Y)
    assert list(framed.feature_names_in_) == list(X.columns)
    assert framed.objectives_ == ("relevance", "clicks")
    arrays = make().fit(small.X, small.Y, qid=small.qid)
    test = pd.DataFrame(unseen.X, columns=X.columns)
    np.testing.assert_array_equal(
        framed.predict(test.assign(qid=unseen.qid), weights=AT),
        arrays.predict(unseen.X, qid=unseen.qid, weights=AT),
    )
    with pytest.raises(ValueError, match="feature names"):
        framed.predict(test[test.columns[::-1]], qid=unseen.qid)


@RANKERS
def test_query_weights_count(make, small, unseen):
    weight = np.where(small.qid % 2 == 0, 1.0, 0.01)
    even, weighted = (
        make(reference=None)
        .fit(small.X, small.Y, qid=small.qid, query_weight=w)
        .predict(unseen.X, qid=unseen.qid, weights=AT)
        for w in (None, weight)
    )
    assert (even != weighted).any()


MISTAKES = {
    "infinite feature": ({"X": [[np.inf] * 8] * 4, "y": np.ones((4, 2))}, "infinity"),
    "negative label": ({"y": -1.0}, "labels from 0"),
    "qid too short": ({"qid": [1, 2]}, "qid has 2 entries"),
    "X_val alone": ({"X_val": np.zeros((3, 8))}, "without y_val"),
    "query_weight": ({"query_weight": -1.0}, "must not be negative"),
    "ref_scores": ({"ref_scores": 1.0}, "only reference='scores' reads them"),
}


@RANKERS
@pytest.mark.parametrize("mistake", MISTAKES)
def test_wrong_data_are_refused_before_training(make, mistake, small, monkeypatch):
    for home in ("dpo.reference.fit_reference_model", "baselines._networks.train_reward_model"):
        monkeypatch.setattr(f"hyperrank.rankers.{home}", lambda *_, **__: pytest.fail("training started"))
    change, message = MISTAKES[mistake]
    if "X" not in change:
        change = {
            name: np.full_like(small.Y, value)
            if name == "y"
            else np.full(len(small.X), value)
            if isinstance(value, float)
            else value
            for name, value in change.items()
        }
    arguments = {"X": small.X, "y": small.Y, **change}
    if "X" not in change:
        arguments.setdefault("qid", small.qid)
    with pytest.raises(ValueError, match=message):
        make().fit(**arguments)


OPTIONS = [
    ("reference", "xgboost", "reference"),
    ("reference_objective", "dwell", "reference_objective"),
    ("loss", "hinge", "loss"),
    ("beta", -1.0, "beta"),
    ("network", "magic", "network"),
    ("network", "transformer", "network must be 'mlp' or an MLP"),
    ("network", MLP(hidden=(0,)), "hidden"),
    ("optimizer", AdamW(learning_rate=-1), "learning_rate"),
    ("max_epochs", 0, "max_epochs"),
    ("early_stopping", "maybe", "early_stopping"),
    ("metric", "ndgc", "unknown metric"),
    ("device", "abacus", "device"),
]


@RANKERS
@pytest.mark.parametrize(("option", "value", "message"), OPTIONS)
def test_wrong_options_are_refused_before_training(make, option, value, message, small, monkeypatch):
    for home in ("dpo.reference.fit_reference_model", "baselines._networks.train_reward_model"):
        monkeypatch.setattr(f"hyperrank.rankers.{home}", lambda *_, **__: pytest.fail("training started"))
    with pytest.raises(ValueError, match=message):
        make(**{option: value}).fit(small.X, small.Y, qid=small.qid)


@RANKERS
def test_unfitted_use_is_refused(make, small):
    with pytest.raises(NotFittedError):
        make().predict(small.X)


@RANKERS
def test_progress_is_shown_only_when_asked(make, small, capfd):
    make(reference=None).fit(small.X, small.Y, qid=small.qid)
    assert capfd.readouterr() == ("", "")
    make(reference=None, verbose=1).fit(small.X, small.Y, qid=small.qid)
    assert "training: 100% " in capfd.readouterr().err


def test_they_are_public():
    for name in ("SoupRanker", "MODPORanker"):
        assert name in hyperrank.__all__
        assert getattr(hyperrank, name).__name__ == name


@pytest.mark.parametrize("make", [soup, modpo, linear])
def test_eval_set_is_validation_data_under_another_name(make, small, unseen):
    own = make(early_stopping=EarlyStopping(patience=1)).fit(
        small.X, small.Y, qid=small.qid, X_val=unseen.X, y_val=unseen.Y, qid_val=unseen.qid
    )
    other = make(early_stopping=EarlyStopping(patience=1)).fit(
        small.X, small.Y, qid=small.qid, eval_set=[(unseen.X, unseen.Y)], eval_qid=[unseen.qid]
    )
    scores = [ranker.predict(unseen.X, qid=unseen.qid, weights=AT) for ranker in (own, other)]
    np.testing.assert_array_equal(*scores)
    with pytest.raises(ValueError, match="as X_val and as eval_set"):
        make().fit(small.X, small.Y, X_val=unseen.X, y_val=unseen.Y, eval_qid=[unseen.qid])
    with pytest.raises(ValueError, match="eval_set must be one pair"):
        make().fit(small.X, small.Y, qid=small.qid, eval_set=[])
