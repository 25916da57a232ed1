"""The benchmark of selections, on data made for it."""

import numpy as np
import pytest

from benchmarks.fronts.sources import MslrSample
from benchmarks.selection import Kept, _beyond, followed, rows_of
from hyperrank import ParetoFront

pytestmark = pytest.mark.slow


def test_share_and_errors_of_values_by_query():
    per_query = np.array([[[0.9, 0.1], [0.8, 0.2], [np.nan, 0.3]]])
    reference = np.array([[0.5, 0.5], [0.6, 0.5], [np.nan, 0.5]])
    front = ParetoFront(
        np.nanmean(per_query, axis=1),
        np.array([[1.0, 0.0]]),
        names=("a", "b"),
        per_query=per_query,
        reference=np.nanmean(reference, axis=0),
        reference_per_query=reference,
    )
    mean, error = _beyond(front, 0)
    differences = np.array([0.9 - 0.98 * 0.5, 0.8 - 0.98 * 0.6])
    assert np.isclose(mean, differences.mean())
    assert np.isclose(error, differences.std(ddof=1) / 2**0.5)


def test_rows_count_what_kept_its_word():
    found = {"by the means": [Kept(1.0, 1.0, 1.1), Kept(0.97, -0.5, 1.2), Kept(0.5, -3.0, 1.3), None]}
    (row,) = rows_of(found)
    assert row["runs"] == "4"
    assert row["nothing eligible"] == "1"
    assert row["at least 0.98"] == "33%"
    assert row["within sampling error"] == "67%"
    assert rows_of({"none": [None]}) == [{"chosen": "none", "runs": "1", "nothing eligible": "1"}]


def test_a_fold_of_real_data_is_followed(shared_data, monkeypatch):
    monkeypatch.setenv("HYPERRANK_DATA", str(shared_data))
    found = followed(MslrSample(("relevance", "dwell")), 0, 0)
    for kept in found.values():
        assert kept is None or (0.3 < kept.share < 3 and np.isfinite(kept.errors))
