"""What fit cannot mean, a row for each kind and entry point: the answer before, an error or warning now.

================================ =================================== ==============================
kind                             entry point                         before
================================ =================================== ==============================
query ids forgotten              fit, partial_fit, baselines         one list of all rows, in silence
query ids forgotten              X_val beside X with ids             one list, stopping by noise
``group=`` of other libraries    fit, partial_fit, baselines         Python's words for any argument
an objective of zeros            fit, baselines                      trained on a constant
a device that is not there       fit                                 found after the boosters
a learning rate of 1e6           fit                                 NaN scores, saved and served
labels in other units            score, pareto_front, scorers,       metrics of exp2 of counts
                                 explain, partial_fit, y_val
counts under gains of 2**label   fit, baselines                      the highest label alone counts
================================ =================================== ==============================
"""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch

from hyperrank import (
    AdamW,
    HyperDPORanker,
    LightGBMScalarizationRanker,
    LinearScalarizationRanker,
    MixedScoresRanker,
    QueryLists,
    make_hypervolume_scorer,
)

RNG = np.random.default_rng(0)
QID = np.repeat(np.arange(62), 5)  # 310 rows: more than may be one list unasked
X = RNG.normal(size=(len(QID), 3)).astype(np.float32)
Y = RNG.integers(0, 5, size=(len(QID), 2)).astype(np.float32)
FEW = slice(0, 60)
TREES = {"num_boost_round": 2, "num_leaves": 3, "min_data_in_leaf": 2}
RANKERS = {
    "HyperDPORanker": lambda: HyperDPORanker(None, max_epochs=1, random_state=0),
    "LinearScalarizationRanker": lambda: LinearScalarizationRanker(2, None, max_epochs=1, random_state=0),
    "MixedScoresRanker": lambda: MixedScoresRanker(booster_params=TREES, random_state=0),
    "LightGBMScalarizationRanker": lambda: LightGBMScalarizationRanker(
        2, booster_params=TREES, random_state=0
    ),
}


@pytest.fixture(scope="module")
def fitted():
    return RANKERS["HyperDPORanker"]().fit(X[FEW], Y[FEW], qid=QID[FEW])


@pytest.fixture
def no_training(monkeypatch):
    for name in ("dpo.reference.fit_reference_model", "dpo.train.train"):
        monkeypatch.setattr(f"hyperrank.rankers.{name}", lambda *_, **__: pytest.fail("training started"))


@pytest.mark.parametrize("name", RANKERS)
@pytest.mark.parametrize("kind", ["array", "frame"])
def test_many_rows_without_query_ids_are_refused(name, kind):
    rows = X if kind == "array" else pd.DataFrame(X)
    with pytest.raises(ValueError, match=r"X has 310 rows and no query ids.*qid=np.zeros\(len\(X\)\)"):
        RANKERS[name]().fit(rows, Y)


def test_partial_fit_without_query_ids_is_refused(fitted):
    with pytest.raises(ValueError, match="X has 310 rows and no query ids"):
        fitted.partial_fit(X, Y)
    with pytest.raises(ValueError, match="X has 310 rows and no query ids"):
        RANKERS["HyperDPORanker"]().partial_fit(X, Y)


def test_one_query_of_many_rows_is_said_by_one_id():
    ranker = RANKERS["HyperDPORanker"]().fit(X, Y, qid=np.zeros(len(X)))
    assert ranker.data_summary_["n_queries"] == 1
    few = RANKERS["HyperDPORanker"]().fit(X[:300], Y[:300])
    assert few.data_summary_["n_queries"] == 1


def test_ids_of_documents_are_not_those_of_queries(fitted):
    """Before, silence: a fit that learns nothing, and a metric of 1."""
    ids = np.arange(len(X))
    for call in (
        lambda: RANKERS["HyperDPORanker"]().fit(X, Y, qid=ids),
        lambda: fitted.score(X, Y, qid=ids),
        lambda: fitted.pareto_front(X, Y, qid=ids),
    ):
        with pytest.warns(UserWarning, match="each of the 310 rows of X is a query of its own"):
            call()


