"""Whatever is handed to a ranker, it ranks or says which argument is wrong; never anything else."""

import re
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, note
from sklearn.base import clone
from strategies import (
    COLUMN_FAULTS,
    FAULTS,
    FRAMES,
    N_ROWS,
    SEEDS,
    UNNAMED,
    Data,
    examples,
    fit_data,
    make_wrong,
    one_of,
    plain_ids,
    right_features,
    right_ids,
    right_labels,
)

from hyperrank import (
    HyperDPORanker,
    LightGBMScalarizationRanker,
    LinearScalarizationRanker,
    MixedScoresRanker,
    MODPORanker,
    SoupRanker,
    TradeOffs,
)
from hyperrank._categories import categorical_of
from hyperrank.losses import ApproxNDCG, LambdaLoss, ListNet, PlackettLuce, get_loss
from hyperrank.metrics import parse_metric
from hyperrank.networks import MLP, Transformer
from hyperrank.simplex import lattice

#: scikit-learn's own; not every case hands over what fit was given.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:X has feature names:UserWarning"),
    pytest.mark.filterwarnings("ignore:labels (of|in) :UserWarning"),  # counts are among them
    pytest.mark.filterwarnings("ignore:each of the .* is a query of its own:UserWarning"),
]

BOOSTERS = {"num_boost_round": 2, "num_leaves": 3, "min_data_in_leaf": 2}
TINY = {"max_epochs": 1, "booster_params": BOOSTERS, "n_jobs": 1, "random_state": 0}
HIDDEN = (16, 16)

CHOICES = {
    "reference": [None, None, None, None, None, None, "booster_pairs", "boosters", "lightgbm"],
    "loss": [
        *("listnet", ListNet("linear"), "approx_ndcg", ApproxNDCG("linear"), "pairwise_logistic"),
        *(PlackettLuce(top_k, ties) for top_k in (None, 1, 10) for ties in ("random", "rating")),
        *(LambdaLoss(gain, top_k) for gain in ("exp2", "linear") for top_k in (None, 1, 10)),
    ],
    "network": [
        *(MLP(HIDDEN, conditioning) for conditioning in ("film", "concat", "hypernetwork")),
        Transformer(HIDDEN),
    ],
    "feature_transform": ["quantile", "standard", "log", "none"],
    "query_standardize": [True, False, "auto"],
    "normalize_objectives": [True, False],
    "early_stopping": ["auto", True],
}


def network(rng: np.random.Generator) -> HyperDPORanker:
    """A small network of any kind."""
    options = {name: one_of(choices, rng) for name, choices in CHOICES.items()}
    is_listnet = isinstance(get_loss(options["loss"]), ListNet)
    if options["reference"] is not None and is_listnet and isinstance(options["network"], MLP):
        options["trade_offs"] = TradeOffs(temperature_range=one_of([None, (0.5, 2.0), (1e-6, 1e6)], rng))
    return HyperDPORanker(**options, **TINY)


def boosters(_: np.random.Generator) -> MixedScoresRanker:
    return MixedScoresRanker(booster_params=BOOSTERS, n_jobs=1, random_state=0)


SHARED = ("loss", "feature_transform", "query_standardize", "early_stopping")
REFERENCES = (None, None, None, "boosters", "lightgbm")


def baseline(rng: np.random.Generator) -> Any:
    """A small ranker of the kinds that hold a model per trade-off or per objective."""
    if rng.random() < 0.3:
        mixing = one_of(["gradients", "labels"], rng)
        return LightGBMScalarizationRanker(
            4, mixing=mixing, off_grid="interpolate", booster_params=BOOSTERS, n_jobs=1, random_state=0
        )
    options = {name: one_of(CHOICES[name], rng) for name in SHARED}
    options |= {**TINY, "network": MLP(HIDDEN), "reference": one_of(REFERENCES, rng)}
    if rng.random() < 0.5:
        return SoupRanker(**options)
    kind = one_of([LinearScalarizationRanker, MODPORanker], rng)
    return kind(4, off_grid="interpolate", **options)


@pytest.fixture(autouse=True, scope="module")
def torch_warns_always():
    """Each time, not once per process."""
    torch.set_warn_always(True)
    yield
    torch.set_warn_always(False)


