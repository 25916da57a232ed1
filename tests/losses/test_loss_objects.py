"""Losses with options: the functions they stand for, scikit-learn's protocol, names, one's own losses."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
import torch
from loss_oracles import offsets_of
from sklearn.base import clone

from hyperrank.files.codec import decode, encode
from hyperrank.losses import (
    ApproxNDCG,
    LambdaLoss,
    ListNet,
    Loss,
    PairwiseLogistic,
    PlackettLuce,
    approx_ndcg,
    get_loss,
    lambda_loss,
    listnet,
    pairwise_logistic,
    plackett_luce,
    prepare,
    register_loss,
    takes_gains,
    weighted_loss,
)

SCORES, LABELS = torch.randn(9, 2, dtype=torch.float64), torch.arange(18.0).view(9, 2) % 4
OFFSETS = offsets_of(4, 5)

OBJECTS = {
    "listnet": (ListNet("linear"), partial(listnet, gain="linear")),
    "plackett_luce": (PlackettLuce(2, "rating"), partial(plackett_luce, top_k=2, ties="rating")),
    "lambda_loss": (
        LambdaLoss("linear", 2, "ndcg_loss2"),
        partial(lambda_loss, gain="linear", top_k=2, weighting="ndcg_loss2"),
    ),
    "approx_ndcg": (
        ApproxNDCG("linear", 0.5),
        partial(approx_ndcg, gain="linear", temperature=0.5, standardize=True),
    ),
    "pairwise_logistic": (PairwiseLogistic(), pairwise_logistic),
}


@pytest.mark.parametrize("name", OBJECTS)
@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_an_object_is_its_function_with_options_bound(name, reduction):
    loss, function = OBJECTS[name]
    found, expected = (f(SCORES, LABELS, OFFSETS, reduction=reduction) for f in (loss, function))
    assert torch.equal(found, expected)


@pytest.mark.parametrize("name", OBJECTS)
def test_params_clone_equality_and_files(name):
    loss, _ = OBJECTS[name]
    default = get_loss(name)
    assert (loss == default) == (name == "pairwise_logistic")
    copies = [
        clone(loss),
        type(loss)(**loss.get_params()),
        clone(default).set_params(**loss.get_params()),
        decode(encode(loss, {}, "params.loss"), {}),
    ]
    for copy in copies:
        assert copy == loss
        assert copy is not loss
        assert repr(copy) == repr(loss)
    with pytest.raises(ValueError, match=f"{type(loss).__name__} has no parameter 'color'; it has"):
        loss.set_params(color="red")


def test_each_says_whether_it_takes_gains():
    gains = {name for name in OBJECTS if takes_gains(get_loss(name))}
    assert gains == {"listnet", "lambda_loss", "approx_ndcg"}
    assert not takes_gains(lambda *_, **__: None)


def test_objects_have_the_fused_form_of_their_functions():
    labels = torch.rand(9, 2)
    ready = prepare(ListNet("linear"), labels, OFFSETS)
    assert torch.equal(ready.target, prepare(partial(listnet, gain="linear"), labels, OFFSETS).target)
    generator = torch.Generator()
    ranks = prepare(partial(PlackettLuce(top_k=3), generator=generator), labels, OFFSETS)
    assert (ranks.top_k, ranks.generator) == (3, generator)
    for loss in (PlackettLuce(ties="average"), PairwiseLogistic(), LambdaLoss(), ApproxNDCG()):
        assert prepare(loss, labels, OFFSETS) is None


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ("magic", r"loss must be 'listnet', .*'pairwise_logistic'.*ListNet\(gain='linear'\).*got 'magic'"),
        (ListNet("cubic"), "gain must be 'exp2' or 'linear'; got 'cubic'"),
        (PlackettLuce(ties="none"), "ties must be"),
        (PlackettLuce(top_k=0), "top_k must be a whole number at least 1; got 0"),
        (PlackettLuce(top_k=2.5), "top_k must be a whole number at least 1; got 2.5"),
        (LambdaLoss(top_k=-1), "top_k must be a whole number"),
        (LambdaLoss(weighting="ndcg"), "weighting must be"),
        (ApproxNDCG(temperature=0), "temperature must be a number above 0"),
        (lambda scores, *_, **__: scores, r"\(2, 3, 2\) was expected.*shape \(4, 3\)"),
        (lambda *_, **__: 1.0, "gave a float"),
    ],
)
def test_wrong_losses_are_refused_before_any_training(loss, message):
    with pytest.raises(ValueError, match=message):
        get_loss(loss)


@pytest.mark.parametrize(
    ("loss", "message"), [(ListNet, r"the class ListNet: pass ListNet\(\)"), (3, "got 3"), (None, "got None")]
)
def test_what_is_no_loss(loss, message):
    with pytest.raises(TypeError, match=message):
        get_loss(loss)


def test_random_ties_are_drawn_by_a_generator():
    def draw(seed, loss):
        return loss(SCORES, torch.zeros(9), OFFSETS, generator=torch.Generator().manual_seed(seed))

    assert torch.equal(draw(0, PlackettLuce()), draw(0, plackett_luce))
    assert not torch.equal(draw(0, PlackettLuce()), draw(1, PlackettLuce()))


def test_checking_a_loss_draws_nothing():
    before = torch.random.get_rng_state()
    get_loss(PlackettLuce(ties="random"))
    assert torch.equal(torch.random.get_rng_state(), before)


def sharp(scores, labels, offsets, *, factor=3.0, reduction="mean"):
    return listnet(factor * scores, labels, offsets, reduction=reduction)


@dataclass
class Sharp(Loss):
    function = staticmethod(sharp)
    factor: float = 3.0


@pytest.mark.parametrize("loss", [sharp, Sharp(), partial(sharp, factor=3.0)])
def test_ones_own_loss(loss):
    assert get_loss(loss) is loss
    weights = torch.rand(2, 2, 2, dtype=torch.float64)
    found = weighted_loss(SCORES, LABELS, OFFSETS, weights, loss=loss)
    expected = weighted_loss(3 * SCORES, LABELS, OFFSETS, weights, loss=listnet)
    torch.testing.assert_close(found, expected)


def test_registered_losses_have_a_name():
    register_loss("test_sharp", Sharp)
    register_loss("test_sharp", Sharp)
    assert get_loss("test_sharp") == Sharp(3.0)
    with pytest.raises(ValueError, match="'listnet' is registered already"):
        register_loss("listnet", Sharp)


def test_options_may_be_numpy_numbers():
    assert torch.isfinite(get_loss(PlackettLuce(top_k=np.int64(2)))(SCORES, LABELS, OFFSETS)).all()
