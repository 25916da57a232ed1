"""Weights per query and per row: the scores are those of each trade-off alone, and doubt is refused."""

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingRegressor

from hyperrank import (
    HyperDPORanker,
    LightGBMScalarizationRanker,
    LinearScalarizationRanker,
    MixedScoresRanker,
    MODPORanker,
    PerQuery,
    PerRow,
    SoupRanker,
    datasets,
)
from hyperrank.networks import MLP
from hyperrank.rankers.base import BaseRanker
from hyperrank.weights import RowWeights

NAMES = ("relevance", "clicks", "margin")
DATA = datasets.make_multilabel_ranking(
    n_queries=25, list_size=(2, 20), n_features=6, n_objectives=3, conflict=0.7, random_state=3
)
BOOSTERS = {"num_boost_round": 4, "num_leaves": 4, "min_data_in_leaf": 3}
SMALL = {"objectives": NAMES, "booster_params": BOOSTERS, "n_jobs": 1, "random_state": 0}
BRIEF = {**SMALL, "max_epochs": 2, "network": MLP(hidden=(16, 16), dropout=0.0), "beta": 0.5}
GRID = np.vstack([np.eye(3), np.full(3, 1 / 3)])


class Plain(BaseRanker):
    """A ranker that says no more than it must."""

    metric = "ndcg@10"

    def fit(self, X: Any, y: Any, *, qid: Any = None) -> "Plain":
        self.objectives_, self.n_features_in_ = NAMES, X.shape[1]
        return self

    def _scores(self, data: Any, weights: np.ndarray) -> np.ndarray:
        return data.X[:, :3] @ weights.T


RANKERS = {
    "film": HyperDPORanker(**BRIEF),
    "concat": HyperDPORanker(
        None,
        query_standardize=True,
        **{**BRIEF, "network": MLP(hidden=(16, 16), dropout=0.0, conditioning="concat")},
    ),
    "hypernetwork": HyperDPORanker(
        "lightgbm", **{**BRIEF, "network": MLP(hidden=(16, 16), dropout=0.0, conditioning="hypernetwork")}
    ),
    "mixed scores": MixedScoresRanker(**SMALL),
    "mixed models": MixedScoresRanker(HistGradientBoostingRegressor(max_iter=3), objectives=NAMES),
    "soup": SoupRanker(**BRIEF),
    "soup alone": SoupRanker(None, **BRIEF),
    "boosters": LightGBMScalarizationRanker(GRID, off_grid="interpolate", **SMALL),
    "nearest boosters": LightGBMScalarizationRanker(GRID, off_grid="nearest", **SMALL),
    "networks": LinearScalarizationRanker(GRID, off_grid="interpolate", **BRIEF),
    "nearest networks": LinearScalarizationRanker(GRID, off_grid="nearest", **BRIEF),
    "modpo": MODPORanker(weights=GRID, off_grid="interpolate", **BRIEF),
    "plain": Plain(),
}
FITTED: dict[str, Any] = {}
X = DATA.X.copy()
X[np.random.default_rng(0).random(X.shape) < 0.05] = np.nan
X[:, :3] = DATA.X[:, :3]


def fitted(name: str) -> Any:
    if name not in FITTED:
        FITTED[name] = RANKERS[name].fit(X, DATA.Y, qid=DATA.qid)
    return FITTED[name]


def table_of(qid: np.ndarray, seed: int = 0, u: int = 6) -> pd.DataFrame:
    """Weights of every query and of one without rows, its columns and rows in another order."""
    rng = np.random.default_rng(seed)
    some = np.vstack([np.eye(3), rng.dirichlet([1.0] * 3, u)])
    ids = np.append(np.unique(qid), 12345)
    weights = some[rng.integers(len(some), size=len(ids))]
    table = pd.DataFrame(weights, index=pd.Index(ids, name="qid"), columns=NAMES)
    return table.iloc[rng.permutation(len(ids))][["margin", "relevance", "clicks"]]


def one_by_one(ranker: Any, weights: np.ndarray, **options: Any) -> np.ndarray:
    """Scores of each row, from a prediction of all rows under its trade-off alone."""
    out = np.empty(len(weights))
    for mix in np.unique(weights, axis=0):
        rows = (weights == mix).all(axis=1)
        out[rows] = ranker.predict(X, qid=options.get("qid"), weights=mix, **options.get("more", {}))[rows]
    return out


@pytest.mark.parametrize("name", RANKERS)
def test_each_query_is_scored_as_under_its_weights_alone(name):
    """Rows of a query are not together, and queries in no order."""
    ranker, rng = fitted(name), np.random.default_rng(1)
    qid = DATA.qid[np.argsort(rng.random(len(X)))]
    table = table_of(qid)
    expected = one_by_one(ranker, table.loc[qid, list(NAMES)].to_numpy(), qid=qid)
    scores = ranker.predict(X, qid=qid, weights=table)
    assert scores.shape == (len(X),)
    np.testing.assert_array_equal(scores, expected)


