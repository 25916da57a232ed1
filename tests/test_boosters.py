"""LightGBM on our lists: grades, long lists, missing labels, tiny data, no leakage, the same bits."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from hyperrank.boosters import booster_grades, booster_scores, fit_booster, fit_boosters
from hyperrank.boosters import training as growing
from hyperrank.lists import QueryLists

FAST = {"num_boost_round": 12, "min_data_in_leaf": 5}


def data_of(n_lists: int = 30, seed: int = 0) -> tuple[NDArray[Any], NDArray[Any], QueryLists]:
    """Two objectives, each the grade of one feature."""
    rng = np.random.default_rng(seed)
    lists = QueryLists.from_sizes(rng.integers(1, 20, n_lists))
    X = rng.normal(size=(lists.n_rows, 5)).astype(np.float32)
    return X, np.clip(np.round(2 * X[:, :2]), 0, 4), lists


@given(st.lists(st.integers(0, 30), max_size=20))
def test_small_whole_numbers_are_grades_already(labels: list[int]) -> None:
    found = booster_grades(np.array(labels, dtype=np.float32))
    assert found.dtype == np.int32
    assert found.tolist() == labels


@given(st.lists(st.one_of(st.just(0.0), st.floats(0, 1e30)), min_size=1, max_size=60))
def test_other_labels_become_monotone_grades_from_0_to_4(labels: list[float]) -> None:
    given_labels = np.array([*labels, 0.5])
    found = booster_grades(given_labels)
    assert found.dtype == np.int32
    assert found.max() <= 4
    assert ((found == 0) == (given_labels == 0)).all()
    order = np.argsort(given_labels)
    assert (np.diff(found[order]) >= 0).all()
    same = np.diff(given_labels[order]) == 0
    assert (np.diff(found[order])[same] == 0).all()


def test_counts_are_graded_by_quartile() -> None:
    counts = np.array([0, 0, *range(1, 101)])
    found = booster_grades(counts)
    assert np.bincount(found).tolist() == [2, 25, 25, 25, 25]
    assert booster_grades(np.array([32.0, 32.0, 0.0])).tolist() == [1, 1, 0]
    assert booster_grades(np.zeros(0)).tolist() == []


def test_a_booster_learns_its_objective() -> None:
    X, Y, lists = data_of()
    found = fit_boosters(X, Y, lists, objectives=[1, 0], params=FAST)
    scores = np.column_stack([booster_scores(booster, X) for booster in found])
    correlation = np.corrcoef(np.column_stack([scores, Y]).T)[:2, 2:]
    assert correlation[0, 1] > 0.6 > 0.3 > abs(correlation[0, 0])
    assert correlation[1, 0] > 0.6 > 0.3 > abs(correlation[1, 1])


def test_params_go_on_top_of_the_defaults() -> None:
    X, Y, lists = data_of()
    found = fit_booster(X, Y[:, 0], lists, params={**FAST, "num_leaves": 3, "min_data_in_leaf": 5})
    assert found.num_trees() == 12
    assert found.params["num_leaves"] == 3
    assert found.params["learning_rate"] == growing.BOOSTER_PARAMS["learning_rate"]
    assert found.params["objective"] == "lambdarank"


class Spy:
    """Takes the place of lightgbm.train and notes the data that it is given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import lightgbm

        self.seen: list[dict[str, Any]] = []
        original = lightgbm.train

        def train(settings: Any, data: Any, **options: Any) -> Any:
            names = {"X": "data", "label": "label", "group": "group", "weight": "weight"}
            self.seen.append({name: getattr(data, attribute) for name, attribute in names.items()})
            return original(settings, data, **options)

        monkeypatch.setattr(lightgbm, "train", train)


