"""Categorical features: matched by value whatever holds them, in every ranker, file and order."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lightgbm import LGBMRegressor
from sklearn.frozen import FrozenEstimator

import hyperrank
from hyperrank import (
    HyperDPORanker,
    LightGBMScalarizationRanker,
    LinearScalarizationRanker,
    MixedScoresRanker,
    SoupRanker,
)
from hyperrank._categories import MIN_ROWS, Categories
from hyperrank.files import ModelFileError
from hyperrank.networks import MLP, Transformer

N_ITEMS, N = 30, 600
RNG = np.random.default_rng(0)
QID = np.repeat(np.arange(N // 10), 10)
ITEM = RNG.integers(0, N_ITEMS, N)
NUMBERS = RNG.normal(size=(N, 2)).astype(np.float32)
VALUE = NUMBERS[:, 0] + 2 * RNG.normal(size=N_ITEMS)[ITEM]
Y = np.column_stack([np.clip(np.rint(sign * VALUE), 0, 4) for sign in (1, -1)])
NAMES = np.array([f"item {code}" for code in range(N_ITEMS)])
OPTIONS = {"random_state": 0, "n_jobs": 1}
SMALL = {
    "reference": "boosters",
    "max_epochs": 2,
    "network": MLP(hidden=(8,)),
    "booster_params": {"num_boost_round": 30},
}
RANKERS = {
    "dpo": HyperDPORanker(**OPTIONS, **SMALL),
    "mixed": MixedScoresRanker(**OPTIONS),
    "scalarized": LightGBMScalarizationRanker(weights=2, **OPTIONS),
}


def frame(item, **columns):
    return pd.DataFrame(NUMBERS, columns=["a", "b"]).assign(item=item, **columns)


PLAIN = frame(pd.Categorical(NAMES[ITEM]))
ARROW = pa.chunked_array([pa.array(NAMES[ITEM].tolist()).dictionary_encode()])
HOLDERS = {
    "another order": frame(pd.Categorical(NAMES[ITEM], categories=[*NAMES[::-1], "more"])),
    "text": frame(NAMES[ITEM]),
    "Arrow in pandas": frame(pd.arrays.ArrowExtensionArray(ARROW)),
    "Arrow": pa.table({"a": NUMBERS[:, 0], "b": NUMBERS[:, 1], "item": ARROW}),
    "polars categories": pl.from_pandas(frame(NAMES[ITEM])).with_columns(pl.col("item").cast(pl.Categorical)),
    "polars enum": pl.from_pandas(frame(NAMES[ITEM])).with_columns(pl.col("item").cast(pl.Enum(NAMES[::-1]))),
    "polars text": pl.from_pandas(frame(NAMES[ITEM])),
}


@pytest.fixture(scope="module", params=RANKERS)
def fitted(request):
    return RANKERS[request.param].fit(PLAIN, Y, qid=QID)


def test_categories_are_used_and_found_by_value(fitted, tmp_path):
    scores = fitted.predict(PLAIN, qid=QID, weights=[1, 0])
    assert fitted.score(PLAIN, Y, qid=QID, weights=[1, 0]) > 0.95  # of numbers alone .86
    again = hyperrank.load(fitted.save(tmp_path / "model"))
    for held in HOLDERS.values():
        np.testing.assert_array_equal(fitted.predict(held, qid=QID, weights=[1, 0]), scores)
        np.testing.assert_array_equal(again.predict(held, qid=QID, weights=[1, 0]), scores)


@pytest.mark.parametrize("holder", ["another order", "Arrow", "polars enum"])
def test_fit_depends_on_values_alone(holder):
    again = MixedScoresRanker(**OPTIONS).fit(HOLDERS[holder], Y, qid=QID)
    expected = MixedScoresRanker(**OPTIONS).fit(PLAIN, Y, qid=QID)
    np.testing.assert_array_equal(again.predict(PLAIN, qid=QID), expected.predict(PLAIN, qid=QID))
    assert again.categories_.values == expected.categories_.values


@pytest.mark.filterwarnings("ignore:.*of which fit knew none:UserWarning")
def test_unseen_and_missing_categories_are_one(fitted):
    missing = fitted.predict(frame(None), qid=QID)
    assert np.isfinite(missing).all()
    for unseen in (frame("new"), frame(pd.Categorical(["new"] * N)), frame(np.nan)):
        np.testing.assert_array_equal(fitted.predict(unseen, qid=QID), missing)


def test_other_kinds_of_values_are_refused(fitted):
    with pytest.raises(
        ValueError, match=r"column 'item' holds numbers, such as 3; .* were text, such as 'item"
    ):
        fitted.predict(frame(3), qid=QID)
    with pytest.raises(ValueError, match=r"holds the category .*Timestamp.*write others as text"):
        fitted.predict(frame(pd.Timestamp("2026-01-01")), qid=QID)


def test_text_points_to_the_option():
    with pytest.raises(ValueError, match=r"fit with categorical_features=\['item'\]"):
        MixedScoresRanker(**OPTIONS).fit(HOLDERS["text"], Y, qid=QID)
    for columns in (["item"], [2], [False, False, True]):
        ranker = MixedScoresRanker(categorical_features=columns, **OPTIONS).fit(HOLDERS["text"], Y, qid=QID)
        assert ranker.categories_.sizes == {2: N_ITEMS}
    with pytest.raises(ValueError, match=r"column 'item' holds categories of str|holds categories of object"):
        MixedScoresRanker(categorical_features=None, **OPTIONS).fit(PLAIN, Y, qid=QID)


@pytest.mark.parametrize("wrong", ["item", ["no"], [7], [-1], [True], [1.5], 2])
def test_columns_that_are_not_there_are_refused(wrong):
    with pytest.raises((ValueError, TypeError), match="categorical_features"):
        MixedScoresRanker(categorical_features=wrong, **OPTIONS).fit(PLAIN, Y, qid=QID)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, object])
def test_whole_numbers_in_arrays_are_categories_where_named(dtype):
    codes = 7 * ITEM - 40
    array = np.column_stack([codes, 10 * NUMBERS.round()]).astype(dtype)
    ranker = MixedScoresRanker(categorical_features=[0], **OPTIONS).fit(array, Y, qid=QID)
    expected = MixedScoresRanker(categorical_features=[0], **OPTIONS).fit(
        array.astype(np.float32), Y, qid=QID
    )
    np.testing.assert_array_equal(ranker.predict(array), expected.predict(array.tolist()))
    masked = np.ma.array(array.astype(float), mask=np.zeros(array.shape, bool))
    masked.mask[:, 0] = codes > 0
    hidden = np.where(masked.mask, np.nan, masked.data)
    np.testing.assert_array_equal(ranker.predict(masked), ranker.predict(hidden))
    assert set(ranker.categories_.values[0]) == set(codes.tolist())


def test_rows_in_a_mapped_file(tmp_path, monkeypatch):
    array = np.column_stack([7 * ITEM - 40, NUMBERS]).astype(np.float32)
    array.tofile(tmp_path / "X")
    mapped = np.memmap(tmp_path / "X", dtype=np.float32, mode="r", shape=array.shape).view(np.ndarray)
    for reference in ("boosters", LGBMRegressor(n_estimators=3, n_jobs=1, verbose=-1).fit(array, Y[:, 0])):
        options = {**NETWORK, "reference": reference, "categorical_features": [0]}
        expected = HyperDPORanker(**options).fit(array, Y, qid=QID)
        with monkeypatch.context() as patch:
            patch.setattr("hyperrank.memmap.IN_MEMORY_BYTES", 0)
            ranker = HyperDPORanker(**options).fit(mapped, Y, qid=QID)
        assert ranker.categories_.values == expected.categories_.values
        np.testing.assert_array_equal(ranker.predict(mapped, qid=QID), expected.predict(array, qid=QID))


def test_numbers_are_told_from_their_order():
    codes = RNG.permutation(N_ITEMS)[ITEM]
    scores = {}
    for columns in ("from_dtype", None):
        ranker = MixedScoresRanker(categorical_features=columns, **OPTIONS)
        ranker.fit(frame(pd.Categorical(codes)), Y, qid=QID)
        scores[columns] = ranker.predict(frame(codes), qid=QID)
        assert hasattr(ranker, "categories_") == (columns is not None)
    assert not np.array_equal(*scores.values())
    plain = MixedScoresRanker(**OPTIONS).fit(frame(codes), Y, qid=QID)
    np.testing.assert_array_equal(plain.predict(frame(codes), qid=QID), scores[None])


def test_a_fit_without_categories_forgets_them():
    ranker = MixedScoresRanker(**OPTIONS).fit(PLAIN, Y, qid=QID).fit(frame(ITEM), Y, qid=QID)
    assert not hasattr(ranker, "categories_")


NETWORK = {"reference": None, "max_epochs": 3, "random_state": 0, "network": MLP(hidden=(8,))}
NETWORKS = {
    "mlp": HyperDPORanker(**NETWORK),
    "log": HyperDPORanker(**NETWORK, feature_transform="log", query_standardize=False),
    "transformer": HyperDPORanker(**{**NETWORK, "network": Transformer(hidden=(8, 8))}),
    "soup": SoupRanker(**NETWORK),
    "linear": LinearScalarizationRanker(weights=2, **NETWORK),
}


@pytest.mark.filterwarnings("ignore:.*of which fit knew none:UserWarning")
@pytest.mark.parametrize("kind", NETWORKS)
def test_networks_embed_categories(kind, tmp_path):
    ranker = NETWORKS[kind].fit(PLAIN, Y, qid=QID)
    held, weights = HOLDERS["polars enum"], [1, 0]
    scores = ranker.predict(PLAIN, qid=QID, weights=weights)
    again = hyperrank.load(ranker.save(tmp_path / "model"))
    np.testing.assert_array_equal(again.predict(held, qid=QID, weights=weights), scores)
    first = QID == 0
    np.testing.assert_array_equal(
        ranker.predict(PLAIN[first], qid=QID[first], weights=weights),
        scores[first] if kind != "transformer" else ranker.predict(PLAIN[first], weights=weights),
    )
    if hasattr(ranker, "specialize"):
        plain = ranker.specialize(weights)
        np.testing.assert_allclose(plain.predict(held, qid=QID), scores, atol=1e-5)
    unseen, missing = (ranker.predict(frame(item), qid=QID, weights=weights) for item in ("new", None))
    np.testing.assert_array_equal(unseen, missing)
    assert np.abs(scores - missing).max() > 1e-3
    moved = frame(NAMES[(ITEM + 1) % N_ITEMS])
    assert not np.array_equal(ranker.predict(moved, qid=QID, weights=weights), scores)


@pytest.mark.parametrize("reference", [None, "boosters"])
def test_features_that_are_all_categories(reference):
    kinds = pd.DataFrame({"item": NAMES[ITEM], "other": ITEM % 7}).astype("category")
    labels = np.column_stack([kinds.other == 3, ITEM % 2]).astype(float)
    options = {
        **NETWORK,
        "network": MLP(hidden=(16,), dropout=0),
        "reference": reference,
        "booster_params": {"num_boost_round": 20, "min_data_per_group": 5},
    }
    ranker = HyperDPORanker(**{**options, "max_epochs": 15}).fit(kinds, labels, qid=QID)
    assert ranker.score(kinds, labels, qid=QID, weights=[1, 0]) > 0.95
    assert ranker.score(kinds, labels, qid=QID, weights=[0, 1]) > 0.88


def test_prompts_of_a_trained_transformer_keep_its_codes():
    first = HyperDPORanker(**{**NETWORK, "network": Transformer(hidden=(8, 8))}).fit(PLAIN, Y, qid=QID)
    rows = ITEM < 20
    network = Transformer(pretrained=FrozenEstimator(first))
    second = HyperDPORanker(**{**NETWORK, "network": network}).fit(PLAIN[rows], Y[rows], qid=QID[rows])
    assert second.categories_ is first.categories_


CATEGORY = st.one_of(st.text(max_size=3), st.integers(-(2**40), 2**40), st.floats(-1e6, 1e6, width=32))


@given(values=st.lists(CATEGORY, min_size=1, max_size=6, unique=True), seed=st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_codes_depend_on_values_alone(values, seed):
    rng = np.random.default_rng(seed)
    rows = rng.integers(len(values), size=60)
    column = pd.Series([values[row] for row in rows], dtype=object)
    learnt = Categories.learn(column.to_frame(), [0], "X")
    order = rng.permutation(60)
    for other in (column[order], column.astype("category")):
        assert Categories.learn(other.to_frame(), [0], "X").values == learnt.values
    codes = np.asarray(learnt.encode(column.to_frame(), "X"))[:, 0].astype(float)
    for code, value in zip(codes, column, strict=True):
        if np.isnan(code):
            assert (column == value).sum() < MIN_ROWS
        else:
            assert learnt.values[0][int(code)] == value
    decoded = learnt.decode(codes[:, None])
    np.testing.assert_array_equal(np.asarray(learnt.encode(decoded, "X"))[:, 0], codes)
    again = Categories.__new__(Categories)
    again.__setstate__(learnt.__getstate__())
    assert again.values == learnt.values


def test_the_rarest_of_very_many_are_one(monkeypatch):
    monkeypatch.setattr("hyperrank._categories.MAX_CATEGORIES", 5)
    items = pd.DataFrame({"item": np.repeat(np.arange(9), np.arange(1, 10))})
    with pytest.warns(UserWarning, match="column 'item' has 7 categories; the 5 most frequent"):
        learnt = Categories.learn(items, [0], "X")
    assert learnt.values == {0: [8, 7, 6, 5, 4]}
    assert np.isnan(np.asarray(learnt.encode(items.iloc[[0]], "X"), dtype=float)).all()


@pytest.mark.parametrize(
    "state",
    [
        {"positions": [0], "values": "[[1, 1.0]]"},
        {"positions": [0], "values": "[[NaN]]"},
        {"positions": [0], "values": "[[[1]]]"},
        {"positions": [0], "values": '{"0": [1]}'},
        {"positions": [0, 1], "values": "[[1]]"},
        {"positions": [-1], "values": "[[1]]"},
        {"positions": [True], "values": "[[true]]"},
    ],
)
def test_forged_categories_are_refused(state):
    with pytest.raises((ValueError, TypeError, AttributeError)):
        Categories.__new__(Categories).__setstate__(state)


def test_files_with_categories_of_other_features_are_refused(tmp_path):
    ranker = MixedScoresRanker(**OPTIONS).fit(PLAIN, Y, qid=QID)
    ranker.categories_ = Categories({3: ["a"]})
    path = ranker.save(tmp_path / "model")
    with pytest.raises(ModelFileError, match="categories are of features that it does not have"):
        hyperrank.load(path)


def test_permutation_importance_finds_the_category():
    ranker = MixedScoresRanker(**OPTIONS).fit(PLAIN, Y, qid=QID)
    changes = [
        ranker.explain(X, Y, qid=QID, weights=[[0, 1], [1, 0]], random_state=0) for X in HOLDERS.values()
    ]
    assert all(change.top(3) == changes[0].top(3) for change in changes)
    assert changes[0].to_frame().direction["item"] == 0
    assert set(changes[0].top(2)) == {"a", "item"}
