"""Fits in processes of their own, which tests kill."""

import warnings
from pathlib import Path
from typing import Any

import lightgbm  # noqa: F401 - what a fit imports, so that processes made from one that has need not
import moocore  # noqa: F401
import numpy as np
import safetensors.numpy  # noqa: F401
import torch._dynamo  # noqa: F401

from hyperrank import AdamW, HyperDPORanker, datasets
from hyperrank.networks import MLP

#: All phases: tuning, boosters as reference and as inputs, validation; a second of work.
SHORT: dict[str, Any] = {
    "booster_params": {"num_iterations": 3, "num_threads": 1},
    "network": MLP(hidden=(8, 8)),
    "max_epochs": 3,
    "optimizer": AdamW(batch_docs=150),
    "early_stopping": True,
    "n_jobs": 1,
    "random_state": 0,
}


def data_of(n_queries: int) -> datasets.RankingData:
    return datasets.make_multilabel_ranking(
        n_queries=n_queries, list_size=(3, 12), n_features=6, n_objectives=2, random_state=0
    )


def fit(folder: str, n_queries: int, options: dict[str, Any], begun: Any) -> None:
    """Fit as a job would whose command always says resume=True, and write what came of it."""
    warnings.simplefilter("error")
    data, path = data_of(n_queries), Path(folder) / "fit.checkpoint"
    begun.send(path.exists())
    begun.close()
    ranker = HyperDPORanker(**SHORT, checkpoint=path).set_params(**options)
    ranker.fit(data.X, data.Y, qid=data.qid, resume=True)
    at = [[1, 0], [0.4, 0.6], [0, 1]]
    losses = [[entry["loss"], entry["score"]] for entry in ranker.history_]
    np.savez(
        Path(folder) / "found.npz", scores=ranker.predict(data.X, qid=data.qid, weights=at), losses=losses
    )
