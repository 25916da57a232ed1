"""Prompt vectors that weights move."""

import pytest
import torch

from hyperrank.networks import HyperPrompt


def prompt_with(**options) -> HyperPrompt:
    torch.manual_seed(0)
    return HyperPrompt(3, 4, 8, **options)


def test_all_weights_start_at_the_given_embeddings():
    embeddings = torch.randn(4, 8, generator=torch.Generator().manual_seed(1))
    prompt = prompt_with(embeddings=embeddings)
    at = prompt(torch.eye(3))
    assert at.shape == (3, 4, 8)
    assert torch.equal(at, embeddings.expand(3, -1, -1))


def test_each_row_has_its_own_prompt_once_trained():
    prompt = prompt_with()
    torch.nn.init.normal_(prompt.outer.weight)
    weights = torch.tensor([[1.0, 0, 0], [0, 1.0, 0], [0.2, 0.3, 0.5]])
    together = prompt(weights)
    assert torch.allclose(together, torch.stack([prompt(w) for w in weights]), atol=1e-6)
    assert (together[0] - together[1]).abs().max() > 0.1


def test_even_weights_are_the_middle_that_the_mlp_sees():
    prompt = prompt_with()
    torch.nn.init.normal_(prompt.outer.weight)
    torch.nn.init.zeros_(prompt.inner.bias)
    assert torch.allclose(prompt(torch.full((3,), 1 / 3)), prompt.base, atol=1e-6)


def test_gradients_reach_all_parts_from_the_second_step_on():
    prompt = prompt_with()
    prompt(torch.eye(3)).square().sum().backward()
    assert prompt.outer.weight.grad.abs().max() > 0
    assert prompt.base.grad.abs().max() > 0
    # Zeros behind it: what moves the weights' part must first be moved itself.
    assert prompt.inner.weight.grad.abs().max() == 0


def test_wrong_shapes_are_named():
    with pytest.raises(ValueError, match=r"\(n_tokens, hidden_size\) = \(4, 8\); got \(8, 4\)"):
        prompt_with(embeddings=torch.zeros(8, 4))
    with pytest.raises(ValueError, match=r"3 columns, one per objective; got shape \(2, 5\)"):
        prompt_with()(torch.zeros(2, 5))
