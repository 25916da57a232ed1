"""Weights: checks, Dirichlet draws against closed forms and numpy, lattices."""

import math
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperrank.simplex import as_weights, corners, dirichlet_weights, lattice, lattice_near

NAMES = ["relevance", "clicks", "margin"]


@given(
    parts=st.lists(st.lists(st.floats(0, 1), min_size=3, max_size=3), min_size=1, max_size=5),
    stray=st.floats(-9e-4, 9e-4),
)
def test_weights_come_back_on_the_simplex(parts: list[list[float]], stray: float) -> None:
    table = np.array(parts) + 0.1
    exact = table / table.sum(axis=1, keepdims=True)
    found = as_weights(exact * (1 + stray), 3)
    assert found.shape == exact.shape
    assert found.dtype == np.float64
    assert (found >= 0).all()
    assert found.sum(axis=1) == pytest.approx(1.0, abs=1e-15)
    assert found == pytest.approx(exact, abs=1e-12)
    assert np.array_equal(as_weights(exact[0] * (1 + stray), 3), found[0])


def test_rounding_below_zero_becomes_zero() -> None:
    slightly_negative = 1 - 0.9 - 0.1
    assert slightly_negative < 0
    assert as_weights([0.9, 0.1, slightly_negative], 3).tolist() == [0.9, 0.1, 0.0]


def test_float32_thirds_are_weights() -> None:
    assert as_weights(np.full(3, 1 / 3, dtype=np.float32), 3) == pytest.approx(1 / 3)


def test_the_callers_weights_stay_as_they_are() -> None:
    weights = np.array([0.5005, 0.5])
    as_weights(weights, 2)
    assert weights.tolist() == [0.5005, 0.5]


def test_mappings_are_read_by_name() -> None:
    assert as_weights({"margin": 0.75, "relevance": 0.25}, 3, NAMES).tolist() == [0.25, 0.0, 0.75]


