"""The same seed gives the same bits whatever ran before, and a document the same score in any company."""

import copy
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given
from sklearn.base import clone
from strategies import SEEDS, examples, one_of

from hyperrank import (
    AdamW,
    HyperDPORanker,
    LightGBMScalarizationRanker,
    LinearScalarizationRanker,
    MixedScoresRanker,
    QueryLists,
    datasets,
)
from hyperrank.networks import MLP, ConditionedScorer
from hyperrank.networks.feature_transforms import FeatureTransform
from hyperrank.rankers.dpo import reward_model
from hyperrank.rankers.dpo import reward_model as tiles
from hyperrank.weights import RowWeights

BOOSTERS = {"num_boost_round": 5, "num_leaves": 5, "min_data_in_leaf": 3}
#: As wide as rankers are used: narrow networks hide that matrix products of other sizes round otherwise.
WIDE = {
    "max_epochs": 1,
    "network": MLP(hidden=(128, 128)),
    "booster_params": BOOSTERS,
    "n_jobs": 1,
    "random_state": 0,
}
#: The corners of four objectives, and their middle.
GRID = np.vstack([np.eye(4), np.full(4, 0.25)])

RANKERS = {
    "network": HyperDPORanker(reference=None, **WIDE),
    "random ties": HyperDPORanker(reference=None, loss="plackett_luce", early_stopping=True, **WIDE),
    "over boosters": HyperDPORanker(**WIDE),
    "over a booster": HyperDPORanker(reference="lightgbm", **WIDE),
    "mixed scores": MixedScoresRanker(booster_params=BOOSTERS, n_jobs=1, random_state=0),
    "mixed gradients": LightGBMScalarizationRanker(GRID, booster_params=BOOSTERS, random_state=0),
    "mixed labels": LightGBMScalarizationRanker(
        GRID, mixing="labels", booster_params=BOOSTERS, random_state=0
    ),
    "networks": LinearScalarizationRanker(GRID, **WIDE),
}


def make_data(seed: int, n: int, n_queries: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features with some missing, labels for four objectives with some unobserved, ids in any order."""
    rng = np.random.default_rng(seed)
    X, Y = rng.normal(size=(n, 9)) * 10.0 ** np.arange(-4, 5), rng.integers(0, 4, (n, 4)).astype(float)
    X[rng.random(X.shape) < 0.1] = np.nan
    Y[rng.random(Y.shape) < 0.1] = np.nan
    return X, Y, rng.integers(n_queries, size=n)


@contextmanager
def threads(n: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("name", RANKERS)
def test_the_same_seed_gives_the_same_bits(name):
    X, Y, qid = make_data(0, 400, 30)
    first = clone(RANKERS[name]).fit(X, Y, qid=qid).predict(X, qid=qid, weights=GRID)
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002 - the global state is what is tested
    torch.manual_seed(1)
    clone(RANKERS["random ties"]).set_params(random_state=5).fit(X[:50], Y[:50], qid=qid[:50])
    used = clone(RANKERS[name]).set_params(random_state=7, n_jobs=2).fit(X[::-1], Y[::-1], qid=qid[::-1])
    with threads(2):
        again = used.set_params(random_state=0).fit(X, Y, qid=qid).predict(X, qid=qid, weights=GRID)
    np.testing.assert_array_equal(again, first)


@cache
def fitted(name: str, **options: object) -> HyperDPORanker:
    X, Y, qid = make_data(1, 150, 12)
    return clone(RANKERS[name]).set_params(**options).fit(X, Y, qid=qid)


def in_company(ranker, X, qid, rows, rng) -> np.ndarray:
    """Scores of some rows, with other ends of chunks and another number of threads."""
    with (
        threads(int(rng.integers(1, 4))),
        patch.object(reward_model, "CHUNK", one_of([1, 7, 100, reward_model.CHUNK], rng)),
        patch.object(tiles, "CHUNKS_TO_SHARE", one_of([1, 8], rng)),
    ):
        return ranker.predict(X[rows], qid=None if qid is None else qid[rows], weights=GRID)


@examples(12)
@given(seed=SEEDS)
def test_scores_do_not_depend_on_other_queries_or_the_order_of_rows(seed):
    rng = np.random.default_rng(seed)
    ranker = fitted(
        one_of(["network", "over boosters", "over a booster"], rng),
        network__conditioning=one_of(["film", "concat", "hypernetwork"], rng),
        feature_transform=one_of(["quantile", "standard", "log", "none"], rng),
        query_standardize=one_of([True, False], rng),
    )
    X, _, qid = make_data(seed, int(rng.integers(1, 700)), int(rng.integers(1, 40)))
    with patch.object(tiles, "CHUNK_ROWS", one_of([64, 192, 192, 192], rng)):
        scores = ranker.predict(X, qid=qid, weights=GRID)
        kept = rng.choice(np.unique(qid), size=rng.integers(1, len(np.unique(qid)) + 1), replace=False)
        rows = rng.permutation(np.flatnonzero(np.isin(qid, kept)))
        np.testing.assert_array_equal(in_company(ranker, X, qid, rows, rng), scores[rows])


@examples(12)
@given(seed=SEEDS)
def test_without_query_features_a_score_depends_on_the_document_alone(seed):
    """Any rows, in any order, also several times."""
    rng = np.random.default_rng(seed)
    name = one_of(RANKERS, rng)
    options = {"query_standardize": False} if "query_standardize" in RANKERS[name].get_params() else {}
    if isinstance(RANKERS[name], HyperDPORanker):
        options["network__conditioning"] = one_of(["film", "concat", "hypernetwork"], rng)
        options["feature_transform"] = one_of(["quantile", "standard", "log", "none"], rng)
    ranker = fitted(name, **options)
    X, _, _ = make_data(seed, int(rng.integers(1, 700)), 1)
    scores = ranker.predict(X, weights=GRID)
    rows = rng.integers(len(X), size=one_of([1, 2, 30, 300], rng))
    np.testing.assert_array_equal(in_company(ranker, X, None, rows, rng), scores[rows])


CONDITIONINGS = ("film", "concat", "hypernetwork", "none")


@pytest.mark.parametrize("hidden", [(1,), (5, 7), (33, 9), (128, 128)], ids=str)
@pytest.mark.parametrize("conditioning", CONDITIONINGS)
def test_rows_of_any_width_are_scored_alike_wherever_they_stand(conditioning, hidden):
    """What a product's kernel does with the last rows of a panel, or the last columns, must not show."""
    rng = np.random.default_rng(0)
    for d, k in ((1, 1), (2, 32), (3, 1), (5, 5), (9, 2), (46, 17), (46, 45)):
        model = any_model(d, hidden, conditioning)
        X, weights = rng.normal(size=(500, d)).astype(np.float32), rng.dirichlet([1.0] * 3, size=k)
        rows = rng.integers(len(X), size=900)
        scores = model.rewards(X, QueryLists.from_sizes([len(X)]), weights)
        again = model.rewards(X[rows], QueryLists.from_sizes([len(rows)]), weights)
        np.testing.assert_array_equal(again, scores[rows], err_msg=f"{d} features, {k} weights")


@pytest.mark.parametrize("hidden", [(6, 16), (33, 9)], ids=str)
@pytest.mark.parametrize("conditioning", CONDITIONINGS)
def test_rows_of_any_width_are_scored_under_weights_of_their_own_as_under_each_alone(conditioning, hidden):
    rng = np.random.default_rng(0)
    for d, u in ((1, 1), (9, 7), (46, 300)):
        model, n = any_model(d, hidden, conditioning), 500
        X, weights = rng.normal(size=(n, d)).astype(np.float32), rng.dirichlet([1.0] * 3, size=u)
        row_weights, lists = RowWeights(weights, rng.integers(u, size=n)), QueryLists.from_sizes([n])
        found = model.rewards(X, lists, row_weights)
        some = np.unique(row_weights.index)[:20]
        for number in some:
            rows = row_weights.index == number
            alone = model.rewards(X, lists, weights[[number]])[rows, 0]
            np.testing.assert_array_equal(found[rows], alone, err_msg=f"{d} features, {u} weights")


def any_model(d: int, hidden: tuple[int, ...], conditioning: str) -> reward_model.RewardModel:
    """A model whose parameters are random, those that begin as 0 too."""
    network = ConditionedScorer(d, 3, hidden=hidden, conditioning=conditioning)
    for number, parameter in enumerate(network.parameters()):
        torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(number))
    transform = FeatureTransform("none", torch.zeros(d, dtype=torch.bool), {})
    return reward_model.RewardModel(transform, network, torch.device("cpu"))


