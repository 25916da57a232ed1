"""Fronts over weights and temperatures, the reference among them, and against any baseline."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

from hyperrank import HyperDPORanker, MixedScoresRanker, TradeOffs, datasets
from hyperrank.front import InfeasibleLimitsError, ParetoFront, Selection
from hyperrank.networks import MLP

NAMES = ["relevance", "clicks"]
BOOSTERS = {"num_iterations": 3, "num_leaves": 4, "min_data_in_leaf": 3, "num_threads": 1}
DATA = datasets.make_multilabel_ranking(
    n_queries=30, list_size=(4, 9), n_features=4, n_objectives=2, random_state=0
)
FRAME = pd.DataFrame(DATA.X, columns=list("abcd"))
OPTIONS = {"qid": DATA.qid}
WEIGHTS = [[1, 0], [0.5, 0.5], [0, 1]]


def fitted(reference, **options):
    made = HyperDPORanker(
        reference, objectives=NAMES, network=MLP((8,), dropout=0.0), max_epochs=2, beta=0.1, random_state=0,
        booster_params=BOOSTERS, n_jobs=1, query_standardize=False, **options,
    )  # fmt: skip
    return made.fit(FRAME, DATA.Y, qid=DATA.qid)


@pytest.fixture(scope="module")
def single():
    return fitted("lightgbm")


@pytest.fixture(scope="module")
def mixed():
    return fitted("boosters")


@pytest.fixture(scope="module")
def front(single):
    return single.pareto_front(FRAME, DATA.Y, weights=WEIGHTS, temperatures=(0, 0.3, 3), **OPTIONS)


def test_each_row_is_what_predict_serves(single, front):
    assert front.temperature is None
    assert front.temperatures.tolist() == [0, *[0.3] * 3, *[3] * 3]  # weights do not matter at 0
    for row, (weights, t) in enumerate(zip(front.weights.to_numpy(), front.temperatures, strict=True)):
        alone = single.pareto_front(FRAME, DATA.Y, weights=weights, temperature=t, **OPTIONS)
        np.testing.assert_array_equal(alone.points, front.points.iloc[[row]])
        served = single.predict(FRAME, weights=front.weights.iloc[row], **OPTIONS)
        np.testing.assert_array_equal(
            served, single.predict(FRAME, weights=weights, temperature=t, **OPTIONS)
        )
    np.testing.assert_array_equal(front.points.iloc[0], front.reference)


def test_the_reference_is_a_candidate_by_default(single, mixed):
    found = single.pareto_front(FRAME, DATA.Y, **OPTIONS)
    assert sorted(set(found.temperatures)) == [0, 0.1, 0.3, 1, 3]
    for ranker in (single, mixed):
        found = ranker.pareto_front(FRAME, DATA.Y, **OPTIONS)
        row = int(np.flatnonzero(found.temperatures == 0)[0])
        np.testing.assert_array_equal(found.points.iloc[row], found.reference)
        np.testing.assert_array_equal(found.per_query[row], found.reference_per_query)
        assert (found.select(dict.fromkeys(NAMES, 1.0)).values >= found.reference).all()
    assert sorted(set(found.temperatures)) == [0, 1]
    assert found.weights.iloc[row].tolist() == [1, 0]  # of the mixed reference, relevance's


def test_a_range_of_temperatures_bounds_the_default():
    ranker = fitted("lightgbm", trade_offs=TradeOffs(temperature_range=(0.5, 4.0)))
    found = ranker.pareto_front(FRAME, DATA.Y, **OPTIONS)
    assert sorted(set(found.temperatures)) == [0, 1, 3]
    row = len(found) // 4
    alone = ranker.pareto_front(FRAME, DATA.Y, weights=found.weights.iloc[row], **OPTIONS)
    np.testing.assert_array_equal(alone.points, found.points.iloc[[row]])
    with pytest.raises(ValueError, match=r"within temperature_range, 0\.5 to 4"):
        ranker.pareto_front(FRAME, DATA.Y, temperatures=[0.1], **OPTIONS)


def test_trade_offs_of_several_temperatures_are_measured_again(single, front):
    again = single.pareto_front(FRAME, DATA.Y, weights=front.weights[::2], **OPTIONS)
    np.testing.assert_array_equal(again.points, front.points[::2])
    np.testing.assert_array_equal(again.temperatures, front.temperatures[::2])
    picked = [front.knee(), front.select(maximize="relevance"), front.nearest({"clicks": 0.1})]
    again = single.pareto_front(FRAME, DATA.Y, weights=picked, **OPTIONS)
    np.testing.assert_array_equal(again.points, [each.values for each in picked])
    assert again.temperatures.tolist() == [each.temperature for each in picked]


def test_json_and_tables_hold_every_temperature(front):
    again = ParetoFront.from_dict(json.loads(json.dumps(front.to_dict())))
    assert again.to_frame().equals(front.to_frame())
    assert front.to_frame()["temperature"].tolist() == front.temperatures.tolist()
    choice = again.select(maximize="clicks")
    assert Selection.from_dict(choice.to_dict()).temperature == front.temperatures[choice.index]
    old = {**front.to_dict(), "temperature": 0.5}
    old["points"] = [{k: v for k, v in row.items() if k != "temperature"} for row in old["points"]]
    del old["baseline"]
    assert ParetoFront.from_dict(old).temperature == 0.5
    assert ParetoFront.from_dict(old).baseline == "reference"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperatures": (1, 3), "temperature": 1}, "temperatures are given, and so is temperature"),
        ({"temperatures": ()}, "temperatures must be numbers, each once"),
        ({"temperatures": (1, 1)}, "temperatures must be numbers, each once"),
        ({"temperatures": (1, -1)}, "temperatures must be a number at least 0"),
        ({"baseline": "production"}, "baseline must be 'reference', a fitted model, or one score per row"),
        ({"baseline": np.zeros(3)}, r"baseline has shape \(3,\); expected"),
        ({"baseline": np.full(len(FRAME), np.nan)}, "Input baseline contains NaN"),
        ({"baseline": LinearRegression()}, "baseline must be fitted; this LinearRegression is not"),
    ],
)
def test_refused(single, options, message):
    with pytest.raises(ValueError, match=message):
        single.pareto_front(FRAME, DATA.Y, weights=WEIGHTS, **OPTIONS, **options)


def test_what_cannot_be_served_is_refused(single, front):
    with pytest.raises(TypeError, match="pareto_front has no option 'n_points'"):
        single.pareto_front(FRAME, DATA.Y, n_points=11, **OPTIONS)
    with pytest.raises(ValueError, match="which is whose has been lost"):
        single.predict(FRAME, weights=front.weights.iloc[:3].reset_index(drop=True), **OPTIONS)
    with pytest.raises(ValueError, match="predict under one at a time"):
        single.predict(FRAME, weights=front.weights, **OPTIONS)
    baseline = MixedScoresRanker(objectives=NAMES, booster_params=BOOSTERS, n_jobs=1, random_state=0)
    baseline.fit(FRAME, DATA.Y, qid=DATA.qid)
    with pytest.raises(ValueError, match="a MixedScoresRanker has no temperature"):
        baseline.pareto_front(FRAME, DATA.Y, temperatures=(0.3, 1), **OPTIONS)


def test_any_baseline_is_what_limits_are_shares_of(mixed):
    model = LinearRegression().fit(FRAME[["c", "a"]], DATA.Y[:, 1])  # other columns, another order
    scores = model.predict(FRAME[["c", "a"]])
    shuffled = np.random.default_rng(0).permutation(len(FRAME))
    options = {"qid": DATA.qid[shuffled], "weights": WEIGHTS}
    by_model = mixed.pareto_front(FRAME.iloc[shuffled], DATA.Y[shuffled], baseline=model, **options)
    by_scores = mixed.pareto_front(FRAME, DATA.Y, baseline=scores, weights=WEIGHTS, **OPTIONS)
    by_default = mixed.pareto_front(FRAME, DATA.Y, weights=WEIGHTS, **OPTIONS)
    np.testing.assert_allclose(by_model.reference, by_scores.reference, rtol=1e-6)
    assert (by_model.reference != by_default.reference).all()
    assert [each.baseline for each in (by_model, by_scores, by_default)] == [
        "LinearRegression", "baseline", "reference"
    ]  # fmt: skip
    assert by_scores.select({"clicks": 0.5}).limits["clicks"] == by_scores.reference["clicks"] / 2
    with pytest.raises(ValueError, match="of the LinearRegression's"):
        by_model.select({"clicks": 9})
    assert ParetoFront.from_dict(by_model.to_dict()).baseline == "LinearRegression"


MARKET = np.array(["de", "fr", "jp"])[DATA.qid % 3]


@pytest.fixture(scope="module")
def by_market(single):
    return single.pareto_front(
        FRAME.assign(market=MARKET), DATA.Y, weights=WEIGHTS, temperatures=(0, 1), by="market", **OPTIONS
    )


def test_each_segment_is_what_its_queries_alone_reach(single, by_market):
    table = by_market.by_segment
    whole = single.pareto_front(FRAME, DATA.Y, weights=WEIGHTS, temperatures=(0, 1), **OPTIONS)
    pd.testing.assert_frame_equal(whole.points, by_market.points)
    for market, rows in table.groupby("segment"):
        among = market == MARKET
        grid = {"weights": WEIGHTS, "temperatures": (0, 1), "qid": DATA.qid[among]}
        alone = single.pareto_front(FRAME[among], DATA.Y[among], **grid)
        values, errors, changes = (
            rows.pivot(index="trade_off", columns="objective", values=column)[NAMES].to_numpy()
            for column in ("value", "error", "change_error")
        )
        np.testing.assert_allclose(values, alone.points, rtol=1e-5)
        n = (~np.isnan(alone.per_query)).sum(axis=1)
        np.testing.assert_allclose(errors, np.nanstd(alone.per_query, axis=1, ddof=1) / np.sqrt(n), rtol=1e-4)
        away = alone.per_query - alone.reference_per_query
        np.testing.assert_allclose(
            changes, np.nanstd(away, axis=1, ddof=1) / np.sqrt(n), rtol=1e-4, atol=1e-9
        )
        assert (rows["n_queries"].to_numpy().reshape(n.shape) == n).all()
    again = ParetoFront.from_dict(json.loads(json.dumps(by_market.to_dict())))
    pd.testing.assert_frame_equal(again.by_segment, table)


def test_limits_hold_in_every_segment():
    """A trade-off that keeps them on average and not in one market is passed over."""
    segments = np.repeat(["de", "fr"], 20)
    rng = np.random.default_rng(0)
    base = rng.uniform(0.3, 0.6, (40, 2)).astype("f4")
    values = np.stack([base, base + np.float32([0, 0.05]), base + np.float32([0, 0.1])])
    values[2, segments == "fr", 0] -= 0.03
    values[2, segments == "de", 0] += 0.03
    settings = {"names": NAMES, "per_query": values, "reference": base.mean(axis=0)}
    settings["reference_per_query"] = base
    front = ParetoFront(values.mean(axis=1), WEIGHTS, segments=segments, **settings)
    limits = {"relevance": 0.98}
    assert front.select(limits).index == 2
    chosen = front.select(limits, in_every_segment=True, confidence=0.9)
    assert chosen.index == 1
    assert chosen.confidence["relevance"] >= chosen.joint_confidence >= 0.9
    with pytest.raises(
        InfeasibleLimitsError, match=r"in every segment\. The closest .* short of it in '(de|fr)'"
    ):
        front.select({"clicks": 1.15, "relevance": 0.98}, in_every_segment=True)
    few = ParetoFront(values.mean(axis=1), WEIGHTS, segments=np.repeat(["de", "fr"], [33, 7]), **settings)
    with pytest.raises(InfeasibleLimitsError, match="queries count in a segment"):
        few.select({"relevance": 0.5}, in_every_segment=True, confidence=0.9)
    with pytest.raises(ValueError, match="is of a front by segment"):
        ParetoFront(values.mean(axis=1), WEIGHTS, names=NAMES).select(limits, in_every_segment=True)


def test_the_plot_of_segments_shows_where_a_trade_off_hurts(by_market, front):
    row = 2
    again = ParetoFront.from_dict(by_market.to_dict())
    for each in (by_market, again):
        display = each.plot(kind="segments", selection=each.nearest(each.points.iloc[row].to_dict()))
        assert [ax.get_xlabel() for ax in display.axes_] == [f"change in {name}\n(ndcg@10)" for name in NAMES]
        assert [text.get_text()[:2] for text in display.ax_.get_yticklabels()] == ["de", "fr", "jp"]
        table = each.by_segment
        clicks = table[(table["trade_off"] == row) & (table["objective"] == "clicks")]
        drawn = [line.get_xdata()[0] for line in display.axes_[1].lines if line.get_marker() == "o"]
        assert drawn == clicks["change"].tolist()
    with pytest.raises(ValueError, match="is of a front by segment"):
        front.plot(kind="segments")


@pytest.mark.parametrize(
    ("by", "message"),
    [
        ("market", "by='market' is not a column of X"),
        (np.arange(len(FRAME)), "by differs between rows of query"),
        (MARKET[:5], "by has 5 values for"),
        ([None, *MARKET[1:]], "by has no value in row 0"),
    ],
)
def test_refused_segments(single, by, message):
    with pytest.raises(ValueError, match=message):
        single.pareto_front(FRAME, DATA.Y, weights=WEIGHTS, by=by, **OPTIONS)
