"""Which features drive the change between two trade-offs."""

import pickle
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from joblib import parallel_config
from scipy.sparse import csr_matrix
from scipy.stats import rankdata, spearmanr
from sklearn.exceptions import NotFittedError
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LinearRegression

from hyperrank import Explanation, HyperDPORanker, LinearScalarizationRanker, QueryLists
from hyperrank.explain.permutation import (
    ScoredTradeOffs,
    Task,
    common_at_top,
    correlation,
    exposure_change,
    permutations,
    share_gone,
)
from hyperrank.lists import ranks_within_lists
from hyperrank.metrics import ndcg, parse_metric
from hyperrank.networks import MLP
from hyperrank.rankers import BaseRanker
from hyperrank.rankers.inputs import read_features, read_labelled

N_QUERIES, SIZE = 40, 15
QID = np.repeat(np.arange(N_QUERIES), SIZE)
CORNERS = [[1.0, 0.0], [0.0, 1.0]]
#: What each of six features adds to two objectives: two to each, two to none.
COEFFICIENTS = np.array([[1.0, 0], [0.6, 0], [0, 1.0], [0, -0.6], [0, 0], [0, 0]])


class KnownRanker(BaseRanker):
    """Scores that are known: a sum of features per objective, mixed by the weights."""

    def __init__(self, metric: str = "ndcg@10") -> None:
        self.metric = metric

    def fit(self, X: Any, y: Any, qid: Any = None) -> "KnownRanker":
        self.objectives_ = read_labelled(
            self, X, y, qid, reset=True, objectives=("relevance", "clicks")
        ).names
        return self

    def _scores(self, data: Any, weights: np.ndarray) -> np.ndarray:
        return np.nan_to_num(data.X).astype(np.float64) @ COEFFICIENTS @ weights.T


@pytest.fixture(scope="module")
def rows() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N_QUERIES * SIZE, 6)).astype(np.float32)
    return X, np.clip(np.round(X @ COEFFICIENTS + 1), 0, 4)


@pytest.fixture(scope="module")
def ranker(rows) -> KnownRanker:
    return KnownRanker().fit(*rows, qid=QID)


def test_between_the_corners_it_names_what_either_objective_is_made_of(ranker, rows):
    found = ranker.explain(*rows, qid=QID, weights=CORNERS, random_state=0)
    assert isinstance(found, Explanation)
    assert set(found.top(4)) == {"x0", "x1", "x2", "x3"}
    assert found.change[:4].min() > 0.1
    assert not found.change[4:].any()
    # At its corner an objective hangs on its own features, and on no others anywhere.
    own, other = np.array([True, True, False, False]), np.array([False, False, True, True])
    assert found.importances[:4, 0, 0][own].min() > 0.05
    assert found.importances[:4, 1, 1][other].min() > 0.05
    assert not found.importances[4:].any()
    assert not found.importances[2:, 0].any()
    assert found.difference[0, 0] < -0.05 < 0.05 < found.difference[2, 1]
    # What adds to where it goes rises, what adds to where it comes from falls.
    assert np.array_equal(np.sign(found.direction[:4]), [-1, -1, 1, -1])


def test_a_fitted_ranker_is_explained_by_what_its_labels_are_made_of(rows):
    X, Y = rows
    fitted = HyperDPORanker(None, network=MLP(hidden=(32, 32)), max_epochs=10, random_state=0)
    fitted.fit(X, Y, qid=QID)
    found = fitted.explain(X, Y, qid=QID, weights=CORNERS, n_repeats=2, random_state=0)
    assert set(found.top(4)) == {"x0", "x1", "x2", "x3"}
    assert found.change[:4].min() > 2 * found.change[4:].max()
    assert (found.importances[[0, 1], 0, 0] > 2 * found.importances[[2, 3, 4, 5], 0, 0].max()).all()


@pytest.mark.parametrize("metric", ["ndcg@10", "map"])
def test_among_all_rows_it_is_scikit_learns_permutation_importance(ranker, rows, metric):
    X, Y = rows
    found = ranker.explain(
        X, Y, qid=QID, weights=CORNERS, within="all", n_repeats=3, metric=metric, random_state=7
    )

    def scores(estimator, X, Y):
        values = parse_metric(metric)(estimator.predict(X, qid=QID, weights=CORNERS), Y, qid=QID)
        return {f"{k}{j}": values[k, j] for k in range(2) for j in range(2)}

    theirs = permutation_importance(ranker, X, Y, scoring=scores, n_repeats=3, random_state=7)
    for k in range(2):
        for j in range(2):
            wanted = theirs[f"{k}{j}"].importances_mean
            np.testing.assert_allclose(found.importances[:, k, j], wanted, atol=1e-9)


