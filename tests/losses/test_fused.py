"""The fused weighted loss is the plain one: values, gradients, extremes, memory, bits."""

import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from loss_oracles import average_loss, offsets_of
from torch import Tensor

from hyperrank.losses import listnet, plackett_luce, prepare, weighted_loss
from hyperrank.losses._segments import list_blocks, size_blocks
from hyperrank.losses.fused import LabelRanks

FUSED: dict[str, Any] = {
    "listnet": listnet,
    "linear": partial(listnet, gain="linear"),
    "plackett_luce": plackett_luce,
    "top 2": partial(plackett_luce, top_k=2, ties="random"),
}
SIZES = [3, 0, 1, 40, 2, 7, 0, 7, 900, 1]


def plain(loss: Any) -> Any:
    """The same loss, in a form that is not recognised."""
    return lambda *arguments, **options: loss(*arguments, **options)


def case(
    k: int = 3,
    m: int = 2,
    *,
    sizes: list[int] = SIZES,
    missing: float = 0.0,
    seed: int = 0,
    spread: float = 1.0,
) -> dict[str, Any]:
    """Arguments without ties, so that there is one order."""
    generator = torch.Generator().manual_seed(seed)
    n, q = sum(sizes), len(sizes)
    labels = torch.stack([torch.randperm(n, generator=generator) for _ in range(m)], 1).double() / n * 8
    labels[torch.rand(n, m, generator=generator) < missing] = torch.nan
    return {
        "rewards": spread * torch.randn(n, k, generator=generator, dtype=torch.float64),
        "labels": labels,
        "offsets": offsets_of(*sizes),
        "weights": torch.rand(q, k, m, generator=generator, dtype=torch.float64),
        "scale": torch.rand(m, generator=generator, dtype=torch.float64) + 0.5,
        "query_weight": torch.rand(q, generator=generator, dtype=torch.float64),
    }


def of(loss: Any, dtype: torch.dtype = torch.float64, **arguments: Any) -> tuple[Tensor, Tensor]:
    leaf = arguments.pop("rewards").detach().to(dtype).requires_grad_()
    for name in ("weights", "scale", "query_weight"):
        if arguments.get(name) is not None:
            arguments[name] = arguments[name].to(dtype)
    value = weighted_loss(leaf, loss=loss, **arguments)
    (gradient,) = torch.autograd.grad(3 * value, leaf)
    return value.detach(), gradient


