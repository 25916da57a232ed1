"""What stands for very many rows: whole lists, of all lengths, that count something."""

import numpy as np
import pytest

from hyperrank import HyperDPORanker, datasets
from hyperrank.networks import MLP
from hyperrank.rankers.data import labelled_lists, some_lists
from hyperrank.rankers.dpo import reference as dpo

SMALL = {"network": MLP(hidden=(4,)), "max_epochs": 1, "random_state": 0}
FEW_TREES = {"num_boost_round": 4, "num_leaves": 4, "min_data_in_leaf": 3}


@pytest.mark.parametrize("seed", range(6))
def test_a_few_short_lists_do_not_stand_for_long_ones(seed):
    rng = np.random.default_rng(seed)
    assert 1 in some_lists(np.array([5, 2000]), 100, rng)
    sizes = np.array([5, 2000, 7, 3000, 1])
    assert sizes[some_lists(sizes, 100, rng)].sum() >= 50


def test_lists_that_fit_are_as_many_rows_at_most():
    sizes = np.random.default_rng(0).integers(1, 40, 500)
    for seed in range(20):
        n_rows = sizes[some_lists(sizes, 300, np.random.default_rng(seed))].sum()
        assert 260 < n_rows <= 300


def test_lists_that_count_nothing_are_left_out():
    Y, weight = np.ones((200, 2), dtype=np.float32), np.zeros(20)
    weight[[3, 8, 11]] = 1.0
    Y[:, 1] = np.nan
    Y[[0, 80], 1] = 2.0  # of lists 0 and 8
    found = labelled_lists(Y, np.arange(0, 201, 10), 10, np.random.default_rng(0), list_weight=weight)
    assert 8 in found
    assert set(found) <= {3, 8, 11}


@pytest.mark.parametrize("reference", ["lightgbm", "booster_pairs"])
def test_boosters_are_grown_on_lists_that_count(monkeypatch, reference):
    monkeypatch.setattr(dpo, "REFERENCE_ROWS", 500)
    data = datasets.make_multilabel_ranking(n_queries=130, list_size=20, n_objectives=2, random_state=0)
    weight = np.where(data.qid == data.qid[-1], 1.0, 0.0)
    ranker = HyperDPORanker(reference, booster_params=FEW_TREES, **SMALL)
    ranker.fit(data.X, data.Y, qid=data.qid, query_weight=weight)
    assert np.ptp(ranker.predict(data.X, qid=data.qid, temperature=0)) > 0
