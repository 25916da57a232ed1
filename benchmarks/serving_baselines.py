"""Fitted rankers and their calls, and the phases of HyperDPO's predict."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.fronts.sources import MslrSample
from hyperrank import HyperDPORanker, datasets
from hyperrank.datasets import RankingData

__all__ = ["LIGHTGBM", "OURS", "PLAIN", "Fitted", "calls_of", "phases_of"]

LIGHTGBM, OURS, PLAIN = "LGBMRanker, as many leaves", "HyperDPO", "HyperDPO, specialised"
LARGE = "LGBMRanker, 300 trees"
N_TREES, N_LEAVES = 300, 31
#: A trade-off that leaves nothing out.
WEIGHTS = np.array([0.5, 0.3, 0.2])


@dataclass(frozen=True)
class Fitted:
    """Baselines fitted on the same rows, and documents to score.

    Attributes
    ----------
    label : str
        Of the data.
    X : ndarray of shape (n, d), float32
        Documents, grouped by query.
    qid : ndarray of shape (n,)
        Their queries.
    ranker : HyperDPORanker
    lightgbm, large : LGBMRanker
        With as many leaves as the ranker's boosters, and with 300 trees of 31.
    """

    label: str
    X: NDArray[np.float32]
    qid: NDArray[Any]
    ranker: HyperDPORanker
    lightgbm: Any
    large: Any

    @classmethod
    def on_mslr(cls, seed: int = 0) -> Fitted:
        """On four fifths of the MSLR sample; all of it is scored."""
        source = MslrSample()
        return cls.on(source.label, source.fold(0).train, source.data, seed)

    @classmethod
    def on_synthetic(cls, seed: int = 0, n_queries: int = 200, **options: Any) -> Fitted:
        """On the generator."""
        data = datasets.make_multilabel_ranking(n_queries=n_queries, n_objectives=3, random_state=1)
        return cls.on("synthetic", data, data, seed, **options)

    @classmethod
    def on(cls, label: str, train: RankingData, scored: RankingData, seed: int, **options: Any) -> Fitted:
        """On given data."""
        from lightgbm import LGBMRanker

        ranker = HyperDPORanker(objectives=train.names, random_state=seed, n_jobs=1, **options)
        ranker.fit(train.X, train.Y, qid=train.qid)
        order = np.argsort(train.qid, kind="stable")
        groups = np.unique(train.qid, return_counts=True)[1]
        n_trees = max(1, round(count_leaves(ranker) / N_LEAVES))
        common: dict[str, Any] = {"num_leaves": N_LEAVES, "n_jobs": 1, "random_state": seed, "verbose": -1}
        baselines = [
            LGBMRanker(n_estimators=n, **common).fit(train.X[order], train.Y[order, 0], group=groups)
            for n in (n_trees, N_TREES)
        ]
        grouped = np.argsort(scored.qid, kind="stable")
        rows = np.ascontiguousarray(scored.X[grouped], dtype=np.float32)
        return cls(label, rows, scored.qid[grouped], ranker, *baselines)


def count_leaves(ranker: HyperDPORanker) -> int:
    """Leaves of all trees of a ranker's reference; those of 300 trees where there are none."""
    reference: Any = ranker.reference_
    members = getattr(reference, "members", [reference])
    texts = [text for member in members if hasattr(member, "boosters") for text in member.boosters.texts]
    found = [int(n) for text in texts for n in re.findall(r"^num_leaves=(\d+)$", text, re.MULTILINE)]
    return sum(found) or N_TREES * N_LEAVES


