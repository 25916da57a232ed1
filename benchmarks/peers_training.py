"""One epoch of training in hyperrank and in other libraries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.peers_data import Documents, padded, peer
from hyperrank import AdamW, LinearScalarizationRanker, QueryLists
from hyperrank.losses import listnet, plackett_luce
from hyperrank.networks import MLP, ConditionedScorer
from hyperrank.training import ListTensors, TrainingSettings, train

__all__ = ["MAKERS", "Baseline", "Setup"]

HIDDEN = (128, 128)
LEARNING_RATE, MAX_NORM = 1e-3, 1.0
#: Rounds of a booster in one call.
ROUNDS = 20
#: Lists that pytorchltr is given: its losses look at all pairs of a slate, padding included.
FEW_LISTS = 64


@dataclass(frozen=True)
class Setup:
    """Documents, and how many lists a batch has."""

    data: Documents
    batch_lists: int


@dataclass(frozen=True)
class Baseline:
    """One way to train.

    Attributes
    ----------
    name, loss, note : str
    documents : int
        Documents that one call trains on; for boosters, times rounds.
    run : callable
        One call.
    """

    name: str
    loss: str
    documents: int
    run: Callable[[], Any]
    note: str


def ours(loss: str, setup: Setup) -> Baseline:
    """hyperrank.training.train on lists without padding, one epoch."""
    data = setup.data
    network = ConditionedScorer(data.X.shape[1], 1, hidden=HIDDEN, conditioning="none")
    tensors = ListTensors(
        torch.from_numpy(data.X),
        torch.from_numpy(data.labels.astype(np.float32)[:, None]),
        QueryLists.from_sizes(data.sizes),
    )
    settings = TrainingSettings(
        max_epochs=1,
        batch_docs=round(setup.batch_lists * float(data.sizes.mean())),
        learning_rate=LEARNING_RATE,
        max_norm=MAX_NORM,
        n_draws=1,
    )
    run = partial(
        train,
        network,
        tensors,
        loss=listnet if loss == "ListNet" else partial(plackett_luce, ties="random"),
        settings=settings,
        rng=np.random.default_rng(0),
        generator=torch.default_generator,
        draw_weights=lambda n: np.ones((n, 1)),
    )
    return Baseline("hyperrank, training loop", loss, len(data.labels), run, "no padding")


def our_fit(loss: str, setup: Setup) -> Baseline:
    """A whole fit of one epoch: checks, grouping and feature transform included."""
    data = setup.data
    ranker = LinearScalarizationRanker(
        weights=[[1.0]],
        reference=None,
        loss={"ListNet": "listnet", "ListMLE": "plackett_luce"}[loss],
        network=MLP(hidden=HIDDEN, dropout=0.0),
        feature_transform="standard",
        query_standardize=False,
        max_epochs=1,
        early_stopping=False,
        optimizer=AdamW(average_decay=0.0, batch_docs=round(setup.batch_lists * float(data.sizes.mean()))),
        n_jobs=1,
        device="cpu",
        random_state=0,
    )
    qid = data.qid
    note = "`LinearScalarizationRanker.fit`: checks, grouping and feature transform included"
    return Baseline(
        "hyperrank, fit", loss, len(data.labels), lambda: ranker.fit(data.X, data.labels, qid=qid), note
    )


def _allrank_step(n_features: int, loss: str) -> Callable[[Any, Any, Any], Any]:
    """Network, loss and training step of allRank."""
    losses = peer("allrank.models.losses", "allRank")
    steps = peer("allrank.training.train_utils", "allRank")
    models = peer("allrank.models.model", "allRank")
    layers = {"sizes": list(HIDDEN), "input_norm": False, "activation": "SiLU", "dropout": 0.0}
    network = models.make_model(layers, None, {"d_output": 1, "output_activation": None}, n_features)
    optimiser = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE)
    criterion = losses.listNet if loss == "ListNet" else losses.listMLE

    def step(features: Any, labels: Any, indices: Any) -> Any:
        return steps.loss_batch(network, criterion, features, labels, indices, MAX_NORM, optimiser)

    return step


def allrank(loss: str, setup: Setup) -> Baseline:
    """Its data set, its loader, its step, as its main program puts them together."""
    loading = peer("allrank.data.dataset_loading", "allRank")
    from scipy.sparse import csr_matrix

    data = setup.data
    step = _allrank_step(data.X.shape[1], loss)
    lists = loading.LibSVMDataset(csr_matrix(data.X), data.labels.astype(np.float32), data.qid)
    lists.transform = loading.fix_length_to_longest_slate(lists)
    loader = loading.DataLoader(lists, batch_size=setup.batch_lists, num_workers=0, shuffle=True)

    def run() -> None:
        for features, labels, indices in loader:
            step(features, labels, indices)

    note = f"its own loader: every slate padded to the longest, {data.sizes.max()}"
    return Baseline("allRank", loss, len(data.labels), run, note)


def allrank_at_best(loss: str, setup: Setup) -> Baseline:
    """Its step on slates padded only to the longest of their batch, beforehand."""
    data = setup.data
    step = _allrank_step(data.X.shape[1], loss)
    slates = [
        (features, labels, torch.zeros(labels.shape, dtype=torch.long))
        for features, labels, _ in _slates(data, setup.batch_lists, fill=-1.0)
    ]

    def run() -> None:
        for number in torch.randperm(len(slates)).tolist():
            step(*slates[number])

    note = "its network, loss and step; slates padded to the longest of the batch, beforehand"
    return Baseline("allRank, padded by batch", loss, len(data.labels), run, note)


def pytorchltr(setup: Setup) -> Baseline:
    """Its nearest loss, RankNet's, on slates padded to the longest of their batch."""
    losses = peer("pytorchltr.loss", "pytorchltr")
    few = setup.data.first(FEW_LISTS)
    layers = [few.X.shape[1], *HIDDEN]
    modules = [m for i, o in zip(layers, HIDDEN, strict=False) for m in (nn.Linear(i, o), nn.SiLU())]
    network = nn.Sequential(*modules, nn.Linear(HIDDEN[-1], 1))
    optimiser = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE)
    criterion = losses.PairwiseLogisticLoss()
    slates = list(_slates(few, setup.batch_lists, fill=0.0))

    def run() -> None:
        for features, labels, sizes in slates:
            optimiser.zero_grad()
            criterion(network(features), labels.long(), sizes).mean().backward()
            nn.utils.clip_grad_norm_(network.parameters(), MAX_NORM)
            optimiser.step()

    note = f"it has no listwise loss; padded by batch, beforehand; the first {len(few.sizes)} lists alone"
    return Baseline("pytorchltr", "RankNet, all pairs", len(few.labels), run, note)


