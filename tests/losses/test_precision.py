"""Halves are summed in float32, and torch.compile works around the losses."""

from typing import Any

import pytest
import torch
from loss_oracles import EXACT, LOSSES, offsets_of
from torch import Tensor

from hyperrank.losses import listnet, plackett_luce, weighted_loss

pytestmark = pytest.mark.slow

SIZES = [3, 1, 40, 300, 2]


def data(k: int = 2, m: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    n = sum(SIZES)
    labels = torch.stack([torch.randperm(n, generator=generator) for _ in range(m)], 1) / n * 4
    return torch.randn(n, k, generator=generator), labels, offsets_of(*SIZES)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", [name for name in EXACT if "average" not in name])
def test_halves_are_summed_in_float32(name: str, dtype: torch.dtype) -> None:
    scores, labels, offsets = data()
    scores = scores.to(dtype)
    half, single = scores.clone().requires_grad_(), scores.float().requires_grad_()
    found, expected = (LOSSES[name](s, labels, offsets) for s in (half, single))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected)
    found.sum().backward()
    expected.sum().backward()
    assert half.grad is not None
    assert single.grad is not None
    assert half.grad.dtype == dtype
    torch.testing.assert_close(half.grad, single.grad.to(dtype))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("loss", [listnet, plackett_luce])
def test_the_fused_loss_of_halves(loss: Any, dtype: torch.dtype) -> None:
    rewards, labels, offsets = data()
    rewards = rewards.to(dtype)
    weights = torch.rand(len(SIZES), 2, 2, generator=torch.Generator().manual_seed(1))
    half, single = rewards.clone().requires_grad_(), rewards.float().requires_grad_()
    found, expected = (weighted_loss(r, labels, offsets, weights, loss=loss) for r in (half, single))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected)
    # What is scaled up before the halves are made does not vanish in them.
    (1000 * found).backward()
    (1000 * expected).backward()
    assert half.grad is not None
    assert single.grad is not None
    torch.testing.assert_close(half.grad, single.grad.to(dtype))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize("name", ["listnet", "random", "lambda", "approx", "logistic"])
def test_compiled_steps_around_the_losses(name: str, backend: str) -> None:
    scores, labels, offsets = data()
    weights = torch.rand(len(SIZES), 2, 2, generator=torch.Generator().manual_seed(1))

    def step(factor: Tensor) -> Tensor:
        rewards = torch.tanh(scores * factor)
        return 2 * weighted_loss(rewards, labels, offsets, weights, loss=LOSSES[name])

    results = []
    torch.compiler.reset()
    for function in (step, torch.compile(step, backend=backend)):
        factor = torch.tensor(0.5, requires_grad=True)
        value = function(factor)
        results.append((value.detach(), torch.autograd.grad(value, factor)[0]))
    torch.testing.assert_close(*results)