def server_calls(fitted: Fitted, X: NDArray[np.float32]) -> dict[str, Callable[[], Any]]:
    """Requests to docs/examples/serve.py and to a plain server of LightGBM, from bytes to bytes."""
    try:
        serve = _example()
    except ImportError:
        return {}
    rows = [[float(f"{value:.6g}") for value in row] for row in X]
    body = json.dumps({"documents": rows, "weights": WEIGHTS.tolist()}).encode()
    with tempfile.TemporaryDirectory() as folder:
        model = serve.Model.read(fitted.ranker.save(Path(folder) / "model.safetensors"), serve.Settings())

    def plain() -> bytes:
        scores = fitted.lightgbm.predict(np.array(json.loads(body)["documents"], dtype=np.float32))
        order = np.argsort(-scores, kind="stable")
        return json.dumps({"order": order.tolist(), "scores": scores[order].tolist()}).encode()

    return {f"{LIGHTGBM}, plain server": plain, f"{OURS}, example server": lambda: model.rank(body)}


def _example() -> Any:
    """docs/examples/serve.py as a module."""
    path = Path(__file__).resolve().parents[1] / "docs" / "examples" / "serve.py"
    spec = importlib.util.spec_from_file_location("serve", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["serve"] = module  # where its annotations are looked up
    spec.loader.exec_module(module)
    return module


def calls_of(
    fitted: Fitted, X: NDArray[np.float32], n_weights: int, qid: NDArray[Any] | None = None
) -> dict[str, Callable[[], Any]]:
    """Calls that score the same documents, by what reports call them."""
    many = np.random.default_rng(0).dirichlet(np.ones(3), n_weights)
    specialized = fitted.ranker.specialize(WEIGHTS)
    calls = {
        LIGHTGBM: lambda: fitted.lightgbm.predict(X),
        LARGE: lambda: fitted.large.predict(X),
        PLAIN: lambda: specialized.predict(X, qid=qid),
        OURS: lambda: fitted.ranker.predict(X, qid=qid, weights=WEIGHTS),
        f"{OURS}, {n_weights} weights": lambda: fitted.ranker.predict(X, qid=qid, weights=many),
    }
    if qid is None:  # the exported graph scores one query at a time
        with suppress(ImportError):
            calls["HyperDPO, ONNX Runtime"] = _onnx_call(fitted.ranker, X)
        calls |= server_calls(fitted, X)
    return calls


def _onnx_call(ranker: HyperDPORanker, X: NDArray[np.float32]) -> Callable[[], Any]:
    import onnxruntime

    from hyperrank.export import to_onnx

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    with tempfile.TemporaryDirectory() as folder:
        path = to_onnx(ranker, Path(folder) / "ranker.onnx")
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    given = {"X": X, "weights": WEIGHTS[None].astype(np.float32), "temperature": np.ones(1, dtype=np.float32)}
    return lambda: session.run(None, given)


def phases_of(fitted: Fitted, n: int, repetitions: int) -> dict[str, float]:
    """CPU microseconds per document of the parts of predict, medians."""
    import torch

    from hyperrank.lists import QueryLists
    from hyperrank.networks.query_normalization import join_standardized, standardize_within
    from hyperrank.reference import GroupedRows

    ranker: Any = fitted.ranker
    X, model = fitted.X[:n], ranker.model_
    lists = QueryLists.from_qid(fitted.qid[:n])
    grouped = GroupedRows(X, lists, X, None)
    rows, offsets = torch.from_numpy(X), torch.from_numpy(lists.offsets)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        transformed = model.transform(rows)
        features = model.features(X, lists)
        at = torch.from_numpy(WEIGHTS[None])
        phases: dict[str, Callable[[], Any]] = {
            "features within the list, for boosters": lambda: join_standardized(X, lists),
            "boosters, with these": lambda: ranker.reference_.scores(grouped),
            "transform of features": lambda: model.transform(rows),
            "features within the list, for the network": lambda: standardize_within(transformed, offsets),
            "network": lambda: model.scores(features, lists, at),
            "all of predict": lambda: ranker.predict(X, qid=fitted.qid[:n], weights=WEIGHTS),
        }
        return {name: _median_cpu(call, repetitions) / n * 1e6 for name, call in phases.items()}


def _median_cpu(call: Callable[[], Any], repetitions: int) -> float:
    call()
    seconds = []
    for _ in range(repetitions):
        started = time.process_time()
        call()
        seconds.append(time.process_time() - started)
    return float(np.median(seconds))