def trade_offs(ranker: Any, weights: np.ndarray) -> pd.DataFrame:
    """Trade-offs of all rows, also where there are as many as rows."""
    index = pd.RangeIndex(len(weights), name="trade_off")
    return pd.DataFrame(weights, columns=list(ranker.objectives_), index=index)


def checked(ranker: Any, data: Data, *, twice: bool = False) -> None:
    """Fit, predict, score and profile right data, and check all that comes out.

    Plain numbers must give the same, and so must fitting to them, which is looked at if `twice`.
    """
    note(f"{ranker} on {data}")
    n, m = data.labels.shape
    if data.n_queries <= m and hasattr(ranker, "early_stopping"):
        ranker.set_params(early_stopping="auto")  # each query may be needed to learn an objective from
    ranker.fit(data.X, data.y, qid=data.qid)
    weights = lattice(m, 2)
    table = trade_offs(ranker, weights)
    scores = ranker.predict(data.X, qid=data.qid, weights=table)
    assert scores.shape == (n, len(weights))
    assert scores.dtype == np.float64
    assert np.isfinite(scores).all()
    np.testing.assert_array_equal(
        ranker.predict(as_fitted(ranker, data.plain), qid=data.qid, weights=table), scores
    )
    ids = plain_ids(data.qid, n)
    if twice:
        again = clone(ranker).set_params(categorical_features=categorical_of(ranker) or "from_dtype")
        again.fit(as_fitted(ranker, data.plain), data.labels, qid=ids)
        np.testing.assert_array_equal(
            again.predict(data.X, qid=data.qid, weights=trade_offs(again, weights)), scores
        )
    # In the caller's order, without what rankers do to group rows.
    points = np.atleast_2d(parse_metric("ndcg@10")(scores, data.labels, qid=ids))
    front = ranker.pareto_front(data.X, data.y, qid=data.qid, weights=weights)
    np.testing.assert_allclose(front.points.to_numpy(), points, rtol=1e-6, atol=1e-9)
    assert points.min() >= 0
    assert points.max() <= 1
    score = ranker.score(data.X, data.y, qid=data.qid, weights=weights[0])
    assert score == pytest.approx(points[0] @ weights[0], rel=1e-6, abs=1e-9)


def as_fitted(ranker: Any, values: np.ndarray) -> Any:
    """Plain numbers under the names that the ranker was fitted with."""
    names = getattr(ranker, "feature_names_in_", None)
    return values if names is None else pd.DataFrame(values, columns=names)


def refused(call: Any, faults: set[str]) -> None:
    """Check that a call is refused with the name of an argument that is at fault."""
    note(f"at fault: {faults}")
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    assert type(caught.value) in (ValueError, TypeError)
    assert re.search(rf"\b({'|'.join(faults)})\b", str(caught.value)), str(caught.value)


@examples(900)
@given(seed=SEEDS)
def test_a_network_ranks_whatever_is_right(seed):
    rng = np.random.default_rng(seed)
    checked(network(rng), fit_data(rng), twice=seed % 4 == 0)


@examples(300)
@given(seed=SEEDS)
def test_boosters_rank_whatever_is_right(seed):
    rng = np.random.default_rng(seed)
    checked(boosters(rng), fit_data(rng), twice=True)


@examples(200)
@given(seed=SEEDS)
def test_baselines_rank_whatever_is_right(seed):
    rng = np.random.default_rng(seed)
    checked(baseline(rng), fit_data(rng), twice=seed % 2 == 0)


@examples(1000)
@given(seed=SEEDS)
def test_fit_names_what_is_wrong(seed):
    rng = np.random.default_rng(seed)
    ranker, data = one_of([network, boosters, baseline], rng)(rng), fit_data(rng, faulty=True)
    note(f"{ranker} on {data}")
    refused(lambda: ranker.fit(data.X, data.y, qid=data.qid), data.faults)
    assert not hasattr(ranker, "objectives_")


@examples(20)
@given(seed=SEEDS)
def test_thousands_of_one_document_queries(seed):
    rng = np.random.default_rng(seed)
    data = fit_data(rng, n_rows=[(1500, 3000)])
    data.qid = rng.permutation(len(data.labels))
    checked(one_of([network, boosters], rng)(rng), data)


