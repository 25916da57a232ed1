"""Fit from a mapped file: the same bits as from memory, without reading the file into it."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import BaseEstimator

from hyperrank import HyperDPORanker, TradeOffs, datasets
from hyperrank import memmap as rows
from hyperrank.networks import MLP, Transformer
from hyperrank.rankers.dpo import reference as dpo
from hyperrank.training import ListTensors

FEW_TREES = {"num_boost_round": 5, "num_leaves": 5, "min_data_in_leaf": 5}
SMALL = {
    "network": MLP(hidden=(16,)),
    "booster_params": FEW_TREES,
    "random_state": 0,
    "max_epochs": 2,
    "tuning": False,
}

AT = [[1, 0], [0.3, 0.7]]


class Falling:
    """A model that scores by the first features most."""

    def predict(self, X):
        assert isinstance(X, np.ndarray)
        return np.nan_to_num(X) @ np.linspace(1, 0, X.shape[1])


class Summing(BaseEstimator):
    """A model that does not make arrays of what it is given before it computes."""

    def fit(self, X, y):
        self.weights_ = np.where(X.T > 0, X.T, 0) @ y
        return self

    def predict(self, X):
        return np.nan_to_num(X) @ self.weights_


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    data = datasets.make_multilabel_ranking(n_queries=130, list_size=(1, 30), n_objectives=2, random_state=0)
    data.X[::7, 1] = np.nan
    return datasets.convert(data, tmp_path_factory.mktemp("fit") / "train.store")


@pytest.fixture
def stays(monkeypatch):
    """Files of any size stay files, and what is made of their features in training is noted."""
    made = []
    inner = ListTensors.__init__

    def noted(self, features, *args):
        made.append(features)
        inner(self, features, *args)

    monkeypatch.setattr(rows, "IN_MEMORY_BYTES", 0)
    monkeypatch.setattr(ListTensors, "__init__", noted)
    return made


@pytest.mark.parametrize(
    "options",
    [
        {"tuning": True},
        {"early_stopping": True, "max_epochs": 3},
        {"reference": None},
        {"reference": "lightgbm", "query_standardize": False, "feature_transform": "log"},
        {"reference": Falling(), "feature_transform": "standard"},
        {"reference": Summing()},
        {"network": Transformer(n_prompts=1), "max_epochs": 1},
        {"trade_offs": TradeOffs(temperature_range=(0.5, 2.0)), "max_epochs": 1},
        {"tuning": True, "max_epochs": "auto", "network": MLP(hidden=(4,)), "early_stopping": True},
        {"booster_params": "search", "reference": "lightgbm", "max_epochs": 1},
    ],
    ids="-".join,
)
def test_a_fit_is_the_one_in_memory(store, stays, options):
    whole = store.load()
    expected = HyperDPORanker(**{**SMALL, **options}).fit(whole.X, whole.Y, qid=whole.qid)
    assert not callable(stays[-1])
    ranker = HyperDPORanker(**{**SMALL, **options}).fit(store.X, store.Y, qid=store.qid)
    assert callable(stays[-1])
    same(ranker, expected, whole)
    assert [e["loss"] for e in ranker.history_] == [e["loss"] for e in expected.history_]


def same(ranker, expected, whole):
    given = {"qid": whole.qid, "weights": AT}
    np.testing.assert_array_equal(ranker.predict(whole.X, **given), expected.predict(whole.X, **given))


def test_queries_in_any_order_and_validation_in_a_file(store, stays):
    whole = store.load()
    qid = np.random.default_rng(0).permutation(whole.qid)  # rows of a query lie anywhere in the file
    options = {**SMALL, "max_epochs": 3}
    more = {"X_val": whole.X[:999], "y_val": whole.Y[:999], "qid_val": qid[:999]}
    expected = HyperDPORanker(**options).fit(whole.X, whole.Y, qid=qid, **more)
    ranker = HyperDPORanker(**options)
    ranker.fit(store.X, store.Y, qid=qid, **{**more, "X_val": store.X[:999]})
    same(ranker, expected, whole)
    assert ranker.best_score_ == expected.best_score_


def test_going_on_from_a_file(store, stays):
    whole = store.load()
    fits = []
    for data in (whole, store):
        ranker = HyperDPORanker(**SMALL).fit(data.X, data.Y, qid=data.qid)
        ranker.partial_fit(data.X, data.Y, qid=data.qid)
        fits.append(ranker.set_params(warm_start=True).fit(data.X, data.Y, qid=data.qid))
    same(*fits, whole)


def test_fronts_and_scores_of_a_file(store):
    whole = store.load()
    ranker = HyperDPORanker(**SMALL).fit(whole.X, whole.Y, qid=whole.qid)
    for how in (ranker.score, lambda X, Y, qid: ranker.pareto_front(X, Y, qid=qid).points):
        np.testing.assert_array_equal(
            how(store.X, store.Y, qid=store.qid), how(whole.X, whole.Y, qid=whole.qid)
        )


def test_what_is_wrong_is_said_as_of_arrays(store, stays, tmp_path):
    X = np.lib.format.open_memmap(tmp_path / "x.npy", mode="w+", dtype=np.float32, shape=store.X.shape)
    X[:] = store.X
    X[-1, -1] = np.inf
    X.flush()
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    ranker = HyperDPORanker(**SMALL)
    with pytest.raises(ValueError, match="Input X contains infinity"):
        ranker.fit(mapped, store.Y, qid=store.qid)
    with pytest.raises(ValueError, match="qid has 3 entries"):
        ranker.fit(store.X, store.Y, qid=[1, 2, 3])
    with pytest.raises(ValueError, match=r"y has .* rows, but X has"):
        ranker.fit(store.X, store.Y[:-1], qid=store.qid)
    with pytest.raises(ValueError, match="X_val: X has 19 features, but HyperDPORanker is expecting 20"):
        ranker.fit(
            store.X, store.Y, qid=store.qid, X_val=np.array(store.X[:, 1:]), y_val=store.Y, qid_val=store.qid
        )


def test_boosters_of_very_many_rows_are_grown_on_some(store, monkeypatch):
    seen = []
    inner = dpo.fit_reference_model

    def noted(reference, data):
        seen.append(len(data.X))
        return inner(reference, data)

    monkeypatch.setattr(dpo, "fit_reference_model", noted)
    monkeypatch.setattr(dpo, "REFERENCE_ROWS", 500)
    monkeypatch.setattr(dpo, "DEVIATION_ROWS", 300)
    Y = np.array(store.Y)
    few = store.qid == store.qid[-1]
    Y[~few, 1] = np.nan  # an objective that a sample of lists would miss
    ranker = HyperDPORanker(**SMALL).fit(store.X, Y, qid=store.qid)
    assert seen[0] <= 500 + few.sum()
    assert np.isfinite(ranker.predict(store.X, qid=store.qid, weights=[0, 1])).all()
    ranker = HyperDPORanker(**{**SMALL, "reference": Falling()}).fit(store.X, Y, qid=store.qid)
    assert seen[-1] == len(store)  # of models of the caller's nothing is left out


MEASURE = """
import sys
import numpy as np
from benchmarks.machine import current_memory_bytes, peak_memory_bytes, reset_peak_memory
from hyperrank import AdamW, EarlyStopping, HyperDPORanker, TradeOffs
from hyperrank.networks import MLP
from hyperrank import memmap
from hyperrank.networks import feature_transforms
feature_transforms.MAX_FIT_ROWS = 5_000
memmap.IN_MEMORY_BYTES = 1 << 20
rng = np.random.default_rng(0)
Y, qid = rng.integers(0, 5, (150_000, 2)), np.repeat(np.arange(3000), 50)
ranker = HyperDPORanker(
    reference=None, network=MLP(hidden=(8,)), max_epochs=1, trade_offs=TradeOffs(n_draws=1),
    optimizer=AdamW(batch_docs=2000), feature_transform="standard",
    query_standardize=False, early_stopping=EarlyStopping(fraction=0.02), random_state=0,
)
X = np.memmap(sys.argv[1], mode="r", dtype=np.float32, shape=(150_000, 400))
ranker.fit(np.array(X[:5000]), Y[:5000], qid=qid[:5000])
before = current_memory_bytes()
reset_peak_memory()
ranker.fit(X, Y, qid=qid)
print((peak_memory_bytes() - before) / X.nbytes)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")
def test_memory_of_fit_does_not_hold_the_features(tmp_path):
    with open(tmp_path / "x.f32", "wb") as file:
        for seed in range(15):
            np.random.default_rng(seed).random((10_000, 400), dtype=np.float32).tofile(file)
    command = [sys.executable, "-c", MEASURE, str(tmp_path / "x.f32")]
    ratio = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert ratio < 0.8  # 6 where all is read