def test_the_change_by_its_formula(ranker, rows):
    X, _ = rows
    found = ranker.explain(X, qid=QID, weights=CORNERS, n_repeats=1, features=["x0"], random_state=3)
    (order,) = permutations(QueryLists.from_qid(QID), 1, within="query", seed=_seed(3))
    changed = X.copy()
    changed[:, 0] = X[order, 0]

    def gains(X):
        scores = ranker.predict(X, qid=QID, weights=CORNERS).reshape(N_QUERIES, SIZE, 2)
        exposure = 1 / np.log2(1 + rankdata(-scores, axis=1, method="ordinal"))
        return exposure[..., 1] - exposure[..., 0]

    before, after = gains(X), gains(changed)
    assert found.change[0] == pytest.approx(1 - (before * after).sum() / (before**2).sum())
    # The error is about what a bootstrap over queries says.
    rng = np.random.default_rng(0)
    drawn = rng.integers(N_QUERIES, size=(4000, N_QUERIES))
    whole, kept = (before**2).sum(axis=1), (before * after).sum(axis=1)
    deviation = np.std(1 - kept[drawn].sum(axis=1) / whole[drawn].sum(axis=1))
    assert found.change_error[0] == pytest.approx(deviation, rel=0.15)


def _seed(random_state: int) -> int:
    return int(np.random.RandomState(random_state).randint(np.iinfo(np.int32).max + 1))


def test_the_same_seed_gives_the_same_and_rows_in_another_order_too(ranker, rows):
    X, Y = rows
    one = ranker.explain(X, Y, qid=QID, weights=CORNERS, random_state=0)
    assert ranker.explain(X, Y, qid=QID, weights=CORNERS, random_state=0).to_frame().equals(one.to_frame())
    other = ranker.explain(X, Y, qid=QID, weights=CORNERS, random_state=1)
    assert not other.to_frame().equals(one.to_frame())
    # Rows of a query one after the other, or of all queries in turn.
    turn = np.arange(len(X)).reshape(N_QUERIES, SIZE).T.ravel()
    turned = ranker.explain(X[turn], Y[turn], qid=QID[turn], weights=CORNERS, random_state=0)
    pd.testing.assert_frame_equal(turned.to_frame(), one.to_frame())


def test_several_jobs_give_the_same(ranker, rows):
    options: dict[str, Any] = {"qid": QID, "weights": CORNERS, "random_state": 0}
    alone = ranker.explain(*rows, **options)
    with parallel_config(backend="threading"):  # processes would import torch for half a minute
        found = ranker.explain(*rows, n_jobs=2, **options)
    assert found.to_frame().equals(alone.to_frame())


def test_what_goes_to_other_processes_can_be_pickled(ranker, rows):
    data = read_features(ranker, rows[0], QID, reset=False)
    task = Task(ScoredTradeOffs.of(ranker, np.eye(2), {}), data, parse_metric("ndcg"), "query", 1, 0)
    again = pickle.loads(pickle.dumps(task))
    assert np.array_equal(again.trade_offs.scores(data), task.trade_offs.scores(data))


def test_a_bar_shows_how_far_it_is(ranker, rows, capsys):
    ranker.explain(*rows, qid=QID, weights=CORNERS, verbose=1)
    assert "permuting: 100%" in capsys.readouterr().err


def test_a_feature_of_the_query_says_nothing_within_it(rows):
    X, Y = rows
    X = X.copy()
    X[:, 4] = QID % 7  # the same for all documents of a query
    found = KnownRanker().fit(X, Y, qid=QID).explain(X, Y, qid=QID, weights=CORNERS, random_state=0)
    assert found.change[4] == found.change_error[4] == found.direction[4] == 0
    assert not found.importances[4].any()


def test_groups_are_permuted_as_one(ranker, rows):
    X, Y = rows
    groups = {"wanted": [2, "x3"], "noise": [4, 5]}
    found = ranker.explain(X, Y, qid=QID, weights=CORNERS, features=groups, random_state=0)
    alone = ranker.explain(X, Y, qid=QID, weights=CORNERS, random_state=0)
    assert found.features == ("wanted", "noise")
    assert found.change[0] > alone.change[[2, 3]].max()
    # Without both nothing is left of clicks, which then is as by chance: among documents of equal scores.
    assert found.importances[0, 1, 1] > alone.importances[[2, 3], 1, 1].max()
    assert found.change[1] == 0


