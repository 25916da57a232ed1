"""Lists of very many documents: memory of a fit."""

import subprocess
import sys

import pytest

#: A fit on one list, with the compiler's modules that were imported for it, and the peak of memory in MB.
MEASURE = """
import sys
import numpy as np
from benchmarks.machine import peak_memory_bytes
from hyperrank import HyperDPORanker
X = np.random.default_rng(0).standard_normal((int(sys.argv[1]), 20), dtype=np.float32)
Y = np.floor(np.clip(X[:, :2] + 1, 0, 4))
HyperDPORanker(**eval(sys.argv[2]), random_state=0).fit(X, Y, qid=np.zeros(len(X)))
print("sympy" in sys.modules, peak_memory_bytes() / 1e6)
"""


def measured(n: int, options: str) -> tuple[bool, float]:
    command = [sys.executable, "-c", MEASURE, str(n), options]
    compiles, peak = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return compiles == "True", float(peak)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")
def test_memory_of_a_fit_on_one_long_list() -> None:
    compiles, peak = measured(60_000, "{'booster_params': {'num_boost_round': 2}, 'max_epochs': 1}")
    assert not compiles  # torch's optimiser classes would import it
    assert peak < 4 * 60_000 * 20 * 4 / 1e6 + 550  # 1,750 where the list is one step