def test_ids_that_floats_cannot_tell_apart_are_refused(fitted):
    """Before, neighbouring ids were one query."""
    with pytest.raises(ValueError, match="qid holds float32 numbers so large that neighbouring ids are one"):
        fitted.predict(X, qid=(QID + 2**25).astype(np.float32))


def test_options_of_metrics_are_checked_before_training(no_training):
    """Before, at the first front."""
    with pytest.raises(ValueError, match=r"gain must be one of \['exp2', 'linear'\]; got 'x'"):
        HyperDPORanker(metric="ndcg(gain=x)@10").fit(X, Y, qid=QID)


def test_validation_rows_without_query_ids_are_refused(no_training):
    with pytest.raises(ValueError, match="X_val was given without query ids, but X has them: pass qid_val="):
        RANKERS["HyperDPORanker"]().fit(X, Y, qid=QID, X_val=X[FEW], y_val=Y[FEW])


@pytest.mark.parametrize("name", RANKERS)
def test_group_sizes_point_to_query_ids(name):
    sizes = np.unique(QID, return_counts=True)[1]
    with pytest.raises(TypeError, match=r"qid=QueryLists.from_sizes\(group\)\.qid"):
        RANKERS[name]().fit(X, Y, group=sizes)
    assert np.array_equal(QueryLists.from_sizes(sizes).qid, QID)
    with pytest.raises(TypeError, match="not 'sample_weight': query_weight="):
        RANKERS[name]().fit(X, Y, qid=QID, sample_weight=np.ones(len(X)))
    with pytest.raises(TypeError, match="nonsense"):
        RANKERS[name]().fit(X, Y, nonsense=1)


@pytest.mark.parametrize("name", RANKERS)
def test_objectives_without_a_label_above_0_are_refused(name):
    nothing = np.column_stack([Y[:, 0], np.where(Y[:, 1] > 2, np.nan, 0)])
    with pytest.raises(ValueError, match=r"\['objective_1'\] have no label above 0 in y"):
        RANKERS[name]().fit(X, nothing, qid=QID)


BOOSTER_PARAMS = {
    "text for a number": ({"num_leaves": "x"}, r"booster_params\['num_leaves'\] must be a whole number"),
    "out of range": ({"eta": 0}, r"booster_params\['eta'\] must be a number above 0"),
    "twice": ({"eta": 0.1, "learning_rate": 0.2}, "'learning_rate' under another name"),
    "unknown value": ({"objective": "lambdarnk"}, r"\['objective'\] must be one of lambdarank, "),
    "too few gains": (
        {"label_gain": [0, 1]},
        r"\['label_gain'\] has 2 gains; expected one for each label .* to 4",
    ),
    "other columns": ({"monotone_constraints": [1]}, "has 1 numbers; expected one for each of 6 features"),
    "text for a switch": ({"extra_trees": "maybe"}, r"\['extra_trees'\] must be True or False"),
    "columns": ({"categorical_feature": [90]}, "leave it out. For categories: categorical_features="),
    "files": ({"forcedsplits_filename": "splits.json"}, "leave it out"),
    "a list": ([("num_leaves", 6)], "a mapping"),
    "more than an int holds": ({"max_bin": 2**31}, "at most 2147483647"),
    "threads that no machine has": ({"num_threads": 2**20}, "at most 4096"),  # before, a crash
    "classes": ({"num_class": 3}, "at most 1"),
    "one bin": ({"max_bin_by_feature": [1] * 6}, "at least 2"),
    "negative shares": ({"feature_contri": [-1, 0, 5, 1, 1, 1]}, "at least 0"),
    "another switch": ({"enable_bundle": 0.5}, "must be True or False"),
    "of prediction": ({"pred_early_stop": True}, "prediction and machines are not LightGBM's to choose"),
    "both": ({"force_row_wise": True, "force_col_wise": True}, "force_row_wise and force_col_wise, which"),
    "goss": ({"data_sample_strategy": "goss", "bagging_freq": 1}, "does not take together: drop one"),
    "refitted": (
        {"objective": "mape", "monotone_constraints": [1] * 6},
        "monotone_constraints and objective",
    ),
    "shares": ({"objective": "xentropy"}, "takes labels from 0 to 1; got 4"),
}


