"""Memory of reading and converting, in processes of their own: bytes more for each byte of features more.

Two sizes, so that what threads and buffers take at any size does not count.
"""

import subprocess
import sys

import numpy as np
import pytest

from hyperrank.datasets._chunks import GrowingRows

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")

SIZES, WIDTH = {"small": 20_000, "large": 60_000}, 200

MEASURE = """
import sys
from benchmarks.machine import current_memory_bytes, peak_memory_bytes, reset_peak_memory
from hyperrank import datasets
what, folder, text = sys.argv[1:]
datasets.load_letor(folder + "/warm.txt")
before = current_memory_bytes()
reset_peak_memory()
found = datasets.load_letor(text) if what == "load" else datasets.convert(text, text + ".store")
print(peak_memory_bytes() - before, found.X.nbytes)
"""


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """The same rows together by query, and dealt out."""
    folder = tmp_path_factory.mktemp("memory")
    rng = np.random.default_rng(0)
    rows = [" ".join(f"{j}:{v}" for j, v in enumerate(row, 1)) for row in rng.integers(0, 9, (100, WIDTH))]
    for name, query in [("grouped", lambda i: i // 100), ("scattered", lambda i: i % 600)]:
        lines = [f"{i % 5} qid:{query(i)} {rows[i % 100]}\n" for i in range(SIZES["large"])]
        for size, n_rows in SIZES.items():
            (folder / f"{name}-{size}.txt").write_text("".join(lines[:n_rows]))
    (folder / "warm.txt").write_text("".join(lines[:1000]))
    return folder


def slope(what, name, folder):
    """Bytes of memory per byte of features, from the smaller file to the larger."""
    measured = []
    for size in SIZES:  # a process each: what one run leaves to the allocator would serve the next
        command = [sys.executable, "-c", MEASURE, what, str(folder), str(folder / f"{name}-{size}.txt")]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        measured.append([int(number) for number in done.stdout.split()])
    (memory, features), (more_memory, more_features) = measured
    return (more_memory - memory) / (more_features - features)


def test_loading_takes_one_copy_of_the_features(texts):
    # Blocks that threads hold at the peak come on top, by chance; a second copy would be there each time.
    assert any(0.7 < slope("load", "grouped", texts) < 1.4 for _ in range(2))


@pytest.mark.parametrize("name", [pytest.param("grouped", marks=pytest.mark.slow), "scattered"])
def test_converting_takes_no_copy_of_the_features(texts, name):
    assert slope("convert", name, texts) < 0.5


def test_rows_that_widen_are_moved_in_place():
    rng = np.random.default_rng(0)
    chunks = [rng.normal(size=(n, width)).astype(np.float32) for n, width in rng.integers(1, 9, (40, 2))]
    rows = GrowingRows(1, -1.0)
    for chunk in chunks:
        rows.append(chunk)
    expected = [np.pad(chunk, ((0, 0), (0, 8 - chunk.shape[1])), constant_values=-1) for chunk in chunks]
    np.testing.assert_array_equal(rows.finish(), np.concatenate(expected))
