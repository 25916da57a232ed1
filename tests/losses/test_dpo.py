"""The implicit reward, the weighted sum over objectives, and what beta means after training."""

import pytest
import torch
from loss_oracles import EXACT, LOSSES, offsets_of

from hyperrank.losses import dpo_reward, listnet, weighted_loss


@pytest.mark.parametrize("name", EXACT)
def test_pull_and_beta_trade_off_exactly(name: str) -> None:
    scores, reference = torch.randn(2, 9, dtype=torch.float64)
    labels, offsets = torch.arange(9) % 3, offsets_of(4, 5)
    beta, other = 0.7, 0.2
    moved = reference + beta / other * (scores - reference)
    at_beta = LOSSES[name](dpo_reward(scores, reference, beta), labels, offsets, reduction="none")
    at_other = LOSSES[name](dpo_reward(moved, reference, other), labels, offsets, reduction="none")
    torch.testing.assert_close(at_beta, at_other)
    assert not torch.allclose(
        at_beta, LOSSES[name](dpo_reward(scores, reference, other), labels, offsets, reduction="none")
    )


def test_the_reward_of_the_reference_is_zero_under_every_draw() -> None:
    reference = torch.randn(5)
    rewards = dpo_reward(reference[:, None].expand(5, 3) + torch.tensor([0.0, 1.0, 2.0]), reference, 0.5)
    torch.testing.assert_close(rewards, torch.tensor([0.0, 0.5, 1.0]).expand(5, 3))


def test_beta_may_differ_between_draws() -> None:
    rewards = dpo_reward(torch.ones(2, 3), torch.zeros(2), torch.tensor([1.0, 2.0, 3.0]))
    assert rewards.tolist() == [[1.0, 2.0, 3.0]] * 2


def test_weighted_loss_is_its_formula() -> None:
    rewards, labels = torch.randn(7, 3, dtype=torch.float64), torch.rand(7, 2, dtype=torch.float64)
    labels[0, 0] = torch.nan
    offsets, weights = offsets_of(3, 4), torch.rand(2, 3, 2, dtype=torch.float64)
    scale, query_weight = torch.tensor([2.0, 0.5]).double(), torch.tensor([1.0, 3.0]).double()
    losses = listnet(rewards, labels, offsets, reduction="none")
    expected = sum(
        query_weight[q] * weights[q, k, j] * losses[q, k, j] / scale[j] / 3 / 4
        for q in range(2)
        for k in range(3)
        for j in range(2)
    )
    arguments = (rewards, labels, offsets, weights)
    found = weighted_loss(*arguments, loss=listnet, scale=scale, query_weight=query_weight)
    torch.testing.assert_close(found, expected)
    plain = weighted_loss(*arguments, loss=listnet)
    torch.testing.assert_close(plain, (weights * losses).sum(2).mean())
    ones = weighted_loss(*arguments, loss=listnet, query_weight=torch.full((2,), 5.0).double())
    torch.testing.assert_close(ones, plain)


def test_lists_that_all_weigh_nothing_have_no_loss() -> None:
    rewards = torch.randn(4, 1, requires_grad=True)
    found = weighted_loss(
        rewards,
        torch.rand(4, 1),
        offsets_of(2, 2),
        torch.ones(2, 1, 1),
        loss=listnet,
        query_weight=torch.zeros(2),
    )
    found.backward()
    assert found == 0
    assert rewards.grad is not None
    assert (rewards.grad == 0).all()


def test_weights_at_a_corner_leave_one_objective() -> None:
    rewards, labels, offsets = torch.randn(5, 1), torch.rand(5, 2), offsets_of(5)
    corner = torch.tensor([[[0.0, 1.0]]])
    found = weighted_loss(rewards, labels, offsets, corner, loss=listnet)
    torch.testing.assert_close(found, listnet(rewards[:, 0], labels[:, 1], offsets))
