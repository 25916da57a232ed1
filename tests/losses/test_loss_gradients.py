"""Gradients against finite differences in float64."""

from functools import partial

import pytest
import torch
from loss_oracles import LOSSES, offsets_of
from torch import Tensor
from torch.autograd import gradcheck as every_entry

from hyperrank.losses import listnet, weighted_loss
from hyperrank.losses._segments import reverse_logcumsumexp, segment_logsumexp, segment_sum

SIZES = offsets_of(1, 5, 0, 7, 2)
#: A random projection of the Jacobian: a wrong entry shows in it, and it takes a tenth of the time.
gradcheck = partial(every_entry, fast_mode=True)


def scores_of(n: int = 15, k: int = 2, seed: int = 0) -> Tensor:
    return torch.randn(
        n, k, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    ).requires_grad_()


def labels_of(n: int = 15, m: int = 2, *, missing: bool = False) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    labels = torch.randint(0, 3, (n, m), generator=generator).double()
    if missing:
        labels[torch.rand(n, m, generator=generator) < 0.3] = torch.nan
        labels[-2:, 0] = torch.nan
    return labels


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("name", LOSSES)
def test_losses(name: str, missing: bool) -> None:
    def loss(scores: Tensor) -> Tensor:
        options = {"generator": torch.Generator().manual_seed(5)} if "random" in name else {}
        return LOSSES[name](scores, labels_of(missing=missing), SIZES, reduction="none", **options)

    assert gradcheck(loss, scores_of())


@pytest.mark.parametrize("function", [reverse_logcumsumexp, segment_logsumexp, segment_sum])
def test_segment_functions(function: object) -> None:
    full = offsets_of(1, 5, 7, 2)
    assert gradcheck(partial(function, offsets=full), scores_of())  # type: ignore[arg-type, operator]


def test_the_scan_under_incoming_gradients_of_both_signs_and_zero() -> None:
    factor = torch.tensor([1.0, -2.0, 0.0, 3.0, -1.0] * 3, dtype=torch.float64)[:, None]
    assert gradcheck(lambda rows: reverse_logcumsumexp(rows, SIZES) * factor, scores_of())
    assert gradcheck(lambda rows: -reverse_logcumsumexp(rows, SIZES), scores_of())


@pytest.mark.parametrize("name", ["listnet", "average"])
def test_weighted_loss(name: str) -> None:
    weights = torch.rand(5, 2, 2, dtype=torch.float64)
    scale = torch.tensor([0.5, 2.0], dtype=torch.float64)
    query_weight = torch.tensor([1.0, 0.0, 2.0, 0.5, 1.0], dtype=torch.float64)

    def loss(rewards: Tensor) -> Tensor:
        return weighted_loss(
            rewards,
            labels_of(missing=True),
            SIZES,
            weights,
            loss=LOSSES[name],
            scale=scale,
            query_weight=query_weight,
        )

    assert gradcheck(loss, scores_of())


def test_listnet_gradient_is_softmax_minus_target() -> None:
    scores = scores_of(3, 1)
    listnet(scores, torch.tensor([2.0, 1.0, 0.0]), offsets_of(3)).sum().backward()
    target = torch.tensor([0.75, 0.25, 0.0], dtype=torch.float64)[:, None]
    assert scores.grad is not None
    torch.testing.assert_close(scores.grad, scores.detach().softmax(0) - target)
