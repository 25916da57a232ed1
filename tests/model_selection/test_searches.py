"""scikit-learn's searches and cross-validation carry queries and trade-offs, or fail with the reason."""

import warnings

import cloudpickle
import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from distributed import Client, LocalCluster
from lightgbm import LGBMRanker
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    cross_val_predict,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.fixes import parse_version

from hyperrank import HyperDPORanker, MixedScoresRanker, QueryKFold, QueryShuffleSplit
from hyperrank.model_selection import make_hypervolume_scorer, make_ranking_scorer
from hyperrank.networks import MLP

QUICK = {"max_epochs": 1, "network": MLP(hidden=(4, 4)), "reference": None, "random_state": 0}
FEW_TREES = {"booster_params": {"num_boost_round": 3}, "random_state": 0}
SCORERS = {
    "hypervolume": make_hypervolume_scorer(weights=5),
    "relevance": make_ranking_scorer("ndcg@5", objective=0, weights=[0.8, 0.2]),
    "mean": make_ranking_scorer(),
}
SEARCHES = {
    "grid": (GridSearchCV, {}),
    "random": (RandomizedSearchCV, {"n_iter": 2, "random_state": 0}),
    "halving": (HalvingGridSearchCV, {"resource": "max_epochs", "max_resources": 2, "factor": 2}),
}


def scaled(ranker, frames="pandas"):
    """The ranker behind a scaler that leaves the query ids alone."""
    columns = ColumnTransformer(
        [("scale", StandardScaler(), list("abcd"))], remainder="passthrough", verbose_feature_names_out=False
    )
    return Pipeline([("scale", columns.set_output(transform=frames)), ("rank", ranker)])


@pytest.fixture(params=["routing", "column"])
def given(request, lists, frame):
    """What a user passes: ids beside the features with routing on, or in a column with it off."""
    if request.param == "column":
        yield frame, {}
    else:
        with sklearn.config_context(enable_metadata_routing=True):
            yield lists.X, {"qid": lists.qid}


def wrapped(ranker, in_pipeline, X):
    if not in_pipeline:
        return ranker, ""
    if hasattr(X, "columns"):
        return scaled(ranker), "rank__"
    return Pipeline([("scale", StandardScaler()), ("rank", ranker)]), "rank__"


@pytest.mark.parametrize("in_pipeline", [False, True], ids=["alone", "pipeline"])
@pytest.mark.parametrize("kind", SEARCHES)
def test_searches_give_the_numbers_of_the_front(kind, in_pipeline, given, lists):
    X, ids = given
    model, prefix = wrapped(HyperDPORanker(**QUICK), in_pipeline, X)
    make, options = SEARCHES[kind]
    if "resource" in options:
        options = options | {"resource": prefix + options["resource"]}
    search = make(
        model,
        {f"{prefix}trade_offs__alpha": [0.5, 1.0]},
        cv=QueryKFold(2),
        scoring=SCORERS["hypervolume"],
        error_score="raise",
        **options,
    ).fit(X, lists.Y, **ids)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()

    train, test = next(QueryKFold(2).split(lists.X, qid=lists.qid))
    scaler = StandardScaler().fit(lists.X[train])
    A, B = (scaler.transform(lists.X[r]) if in_pipeline else lists.X[r] for r in (train, test))
    params = {k.removeprefix("rank__"): v for k, v in search.cv_results_["params"][-1].items()}
    epochs = 2 if kind == "halving" else 1
    alone = HyperDPORanker(**(QUICK | {"max_epochs": epochs})).set_params(**params)
    front = alone.fit(A, lists.Y[train], qid=lists.qid[train]).pareto_front(
        B, lists.Y[test], qid=lists.qid[test], weights=np.linspace([1, 0], [0, 1], 5)
    )
    assert search.cv_results_["split0_test_score"][-1] == pytest.approx(front.hypervolume(), rel=1e-6)


def test_several_scorers_at_once(given, lists):
    X, ids = given
    model, prefix = wrapped(MixedScoresRanker(**FEW_TREES), True, X)
    cv = QueryShuffleSplit(2, random_state=0)
    found = cross_validate(model, X, lists.Y, cv=cv, scoring=SCORERS, params=ids, error_score="raise")
    for name, scorer in SCORERS.items():
        alone = cross_val_score(model, X, lists.Y, cv=cv, scoring=scorer, params=ids, error_score="raise")
        np.testing.assert_array_equal(found[f"test_{name}"], alone)
        assert np.isfinite(alone).all()
    grid = {f"{prefix}booster_params": [{"num_boost_round": 1}, {"num_boost_round": 3}]}
    search = GridSearchCV(
        model, grid, cv=cv, scoring=SCORERS, refit="relevance", error_score="raise", return_train_score=True
    )
    search.fit(X, lists.Y, **ids)
    np.testing.assert_allclose(
        search.cv_results_["mean_test_hypervolume"][1], found["test_hypervolume"].mean()
    )
    assert search.score(X, lists.Y, **ids) == SCORERS["relevance"](search, X, lists.Y, **ids)


