"""Data that became numbers unnoticed, a row for each kind and entry point: the answer before and now."""

import datetime
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from click.testing import CliRunner

from hyperrank import HyperDPORanker, PerRow, metrics
from hyperrank.cli import main
from hyperrank.datasets import RankingData, convert, load_table, quantile_grades
from hyperrank.lists import QueryLists
from hyperrank.model_selection import QueryKFold, make_ranking_scorer
from hyperrank.networks import MLP

N = 48
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 2)).astype(np.float32)
Y = RNG.integers(0, 4, size=(N, 2)).astype(np.float32)
QID = np.repeat(np.arange(8), 6)
MASK = np.zeros((N, 2), dtype=bool)
MASK[3, 1] = True
DAYS = (np.array("2024-01-01", "M8[D]") + np.arange(N)).astype("M8[ms]")
COLUMNS = ["a", "b"]
OBJECTIVES = ["relevance", "clicks"]


def ranker(**options):
    small = {
        "reference": None,
        "network": MLP(hidden=(4,), conditioning="concat"),
        "max_epochs": 1,
        "device": "cpu",
    }
    return HyperDPORanker(**{**small, "random_state": 0, **options})


def frame(**columns):
    return pd.DataFrame(X, columns=COLUMNS).assign(**columns)


@pytest.fixture(scope="module")
def fitted():
    return ranker().fit(frame(), Y, qid=QID)


