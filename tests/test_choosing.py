"""Knee, target, and how sure a selection is: closed forms, properties, promises held against the truth."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from hyperrank.front import InfeasibleLimitsError, ParetoFront
from hyperrank.front.bootstrap import resampled_means
from hyperrank.front.criteria import knee_distance
from hyperrank.simplex import lattice

NAMES = ["relevance", "clicks", "margin"]
POINTS = [[0.42, 0.30], [0.41, 0.38], [0.40, 0.37], [0.35, 0.40]]


def of_points(points: Any, **options: Any) -> ParetoFront:
    table = np.asarray(points, dtype=float)
    m = table.shape[1]
    return ParetoFront(table, np.full(table.shape, 1 / m), names=NAMES[:m], **options)


def measured(per_query: np.ndarray, reference: np.ndarray | None = None) -> ParetoFront:
    """A front whose points are the means of its values by query."""
    means = np.nanmean(per_query, axis=1, dtype=np.float64)
    of_reference = None if reference is None else np.nanmean(reference, axis=0, dtype=np.float64)
    return of_points(means, per_query=per_query, reference=of_reference, reference_per_query=reference)


# ---------------------------------------------------------------------------------------------- the knee


def test_the_knee_of_a_circle_is_its_middle():
    angles = np.linspace(0, np.pi / 2, 41)
    front = of_points(np.column_stack([np.cos(angles), np.sin(angles)]) * [0.3, 40] + [0.2, 7])
    assert front.knee().index == 20
    distances = knee_distance(front.points.to_numpy(), front.non_dominated)
    assert distances == pytest.approx((np.cos(angles) + np.sin(angles) - 1) / np.sqrt(2))


def test_the_knee_of_a_sphere_is_its_middle():
    weights = lattice(3, 6)
    front = of_points(np.sqrt(weights))
    assert front.weights.shape == (28, 3)
    assert weights[front.knee().index].tolist() == pytest.approx([1 / 3] * 3)
    assert knee_distance(front.points.to_numpy(), front.non_dominated).max() == pytest.approx(1 - 3**-0.5)


def test_the_plane_goes_through_the_extremes_and_not_the_corners():
    """Extremes off the axes tilt the plane."""
    points = np.array([[1, 0.8, 0], [0, 1, 0.2], [0.5, 0, 1], [0.6, 0.6, 0.5], [0.85, 0.85, 0.02]])
    front = np.ones(5, dtype=bool)
    distances = knee_distance(points, front)
    normal = np.linalg.solve(points[:3], np.ones(3))
    assert (normal > 0).all()
    assert distances == pytest.approx((points @ normal - 1) / np.linalg.norm(normal))
    assert distances[:3] == pytest.approx(0)


def test_dominated_points_are_no_knee_and_move_no_range():
    assert of_points(POINTS).knee().index == 1
    assert of_points([*POINTS, [0.0, 0.0]]).knee().index == 1


@pytest.mark.parametrize(
    ("points", "row"),
    [
        ([[0.4]], 0),
        ([[0.4], [0.5], [0.3]], 1),
        ([[0.4, 0.3]], 0),
        ([[0.4, 0.3], [0.4, 0.3]], 0),
        ([[0.40, 0.1], [0.39, 0.3]], 1),  # two extremes: the better one by the mean share of the best
        ([[1.0, 0.0], [0.3, 0.3], [0.0, 1.0]], 0),  # bent inwards
        ([[0.4, 0.2, 0.1], [0.32, 0.2, 0.16], [0.2, 0.2, 0.2]], 1),  # one objective does not vary
        ([[1, 1, 0], [0.9, 0.8, 0.6], [0, 0, 1]], 1),  # one point is the best in two
        ([[1, 0.97, 0], [0.97, 1, 0], [0.97, 0.97, 1], [0, 0, 1.01]], 2),  # the plane would fall backwards
    ],
)
def test_knees_of_odd_fronts(points: Any, row: int):
    assert of_points(points).knee().index == row


@given(data=st.data(), m=st.integers(1, 3))
def test_the_knee_is_not_dominated_and_no_matter_of_units(data: st.DataObject, m: int):
    k = data.draw(st.integers(1, 10))
    values = st.lists(st.integers(0, 8), min_size=m, max_size=m)
    points = np.array(data.draw(st.lists(values, min_size=k, max_size=k)), dtype=float)
    front = of_points(points)
    row = front.knee().index
    assert front.non_dominated[row]
    distances = knee_distance(points, front.non_dominated)
    units = np.array(data.draw(st.lists(st.sampled_from([0.01, 1, 300]), min_size=m, max_size=m)))
    assert knee_distance(points * units + units, front.non_dominated) == pytest.approx(distances, abs=1e-7)
    assert distances[row] == pytest.approx(distances[front.non_dominated].max())


def test_limits_bind_the_knee_too():
    front = of_points(POINTS)
    assert front.knee({"relevance": 0.415}, relative=False).index == 0
    with pytest.raises(ValueError, match="cannot be met"):
        front.knee({"relevance": 0.5}, relative=False)


# ---------------------------------------------------------------------------------------------- a target


@pytest.mark.parametrize(
    ("target", "options", "row"),
    [
        ({"relevance": 0.40, "clicks": 0.35}, {}, 1),
        ({"clicks": 0.35, "relevance": 0.42}, {}, 1),
        ({"relevance": 0.5, "clicks": 0.2}, {}, 0),
        ({"relevance": 0.2, "clicks": 0.5}, {}, 3),
        ({"relevance": 0.40}, {}, 1),  # reached by two: the one with more clicks
        ({"relevance": 0.415}, {}, 0),
        ({"relevance": 0.9}, {}, 0),  # out of reach: as near as can be
        ({"clicks": 0.1}, {}, 0),  # reached by all: the most relevance
        ({"clicks": 0.39}, {"at_least": {"relevance": 0.41}, "relative": False}, 1),
    ],
)
def test_nearest(target: dict, options: dict, row: int):
    assert of_points(POINTS).nearest(target, **options).index == row


@given(data=st.data(), m=st.integers(2, 3))
def test_every_undominated_point_is_the_nearest_to_itself(data: st.DataObject, m: int):
    values = st.lists(st.integers(0, 8), min_size=m, max_size=m)
    points = np.array(data.draw(st.lists(values, min_size=1, max_size=10)), dtype=float)
    front = of_points(points)
    for row in np.flatnonzero(front.non_dominated):
        found = front.nearest(dict(zip(NAMES, points[row], strict=False)))
        assert found.values.tolist() == points[row].tolist()


def test_what_is_within_reach_is_surpassed():
    """A plain distance would stay with the first point, which just hits the target."""
    front = of_points([[0.0, 1.0], [0.3, 0.75], [0.75, 0.7], [1.0, 0.0]])
    assert front.nearest({"relevance": 0.3, "clicks": 0.7}).index == 2


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ({}, r"target must map objectives to values of the metric, as in {'relevance': 0\.4"),
        (0.4, "target must map objectives to values"),
        ({"sales": 0.4}, r"target names unknown objectives \['sales'\]"),
        ({"clicks": "much"}, r"target\['clicks'\] must be a finite number; got 'much'"),
    ],
)
def test_refused_targets(target: Any, message: str):
    with pytest.raises(ValueError, match=message):
        of_points(POINTS).nearest(target)


# ----------------------------------------------------------------------------------------- the bootstrap


def naive_means(values: np.ndarray, n_resamples: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    n = values.shape[1]
    return np.array([np.nanmean(values[:, rng.integers(n, size=n)], axis=1) for _ in range(n_resamples)])


@pytest.mark.parametrize("by_label", [True, False])
@pytest.mark.parametrize("at_once", [7, 100, 4_000_000])
def test_resampled_means_are_those_of_drawing_queries(by_label, at_once, monkeypatch):
    monkeypatch.setattr("hyperrank.front.bootstrap.ENTRIES_AT_ONCE", at_once)
    rng = np.random.default_rng(0)
    values, other = rng.random((4, 30, 2)), rng.random((1, 30, 3))
    gone = rng.random((1 if by_label else 4, 30, 2)) < 0.3
    values[np.broadcast_to(gone, values.shape)] = np.nan
    found, beside = resampled_means(values, other, n_resamples=23, seed=5)
    assert found == pytest.approx(naive_means(values, 23, 5))
    assert beside == pytest.approx(naive_means(other, 23, 5))


def test_the_spread_of_resampled_means_is_the_standard_error():
    values = np.random.default_rng(0).random((1, 400, 1))
    (means,) = resampled_means(values, n_resamples=20_000, seed=0)
    assert means.mean() == pytest.approx(values.mean(), abs=3e-4)
    assert means.std() == pytest.approx(values.std() / 20, rel=0.03)


def noisy(k: int = 5, n: int = 200, m: int = 2, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    level = np.linspace(0, 1, k)
    true = np.column_stack([np.cos(level), np.sin(level), level][:m])
    return (true[:, None] / 2 + rng.normal(0, 0.3, (1, n, m)) + rng.normal(0, 0.1, (k, n, m))).astype("f4")


def confidences(per_query: np.ndarray, floors: np.ndarray, n_resamples: int, seed: int) -> np.ndarray:
    """For each trade-off in every limit, and in all of them, with Student's distribution itself.

    Values are of shape (k, n, l), and floors too: limits, or shares of what moves with the queries.
    """
    away = per_query - floors
    drawn = naive_means(away, n_resamples, seed)
    n, deviation = (~np.isnan(away)).sum(axis=1), drawn.std(axis=0)
    t = np.nanmean(away, axis=1) / deviation * np.sqrt((n - 1) / n)
    z = stats.norm.ppf(np.clip(stats.t.cdf(t, n - 1), 1e-12, 1 - 1e-12))
    falls = ((np.nanmean(away, axis=1) - drawn) / deviation).max(axis=1)
    each = (falls[:, None] <= z).mean(axis=0)
    return np.column_stack([each, (falls.max(axis=1)[:, None] <= z.min(axis=1)).mean(axis=0)])


@pytest.mark.parametrize("n", [9, 200])
def test_confidence_allows_for_picking_the_best_of_many_on_few_queries(n):
    per_query, reference = noisy(n=n), noisy(n=n, seed=1)[2]
    front = measured(per_query, reference)
    chosen = front.select({"relevance": 0.8, "clicks": 0.3}, n_resamples=300, random_state=4)
    expected = confidences(per_query, reference * [0.8, 0.3], 300, 4)[chosen.index]
    assert 0 < expected[2] < 1
    assert [*chosen.confidence, chosen.joint_confidence] == pytest.approx(expected, abs=0.01)
    drawn = naive_means(per_query[[chosen.index]], 300, 4)[:, 0]
    value, bounds = per_query[chosen.index].mean(axis=0), np.quantile(drawn, [0.1, 0.9], axis=0)
    factor = np.sqrt(n / (n - 1)) * stats.t.ppf(0.9, n - 1) / stats.norm.ppf(0.9)
    found = chosen.interval(0.8).to_numpy().T
    assert found == pytest.approx(value + factor * (bounds - value), abs=1e-5)
    again = front.select({"relevance": 0.8, "clicks": 0.3}, n_resamples=300, random_state=4)
    assert again.confidence.equals(chosen.confidence)
    other = front.select({"relevance": 0.8, "clicks": 0.3}, n_resamples=300, random_state=5)
    assert not other.interval().equals(chosen.interval())
    for column in ("low", "high", "limit", "margin", "confidence"):
        assert column in repr(chosen)


def test_a_ranker_is_surely_as_good_as_itself():
    """Only pairing makes it so: with the reference resampled by itself it would be every other time."""
    per_query = noisy()
    front = measured(per_query, per_query[2])
    chosen = front.select({"relevance": 1.0, "clicks": 1.0}, confidence=0.99)
    assert (chosen.index, chosen.joint_confidence) == (2, 1.0)


def test_values_of_the_metric_are_limits_that_do_not_move():
    per_query = noisy()
    chosen = measured(per_query).select({"relevance": 0.45}, relative=False, n_resamples=200)
    expected = confidences(per_query[:, :, :1], np.float64(0.45), 200, 0)[chosen.index, 1]
    assert 0.5 < chosen.confidence["relevance"] == pytest.approx(expected, abs=0.01)


def test_shares_of_the_fronts_best_are_of_the_best_in_each_resample():
    per_query = noisy()
    chosen = measured(per_query).select({"relevance": 0.9}, n_resamples=200)
    drawn = naive_means(per_query[:, :, :1], 200, 0)[:, :, 0]
    margins = drawn - 0.9 * drawn.max(axis=1)[:, None]
    margin = per_query[:, :, 0].mean(axis=1) - 0.9 * per_query[:, :, 0].mean(axis=1).max()
    falls = ((margin - margins) / margins.std(axis=0)).max(axis=1)
    expected = (falls <= (margin / margins.std(axis=0))[chosen.index]).mean()
    assert chosen.confidence["relevance"] == pytest.approx(expected, abs=0.03)


@given(share=st.floats(0.05, 0.98), limit=st.floats(0.3, 0.5))
def test_confident_selections_are_the_best_of_the_sure(share, limit):
    per_query = noisy(k=9)
    front = measured(per_query)
    arguments = {"at_least": {"relevance": limit}, "relative": False, "n_resamples": 200}
    candidates = front.points["relevance"] >= limit
    joint = confidences(per_query[:, :, :1], np.float64(limit), 200, 0)[:, 1]
    sure, unsure = (candidates & (joint >= share + slack) for slack in (0.01, -0.01))
    if not unsure.any():
        with pytest.raises(InfeasibleLimitsError, match=r"cannot be met|no point keeps relevance >= .* with"):
            front.select(**arguments, confidence=share)
        return
    if not sure.any():
        return  # within what Wallace's formula is off by
    chosen = front.select(**arguments, confidence=share, maximize="clicks")
    assert unsure[chosen.index]
    assert chosen.values["clicks"] >= front.points["clicks"][sure].max()
    assert chosen.joint_confidence >= share
    for other in (
        front.knee(**arguments, confidence=share),
        front.nearest({"relevance": 1.0, "clicks": 1.0}, **arguments, confidence=share),
    ):
        assert unsure[other.index]


def test_few_queries_tell_too_little_of_others_but_of_the_reference_itself():
    per_query = noisy(n=7)
    front = measured(per_query)
    with pytest.raises(ValueError, match=r"cannot be told: 7 queries count, which tells too"):
        front.select().interval()
    with pytest.raises(
        InfeasibleLimitsError, match=r"confidence=0\.9 cannot be promised: 7 queries .* 8 or more"
    ):
        front.select({"relevance": 0.1}, confidence=0.9)
    settings = {
        "per_query": per_query,
        "reference": front.points.iloc[2],
        "reference_per_query": per_query[2],
    }
    front = of_points(front.points, **settings, temperature=[1, 1, 0, 1, 1])
    assert front.select({"relevance": 0.9}, confidence=0.9).index == 2


def test_without_limits_there_is_nothing_to_break():
    chosen = measured(noisy()).select()
    assert len(chosen.confidence) == 0
    assert chosen.joint_confidence == 1.0
    with pytest.raises(ValueError, match=r"confidence=0\.9 is of limits, and there are none: give at_least"):
        measured(noisy()).knee(confidence=0.9)


@pytest.mark.parametrize(
    ("changes", "arguments", "message"),
    [
        ({}, {"confidence": 1.0}, "confidence must be a probability between 0 and 1, such as 0.9; got 1.0"),
        ({}, {"confidence": "high"}, "confidence must be a probability"),
        ({}, {"confidence": True}, "confidence must be a probability"),
        ({}, {"n_resamples": 0}, "n_resamples must be a whole number at least 1; got 0"),
        ({}, {"random_state": None}, "random_state must be a whole number of at least 0"),
        (
            {"per_query": None},
            {"confidence": 0.9},
            r"confidence=0\.9 cannot be promised: the front has no values by query\. Make it by pareto_front",
        ),
        (
            {"reference_per_query": None},
            {"confidence": 0.9},
            r"shares of the reference, of which the front has no values by query\. Pass reference_per_query",
        ),
        ({"points": [[0.4, 0.3]] * 5}, {"confidence": 0.9}, "points .* are not the means of its per_query"),
        ({"reference": [0.3, 0.3]}, {"confidence": 0.9}, "reference .* is not the mean of its reference_per"),
        (
            {},
            {"at_least": {"relevance": 1.12}, "confidence": 0.999},
            r"no point keeps relevance >= .* with confidence 0\.999\. The surest does with 0\.\d+: "
            r"{relevance: .*}, at weights .*\. Ask for less, or profile more queries: about [\d,]+ would",
        ),
    ],
)
def test_refused_confidence(changes: dict, arguments: dict, message: str):
    per_query = noisy()
    reference = per_query[2] - 0.02
    given = {
        "points": per_query.mean(axis=1),
        "weights": np.full((5, 2), 0.5),
        "names": NAMES[:2],
        "per_query": per_query,
        "reference": reference.mean(axis=0),
        "reference_per_query": reference,
    }
    with pytest.raises(ValueError, match=message):
        ParetoFront(**given | changes).select(**{"at_least": {"relevance": 0.9}} | arguments)


def test_a_selection_without_values_by_query_still_stands_and_says_what_it_lacks():
    chosen = of_points(POINTS).select({"relevance": 0.9})
    assert "confidence" not in repr(chosen)
    for ask in (lambda: chosen.confidence, lambda: chosen.joint_confidence, chosen.interval):
        with pytest.raises(ValueError, match=r"how sure .* cannot be told: the front has no values by query"):
            ask()
    with pytest.raises(ValueError, match="level must be a probability"):
        measured(noisy()).select().interval(1.5)


# ------------------------------------------------------------------------- promises held against the truth

#: A front from one objective to the other, and a reference in its middle.
LEVEL = np.linspace(0, np.pi / 2, 21)
TRUTH = 0.4 + 0.1 * np.column_stack([np.cos(LEVEL), np.sin(LEVEL)])
REFERENCE = np.array([0.48, 0.45])


def sampled(rng: np.random.Generator, n: int) -> ParetoFront:
    """Skewed values as metrics have them: queries that differ much, trade-offs that differ less."""
    query = rng.beta(0.8, 0.8, size=(n, 2)) - 0.5
    own = rng.normal(0, 0.12, (len(TRUTH), n, 2))
    # Neighbouring trade-offs rank alike.
    own = (own + np.roll(own, 1, axis=0) + np.roll(own, -1, axis=0)) / np.sqrt(3)
    per_query = TRUTH[:, None] + query + own
    reference = REFERENCE + query + rng.normal(0, 0.15, (n, 2))
    gone = rng.random((n, 2)) < 0.1
    per_query[:, gone], reference[gone] = np.nan, np.nan
    return measured(per_query.astype("f4"), reference.astype("f4"))


@pytest.fixture(scope="module")
def promises() -> dict[str, np.ndarray]:
    """Over 400 samples of 250 queries: what was promised of a limit that binds, and what was true."""
    rng = np.random.default_rng(0)
    found: dict[str, list] = {"covered": [], "plain": [], "sure": [], "optimism": [], "refused": []}
    share = 0.93
    kept = TRUTH[:, 0] >= share * REFERENCE[0]
    for seed in range(400):
        front = sampled(rng, 250)
        options = {"n_resamples": 400, "random_state": seed}
        alone = measured(front.per_query[[10]]).select(**options)
        plain = front.select({"relevance": share}, maximize="clicks", **options)
        try:
            sure = front.select({"relevance": share}, maximize="clicks", confidence=0.9, **options)
            found["sure"].append(kept[sure.index])
        except InfeasibleLimitsError:
            found["refused"].append(seed)
        bounds = alone.interval(0.9)
        found["covered"].append((bounds["low"] <= TRUTH[10]) & (TRUTH[10] <= bounds["high"]))
        found["optimism"].append(plain.values["clicks"] - TRUTH[plain.index, 1])
        found["plain"].append(kept[plain.index])
    return {name: np.array(values) for name, values in found.items()}


@pytest.mark.slow
def test_intervals_hold_the_truth_as_often_as_they_say(promises):
    assert promises["covered"].mean() == pytest.approx(0.9, abs=0.035)


@pytest.mark.slow
def test_a_confident_limit_is_kept_as_often_as_promised(promises):
    assert promises["sure"].mean() >= 0.89
    assert len(promises["refused"]) < 40
    assert promises["plain"].mean() <= 0.65


@pytest.mark.slow
def test_the_best_of_many_is_partly_the_luckiest(promises):
    assert promises["optimism"].mean() > 0.002
