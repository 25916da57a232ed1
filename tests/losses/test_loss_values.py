"""Values against brute force over orders, closed forms, and each other."""

import math

import pytest
import torch
from loss_oracles import (
    EXACT,
    LOSSES,
    OF_NDCG,
    average_loss,
    listnet_loss,
    offsets_of,
    order_loss,
    rating_loss,
    tied_orders,
)
from torch import Tensor

from hyperrank.losses import listnet, plackett_luce, target_distribution
from hyperrank.losses.plackett_luce import EXACT_TIES

GRADES = [
    [1, 0],
    [0, 0],
    [2, 1, 0],
    [1, 1, 0],
    [0, 1, 1, 1],
    [2, 0, 2, 1, 2],
    [0, 0, 0, 0, 0],
    [0, 3, 1, 3, 1, 1],
    [1, 0, 0, 0, 1, 0],
    [5, 4, 3, 2, 1, 0],
]


def random_scores(*shape: int, seed: int = 0) -> Tensor:
    return 2 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("name", [name for name in LOSSES if name not in OF_NDCG])
def test_two_documents_make_bradley_terry(name: str) -> None:
    scores = random_scores(2, seed=3)
    expected = -torch.nn.functional.logsigmoid(scores[0] - scores[1])
    torch.testing.assert_close(LOSSES[name](scores, torch.tensor([1.0, 0.0]), offsets_of(2)), expected)
    reverse = -torch.nn.functional.logsigmoid(scores[1] - scores[0])
    torch.testing.assert_close(LOSSES[name](scores, torch.tensor([0.0, 3.0]), offsets_of(2)), reverse)


@pytest.mark.parametrize("top_k", [None, 1, 2, 3, 4, 9])
@pytest.mark.parametrize("grades", GRADES)
def test_plackett_luce_is_what_brute_force_finds(grades: list[int], top_k: int | None) -> None:
    labels, scores, offsets = (
        torch.tensor(grades).double(),
        random_scores(len(grades)),
        offsets_of(len(grades)),
    )
    average = plackett_luce(scores, labels, offsets, ties="average", top_k=top_k)
    torch.testing.assert_close(average, average_loss(scores, labels, top_k))
    rating = plackett_luce(scores, labels, offsets, ties="rating", top_k=top_k)
    torch.testing.assert_close(rating, rating_loss(scores, labels, top_k))
    of_orders = torch.stack([order_loss(scores, order, top_k) for order in tied_orders(labels)])
    one = plackett_luce(scores, labels, offsets, ties="random", top_k=top_k)
    assert (of_orders - one).abs().min() < 1e-12


def test_random_ties_visit_every_order_and_average_out() -> None:
    copies, labels = 4000, torch.tensor([1.0, 1.0, 0.0, 1.0, 0.0])
    scores, offsets = random_scores(5), offsets_of(*[5] * copies)
    generator = torch.Generator().manual_seed(0)
    drawn = plackett_luce(
        scores.repeat(copies), labels.repeat(copies), offsets, generator=generator, reduction="none"
    )
    assert len(drawn.round(decimals=9).unique()) == len(tied_orders(labels)) == 12
    error = drawn.std() / math.sqrt(copies)
    assert abs(drawn.mean() - average_loss(scores, labels)) < 4 * error


def test_random_ties_follow_the_generator() -> None:
    scores, labels, offsets = random_scores(50), torch.zeros(50), offsets_of(50)

    def draw(seed: int) -> Tensor:
        return plackett_luce(scores, labels, offsets, generator=torch.Generator().manual_seed(seed))

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)
    torch.manual_seed(7)
    first = plackett_luce(scores, labels, offsets)
    torch.manual_seed(7)
    assert plackett_luce(scores, labels, offsets) == first


@pytest.mark.parametrize("name", EXACT)
def test_exact_losses_leave_the_global_generator_alone(name: str) -> None:
    before = torch.get_rng_state()
    LOSSES[name](random_scores(6), torch.zeros(6), offsets_of(6))
    assert torch.equal(torch.get_rng_state(), before)


def test_the_average_of_the_first_pick_takes_any_number_of_ties() -> None:
    n = 5000
    scores, labels = random_scores(n), (torch.arange(n) % 2).double()
    found = plackett_luce(scores, labels, offsets_of(n), ties="average", top_k=1)
    torch.testing.assert_close(found, scores.logsumexp(0) - scores[labels == 1].mean())


@pytest.mark.parametrize("top_k", [None, 2])
def test_too_many_ties_to_average_are_an_error(top_k: int | None) -> None:
    n = EXACT_TIES + 1
    with pytest.raises(ValueError, match=rf"met {n} tied documents .* exact up to {EXACT_TIES}"):
        plackett_luce(torch.zeros(n), torch.zeros(n), offsets_of(n), ties="average", top_k=top_k)


def test_as_many_ties_as_promised_are_averaged() -> None:
    n = EXACT_TIES
    found = plackett_luce(torch.ones(n), torch.zeros(n), offsets_of(n), ties="average")
    assert found.item() == pytest.approx(math.lgamma(n + 1), rel=1e-5)