def test_from_where_predict_is_by_default(ranker, rows):
    X, _ = rows
    options: dict[str, Any] = {"qid": QID, "features": ["x2"], "random_state": 0}
    found = ranker.explain(X, weights={"clicks": 1.0}, **options)
    assert (found.against.tolist(), found.weights.tolist()) == ([0.5, 0.5], [0.0, 1.0])
    same = ranker.explain(X, weights=[0, 1], against=[0.5, 0.5], **options)
    assert same.to_frame().equals(found.to_frame())


def test_frames_of_all_kinds_reach_models_that_want_them(rows):
    """A reference taken as it is reads the frame, not our copy of it."""
    X, Y = rows
    names = [f"f{j}" for j in range(6)]
    frame = pd.DataFrame(X, columns=names)
    model = LinearRegression().fit(frame, Y[:, 0])
    fitted = HyperDPORanker(model, network=MLP(hidden=(4, 4)), max_epochs=1, random_state=0)
    fitted.fit(frame, Y, qid=QID)
    options: dict[str, Any] = {"qid": QID, "weights": CORNERS, "n_repeats": 1, "random_state": 0}
    found = fitted.explain(frame, Y, **options)
    assert found.features == tuple(names)
    # Most of its scores are the reference's: without its first feature it is lost.
    assert found.importances[0].max() > 0.05
    again = fitted.explain(frame.assign(qid=QID), Y, **{**options, "qid": None})
    assert again.to_frame().equals(found.to_frame())
    plain = HyperDPORanker(
        LinearRegression().fit(X, Y[:, 0]), network=MLP(hidden=(4, 4)), max_epochs=1, random_state=0
    )
    plain.fit(X, Y, qid=QID)
    wanted = plain.explain(X, Y, **options).to_frame()
    np.testing.assert_allclose(plain.explain(csr_matrix(X), Y, **options).to_frame(), wanted, atol=1e-6)
    by_polars = fitted.explain(pl.DataFrame({name: X[:, j] for j, name in enumerate(names)}), Y, **options)
    np.testing.assert_allclose(by_polars.to_frame(), found.to_frame(), atol=1e-6)


def test_missing_values_move_too(ranker, rows):
    X, Y = rows
    X = X.copy()
    X[::3, 2] = np.nan
    found = ranker.explain(X, Y, qid=QID, weights=CORNERS, random_state=0)
    assert found.change[2] > 0.05
    assert np.isfinite(found.to_frame().to_numpy()).all()


def test_whole_queries_are_drawn_up_to_so_many_rows(ranker, rows):
    found = ranker.explain(*rows, qid=QID, weights=CORNERS, max_rows=100, random_state=0)
    assert (found.n_rows, found.n_queries) == (90, 6)
    least = ranker.explain(*rows, qid=QID, weights=CORNERS, max_rows=1, random_state=0)
    assert (least.n_rows, least.n_queries) == (15, 1)
    assert np.isnan(least.change_error).all()


def test_without_labels_there_is_the_change_alone(ranker, rows):
    found = ranker.explain(rows[0], qid=QID, weights=CORNERS, random_state=0)
    assert found.to_frame().columns.tolist() == ["change", "change_error", "direction"]
    with pytest.raises(ValueError, match="need labels: pass y to explain"):
        _ = found.importances


def test_what_it_looks_like(ranker, rows):
    found = ranker.explain(*rows, qid=QID, weights=CORNERS, random_state=0)
    text = repr(found)
    assert text.startswith("Explanation: from {relevance: 1, clicks: 0} to {relevance: 0, clicks: 1}, on 40 ")
    assert text.splitlines()[3].split()[0] == found.top(1)[0]
    assert "<table" in found._repr_html_()
    table = found.to_frame()
    assert table.index.tolist() == found.top(6)
    assert (table["clicks_weights"] - table["clicks_against"]).equals(table["clicks_difference"])
    assert table.loc["x2", "clicks_difference"] > 5 * table.loc["x2", "clicks_difference_error"]
    np.testing.assert_allclose(
        found.reached[1], ndcg(ranker.predict(rows[0], weights=[0, 1]), rows[1], qid=QID, k=10)
    )


