"""Options as objects: searches, clones, files, one's own losses, conditionings and stopping rules."""

import inspect

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

import hyperrank
from hyperrank import (
    AdamW,
    CheckpointFile,
    EarlyStopping,
    HyperDPORanker,
    ModelFileError,
    QueryKFold,
    SoupRanker,
    TradeOffs,
    datasets,
)
from hyperrank.losses import ListNet, PlackettLuce, listnet, register_loss
from hyperrank.networks import MLP, ConditionedLinear, Transformer, register_conditioning, zero_linear

QUICK = {"network": MLP(hidden=(8,)), "max_epochs": 1, "random_state": 0}


@pytest.fixture(scope="module")
def data():
    return datasets.make_multilabel_ranking(
        n_queries=20, list_size=6, n_features=4, n_objectives=2, random_state=0
    )


def fit(data, **options):
    return HyperDPORanker(None, **{**QUICK, **options}).fit(data.X, data.Y, qid=data.qid)


def test_the_constructor_stays_short():
    assert len(inspect.signature(HyperDPORanker).parameters) <= 24


@pytest.mark.parametrize(
    ("by_name", "nested", "by_object"),
    [
        ({"loss": "plackett_luce"}, {"loss__top_k": 3}, {"loss": PlackettLuce(top_k=3)}),
        ({}, {"loss__gain": "linear"}, {"loss": ListNet("linear")}),
        ({"network": "mlp"}, {"network__hidden": (8,)}, {"network": MLP((8,))}),
        ({}, {"network": "transformer", "network__n_prompts": 2}, {"network": Transformer(n_prompts=2)}),
        ({}, {"trade_offs__n_draws": 3}, {"trade_offs": TradeOffs(n_draws=3)}),
        ({}, {"optimizer__learning_rate": 0.1}, {"optimizer": AdamW(0.1)}),
        ({"early_stopping": True}, {"early_stopping__patience": 2}, {"early_stopping": EarlyStopping(2)}),
        ({"checkpoint": "x"}, {"checkpoint__every": 5}, {"checkpoint": CheckpointFile("x", every=5)}),
    ],
)
def test_options_of_what_was_given_by_name_are_set(by_name, nested, by_object):
    ranker = HyperDPORanker(**by_name).set_params(**nested)
    wanted = HyperDPORanker(**by_object)
    assert ranker.get_params(deep=False) == wanted.get_params(deep=False)
    assert clone(ranker).get_params() == wanted.get_params()
    assert repr(ranker) == repr(wanted)


@pytest.mark.parametrize(
    ("nested", "message"),
    [
        ({"loss__depth": 1}, "ListNet has no parameter 'depth'; it has .*gain"),
        ({"network__depth": 1}, "MLP has no parameter 'depth'"),
        ({"checkpoint__every": 1}, "checkpoint must be None, the path of a file"),
        ({"nothing__every": 1}, "Invalid parameter 'nothing'"),
    ],
)
def test_options_that_no_object_has(nested, message):
    with pytest.raises(ValueError, match=message):
        HyperDPORanker().set_params(**nested)


def test_a_search_reaches_options_of_objects(data):
    ranker = HyperDPORanker(None, **{**QUICK, "loss": "plackett_luce"})
    grid = {"loss__top_k": [1, None], "network__hidden": [(4,), (6,)]}
    with sklearn.config_context(enable_metadata_routing=True):
        search = GridSearchCV(ranker, grid, cv=QueryKFold(2), error_score="raise")
        search.fit(data.X, data.Y, qid=data.qid)
    assert len(search.cv_results_["params"]) == 4
    best = search.best_estimator_
    assert best.loss == PlackettLuce(top_k=search.best_params_["loss__top_k"])
    assert best.model_.network.options["hidden"] == list(search.best_params_["network__hidden"])
    assert ranker.loss == "plackett_luce"


def test_names_and_objects_are_the_same_to_the_bit(data):
    by_name = fit(data, loss="listnet", trade_offs="uniform", optimizer="adamw")
    by_object = fit(data, loss=ListNet(), trade_offs=TradeOffs(), optimizer=AdamW())
    np.testing.assert_array_equal(by_name.predict(data.X), by_object.predict(data.X))


