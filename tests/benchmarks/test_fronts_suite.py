"""All settings in one table: baselines of other libraries, ratios by fold, and the summary."""

from functools import partial

import lightgbm
import numpy as np
import pytest

from benchmarks.fronts import cli, suite, summary
from benchmarks.fronts.baselines import (
    MixedModels,
    PerWeight,
    _Lists,
    _softmax_losses,
    _train_chebyshev,
    standardize_in_lists,
)
from benchmarks.fronts.methods import METHODS, SUITE
from benchmarks.fronts.results import DataSet
from benchmarks.fronts.settings import Setting
from hyperrank import QueryLists


@pytest.fixture(scope="module")
def fold(few):
    return few.fold(0)


def test_features_standardised_in_their_list():
    X = np.array([[1.0, 5], [3, 5], [np.nan, 5], [7, 1]], dtype=np.float32)
    joined = standardize_in_lists(X, QueryLists.from_sizes([3, 1]))
    np.testing.assert_array_equal(joined[:, :2], X)
    np.testing.assert_allclose(joined[:, 2], [-1, 1, np.nan, 0])
    np.testing.assert_array_equal(joined[:, 3], 0)


def test_mixed_models_are_lightgbms_own(fold):
    """Half the weight on each objective is the mean of LGBMRanker's standardised scores."""
    train = fold.train
    ranker = MixedModels(members=[("ranking", "plain"), ("regression", "in-list")])
    ranker.fit(train.X, train.Y, qid=train.qid)
    sizes = np.unique(train.qid, return_counts=True)[1]
    own = [lightgbm.LGBMRanker(random_state=0, verbose=-1, n_jobs=1) for _ in train.names]
    fitted = [model.fit(train.X, y, group=sizes) for model, y in zip(own, train.Y.T, strict=True)]
    scores = np.column_stack([model.booster_.predict(train.X) for model in fitted])
    lists = QueryLists.from_sizes(sizes)
    centred = scores - (np.add.reduceat(scores, lists.offsets[:-1]) / sizes[:, None])[lists.index]
    expected = (scores / centred.std(axis=0)).mean(axis=1)
    given = {"qid": train.qid, "weights": np.array([[0.5, 0.5]])}
    found = ranker.predict(train.X, members=[("ranking", "plain")], **given)[:, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    both = ranker.predict(train.X, **given)[:, 0]
    assert not np.allclose(both, found)
    parts = [ranker.cost([member])["fit_seconds"] for member in ranker.members]
    assert ranker.cost()["fit_seconds"] == pytest.approx(sum(parts))


def test_rows_in_any_order_score_alike(fold):
    train, rng = fold.train, np.random.default_rng(0)
    ranker = MixedModels(members=[("regression", "in-list")]).fit(train.X, train.Y, qid=train.qid)
    order, weights = rng.permutation(len(train.X)), np.eye(2)
    scores = ranker.predict(train.X, qid=train.qid, weights=weights)
    shuffled = ranker.predict(train.X[order], qid=train.qid[order], weights=weights)
    np.testing.assert_allclose(shuffled, scores[order], rtol=1e-6)


def test_missing_labels_leave_the_others(fold):
    train = fold.train
    Y = train.Y.copy()
    Y[::3, 1] = np.nan
    members = [("ranking", "searched"), ("regression", "plain")]
    scores = (
        MixedModels(members=members)
        .fit(train.X, Y, qid=train.qid)
        .predict(train.X, qid=train.qid, weights=np.eye(2))
    )
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("combination", ["labels", "chebyshev"])
def test_one_model_per_weight(fold, combination, monkeypatch):
    monkeypatch.setattr("benchmarks.fronts.baselines.MAX_ROUNDS", 8)
    weights = np.array([[1.0, 0], [0.3, 0.7], [0, 1]])
    ranker = PerWeight(weights, combination).fit(fold.train.X, fold.train.Y, qid=fold.train.qid)
    given = {"qid": fold.test.qid, "weights": weights}
    alone = ranker.predict(fold.test.X, **given)
    beside = ranker.predict(fold.test.X, with_regressions=True, **given)
    assert alone.shape == beside.shape == (len(fold.test.X), 3)
    assert not np.allclose(alone[:, 0], alone[:, 2])
    assert not np.allclose(alone, beside)
    assert ranker.cost(True)["fit_seconds"] > ranker.cost()["fit_seconds"]


def test_chebyshev_trains_what_is_worst(fold):
    """At a corner its objective alone; between them the two weighted losses end near each other."""
    train = fold.train
    data = _Lists.read(train.X, train.qid)
    losses = _softmax_losses(train.Y, data.lists)
    params = {"num_boost_round": 30, "min_data_in_leaf": 5, "verbose": -1}
    boosters = [
        _train_chebyshev(train.X, np.array(weight), losses, params) for weight in ([1, 0], [0, 1], [0.5, 0.5])
    ]
    first, second, between = (losses(booster.predict(train.X))[0] for booster in boosters)
    start = losses(np.zeros(len(train.X)))[0]
    assert first[0] < between[0] < start[0]
    assert second[1] < between[1] < start[1]
    assert np.ptp(between / start) < 0.5 * min(np.ptp(first / start), np.ptp(second / start))


def test_all_of_the_suite_are_methods_and_missing_libraries_are_named(monkeypatch, capsys):
    assert set(SUITE) <= set(METHODS)
    monkeypatch.setattr(cli, "find_spec", lambda _: None)
    assert cli._methods(["lightgbm", "catboost"]) == ["lightgbm"]
    assert (
        'catboost is left out: there is no catboost (pip install -e ".[bench]").' in capsys.readouterr().out
    )


def data_set(**hypervolumes):
    records = {
        front: [{"fold": fold, "seed": 0, "hypervolume": value} for fold, value in values.items()]
        for front, values in hypervolumes.items()
    }
    return DataSet("made", ["a", "b"], None, records, {}, [])


def test_ratios_are_paired_by_fold():
    data = data_set(hyperdpo={0: 0.2, 1: 0.4, 2: 9.0}, soup={0: 0.1, 1: 0.3}, modpo={0: 0.19})
    found = summary.ratio(data, "hyperdpo", "soup")
    assert (found.value, found.error, found.n) == pytest.approx((0.6 / 0.4, 0, 2))
    assert str(summary.ratio(data, "modpo", "hyperdpo")) == "0.950"
    assert summary.ratio(data, "lightgbm-both", "hyperdpo") is None
    # Of 0.95 on the one fold it has and 0.67 on two, the larger share is the best.
    assert summary.best_baseline(data, ["soup", "modpo", "lightgbm-both"]) == "modpo"


def given(source, n_folds):
    assert n_folds == source.n_folds
    return source


@pytest.mark.slow
def test_settings_in_one_table(few, short_params, tmp_path, monkeypatch):
    """One fold of each setting before the next of any; the paper's form beside the others."""
    made = {name: type(few)(few.objectives, 2, few.sizes, label=name) for name in ("synthetic-3k", "items")}
    of_three = type(few)(few.known, 2, few.sizes, label="movielens-paper")
    of_three.data = of_three.load()
    of_three.main, of_three.objectives = "objective_2", few.objectives
    settings = {name: Setting(name, partial(given, source), 2) for name, source in made.items()}
    settings["movielens-paper"] = Setting("paper", partial(given, of_three), 2)
    plan, short = suite.plan, {key: {**params} for key, params in short_params.items()}
    short["hyperdpo-paper"].pop("reference")
    monkeypatch.setattr(suite, "plan", lambda *a, **k: plan(*a, params=short, **k))
    order = []

    def here(function, run, *rest):
        order.append((run.fold, run.source.label, run.method))
        return function(run, *rest)

    methods = ["hyperdpo", "hyperdpo-paper", "lightgbm"]
    assert suite.run_settings(settings, methods, tmp_path, n_weights=3, max_folds=1, executor=here) == 0
    assert {fold for fold, *_ in order} == {0}
    assert [method for _, label, method in order if label == "movielens-paper"] == [
        "reference",
        "hyperdpo-paper",
    ]
    text = summary.write_summary([tmp_path], tmp_path / "made")
    for part in (
        "generator, 3,000 rows",
        "HyperDPO / its reference",
        "## The paper's form",
        "temperature 0.25",
    ):
        assert part in text
    assert (tmp_path / "made" / "fronts.png").read_bytes().startswith(b"\x89PNG")