@pytest.mark.parametrize("spread", [1.0, 100.0, 1e4])
@pytest.mark.parametrize("missing", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("name", FUSED)
def test_the_fused_loss_is_the_plain_one(name: str, missing: float, spread: float) -> None:
    arguments = case(missing=missing, spread=spread)
    exact = of(plain(FUSED[name]), **arguments)
    found = of(FUSED[name], **arguments)
    torch.testing.assert_close(found, exact, rtol=1e-9, atol=1e-12)
    single = of(FUSED[name], torch.float32, **arguments)
    torch.testing.assert_close(single[0].double(), exact[0], rtol=1e-5, atol=1e-6)
    # Rewards of 1e4 have a spacing of 1e-3 in float32: their exponentials are off by as much.
    rounding = max(1e-5, 1e-7 * spread) * float(exact[1].abs().max())
    torch.testing.assert_close(single[1].double(), exact[1], rtol=1e-5, atol=rounding)


@pytest.mark.parametrize("name", FUSED)
def test_one_objective_may_be_complete_where_another_is_not(name: str) -> None:
    arguments = case(m=3)
    arguments["labels"][::3, 1] = torch.nan
    arguments["labels"][3:5, 2] = torch.nan
    torch.testing.assert_close(of(FUSED[name], **arguments), of(plain(FUSED[name]), **arguments))


@pytest.mark.parametrize("left_out", [("scale",), ("query_weight",), ("scale", "query_weight")])
@pytest.mark.parametrize("name", FUSED)
def test_scale_and_query_weight_may_be_left_out(name: str, left_out: tuple[str, ...]) -> None:
    arguments = {key: value for key, value in case().items() if key not in left_out}
    torch.testing.assert_close(of(FUSED[name], **arguments), of(plain(FUSED[name]), **arguments))


@pytest.mark.parametrize("name", FUSED)
@given(
    sizes=st.lists(st.integers(0, 9), min_size=1, max_size=8),
    k=st.integers(1, 3),
    m=st.integers(1, 3),
    missing=st.sampled_from([0.0, 0.3, 1.0]),
    seed=st.integers(0, 2**20),
)
@settings(max_examples=15, deadline=None)
def test_whatever_the_lists(name: str, sizes: list[int], k: int, m: int, missing: float, seed: int) -> None:
    arguments = case(k, m, sizes=sizes, missing=missing, seed=seed)
    found, expected = of(FUSED[name], **arguments), of(plain(FUSED[name]), **arguments)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("beta", [0.5, torch.tensor(0.5), torch.tensor([0.1, 2.0, 1.0])])
@pytest.mark.parametrize("name", FUSED)
def test_beta_multiplies_the_rewards(name: str, beta: Any) -> None:
    arguments = case(missing=0.2)
    leaf = arguments.pop("rewards").requires_grad_()
    found = weighted_loss(leaf, loss=FUSED[name], beta=beta, **arguments)
    expected = weighted_loss(beta * leaf, loss=plain(FUSED[name]), **arguments)
    for value in (found, weighted_loss(leaf, loss=plain(FUSED[name]), beta=beta, **arguments)):
        torch.testing.assert_close(value, expected)
    gradients = [torch.autograd.grad(value, leaf)[0] for value in (found, expected)]
    torch.testing.assert_close(*gradients)


def test_beta_itself_may_be_learnt() -> None:
    arguments = case()
    beta = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    slopes = []
    for loss in (listnet, plain(listnet)):
        (slope,) = torch.autograd.grad(weighted_loss(loss=loss, beta=beta, **arguments), beta)
        slopes.append(slope)
    assert slopes[0] != 0
    torch.testing.assert_close(*slopes)


@pytest.mark.parametrize("which", ["weights", "scale", "query_weight"])
def test_other_arguments_keep_their_gradients(which: str) -> None:
    arguments = case()
    arguments[which].requires_grad_()
    found = torch.autograd.grad(weighted_loss(loss=listnet, **arguments), arguments[which])
    assert found[0].abs().sum() > 0


@pytest.mark.parametrize("name", FUSED)
def test_prepared_labels_of_some_lists_are_those_of_their_batch(name: str) -> None:
    arguments = case(missing=0.3)
    labels, offsets = arguments["labels"], arguments["offsets"]
    lists = torch.tensor([8, 3, 1, 0])
    rows = torch.cat([torch.arange(offsets[q], offsets[q + 1]) for q in lists.tolist()])
    sizes = offsets.diff()[lists].tolist()
    taken = prepare(FUSED[name], labels, offsets).take(rows, lists)  # type: ignore[union-attr]
    batch = {
        "labels": labels[rows],
        "rewards": arguments["rewards"][rows],
        "offsets": offsets_of(*sizes),
        "weights": arguments["weights"][lists],
    }
    torch.testing.assert_close(of(FUSED[name], prepared=taken, **batch), of(plain(FUSED[name]), **batch))


def test_tied_documents_are_ordered_afresh_and_average_out() -> None:
    copies, labels = 4000, torch.tensor([1.0, 1.0, 0.0, 1.0, 0.0])
    scores = torch.randn(5, 1, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    expected = average_loss(scores[:, 0], labels)
    offsets, weights = offsets_of(*[5] * copies), torch.ones(copies, 1, 1)
    loss = partial(plackett_luce, generator=torch.Generator().manual_seed(0))
    leaf = scores.repeat(copies, 1).requires_grad_()
    value = weighted_loss(leaf, labels.repeat(copies)[:, None], offsets, weights, loss=loss)
    value.backward()
    assert abs(value - expected) < 0.01
    assert leaf.grad is not None
    by_list = (copies * leaf.grad).round(decimals=9).view(copies, 5)
    assert len(by_list.unique(dim=0)) == 12
    exact = torch.autograd.functional.jacobian(lambda s: average_loss(s, labels), scores[:, 0])
    torch.testing.assert_close(by_list.mean(dim=0), exact, rtol=0, atol=0.02)


@pytest.mark.parametrize("name", FUSED)
def test_the_same_generator_gives_the_same_bits(name: str) -> None:
    arguments = {**case(), "labels": torch.randint(0, 3, (961, 2)).float()}

    def once(seed: int) -> tuple[Tensor, Tensor]:
        torch.manual_seed(seed)
        return of(FUSED[name], torch.float32, **arguments)

    first, again, other = once(1), once(1), once(2)
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert torch.equal(first[1], other[1]) == (name in ("listnet", "linear"))


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
@pytest.mark.parametrize("name", FUSED)
def test_rewards_that_are_no_numbers_make_a_loss_that_is_none(name: str, bad: float) -> None:
    arguments = case()
    arguments["rewards"][5, 0] = bad
    value, gradient = of(FUSED[name], torch.float32, **arguments)
    assert not value.isfinite()
    assert not gradient.isfinite().all()


@pytest.mark.parametrize("name", FUSED)
def test_nothing_at_all_has_no_loss(name: str) -> None:
    for sizes in ([], [0, 0]):
        value, gradient = of(FUSED[name], **case(sizes=sizes))
        assert value == 0
        assert gradient.shape == (0, 3)


@pytest.mark.parametrize("name", FUSED)
def test_shapes_are_checked(name: str) -> None:
    arguments = case()
    for wrong, message in (
        ({"weights": arguments["weights"][:, :, :1]}, "expected \\(q, k, m\\)"),
        ({"offsets": offsets_of(3)}, "offsets run from 0 to 3"),
        ({"labels": arguments["labels"][1:]}, "961 scores, but 960 labels"),
    ):
        with pytest.raises(ValueError, match=message):
            weighted_loss(loss=FUSED[name], **{**arguments, **wrong})


def test_only_what_is_understood_is_fused() -> None:
    labels, offsets = torch.tensor([[1.0], [0.0]]), offsets_of(2)
    assert prepare(plain(listnet), labels, offsets) is None
    assert prepare(partial(plackett_luce, ties="average"), labels, offsets) is None
    assert prepare(partial(plackett_luce, ties="rating"), labels, offsets) is None
    assert prepare(partial(listnet, torch.zeros(2)), labels, offsets) is None
    assert prepare(partial(plackett_luce, ties="random"), labels, offsets) is not None
    with pytest.raises(ValueError, match="top_k must be a whole number at least 1"):
        weighted_loss(
            torch.zeros(2, 1), labels, offsets, torch.ones(1, 1, 1), loss=partial(plackett_luce, top_k=0)
        )


def test_ranks_count_what_is_above() -> None:
    labels = torch.tensor([[2.0, torch.nan], [3.0, 0.0], [2.0, torch.nan], [-1.0, 0.0], [5.0, torch.nan]])
    ranks = prepare(plackett_luce, labels, offsets_of(4, 1))
    assert isinstance(ranks, LabelRanks)
    assert ranks.rank.T.tolist() == [[1, 0, 1, 3, 0], [2, 0, 2, 0, 0]]
    assert ranks.n_observed.tolist() == [[4, 2], [1, 0]]
    shorter = prepare(plackett_luce, torch.tensor([[0.0], [0.0], [0.0], [0.0], [1.0]]), offsets_of(3, 2))
    assert isinstance(shorter, LabelRanks)
    assert shorter.rank[:, 0].tolist() == [0, 0, 0, 1, 0]


@given(sizes=st.lists(st.integers(0, 3000), max_size=60), width=st.integers(1, 20))
@settings(max_examples=20, deadline=None)
def test_blocks_hold_every_row_once_and_little_else(sizes: list[int], width: int) -> None:
    offsets = np.cumsum([0, *sizes])
    blocks = list(size_blocks(offsets, width))
    rows = np.concatenate([[], *(block.rows[block.is_row] for block in blocks)])
    assert sorted(rows) == list(range(sum(sizes)))
    for block in blocks:
        assert len(block.rows) == 1 or block.rows.size * width <= 32_768
        assert (~block.is_row).sum() <= 8192 / width + 0.1 * block.is_row.sum()
    runs = list(list_blocks(offsets, 500))
    assert [at for first, last in runs for at in range(first, last)] == list(range(len(sizes)))
    assert all(last - first == 1 or offsets[last] - offsets[first] <= 500 for first, last in runs)


MEMORY = """
import re, sys, torch
from pathlib import Path
from hyperrank.losses import listnet, plackett_luce, prepare, weighted_loss

def peak():
    return 1024 * int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

n, k, m, size = 100_000, 16, 8, 100
offsets, labels = torch.arange(0, n + 1, size), torch.randint(0, 5, (n, m)).float()
rewards, weights = torch.randn(n, k, requires_grad=True), torch.rand(n // size, k, m)
few = slice(0, 50 * size)
for loss in (listnet, plackett_luce):
    prepared = prepare(loss, labels, offsets)
    weighted_loss(rewards[few], labels[few], offsets[:51], weights[:50], loss=loss).backward()
    rewards.grad = None
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = peak()
    weighted_loss(rewards, labels, offsets, weights, loss=loss, prepared=prepared).backward()
    rewards.grad = None
    print((peak() - before) / (4 * n * k))
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux alone measures it so")
def test_memory_is_that_of_the_gradient() -> None:
    done = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    # The gradient twice, as made and as multiplied by what comes in, less what lies in memory that was let go
    # of before: 0 to 2 times for one loss. All of n x k x m would be 8 times each.
    peaks = [float(line) for line in done.stdout.split()]
    assert 0.25 < max(peaks) < 3.5
