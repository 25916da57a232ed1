"""Pairwise logistic, LambdaLoss and ApproxNDCG against loops over pairs, and rax."""

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from loss_oracles import (
    approx_loss,
    dcg,
    gains_of,
    lambdarank_loss,
    logistic_loss,
    ndcg_loss2,
    offsets_of,
)
from torch import Tensor

from hyperrank.losses import approx_ndcg, lambda_loss, pairwise_logistic
from hyperrank.losses import pairwise as pairs

PLAIN: dict[str, tuple[Any, Any]] = {
    "logistic": (pairwise_logistic, logistic_loss),
    **{
        f"{weighting} {gain} {top_k}": (
            partial(lambda_loss, weighting=weighting, gain=gain, top_k=top_k),
            partial(
                {"lambdarank": lambdarank_loss, "ndcg_loss2": ndcg_loss2}[weighting], gain=gain, top_k=top_k
            ),
        )
        for weighting, gain, top_k in (
            ("lambdarank", "exp2", None),
            ("lambdarank", "linear", 1),
            ("lambdarank", "exp2", 3),
            ("ndcg_loss2", "linear", None),
            ("ndcg_loss2", "exp2", 1),
            ("ndcg_loss2", "linear", 3),
        )
    },
    **{
        f"approx {gain} {temperature}": (
            partial(approx_ndcg, gain=gain, temperature=temperature),
            partial(approx_loss, gain=gain, temperature=temperature),
        )
        for gain, temperature in (("exp2", 0.1), ("linear", 1.0))
    },
}


@st.composite
def lists(draw: st.DrawFn) -> tuple[Tensor, Tensor, list[int]]:
    """Scores and grades with ties in both."""
    sizes = draw(st.lists(st.integers(0, 6), min_size=1, max_size=4))
    n = sum(sizes)
    scores = draw(st.lists(st.integers(-8, 8), min_size=n, max_size=n))
    labels = draw(st.lists(st.sampled_from([0.0, 1.0, 2.0, 3.0]), min_size=n, max_size=n))
    return torch.tensor(scores).double() / 4, torch.tensor(labels).double(), sizes


@pytest.mark.parametrize("name", PLAIN)
@given(data=lists(), n_pairs=st.sampled_from([1, 7, 2**20]))
@settings(max_examples=12, deadline=None)
def test_each_is_its_formula(name: str, data: tuple[Tensor, Tensor, list[int]], n_pairs: int) -> None:
    scores, labels, sizes = data
    ours, oracle = PLAIN[name]
    leaf, plain_leaf = scores.clone().requires_grad_(), scores.clone().requires_grad_()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairs, "CHUNK_PAIRS", n_pairs)
        found = ours(leaf, labels, offsets_of(*sizes), reduction="none")
    expected = torch.stack(
        [oracle(s, z) for s, z in zip(plain_leaf.split(sizes), labels.split(sizes), strict=True)]
    )
    torch.testing.assert_close(found, expected)
    if name.startswith(("lambdarank", "ndcg")) and any(
        len(part.unique()) < len(part) for part in scores.split(sizes)
    ):
        return  # documents equal in score and label share their slopes in some order
    factor = torch.arange(1.0, len(sizes) + 1).double()
    (found * factor).sum().backward()
    ((expected + 0 * plain_leaf.sum()) * factor).sum().backward()
    assert leaf.grad is not None
    torch.testing.assert_close(leaf.grad, plain_leaf.grad)


def test_a_standardised_approximation_knows_no_scale() -> None:
    rng = np.random.default_rng(0)
    scores = torch.from_numpy(rng.normal(size=(12, 2)))
    labels = torch.from_numpy(rng.integers(0, 3, 12).astype(float))
    offsets = torch.tensor([0, 5, 12])
    loss = partial(approx_ndcg, standardize=True, reduction="none")
    one, large = loss(100 * scores, labels, offsets), loss(10_000 * scores + 3.0, labels, offsets)
    torch.testing.assert_close(one, large, rtol=1e-5, atol=1e-6)
    by_hand = (scores[:5] - scores[:5].mean(0)) / (scores[:5].var(0, correction=0) + 1e-2).sqrt()
    first = approx_ndcg(by_hand, labels[:5], torch.tensor([0, 5]), reduction="none")
    torch.testing.assert_close(loss(scores, labels, offsets)[:1], first)
    scores.requires_grad_(True)
    assert torch.autograd.gradcheck(lambda s: loss(s, labels, offsets), scores)


