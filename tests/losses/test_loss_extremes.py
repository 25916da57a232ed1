"""Finite for scores up to 1e4 and lists up to 100,000 documents; precise, and within modest memory."""

import subprocess
import sys

import pytest
import torch
from loss_oracles import LOSSES, offsets_of
from torch import Tensor

from hyperrank.losses._segments import reverse_logcumsumexp, segment_logsumexp

LARGE = 100_000
#: Their time grows with the documents times those above others.
FEW_WITH_GAIN = ("logistic", "lambda", "ndcg_loss2", "approx", "approx linear")


def value_and_gradient(name: str, scores: Tensor, labels: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
    leaf = scores.clone().requires_grad_()
    options = {"generator": torch.Generator().manual_seed(0)} if "random" in name else {}
    losses = LOSSES[name](leaf, labels.to(scores.dtype), offsets, reduction="none", **options)
    (gradient,) = torch.autograd.grad(losses.sum(), leaf)
    return losses.detach(), gradient


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("largest", [1e2, 1e4])
def test_huge_scores_in_all_kinds_of_lists(name: str, largest: float) -> None:
    labels = torch.tensor([0.0, 1, 2, 0, 1, 2, 3, 3, 3, 0, 0, 0, torch.nan, 1, torch.nan, torch.nan])
    offsets = offsets_of(0, 0, 5, 0, 1, 3, 3, 2, 2, 0)
    generator = torch.Generator().manual_seed(0)
    for _ in range(10):
        signs = torch.randint(-1, 2, (16, 3), generator=generator)
        signs[0], signs[1] = 1, -1
        losses, gradient = value_and_gradient(name, largest * signs.float(), labels, offsets)
        assert losses.isfinite().all()
        assert (losses >= 0).all()
        assert gradient.isfinite().all()
        exact, exact_gradient = value_and_gradient(name, largest * signs.double(), labels, offsets)
        rounding = 4e-7 * largest  # of log sums as large as the scores
        torch.testing.assert_close(losses.double(), exact, rtol=1e-6, atol=rounding)
        torch.testing.assert_close(gradient.double(), exact_gradient, rtol=0, atol=rounding)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("shift", [1e4, -1e4])
def test_a_common_shift_of_large_scores_costs_no_precision(name: str, shift: float) -> None:
    # Eighths and the shift are exact in float32, so that only the loss can lose digits.
    scores = torch.randint(-30, 31, (40,), generator=torch.Generator().manual_seed(0)) / 8
    labels = torch.arange(40) % 5
    near = value_and_gradient(name, scores, labels, offsets_of(30, 10))
    far = value_and_gradient(name, scores + shift, labels, offsets_of(30, 10))
    for a, b in zip(near, far, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_lists_with_nothing_to_learn(name: str) -> None:
    one, gradient = value_and_gradient(name, torch.tensor([3.0]), torch.tensor([2.0]), offsets_of(1))
    assert one.tolist() == [0.0]
    assert gradient.tolist() == [0.0]
    none = LOSSES[name](torch.zeros(0), torch.zeros(0), offsets_of(0, 0), reduction="none")
    assert none.tolist() == [0.0, 0.0]
    assert LOSSES[name](torch.zeros(0), torch.zeros(0), offsets_of()).item() == 0.0


def test_all_zero_labels_teach_nothing_where_only_gains_or_grades_count() -> None:
    for name in ("listnet", "listnet linear", "rating"):
        losses, gradient = value_and_gradient(name, torch.randn(6), torch.zeros(6), offsets_of(6))
        assert losses.abs().max() < 1e-6
        assert gradient.abs().max() < 1e-6


@pytest.mark.parametrize("name", LOSSES)
def test_a_list_of_100_000_documents(name: str) -> None:
    generator = torch.Generator().manual_seed(0)
    # Exact below the highest in float32 too: what is rounded together changes ranks.
    scores = (3 * torch.randn(LARGE, generator=generator) * 1024).round() / 1024
    labels = torch.randint(0, 5, (LARGE,), generator=generator)
    if "average" in name:
        labels = torch.randperm(LARGE, generator=generator) // 4
    if name in FEW_WITH_GAIN:
        labels = labels.where(torch.arange(LARGE) % 2000 == 0, 0)
    losses, gradient = value_and_gradient(name, scores, labels, offsets_of(LARGE))
    exact, exact_gradient = value_and_gradient(name, scores.double(), labels, offsets_of(LARGE))
    torch.testing.assert_close(losses.double(), exact, rtol=1e-4, atol=0)
    assert (gradient - exact_gradient).norm() < 1e-3 * exact_gradient.norm()


@pytest.mark.parametrize("spread", [1.0, 1e4])
def test_the_scan_of_100_000_rows_is_torchs_cumulative_one(spread: float) -> None:
    rows = spread * torch.randn(LARGE, generator=torch.Generator().manual_seed(0))
    found = reverse_logcumsumexp(rows, offsets_of(LARGE))
    expected = rows.double().flip(0).logcumsumexp(0).flip(0)
    torch.testing.assert_close(found.double(), expected, rtol=1e-6, atol=1e-6)


def test_the_scan_keeps_tails_far_below_the_maximum() -> None:
    rows = torch.cat([torch.tensor([1e4]), torch.full((999,), -1e4)])
    found = reverse_logcumsumexp(rows, offsets_of(1000))
    torch.testing.assert_close(
        found[1:].double() + 1e4, torch.arange(999, 0, -1).double().log(), atol=4e-3, rtol=0
    )


def test_log_sums_of_segments_without_any_mass_are_minus_infinity() -> None:
    rows = torch.tensor([-torch.inf, -torch.inf, 0.0, 0.0, -torch.inf])
    found = segment_logsumexp(rows, offsets_of(2, 0, 2, 1))
    assert found.exp().tolist() == pytest.approx([0.0, 0.0, 2.0, 0.0])


def test_the_scan_stops_at_the_ends_of_segments() -> None:
    rows, sizes = torch.randn(40, 2, dtype=torch.float64), [1, 0, 17, 8, 14]
    found = reverse_logcumsumexp(rows, offsets_of(*sizes))
    expected = torch.cat([part.flip(0).logcumsumexp(0).flip(0) for part in rows.split(sizes)])
    torch.testing.assert_close(found, expected)


MEMORY = """
import resource, sys, torch
from hyperrank.losses import listnet, plackett_luce
n = 30_000
scores, offsets = torch.randn(n, 4, requires_grad=True), torch.tensor([0, n])
labels = torch.randperm(n)[:, None] // torch.tensor([4, 8]) * 1.0
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
listnet(scores, labels, offsets).sum().backward()
for ties in ("random", "average", "rating"):
    plackett_luce(scores, labels, offsets, ties=ties).sum().backward()
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux")
def test_long_lists_need_no_square_of_memory() -> None:
    done = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 300  # MiB; n x n floats would be 3.4 GiB, 2^8 subsets each 0.4 GiB
