"""State of torch that is the caller's: fit and predict do not depend on it, and leave it as it was."""

import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import sklearn
import torch

import hyperrank
from hyperrank import AdamW, HyperDPORanker, LinearScalarizationRanker, SoupRanker, TradeOffs, datasets
from hyperrank.datasets import RankingData
from hyperrank.export import to_onnx
from hyperrank.networks import MLP, Transformer

SMALL: dict[str, Any] = {
    "booster_params": {"num_iterations": 2, "num_threads": 1},
    "network": MLP(hidden=(8, 8)),
    "max_epochs": 2,
    "optimizer": AdamW(batch_docs=100),
    "n_jobs": 1,
    "random_state": 0,
}
RANKERS: dict[str, Callable[[], Any]] = {
    "mlp": lambda: HyperDPORanker(None, **{**SMALL, "network": MLP(hidden=(8, 8), dropout=0.3)}),
    "ties": lambda: HyperDPORanker("lightgbm", **SMALL, loss="plackett_luce", early_stopping=True),
    "transformer": lambda: HyperDPORanker(
        None, **{**SMALL, "network": Transformer(hidden=(8, 8), dropout=0.1)}
    ),
    "temperature": lambda: HyperDPORanker(
        "lightgbm",
        **{**SMALL, "network": MLP(hidden=(8, 8), conditioning="hypernetwork")},
        trade_offs=TradeOffs(temperature_range=(0.5, 2.0)),
    ),
    "lambda_loss": lambda: HyperDPORanker(
        None, **SMALL, loss="lambda_loss", feature_transform="log", query_standardize=True
    ),
    "linear": lambda: LinearScalarizationRanker(AT, None, **SMALL),
    "soup": lambda: SoupRanker(None, **SMALL),
}
#: With the whole of what a fit does in few seconds.
FEW = ("mlp", "ties")
AT = [[1.0, 0.0], [0.3, 0.7]]


@contextmanager
def double() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


STATES: dict[str, Callable[[], Any]] = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "default_dtype": double,
    "default_device": lambda: torch.device("meta"),
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "errstate": lambda: np.errstate(all="raise"),
    "frames": lambda: sklearn.config_context(assume_finite=True, transform_output="pandas"),
}


@pytest.fixture(scope="module")
def data() -> RankingData:
    return datasets.make_multilabel_ranking(
        n_queries=20, list_size=(2, 12), n_features=5, n_objectives=2, random_state=0
    )


def fit(data: RankingData, name: str) -> Any:
    return RANKERS[name]().fit(data.X, data.Y, qid=data.qid)


def scores(ranker: Any, data: RankingData) -> np.ndarray:
    return np.asarray(ranker.predict(data.X, qid=data.qid, weights=AT))


@pytest.fixture(scope="module")
def expected(data: RankingData) -> Callable[[str], np.ndarray]:
    """Scores of a fit in a process whose state nobody has touched."""
    known: dict[str, np.ndarray] = {}

    def of(name: str) -> np.ndarray:
        if name not in known:
            known[name] = scores(fit(data, name), data)
        return known[name]

    return of


def state() -> dict[str, Any]:
    """What of the caller's state a fit might change."""
    return {
        "generator": torch.get_rng_state().tolist(),
        "numpy": np.random.get_state()[1].tolist(),  # type: ignore[index, union-attr] # noqa: NPY002
        "threads": torch.get_num_threads(),
        "threads of new threads": in_thread(torch.get_num_threads),
        "dtype": torch.get_default_dtype(),
        "grad": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "autocast": torch.is_autocast_enabled("cpu"),
        "errors": np.geterr(),
    }


def in_thread(compute: Callable[[], Any]) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(compute).result()


#: What changes most, for all rankers.
STRICT = ("inference_mode", "default_dtype")
CASES = [(kind, name) for kind in STATES for name in (RANKERS if kind in STRICT else FEW)]