@pytest.mark.parametrize("name", RANKERS)
def test_each_row_is_scored_as_under_its_weights_alone(name):
    ranker, rng = fitted(name), np.random.default_rng(2)
    qid = DATA.qid[np.argsort(rng.random(len(X)))]
    some = np.vstack([np.eye(3), rng.dirichlet([1.0] * 3, 7)])
    weights = some[rng.integers(len(some), size=len(X))]
    expected = one_by_one(ranker, weights, qid=qid)
    np.testing.assert_array_equal(ranker.predict(X, qid=qid, weights=PerRow(weights)), expected)
    swapped = pd.DataFrame(weights, columns=NAMES)[["margin", "relevance", "clicks"]]
    np.testing.assert_array_equal(ranker.predict(X, qid=qid, weights=PerRow(swapped)), expected)


@pytest.mark.parametrize("temperature", [0.0, 2.5])
def test_temperature_pulls_here_too(temperature):
    ranker, table = fitted("film"), table_of(DATA.qid)
    weights = table.loc[DATA.qid, list(NAMES)].to_numpy()
    more = {"temperature": temperature}
    expected = one_by_one(ranker, weights, qid=DATA.qid, more=more)
    np.testing.assert_array_equal(ranker.predict(X, qid=DATA.qid, weights=table, **more), expected)


def test_all_ways_to_say_it_say_the_same():
    ranker, table = fitted("mixed scores"), table_of(DATA.qid)
    expected = ranker.predict(X, qid=DATA.qid, weights=table)
    frame = pd.DataFrame(X).assign(qid=DATA.qid).rename(columns=str)
    named = MixedScoresRanker(**SMALL).fit(frame, DATA.Y)
    ordered = table[list(NAMES)]
    for weights in (
        PerQuery(table),
        PerQuery(table.rename_axis(None)),
        PerQuery(dict(zip(ordered.index.tolist(), ordered.to_numpy(), strict=True))),
        table.reset_index(),
        pl.from_pandas(table.reset_index()),
        PerQuery(pl.from_pandas(table.reset_index())),
    ):
        assert (ranker.predict(X, qid=DATA.qid, weights=weights) == expected).all()
        assert (named.predict(frame, weights=weights) == expected).all()


@pytest.mark.parametrize(
    "kind", [str, float, lambda q: ("shop", q), lambda q: pd.Timestamp(2026, 1, 1 + q % 28)]
)
def test_ids_of_any_kind(kind):
    ranker = fitted("mixed scores")
    ids = np.empty(len(X), dtype=object)
    ids[:] = [kind(int(q)) for q in DATA.qid]
    known = dict.fromkeys(ids)
    weights = np.random.default_rng(0).dirichlet([1.0] * 3, len(known))
    number = {q: i for i, q in enumerate(known)}
    expected = ranker.predict(X, weights=PerRow(weights[[number[q] for q in ids]]))
    assert (
        ranker.predict(X, qid=ids, weights=PerQuery(dict(zip(known, weights, strict=True)))) == expected
    ).all()


def test_k_trade_offs_stay_k_trade_offs():
    ranker = fitted("mixed scores")
    front = ranker.pareto_front(X, DATA.Y, qid=DATA.qid, weights=GRID)
    expected = ranker.predict(X, weights=GRID)
    swapped = front.weights[["clicks", "margin", "relevance"]]
    for weights in (front.weights, pd.DataFrame(GRID, columns=NAMES), pd.DataFrame(GRID), swapped):
        assert (ranker.predict(X, qid=DATA.qid, weights=weights) == expected).all()
    some = front.weights[front.non_dominated]
    assert (ranker.predict(X, weights=some) == expected[:, front.non_dominated]).all()
    assert (ranker.pareto_front(X, DATA.Y, qid=DATA.qid, weights=swapped).points == front.points).all().all()


@pytest.mark.parametrize("name", ["boosters", "networks"])
def test_weights_that_are_not_held_are_refused_where_one_would_be(name):
    strict = fitted(name).__class__(GRID, **(SMALL if name == "boosters" else BRIEF))
    vars(strict).update({key: value for key, value in vars(fitted(name)).items() if key.endswith("_")})
    held = np.repeat(GRID, 50, axis=0)[: len(X)]
    held = np.resize(held, (len(X), 3))
    assert (strict.predict(X, weights=PerRow(held)) == one_by_one(strict, held)).all()
    held[7] = [0.9, 0.1, 0]
    with pytest.raises(ValueError, match=r"holds no model for weights \[0\.9, 0\.1, 0\]"):
        strict.predict(X, weights=PerRow(held))