@pytest.mark.parametrize(
    ("weights", "names", "message"),
    [
        (
            [0.5, 0.5],
            None,
            r"weights have shape \(2,\); expected \(3,\) or \(k, 3\), one weight per objective",
        ),
        (1.0, None, r"weights have shape \(\)"),
        (None, None, "weights is a NoneType; expected an array"),
        (np.zeros((0, 3)), None, r"weights have shape \(0, 3\)"),
        (np.full((1, 1, 3), 1 / 3), None, r"weights have shape \(1, 1, 3\)"),
        (["a", "b", "c"], None, "weights holds 'a' at row 0, not numbers"),
        ([[1, 0, 0], [1]], None, "weights must be numbers of shape"),
        ([0.5, np.nan, 0.5], None, r"weights must be finite; got \[0.5, nan, 0.5\]"),
        ([[1, 0, 0], [np.inf, 0, 0]], None, r"weights must be finite; got \[inf, 0.0, 0.0\] in row 1"),
        ([1.2, -0.2, 0.0], None, r"weights must not be negative; got \[1.2, -0.2, 0.0\]"),
        ([1.0, 1e-5, -1e-5], None, "weights must not be negative"),
        (
            [[1, 0, 0], [0.7, 0.2, 0.2]],
            None,
            r"must sum to 1; got \[0.7, 0.2, 0.2\] in row 1 with sum 1.1. Divide them by their sum",
        ),
        ([0.5, 0.25, 0.248], None, "weights must sum to 1; .* with sum 0.998"),
        ([1e308, 1e308, 1e308], None, "weights must sum to 1; .* with sum inf"),
        ({"relevance": 1.0}, None, "weights given by name, but the objectives have no names here"),
        ({"sales": 1.0}, NAMES, r"weights name unknown objectives \['sales'\]; the objectives are"),
        ({"relevance": 1.0}, NAMES[:2], "2 names for 3 objectives"),
        ({}, NAMES, "weights must sum to 1; .* with sum 0"),
    ],
)
def test_refused_weights(weights: Any, names: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        as_weights(weights, 3, names)


@given(m=st.integers(1, 5), divisions=st.integers(1, 6))
def test_lattice_is_every_multiple_once(m: int, divisions: int) -> None:
    points = lattice(m, divisions)
    assert len(points) == math.comb(divisions + m - 1, m - 1)
    assert points.sum(axis=1) == pytest.approx(1.0, abs=1e-15)
    found = [tuple(row) for row in np.rint(points * divisions).astype(int)]
    every = [row for row in product(range(divisions + 1), repeat=m) if sum(row) == divisions]
    assert found == sorted(every, reverse=True)
    assert np.array_equal(points, np.array(found) / divisions)


@given(m=st.integers(2, 7), n_points=st.integers(1, 200))
def test_lattice_near_is_the_finest_that_fits(m: int, n_points: int) -> None:
    points = lattice_near(m, n_points)
    assert set(map(tuple, corners(m))) <= set(map(tuple, points))
    assert len(points) <= max(n_points, m)
    divisions = round(1 / points[points > 0].min())
    assert len(points) == math.comb(divisions + m - 1, m - 1)
    assert math.comb(divisions + m, m - 1) > n_points


def test_one_objective_has_one_weight() -> None:
    assert lattice_near(1, 21).tolist() == corners(1).tolist() == lattice(1, 4).tolist() == [[1.0]]
    assert dirichlet_weights(2, 1, rng=np.random.default_rng(0)).tolist() == [[1.0], [1.0]]


@pytest.mark.parametrize(("m", "divisions"), [(0, 3), (3, 0), (3, 2.5), (-1, 2)])
def test_refused_lattices(m: Any, divisions: Any) -> None:
    with pytest.raises(ValueError, match=f"whole numbers of at least 1; got {m} and {divisions}"):
        lattice(m, divisions)


@pytest.mark.parametrize("alpha", [1.0, 0.1, 5.0, [0.5, 1.0, 3.0]])
def test_dirichlet_moments(alpha: Any) -> None:
    n = 200_000
    draws = dirichlet_weights(n, 3, alpha=alpha, rng=np.random.default_rng(0))
    concentration = np.broadcast_to(np.asarray(alpha, dtype=float), (3,))
    total = concentration.sum()
    mean = concentration / total
    covariance = (np.diag(mean) - np.outer(mean, mean)) / (total + 1)
    assert draws.mean(axis=0) == pytest.approx(mean, abs=5e-3)
    assert np.cov(draws.T) == pytest.approx(covariance, abs=2e-3)
    theirs = np.random.default_rng(1).dirichlet(concentration, size=n)
    levels = [0.05, 0.25, 0.5, 0.75, 0.95]
    assert np.quantile(draws, levels, axis=0) == pytest.approx(np.quantile(theirs, levels, axis=0), abs=6e-3)


@pytest.mark.parametrize("alpha", [1e-2, 1e-5, 1e-100, 1e-300, 1e-308, 5e-324])
def test_tiny_alpha_draws_corners_never_nan(alpha: float) -> None:
    draws = dirichlet_weights(3000, 3, alpha=alpha, rng=np.random.default_rng(0))
    assert np.isfinite(draws).all()
    assert draws.sum(axis=1) == pytest.approx(1.0, abs=1e-15)
    assert draws.mean(axis=0) == pytest.approx(1 / 3, abs=0.04)
    if alpha < 1e-3:
        assert (draws.max(axis=1) > 0.999).mean() > 0.99


def test_huge_alpha_draws_the_centre() -> None:
    draws = dirichlet_weights(100, 4, alpha=1e300, rng=np.random.default_rng(0))
    assert draws == pytest.approx(0.25, abs=1e-9)


def test_draws_follow_the_generator() -> None:
    first, again, other = (dirichlet_weights(5, 3, rng=np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert dirichlet_weights(0, 3, rng=np.random.default_rng(0)).shape == (0, 3)


@pytest.mark.parametrize(
    ("alpha", "message"),
    [
        (0.0, "alpha must be positive and finite; got 0.0"),
        ([1.0, -1.0, 1.0], "alpha must be positive and finite"),
        (np.inf, "alpha must be positive and finite"),
        (np.nan, "alpha must be positive and finite"),
        ([1.0, 2.0], r"alpha must be one number or 3; got shape \(2,\)"),
    ],
)
def test_refused_alpha(alpha: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dirichlet_weights(2, 3, alpha=alpha, rng=np.random.default_rng(0))
