"""HyperDPORanker with a listwise transformer."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

import hyperrank
from hyperrank import AdamW, HyperDPORanker, PerQuery, PerRow, TradeOffs
from hyperrank.datasets import make_multilabel_ranking
from hyperrank.networks import Transformer
from hyperrank.rankers.dpo.reward_model import ListRewardModel

DATA = make_multilabel_ranking(n_queries=40, n_objectives=2, n_features=6, random_state=0)
OPTIONS = {"network": Transformer(hidden=(16, 16)), "max_epochs": 2, "random_state": 0}
CORNERS = np.array([[1.0, 0.0], [0.0, 1.0], [0.4, 0.6]])


@pytest.fixture(scope="module")
def fitted() -> HyperDPORanker:
    return HyperDPORanker(None, **OPTIONS).fit(DATA.X, DATA.Y, qid=DATA.qid)


def predict(ranker, rows=slice(None), **options):
    return ranker.predict(DATA.X[rows], qid=np.asarray(DATA.qid)[rows], **options)


def test_lists_are_scored_as_alone_and_in_any_order(fitted):
    together = predict(fitted, weights=CORNERS)
    order = np.random.default_rng(0).permutation(len(DATA.X))
    np.testing.assert_allclose(predict(fitted, order, weights=CORNERS), together[order], atol=1e-5)
    for q in np.unique(DATA.qid)[:10]:
        rows = np.flatnonzero(DATA.qid == q)
        np.testing.assert_allclose(
            fitted.predict(DATA.X[rows], weights=CORNERS), together[rows], atol=1e-5, rtol=1e-5
        )


def test_other_documents_of_the_list_matter(fitted):
    rows = np.flatnonzero(DATA.qid == DATA.qid[0])
    alone = fitted.predict(DATA.X[rows[:1]])
    assert np.abs(alone - predict(fitted, rows)[:1]).max() > 1e-4


def test_without_query_ids_in_fit_each_document_is_alone_to_the_bit():
    ranker = HyperDPORanker(None, **OPTIONS).fit(DATA.X, DATA.Y, qid=np.zeros(len(DATA.X)))
    together = ranker.predict(DATA.X, weights=CORNERS)
    some = np.random.default_rng(0).permutation(len(DATA.X))[:50]
    np.testing.assert_array_equal(ranker.predict(DATA.X[some], weights=CORNERS), together[some])
    np.testing.assert_array_equal(ranker.predict(DATA.X, weights=CORNERS[2]), together[:, 2])
    by_row = ranker.predict(DATA.X, weights=PerRow(CORNERS[np.arange(len(DATA.X)) % 3]))
    np.testing.assert_allclose(
        by_row, together[np.arange(len(DATA.X)), np.arange(len(DATA.X)) % 3], atol=1e-5
    )


def test_weights_by_query_and_by_row(fitted):
    together = predict(fitted, weights=CORNERS)
    number = np.unique(DATA.qid, return_inverse=True)[1] % 3
    table = PerQuery({q: CORNERS[i % 3] for i, q in enumerate(np.unique(DATA.qid))})
    expected = together[np.arange(len(DATA.X)), number]
    np.testing.assert_allclose(predict(fitted, weights=table), expected, atol=1e-5, rtol=1e-5)
    each = np.random.default_rng(0).integers(3, size=len(DATA.X))
    by_row = predict(fitted, weights=PerRow(CORNERS[each]))
    np.testing.assert_allclose(by_row, together[np.arange(len(DATA.X)), each], atol=1e-5, rtol=1e-5)


def test_specialized_and_saved(fitted, tmp_path):
    plain = fitted.specialize(CORNERS[2])
    expected = predict(fitted, weights=CORNERS[2])
    np.testing.assert_allclose(predict(plain), expected, atol=1e-5, rtol=1e-5)
    loaded = hyperrank.load(plain.save(tmp_path / "plain.safetensors"))
    np.testing.assert_array_equal(predict(loaded), predict(plain))


def test_prompts_alone_are_trained_of_a_fitted_ranker(fitted, tmp_path):
    Y = np.column_stack([DATA.Y, DATA.Y.sum(axis=1)])
    new = HyperDPORanker(None, **{**OPTIONS, "network": Transformer(pretrained=fitted)}).fit(
        DATA.X, Y, qid=DATA.qid
    )
    before, after = (ranker.model_.network.state_dict() for ranker in (fitted, new))
    changed = {
        name
        for name in after
        if before[name].shape != after[name].shape or (before[name] != after[name]).any()
    }
    assert changed == {name for name in after if name.startswith("prompt.")}
    for name, table in fitted.model_.transform.tables.items():
        assert (table == new.model_.transform.tables[name]).all()
    loaded = hyperrank.load(new.save(tmp_path / "prompts.safetensors"))
    at = [0.2, 0.3, 0.5]
    np.testing.assert_array_equal(predict(loaded, weights=at), predict(new, weights=at))
    # Nor does a file forget that all but the prompts stays as it is.
    loaded.partial_fit(DATA.X, Y, qid=DATA.qid)
    later = loaded.model_.network.state_dict()
    assert {name for name in later if (later[name] != after[name]).any()} == changed


def test_tuning_a_transformer_begins_with_its_own_dropout():
    data = make_multilabel_ranking(n_queries=110, n_objectives=2, n_features=4, list_size=4, random_state=0)
    ranker = HyperDPORanker(None, network=Transformer(hidden=(8,)), random_state=0)
    ranker.fit(data.X, data.Y, qid=data.qid)
    assert ranker.tuning_.candidates[0]["dropout"] == 0.3


def test_prompts_alone_learn_to_turn_to_the_objectives():
    """Of a transformer that learnt one mix, new prompts make one that knows the weights."""
    longer = {**OPTIONS, "max_epochs": 15, "network": Transformer(hidden=(32, 32))}
    base = HyperDPORanker(None, **longer).fit(DATA.X, DATA.Y.mean(axis=1), qid=DATA.qid)
    prompts = HyperDPORanker(
        None, **{**longer, "network": Transformer(pretrained=base)}, optimizer=AdamW(learning_rate=2e-2)
    )
    prompts.fit(DATA.X, DATA.Y, qid=DATA.qid)
    points = prompts.pareto_front(DATA.X, DATA.Y, qid=DATA.qid, weights=np.eye(2)).points.to_numpy()
    assert points[0, 0] > points[1, 0] + 0.02
    assert points[1, 1] > points[0, 1] + 0.02


def test_a_frozen_ranker_lives_through_clone(fitted):
    ranker = HyperDPORanker(None, **{**OPTIONS, "network": Transformer(pretrained=FrozenEstimator(fitted))})
    assert isinstance(clone(ranker).fit(DATA.X, DATA.Y, qid=DATA.qid).model_, ListRewardModel)


def test_fit_goes_on_from_a_transformer(fitted):
    ranker = clone(fitted).set_params(warm_start=True).fit(DATA.X, DATA.Y, qid=DATA.qid)
    first = predict(ranker)
    assert np.abs(predict(ranker.fit(DATA.X, DATA.Y, qid=DATA.qid)) - first).max() > 0
    ranker.partial_fit(DATA.X, DATA.Y, qid=DATA.qid)
    assert isinstance(ranker.model_, ListRewardModel)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"network": "rnn"}, r"network must be one of \('mlp', 'transformer'\)"),
        (
            {"network": Transformer(pretrained=HyperDPORanker())},
            "not fitted: fit it, and wrap it in FrozenEstimator",
        ),
        ({"network": 3}, r"Transformer\(pretrained=ranker\); got 3"),
        ({"network": Transformer(pretrained=3)}, "a fitted ranker of network='transformer'; got int"),
        (
            {"network": Transformer(hidden=(16, 8))},
            r"one width for all layers of a transformer; got \(16, 8\)",
        ),
        ({"network": Transformer(n_prompts=0)}, "n_prompts must be a whole number at least 1; got 0"),
        (
            {"trade_offs": TradeOffs(temperature_range=(0.5, 2)), "reference": "lightgbm"},
            "temperature_range needs network='mlp'",
        ),
    ],
)
def test_wrong_options_are_named(options, error):
    with pytest.raises(ValueError, match=error):
        HyperDPORanker(**{"reference": None, **OPTIONS, **options}).fit(DATA.X, DATA.Y, qid=DATA.qid)


def test_a_frozen_ranker_must_fit_the_data(fitted):
    ranker = HyperDPORanker(None, **{**OPTIONS, "network": Transformer(pretrained=fitted)})
    with pytest.raises(ValueError, match="pretrained was fitted on 6 features; X has 5"):
        ranker.fit(DATA.X[:, :5], DATA.Y, qid=DATA.qid)
    mlp = HyperDPORanker(None, max_epochs=1).fit(DATA.X, DATA.Y, qid=DATA.qid)
    with pytest.raises(ValueError, match="a fitted ranker of network='transformer'"):
        ranker.set_params(network__pretrained=mlp).fit(DATA.X, DATA.Y, qid=DATA.qid)