@pytest.mark.parametrize("kind", BOOSTER_PARAMS)
def test_booster_params_that_lightgbm_refuses_or_ignores(kind, capfd):
    """Before, LightGBM's own error after its line on stderr, or silence."""
    params, message = BOOSTER_PARAMS[kind]
    with pytest.raises(ValueError, match=message):
        HyperDPORanker(booster_params=params, max_epochs=1).fit(X, Y, qid=QID)
    assert "Fatal" not in capfd.readouterr().err


def test_sampling_by_gradients_needs_no_other_option(capfd):
    """Before, an error: the defaults have bagging."""
    params = {**TREES, "data_sample_strategy": "goss"}
    MixedScoresRanker(booster_params=params).fit(X, Y, qid=QID)
    assert "LightGBM" not in capfd.readouterr().err


@pytest.mark.parametrize("name", ["HyperDPORanker", "LinearScalarizationRanker"])
def test_validation_on_queries_of_training_is_told_of(name):
    """Before, silence, and epochs that only memory chose."""
    X_val, y_val, qid_val = X[FEW], Y[FEW], QID[FEW]
    with pytest.warns(UserWarning, match=r"12 of the 12 queries of X_val are in X, with the same rows"):
        RANKERS[name]().fit(X, Y, qid=QID, X_val=X_val, y_val=y_val, qid_val=qid_val)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        RANKERS[name]().fit(X, Y, qid=QID, X_val=X_val + 1, y_val=y_val, qid_val=qid_val)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("device", ["cuda", "cuda:7", "mps", "meta", "abacus", 3])
def test_devices_that_are_not_there_are_refused_before_boosters(no_training, device):
    with pytest.raises(ValueError, match="device must be 'auto' or one that torch can use here"):
        HyperDPORanker(device=device).fit(X, Y, qid=QID)


@pytest.mark.parametrize("seed", [-1, 2**40, "a", 1.5, np.random.default_rng(0)], ids=str)
def test_seeds_are_numbers_that_numpy_takes(no_training, seed):
    """Before, scikit-learn's or numpy's error."""
    with pytest.raises(ValueError, match="random_state must be a whole number from 0 to 2"):
        HyperDPORanker(random_state=seed).fit(X, Y, qid=QID)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("n_jobs", 0), ("n_jobs", "all"), ("verbose", "yes"), ("verbose", [])),
        *(("normalize_objectives", "no"), ("tuning", "no"), ("reference_objective", True)),
    ],
)
def test_counts_that_are_none_are_refused(no_training, name, value):
    """Before, joblib's and Python's words, the former after minutes, and text that counted as true."""
    with pytest.raises(ValueError, match=f"{name} must (be|name)"):
        HyperDPORanker(**{name: value}).fit(X, Y, qid=QID)


def test_rates_beyond_what_torch_takes_are_refused(no_training):
    """Before, torch's "value cannot be converted to type float without overflow"."""
    for optimizer in (AdamW(learning_rate=1e300), AdamW(weight_decay=1e300)):
        with pytest.raises(ValueError, match=r"must be a number .* below 1e\+38"):
            HyperDPORanker(optimizer=optimizer).fit(X, Y, qid=QID)


def test_validation_labels_that_measure_nothing():
    """Before, every epoch scored 0, so that the first was taken."""
    with pytest.raises(ValueError, match="y_val has no label above 0 in any objective"):
        HyperDPORanker(max_epochs=1).fit(X, Y, qid=QID, X_val=X[:10], y_val=0 * Y[:10], qid_val=QID[:10])
    half = {"X_val": X[:10], "y_val": Y[:10] * [1, 0], "qid_val": QID[:10]}
    with pytest.warns(UserWarning, match=r"y_val has no label above 0 in \['objective_1'\]"):
        HyperDPORanker(None, max_epochs=1).fit(X, Y, qid=QID, **half)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_scores_that_are_not_numbers_are_not_served():
    ranker = HyperDPORanker(None, max_epochs=2, optimizer=AdamW(learning_rate=1e6), random_state=0)
    with pytest.raises(FloatingPointError, match=r"(?i)lower"):
        ranker.fit(X, Y, qid=QID)
    assert not hasattr(ranker, "model_")


