"""What rankers that hold some weights alone make of others: refuse, take the nearest, interpolate."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from strategies import SEEDS, examples

from hyperrank import LightGBMScalarizationRanker, LinearScalarizationRanker, MODPORanker
from hyperrank.boosters import booster_scores
from hyperrank.lists import QueryLists, within_list_deviation
from hyperrank.networks import MLP
from hyperrank.rankers.baselines._weight_grid import OFF_GRID, SAME_WEIGHTS, interpolation_shares
from hyperrank.reference import GroupedRows
from hyperrank.simplex import dirichlet_weights, lattice

FEW_TREES = {"num_boost_round": 8}
QUICK_NETWORK = {
    "max_epochs": 2,
    "network": MLP(hidden=(8, 8)),
    "booster_params": FEW_TREES,
    "random_state": 0,
}
HELD = [[1, 0], [0.4, 0.6], [0, 1]]


def lightgbm(weights, **params):
    return LightGBMScalarizationRanker(weights, booster_params=FEW_TREES, random_state=0, **params)


def networks(weights, **params):
    return LinearScalarizationRanker(weights, **QUICK_NETWORK, **params)


def modpo(weights, **params):
    return MODPORanker(weights, **QUICK_NETWORK, **params)


GRIDS = pytest.mark.parametrize("make", [lightgbm, networks, modpo])


# ---- the shares -----------------------------------------------------------------------------------------


def random_case(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights held, and weights within their hull."""
    rng = np.random.default_rng(seed)
    m = int(rng.integers(2, 6))
    held = dirichlet_weights(int(rng.integers(1, 25)), m, alpha=rng.choice([0.2, 1.0, 5.0]), rng=rng)
    return held, dirichlet_weights(1, len(held), alpha=0.5, rng=rng)[0] @ held


@examples(50)
@given(seed=SEEDS)
def test_shares_are_convex_and_reproduce_the_weights(seed):
    held, asked = random_case(seed)
    shares = interpolation_shares(asked, held)
    assert (shares >= 0).all()
    assert shares.sum() == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(shares @ held, asked, atol=2e-7)
    assert np.count_nonzero(shares) <= held.shape[1]


@examples(25)
@given(seed=SEEDS)
def test_no_nearer_models_would_do(seed):
    """No convex combination that was tried has a smaller sum of squared distances."""
    rng = np.random.default_rng(seed)
    held, asked = random_case(seed)
    distances = ((held - asked) ** 2).sum(axis=1)
    shares = interpolation_shares(asked, held)
    # All that equal the weights: the ones found plus a direction in which nothing changes.
    free = np.linalg.svd(held.T)[2][np.linalg.matrix_rank(held, tol=1e-9) :]
    for direction in rng.normal(size=(20, len(free))) @ free if len(free) else []:
        shrinking = direction < 0
        step = np.min(-shares[shrinking] / direction[shrinking], initial=np.inf)
        if np.isfinite(step):
            assert distances @ shares <= distances @ (shares + step * direction) + 1e-6


def test_between_neighbours_on_a_line_shares_are_linear():
    held = lattice(2, 10)
    for w in np.linspace(0, 1, 37):
        shares = interpolation_shares(np.array([w, 1 - w]), held)
        expected = np.maximum(0, 1 - np.abs(held[:, 0] - w) * 10)
        np.testing.assert_allclose(shares, expected, atol=1e-9)


@examples(25)
@given(seed=SEEDS)
def test_on_a_lattice_shares_are_barycentric_in_the_cell(seed):
    """Of three objectives the cells are equal triangles, whose corners are one step from each other."""
    rng = np.random.default_rng(seed)
    divisions = int(rng.integers(1, 8))
    held = lattice(3, divisions)
    asked = dirichlet_weights(1, 3, rng=rng)[0]
    scaled = asked * divisions
    low = np.floor(scaled)
    # The triangle points up where one step is left to be given away, and down where two are.
    cell = low + np.eye(3) if round(divisions - low.sum()) == 1 else low + 1 - np.eye(3)
    barycentric = np.linalg.solve(cell.T, scaled)
    shares = interpolation_shares(asked, held)
    for corner, share in zip(cell / divisions, barycentric, strict=True):
        assert shares[np.abs(held - corner).max(axis=1).argmin()] == pytest.approx(share, abs=1e-6)