def test_what_scikit_learn_may_assume_is_checked(data):
    """Before, infinite features and NaN of weights and scores were trained on."""
    infinite = np.where(np.arange(data.X.size).reshape(data.X.shape) == 7, np.inf, data.X)
    nothing = np.full(len(data.X), np.nan)
    with sklearn.config_context(assume_finite=True):
        ranker = fit(data, "mlp")
        with pytest.raises(ValueError, match="X contains infinity"):
            ranker.predict(infinite.astype(np.float64), qid=data.qid)
        with pytest.raises(ValueError, match="query_weight contains NaN"):
            RANKERS["mlp"]().fit(data.X, data.Y, qid=data.qid, query_weight=nothing)
        with pytest.raises(ValueError, match="ref_scores contains NaN"):
            HyperDPORanker("scores", **SMALL).fit(data.X, data.Y, qid=data.qid, ref_scores=nothing)


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_fit_and_predict_give_the_same_bits_in_any_state(data, expected, kind, name):
    wanted = expected(name)
    with STATES[kind]():
        before = state()
        ranker = fit(data, name)
        inside = scores(ranker, data)
        assert state() == before
    assert np.array_equal(inside, wanted)
    assert np.array_equal(scores(ranker, data), wanted)


@pytest.mark.parametrize("kind", STATES)
def test_what_was_made_in_one_state_serves_in_another(data, expected, kind, tmp_path):
    wanted = expected("mlp")
    ranker = fit(data, "mlp")
    with STATES[kind]():
        loaded = hyperrank.load(ranker.save(tmp_path / "ranker"))
        plain = ranker.specialize([0.3, 0.7])
        front = ranker.pareto_front(data.X, data.Y, qid=data.qid, weights=AT)
    assert np.array_equal(scores(loaded, data), wanted)
    assert np.allclose(plain.predict(data.X, qid=data.qid), wanted[:, 1], atol=1e-5)
    assert len(front) == 2
    again = loaded.set_params(max_epochs=1).partial_fit(data.X, data.Y, qid=data.qid)
    assert np.isfinite(scores(again, data)).all()


@pytest.mark.slow
@pytest.mark.parametrize("kind", STATES)
def test_exports_are_the_same_in_any_state(data, kind, tmp_path):
    pytest.importorskip("onnxruntime")
    ranker = fit(data, "mlp")
    expected = to_onnx(ranker, tmp_path / "expected.onnx").read_bytes()
    with STATES[kind]():
        assert to_onnx(ranker, tmp_path / "found.onnx").read_bytes() == expected


@pytest.fixture
def several_threads() -> Iterator[None]:
    """More of torch's threads than one, as by default."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_the_number_of_threads_stays(data, expected, several_threads):
    before = state()
    assert before["threads"] == before["threads of new threads"] == 3
    assert np.array_equal(scores(fit(data, "mlp"), data), expected("mlp"))
    assert state() == before


def together(n_threads: int, compute: Callable[[int], Any]) -> list[Any]:
    """What threads compute that begin at the same time."""
    start = threading.Barrier(n_threads)

    def run(number: int) -> Any:
        start.wait()
        return compute(number)

    with ThreadPoolExecutor(n_threads) as pool:
        return list(pool.map(run, range(n_threads)))


def check_soak(data, expected, names, n_threads, n_rounds):
    """Fits and predicts of threads that share nothing but the process."""
    fitted = {name: fit(data, name) for name in names}
    wanted = {name: expected(name) for name in names}
    switch = sys.getswitchinterval()
    before = state()

    def compute(number: int) -> list[bool]:
        results, seen = [], torch.get_num_threads()
        for turn in range(n_rounds):
            name = names[(number + turn) % len(names)]
            ranker = fitted[name] if (number + turn) % 3 == 2 else fit(data, name)
            results.append(np.array_equal(scores(ranker, data), wanted[name]))
        assert torch.get_num_threads() == seen
        return results

    sys.setswitchinterval(1e-4)
    try:
        assert all(map(all, together(n_threads, compute)))
    finally:
        sys.setswitchinterval(switch)
    assert state() == before


def test_threads_with_one_seed_give_equal_bits(data, expected, several_threads):
    check_soak(data, expected, FEW, 3, 2)


@pytest.mark.slow
def test_threads_give_equal_bits_for_long(data, expected, several_threads):
    check_soak(data, expected, [*RANKERS], 8, 20)