def test_a_cold_approximation_is_one_less_ndcg() -> None:
    scores, labels = torch.randperm(30).double(), torch.randint(0, 4, (30,)).double()
    gains = gains_of(labels)
    ndcg = dcg(gains[scores.argsort(descending=True)]) / dcg(gains.sort(descending=True).values)
    found = approx_ndcg(scores, labels, offsets_of(30), temperature=1e-3)
    torch.testing.assert_close(found, 1 - ndcg)


def test_lists_in_the_right_order_approach_no_loss() -> None:
    labels = torch.arange(20.0).flip(0)
    for loss in (approx_ndcg, pairwise_logistic, lambda_loss):
        assert loss(100 * labels, labels, offsets_of(20)) < 1e-6
        assert loss(-100 * labels, labels, offsets_of(20)) > 0.3


def test_weights_do_not_change_with_a_shift() -> None:
    scores, labels = torch.randperm(50).double(), torch.randint(0, 3, (50,)).double()
    for weighting in ("lambdarank", "ndcg_loss2"):
        near, far = (
            lambda_loss(s, labels, offsets_of(50), weighting=weighting) for s in (scores, scores + 512)
        )
        torch.testing.assert_close(near, far)


@pytest.mark.parametrize(
    ("loss", "options", "message"),
    [
        (lambda_loss, {"weighting": "ndcg"}, "weighting must be 'lambdarank' or 'ndcg_loss2'; got 'ndcg'"),
        (lambda_loss, {"top_k": 0}, "top_k must be a whole number at least 1"),
        (lambda_loss, {"gain": "cubic"}, "gain must be"),
        (approx_ndcg, {"temperature": 0.0}, "temperature must be a number above 0"),
        (approx_ndcg, {"gain": "cubic"}, "gain must be"),
        (pairwise_logistic, {"reduction": "max"}, "reduction must be"),
    ],
)
def test_unknown_options(loss: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        loss(torch.zeros(2), torch.zeros(2), offsets_of(2), **options)


def rax_values(loss: Any, scores: Tensor, labels: Tensor, sizes: list[int]) -> Tensor:
    parts = zip(scores.split(sizes), labels.split(sizes), strict=True)
    return torch.tensor([float(loss(np.asarray(s), np.asarray(z))) for s, z in parts])


def test_rax_agrees() -> None:
    rax = pytest.importorskip("rax")
    import jax
    from jax import numpy as jnp

    sizes = [5, 2, 9, 14]
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(30, generator=generator)
    labels = torch.randint(0, 4, (30,), generator=generator).float()
    offsets = offsets_of(*sizes)

    def check(ours: Tensor, theirs: Any) -> None:
        torch.testing.assert_close(ours, rax_values(theirs, scores, labels, sizes), rtol=1e-4, atol=1e-5)

    check(
        pairwise_logistic(scores, labels, offsets, reduction="none"),
        lambda s, z: rax.pairwise_logistic_loss(s, z, reduce_fn=jnp.mean),
    )

    def smooth(s: Any, z: Any) -> Any:
        """`rax.approx_t12n`, which newer versions of jax break."""
        ranks = partial(rax.utils.approx_ranks, step_fn=lambda x: jax.nn.sigmoid(x / 0.1))
        return rax.ndcg_metric(s, z, rank_fn=ranks)

    check(approx_ndcg(scores, labels, offsets, reduction="none"), lambda s, z: 1 - smooth(s, z))
    check(
        lambda_loss(scores, labels, offsets, reduction="none"),
        lambda s, z: (
            rax.pairwise_logistic_loss(
                s, z, reduce_fn=jnp.sum, lambdaweight_fn=partial(rax.dcg_lambdaweight, normalize=True)
            )
            / len(s)
        ),  # its weights are multiplied by the list's size
    )
