"""Fits that end when their checkpoint is written, and what tells them from whole ones."""

import numpy as np

from hyperrank import AdamW
from hyperrank.networks import MLP

TINY = {
    "booster_params": {"num_iterations": 2, "num_threads": 1},
    "network": MLP(hidden=(4, 4)),
    "max_epochs": 2,
    "optimizer": AdamW(batch_docs=200),
    "n_jobs": 1,
    "random_state": 0,
}


class KilledError(Exception):
    """Stands for whatever ends a process."""


def fit(ranker, data, *, resume=False, **more):
    return ranker.fit(data.X, data.Y, qid=data.qid, resume=resume, **more)


def same(one, other, data, ref_scores=None):
    at = [[1, 0], [0.3, 0.7]]
    scores = [r.predict(data.X, qid=data.qid, weights=at, ref_scores=ref_scores) for r in (one, other)]
    histories = [[{**entry, "seconds": 0} for entry in r.history_] for r in (one, other)]
    assert np.array_equal(*scores)
    assert histories[0] == histories[1]
    assert (one.reward_scale_, one.best_epoch_) == (other.reward_scale_, other.best_epoch_)
    assert np.array_equal(one.best_score_, other.best_score_, equal_nan=True)


def validation(data):
    return {"X_val": data.X[::2], "y_val": data.Y[::2], "qid_val": data.qid[::2]}


def weighted(data):
    return {"query_weight": 1.0 + data.qid % 3}


def own_scores(data):
    return {"ref_scores": data.X[:, 0]}
