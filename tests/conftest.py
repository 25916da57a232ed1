"""Fixtures of all tests."""

import gc
import importlib
import os
import signal
import sys
from pathlib import Path

# Threads of processes that share the tests would wait for each other, and spin while they do. torch and
# LightGBM read this when they are imported; tests of several threads ask for them.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import pytest
import torch
from hypothesis import HealthCheck, settings

# Triton is interpreted where there is no GPU. It reads this when it is first imported, by whichever test.
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

# Repeatable by default; `HYPOTHESIS_PROFILE=long pytest tests/rankers/test_fuzz.py` looks for new cases, and
# for twenty times as many where a test takes its number from the profile (tests/rankers/strategies.py).
settings.register_profile(
    "default",
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=20,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("long", settings.get_profile("default"), derandomize=False, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

# A shell lets background processes ignore Ctrl-C, which some tests send to themselves.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# What is imported stays: it is left out of garbage collection, which transformers asks for after each fit.
gc.disable()


def pytest_collection_finish() -> None:
    """Collect garbage from now on, and only that of tests."""
    gc.freeze()
    gc.enable()


def pytest_unconfigure() -> None:
    """Let go of what was imported: libraries count what is left at the end."""
    gc.unfreeze()


#: Where users' own losses, metrics and so on are known by name.
REGISTRIES = {
    "hyperrank.alignment.conditioning": "_REGISTRY",
    "hyperrank.losses.base": "_LOSSES",
    "hyperrank.metrics.registry": "_METRICS",
    "hyperrank.networks.conditioning": "_CONDITIONINGS",
    "hyperrank.reference.fit": "REFERENCES",
}
#: Takes seconds to import, and is looked after once a test has.
LATE = ("hyperrank.alignment.conditioning",)


@pytest.fixture(autouse=True)
def registries():
    """Names that a test registers are unknown to the next one, which may use the same."""
    modules = {name: importlib.import_module(name) for name in REGISTRIES if name not in LATE}
    modules |= {name: sys.modules[name] for name in LATE if name in sys.modules}
    known = {name: getattr(module, REGISTRIES[name]) for name, module in modules.items()}
    before = {name: dict(registry) for name, registry in known.items()}
    yield
    for name, registry in known.items():
        registry.clear()
        registry.update(before[name])


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real data next to the project; absent in a clone, but never in CI."""
    folder = Path(__file__).resolve().parents[1].parent / "shared" / "data"
    if not folder.is_dir():
        message = f"the real data are not at {folder}"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return folder
