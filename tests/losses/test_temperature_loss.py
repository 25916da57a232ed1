"""ListNet of what is served at a temperature: ListNet without a reference, and its optimum with any."""

from functools import partial

import pytest
import torch
from loss_oracles import offsets_of
from torch import Tensor

from hyperrank.losses import listnet, plackett_luce, prepare, temperature_loss, weighted_loss

SIZES = (5, 1, 4, 2)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def case(missing: bool) -> dict[str, Tensor]:
    labels = (2 * normal(12, 3, seed=1)).round().clamp(0, 4)
    if missing:
        labels[normal(12, 3, seed=2) > 0.7] = torch.nan
        labels[5] = torch.nan  # a list of its own
    weights = torch.distributions.Dirichlet(torch.ones(3).double()).sample((4, 2))
    return {"labels": labels, "offsets": offsets_of(*SIZES), "weights": weights}


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("query_weight", [None, torch.tensor([1.0, 0.0, 2.0, 0.5]).double()])
def test_without_a_reference_it_is_listnet(missing, query_weight):
    given = case(missing)
    shared = {"scale": torch.tensor([1.0, 2.0, 0.5]).double(), "query_weight": query_weight}
    rewards = normal(12, 2).requires_grad_()
    plain = weighted_loss(rewards, **given, loss=listnet, **shared)
    (wanted,) = torch.autograd.grad(plain, rewards)
    ready = prepare(listnet, given["labels"], given["offsets"])
    loss = temperature_loss(
        rewards, torch.zeros(12, 2), given["offsets"], given["weights"], prepared=ready, **shared
    )
    torch.testing.assert_close(loss, plain)
    torch.testing.assert_close(torch.autograd.grad(loss, rewards)[0], wanted)


def gradient(rewards: Tensor, held: Tensor, labels: Tensor, weights: Tensor, scale: Tensor | None = None):
    rewards = rewards.clone().requires_grad_()
    offsets = offsets_of(len(rewards))
    ready = prepare(partial(listnet, gain="linear"), labels, offsets)
    loss = temperature_loss(rewards, held, offsets, weights, prepared=ready, scale=scale)
    return torch.autograd.grad(loss, rewards)[0]


@pytest.mark.parametrize("temperature", [0.1, 1.0, 30.0])
def test_the_optimum_is_that_of_listnet_at_every_temperature(temperature):
    """The linear rule: with all capacity the network learns the same rewards whatever it is told."""
    labels = normal(6, 2).exp()
    weights, scale = torch.tensor([[[0.3, 0.7]]]).double(), torch.tensor([2.0, 0.5]).double()
    optimum = ((labels / labels.sum(dim=0)) @ (weights[0, 0] / scale)).log()[:, None]
    held = normal(6, 1, seed=3) / temperature
    found = gradient(optimum, held, labels, weights, scale)
    torch.testing.assert_close(found, torch.zeros_like(found), atol=1e-12, rtol=0)
    elsewhere = gradient(optimum + normal(6, 1, seed=4), held, labels, weights, scale)
    assert elsewhere.abs().max() > 1e-6


def test_clicks_drawn_from_a_distribution_have_its_optimum():
    """Were targets brought to sum 1, the optimum would cancel the reference."""
    chances = normal(5, 1).exp() / normal(5, 1).exp().sum()
    held, at = 2 * normal(5, 1, seed=3), torch.ones(1, 1, 1).double()
    clicks = torch.eye(5).double()
    mean = sum(chances[i] * gradient(chances.log(), held, clicks[:, [i]], at) for i in range(5))
    torch.testing.assert_close(mean, torch.zeros_like(mean), atol=1e-12, rtol=0)


@pytest.mark.parametrize("missing", [False, True])
def test_a_reference_far_apart_leaves_no_nan(missing):
    given = {
        name: tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in case(missing).items()
    }
    rewards = normal(12, 2).float().requires_grad_()
    held = -1e7 * normal(12, 2, seed=5).float().abs()
    ready = prepare(listnet, given["labels"], given["offsets"])
    loss = temperature_loss(rewards, held, given["offsets"], given["weights"], prepared=ready)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(rewards.grad).all()


def test_other_losses_are_refused():
    given = case(False)
    ready = prepare(plackett_luce, given["labels"], given["offsets"])
    with pytest.raises(ValueError, match="made of listnet"):
        temperature_loss(normal(12, 2), normal(12, 2), given["offsets"], given["weights"], prepared=ready)