@pytest.mark.filterwarnings("ignore:each of the .* rows of X is a query of its own:UserWarning")
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"qid": None}, "explain needs qid, one query id per row"),
        ({"weights": [0.5, 0.6]}, "weights must sum to 1"),
        ({"weights": {"sales": 1.0}}, "sales"),
        ({"weights": [[1, 0], [0, 1], [0.5, 0.5]]}, "explain takes two trade-offs.* got 3 in weights"),
        ({"against": [1, 0]}, "explain takes two trade-offs.* got 2 in weights and 1 in against"),
        ({"weights": [0.5, 0.5]}, r"both trade-offs are \[0.5, 0.5\]: there is no change"),
        ({"features": ["x0", "price"]}, r"features names 'price', which is none of the 6 features \(x0, x1"),
        ({"features": [6]}, "features names 6, which is none"),
        ({"features": [True]}, "features names True"),
        ({"features": []}, "at least one feature"),
        ({"features": ["x0", 0]}, r"each once; got \['x0'\]"),
        ({"features": {"both": ["x0", 0]}}, "each once"),
        ({"within": "list"}, "within must be one of 'query', 'all'; got 'list'"),
        ({"n_repeats": 0}, "n_repeats must be a whole number at least 1; got 0"),
        ({"max_rows": 0}, "max_rows must be a whole number at least 1; got 0"),
        ({"metric": "auc"}, "unknown metric 'auc'"),
        ({"qid": np.arange(N_QUERIES * SIZE)}, "rank all of these queries alike"),
    ],
)
def test_wrong_input_is_refused(ranker, rows, changes, message):
    with pytest.raises(ValueError, match=message):
        ranker.explain(*rows, **{"qid": QID, "weights": CORNERS, **changes})


def test_what_cannot_be_explained_is_refused(ranker, rows):
    X, Y = rows
    with pytest.raises(NotFittedError):
        HyperDPORanker().explain(X, qid=QID, weights=CORNERS)
    one = HyperDPORanker(None, network=MLP(hidden=(4,)), max_epochs=1).fit(X, Y[:, 0], qid=QID)
    with pytest.raises(ValueError, match="one objective, objective_0: there are no trade-offs"):
        one.explain(X, qid=QID, weights=[1.0])
    held = LinearScalarizationRanker(CORNERS, None, network=MLP(hidden=(4,)), max_epochs=1).fit(X, Y, qid=QID)
    with pytest.raises(ValueError, match="holds no model for weights"):
        held.explain(X, qid=QID, weights=[0.3, 0.7])
    with pytest.raises(ValueError, match=r"objectives \['clicks'\] of y have no list with a label above 0"):
        ranker.explain(X, np.column_stack([Y[:, 0], np.zeros(len(Y))]), qid=QID, weights=CORNERS)


def test_measures_by_hand():
    lists = QueryLists.from_sizes([3, 1, 2])
    scores = np.array([0.1, 0.7, 0.7, 0.3, 1.0, 2.0])
    assert ranks_within_lists(scores, lists).tolist() == [2, 0, 1, 0, 1, 0]
    change = exposure_change(scores, -scores, lists)
    second = 1 / np.log2(3)
    # Of the equal ones the earlier is first both ways.
    np.testing.assert_allclose(change, [0.5, second - 1, 0.5 - second, 0, 1 - second, second - 1])
    assert share_gone(change, change, lists)[0] == 0
    assert share_gone(change, np.zeros(6), lists) == (1, 0)
    assert share_gone(change, -change, lists)[0] == pytest.approx(2)
    assert common_at_top(scores, -scores, lists) == pytest.approx(1 / 3)
    assert common_at_top(scores, scores, lists) == 1


def test_direction_is_a_rank_correlation():
    """Of one list: Spearman's between ranks and change is Pearson's of the ranks, and equals count half."""
    rng = np.random.default_rng(0)
    values = rng.integers(0, 5, size=200).astype(float)
    change = rng.normal(size=200) + 0.3 * values
    change -= change.mean()
    lists = QueryLists.from_sizes([200])
    wanted = np.corrcoef(rankdata(values), change)[0, 1]
    assert correlation(values, change, lists) == pytest.approx(wanted)
    assert np.sign(wanted) == np.sign(spearmanr(values, change).statistic)
    values[:50] = np.nan
    known = np.corrcoef(rankdata(values[50:]), change[50:])[0, 1]
    assert correlation(values, change, lists) == pytest.approx(known, abs=0.05)


@pytest.mark.parametrize("within", ["query", "all"])
def test_permutations_are_of_all_rows_and_may_stay_within_queries(within):
    lists = QueryLists.from_sizes([4, 1, 7])
    drawn = list(permutations(lists, 50, within=within, seed=0))
    assert all(sorted(order) == list(range(12)) for order in drawn)
    stays = [np.array_equal(lists.index[order], lists.index) for order in drawn]
    assert all(stays) == (within == "query")
    assert len({tuple(order) for order in drawn}) > 45
