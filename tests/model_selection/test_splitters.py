"""Splitters: whole queries, balanced folds, independence of row order, and scikit-learn's searches."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    HalvingGridSearchCV,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hyperrank.model_selection import QueryKFold, QueryShuffleSplit

IDS = st.lists(st.integers(0, 12), min_size=2, max_size=60).filter(lambda ids: len(set(ids)) > 1)
SPLITTERS = [
    QueryKFold(2),
    QueryKFold(2, shuffle=True, random_state=3),
    QueryShuffleSplit(4, test_size=0.4, random_state=3),
]


class QidModel(RegressorMixin, BaseEstimator):
    """Wants qid in fit and score, and refuses a query that it was trained on."""

    __metadata_request__fit = {"qid": True}  # noqa: RUF012
    __metadata_request__score = {"qid": True}  # noqa: RUF012

    def __init__(self, shift: float = 0.0, needs_qid: bool = True) -> None:
        self.shift = shift
        self.needs_qid = needs_qid

    def fit(self, X: Any, y: Any, qid: Any = None) -> "QidModel":
        if self.needs_qid and qid is None:
            raise ValueError("fit got no qid")
        self.seen_ = set() if qid is None else set(np.asarray(qid).tolist())
        self.mean_ = float(np.mean(y))
        return self

    def predict(self, X: Any) -> np.ndarray:
        return np.full(len(X), self.mean_ + self.shift)

    def score(self, X: Any, y: Any, qid: Any = None, sample_weight: Any = None) -> float:
        if qid is not None and self.seen_ & set(np.asarray(qid).tolist()):
            raise ValueError("a query was split")
        return -float(np.mean((y - self.predict(X)) ** 2))


@pytest.fixture
def data() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(60, 3)), rng.normal(size=60), rng.integers(0, 9, size=60)


def sides(splitter: Any, qid: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    return list(splitter.split(np.zeros((len(qid), 1)), qid=qid))


@pytest.mark.parametrize("splitter", SPLITTERS, ids=repr)
@given(ids=IDS)
def test_no_query_stands_on_both_sides(splitter: Any, ids: list[int]) -> None:
    qid = np.array(ids)
    splits = sides(splitter, qid)
    assert len(splits) == splitter.get_n_splits()
    for train, test in splits:
        assert len(train)
        assert len(test)
        assert np.array_equal(np.sort(np.concatenate([train, test])), np.arange(len(qid)))
        assert not set(qid[train]) & set(qid[test])
        assert (np.diff(train) > 0).all()
        assert (np.diff(test) > 0).all()


@given(ids=IDS, n_splits=st.integers(2, 5), shuffle=st.booleans())
def test_folds_partition_the_rows(ids: list[int], n_splits: int, shuffle: bool) -> None:
    n_splits = min(n_splits, len(set(ids)))
    splitter = QueryKFold(n_splits, shuffle=shuffle, random_state=0 if shuffle else None)
    tests = [test for _, test in sides(splitter, ids)]
    assert np.array_equal(np.sort(np.concatenate(tests)), np.arange(len(ids)))
    largest = max(ids.count(i) for i in ids)
    rows = [len(test) for test in tests]
    assert max(rows) - min(rows) <= largest


@pytest.mark.parametrize("splitter", SPLITTERS, ids=repr)
@given(ids=IDS, names=st.sampled_from([int, str, lambda i: (i, "q"), lambda i: i if i % 2 else str(i)]))
def test_folds_do_not_depend_on_the_row_order(splitter: Any, ids: list[int], names: Callable) -> None:
    qid = [names(i) for i in ids]
    moved = qid[::-1]
    expected = [{qid[row] for row in test} for _, test in sides(splitter, qid)]
    assert [{moved[row] for row in test} for _, test in sides(splitter, moved)] == expected


def test_rows_are_balanced_largest_query_first() -> None:
    qid = np.repeat([0, 1, 2, 3, 4], [10, 6, 5, 5, 4])
    assert [len(test) for _, test in sides(QueryKFold(3), qid)] == [10, 10, 10]


def test_kfold_is_as_balanced_as_group_kfold() -> None:
    qid = np.random.default_rng(0).zipf(1.6, size=2000) % 300
    ours = [len(test) for _, test in sides(QueryKFold(5), qid)]
    theirs = [len(test) for _, test in GroupKFold(5).split(np.zeros((len(qid), 1)), groups=qid)]
    assert np.ptp(ours) <= np.ptp(theirs)


def test_seeds_decide_the_shuffling() -> None:
    qid = np.arange(40) // 2
    for make in (lambda seed: QueryKFold(4, shuffle=True, random_state=seed), _shuffle_split):
        first, again, other = (np.concatenate([t for _, t in sides(make(s), qid)]) for s in (1, 1, 2))
        assert np.array_equal(first, again)
        assert not np.array_equal(first, other)


def _shuffle_split(seed: int) -> QueryShuffleSplit:
    return QueryShuffleSplit(3, random_state=seed)


def test_splits_of_one_shuffle_split_differ() -> None:
    tests = [tuple(test) for _, test in sides(QueryShuffleSplit(5, random_state=0), np.arange(50))]
    assert len(set(tests)) == 5


@pytest.mark.parametrize(
    ("test_size", "n_queries", "expected"),
    [(0.2, 10, 2), (0.07, 100, 7), (0.21, 10, 3), (0.99, 10, 9), (0.01, 10, 1), (4, 10, 4)],
)
def test_test_size_counts_queries(test_size: float, n_queries: int, expected: int) -> None:
    qid = np.repeat(np.arange(n_queries), 3)
    ((train, test),) = sides(QueryShuffleSplit(1, test_size=test_size, random_state=0), qid)
    assert len(np.unique(qid[test])) == expected
    assert len(np.unique(qid[train])) == n_queries - expected


@pytest.mark.parametrize("n_rows", [1_000_000])
def test_a_million_rows_split_quickly(n_rows: int) -> None:
    qid = np.random.default_rng(0).integers(0, n_rows // 10, size=n_rows)
    tests = [len(test) for _, test in sides(QueryKFold(5), qid)]
    assert np.ptp(tests) <= 1


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_ids_in_a_column_of_x(frame: Callable) -> None:
    qid = ["b", "a", "b", "c"]
    expected = [test.tolist() for _, test in sides(QueryKFold(3), qid)]
    found = [test.tolist() for _, test in QueryKFold(3).split(frame({"x": [1, 2, 3, 4], "qid": qid}))]
    assert found == expected


@pytest.mark.parametrize("make", [sparse.csr_matrix, list, pd.DataFrame])
def test_any_x_with_groups(make: Callable) -> None:
    qid = [1, 2, 1]
    splits = [test.tolist() for _, test in QueryKFold(2).split(make(np.ones((3, 2))), groups=qid)]
    assert splits == [[0, 2], [1]]


def test_qid_and_groups_may_agree() -> None:
    splits = list(QueryKFold(2).split(np.zeros((3, 1)), groups=["a", "b", "a"], qid=[1, 2, 1]))
    assert [test.tolist() for _, test in splits] == [[0, 2], [1]]


@pytest.mark.parametrize("groups", [["a", "b", "a", "b"], ["a", "b", "b", "b"], ["a", "a", "a", "a"]])
def test_qid_and_groups_must_not_disagree(groups: list[str]) -> None:
    with pytest.raises(ValueError, match="qid and groups were both given and group the rows differently"):
        next(QueryKFold(2).split(np.zeros((4, 1)), groups=groups, qid=[1, 1, 2, 2]))


@pytest.mark.parametrize(
    ("splitter", "qid", "message"),
    [
        (QueryKFold(4), [1, 2, 3], "n_splits=4 folds need at least as many queries; got 3 queries"),
        (QueryKFold(2), [1, 1, 1], "at least 2 queries to split; got 1 query in 3 rows"),
        (QueryShuffleSplit(test_size=3), [1, 2, 3], "leave none of the 3 queries to train on"),
        (QueryKFold(2), [1, 2], "qid has 2 entries, but there are 3 rows"),
        (QueryKFold(2), [1, None, 2], "qid is missing for 1 of 3 rows, first at row 1"),
        (QueryKFold(2), None, "QueryKFold needs query ids"),
        (QueryShuffleSplit(), None, "QueryShuffleSplit needs query ids"),
    ],
)
def test_refused_ids(splitter: Any, qid: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        next(splitter.split(np.zeros((3, 1)), qid=qid))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: QueryKFold(1), "n_splits must be a whole number at least 2; got 1"),
        (lambda: QueryKFold(2.5), "n_splits must be a whole number"),
        (lambda: QueryKFold(True), "n_splits must be a whole number"),
        (lambda: QueryKFold(random_state=0), "without shuffle=True"),
        (lambda: QueryShuffleSplit(0), "n_splits must be a whole number at least 1"),
        (lambda: QueryShuffleSplit(test_size=1.0), "test_size must be a share"),
        (lambda: QueryShuffleSplit(test_size=0), "test_size must be a share"),
        (lambda: QueryShuffleSplit(test_size=True), "test_size must be a share"),
        (lambda: QueryShuffleSplit(test_size="all"), "test_size must be a share"),
    ],
)
def test_refused_settings(build: Callable, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


def test_repr_names_the_settings() -> None:
    assert repr(QueryKFold(3)) == "QueryKFold(n_splits=3, random_state=None, shuffle=False)"


@pytest.mark.usefixtures("routing")
@pytest.mark.parametrize("cv", [QueryKFold(3), QueryShuffleSplit(3, random_state=0)], ids=repr)
@pytest.mark.parametrize("model", [QidModel(), make_pipeline(StandardScaler(), QidModel())])
def test_grid_search_routes_qid(model: Any, cv: Any, data: Any) -> None:
    X, y, qid = data
    name = "shift" if isinstance(model, QidModel) else "qidmodel__shift"
    search = GridSearchCV(clone(model), {name: [0.0, 5.0]}, cv=cv, error_score="raise").fit(X, y, qid=qid)
    assert search.best_params_ == {name: 0.0}
    assert search.n_splits_ == 3


@pytest.mark.usefixtures("routing")
def test_cross_validation_routes_qid(data: Any) -> None:
    X, y, qid = data
    scores = cross_val_score(QidModel(), X, y, cv=QueryKFold(4), params={"qid": qid}, error_score="raise")
    assert scores.shape == (4,)
    assert np.isfinite(scores).all()
    both = cross_validate(QidModel(), X, y, cv=QueryKFold(4), params={"qid": qid, "groups": qid})
    assert np.array_equal(both["test_score"], scores)


@pytest.mark.usefixtures("routing")
def test_nested_search_routes_qid(data: Any) -> None:
    X, y, qid = data
    inner = GridSearchCV(QidModel(), {"shift": [0.0, 5.0]}, cv=QueryKFold(2), error_score="raise")
    scores = cross_val_score(inner, X, y, cv=QueryKFold(3), params={"qid": qid}, error_score="raise")
    assert np.isfinite(scores).all()


@pytest.mark.usefixtures("routing")
def test_halving_search_routes_qid(data: Any) -> None:
    X, y, qid = data
    search = HalvingGridSearchCV(
        QidModel(),
        {"shift": [0.0, 5.0]},
        cv=QueryKFold(3),
        error_score="raise",
        min_resources=30,
        return_train_score=False,
    )
    assert search.fit(X, y, qid=qid).best_params_ == {"shift": 0.0}


def test_searches_without_routing_take_groups(data: Any) -> None:
    X, y, qid = data
    search = GridSearchCV(QidModel(), {"shift": [0.0, 5.0]}, cv=QueryKFold(3), error_score="raise")
    assert search.fit(X, y, groups=qid, qid=qid).best_params_ == {"shift": 0.0}
    grouped = cross_val_score(QidModel(needs_qid=False), X, y, cv=QueryKFold(3), groups=qid)
    assert np.isfinite(grouped).all()


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_searches_without_routing_take_a_column(frame: Callable, data: Any) -> None:
    X, y, qid = data
    table = frame({"x": X[:, 0], "qid": qid})
    model = QidModel(needs_qid=False)
    scores = cross_val_score(model, table, y, cv=QueryKFold(3), error_score="raise")
    assert np.array_equal(scores, cross_val_score(model, X, y, cv=QueryKFold(3), groups=qid))


@settings(max_examples=5)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_random_state_object_moves_on(seed: int) -> None:
    qid = np.arange(60)
    splitter = QueryShuffleSplit(1, random_state=np.random.RandomState(seed))
    first, second = (sides(splitter, qid)[0][1] for _ in range(2))
    assert set(first) != set(second)
