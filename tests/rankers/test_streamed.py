"""Predict of rows in a mapped file: the same bits, in memory that does not grow with them."""

import subprocess
import sys

import numpy as np
import pytest

from hyperrank import HyperDPORanker, MixedScoresRanker, datasets
from hyperrank.memmap import is_mapped
from hyperrank.networks import MLP
from hyperrank.rankers import data as streamed
from hyperrank.rankers.dpo import reward_model
from hyperrank.rankers.dpo.reward_model import RewardModel


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    data = datasets.make_multilabel_ranking(n_queries=80, list_size=(1, 60), n_objectives=2, random_state=0)
    return datasets.convert(data, tmp_path_factory.mktemp("streamed") / "train.store")


@pytest.mark.parametrize("ranker", [HyperDPORanker(max_epochs=1, random_state=0), MixedScoresRanker()])
def test_scores_from_a_store_are_those_in_memory(store, ranker, monkeypatch):
    whole = store.load()
    ranker.fit(store.X, store.Y, qid=store.qid)
    monkeypatch.setattr(streamed, "CHUNK_BYTES", 10_000)
    for weights in ([1, 0], [[1, 0], [0.3, 0.7]]):
        expected = ranker.predict(whole.X, qid=whole.qid, weights=weights)
        np.testing.assert_array_equal(ranker.predict(store.X, qid=store.qid, weights=weights), expected)


def test_runs_are_scored_apart(store, monkeypatch):
    ranker = MixedScoresRanker().fit(store.X, store.Y, qid=store.qid)
    monkeypatch.setattr(streamed, "CHUNK_BYTES", 10_000)
    seen = []
    inner = ranker._scores
    monkeypatch.setattr(ranker, "_scores", lambda data, at: seen.append(len(data.X)) or inner(data, at))
    ranker.predict(store.X, qid=store.qid)
    assert is_mapped(store.X)
    assert sum(seen) == len(store)
    assert max(seen) < len(store) / 5


def test_scores_given_beside_go_with_their_rows(store, monkeypatch):
    own = np.arange(len(store), dtype=np.float64)
    ranker = HyperDPORanker(reference="scores", max_epochs=1, random_state=0)
    ranker.fit(store.X, store.Y, qid=store.qid, ref_scores=own)
    expected = ranker.predict(store.load().X, qid=store.qid, ref_scores=own)
    monkeypatch.setattr(streamed, "CHUNK_BYTES", 10_000)
    np.testing.assert_array_equal(ranker.predict(store.X, qid=store.qid, ref_scores=own), expected)


def test_an_infinity_far_down_a_store_is_refused(store, tmp_path):
    ranker = MixedScoresRanker().fit(store.X, store.Y, qid=store.qid)
    X = np.lib.format.open_memmap(tmp_path / "x.npy", mode="w+", dtype=np.float32, shape=store.X.shape)
    X[:] = store.X
    X[-1, -1] = np.inf
    X.flush()
    mapped = np.asarray(np.load(tmp_path / "x.npy", mmap_mode="r"))
    with pytest.raises(ValueError, match="infinity"):
        ranker.predict(mapped, qid=store.qid)


MEASURE = """
import sys
import numpy as np
from benchmarks.machine import current_memory_bytes, peak_memory_bytes, reset_peak_memory
from hyperrank import MixedScoresRanker, datasets
store = datasets.open_store(sys.argv[1])
qid = store.qid
part = slice(0, int(store.offsets[20]))
ranker = MixedScoresRanker(booster_params={"num_boost_round": 3}).fit(
    np.array(store.X[part]), np.array(store.Y[part]), qid=qid[part])
ranker.predict(np.array(store.X[part]), qid=qid[part])
before = current_memory_bytes()
reset_peak_memory()
X = store.load().X if sys.argv[2] == "memory" else store.X
ranker.predict(X, qid=qid)
print((peak_memory_bytes() - before) / store.X.nbytes)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")
def test_memory_of_predict_does_not_hold_the_features(tmp_path):
    data = datasets.make_multilabel_ranking(
        n_queries=2000, list_size=100, n_features=200, n_objectives=2, random_state=0
    )
    path = datasets.convert(data, tmp_path / "large.store").path
    ratios = {
        where: float(
            subprocess.run(
                [sys.executable, "-c", MEASURE, str(path), where], capture_output=True, text=True, check=True
            ).stdout
        )
        for where in ("store", "memory")
    }
    assert ratios["memory"] > 1, ratios
    assert ratios["store"] < 0.75, ratios


def test_a_chunk_is_of_its_own_lists_alone(monkeypatch):
    """Millions of short lists are not gone through anew for each few thousand rows."""
    data = datasets.make_multilabel_ranking(n_queries=200, list_size=(1, 5), random_state=0)
    ranker = HyperDPORanker(None, network=MLP(hidden=(4,)), max_epochs=1, random_state=0)
    ranker.fit(data.X, data.Y, qid=data.qid)
    expected, seen = ranker.predict(data.X, qid=data.qid), []
    inner = RewardModel.features

    def noted(self, inputs, lists):
        seen.append(lists.sizes)
        return inner(self, inputs, lists)

    monkeypatch.setattr(RewardModel, "features", noted)
    for limit in ("CHUNK", "ROWS_TO_SHARE"):
        monkeypatch.setattr(reward_model, limit, 24)
    np.testing.assert_array_equal(ranker.predict(data.X, qid=data.qid), expected)
    assert np.concatenate(seen).sum() == len(data.X)
    assert sum(len(sizes) for sizes in seen) == 200