def test_held_weights_are_their_own_share():
    held = lattice(4, 3)
    for row, asked in enumerate(held):
        np.testing.assert_allclose(interpolation_shares(asked, held), np.eye(len(held))[row], atol=1e-9)


def test_nothing_is_extrapolated():
    held = np.array([[0.8, 0.2, 0], [0.2, 0.8, 0], [0.4, 0.4, 0.2]])
    assert interpolation_shares(np.array([1.0, 0, 0]), held) is None
    assert interpolation_shares(np.array([0.4, 0.3, 0.3]), held) is None
    assert interpolation_shares(np.array([0.5, 0.5, 0]), held) is not None


# ---- the rankers ----------------------------------------------------------------------------------------


@GRIDS
def test_at_held_weights_all_three_are_the_same_bits(make, small, unseen):
    ranker = make(HELD).fit(small.X, small.Y, qid=small.qid)
    at = [*HELD, [0.4004, 0.5996]]
    scores = [
        ranker.set_params(off_grid=off_grid).predict(unseen.X, qid=unseen.qid, weights=at)
        for off_grid in OFF_GRID
    ]
    np.testing.assert_array_equal(scores[1], scores[0])
    np.testing.assert_array_equal(scores[2], scores[0])
    beside_others = ranker.predict(unseen.X, qid=unseen.qid, weights=[[0.5, 0.5], *at])
    np.testing.assert_array_equal(beside_others[:, 1:], scores[0])


@GRIDS
def test_the_nearest_stands_in(make, small, unseen):
    ranker = make(HELD, off_grid="nearest").fit(small.X, small.Y, qid=small.qid)
    got = ranker.predict(unseen.X, qid=unseen.qid, weights=[[0.45, 0.55], [0.9, 0.1]])
    held = ranker.predict(unseen.X, qid=unseen.qid, weights=[[0.4, 0.6], [1, 0]])
    np.testing.assert_array_equal(got, held)
    front = ranker.pareto_front(unseen.X, unseen.Y, qid=unseen.qid, weights=[[0.45, 0.55], [0.9, 0.1]])
    assert len(front) == 2


@pytest.mark.parametrize("make", [networks, modpo])
def test_rewards_are_interpolated_as_they_are(make, small, unseen):
    """Over a reference that is linear in the weights, so are the scores between two held."""
    ranker = make(HELD, off_grid="interpolate").fit(small.X, small.Y, qid=small.qid)
    held = ranker.predict(unseen.X, qid=unseen.qid, weights=HELD)
    got = ranker.predict(unseen.X, qid=unseen.qid, weights=[0.7, 0.3])
    np.testing.assert_allclose(got, 0.5 * held[:, 0] + 0.5 * held[:, 1], rtol=1e-5, atol=1e-6)
    hotter = ranker.predict(unseen.X, qid=unseen.qid, weights=[0.7, 0.3], temperature=3)
    cold = ranker.predict(unseen.X, qid=unseen.qid, weights=[0.7, 0.3], temperature=0)
    np.testing.assert_allclose(hotter - cold, 3 * (got - cold), rtol=1e-5, atol=1e-5)
    parts = ranker.reference_.scores(GroupedRows(unseen.X, QueryLists.from_qid(unseen.qid), unseen.X, None))
    np.testing.assert_allclose(cold, parts @ [0.7, 0.3])


def test_booster_scores_are_interpolated_on_one_scale(small, unseen):
    ranker = lightgbm(HELD, off_grid="interpolate").fit(small.X, small.Y, qid=small.qid)
    lists = QueryLists.from_qid(small.qid)
    for booster, scale in zip(ranker.boosters_, ranker.scales_, strict=True):
        in_training = lists.group(booster_scores(booster, small.X))
        assert scale == pytest.approx(within_list_deviation(in_training, lists))
    held = ranker.predict(unseen.X, weights=HELD)
    got = ranker.predict(unseen.X, weights=[0.7, 0.3])
    one, two = ranker.scales_[:2]
    expected = (one + two) / 2 * (held[:, 0] / one / 2 + held[:, 1] / two / 2)
    np.testing.assert_allclose(got, expected)