@pytest.mark.parametrize("limit", [1, 7, 50])
def test_long_lists_are_dealt_into_lists_within_the_limit(
    limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growing, "MAX_LIST", limit)
    spy = Spy(monkeypatch)
    sizes = [3, 123, 0, 50, 51, 1]
    lists = QueryLists.from_sizes(sizes)
    X = np.arange(lists.n_rows, dtype=np.float32)[:, None]
    labels = (np.arange(lists.n_rows) % 5).astype(np.float32)
    weight = np.array([10.0, 20, 30, 40, 50, 60])
    fit_booster(X, labels, lists, params=FAST, list_weight=weight)
    (seen,) = spy.seen
    rows = seen["X"][:, 0].astype(int)
    assert sorted(rows) == list(range(lists.n_rows))
    assert (seen["label"] == labels[rows]).all()
    assert seen["group"].sum() == lists.n_rows
    assert seen["group"].min() > 0
    assert seen["group"].max() <= limit
    dealt = np.split(lists.index[rows], np.cumsum(seen["group"])[:-1])
    assert all(len(np.unique(part)) == 1 for part in dealt)
    assert (seen["weight"] == weight[lists.index[rows]]).all()
    n_parts = [sum(part[0] == number for part in dealt) for number in range(6)]
    assert n_parts == [-(-size // limit) for size in sizes]
    if limit == 50:
        assert n_parts[0] == n_parts[3] == n_parts[5] == 1
        part = rows[np.flatnonzero(lists.index[rows] == 1)[: dealt[1].size]] - 3
        assert part.mean() == pytest.approx(61, abs=25)  # a fair sample, not a run of neighbours
        assert np.ptp(part) > 80


def test_real_long_lists_are_accepted_by_lightgbm() -> None:
    n = growing.MAX_LIST + 2500
    X = np.random.default_rng(0).normal(size=(n, 2)).astype(np.float32)
    booster = fit_booster(X, (X[:, 0] > 0).astype(np.float32), QueryLists.from_sizes([n]), params=FAST)
    assert np.corrcoef(booster_scores(booster, X), X[:, 0] > 0)[0, 1] > 0.8


def test_rows_without_a_label_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    X, Y, lists = data_of()
    labels = Y[:, 0].copy()
    labels[::3] = np.nan
    labels[lists.index == 4] = np.nan
    known = ~np.isnan(labels)
    spy = Spy(monkeypatch)
    found = fit_booster(X, labels, lists, params=FAST)
    absent = fit_booster(X[known], labels[known], QueryLists.from_qid(lists.index[known]), params=FAST)
    assert (booster_scores(found, X) == booster_scores(absent, X)).all()
    assert (spy.seen[0]["X"] == X[known]).all()
    assert (spy.seen[0]["group"] == spy.seen[1]["group"]).all()


@pytest.mark.parametrize("limit", [growing.MAX_LIST, 7])
@pytest.mark.parametrize("objective", ["lambdarank", "regression"])
def test_boosters_of_bins_shared_are_those_of_each_alone(
    limit: int, objective: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growing, "MAX_LIST", limit)
    X, Y, lists = data_of()
    Y[lists.index == 3] = np.nan
    options: dict[str, Any] = {
        "params": {**FAST, "objective": objective},
        "list_weight": np.linspace(1, 2, lists.n_lists),
        "seed": 3,
    }
    together = fit_boosters(X, Y, lists, objectives=[1, 0], **options)
    alone = [fit_booster(X, Y[:, j], lists, **options) for j in (1, 0)]
    assert [b.model_to_string() for b in together] == [b.model_to_string() for b in alone]


def test_an_objective_without_labels_is_an_error() -> None:
    X, Y, lists = data_of()
    Y[:, 1] = np.nan
    with pytest.raises(ValueError, match="no row has a label for this objective"):
        fit_booster(X, Y[:, 1], lists, params=FAST)


@pytest.mark.parametrize("sizes", [[1], [2], [1] * 5, [3, 1], [30]])
@pytest.mark.parametrize("constant", [False, True])
def test_tiny_data_are_no_trouble(
    sizes: list[int], constant: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    lists = QueryLists.from_sizes(sizes)
    X = np.random.default_rng(0).normal(size=(lists.n_rows, 3)).astype(np.float32)
    Y = np.zeros((lists.n_rows, 1)) if constant else np.arange(lists.n_rows, dtype=float)[:, None] % 3
    (booster,) = fit_boosters(X, Y, lists, objectives=[0])
    assert np.isfinite(booster_scores(booster, X)).all()
    assert booster_scores(booster, X[:0]).shape == (0,)
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""


def test_the_same_seed_gives_the_same_bits_whatever_n_jobs() -> None:
    X, Y, lists = data_of()

    def scores(seed: int, n_jobs: int | None) -> NDArray[Any]:
        options: dict[str, Any] = {"objectives": [0, 1], "seed": seed, "n_jobs": n_jobs, "params": FAST}
        return np.array([booster_scores(b, X) for b in fit_boosters(X, Y, lists, **options)])

    first = scores(3, 1)
    for n_jobs in (1, 2, None):
        assert (scores(3, n_jobs) == first).all()
    assert (scores(4, 1) != first).any()


def test_global_random_state_is_left_alone() -> None:
    X, Y, lists = data_of()
    before = np.random.get_state()[1].tolist()  # type: ignore[index, union-attr] # noqa: NPY002
    fit_boosters(X, Y, lists, objectives=[0], params=FAST)
    assert np.random.get_state()[1].tolist() == before  # type: ignore[index, union-attr] # noqa: NPY002


def test_list_weight_reaches_lightgbm(monkeypatch: pytest.MonkeyPatch) -> None:
    X, Y, lists = data_of()
    weight = 1.0 + np.arange(lists.n_lists)
    X[:, 4] = lists.index
    spy = Spy(monkeypatch)
    fit_boosters(X, Y, lists, objectives=[0], params=FAST, list_weight=weight)
    assert len(spy.seen) == 1
    for seen in spy.seen:
        assert (seen["weight"] == weight[seen["X"][:, 4].astype(int)]).all()


def test_lists_of_weight_zero_do_not_influence_the_trees() -> None:
    X, Y, lists = data_of()
    weight = (np.arange(lists.n_lists) % 3 > 0).astype(float)
    silent = weight[lists.index] == 0
    changed = Y[:, 0].copy()
    changed[silent] = 4 - changed[silent]
    scores = [
        booster_scores(fit_booster(X, labels, lists, params=FAST, list_weight=weight), X)
        for labels in (Y[:, 0], changed)
    ]
    np.testing.assert_allclose(scores[0], scores[1])
    plain = booster_scores(fit_booster(X, changed, lists, params=FAST), X)
    assert not np.allclose(plain, scores[0])


def test_parameters_may_go_by_any_of_their_names(monkeypatch):
    import lightgbm

    seen = {}
    train = lightgbm.train

    def spy(params, data, num_boost_round, callbacks):
        seen.update(params, num_boost_round=num_boost_round)
        return train(params, data, num_boost_round=num_boost_round)

    monkeypatch.setattr(lightgbm, "train", spy)
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 3)).astype(np.float32), rng.integers(0, 3, 40)
    params = {"n_estimators": 3, "eta": 0.7, "min_child_samples": 2, "colsample_bytree": 1.0}
    fit_booster(X, y, QueryLists.from_sizes([20, 20]), params=params)
    assert (seen["num_boost_round"], seen["learning_rate"], seen["min_data_in_leaf"]) == (3, 0.7, 2)
    assert not set(params) & set(seen)


@pytest.mark.parametrize(
    ("name", "near"), [("num_leave", "did you mean 'num_leaves'"), ("zzz", "its documentation lists them")]
)
def test_parameters_that_lightgbm_would_ignore_are_refused(name, near):
    X, Y, lists = data_of()
    with pytest.raises(ValueError, match=rf"booster_params has '{name}'.*{near}"):
        fit_booster(X, Y[:, 0], lists, params={name: 6})