@given(data=st.data(), u=st.integers(1, 6), n=st.integers(1, 20))
def test_distinct_mixes_are_the_same_rows(data, u, n):
    row_weights = np.array(
        data.draw(st.lists(st.lists(st.integers(0, 2), min_size=2, max_size=2), min_size=u, max_size=u))
    )
    index = np.array(data.draw(st.lists(st.integers(0, u - 1), min_size=n, max_size=n)))
    found = RowWeights(row_weights.astype(float), index).distinct
    assert (found.by_row == row_weights[index]).all()
    assert len(np.unique(found.weights, axis=0)) == len(found.weights)
    assert len(found.weights) == len(np.unique(row_weights[index], axis=0))


QIDS = np.unique(DATA.qid)
WEIGHTS = np.full((len(QIDS), 3), 1 / 3)


def by_qid(**changes: Any) -> pd.DataFrame:
    given = {"data": WEIGHTS, "index": pd.Index(QIDS, name="qid"), "columns": NAMES}
    return pd.DataFrame(**given | changes)


@pytest.mark.parametrize(
    ("weights", "options", "message"),
    [
        (
            by_qid(index=QIDS),
            {},
            r"index \(0, 1, 2, \.\.\.\) may be query ids or not.*rename_axis\('qid'\).*PerRow",
        ),
        (
            by_qid(index=pd.Index(QIDS, name="query")),
            {},
            r"may be query ids or not.*PerQuery\(weights\).*to_numpy",
        ),
        (by_qid().iloc[3:], {}, rf"lack 3 of {len(QIDS)} queries, first \d+: give a row for every query"),
        (
            by_qid(index=pd.Index(QIDS.astype(str), name="qid")),
            {},
            "ids in qid are int, those of weights str",
        ),
        (pd.concat([by_qid(), by_qid().iloc[[4]]]), {}, rf"hold query {QIDS[4]} more than once"),
        (
            by_qid(columns=["relevance", "clicks", "sales"]),
            {},
            r"columns of weights are \[.*'sales'\]; expected",
        ),
        (by_qid(data=WEIGHTS * 2), {}, "weights must sum to 1"),
        (by_qid(), {"qid": None}, "weights are given by query, but which rows .* pass qid"),
        (
            PerRow(WEIGHTS),
            {},
            rf"PerRow was given weights of shape \({len(QIDS)}, 3\); expected \({len(X)}, 3\)",
        ),
        (PerRow([0.2, 0.3, 0.5]), {}, r"PerRow was given weights of shape \(3,\)"),
        (
            PerQuery({"relevance": 0.5, "clicks": 0.5}),
            {},
            r"weights have shape \(2,\)|PerQuery was given weights",
        ),
        (PerQuery({0: 0.2, 1: 0.3, 2: 0.5}), {}, r"PerQuery was given weights of shape \(3,\) for 3 queries"),
        (
            np.ones((len(X), 1, 3)) / 3,
            {},
            r"shape \(\d+, 1, 3\).*PerRow\(weights\) of shape \(n, m\); per query",
        ),
    ],
)
def test_doubt_is_refused_with_the_way_to_write_it(weights: Any, options: dict, message: str):
    with pytest.raises(ValueError, match=message):
        fitted("mixed scores").predict(X, **{"qid": DATA.qid, "weights": weights} | options)


def test_wrappings_refuse_each_others_things():
    with pytest.raises(ValueError, match=r"PerQuery takes a frame indexed by .* got ndarray.*PerRow"):
        PerQuery(WEIGHTS)
    with pytest.raises(ValueError, match=r"PerRow takes weights .* got dict.*PerQuery"):
        PerRow({"a": [1, 0, 0]})
    with pytest.raises(ValueError, match="column 'qid' of a frame that has no index"):
        PerQuery(pl.DataFrame(WEIGHTS, schema=NAMES))
    for call in (fitted("mixed scores").score, fitted("mixed scores").pareto_front):
        with pytest.raises(ValueError, match="per query or row are for predict"):
            call(X, DATA.Y, qid=DATA.qid, weights=by_qid())


def test_many_queries_are_matched_and_scored_in_seconds():
    import time

    n, u = 200_000, 20_000
    ranker = fitted("mixed models")
    qid = np.arange(n) % u
    weights = np.random.default_rng(0).dirichlet([1.0] * 3, u)
    rows = np.resize(np.nan_to_num(X), (n, X.shape[1]))
    begin = time.perf_counter()
    scores = ranker.predict(rows, qid=qid, weights=pd.DataFrame(weights, columns=NAMES).rename_axis("qid"))
    assert time.perf_counter() - begin < 20
    some = np.arange(0, n, 40_001)
    alone = [ranker.predict(rows[[i]], weights=weights[qid[i]])[0] for i in some]
    np.testing.assert_array_equal(scores[some], alone)
