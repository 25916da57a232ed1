"""The conditioned scorer: trade-offs share a trunk, start as one network, and come apart in training."""

import pytest
import torch
from torch import Tensor, nn

from hyperrank.networks import CONDITIONINGS, ConditionedScorer

N, D, M = 12, 5, 3
WEIGHTS = torch.tensor([[1.0, 0, 0], [0, 1.0, 0], [0.2, 0.3, 0.5], [1 / 3, 1 / 3, 1 / 3]])


def network_of(conditioning: str, *, trained: bool = True, **options: float) -> ConditionedScorer:
    """A network with all its weights away from 0, as after training."""
    torch.manual_seed(0)
    network = ConditionedScorer(D, M, hidden=(16, 8, 6), conditioning=conditioning, **options).double()
    if trained:
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(0.3 * torch.randn_like(parameter))
    return network.eval()


def features_of(n: int = N) -> Tensor:
    return torch.randn(n, D, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
def test_several_weights_at_once_are_one_at_a_time(conditioning: str) -> None:
    network, features = network_of(conditioning), features_of()
    together = network(features, WEIGHTS.double())
    assert together.shape == (N, 4)
    alone = torch.cat([network(features, one[None].double()) for one in WEIGHTS], dim=1)
    torch.testing.assert_close(together, alone)
    assert (together.std(dim=1) > 0).all() == (conditioning != "none")


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
def test_weights_of_each_list_are_shared_weights_of_its_rows(conditioning: str) -> None:
    network, features = network_of(conditioning), features_of()
    index = torch.tensor([0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2])
    weights = torch.rand(3, 2, M, dtype=torch.float64)
    found = network(features, weights, index)
    for number in range(3):
        rows = index == number
        torch.testing.assert_close(found[rows], network(features[rows], weights[number]))
    shared = weights[:1].expand(3, -1, -1)
    torch.testing.assert_close(network(features, shared, index), network(features, weights[0]))
    torch.testing.assert_close(network(features, weights[0], index), network(features, weights[0]))


def test_weights_of_each_list_need_the_list_of_each_row() -> None:
    with pytest.raises(ValueError, match=r"weights of shape \(12, 2, 3\) need index"):
        network_of("film")(features_of(), torch.zeros(N, 2, M).double())


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
@pytest.mark.parametrize("hidden", [(8,), (16, 8), (3, 3, 3)])
def test_at_first_all_trade_offs_are_one_and_training_parts_them(
    conditioning: str, hidden: tuple[int, ...]
) -> None:
    torch.manual_seed(0)
    network = ConditionedScorer(D, 2, hidden=hidden, conditioning=conditioning)
    features, corners = features_of().float(), torch.eye(2)
    before = network(features, corners)
    # Up to rounding: a matrix product may add the terms of neighbouring rows in another order.
    torch.testing.assert_close(before[:, 0], before[:, 1], rtol=1e-6, atol=1e-7)
    assert before.std() > 1e-3
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
    wanted = torch.stack([features[:, 0], -features[:, 0]], dim=1)
    for _ in range(20):
        optimiser.zero_grad()
        ((network(features, corners) - wanted) ** 2).mean().backward()
        optimiser.step()
    after = network(features, corners)
    if conditioning == "none":
        torch.testing.assert_close(after[:, 0], after[:, 1], rtol=1e-6, atol=1e-7)
    else:
        assert (after[:, 0] - after[:, 1]).abs().mean() > 0.1


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
def test_the_trunk_sees_each_document_once(conditioning: str) -> None:
    network, seen = network_of(conditioning), []

    def count(_: nn.Module, inputs: tuple[Tensor, ...], __: Tensor) -> None:
        seen.append(inputs[0].shape[:-1].numel())

    for layer in [*network.trunk, network.conditioned.shared]:
        layer.register_forward_hook(count)
    network(features_of(), torch.rand(50, M).double())
    network(features_of(), torch.rand(4, 50, M).double(), torch.arange(N) % 4)
    assert seen == [N] * 6


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
def test_dropout_is_the_same_for_all_weights_of_a_document(conditioning: str) -> None:
    network, features = network_of(conditioning, dropout=0.5), features_of()
    still = network(features, WEIGHTS.double())
    torch.testing.assert_close(network(features, WEIGHTS.double()), still)
    network.train()
    same = network(features, WEIGHTS[[2, 2, 2]].double())
    torch.testing.assert_close(same, same[:, :1].expand(-1, 3))
    assert not torch.allclose(same[:, 0], still[:, 2])
    of_equal_documents = network(features[:1].expand(64, -1), WEIGHTS.double())
    assert len(of_equal_documents[:, 0].unique()) > 8


def test_an_output_unit_is_dropped_for_all_weights_or_none() -> None:
    network = network_of("film", dropout=0.5).train()
    seen: list[Tensor] = []
    network.head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0] == 0))
    network(features_of(), WEIGHTS.double())
    dropped = seen[0]
    assert dropped.any()
    assert not dropped.all()
    assert torch.equal(dropped, dropped[:, :1].expand_as(dropped))


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
def test_members_score_by_their_own_units_in_training_and_their_mean_is_the_score(conditioning: str) -> None:
    network, features = network_of(conditioning, n_members=3), features_of()
    mean = network(features, WEIGHTS.double())
    members = network.train()(features, WEIGHTS.double()).unflatten(1, (4, 3))
    torch.testing.assert_close(members.mean(dim=2), mean)
    assert members.std(dim=2).min() > 0
    with torch.no_grad():
        network.head.weight[:, 2:4] = 7.0  # the second member's units, of six
    changed = network(features, WEIGHTS.double()).unflatten(1, (4, 3)) - members
    assert [bool(part.abs().min() > 0) for part in changed.unbind(2)] == [False, True, False]


def test_a_batch_of_weights_and_no_rows() -> None:
    for conditioning in CONDITIONINGS:
        assert network_of(conditioning)(features_of(0), WEIGHTS.double()).shape == (0, 4)


def test_unknown_conditioning() -> None:
    with pytest.raises(ValueError, match=r"conditioning must be one of .*'film'.*; got 'magic'"):
        ConditionedScorer(D, M, conditioning="magic")


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
def test_every_parameter_that_scores_depend_on_gets_a_gradient(conditioning: str) -> None:
    network = network_of(conditioning)
    network(features_of(), WEIGHTS.double()).square().sum().backward()
    for name, parameter in network.named_parameters():
        silent = conditioning == "none" and name.startswith("embedding")
        assert (parameter.grad is None) == silent, name
        assert silent or parameter.grad.abs().sum() > 0, name
