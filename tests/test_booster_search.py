"""A search that a front judges: what wins must be what wins, by folds that split no query."""

import numpy as np
import pytest
from sklearn.base import clone

from hyperrank import HyperDPORanker, LightGBMScalarizationRanker, MixedScoresRanker, QueryLists, datasets
from hyperrank.boosters.search import ROUNDS, search_booster_params, search_mixed_scores
from hyperrank.boosters.training import is_search
from hyperrank.metrics import parse_metric
from hyperrank.networks import MLP

NDCG = parse_metric("ndcg@10")


class Oracle:
    """A booster whose first rounds rank by one column, and the later ones by another."""

    def __init__(self, column, best_rounds):
        self.column, self.best_rounds = column, best_rounds

    def predict(self, X, num_iteration):
        return X[:, self.column] * (1.0 if num_iteration == self.best_rounds else -1.0)


@pytest.fixture
def grouped():
    data = datasets.make_multilabel_ranking(n_queries=30, n_objectives=2, random_state=0)
    lists = QueryLists.from_qid(data.qid)
    X = np.asarray(lists.group(data.X), dtype=np.float32)
    return X, np.asarray(lists.group(data.Y), dtype=np.float32), lists


def search(X, Y, lists, fit, **options):
    return search_booster_params(X, Y, lists, fit=fit, mix=lambda scores, _: scores, metric=NDCG, **options)


def test_the_best_candidate_and_its_best_rounds_are_found(grouped):
    X, Y, lists = grouped
    X = np.column_stack([Y[:, 0], X])  # the first column tells all, the others little
    best = ROUNDS[2]

    def fit(*_, params, **__):
        return [Oracle(params["column"], best)]

    candidates = [{"column": 3}, {"column": 0}, {"column": 4}]
    found = search(X, Y[:, :1], lists, fit, candidates=candidates)
    assert found.params == {"column": 0, "num_boost_round": best}
    assert found.hypervolume == pytest.approx(1.0)
    assert len(found.tried) == len(candidates) * len(ROUNDS)


def test_no_query_is_both_trained_on_and_judged_by(grouped):
    X, Y, lists = grouped
    X = X.copy()
    X[:, 0] = lists.index
    trained, judged = [], []

    class Watching:
        def predict(self, X, num_iteration):
            judged.append(set(X[:, 0]))
            return X[:, 1]

    def fit(X, *_, list_weight, **__):
        trained.append(set(X[:, 0]))
        np.testing.assert_array_equal(list_weight, np.unique(X[:, 0]) + 1)
        return [Watching()]

    search(X, Y, lists, fit, candidates=[{}], list_weight=np.arange(lists.n_lists) + 1.0, n_jobs=1)
    judged = judged[:: len(ROUNDS)]
    assert len(trained) == len(judged) == 3
    assert all(not (a & b) and len(a | b) == lists.n_lists for a, b in zip(trained, judged, strict=True))
    assert set.union(*judged) == set(range(lists.n_lists))


def test_too_few_queries_or_labels_take_the_first_candidate(grouped):
    X, Y, _ = grouped
    two = QueryLists.from_sizes([10, 10])
    found = search(X[:20], Y[:20], two, None, candidates=[{"num_leaves": 5}])
    assert found.params == {"num_leaves": 5}
    scarce = np.full((60, 2), np.nan, dtype=np.float32)
    scarce[:, 0] = 1
    found = search_mixed_scores(X[:60], scarce, QueryLists.from_sizes([20, 20, 20]), metric=NDCG)
    assert np.isnan(found.hypervolume)


@pytest.mark.parametrize(
    "ranker",
    [
        MixedScoresRanker(),
        LightGBMScalarizationRanker(3, mixing="labels"),
        HyperDPORanker(max_epochs=1, network=MLP(hidden=(8,))),
        HyperDPORanker("lightgbm", max_epochs=1, network=MLP(hidden=(8,))),
    ],
    ids=["mixed scores", "mixed labels", "over boosters", "over a booster"],
)
def test_rankers_take_what_is_found(ranker, grouped, monkeypatch):
    monkeypatch.setattr("hyperrank.boosters.search.ROUNDS", (2, 4))
    X, Y, lists = grouped
    ranker.set_params(booster_params="search", random_state=0).fit(X, Y, qid=lists.index)
    assert ranker.booster_search_.params["num_boost_round"] in (2, 4)
    given = clone(ranker).set_params(booster_params=ranker.booster_search_.params)
    again = given.fit(X, Y, qid=lists.index).predict(X, qid=lists.index)
    np.testing.assert_array_equal(ranker.predict(X, qid=lists.index), again)


def test_what_is_neither_parameters_nor_search_is_refused():
    assert is_search("search")
    assert not is_search({"num_leaves": 3})
    with pytest.raises(ValueError, match="booster_params must be None, a mapping"):
        is_search("auto")
