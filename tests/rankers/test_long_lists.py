"""Lists of very many documents: memory of a fit."""

import subprocess
import sys

import pytest

#: A fit on one list of 20 features: whether it imports torch's compiler, and its peak of memory in MB, the
#: features included.
MEASURE = """
import sys
import lightgbm
import numpy as np
import torch
from benchmarks.machine import current_memory_bytes, peak_memory_bytes, reset_peak_memory
from hyperrank import HyperDPORanker
before = current_memory_bytes()
reset_peak_memory()
X = np.random.default_rng(0).standard_normal((int(sys.argv[1]), 20), dtype=np.float32)
Y = np.floor(np.clip(X[:, :2] + 1, 0, 4))
HyperDPORanker(**eval(sys.argv[2]), random_state=0).fit(X, Y, qid=np.zeros(len(X)))
print("torch._dynamo" in sys.modules, (peak_memory_bytes() - before) / 1e6)
"""


def measured(n: int, options: str) -> tuple[bool, float]:
    command = [sys.executable, "-c", MEASURE, str(n), options]
    compiles, peak = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return compiles == "True", float(peak)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")
def test_memory_of_a_fit_on_one_long_list() -> None:
    compiles, peak = measured(60_000, "{'booster_params': {'num_boost_round': 2}, 'max_epochs': 1}")
    assert not compiles  # optimisers of torch's would import it
    assert peak < 250  # 1,300 where the list is one step


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")
def test_memory_of_a_fit_on_one_list_of_a_million() -> None:
    _, peak = measured(1_000_000, "{}")
    assert peak < 4 * 80 + 500
