"""Rankings as tables, and one query under two trade-offs."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from hyperrank import HyperDPORanker, ParetoFront
from hyperrank.networks import MLP
from hyperrank.rankers import BaseRanker
from hyperrank.rankers.inputs import read_labelled

#: What each of five features adds to two objectives; the last one is of the query.
COEFFICIENTS = np.array([[1.0, 0], [0.5, 0.5], [0, 2.0], [0, 0], [3.0, 1.0]])
QID = np.array(["b", "a"])[[0, 0, 1, 0, 1, 1, 0, 0]]


class KnownRanker(BaseRanker):
    """Scores that are known: a sum of features per objective, mixed by the weights."""

    def __init__(self, metric: str = "ndcg@10") -> None:
        self.metric = metric

    def fit(self, X: Any, y: Any, qid: Any = None) -> "KnownRanker":
        names = ("relevance", "clicks")
        self.objectives_ = read_labelled(self, X, y, qid, reset=True, objectives=names).names
        return self

    def _scores(self, data: Any, weights: np.ndarray) -> np.ndarray:
        return np.asarray(data.X).astype(np.float64) @ COEFFICIENTS @ weights.T


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    X = np.random.default_rng(0).normal(size=(8, 5)).astype(np.float32)
    X[:, 4] = QID == "a"
    return pd.DataFrame(X, columns=list("uvwxy"), index=[f"doc{i}" for i in range(8)])


@pytest.fixture(scope="module")
def ranker(frame) -> KnownRanker:
    return KnownRanker().fit(frame, np.ones((8, 2)), qid=QID)


def test_documents_by_rank(ranker, frame):
    table = ranker.rank(frame, qid=QID, weights=[1, 0])
    scores = pd.Series(ranker.predict(frame, qid=QID, weights=[1, 0]), index=frame.index)
    assert table["query"].tolist() == ["b"] * 5 + ["a"] * 3
    assert table["rank"].tolist() == [1, 2, 3, 4, 5, 1, 2, 3]
    for query, rows in table.groupby("query"):
        assert rows["document"].tolist() == list(scores[query == QID].sort_values(ascending=False).index)
    np.testing.assert_array_equal(table["score"], scores[table["document"]])
    assert ranker.rank(frame, qid=QID, weights=[1, 0], top_k=2).equals(
        table[table["rank"] <= 2].reset_index(drop=True)
    )


def test_documents_without_labels_have_the_numbers_of_their_rows(ranker, frame):
    named = ranker.rank(frame, qid=QID, weights=[0, 1])
    with pytest.warns(UserWarning, match="feature names"):
        numbered = ranker.rank(frame.to_numpy(), qid=QID, weights=[0, 1])
    assert named["document"].tolist() == [f"doc{i}" for i in numbered["document"]]
    carried = ranker.rank(frame.assign(qid=QID).set_index("qid", append=True), weights=[0, 1])
    assert carried.equals(named)


def test_equal_scores_stay_in_the_order_of_rows(ranker, frame):
    still = frame.assign(u=0.0, v=0.0, w=0.0)
    assert ranker.rank(still, qid=QID)["document"].tolist() == [f"doc{i}" for i in (0, 1, 3, 6, 7, 2, 4, 5)]


def test_several_trade_offs_are_one_after_the_other(ranker, frame):
    table = ranker.rank(frame, qid=QID, weights=[[1, 0], [0, 1]], top_k=1)
    assert table["trade_off"].tolist() == [0, 0, 1, 1]
    for number, weights in enumerate(([1, 0], [0, 1])):
        alone = ranker.rank(frame, qid=QID, weights=weights, top_k=1)
        assert (
            table[table["trade_off"] == number].drop(columns="trade_off").reset_index(drop=True).equals(alone)
        )


def test_a_front_is_ranked_at_its_temperatures(small):
    dpo = HyperDPORanker("lightgbm", max_epochs=2, network=MLP(hidden=(8, 8)), random_state=0)
    dpo.fit(small.X, small.Y, qid=small.qid)
    weights = [[1.0, 0.0], [0.2, 0.8]]
    front = ParetoFront(weights, weights, names=dpo.objectives_, temperature=[3.0, 0.5])
    table = dpo.rank(small.X, qid=small.qid, weights=front)
    for row, temperature in enumerate((3.0, 0.5)):
        part = table[table["trade_off"] == row].drop(columns="trade_off").reset_index(drop=True)
        assert part.equals(dpo.rank(small.X, qid=small.qid, weights=weights[row], temperature=temperature))
    compared = dpo.compare(small.X, qid=small.qid, query=small.qid[0], b=front.weights.iloc[1], n_repeats=0)
    assert compared.a == "the reference"
    assert compared.b.endswith("at temperature 0.5")
    rows = small.qid == small.qid[0]
    reference = dpo.predict(small.X, qid=small.qid, temperature=0)[rows]
    np.testing.assert_array_equal(compared.ranks[:, 0], (-reference).argsort(kind="stable").argsort() + 1)
    assert compared.to_frame()["because"].eq("").all()


def test_the_reasons_are_what_each_feature_adds(ranker, frame):
    """Of a sum, a feature's contribution is its value less those of the others, times what it weighs."""
    compared = ranker.compare(frame, qid=QID, query="b", a=[1, 0], b=[0, 1], n_repeats=400)
    rows = frame[QID == "b"]
    scores = ranker.predict(rows, qid=QID[QID == "b"], weights=[[1, 0], [0, 1]])
    np.testing.assert_allclose(
        compared.scores, (scores - scores.mean(axis=0)) / scores.std(axis=0), atol=1e-6
    )
    weighs = np.diff(COEFFICIENTS / scores.std(axis=0))[:, 0]
    expected = (rows - rows.mean()) * weighs
    np.testing.assert_allclose(compared.contributions, expected, atol=0.15)
    np.testing.assert_allclose(compared.contributions[["x", "y"]], 0, atol=1e-12)
    table = compared.to_frame()
    assert table["rank_b"].tolist() == [1, 2, 3, 4, 5]
    assert (table["change"] == table["rank_a"] - table["rank_b"]).all()
    largest = expected.abs().idxmax(axis=1)[table.index]
    assert [text.split(" ")[0] for text in table["because"]] == largest.tolist()
    first = compared.to_frame(top_k=1, n_features=1)
    assert (first[["rank_a", "rank_b"]].min(axis=1) == 1).all()
    assert first["because"].str.fullmatch(r"\w [+-]\d\.\d\d").all()