@pytest.mark.skipif("AVX512" not in torch.backends.cpu.get_cpu_capability(), reason="runs as it is")
def test_rows_are_scored_alike_by_the_kernels_of_lesser_processors_too():
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-k", "any_width and film", __file__]
    lesser = {"MKL_ENABLE_INSTRUCTIONS": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}
    ended = subprocess.run(command, env=os.environ | lesser, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout


def test_many_weights_at_once_score_as_each_alone():
    ranker = fitted("network")
    X = make_data(3, 300, 5)[0]
    weights = np.random.default_rng(0).dirichlet(np.ones(4), size=reward_model.WEIGHTS_AT_ONCE + 3)
    alone = [ranker.predict(X, weights=w) for w in weights]
    np.testing.assert_allclose(ranker.predict(X, weights=weights), np.column_stack(alone), atol=1e-5)


def test_scoring_leaves_the_number_of_threads_alone():
    ranker = fitted("network")
    with threads(3):
        ranker.predict(make_data(0, 3000, 5)[0])
        assert torch.get_num_threads() == 3


def test_large_batches_in_several_threads_give_the_same_bits_each_time():
    """As data of 200,000 rows and more are trained on: gradients that threads add up as they come differ."""
    some = datasets.make_multilabel_ranking(
        n_queries=160, list_size=(1, 199), n_features=20, n_objectives=2, random_state=0
    )
    options = {
        "reference": None,
        "max_epochs": 2,
        "optimizer": AdamW(batch_docs=8192),
        "network": MLP(dropout=0.0),
        "random_state": 0,
    }
    found = set()
    with threads(2):
        for _ in range(4):
            ranker = HyperDPORanker(**options).fit(some.X, some.Y, qid=some.qid)
            found.add(ranker.predict(some.X, qid=some.qid).tobytes())
    assert len(found) == 1


def test_what_is_kept_of_a_trade_off_follows_the_parameters(fitted, unseen):
    """The conditioning of the last weights is kept for the next request, until the network is trained on."""
    ranker = copy.deepcopy(fitted)
    before = ranker.predict(unseen.X, qid=unseen.qid, weights=[0.3, 0.7])
    with torch.no_grad():
        ranker.model_.network.head_shift.weight.add_(0.5)
    after = ranker.predict(unseen.X, qid=unseen.qid, weights=[0.3, 0.7])
    assert not np.array_equal(before, after)
    fresh = copy.deepcopy(ranker)
    np.testing.assert_array_equal(fresh.predict(unseen.X, qid=unseen.qid, weights=[0.3, 0.7]), after)
