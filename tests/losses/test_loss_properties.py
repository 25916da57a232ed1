"""What no loss may depend on: shifts of a list's scores, the order of its documents, other lists."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from loss_oracles import EXACT, LOSSES, offsets_of
from torch import Tensor

TIE_FREE = ["random", "top 3 random"]
#: A shift may round two scores to the same number, and their ranks then change.
SMOOTH = [name for name in EXACT if not name.startswith(("lambda", "ndcg"))]


@st.composite
def ragged(draw: st.DrawFn, *, ties: bool = True) -> tuple[Tensor, Tensor, list[int]]:
    sizes = draw(st.lists(st.integers(0, 7), min_size=1, max_size=4))
    n = sum(sizes)
    scores = draw(st.lists(st.floats(-50, 50), min_size=n, max_size=n))
    if ties:
        labels = draw(st.lists(st.sampled_from([0.0, 1.0, 2.0, torch.nan]), min_size=n, max_size=n))
    else:
        labels = draw(st.permutations([float(i) for i in range(n)]))
    return torch.tensor(scores).double(), torch.tensor(labels).double(), sizes


def loss_of(name: str, scores: Tensor, labels: Tensor, sizes: list[int]) -> Tensor:
    return LOSSES[name](scores, labels, offsets_of(*sizes), reduction="none")


def permuted_within(rows: Tensor, sizes: list[int], seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    parts = [part[torch.randperm(len(part), generator=generator)] for part in rows.split(sizes)]
    return torch.cat(parts)


@pytest.mark.parametrize("name", SMOOTH)
@given(data=ragged(), shifts=st.lists(st.floats(-1000, 1000), min_size=4, max_size=4))
@settings(max_examples=8, deadline=None)
def test_each_lists_scores_may_be_shifted(
    name: str, data: tuple[Tensor, Tensor, list[int]], shifts: list[float]
) -> None:
    scores, labels, sizes = data
    moved = scores + torch.tensor(shifts[: len(sizes)]).double().repeat_interleave(torch.tensor(sizes))
    expected = loss_of(name, scores, labels, sizes)
    torch.testing.assert_close(loss_of(name, moved, labels, sizes), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", EXACT)
@given(data=ragged(), seed=st.integers(0, 2**31))
@settings(max_examples=8, deadline=None)
def test_documents_may_stand_in_any_order(
    name: str, data: tuple[Tensor, Tensor, list[int]], seed: int
) -> None:
    scores, labels, sizes = data
    order = permuted_within(torch.arange(len(scores)), sizes, seed)
    expected = loss_of(name, scores, labels, sizes)
    torch.testing.assert_close(
        loss_of(name, scores[order], labels[order], sizes), expected, rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("name", TIE_FREE)
@given(data=ragged(ties=False), seed=st.integers(0, 2**31))
@settings(max_examples=8, deadline=None)
def test_without_ties_random_orders_are_all_one_order(
    name: str, data: tuple[Tensor, Tensor, list[int]], seed: int
) -> None:
    scores, labels, sizes = data
    order = permuted_within(torch.arange(len(scores)), sizes, seed)
    found = loss_of(name, scores[order], labels[order], sizes)
    exact = loss_of(name.replace("random", "average"), scores, labels, sizes)
    torch.testing.assert_close(found, exact, rtol=1e-9, atol=1e-9)
    rating = loss_of(name.replace("random", "rating"), scores, labels, sizes)
    torch.testing.assert_close(found, rating, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", EXACT)
@given(data=ragged())
@settings(max_examples=8, deadline=None)
def test_losses_are_not_negative_and_their_gradients_sum_to_zero(
    name: str, data: tuple[Tensor, Tensor, list[int]]
) -> None:
    scores, labels, sizes = data
    scores.requires_grad_()
    losses = loss_of(name, scores, labels, sizes)
    assert (losses > -1e-9).all()
    losses.sum().backward()
    assert scores.grad is not None
    for part in scores.grad.split(sizes):
        assert part.sum().abs() < 1e-9
