"""Temperature at predict: the linear rule, exactly, and networks that know the temperature."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.tree import DecisionTreeRegressor

from hyperrank import AdamW, HyperDPORanker, QueryLists, TradeOffs
from hyperrank.networks import MLP
from hyperrank.rankers.dpo.config import FitConfig
from hyperrank.rankers.dpo.reference import fit_reference, reference_logits
from hyperrank.rankers.inputs import read_fit_inputs
from hyperrank.reference import GroupedRows
from hyperrank.reference.base import mix
from hyperrank.simplex import lattice
from hyperrank.training import Checkpoint

QUICK = {
    "max_epochs": 3,
    "network": MLP(hidden=(8, 8)),
    "booster_params": {"num_boost_round": 5},
    "n_jobs": 1,
    "random_state": 0,
}
RANGE = (0.25, 4.0)
WEIGHTS = [[1, 0], [0.2, 0.8]]


def fit(data, **options):
    return HyperDPORanker(**{**QUICK, "trade_offs": TradeOffs(temperature_range=RANGE), **options}).fit(
        data.X, data.Y, qid=data.qid
    )


def at(ranker, data, temperature, **options):
    return ranker.predict(data.X, qid=data.qid, weights=WEIGHTS, temperature=temperature, **options)


@pytest.fixture(scope="module")
def conditioned(small):
    return fit(small)


def reference_of(ranker, data):
    lists = QueryLists.from_qid(data.qid)
    grouped = ranker.reference_.scores(GroupedRows(data.X[lists.order], lists, data.X, None))
    return lists.ungroup(mix(grouped, np.array(WEIGHTS)))


# ---- the linear rule -------------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.25, 0.5, 2.0, 8.0])
def test_training_with_another_beta_is_another_temperature_to_the_bit(small, unseen, temperature):
    soft = fit(small, trade_offs=TradeOffs(temperature_range=None), beta=1.0)
    hard = fit(small, trade_offs=TradeOffs(temperature_range=None), beta=1.0 / temperature)
    np.testing.assert_array_equal(at(soft, unseen, temperature), at(hard, unseen, 1.0))


@pytest.mark.parametrize("temperature", [0.1, 1.0, 3.7, 1e4])
def test_the_linear_rule_is_a_line_through_the_reference(fitted, unseen, temperature):
    base, pulled = at(fitted, unseen, 0), at(fitted, unseen, 1)
    np.testing.assert_array_equal(base, reference_of(fitted, unseen))
    line = base + temperature * (pulled - base)
    np.testing.assert_allclose(
        at(fitted, unseen, temperature), line, rtol=1e-9, atol=1e-9 * (1 + temperature)
    )


# ---- networks that know the temperature ------------------------------------------------------------------


def test_zero_is_the_reference_and_one_the_default(conditioned, unseen):
    np.testing.assert_array_equal(at(conditioned, unseen, 0), reference_of(conditioned, unseen))
    np.testing.assert_array_equal(at(conditioned, unseen, None), at(conditioned, unseen, 1))
    assert conditioned.temperature_range_ == RANGE


@pytest.mark.parametrize("conditioning", ["film", "concat", "hypernetwork"])
@pytest.mark.parametrize("reference", ["booster_pairs", "lightgbm"])
def test_rewards_depend_on_the_temperature(small, unseen, reference, conditioning):
    ranker = fit(
        small,
        reference=reference,
        network=MLP(conditioning=conditioning),
        optimizer=AdamW(learning_rate=0.05),
    )
    base = at(ranker, unseen, 0)
    low, high = ((at(ranker, unseen, t) - base) / t for t in RANGE)
    assert np.abs(low - high).max() > 1e-2 * np.abs(low).max()


def test_the_reference_enters_the_gradient(small, unseen):
    """Unlike that of the linear rule, whose rewards are the same over any."""
    found = []
    for reference in ("boosters", "lightgbm"):
        ranker = fit(small, reference=reference, beta=1.0)
        found.append((at(ranker, unseen, 1) - at(ranker, unseen, 0)) / ranker.reward_scale_)
    assert np.abs(found[0] - found[1]).max() > 1e-3


@pytest.mark.parametrize("temperature", [0.2, 4.1, 1e-9, 1e9])
def test_temperatures_outside_the_range_are_refused(conditioned, unseen, temperature):
    with pytest.raises(ValueError, match=r"within temperature_range, 0\.25 to 4, or be 0"):
        at(conditioned, unseen, temperature)
    assert np.isfinite(at(conditioned, unseen, RANGE[0])).all()
    assert np.isfinite(at(conditioned, unseen, RANGE[1])).all()


MISTAKES = {
    "one number": ({"trade_offs": TradeOffs(temperature_range=2.0)}, r"\(low, high\)"),
    "three numbers": ({"trade_offs": TradeOffs(temperature_range=(0.5, 1, 2))}, r"\(low, high\)"),
    "turned around": ({"trade_offs": TradeOffs(temperature_range=(2.0, 0.5))}, "low < high"),
    "no width": ({"trade_offs": TradeOffs(temperature_range=(1.0, 1.0))}, "low < high"),
    "zero": ({"trade_offs": TradeOffs(temperature_range=(0.0, 2.0))}, "0 < low"),
    "endless": ({"trade_offs": TradeOffs(temperature_range=(0.5, np.inf))}, r"\(low, high\)"),
    "missing": ({"trade_offs": TradeOffs(temperature_range=(np.nan, 2.0))}, r"\(low, high\)"),
    "text": ({"trade_offs": TradeOffs(temperature_range=("0.5", "2"))}, r"\(low, high\)"),
    "without 1": ({"trade_offs": TradeOffs(temperature_range=(2.0, 4.0))}, "low <= 1 <= high"),
    "no reference": ({"reference": None}, "needs a reference"),
    "another loss": ({"loss": "plackett_luce"}, "needs loss='listnet'"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_ranges_that_cannot_be_are_refused_before_training(small, monkeypatch, mistake):
    options, message = MISTAKES[mistake]
    monkeypatch.setattr(
        "hyperrank.rankers.dpo.reference.fit_reference_model",
        lambda *_, **__: pytest.fail("training started"),
    )
    with pytest.raises(ValueError, match=message):
        fit(small, **options)


def test_same_seed_same_bits_and_copies_predict_alike(conditioned, small, unseen):
    scores = at(conditioned, unseen, 2.0)
    assert scores.dtype == np.float64
    np.testing.assert_array_equal(at(fit(small), unseen, 2.0), scores)
    np.testing.assert_array_equal(at(pickle.loads(pickle.dumps(conditioned)), unseen, 2.0), scores)
    again = clone(conditioned)
    assert again.get_params()["trade_offs__temperature_range"] == RANGE
    assert not hasattr(again, "temperature_range_")


def test_a_score_is_the_same_to_the_bit_in_any_company(conditioned, unseen):
    scores = at(conditioned, unseen, 2.0)
    shuffled = np.random.default_rng(0).permutation(len(unseen.X))
    np.testing.assert_array_equal(at(conditioned, unseen.take(shuffled), 2.0), scores[shuffled])
    for query in np.unique(unseen.qid)[:5]:
        rows = np.flatnonzero(unseen.qid == query)
        np.testing.assert_array_equal(at(conditioned, unseen.take(rows), 2.0), scores[rows])


def test_fronts_and_scores_take_the_temperature(conditioned, unseen):
    lattice_of = lattice(2, 2)
    fronts = [
        conditioned.pareto_front(unseen.X, unseen.Y, qid=unseen.qid, weights=lattice_of, temperature=t)
        for t in (0, 4.0)
    ]
    assert not np.array_equal(fronts[0].points, fronts[1].points)
    value = conditioned.score(unseen.X, unseen.Y, qid=unseen.qid, weights=[1, 0], temperature=4.0)
    row = np.flatnonzero(lattice_of[:, 0] == 1)[0]
    assert value == pytest.approx(fronts[1].points.to_numpy()[row, 0], rel=1e-6)


def test_going_on_keeps_the_range(small, unseen):
    ranker = fit(small, warm_start=True)
    before = at(ranker, unseen, 2.0)
    ranker.set_params(trade_offs=TradeOffs(temperature_range=None)).partial_fit(
        unseen.X, unseen.Y, qid=unseen.qid
    )
    assert ranker.temperature_range_ == RANGE
    assert not np.array_equal(at(ranker, unseen, 2.0), before)
    ranker.fit(small.X, small.Y, qid=small.qid)
    assert ranker.temperature_range_ == RANGE
    ranker.set_params(loss="plackett_luce")
    for method in (ranker.fit, ranker.partial_fit):
        with pytest.raises(ValueError, match="needs loss='listnet' to continue"):
            method(small.X, small.Y, qid=small.qid)
    plain = fit(small, trade_offs=TradeOffs(temperature_range=None), warm_start=True).set_params(
        trade_offs=TradeOffs(temperature_range=RANGE)
    )
    assert plain.fit(small.X, small.Y, qid=small.qid).temperature_range_ is None


def test_scores_and_models_of_the_callers(small, unseen):
    own = unseen.X[:, 0].astype(float)
    by_scores = HyperDPORanker("scores", **QUICK, trade_offs=TradeOffs(temperature_range=RANGE))
    by_scores.fit(small.X, small.Y, qid=small.qid, ref_scores=small.X[:, 0])
    np.testing.assert_array_equal(at(by_scores, unseen, 0, ref_scores=own)[:, 0], own)
    assert np.isfinite(at(by_scores, unseen, 4.0, ref_scores=own)).all()
    tree = DecisionTreeRegressor(max_depth=3, random_state=0)
    fitted_before = clone(tree).fit(small.X, small.Y[:, 0])
    for model in (tree, fitted_before):
        ranker = fit(small, reference=model)
        np.testing.assert_allclose(at(ranker, unseen, 0)[:, 0], fitted_before.predict(unseen.X))
        assert np.isfinite(at(ranker, unseen, 0.25)).all()


def test_validation_stops_by_the_whole_range(small, unseen):
    ranker = HyperDPORanker(**QUICK, trade_offs=TradeOffs(temperature_range=RANGE))
    ranker.fit(small.X, small.Y, qid=small.qid, X_val=unseen.X, y_val=unseen.Y, qid_val=unseen.qid)
    weights = lattice(2, 20)
    found = [
        ranker.pareto_front(unseen.X, unseen.Y, qid=unseen.qid, weights=weights, temperature=t).hypervolume()
        for t in (0.25, 1.0, 4.0)
    ]
    assert ranker.best_score_ == pytest.approx(np.mean(found), rel=1e-5)


def test_labels_and_weights_that_a_part_lacks(small, unseen):
    """A part of the queries on which no reference can be fitted goes without one."""
    Y, weight = small.Y.copy(), np.ones(len(small.X))
    Y[small.qid != small.qid[0], 1] = np.nan
    weight[small.qid % 3 == 0] = 0
    weight[small.qid == small.qid[0]] = 1
    ranker = HyperDPORanker(**QUICK, trade_offs=TradeOffs(temperature_range=RANGE))
    ranker.fit(small.X, Y, qid=small.qid, query_weight=weight)
    assert np.isfinite(at(ranker, unseen, 4.0)).all()
    one_list = HyperDPORanker(**QUICK, trade_offs=TradeOffs(temperature_range=RANGE)).fit(
        small.X, small.Y, qid=np.zeros(len(small.X))
    )
    assert np.isfinite(at(one_list, unseen, 4.0)).all()


class Memory(DecisionTreeRegressor):
    """Knows every row that it has seen, and nothing else."""


def test_training_sees_references_that_have_not_seen_the_query(small):
    """What a tree remembers of its training rows would tell the network to trust it."""
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=small.X.shape).astype(np.float32), small.Y
    ranker = HyperDPORanker(Memory(random_state=0), **QUICK, trade_offs=TradeOffs(temperature_range=RANGE))
    inputs = read_fit_inputs(ranker, X, Y, small.qid)
    config = FitConfig.from_params(ranker.get_params(deep=False), inputs)
    fitted = fit_reference(inputs, config, Checkpoint())
    lists, labels = inputs.training.lists, inputs.training.Y[:, 0]
    own = inputs.training.reference_scores(fitted.reference)[:, 0]
    np.testing.assert_allclose(own, labels)
    unseen, seen = (
        reference_logits(inputs, fitted, config, is_unseen=is_unseen) for is_unseen in (False, True)
    )
    assert abs(np.corrcoef(unseen[:, 0], labels)[0, 1]) < 0.5
    best = np.maximum.reduceat(own, lists.offsets[:-1])[lists.index]
    np.testing.assert_allclose(seen[:, 0], (own - best) / fitted.reward_scale, rtol=1e-5)


def test_the_tuning_chooses_as_for_the_linear_rule():
    from hyperrank import datasets

    data = datasets.make_multilabel_ranking(
        n_queries=110, list_size=(3, 8), n_features=4, n_objectives=2, random_state=0
    )
    options = {name: value for name, value in QUICK.items() if name != "max_epochs"}
    known, plain = (
        HyperDPORanker(**options, trade_offs=TradeOffs(temperature_range=r), max_epochs="auto").fit(
            data.X, data.Y, qid=data.qid
        )
        for r in (RANGE, None)
    )
    assert known.tuning_ == plain.tuning_
    assert known.reward_scale_ == plain.reward_scale_