def test_a_booster_of_larger_scores_has_no_more_say(small, unseen):
    """Whatever is multiplied into a booster's scores, at equal shares the order stays as it is."""
    ranker = lightgbm(HELD, off_grid="interpolate").fit(small.X, small.Y, qid=small.qid)
    before = ranker.predict(unseen.X, weights=[0.7, 0.3])
    with pytest.MonkeyPatch.context() as patch:
        loud = ranker.boosters_[0]
        factor = lambda booster, X: booster_scores(booster, X) * (1000 if booster is loud else 1)  # noqa: E731
        patch.setattr("hyperrank.rankers.baselines.scalarization.booster_scores", factor)
        ranker.scales_ = ranker.scales_ * [1000, 1, 1]
        after = ranker.predict(unseen.X, weights=[0.7, 0.3])
    np.testing.assert_allclose(after / after.std(), before / before.std())


@GRIDS
def test_interpolation_is_continuous_at_held_weights(make, small, unseen):
    ranker = make(HELD, off_grid="interpolate").fit(small.X, small.Y, qid=small.qid)
    step = 2 * SAME_WEIGHTS
    near, at = ranker.predict(unseen.X, qid=unseen.qid, weights=[[0.4 + step, 0.6 - step], [0.4, 0.6]]).T
    far = ranker.predict(unseen.X, qid=unseen.qid, weights=[1, 0])
    assert 0 < np.abs(near - at).max() <= 0.05 * np.abs(far - at).max()


@GRIDS
def test_fronts_hold_as_many_points_as_are_asked_for(make, small, unseen):
    ranker = make(3, off_grid="interpolate").fit(small.X, small.Y, qid=small.qid)
    asked = lattice(2, 8)
    front = ranker.pareto_front(unseen.X, unseen.Y, qid=unseen.qid, weights=asked)
    np.testing.assert_array_equal(front.weights, asked)
    assert len(np.unique(ranker.predict(unseen.X, qid=unseen.qid, weights=asked), axis=1).T) == 9


@GRIDS
def test_weights_beyond_those_held_are_refused(make, small):
    ranker = make([[0.8, 0.2], [0.4, 0.6]], off_grid="interpolate").fit(small.X, small.Y, qid=small.qid)
    with pytest.raises(ValueError, match=r"cannot interpolate weights \[0.9, 0.1\].*nearest is \[0.8, 0.2\]"):
        ranker.predict(small.X, weights=[[0.5, 0.5], [0.9, 0.1]])
    ranker.predict(small.X, weights=[0.8005, 0.1995])


@GRIDS
def test_a_score_does_not_depend_on_the_trade_offs_beside_it(make, small, unseen):
    ranker = make(3, off_grid="interpolate").fit(small.X, small.Y, qid=small.qid)
    asked = lattice(2, 7)
    together = ranker.predict(unseen.X, qid=unseen.qid, weights=asked)
    for column, mix in zip(together.T, asked, strict=True):
        np.testing.assert_array_equal(ranker.predict(unseen.X, qid=unseen.qid, weights=mix), column)


@GRIDS
@pytest.mark.parametrize("off_grid", ["guess", None, 3, ["nearest"]])
def test_the_option_is_checked_before_training(make, off_grid, small, monkeypatch):
    for home in ("dpo.reference.fit_reference_model", "baselines.scalarization.fit_mixed_boosters"):
        monkeypatch.setattr(f"hyperrank.rankers.{home}", lambda *_, **__: pytest.fail("training started"))
    with pytest.raises(ValueError, match="off_grid must be one of"):
        make(HELD, off_grid=off_grid).fit(small.X, small.Y, qid=small.qid)


@GRIDS
def test_pickled_rankers_interpolate_alike(make, small, unseen):
    ranker = make(HELD, off_grid="interpolate").fit(small.X, small.Y, qid=small.qid)
    again = pickle.loads(pickle.dumps(ranker))
    asked = [[0.7, 0.3], [0.1, 0.9]]
    np.testing.assert_array_equal(
        again.predict(unseen.X, weights=asked), ranker.predict(unseen.X, weights=asked)
    )