def test_contributions_at_trade_offs_differ_by_those_of_compare(ranker, frame):
    frame = frame.assign(w=-frame["w"])
    weights = [[1, 0], [0.5, 0.5], [0, 1]]
    front = ParetoFront(weights, weights, names=ranker.objectives_)
    table = ranker.rank(frame, qid=QID, weights=front, top_k=2, contributions=True)
    plain = ranker.rank(frame, qid=QID, weights=front, top_k=2)
    first = table.loc[table["rank"] <= 2, plain.columns]
    pd.testing.assert_frame_equal(first.reset_index(drop=True), plain.reset_index(drop=True))
    assert table["rank"].max() > 2
    assert (table.groupby(["query", "document"]).size() == 3).all()
    assert set(table["document"]) == set(plain["document"]), "the first of any, and no others"
    for query in "ab":
        compared = ranker.compare(frame, qid=QID, query=query, a=weights[1], b=weights[2]).contributions
        before, after = (
            table[(table["query"] == query) & (table["trade_off"] == row)].set_index("document").iloc[:, 4:]
            for row in (1, 2)
        )
        assert list(before) == [f"contribution_{name}" for name in compared]
        np.testing.assert_allclose((after - before.loc[after.index]), compared.loc[after.index], atol=1e-6)
        assert compared.loc[after.index].abs().to_numpy().max() > 0.1


def test_what_it_looks_like(ranker, frame):
    compared = ranker.compare(frame.assign(qid=QID), query="a", a={"relevance": 1}, b=[0, 1])
    moved = int((compared.ranks[:, 0] != compared.ranks[:, 1]).sum())
    text = f"from {{relevance: 1, clicks: 0}} to {{relevance: 0, clicks: 1}}: {moved} of 3"
    assert f"of query a, {text}" in repr(compared)
    assert "<table" in compared._repr_html_()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"query": "c"}, "query='c' is none of the 2 queries"),
        ({"query": None}, "qid has 2 queries"),
        ({"qid": None}, "without qid"),
        ({"a": "reference"}, "has no reference"),
        ({"a": "best"}, "'reference'; got 'best'"),
        ({"b": [[1, 0], [0, 1]]}, "one trade-off each"),
        ({"n_repeats": -1}, "n_repeats"),
    ],
    ids=str,
)
def test_what_cannot_be_compared_is_refused(ranker, frame, changes, message):
    arguments = {"qid": QID, "query": "a", "a": [1, 0], "b": [0, 1], **changes}
    with pytest.raises(ValueError, match=message):
        ranker.compare(frame, **arguments)
    with pytest.raises(ValueError, match="top_k"):
        ranker.rank(frame, qid=QID, top_k=0)