@cache
def fitted(named: bool, at: int) -> Any:
    """One of some rankers that know three features, by name or by position."""
    rng = np.random.default_rng(at)
    X, Y = rng.normal(size=(60, 3)), rng.integers(0, 4, (60, 2))
    X[rng.random(X.shape) < 0.1 * (at % 2)] = np.nan
    ranker = boosters(rng) if at == 0 else network(rng)
    return ranker.fit(pd.DataFrame(X, columns=["f0", "f1", "f2"]) if named else X, Y, qid=np.arange(60) // 6)


@examples(700)
@given(seed=SEEDS)
def test_new_documents_are_scored_whatever_holds_them(seed):
    rng = np.random.default_rng(seed)
    low, high = one_of(N_ROWS, rng)
    n = int(rng.integers(low, high + 1))
    containers = one_of([UNNAMED, FRAMES], rng)
    ranker = fitted(containers is FRAMES, int(rng.integers(12)))
    X, plain, about = right_features(n, 3, rng, containers)
    qid, _ = right_ids(n, rng)
    weights = rng.dirichlet([1.0, 1.0], size=int(rng.integers(1, 5)))
    table = trade_offs(ranker, weights)
    scores = ranker.predict(X, qid=qid, weights=table)
    assert scores.shape == (n, len(weights)), about
    assert np.isfinite(scores).all(), about
    plain = as_fitted(ranker, plain)
    np.testing.assert_array_equal(ranker.predict(plain, qid=qid, weights=table), scores, err_msg=about)


@examples(700)
@given(seed=SEEDS)
def test_scoring_names_what_is_wrong(seed):
    rng = np.random.default_rng(seed)
    ranker = fitted(False, int(rng.integers(12)))
    n = int(rng.integers(2, 12))
    data = Data(None, None, None, set(), rng.normal(size=(n, 3)), rng.integers(0, 3, (n, 2)), "new rows")
    data.X, data.y = data.plain, data.labels
    make_wrong(data, one_of(FAULTS, rng), rng)
    calls = [
        lambda: ranker.score(data.X, data.y, qid=data.qid),
        lambda: ranker.pareto_front(data.X, data.y, qid=data.qid),
    ]
    if "y" not in data.faults:
        calls.append(lambda: ranker.predict(data.X, qid=data.qid))
    note(f"{ranker} on {data}")
    refused(one_of(calls, rng), data.faults)


@examples(400)
@given(seed=SEEDS)
def test_side_arguments_are_read_or_named(seed):
    """Validation data, reference scores and weights: of any kind that is right, or refused by name."""
    rng = np.random.default_rng(seed)
    X, Y, qid = rng.normal(size=(12, 3)), rng.integers(0, 3, (12, 2)), np.arange(12) // 3
    new_X, new_Y = rng.normal(size=(7, 3)), rng.integers(0, 3, (7, 2))
    val = Data(None, None, None, set(), new_X, new_Y, "validation data")
    val.X, val.y = right_features(7, 3, rng, UNNAMED)[0], right_labels(7, 2, rng)[0]
    val.qid = right_ids(7, rng)[0]
    val.qid = np.zeros(7) if val.qid is None else val.qid
    columns = {
        "ref_scores": rng.normal(size=12),
        "ref_scores_val": rng.normal(size=7),
        "query_weight": qid + 1.0,
    }
    faulty = one_of([None, *FAULTS, *columns], rng)
    if faulty in FAULTS:
        make_wrong(val, faulty, rng)
    elif faulty is not None:
        columns[faulty] = COLUMN_FAULTS[one_of(COLUMN_FAULTS, rng)](columns[faulty], rng)
    ranker = HyperDPORanker(reference="scores", early_stopping=True, **TINY)
    labels = pd.DataFrame(Y, columns=["label0", "label1"])

    note(f"{val}, {columns}")

    def call() -> None:
        ranker.fit(X, labels, qid=qid, X_val=val.X, y_val=val.y, qid_val=val.qid, **columns)

    if faulty is None:
        call()
        assert np.isfinite(ranker.predict(X, qid=qid, ref_scores=columns["ref_scores"])).all()
    else:
        refused(call, {f"{faulty}_val" if faulty in FAULTS else faulty})