def test_many_ties_below_the_cut_do_not_matter() -> None:
    labels = torch.cat([torch.tensor([2.0, 1.0]), torch.zeros(100)])
    scores = random_scores(102)
    found = plackett_luce(scores, labels, offsets_of(102), ties="average", top_k=2)
    torch.testing.assert_close(found, order_loss(scores, tuple(range(102)), 2))


@pytest.mark.parametrize("gain", ["exp2", "linear"])
@pytest.mark.parametrize("grades", [*GRADES, [0.5, 0.25, 0.0], [7.5, 0.1, 0.0]])
def test_listnet_is_its_formula(grades: list[float], gain: str) -> None:
    labels, scores = torch.tensor(grades).double(), random_scores(len(grades))
    found = listnet(scores, labels, offsets_of(len(grades)), gain=gain)
    torch.testing.assert_close(found, listnet_loss(scores, labels, gain))


@pytest.mark.parametrize("gain", ["exp2", "linear"])
def test_targets_of_extreme_labels(gain: str) -> None:
    tiny = target_distribution(torch.tensor([[1e-30], [2e-30], [0.0]]), offsets_of(3), gain=gain)
    torch.testing.assert_close(tiny[:, 0], torch.tensor([1 / 3, 2 / 3, 0.0]))
    huge = target_distribution(torch.tensor([[1e30], [3e30], [0.0], [1e30]]), offsets_of(4), gain=gain)
    expected = torch.tensor([0.2, 0.6, 0.0, 0.2]) if gain == "linear" else torch.tensor([0.0, 1.0, 0.0, 0.0])
    torch.testing.assert_close(huge[:, 0], expected)
    largest = target_distribution(torch.full((3, 1), 3.4e38), offsets_of(3), gain=gain)
    torch.testing.assert_close(largest[:, 0], torch.full((3,), 1 / 3))


@pytest.mark.parametrize("name", EXACT)
def test_ragged_lists_are_taken_one_by_one(name: str) -> None:
    sizes = [3, 1, 0, 6, 2, 0]
    scores, labels = random_scores(12), torch.tensor([1.0, 0, 0, 2, 0, 1, 1, 2, 2, 0, 0, 0])
    found = LOSSES[name](scores, labels, offsets_of(*sizes), reduction="none")
    parts = zip(scores.split(sizes), labels.split(sizes), sizes, strict=True)
    one_by_one = [LOSSES[name](s, z, offsets_of(n)) for s, z, n in parts]
    torch.testing.assert_close(found, torch.stack(one_by_one))
    mean = LOSSES[name](scores, labels, offsets_of(*sizes))
    torch.testing.assert_close(mean, torch.stack(one_by_one).mean())
    total = LOSSES[name](scores, labels, offsets_of(*sizes), reduction="sum")
    torch.testing.assert_close(total, torch.stack(one_by_one).sum())


@pytest.mark.parametrize("name", EXACT)
def test_draws_and_objectives_are_loops(name: str) -> None:
    scores, labels = random_scores(9, 3), torch.randint(0, 3, (9, 2)).double()
    labels[0, 1] = labels[4:, 0] = torch.nan
    offsets = offsets_of(4, 5)
    found = LOSSES[name](scores, labels, offsets, reduction="none")
    assert found.shape == (2, 3, 2)
    for draw in range(3):
        for objective in range(2):
            alone = LOSSES[name](scores[:, draw], labels[:, objective], offsets, reduction="none")
            torch.testing.assert_close(found[:, draw, objective], alone)
    assert LOSSES[name](scores, labels[:, 0], offsets).shape == (3,)
    assert LOSSES[name](scores[:, 0], labels, offsets).shape == (2,)


@pytest.mark.parametrize("name", EXACT)
def test_unobserved_documents_are_as_good_as_absent(name: str) -> None:
    scores, labels = random_scores(8), torch.tensor([1.0, torch.nan, 0, 2, torch.nan, torch.nan, 0, 1])
    known = ~labels.isnan()
    found = LOSSES[name](scores, labels, offsets_of(3, 3, 2), reduction="none")
    absent = LOSSES[name](scores[known], labels[known], offsets_of(2, 1, 2), reduction="none")
    torch.testing.assert_close(found, absent)


@pytest.mark.parametrize("name", LOSSES)
def test_lists_and_objectives_without_labels_teach_nothing(name: str) -> None:
    scores = random_scores(5).requires_grad_()
    labels = torch.tensor([[torch.nan, torch.nan]] * 3 + [[1.0, torch.nan], [0.0, torch.nan]])
    losses = LOSSES[name](scores, labels, offsets_of(3, 2), reduction="none")
    losses.sum().backward()
    assert losses[0].tolist() == [0.0, 0.0]
    assert losses[1, 1] == 0
    assert losses[1, 0] > 0
    assert scores.grad is not None
    assert (scores.grad[:3] == 0).all()
    assert (scores.grad[3:] != 0).all()