def test_the_default_score_is_carried_too(given, lists):
    X, ids = given
    values = cross_val_score(
        MixedScoresRanker(**FEW_TREES), X, lists.Y, cv=QueryKFold(2), params=ids, error_score="raise"
    )
    same = cross_val_score(
        MixedScoresRanker(**FEW_TREES), X, lists.Y, cv=QueryKFold(2), params=ids, scoring=SCORERS["mean"]
    )
    np.testing.assert_allclose(values, same)
    assert cross_val_predict(
        MixedScoresRanker(**FEW_TREES), X, lists.Y, cv=QueryKFold(2), params=ids
    ).shape == (len(lists.X),)


def test_what_goes_to_other_processes_is_the_same_there(given, lists):
    """Candidates and scorers as joblib pickles them; the slow tests below start the processes."""
    X, ids = given
    model, _ = wrapped(HyperDPORanker(**QUICK), True, X)
    fitted = clone(model).fit(X, lists.Y, **ids)
    again = cloudpickle.loads(cloudpickle.dumps((model, fitted, SCORERS)))
    refitted = again[0].fit(X, lists.Y, **ids)
    for name, scorer in SCORERS.items():
        expected = scorer(fitted, X, lists.Y, **ids)
        for there in (again[1], refitted):
            assert again[2][name](there, X, lists.Y, **ids) == expected


@pytest.mark.slow
def test_searches_in_several_processes(given, lists):
    X, ids = given
    model, prefix = wrapped(MixedScoresRanker(**FEW_TREES), True, X)
    grid = {f"{prefix}booster_params": [{"num_boost_round": 1}, {"num_boost_round": 3}]}
    one, two = (
        GridSearchCV(
            model, grid, cv=QueryKFold(2), scoring=SCORERS["hypervolume"], n_jobs=n, error_score="raise"
        ).fit(X, lists.Y, **ids)
        for n in (1, 2)
    )
    np.testing.assert_array_equal(one.cv_results_["mean_test_score"], two.cv_results_["mean_test_score"])


@pytest.mark.slow
def test_networks_are_validated_in_several_processes(given, lists):
    X, ids = given
    model, _ = wrapped(HyperDPORanker(**QUICK), True, X)
    options = {"cv": QueryKFold(2), "scoring": SCORERS, "params": ids, "error_score": "raise"}
    one, two = (cross_validate(model, X, lists.Y, n_jobs=n, **options) for n in (1, 2))
    for name in SCORERS:
        np.testing.assert_array_equal(one[f"test_{name}"], two[f"test_{name}"])
        assert np.isfinite(one[f"test_{name}"]).all()


def test_rankers_compete_in_one_search(given, lists):
    X, ids = given
    model, prefix = wrapped(HyperDPORanker(**QUICK), True, X)
    rankers = [HyperDPORanker(**QUICK), MixedScoresRanker(**FEW_TREES)]
    search = GridSearchCV(
        model,
        {prefix.rstrip("_"): rankers},
        cv=QueryKFold(2),
        scoring=SCORERS["hypervolume"],
        error_score="raise",
    )
    search.fit(X, lists.Y, **ids)
    assert len(set(search.cv_results_["mean_test_score"])) == 2


@pytest.mark.usefixtures("routing")
def test_searches_reach_into_the_reference(lists):
    booster = LGBMRanker(n_estimators=2, num_leaves=4, min_child_samples=2, n_jobs=1, verbose=-1)
    pipe = make_pipeline(StandardScaler(), HyperDPORanker(**(QUICK | {"reference": booster})))
    grid = {"hyperdporanker__reference__n_estimators": [1, 5]}
    search = GridSearchCV(pipe, grid, cv=QueryKFold(2), scoring=SCORERS["mean"], error_score="raise")
    search.fit(lists.X, lists.Y, qid=lists.qid)
    assert len(set(search.cv_results_["mean_test_score"])) == 2
    assert booster.n_estimators == 2


@pytest.mark.usefixtures("routing")
def test_sample_weight_reaches_the_scorer_alone(lists):
    weight = (lists.qid % 2).astype(float)
    options = {"cv": QueryKFold(2), "scoring": SCORERS["mean"], "error_score": "raise"}
    ids = {"qid": lists.qid}
    plain = cross_val_score(MixedScoresRanker(**FEW_TREES), lists.X, lists.Y, params=ids, **options)
    weighted = cross_val_score(
        MixedScoresRanker(**FEW_TREES), lists.X, lists.Y, params=ids | {"sample_weight": weight}, **options
    )
    assert (plain != weighted).all()


