"""Networks with their options: what they build, scikit-learn's protocol, one's own conditioning."""

import pytest
import torch
from sklearn.base import clone

from hyperrank.files.codec import decode, encode
from hyperrank.networks import (
    CONDITIONINGS,
    MLP,
    ConditionedLinear,
    ConditionedScorer,
    Transformer,
    get_network,
    register_conditioning,
    zero_linear,
)


class GainOnly(ConditionedLinear):
    def __init__(self, n_in, n_out, n_condition):
        super().__init__(n_in, n_out, n_condition)
        self.gain = zero_linear(n_condition, n_out)

    def modulation(self, condition):
        return (self.gain(condition),)

    def modulate(self, hidden, shared, modulation):
        return shared * (1 + modulation[0])


class Bent(GainOnly):
    """Not linear in its input."""

    def modulate(self, hidden, shared, modulation):
        return (shared * (1 + modulation[0])).relu()


def trained(conditioning, n_members=1):
    """A network in double precision whose parameters are all away from 0."""
    torch.manual_seed(0)
    options = {"conditioning": conditioning, "n_members": n_members}
    network = ConditionedScorer(5, 2, hidden=(8, 6), **options).double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return network


@pytest.mark.parametrize("network", [MLP((8, 4), "concat", 0.25, 2), Transformer((8, 8), 2, 0.25)])
def test_params_clone_equality_and_files(network):
    default = type(network)()
    assert network != default
    plain = encode(network, {}, "params.network")
    for copy in (clone(network), default.set_params(**network.get_params()), decode(plain, {})):
        assert copy == network
        assert repr(copy) == repr(network)
    with pytest.raises(ValueError, match="has no parameter 'n_heads'"):
        network.set_params(n_heads=2)


def test_what_is_built():
    mlp = MLP(hidden=[8, 4], conditioning="concat").build(5, 3, n_more=1, categories=[7])
    assert mlp.options == {
        **{"n_features": 5, "n_objectives": 3, "hidden": [8, 4], "conditioning": "concat"},
        **{"dropout": 0.5, "n_condition": 32, "n_more": 1, "categories": [7], "n_members": 1},
    }
    transformer = Transformer(hidden=(8,), dropout=0.0).build(5, 3, alone=True)
    assert transformer.options == {
        **{"n_features": 5, "n_objectives": 3, "hidden": [8], "dropout": 0.0},
        **{"n_prompts": 4, "alone": True, "frozen": False, "categories": []},
    }
    assert get_network("mlp").resolve() == MLP((128, 128), dropout=0.5, n_members=1)
    assert get_network("mlp").resolve(99) == MLP((128, 256), dropout=0.5, n_members=4)
    assert get_network("mlp").resolve(100) == MLP().resolve()
    assert MLP(hidden=(8, 128)).resolve(50).n_members == 1
    assert MLP(hidden=(8, 9), n_members=3).resolve().n_members == 3
    assert get_network("transformer").resolve() == Transformer(dropout=0.3)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ("magic", r"one of \('mlp', 'transformer'\), or an object such as MLP.*got 'magic'"),
        (3, "got 3"),
        (MLP(hidden=()), "at least one layer"),
        (MLP(hidden=(8, 0.5)), "hidden must be a whole number at least 1"),
        (MLP(n_members=3), r"n_members must divide the last hidden layer, of 128 units; got 3.*such as 126"),
        (MLP(dropout=1.0), "dropout must be a number at least 0 and below 1 or 'auto'"),
        (MLP(conditioning="magic"), "conditioning must be one of .*'film'.*; got 'magic'"),
        (Transformer(hidden=(8, 4)), "one width for all layers"),
        (Transformer(n_prompts=0), "n_prompts must be a whole number at least 1"),
        (Transformer(dropout="some"), "dropout must be"),
    ],
)
def test_wrong_networks_are_refused(network, message):
    with pytest.raises(ValueError, match=message):
        get_network(network).resolve()


@pytest.mark.parametrize("n_members", [1, 2])
@pytest.mark.parametrize("conditioning", [*CONDITIONINGS, GainOnly])
def test_a_folded_network_scores_as_under_its_weights(conditioning, n_members):
    network, features = trained(conditioning, n_members), torch.randn(7, 5, dtype=torch.float64)
    weights = torch.tensor([0.3, 0.7], dtype=torch.float64)
    folded = network.fold(weights)
    assert folded.conditioning == "none"
    found = folded(features.float(), torch.ones(1, 1))
    torch.testing.assert_close(found, network(features, weights[None]).float(), rtol=1e-5, atol=1e-5)


def test_ones_own_conditioning_by_class_and_by_name():
    register_conditioning("test_gain_only", GainOnly)
    by_class, by_name = (trained(conditioning) for conditioning in (GainOnly, "test_gain_only"))
    features, weights = torch.randn(3, 5, dtype=torch.float64), torch.eye(2, dtype=torch.float64)
    scores = by_class(features, weights)
    assert torch.equal(scores, by_name(features, weights))
    assert (scores[:, 0] != scores[:, 1]).all()
    # Files hold names: that of a class which has one.
    assert by_class.options["conditioning"] == "test_gain_only"
    with pytest.raises(ValueError, match="'film' is registered already"):
        register_conditioning("film", GainOnly)


def test_a_layer_that_is_not_linear_cannot_be_folded():
    network = trained(Bent)
    assert network(torch.randn(3, 5).double(), torch.eye(2).double()).shape == (3, 2)
    with pytest.raises(ValueError, match="Bent is not linear in its input"):
        network.fold(torch.tensor([0.3, 0.7]).double())
