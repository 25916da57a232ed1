"""One trade-off folded out: the same scores from a plain network."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import hyperrank
from hyperrank import HyperDPORanker, SoupRanker, SpecializedRanker, TradeOffs
from hyperrank.datasets import make_multilabel_ranking
from hyperrank.networks import MLP

DATA = make_multilabel_ranking(n_queries=30, n_objectives=3, n_features=7, random_state=0)
X = np.where(np.random.default_rng(0).random(DATA.X.shape) < 0.05, np.nan, DATA.X)
QUICK = {
    "booster_params": {"num_boost_round": 5, "num_leaves": 4},
    "max_epochs": 3,
    "network": MLP(hidden=(16, 12, 8)),
    "random_state": 0,
}
RANKERS = {
    "film": HyperDPORanker(**QUICK),
    "concat": HyperDPORanker(**{**QUICK, "network": MLP(hidden=(16, 12, 8), conditioning="concat")}),
    "hypernetwork": HyperDPORanker(
        **{**QUICK, "network": MLP(hidden=(16, 12, 8), conditioning="hypernetwork")}, feature_transform="log"
    ),
    "boosters": HyperDPORanker("boosters", **QUICK),
    "one booster": HyperDPORanker("lightgbm", **QUICK),
    "no reference": HyperDPORanker(None, **{**QUICK, "network": MLP(hidden=(9,))}),
    "temperature range": HyperDPORanker(**QUICK, trade_offs=TradeOffs(temperature_range=(0.5, 4))),
    "soup": SoupRanker(**QUICK),
}
WEIGHTS = ([0.2, 0.5, 0.3], [0.6, 0.0, 0.4], [0.0, 1.0, 0.0])


@pytest.fixture(params=RANKERS, scope="module")
def ranker(request):
    return clone(RANKERS[request.param]).fit(X, DATA.Y, qid=DATA.qid)


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("temperature", [1.0, 0.0, 3.0])
def test_scores_are_the_same_up_to_rounding(ranker, weights, temperature):
    expected = ranker.predict(X, qid=DATA.qid, weights=weights, temperature=temperature)
    plain = ranker.specialize(weights, temperature=temperature)
    found = plain.predict(X, qid=DATA.qid)
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6 * max(1, np.abs(expected).max()))
    assert np.abs(expected).max() > 0 or (temperature == 0 and ranker.reference is None)
    np.testing.assert_array_equal(found, plain.predict(X, qid=DATA.qid, weights=weights, temperature=1))


def test_its_own_temperature_goes_on_from_there():
    ranker = clone(RANKERS["film"]).fit(X, DATA.Y, qid=DATA.qid)
    plain = ranker.specialize([0.2, 0.5, 0.3], temperature=2)
    expected = ranker.predict(X, qid=DATA.qid, weights=[0.2, 0.5, 0.3], temperature=6)
    np.testing.assert_allclose(plain.predict(X, qid=DATA.qid, temperature=3), expected, atol=1e-5)


def test_comparisons_are_at_its_own_temperature():
    plain = clone(RANKERS["film"]).fit(X, DATA.Y, qid=DATA.qid).specialize(WEIGHTS[0], temperature=3)
    rows = DATA.qid == DATA.qid[0]
    found = plain.compare(X[rows], qid=DATA.qid[rows], a=WEIGHTS[0], b="reference", n_repeats=0)
    scores = plain.predict(X[rows], qid=DATA.qid[rows])
    expected = (scores - scores.mean()) / scores.std()
    np.testing.assert_allclose(found.scores[:, 0] - found.scores[:, 0].mean(), expected, rtol=0, atol=1e-6)


def test_it_is_plain_and_smaller(ranker):
    plain = ranker.specialize([0.6, 0.0, 0.4])
    assert plain.model_.network.conditioning == "none"
    assert sum(p.numel() for p in plain.model_.network.parameters()) <= sum(
        p.numel() for p in ranker.model_.network.parameters()
    )


def test_boosters_that_do_not_count_are_left_out():
    ranker = clone(RANKERS["film"]).fit(X, DATA.Y, qid=DATA.qid)
    members = ranker.specialize([0.0, 1.0, 0.0]).reference_.reference.members
    assert [len(member.boosters) for member in members] == [1, 1, 1]


def test_scores_and_fronts_are_of_its_trade_off(ranker):
    weights = [0.2, 0.5, 0.3]
    plain = ranker.specialize(dict(zip(ranker.objectives_, weights, strict=True)))
    found = plain.score(X, DATA.Y, qid=DATA.qid)
    assert found == pytest.approx(ranker.score(X, DATA.Y, qid=DATA.qid, weights=weights), abs=1e-3)
    front = plain.pareto_front(X, DATA.Y, qid=DATA.qid)
    assert front.weights.to_numpy().tolist() == [weights]


def test_saved_and_loaded(ranker, tmp_path):
    plain = ranker.specialize([0.6, 0.0, 0.4])
    again = hyperrank.load(plain.save(tmp_path / "model"))
    assert isinstance(again, SpecializedRanker)
    np.testing.assert_array_equal(again.predict(X, qid=DATA.qid), plain.predict(X, qid=DATA.qid))


def test_a_row_has_the_same_bits_in_any_company(ranker):
    plain = ranker.specialize([0.2, 0.5, 0.3])
    kept = np.isin(DATA.qid, np.unique(DATA.qid)[:4])
    np.testing.assert_array_equal(
        plain.predict(X[kept], qid=DATA.qid[kept]), plain.predict(X, qid=DATA.qid)[kept]
    )


def test_what_it_refuses():
    ranker = clone(RANKERS["film"])
    with pytest.raises(NotFittedError):
        ranker.specialize([0.2, 0.5, 0.3])
    ranker.fit(X, DATA.Y, qid=DATA.qid)
    with pytest.raises(ValueError, match="takes one trade-off"):
        ranker.specialize(np.eye(3))
    with pytest.raises(ValueError, match="weights"):
        ranker.specialize([0.2, 0.5])
    plain = ranker.specialize([0.2, 0.5, 0.3])
    for other in ([1, 0, 0], np.eye(3)):
        with pytest.raises(ValueError, match=r"specialised for the weights objective_0: 0\.2"):
            plain.predict(X, weights=other)
    with pytest.raises(TypeError, match=r"not fitted but made"):
        plain.fit(X, DATA.Y)