# What a column holds, and what fit, predict, score and pareto_front answered before. All are refused now.
NOT_NUMBERS = {
    "dates": (DAYS, "without a column's name, or microseconds since 1970"),
    "dates and NaT": (pd.Series(DAYS).mask(MASK[:, 1]), "-9.2e18 for NaT"),
    "dates with a zone": (pd.Series(DAYS).dt.tz_localize("UTC"), "no column named"),
    "durations": (DAYS - DAYS[0], "days, or nanoseconds, by what made them"),
    "periods": (pd.period_range("2024-01", periods=N, freq="M"), "no column named"),
    "date objects": ([datetime.date(2024, 1, 1)] * N, "no column named"),
    "Arrow's dates": (pd.array(DAYS, dtype=pd.ArrowDtype(pa.timestamp("us"))), "microseconds since 1970"),
    "categories of text": (pd.Categorical(["1", "2"] * (N // 2)), "the text as numbers"),
    "text": (["low"] * N, "no column named"),
    "intervals": (pd.IntervalIndex.from_breaks(np.arange(N + 1)), "no column named"),
    "bytes": ([b"1"] * N, "1.0"),
    "Arrow's bytes": (pd.array([b"1"] * N, dtype=pd.ArrowDtype(pa.binary())), "1.0"),
    "lists": ([[1.0]] * N, "no column named"),
    "complex numbers": (X[:, 1] + 1j, "the real part, for labels of metrics"),
}
# What means numbers, and which.
NUMBERS = {
    "bool": (X[:, 1] > 0, "the same"),
    "nullable bool": (pd.array(X[:, 1] > 0, dtype="boolean"), "the same"),
    "Int64": (pd.array(QID % 5, dtype="Int64"), "the same"),
    "Float64 with NA": (pd.Series(X[:, 1]).mask(MASK[:, 1]).astype("Float64"), "the same"),
    "Arrow's int": (pd.array(QID % 5, dtype=pd.ArrowDtype(pa.int64())), "the same"),
    "categories of numbers": (pd.Categorical(QID % 5), "the same"),
    "sparse": (pd.arrays.SparseArray(QID % 5, fill_value=0), "the same"),
    "sparse with another implicit value": (pd.arrays.SparseArray(QID % 5, fill_value=4), "an error"),
    "objects with NA": (pd.Series([1.0, pd.NA] * (N // 2), dtype=object), "an error"),
}


def entry_points(fitted):
    """Each takes features."""
    return {
        "fit": lambda F: ranker(categorical_features=None).fit(F, Y, qid=QID),
        "X_val": lambda F: ranker().fit(frame(), Y, qid=QID, X_val=F[:24], y_val=Y[:24], qid_val=QID[:24]),
        "predict": lambda F: fitted.predict(F, qid=QID),
        "score": lambda F: fitted.score(F, Y, qid=QID),
        "pareto_front": lambda F: fitted.pareto_front(F, Y, qid=QID, weights=[[0.5, 0.5]]),
    }


@pytest.mark.parametrize("entry", ["fit", "X_val", "predict", "score", "pareto_front"])
@pytest.mark.parametrize("kind", NOT_NUMBERS)
def test_features_that_are_not_numbers_are_refused_by_name(fitted, kind, entry):
    values, _before = NOT_NUMBERS[kind]
    with pytest.raises(ValueError, match=r"^X(_val)?: column 'b' holds .*, not numbers"):
        entry_points(fitted)[entry](frame(b=values))


@pytest.mark.parametrize("kind", NUMBERS)
def test_features_of_every_kind_of_number_score_as_floats_do(fitted, kind):
    values, _before = NUMBERS[kind]
    floats = [np.nan if value is pd.NA else float(value) for value in pd.Series(values).astype(object)]
    plain = frame(b=floats)
    expected = fitted.predict(plain, qid=QID)
    np.testing.assert_array_equal(fitted.predict(frame(b=values), qid=QID), expected)
    again = ranker(categorical_features=None).fit(frame(b=values), Y, qid=QID)
    np.testing.assert_array_equal(
        again.predict(plain, qid=QID), ranker().fit(plain, Y, qid=QID).predict(plain, qid=QID)
    )


@pytest.mark.parametrize("kind", NOT_NUMBERS)
def test_labels_that_are_not_numbers_are_refused_by_name(fitted, kind):
    labels = pd.DataFrame(Y, columns=OBJECTIVES).assign(clicks=NOT_NUMBERS[kind][0])
    with pytest.raises(ValueError, match="y: column 'clicks' holds"):
        ranker().fit(frame(), labels, qid=QID)
    with pytest.raises(ValueError, match="y: column 'clicks' holds"):
        fitted.score(frame(), labels, qid=QID)


COLUMNS_ALONE = {
    "index of dates": pd.DatetimeIndex(DAYS),
    "array of dates": pd.array(DAYS),
    "array of text categories": pd.Categorical(["1", "2"] * (N // 2)),
    "Arrow array of dates": pa.array(DAYS),
    "Arrow chunks of dates": pa.chunked_array([pa.array(DAYS)]),
    "polars dates": pl.Series(DAYS),
    "numpy dates": DAYS,
    "series of dates": pd.Series(DAYS),
}


@pytest.mark.parametrize("kind", COLUMNS_ALONE)
def test_a_column_alone_is_refused(kind):
    """Before, microseconds since 1970, or 1.0 and 2.0."""
    with pytest.raises(ValueError, match=r"y.* holds .*, not numbers"):
        ranker().fit(frame(), COLUMNS_ALONE[kind], qid=QID)
    with pytest.raises(ValueError, match=r"labels.* holds .*, not numbers"):
        metrics.ndcg(X[:, 0], COLUMNS_ALONE[kind], qid=QID)


ARRAYS = {
    "array of dates": (np.column_stack([DAYS, DAYS]), "days since 1970"),
    "array of durations": (np.column_stack([DAYS, DAYS]) - DAYS[0], "days"),
    "list of dates": ([[day, day] for day in DAYS], "days since 1970"),
    "objects with a date": (
        np.array([[1.0, np.datetime64("2024-01-01")]] * N, dtype=object),
        "days since 1970",
    ),
    "polars dates": (pl.DataFrame({"a": X[:, 0], "b": DAYS}), "an error without the column"),
    "polars durations": (pl.DataFrame({"a": X[:, 0], "b": DAYS - DAYS[0]}), "microseconds"),
    "polars categories": (
        pl.DataFrame({"a": X[:, 0], "b": pl.Series(["1"] * N, dtype=pl.Categorical)}),
        "1.0",
    ),
    "dates among numbers": ([[1.0, DAYS[0]]] * N, "53.0"),
    "Arrow dates": (pa.table({"a": X[:, 0], "b": pa.array(DAYS)}), "days since 1970"),
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_arrays_and_tables_that_are_not_numbers_are_refused(kind):
    with pytest.raises(ValueError, match=r"X.* holds .*, not numbers"):
        ranker(categorical_features=None).fit(ARRAYS[kind][0], Y, qid=QID)


RECORDS = {
    "a structured array": (frame()[["b", "a"]].to_records(index=False), "numpy's error"),
    "a dict": ({"b": X[:, 1], "a": X[:, 0]}, "numpy's error"),
    "a list of dict": (frame()[["b", "a"]].to_dict("records"), "numpy's error"),
    "a list of Series": ([row for _, row in frame()[["b", "a"]].iterrows()], "columns by position"),
}


@pytest.mark.parametrize("entry", ["fit", "predict", "score", "pareto_front"])
@pytest.mark.parametrize("kind", RECORDS)
def test_records_are_made_frames_by_the_caller(fitted, kind, entry):
    """Their names would be lost."""
    with pytest.raises(TypeError, match=rf"X is {kind}; expected .*pandas\.DataFrame\(X\)"):
        entry_points(fitted)[entry](RECORDS[kind][0])
    with pytest.raises(TypeError, match=r"y is a dict; expected .*pandas\.DataFrame\(y\)"):
        fitted.score(frame(), {"relevance": Y[:, 0], "clicks": Y[:, 1]}, qid=QID)


def test_columns_of_several_levels_have_no_name(fitted):
    """Before, a query id among them was a feature, and names of labels were lost."""
    columns = frame(qid=QID)
    columns.columns = pd.MultiIndex.from_product([["all"], columns.columns])
    with pytest.raises(ValueError, match="X has columns of 2 levels"):
        ranker().fit(columns, Y)
    with pytest.raises(ValueError, match="X has columns of 2 levels"):
        fitted.predict(columns, qid=QID)
    labels = pd.DataFrame(Y, columns=pd.MultiIndex.from_product([["all"], OBJECTIVES]))
    with pytest.raises(ValueError, match="y has columns of 2 levels"):
        ranker().fit(frame(), labels, qid=QID)


def test_lists_are_no_categories():
    """Before, "unhashable type: 'list'"."""
    with pytest.raises(ValueError, match="column 'b' holds values that cannot be categories"):
        ranker(categorical_features=["b"]).fit(frame(b=[[1.0]] * N), Y, qid=QID)


SHUFFLED = RNG.permutation(N)
ONES = pd.Series(np.ones(N))


@pytest.mark.parametrize(
    ("name", "call"),
    {
        "y": lambda _: ranker().fit(frame(), pd.DataFrame(Y).iloc[SHUFFLED], qid=QID),
        "y of score": lambda r: r.score(frame(), pd.DataFrame(Y).iloc[SHUFFLED], qid=QID),
        "y of pareto_front": lambda r: r.pareto_front(frame().iloc[SHUFFLED], pd.DataFrame(Y), qid=QID),
        "qid": lambda r: r.predict(frame(), qid=pd.Series(QID).iloc[SHUFFLED]),
        "query_weight": lambda _: ranker().fit(frame(), Y, qid=QID, query_weight=ONES.iloc[SHUFFLED]),
        "sample_weight": lambda r: r.score(frame(), Y, qid=QID, sample_weight=ONES.iloc[SHUFFLED]),
        "weights": lambda r: r.predict(
            frame(),
            qid=QID,
            weights=PerRow(pd.DataFrame({"objective_0": ONES, "objective_1": 0}).iloc[SHUFFLED]),
        ),
        "labels": lambda _: metrics.ndcg(pd.Series(X[:, 0]), pd.Series(Y[:, 0]).iloc[SHUFFLED], qid=QID),
        "groups": lambda _: next(QueryKFold(2).split(frame(), groups=pd.Series(QID).iloc[SHUFFLED])),
    }.items(),
)
def test_rows_in_another_order_are_refused(fitted, name, call):
    """Before, rows went by position, whatever their index said."""
    with pytest.raises(ValueError, match=rf"{name.split()[0]} has the index of \w+ in another order"):
        call(fitted)


def test_rows_of_another_index_go_by_position(fitted):
    expected = fitted.score(frame(), Y, qid=QID)
    labels = pd.DataFrame(Y)
    shuffled = (frame().iloc[SHUFFLED], labels.iloc[SHUFFLED])
    assert fitted.score(*shuffled, qid=pd.Series(QID).iloc[SHUFFLED]) == pytest.approx(expected)
    assert fitted.score(shuffled[0], labels.to_numpy()[SHUFFLED], qid=QID[SHUFFLED]) == pytest.approx(
        expected
    )
    assert fitted.score(frame(), labels.set_index(np.arange(N) + 7), qid=QID) == expected
    assert fitted.score(frame().set_index(np.arange(N) + 7), labels, qid=QID) == expected
    named = labels.set_index(pd.Index(QID + 1000, name="query"))
    assert fitted.score(frame().set_index(np.arange(N) + 7), named, qid=QID) == expected


def test_times_that_float32_would_round_are_told_of():
    """Before, documents of the same two minutes were alike, in silence."""
    times = frame().assign(published=1_700_000_000 + RNG.permutation(N))
    with pytest.warns(UserWarning, match="values of 'published' are so large that float32"):
        ranker().fit(times, Y, qid=QID)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ranker().fit(
            times.assign(published=times["published"] - 1_700_000_000, big=1e9 * X[:, 0]), Y, qid=QID
        )


def test_rows_of_other_indices_are_refused(fitted):
    """Before, filtered in two ways, they went by position."""
    for others in (np.arange(N) + 7, [f"d{i}" for i in range(N)]):
        with pytest.raises(ValueError, match=r"y has another index than X.*y\.loc\[X\.index\]"):
            fitted.score(frame().set_index(np.arange(N) + 9), pd.DataFrame(Y, index=others), qid=QID)


BY_QUERY = pd.Index(QID, name="qid")
SHUFFLED_IDS = BY_QUERY[SHUFFLED]
BOTH = pd.MultiIndex.from_arrays([QID, np.arange(N)], names=["qid", "document"])


def labels(index=None):
    return pd.DataFrame(Y, columns=OBJECTIVES, index=index)


#: Features, labels and query ids, and the error; None where the ids of the labels are taken. Before, ids that
#: the labels alone had were ignored (one list), and rows with equal labels in another order went by position.
IDS_OF_LABELS = {
    "labels alone": (frame(), labels(BY_QUERY), None, None),
    "labels alone, with documents": (frame(), labels(BOTH), None, None),
    "labels and qid": (frame(), labels(BY_QUERY), QID, None),
    "labels and another qid": (frame(), labels(SHUFFLED_IDS), QID, "index level 'qid' of y, and they differ"),
    "another order": (frame().set_index(BY_QUERY), labels(SHUFFLED_IDS), None, "in another order"),
    "labels and a column": (
        frame(qid=QID),
        labels(SHUFFLED_IDS),
        None,
        "index level 'qid' of y, and they differ",
    ),
}


@pytest.mark.parametrize("kind", IDS_OF_LABELS)
def test_query_ids_in_the_index_of_labels(fitted, kind):
    features, y, qid, message = IDS_OF_LABELS[kind]
    if message is not None:
        with pytest.raises(ValueError, match=message):
            ranker().fit(features, y, qid=qid)
        return
    made = ranker().fit(features, y, qid=qid)
    assert made.data_summary_["n_queries"] == 8
    assert made.score(features, y) == made.score(features, y, qid=QID)


#: What is done with labels of another name than those of fit. Before, taken.
OTHER_NAMES = {
    "score": lambda r, y: r.score(frame(), y, qid=QID),
    "pareto_front": lambda r, y: r.pareto_front(frame(), y, qid=QID),
    "partial_fit": lambda r, y: r.partial_fit(frame(), y, qid=QID),
    "X_val": lambda _, y: ranker().fit(
        frame(), labels()["relevance"], qid=QID, X_val=frame(), y_val=y, qid_val=QID
    ),
    "a scorer": lambda r, y: make_ranking_scorer()(r, frame(), y, qid=QID),
}


@pytest.mark.parametrize("entry", OTHER_NAMES)
@pytest.mark.parametrize("kind", [pd.Series, pd.DataFrame])
def test_the_labels_of_one_objective_go_by_its_name(entry, kind):
    one = ranker().fit(frame(), labels()["relevance"], qid=QID)
    clicks = labels()["clicks"] if kind is pd.Series else labels()[["clicks"]]
    with pytest.raises(ValueError, match=r"has columns \['clicks'\], but not the objectives \['relevance'\]"):
        OTHER_NAMES[entry](one, clicks)
    unnamed = ranker().fit(frame(), Y[:, 0], qid=QID)
    assert unnamed.score(frame(), clicks, qid=QID) == unnamed.score(frame(), Y[:, 1], qid=QID)


@pytest.mark.filterwarnings("ignore:X does not have valid feature names:UserWarning")
def test_columns_named_by_numbers_go_by_position(fitted):
    """Before, numbers in another order went by position too, to a ranker that knows names or none."""
    swapped = pd.DataFrame(X, columns=[1, 0])
    for each in (fitted, ranker().fit(X, Y, qid=QID)):
        with pytest.raises(ValueError, match="X has other columns than fit, or in another order"):
            each.predict(swapped, qid=QID)


@pytest.mark.parametrize("change", [str.upper, lambda kind: kind + " "], ids=["upper", "spaces"])
def test_categories_of_which_fit_knew_none_are_warned_of(change):
    """Before, all were unknown in silence."""
    kinds = np.array(["shoe", "boot", "sock"])[np.arange(3 * N) % 3]
    rows = pd.DataFrame(np.tile(X, (3, 1)), columns=COLUMNS).assign(kind=kinds)
    ids = np.repeat(np.arange(24), 6)
    made = ranker(categorical_features=["kind"]).fit(rows, np.tile(Y, (3, 1)), qid=ids)
    with pytest.warns(UserWarning, match="column 'kind' holds .* and others, of which fit knew none"):
        made.predict(rows.assign(kind=list(map(change, kinds))), qid=ids)
    made.predict(rows[:9].assign(kind=[*"abcabcabc"]), qid=ids[:9])  # a few may be new: no warning here
    made.predict(rows.assign(kind="new user"), qid=ids)


#: What is no data, and the error. Before, "could not convert string to float", "argument must be a string or
#: a real number, not 'RankingData'", "expected 2D array, got scalar array".
NO_DATA = {
    "a path": ("data.csv", "X is a str: 'data.csv'; expected an array or a frame"),
    "None": (None, "X is a NoneType"),
    "a generator": ((row for row in X), "X is a generator"),
    "ranking data": (RankingData(X, Y, QID, ("r", "c"), ("a", "b")), "pass its parts, data.X, data.Y"),
    "text": ([["a", "1"]] * N, "X: column 0 holds 'a' at row 0"),
    "no columns": (frame()[[]], "0 feature"),
}


@pytest.mark.parametrize("kind", NO_DATA)
def test_what_is_no_data_is_told_of(kind):
    features, message = NO_DATA[kind]
    with pytest.raises((TypeError, ValueError), match=message):
        ranker().fit(features, Y, qid=QID)


#: Parts of ranking data, and the error; before, taken as they were, frames by position.
RANKING_DATA = {
    "an id that is missing": ({"qid": np.where(QID == 3, np.nan, QID)}, "qid is missing for 6 of 48 rows"),
    "a negative label": ({"Y": Y - 1}, "finite labels of at least 0"),
    "one name twice": ({"names": ("r", "r")}, "names must be different texts"),
    "other names": ({"Y": labels()}, r"unknown objectives \['relevance', 'clicks'\]"),
    "other features": ({"X": frame().rename(columns={"a": "z"})}, r"unknown features \['z'\]"),
}


@pytest.mark.parametrize("kind", RANKING_DATA)
def test_ranking_data_is_checked(kind):
    parts, message = RANKING_DATA[kind]
    good = {"X": X, "Y": Y, "qid": QID, "names": ("r", "c"), "feature_names": ("a", "b")}
    with pytest.raises(ValueError, match=message):
        RankingData(**{**good, **parts})
    swapped = RankingData(**{**good, "Y": pd.DataFrame({"c": Y[:, 1], "r": Y[:, 0]})})
    np.testing.assert_array_equal(swapped.Y, Y)


@pytest.mark.parametrize("qid", [[[1]] * N, [{1}] * N], ids=["lists", "sets"])
def test_ids_that_cannot_be_hashed_are_refused_where_all_are_one_too(fitted, qid):
    """Before, one list."""
    with pytest.raises(ValueError, match="qid holds ids that cannot be hashed"):
        fitted.predict(frame(), qid=qid)


@pytest.mark.parametrize("qid", [dict(enumerate(QID)), set(range(N))], ids=["dict", "set"])
def test_query_ids_have_an_order(fitted, qid):
    """Before, the keys of a mapping were the ids."""
    with pytest.raises(ValueError, match=f"one id per row, in their order; got a {type(qid).__name__}"):
        fitted.predict(frame(), qid=qid)


@pytest.mark.parametrize(
    "objectives", ["relevance", {"relevance", "clicks"}, [0, 1], dict.fromkeys(OBJECTIVES)]
)
def test_objectives_are_a_list_of_names(objectives):
    """Before, the letters of a text, or a set's order of chance."""
    with pytest.raises(ValueError, match="objectives must be a list of names"):
        ranker(objectives=objectives).fit(frame(), Y, qid=QID)


def test_large_whole_scores_rank_exactly():
    """Before, they were rounded to float64, and times in nanoseconds that differ were ties."""
    times = np.int64(1) << 60
    found = metrics.ndcg(times + np.arange(N), Y[:, 0], qid=QID)
    assert found == metrics.ndcg(np.arange(N), Y[:, 0], qid=QID)


def masked(values):
    return np.ma.array(values, mask=MASK[: len(values), : np.ndim(values) and values.shape[1]])


def test_a_mask_is_nan_in_features_and_labels(tmp_path):
    """Before, what lies under a mask was read."""
    nan_X, nan_Y = np.where(MASK, np.nan, X), np.where(MASK, np.nan, Y)
    expected = ranker().fit(nan_X, nan_Y, qid=QID).predict(nan_X, qid=QID)
    found = ranker().fit(masked(X), masked(Y), qid=QID).predict(masked(X), qid=QID)
    np.testing.assert_array_equal(found, expected)
    np.save(tmp_path / "X.npy", X.astype(np.float32))
    mapped = masked(np.load(tmp_path / "X.npy", mmap_mode="r"))
    np.testing.assert_array_equal(ranker().fit(mapped, masked(Y), qid=QID).predict(mapped, qid=QID), expected)
    for measure in (metrics.ndcg, metrics.err):
        np.testing.assert_array_equal(measure(X[:, 0], masked(Y), qid=QID), measure(X[:, 0], nan_Y, qid=QID))
    np.testing.assert_array_equal(quantile_grades(masked(Y), QID), quantile_grades(nan_Y, QID))


def test_a_mask_is_refused_where_nan_is(fitted):
    """Before, what lies under a mask was read: weights, scores and query ids."""
    one = np.ma.array(np.ones(N), mask=MASK[:, 1])
    with pytest.raises(ValueError, match="weights must be finite"):
        fitted.predict(frame(), qid=QID, weights=np.ma.array([0.5, 0.5], mask=[True, False]))
    with pytest.raises(ValueError, match="scores must be finite"):
        metrics.ndcg(one, Y, qid=QID)
    with pytest.raises(ValueError, match="query_weight"):
        ranker().fit(frame(), Y, qid=QID, query_weight=one)
    with pytest.raises(ValueError, match="ref_scores"):
        ranker(reference="scores").fit(frame(), Y, qid=QID, ref_scores=one)
    with pytest.raises(ValueError, match="qid is missing for 1 of 48 rows, first at row 3"):
        ranker().fit(frame(), Y, qid=np.ma.array(QID, mask=MASK[:, 1]))


def test_an_index_level_named_qid_is_the_query_id(fitted):
    """Before, fit and predict took all rows as one query."""
    indexed = frame().set_index(pd.Index(QID, name="qid"))
    found = ranker().fit(indexed, Y)
    assert found.data_summary_["n_queries"] == 8
    np.testing.assert_array_equal(found.predict(indexed), fitted.predict(frame(), qid=QID))
    levels = frame().set_index([pd.Index(QID, name="qid"), pd.RangeIndex(N, name="doc")])
    assert ranker().fit(levels, Y).data_summary_["n_queries"] == 8
    with pytest.raises(ValueError, match="as the index level 'qid' of X, and they differ"):
        ranker().fit(indexed, Y, qid=QID[::-1] // 2)


@pytest.mark.parametrize("name", ["__index_level_0__", "Unnamed: 0"])
def test_a_stored_index_is_not_a_feature(name):
    """Before, it was one."""
    for table in (frame(**{name: np.arange(N)}), pl.DataFrame({"a": X[:, 0], name: np.arange(N)})):
        with pytest.raises(ValueError, match=f"X has the column '{name}', which is the index of a frame"):
            ranker().fit(table, Y, qid=QID)
    with pytest.raises(ValueError, match="y has the column"):
        ranker().fit(frame(), pd.DataFrame({"relevance": Y[:, 0], name: np.arange(N)}), qid=QID)


def test_an_arrow_table_is_read_as_a_frame(fitted):
    """Before, a column qid and the stored index were features, and the names of labels were lost."""
    columns = frame(qid=QID).set_index(pd.Index(RNG.permutation(N), name="row"))
    labels = pa.table(dict(zip(OBJECTIVES, Y.T, strict=True)))
    for table in (pa.Table.from_pandas(columns), pa.RecordBatch.from_pandas(columns)):
        found = ranker().fit(table, labels)
        assert found.feature_names_in_.tolist() == COLUMNS
        assert found.objectives_ == tuple(OBJECTIVES)
        np.testing.assert_array_equal(found.predict(table), fitted.predict(frame(), qid=QID))
    indexed = pa.Table.from_pandas(columns.set_index("qid"))
    assert ranker().fit(indexed, labels).data_summary_["n_queries"] == 8


def test_labels_named_by_numbers_come_in_their_order(fitted):
    """Before, they were taken by position in any order."""
    labels = pd.DataFrame(Y)
    with pytest.raises(ValueError, match=r"y has the columns .*: numbers name no objective"):
        fitted.score(frame(), labels[labels.columns[::-1]], qid=QID)
    with pytest.raises(ValueError, match=r"y has the columns .*: numbers name no objective"):
        ranker().fit(frame(), labels[labels.columns[::-1]], qid=QID)


@pytest.mark.parametrize("name", ["query_id", "QID", "Query", "session id"])
def test_a_column_of_query_ids_under_another_name_is_told_of(name):
    """Before, in few rows, a feature of one query of all rows."""
    for table in (frame(**{name: QID}), frame().set_index(pd.Index(QID, name=name))):
        with pytest.raises(ValueError, match=f"X has '{name}', and no query ids were passed"):
            ranker().fit(table, Y)
    with pytest.warns(UserWarning, match="has the values of the query ids"):
        ranker().fit(frame(**{name: QID}), Y, qid=QID)


def test_query_ids_under_another_name_are_not_labels():
    """Before, an objective."""
    for labels in (pd.DataFrame({"relevance": Y[:, 0], "query": QID}), np.column_stack([Y[:, 0], QID])):
        with pytest.raises(ValueError, match="y holds the query ids as the objective"):
            ranker().fit(frame(), labels, qid=QID)


def test_query_ids_are_not_labels():
    """Before, the query id was an objective."""
    with pytest.raises(ValueError, match="y has the column 'qid', which holds query ids and not labels"):
        ranker().fit(frame(), pd.DataFrame({"qid": QID, "relevance": Y[:, 0]}), qid=QID)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"relevance": X[:, 0]}, "the feature 'relevance' is named like the objective 'relevance'"),
        ({"grade": Y[:, 0]}, "the feature 'grade' has the values of the objective 'relevance'"),
        ({"query_id": QID}, "the feature 'query_id' has the values of the query ids"),
    ],
)
def test_labels_and_query_ids_among_the_features_are_warned_of(columns, message):
    """Before, nothing was said."""
    with pytest.warns(UserWarning, match=message):
        ranker().fit(frame(**columns), pd.DataFrame(Y, columns=OBJECTIVES), qid=QID)


def test_query_ids_that_differ_in_a_nul_differ():
    """Before, numpy cut the NUL at the end."""
    assert QueryLists.from_qid(["a\0", "a", "b"]).n_lists == 3


# Tables and files: load_table, convert and the command line.
WAYS = ["frame", "polars", "Arrow", "parquet", "csv"]


def table(**columns):
    labels = dict(zip(OBJECTIVES, Y.T, strict=True))
    return pd.DataFrame({"qid": QID, "a": X[:, 0], "b": X[:, 1], **labels, **columns})


def as_source(data, way, folder):
    if way == "parquet":
        data.to_parquet(folder / "t.parquet")
        return folder / "t.parquet"
    if way == "csv":
        data.to_csv(folder / "t.csv", index=False)
        return folder / "t.csv"
    return {"frame": lambda d: d, "polars": pl.from_pandas, "Arrow": pa.Table.from_pandas}[way](data)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["dates", "dates and NaT", "durations", "categories of text", "text"])
def test_tables_refuse_what_is_not_numbers(kind, way, tmp_path):
    """Before, load_table refused these too, CSV alone could not be loaded."""
    if (kind, way) == ("categories of text", "csv"):
        pytest.skip("numbers in CSV")
    source = as_source(table(b=NOT_NUMBERS[kind][0]), way, tmp_path)
    numbers = {"labels": OBJECTIVES, "categorical_features": None}
    with pytest.raises(ValueError, match="column 'b' holds") as refused:
        load_table(source, **numbers)
    assert ("categorical_features=['b']" in str(refused.value)) == ("text" in kind or way == "csv")
    with pytest.raises(ValueError, match="column 'b' holds"):
        convert(source, tmp_path / "s", **numbers)
    assert not (tmp_path / "s").exists()
    source = as_source(table(clicks=NOT_NUMBERS[kind][0]), way, tmp_path)
    with pytest.raises(ValueError, match="column 'clicks' holds"):
        load_table(source, labels=OBJECTIVES)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", NUMBERS)
def test_tables_read_every_kind_of_number(kind, way, tmp_path):
    """Before, sparse columns failed, and categories of numbers were refused."""
    values = pd.Series(NUMBERS[kind][0])
    if way == "polars" and isinstance(values.dtype, pd.SparseDtype):
        pytest.skip("polars takes no sparse column")
    if isinstance(values.dtype, pd.SparseDtype) and way in ("Arrow", "parquet"):
        values = values.sparse.to_dense()
    source = as_source(table(b=values), way, tmp_path)
    found = load_table(source, labels=OBJECTIVES, categorical_features=None)
    floats = [np.nan if value is pd.NA else float(value) for value in values.astype(object)]
    np.testing.assert_array_equal(found.X[:, 1], np.float32(floats))


INDICES = {
    "unnamed": (pd.Index(np.argsort(Y[:, 0], kind="stable")), "__index_level_0__"),
    "named": (pd.Index(RNG.permutation(N), name="sorted_by"), "sorted_by"),
}


@pytest.mark.parametrize("index", INDICES)
def test_the_index_in_a_file_is_not_a_feature(index, tmp_path):
    """Before, it was, and with rows sorted by label it gave the label away."""
    index, name = INDICES[index]
    path = tmp_path / "t.parquet"
    table().set_index(index).to_parquet(path)
    assert name in pl.read_parquet(path).columns
    for source in (path, table().set_index(index), pa.Table.from_pandas(table().set_index(index))):
        assert load_table(source, labels=OBJECTIVES).feature_names == ("a", "b")
    assert convert(path, tmp_path / "s", labels=OBJECTIVES).feature_names == ("a", "b")
    line = ["convert", str(path), str(tmp_path / "cli"), "--labels", "relevance,clicks", "--json"]
    assert '"n_features": 2' in CliRunner().invoke(main, line).stdout
    frame = pl.read_parquet(path)  # knows no index any more
    features = load_table(frame, labels=OBJECTIVES).feature_names
    assert features == (("a", "b") if name.startswith("__") else ("a", "b", name))


def test_an_index_level_is_the_query_id_of_a_table(tmp_path):
    """Before, load_table said that there is no such column, and fit took the rows as one query."""
    indexed = table().set_index("qid")
    assert load_table(indexed, labels=OBJECTIVES).qid.tolist() == QID.tolist()
    indexed.to_parquet(tmp_path / "t.parquet")
    found = load_table(tmp_path / "t.parquet", labels=OBJECTIVES)
    assert (found.qid.tolist(), found.feature_names) == (QID.tolist(), ("a", "b"))


@pytest.mark.parametrize("way", WAYS)
def test_tables_warn_of_labels_and_query_ids_among_the_features(way, tmp_path):
    """Before, nothing was said."""
    source = as_source(table(grade=Y[:, 0], query=QID), way, tmp_path)
    for read in (load_table, lambda *a, **k: convert(*a, tmp_path / "s", **k)):
        with pytest.warns(UserWarning, match="the feature") as caught:
            read(source, labels=OBJECTIVES)
        assert [str(w.message).partition(":")[0] for w in caught] == [
            "the feature 'grade' has the values of the objective 'relevance'",
            "the feature 'query' has the values of the query ids",
        ]
    load_table(source, labels=OBJECTIVES, drop=["grade", "query"])  # no warning: an error here
    load_table(source, labels=OBJECTIVES, features=["a", "grade"])  # asked for by name


FILES = {
    "short row": ("qid,a,b,y\n1,2,3,1\n1,2\n", "line 3 has 2 values, but the header has 4", "NaN"),
    "short row of text": ("qid,a,y,b\n1,2,3,1\n\n1,2,3\n", "line 4 has 3 values", "NaN"),
    "semicolons": ("qid;a;y\n1;2;1\n", "one column, 'qid;a;y': columns are separated by commas", "no column"),
    "long row": ("qid,a,y\n1,2,1,4\n", "more values than the header", "refused"),
    "NUL": ("qid,a,y\n1,2,1\nx\0y,2,1\n", "zero bytes", "an id cut at the NUL"),
    "infinite": ("qid,a,y\n1,1e99,1\n", r"column 'a' holds 1e\+99", "refused"),
    "an endless field": (
        'qid,a,y\n1,"2,1\n' + "1,2,1\n" * 10,
        r'a quote \("\) that opens in row 0 is not closed',
        "an error of pandas",
    ),
    "Latin-1": ("qid,a,y\nx\udce9,2,1\n", "the byte 0xe9, which is not UTF-8; .*iconv", "a codec's words"),
    "a name in Latin-1": ("qid,\udce9,y\nx,2,1\n", "the byte 0xe9, which is not UTF-8", "a codec's words"),
    "a long row later": ("qid,a,y\n1,2,1\n1,2,1,4\n", "line 3 has 4 values", "an error of pandas"),
}


@pytest.mark.parametrize("kind", FILES)
def test_broken_csv_is_refused(kind, tmp_path):
    content, message, _before = FILES[kind]
    (tmp_path / "a.csv").write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(ValueError, match=message):
        load_table(tmp_path / "a.csv", labels="y")


def test_integers_of_any_size_are_numbers(tmp_path):
    """Before, an IndexError of one beyond 2**64."""
    (tmp_path / "a.csv").write_text(f"qid,a,y\n{2**70},{2**70},1\n{2**70 + 1},True,0\n")
    found = load_table(tmp_path / "a.csv", labels="y")
    assert found.X[:, 0].tolist() == [2.0**70, 1.0]
    assert found.qid.tolist() == [str(2**70), str(2**70 + 1)]
    big = pa.table({"qid": pa.array([2**63, 2**63 + 1], pa.uint64()), "a": [1.0, 2], "y": [0, 1]})
    assert load_table(big, labels="y").qid.tolist() == [str(2**63), str(2**63 + 1)]


def test_query_ids_of_tables_keep_a_nul():
    """Before, "a" and "a\\0" were one query."""
    found = load_table(pa.table({"qid": ["a", "a\0"], "a": [1.0, 2], "y": [0, 1]}), labels="y")
    assert QueryLists.from_qid(found.qid).n_lists == 2