def test_files_hold_the_objects(data, tmp_path):
    options = {
        "loss": PlackettLuce(top_k=3, ties="rating"),
        "network": MLP((8,), "concat", 0.1),
        "trade_offs": TradeOffs(alpha=0.5),
        "optimizer": AdamW(1e-3, batch_docs=50),
        "early_stopping": EarlyStopping(2, fraction=0.2),
    }
    ranker = fit(data, **options)
    again = hyperrank.load(ranker.save(tmp_path / "m.safetensors"))
    assert {name: again.get_params(deep=False)[name] for name in options} == options
    assert again.pull_ == again.reward_scale_ == ranker.reward_scale_


def sharp(scores, labels, offsets, *, reduction="mean"):
    return listnet(5 * scores, labels, offsets, reduction=reduction)


def make_sharp():
    return sharp


@pytest.mark.parametrize("kind", [HyperDPORanker, SoupRanker])
def test_a_loss_of_ones_own(data, tmp_path, kind):
    ranker = kind(None, **{**QUICK, "max_epochs": 2}, loss=sharp).fit(data.X, data.Y, qid=data.qid)
    plain = clone(ranker).set_params(loss="listnet").fit(data.X, data.Y, qid=data.qid)
    assert not np.array_equal(ranker.predict(data.X), plain.predict(data.X))
    with pytest.raises(ModelFileError, match=r"params\.loss is .*register_loss gives a loss of your own"):
        ranker.save(tmp_path / "m.safetensors")
    register_loss("test_sharp_loss", make_sharp)
    by_name = clone(ranker).set_params(loss="test_sharp_loss").fit(data.X, data.Y, qid=data.qid)
    np.testing.assert_array_equal(by_name.predict(data.X), ranker.predict(data.X))
    again = hyperrank.load(by_name.save(tmp_path / "m.safetensors"))
    assert again.loss == "test_sharp_loss"


class ShiftOnly(ConditionedLinear):
    def __init__(self, n_in, n_out, n_condition):
        super().__init__(n_in, n_out, n_condition)
        self.shift = zero_linear(n_condition, n_out)

    def modulation(self, condition):
        return (self.shift(condition),)

    def modulate(self, hidden, shared, modulation):
        return shared + modulation[0]


class Unregistered(ShiftOnly):
    pass


def test_a_conditioning_of_ones_own(data, tmp_path):
    """The package's "concat" by another name."""
    register_conditioning("test_shift_only", ShiftOnly)
    ours, theirs = (fit(data, network=MLP((8,), conditioning)) for conditioning in ("concat", ShiftOnly))
    np.testing.assert_array_equal(theirs.predict(data.X), ours.predict(data.X))
    again = hyperrank.load(theirs.save(tmp_path / "m.safetensors"))
    assert again.network.conditioning == "test_shift_only"
    np.testing.assert_array_equal(again.predict(data.X), ours.predict(data.X))
    plain = theirs.specialize([0.3, 0.7])
    np.testing.assert_allclose(plain.predict(data.X), theirs.predict(data.X, weights=[0.3, 0.7]), atol=1e-5)
    with pytest.raises(ModelFileError, match=r"register_conditioning gives a conditioning of your own"):
        fit(data, network=MLP((8,), Unregistered)).save(tmp_path / "m.safetensors")


def test_a_stopping_rule_of_ones_own(data, tmp_path):
    rule = lambda history: len(history) == 2  # noqa: E731
    ranker = fit(data, early_stopping=rule, max_epochs=5)
    assert len(ranker.history_) == 2
    assert all("score" in entry for entry in ranker.history_)  # queries were held out
    with pytest.raises(ModelFileError, match=r"set_params\(early_stopping='auto'\)"):
        ranker.save(tmp_path / "m.safetensors")
    ranker.set_params(early_stopping="auto").save(tmp_path / "m.safetensors")
