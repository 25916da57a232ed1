import dataclasses

import numpy as np
import pytest

from hyperrank.datasets import RankingData, make_multilabel_ranking


@pytest.fixture
def data():
    return RankingData(
        X=np.arange(8, dtype=np.float32).reshape(4, 2),
        Y=np.arange(12, dtype=np.float32).reshape(4, 3),
        qid=np.array([1, 1, 2, 2]),
        names=("relevance", "clicks", "dwell"),
        feature_names=("a", "b"),
        comments=("w", "x", "y", "z"),
    )


def test_select_takes_columns_in_the_order_given(data):
    chosen = data.select(["dwell", "relevance"])
    assert chosen.names == ("dwell", "relevance")
    np.testing.assert_array_equal(chosen.Y, data.Y[:, [2, 0]])
    assert chosen.X is data.X
    np.testing.assert_array_equal(chosen.y, data.Y[:, 2])


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["clickz"], r"unknown objectives \['clickz'\]; there are \['relevance', 'clicks', 'dwell'\]"),
        (["clicks", "clicks"], "each once"),
        ([], "one or more"),
    ],
)
def test_select_refuses(data, names, message):
    with pytest.raises(ValueError, match=message):
        data.select(names)


@pytest.mark.parametrize(
    "rows",
    [[2, 0], np.array([2, -4]), np.array([2, 0], dtype=np.uint8)],
    ids=["list", "negative", "unsigned"],
)
def test_take_positions(data, rows):
    part = data.take(rows)
    np.testing.assert_array_equal(part.X, data.X[[2, 0]])
    np.testing.assert_array_equal(part.Y, data.Y[[2, 0]])
    assert part.qid.tolist() == [2, 1]
    assert part.comments == ("y", "w")


def test_take_mask(data):
    assert data.take(data.qid == 2).comments == ("y", "z")
    assert data.take([]).X.shape == (0, 2)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([True, False], r"shape \(2,\); expected \(4,\)"),
        ([0, 4], "4 documents"),
        ([-5], "4 documents"),
        ([0.5], "positions"),
        ([[0]], "positions"),
    ],
)
def test_take_refuses(data, rows, message):
    with pytest.raises(ValueError, match=message):
        data.take(rows)


def test_split_keeps_queries_whole_and_rows_in_order():
    data = make_multilabel_ranking(n_queries=20, list_size=(2, 6), n_objectives=2, random_state=0)
    data = data.take(np.random.default_rng(0).permutation(len(data.X)))
    parts = data.split(random_state=0)
    queries = [set(part.qid.tolist()) for part in parts]
    assert [len(found) for found in queries] == [12, 4, 4]
    assert len(set.union(*queries)) == 20
    for part, found in zip(parts, queries, strict=True):
        np.testing.assert_array_equal(part.X, data.X[np.isin(data.qid, list(found))])
    other_order = data.take(np.arange(len(data.X))[::-1]).split(random_state=0)
    assert [set(part.qid.tolist()) for part in other_order] == queries
    assert set(data.split(random_state=1)[1].qid.tolist()) != queries[1]
    train, test = data.split((0.7, 0.3), random_state=0)
    assert (len(np.unique(train.qid)), len(np.unique(test.qid))) == (14, 6)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((0.6, 0.2), "sum 1, such as"),
        ((1.2, -0.2), "above 0"),
        (0.2, "sizes must be shares"),
        ((0.9, 0.1), "2 queries are too few"),
    ],
)
def test_split_refuses(data, sizes, message):
    with pytest.raises(ValueError, match=message):
        data.split(sizes)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("Y", np.zeros((3, 3), np.float32)),
        ("qid", np.zeros(5, int)),
        ("comments", ("a",)),
        ("names", ("relevance",)),
        ("feature_names", ("a", "b", "c")),
    ],
)
def test_fields_must_fit(data, field, value):
    with pytest.raises(ValueError, match="must have"):
        dataclasses.replace(data, **{field: value})


def test_repr_is_one_line(data):
    assert repr(data) == "RankingData(X (4, 2), Y (4, 3): relevance, clicks, dwell; 2 queries)"