def lightgbm(setup: Setup) -> Baseline:
    lgb = peer("lightgbm", "LightGBM")
    data = setup.data
    params = {"objective": "lambdarank", "num_threads": 1, "verbose": -1}
    made = lgb.Dataset(data.X, data.labels, group=data.sizes, params=params).construct()
    n = len(data.labels) * ROUNDS
    return Baseline("LightGBM", "lambdarank", n, lambda: lgb.train(params, made, ROUNDS), _boosting())


def xgboost(setup: Setup) -> Baseline:
    xgb = peer("xgboost", "XGBoost")
    data = setup.data
    made = xgb.QuantileDMatrix(data.X, data.labels, group=data.sizes)
    params = {"objective": "rank:ndcg", "nthread": 1, "verbosity": 0, "tree_method": "hist"}
    n = len(data.labels) * ROUNDS
    return Baseline("XGBoost", "rank:ndcg", n, lambda: xgb.train(params, made, ROUNDS), _boosting())


def _boosting() -> str:
    return f"documents times rounds, {ROUNDS} rounds of its defaults, features binned beforehand"


def _slates(data: Documents, batch_lists: int, fill: float) -> Iterator[tuple[Any, Any, Any]]:
    """Features, labels and sizes of batches of lists, each padded to the longest of its batch."""
    ends = np.cumsum(data.sizes)
    for first in range(0, len(data.sizes), batch_lists):
        sizes = data.sizes[first : first + batch_lists]
        end = int(ends[first + len(sizes) - 1])
        rows = slice(end - int(sizes.sum()), end)
        labels = data.labels[rows].astype(np.float32)
        slates = padded(data.X[rows], sizes, 0.0), padded(labels, sizes, fill), sizes
        yield tuple(torch.from_numpy(part) for part in slates)  # type: ignore[misc]


MAKERS: tuple[Callable[[Setup], Baseline], ...] = (
    *(
        partial(make, loss)
        for loss in ("ListNet", "ListMLE")
        for make in (ours, our_fit, allrank, allrank_at_best)
    ),
    pytorchltr,
    lightgbm,
    xgboost,
)
