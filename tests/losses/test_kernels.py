"""Triton's kernels are the plain loss, value and gradient: on a GPU, or interpreted where there is none."""

import logging
import os
import subprocess
import sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from hyperrank.losses import fused, listnet, plackett_luce, prepare, weighted_loss

if find_spec("triton") is None and os.environ.get("CI") != "true":
    pytest.skip("Triton is not installed", allow_module_level=True)

from hyperrank.losses import triton_kernels as on_gpu

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
LOSSES: dict[str, Any] = {
    "listnet": listnet,
    "linear": partial(listnet, gain="linear"),
    "plackett_luce": plackett_luce,
    "top 2": partial(plackett_luce, top_k=2),
}


@pytest.fixture(autouse=True)
def kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small blocks, so that lists take several; and kernels wherever tensors are."""
    monkeypatch.setattr(on_gpu, "BLOCK", 16)
    monkeypatch.setattr(fused, "listnet_on_cpu", on_gpu.listnet_on_gpu)
    monkeypatch.setattr(fused, "plackett_luce_on_cpu", on_gpu.plackett_luce_on_gpu)


def case(sizes: list[int], k: int, m: int, *, missing: float = 0.0, spread: float = 1.0) -> dict[str, Any]:
    """Labels without ties, so that there is one order."""
    generator = torch.Generator().manual_seed(0)
    n = sum(sizes)
    labels = torch.stack([torch.randperm(n, generator=generator) for _ in range(m)], 1).double() / n * 8
    labels[torch.rand(n, m, generator=generator) < missing] = torch.nan
    arguments = {
        "rewards": (spread * torch.randn(n, k, generator=generator)).double(),
        "labels": labels,
        "offsets": torch.tensor([0, *sizes]).cumsum(0),
        "weights": torch.rand(len(sizes), k, m, generator=generator).double(),
        "query_weight": torch.rand(len(sizes), generator=generator).double(),
    }
    return {name: tensor.to(DEVICE) for name, tensor in arguments.items()}


def of(loss: Any, dtype: torch.dtype, *, rewards: Tensor, **arguments: Any) -> tuple[Tensor, Tensor]:
    leaf = rewards.detach().to(dtype).requires_grad_()
    for name in ("weights", "query_weight"):
        arguments[name] = arguments[name].to(dtype)
    value = weighted_loss(leaf, loss=loss, **arguments)
    (gradient,) = torch.autograd.grad(value, leaf)
    return value.detach(), gradient


def plain(loss: Any) -> Any:
    return lambda *arguments, **options: loss(*arguments, **options)


# Every pair of values meets in one of the four.
@pytest.mark.parametrize(
    ("k", "m", "missing", "spread"),
    [(1, 1, 0.0, 1.0), (1, 1, 0.4, 300.0), (3, 2, 0.0, 300.0), (3, 2, 0.4, 1.0)],
)
@pytest.mark.parametrize("name", LOSSES)
def test_kernels_are_the_plain_loss(name: str, k: int, m: int, missing: float, spread: float) -> None:
    arguments = case([5, 0, 1, 37, 2, 16], k, m, missing=missing, spread=spread)
    arguments["labels"][5:6] = torch.nan  # a list without any label
    expected = of(plain(LOSSES[name]), torch.float64, **arguments)
    found = of(LOSSES[name], torch.float32, beta=1.0, **arguments)
    torch.testing.assert_close(found[0].double(), expected[0], rtol=1e-5, atol=1e-6)
    largest = float(expected[1].abs().max())
    # Rewards of 300 have a spacing of 3e-5 in float32: their exponentials are off by as much.
    rounding = max(1e-5, 2e-7 * spread) * largest
    torch.testing.assert_close(found[1].double(), expected[1], rtol=1e-5, atol=rounding)


@pytest.mark.parametrize("name", LOSSES)
def test_beta_and_halves(name: str) -> None:
    arguments = case([5, 1, 20], 2, 2, missing=0.2)
    arguments["rewards"] = arguments["rewards"].bfloat16().double()
    expected = of(plain(LOSSES[name]), torch.float64, beta=0.5, **arguments)
    found = of(LOSSES[name], torch.float32, beta=0.5, **arguments)
    torch.testing.assert_close(found[0].double(), expected[0], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found[1].double(), expected[1], rtol=1e-5, atol=1e-6)
    weights = {name: arguments.pop(name).float() for name in ("weights", "query_weight")}
    rewards = arguments.pop("rewards").detach().bfloat16().requires_grad_()
    value = weighted_loss(rewards, loss=LOSSES[name], beta=0.5, **weights, **arguments)
    value.backward()
    assert value.dtype == torch.float32
    torch.testing.assert_close(value.detach().double(), expected[0], rtol=1e-5, atol=1e-6)
    assert rewards.grad is not None
    torch.testing.assert_close(rewards.grad.double(), expected[1], rtol=1e-2, atol=1e-4)


def test_tied_documents_stand_in_every_order() -> None:
    labels = torch.tensor([1.0, 0.0, 1.0, 0.0, torch.nan], device=DEVICE).repeat(200)[:, None]
    offsets = torch.arange(0, 1001, 5, device=DEVICE)
    generator = torch.Generator(DEVICE).manual_seed(0)
    ranks = prepare(partial(plackett_luce, generator=generator), labels, offsets)
    orders = on_gpu.random_orders(ranks, offsets).view(200, 5) - offsets[:-1, None]  # type: ignore[arg-type]
    seen = {tuple(order) for order in orders.tolist()}
    assert seen == {(a, 2 - a, b, 4 - b, 4) for a in (0, 2) for b in (1, 3)}


def test_without_triton_one_line_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def missing(name: str) -> None:
        raise ImportError(f"No module named {name!r}")

    fused.has_kernels.cache_clear()
    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING, logger="hyperrank"):
        patch.setattr(fused, "import_module", missing)
        assert not fused.has_kernels()
        assert not fused.has_kernels()
    fused.has_kernels.cache_clear()
    (record,) = caplog.records
    assert "Triton cannot be imported (No module named 'triton')" in record.getMessage()
    assert fused.has_kernels()


COMPILE = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from hyperrank.losses.triton_kernels import listnet_kernel
from hyperrank.losses.triton_kernels import plackett_luce_kernel

TYPES = {"order": "*i64", "offsets": "*i64", "n_observed": "*i32", "hidden": "*u8", "beta": "fp32"}
for kernel, constants in (
    (listnet_kernel, {"HAS_HIDDEN": True, "BLOCK": 64, "DRAWS": 4}),
    (plackett_luce_kernel, {"BLOCK": 64, "DRAWS": 4}),
):
    types = {}
    for name in kernel.arg_names:
        default = "i32" if name.startswith("n_") or name == "top_k" else "*fp32"
        types[name] = "constexpr" if name in constants else TYPES.get(name, default)
    source = ASTSource(kernel, types, constants)
    print(len(triton.compile(source, target=GPUTarget("cuda", 90, 32)).asm["cubin"]))
"""


def test_kernels_compile_for_a_gpu_that_need_not_be_there(tmp_path: Path) -> None:
    """The interpreter takes what the compiler refuses."""
    environment = {**os.environ, "TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", COMPILE], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert all(int(size) > 1000 for size in done.stdout.split())
    assert len(done.stdout.split()) == 2
