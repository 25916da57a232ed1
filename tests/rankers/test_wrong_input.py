"""Each mistake has an error of its own, and it comes before any training starts."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.exceptions import NotFittedError

from hyperrank import AdamW, EarlyStopping, HyperDPORanker, TradeOffs
from hyperrank.losses import ListNet, PlackettLuce
from hyperrank.networks import MLP


@pytest.fixture(autouse=True)
def no_training(monkeypatch):
    """Fail when anything is trained."""

    def refuse(*_args, **_kwargs):
        pytest.fail("training started before the input was refused")

    for name in ("dpo.reference.fit_reference_model", "hyperdpo.train_reward_model"):
        monkeypatch.setattr(f"hyperrank.rankers.{name}", refuse)


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    return {
        "X": rng.normal(size=(12, 3)),
        "y": rng.integers(0, 3, size=(12, 2)),
        "qid": np.repeat([0, 1, 2], 4),
    }


def with_entry(array, value, at=(5, 1)):
    changed = np.array(array, dtype=float)
    changed[at] = value
    return changed


FIT_MISTAKES = {
    "labels too short": (lambda d: {"y": d["y"][:-1]}, "11.*12"),
    "no labels": (lambda _: {"y": None}, "requires y to be passed"),
    "labels of three dimensions": (lambda d: {"y": d["y"][:, :, None]}, "dim 3|shape"),
    "negative label": (lambda d: {"y": with_entry(d["y"], -1)}, "-1.0 at row 5, column 1"),
    "infinite label": (lambda d: {"y": with_entry(d["y"], np.inf)}, "y contains infinity"),
    "label too large": (lambda d: {"y": with_entry(d["y"], 1e39)}, "up to 3e38"),
    "text label": (lambda d: {"y": np.array(["good"] * len(d["y"]))}, "y holds 'good' at row 0, not numbers"),
    "infinite feature": (lambda d: {"X": with_entry(d["X"], np.inf)}, "X contains infinity"),
    "no rows": (lambda _: {"X": np.zeros((0, 3)), "y": np.zeros((0, 2)), "qid": []}, "0 sample"),
    "qid too short": (lambda d: {"qid": d["qid"][:-1]}, "qid has 11 entries, but there are 12 rows"),
    "qid of a matrix": (lambda d: {"qid": d["X"]}, "qid must be one-dimensional"),
    "qid missing in part": (
        lambda d: {"qid": [None if q == 1 else q for q in d["qid"]]},
        "qid is missing for 4 of 12 rows, first at row 4",
    ),
    "qid given twice": (
        lambda d: {"X": pd.DataFrame(d["X"], columns=list("abc")).assign(qid=range(12))},
        "column 'qid' of X, and they differ",
    ),
    "qid given twice, once in part": (
        lambda d: {"X": pd.DataFrame(d["X"], columns=list("abc")).assign(qid=pd.array([pd.NA] * 12))},
        "qid is missing for 12 of 12 rows",
    ),
    "ids of a lazy frame": (
        lambda d: {"X": pl.DataFrame({"a": d["X"][:, 0], "qid": d["qid"]}).lazy()},
        "X is a LazyFrame",
    ),
    "features with a gradient": (
        lambda d: {"X": torch.tensor(d["X"], requires_grad=True)},
        "X is a tensor with a gradient",
    ),
    "qid with a gradient": (
        lambda d: {"qid": torch.tensor(d["qid"].astype(float), requires_grad=True)},
        "qid: Can't call",
    ),
    "ref_scores not asked for": (
        lambda _: {"ref_scores": np.zeros(12)},
        "only reference='scores' reads them",
    ),
    "ref_scores too short": (lambda _: {"ref_scores": np.zeros(3)}, "ref_scores has shape"),
    "query_weight differs in a query": (
        lambda _: {"query_weight": np.arange(12)},
        "differs between rows of query 0",
    ),
    "query_weight negative": (lambda _: {"query_weight": -np.ones(12)}, "must not be negative"),
    "query_weight all zero": (lambda _: {"query_weight": np.zeros(12)}, "0 for every query"),
    "X_val without y_val": (lambda d: {"X_val": d["X"]}, "X_val was given without y_val"),
    "y_val without X_val": (lambda d: {"y_val": d["y"]}, "without X_val"),
    "X_val of other width": (
        lambda d: {"X_val": d["X"][:, :2], "y_val": d["y"], "qid_val": d["qid"]},
        "2 features.*3 features",
    ),
    "y_val of other width": (
        lambda d: {"X_val": d["X"], "y_val": d["y"][:, :1], "qid_val": d["qid"]},
        "y_val has 1 objectives, but y has 2",
    ),
    "unobserved objective": (
        lambda d: {"y": with_entry(d["y"], np.nan, at=(slice(None), 1))},
        "objective_1.*no label",
    ),
}


@pytest.mark.filterwarnings("ignore:Determining the column names of a LazyFrame")
@pytest.mark.parametrize("mistake", FIT_MISTAKES)
def test_fit_refuses(data, mistake):
    change, message = FIT_MISTAKES[mistake]
    arguments = {**data, **change(data)}
    with pytest.raises((ValueError, TypeError), match=f"(?s){message}"):
        HyperDPORanker().fit(arguments.pop("X"), arguments.pop("y"), **arguments)


OPTION_MISTAKES = {
    "reference": ("xgboost", "reference must be None, one of"),
    "reference_objective": ("clicks", "reference_objective is 'clicks'"),
    "objectives": (["a"], "objectives"),
    "loss": ("hinge", "loss must be"),
    "loss.gain": (ListNet("cubic"), "gain must be 'exp2' or 'linear'"),
    "loss.ties": (PlackettLuce(ties="coin"), "ties must be 'random'"),
    "loss.top_k": (PlackettLuce(top_k=0), "top_k must be a whole number at least 1"),
    "beta": (0.0, "beta must be a number above 0"),
    "network": ("magic", "network must be one of"),
    "network.conditioning": (MLP(conditioning="magic"), "conditioning must be one of"),
    "network.hidden": (MLP(hidden=(0,)), "hidden must be a whole number at least 1"),
    "network.dropout": (MLP(dropout=1.0), "dropout must be a number at least 0 and below 1"),
    "feature_transform": ("pca", "feature_transform must be one of"),
    "trade_offs": ("corners", "trade_offs must be 'uniform' or an object"),
    "trade_offs.alpha": (TradeOffs(alpha=-1.0), "alpha must be a number above 0"),
    "trade_offs.n_draws": (TradeOffs(n_draws=0), "n_draws must be"),
    "trade_offs.temperature_range": (TradeOffs(temperature_range=(2, 3)), "temperature_range must be"),
    "max_epochs": ("many", "max_epochs must be"),
    "optimizer": ("sgd", "optimizer must be 'adamw' or an object"),
    "optimizer.batch_docs": (AdamW(batch_docs=0), "batch_docs must be"),
    "optimizer.learning_rate": (AdamW(learning_rate=float("nan")), "learning_rate must be"),
    "optimizer.average_decay": (AdamW(average_decay=1.0), "average_decay must be"),
    "early_stopping": ("maybe", "early_stopping must be"),
    "early_stopping.fraction": (EarlyStopping(fraction=1.5), "fraction must be"),
    "early_stopping.patience": (EarlyStopping(patience=0), "patience must be"),
    "metric": ("ndgc@10", "unknown metric 'ndgc'"),
    "device": ("abacus", "device must be"),
    "query_standardize": ("often", "query_standardize must be"),
}


@pytest.mark.parametrize("option", OPTION_MISTAKES)
def test_options_are_checked_before_training(data, option):
    value, message = OPTION_MISTAKES[option]
    ranker = HyperDPORanker(**{"early_stopping": True, option.partition(".")[0]: value})
    with pytest.raises(ValueError, match=message):
        ranker.fit(data["X"], data["y"], qid=data["qid"])


def test_early_stopping_needs_a_query_to_hold_out(data):
    with pytest.raises(ValueError, match="needs X_val, or at least 2 queries"):
        HyperDPORanker(early_stopping=True).fit(data["X"], data["y"])


PREDICT_MISTAKES = {
    "weights off the simplex": ({"weights": [0.5, 0.6]}, "must sum to 1"),
    "negative weight": ({"weights": [1.5, -0.5]}, "must not be negative"),
    "too many weights": ({"weights": [0.2, 0.3, 0.5]}, r"shape \(3,\); expected \(2,\) or \(k, 2\)"),
    "unknown objective": ({"weights": {"dwell": 1.0}}, "unknown objectives \\['dwell'\\]"),
    "negative temperature": ({"temperature": -1.0}, "temperature must be a number at least 0"),
    "ref_scores not asked for": ({"ref_scores": np.zeros(12)}, "only reference='scores' reads them"),
    "qid too long": ({"qid": np.arange(13)}, "qid has 13 entries"),
}


@pytest.mark.parametrize("mistake", PREDICT_MISTAKES)
def test_predict_refuses(fitted, mistake):
    arguments, message = PREDICT_MISTAKES[mistake]
    with pytest.raises(ValueError, match=message):
        fitted.predict(np.zeros((12, 8)), **arguments)


def test_other_features_than_fitted_are_refused(fitted):
    with pytest.raises(ValueError, match="3 features"):
        fitted.predict(np.zeros((12, 3)))


@pytest.mark.parametrize("method", ["predict", "score", "pareto_front"])
def test_unfitted_use_is_refused(data, method):
    arguments = (data["X"],) if method == "predict" else (data["X"], data["y"])
    with pytest.raises(NotFittedError, match="not fitted yet"):
        getattr(HyperDPORanker(), method)(*arguments)


def test_labels_of_another_shape_are_refused_when_scoring(fitted):
    with pytest.raises(ValueError, match=r"y has 3 objectives; the ranker was fitted on 2"):
        fitted.score(np.zeros((12, 8)), np.ones((12, 3)))
    with pytest.raises(ValueError, match="one trade-off"):
        fitted.score(np.zeros((12, 8)), np.ones((12, 2)), weights=[[1, 0], [0, 1]])
    with pytest.raises(ValueError, match="sample_weight must not be negative; got -1"):
        fitted.score(np.zeros((12, 8)), np.ones((12, 2)), sample_weight=-np.ones(12))
    with pytest.raises(ValueError, match="no list with a label above 0"):
        fitted.pareto_front(np.zeros((12, 8)), np.zeros((12, 2)))


def test_scores_reference_needs_scores(data):
    with pytest.raises(ValueError, match="needs ref_scores"):
        HyperDPORanker(reference="scores").fit(data["X"], data["y"], qid=data["qid"])