COUNTS = np.rint(np.expm1(Y * 2.5))
MEASURES = {
    "score": lambda ranker, labels: ranker.score(X[FEW], labels, qid=QID[FEW]),
    "pareto_front": lambda ranker, labels: ranker.pareto_front(X[FEW], labels, qid=QID[FEW]),
    "explain": lambda ranker, labels: ranker.explain(
        X[FEW], labels, qid=QID[FEW], weights=[[1, 0], [0, 1]], n_repeats=1, random_state=0
    ),
    "scorer": lambda ranker, labels: make_hypervolume_scorer()(ranker, X[FEW], labels, qid=QID[FEW]),
}


@pytest.mark.parametrize("name", MEASURES)
def test_labels_in_other_units_are_told_of(name, fitted):
    with pytest.warns(
        UserWarning, match=r"labels in y .*'objective_0' goes up to 22,025, and up to 4 in fit\)"
    ):
        MEASURES[name](fitted, np.column_stack([COUNTS[FEW, 0], Y[FEW, 1]]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        MEASURES[name](fitted, Y[FEW])
        MEASURES[name](fitted, (Y[FEW] > 2).astype(float))


def test_validation_labels_and_new_queries_in_other_units_are_told_of():
    ranker = RANKERS["HyperDPORanker"]()
    with pytest.warns(UserWarning, match="labels in y_val .*'objective_1' goes up to 22,025"):
        ranker.fit(X, Y, qid=QID, X_val=X[FEW], y_val=COUNTS[FEW], qid_val=QID[FEW])
    with pytest.warns(UserWarning, match="labels in y .*'objective_0' goes up to 22,025"):
        ranker.partial_fit(X[FEW], COUNTS[FEW], qid=QID[FEW])


@pytest.mark.parametrize("name", RANKERS)
def test_counts_under_exponential_gains_are_told_of(name):
    with pytest.warns(UserWarning, match=r"'objective_0' goes up to 22,025\).*quantile_grades"):
        RANKERS[name]().fit(X, np.column_stack([COUNTS[:, 0], Y[:, 1]]), qid=QID)
    linear = {"metric": "ndcg(gain=linear)@10"}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        MixedScoresRanker(booster_params=TREES, **linear).fit(X, COUNTS, qid=QID)


def test_fronts_leave_out_what_cannot_be_measured(fitted):
    """Before, one objective without a label above 0 on validation took the front of all."""
    nothing = np.column_stack([Y[FEW, 0], np.zeros(60)])
    with pytest.warns(
        UserWarning, match=r"objectives \['objective_1'\] of y have no list.*\['objective_0'\]"
    ):
        front = fitted.pareto_front(X[FEW], nothing, qid=QID[FEW])
    assert front.names == ["objective_0"]
    whole = fitted.pareto_front(X[FEW], Y[FEW], qid=QID[FEW], weights=[[1, 0]])
    assert front.points.to_numpy().tolist() == whole.points[["objective_0"]].to_numpy().tolist()
    served = fitted.predict(X[FEW], qid=QID[FEW], weights=front.select())
    np.testing.assert_array_equal(served, fitted.predict(X[FEW], qid=QID[FEW], weights=[1, 0]))
    with pytest.raises(
        ValueError, match=r"\['objective_1'\] of y have no list with a label above 0.*no weight"
    ):
        fitted.pareto_front(X[FEW], nothing, qid=QID[FEW], weights=[[1, 0], [0.5, 0.5]])
    with pytest.raises(ValueError, match="no list with a label above 0"):
        fitted.pareto_front(X[FEW], np.zeros((60, 2)), qid=QID[FEW])