def test_without_ids_a_search_fails_with_the_reason(lists):
    search = GridSearchCV(
        MixedScoresRanker(**FEW_TREES), {}, cv=QueryKFold(2), scoring=SCORERS["mean"], error_score="raise"
    )
    with pytest.raises(ValueError, match="the scorer got no query ids"):
        search.fit(lists.X, lists.Y, groups=lists.qid, qid=lists.qid)


@pytest.fixture
def nothing_to_measure(lists):
    """Labels whose second objective is all 0 in the test queries of one fold."""
    _, test = next(QueryKFold(2).split(lists.X, qid=lists.qid))
    Y = lists.Y.copy()
    Y[test, 1] = 0
    return Y


@pytest.mark.parametrize(
    "scoring", [SCORERS["hypervolume"], {"a": SCORERS["hypervolume"]}], ids=["one", "dict"]
)
def test_what_cannot_be_measured_stops_a_search(scoring, nothing_to_measure, frame):
    refit = "a" if isinstance(scoring, dict) else True
    search = GridSearchCV(
        MixedScoresRanker(**FEW_TREES),
        {},
        cv=QueryKFold(2),
        scoring=scoring,
        refit=refit,
        error_score="raise",
    )
    with pytest.raises(ValueError, match=r"measures nothing for objectives \['objective_1'\]"):
        search.fit(frame, nothing_to_measure)


def test_by_default_scikit_learn_makes_nan_of_it(nothing_to_measure, frame):
    """Why the guide says error_score="raise": the reason is left in a warning, and a candidate is chosen."""
    search = GridSearchCV(
        MixedScoresRanker(**FEW_TREES), {}, cv=QueryKFold(2), scoring=SCORERS["hypervolume"]
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        search.fit(frame, nothing_to_measure)
    assert np.isnan(search.best_score_)
    assert any("measures nothing for objectives ['objective_1']" in str(w.message) for w in caught)


def test_a_search_over_polars_frames_gives_the_numbers_of_pandas(frame, lists):
    values = [
        cross_val_score(
            scaled(HyperDPORanker(**QUICK), kind),
            X,
            lists.Y,
            cv=QueryKFold(2),
            scoring=SCORERS["hypervolume"],
            error_score="raise",
        )
        for kind, X in (("pandas", frame), ("polars", pl.DataFrame(frame.to_dict("list"))))
    ]
    np.testing.assert_array_equal(*values)


def test_label_frames_keep_their_names_in_a_search(frame, lists):
    Y = pd.DataFrame(lists.Y, columns=["relevance", "margin"])
    by_name, by_place = (
        cross_val_score(
            MixedScoresRanker(**FEW_TREES),
            frame,
            Y,
            cv=QueryKFold(2),
            scoring=make_ranking_scorer(objective=objective, weights=weights),
        )
        for objective, weights in (("margin", {"margin": 1}), (1, [0, 1]))
    )
    np.testing.assert_array_equal(by_name, by_place)


def searched_on_dask(model, grid, X, Y, ids, **cluster):
    """A search here, and the same by the workers of a cluster."""
    if hasattr(X, "columns") and parse_version(sklearn.__version__) < parse_version("1.9"):
        pytest.skip("older ColumnTransformers read attributes of a Bunch, which Dask makes a dict")
    options = {"cv": QueryKFold(2), "scoring": SCORERS, "refit": "hypervolume", "error_score": "raise"}
    here, there = (GridSearchCV(model, grid, **options) for _ in range(2))
    here.fit(X, Y, **ids)
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0", **cluster) as workers,
        Client(workers) as client,
        joblib.parallel_backend("dask"),
    ):
        there.fit(X, Y, **ids)
        assert client.run_on_scheduler(lambda dask_scheduler: dask_scheduler.transition_counter) > 0
    return here, there


def is_same_search(here, there, X, ids):
    for name in here.cv_results_:
        if name.endswith("_score"):
            np.testing.assert_array_equal(there.cv_results_[name], here.cv_results_[name])
    assert there.best_params_ == here.best_params_
    best = (search.best_estimator_.predict(X, **ids) for search in (there, here))
    np.testing.assert_array_equal(*best)
    return True


@pytest.mark.usefixtures("routing")
def test_searches_on_dask(lists):
    X, ids = lists.X, {"qid": lists.qid}
    model, prefix = wrapped(MixedScoresRanker(**FEW_TREES), True, X)
    grid = {f"{prefix}booster_params": [{"num_boost_round": 1}, {"num_boost_round": 3}]}
    here, there = searched_on_dask(model, grid, X, lists.Y, ids, processes=False)
    assert is_same_search(here, there, X, ids)


@pytest.mark.slow
def test_networks_searched_on_dask(given, lists):
    """In processes of their own: threads of one would share torch's generator."""
    X, ids = given
    model, prefix = wrapped(HyperDPORanker(**QUICK), True, X)
    grid = {f"{prefix}trade_offs__alpha": [0.5, 1.0]}
    here, there = searched_on_dask(model, grid, X, lists.Y, ids, processes=True)
    assert is_same_search(here, there, X, ids)
