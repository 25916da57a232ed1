"""Hypervolume and dominance."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperrank.metrics import hypervolume, non_dominated


def by_inclusion_exclusion(points, corner):
    """Volume of the union of the boxes between the corner and each point."""
    boxes = np.maximum(np.asarray(points, dtype=float), corner)
    total = 0.0
    for size in range(1, len(boxes) + 1):
        for chosen in combinations(boxes, size):
            total += (-1) ** (size + 1) * np.prod(np.min(chosen, axis=0) - corner)
    return total


@pytest.mark.parametrize("m", [1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("reference", [0.0, 0.3, -0.5])
def test_equals_inclusion_exclusion(m, reference):
    points = np.random.default_rng(m).random((7, m))
    found = hypervolume(points, reference)
    assert found == pytest.approx(by_inclusion_exclusion(points, np.full(m, reference)), abs=1e-12)
    assert hypervolume(points, np.full(m, reference)) == found


def test_equals_a_count_of_random_darts():
    rng = np.random.default_rng(0)
    points, darts = rng.random((20, 3)), rng.random((40_000, 3))
    hit = (darts[:, None, :] < points).all(axis=2).any(axis=1).mean()
    assert hypervolume(points) == pytest.approx(hit, abs=0.01)


def test_each_objective_has_its_own_reference():
    assert hypervolume([[3.0, 2.0]], [1.0, -1.0]) == 6.0


def test_points_below_the_reference_contribute_nothing():
    inside = [[0.5, 0.5]]
    assert hypervolume([*inside, [2.0, -1.0], [-1.0, 2.0], [3.0, 0.0]]) == hypervolume(inside) == 0.25
    assert hypervolume([[-1.0, -1.0]]) == 0.0
    assert hypervolume([[-1.0], [-2.0]]) == 0.0


def test_one_objective():
    assert hypervolume([[0.2], [0.7], [0.4]], 0.1) == pytest.approx(0.6)
    assert non_dominated([[0.2], [0.7], [0.7]]).tolist() == [False, True, True]


def test_no_points():
    assert hypervolume(np.zeros((0, 3))) == 0.0
    assert non_dominated(np.zeros((0, 3))).shape == (0,)


@pytest.mark.parametrize("m", [1, 2, 3, 5])
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_non_dominated_equals_its_definition(m, data):
    row = st.lists(st.integers(-2, 3), min_size=m, max_size=m)
    points = np.array(data.draw(st.lists(row, min_size=1, max_size=12)), dtype=float)
    expected = [not any((q >= p).all() and (q > p).any() for q in points) for p in points]
    assert non_dominated(points).tolist() == expected


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 999), m=st.integers(1, 4))
def test_dominated_points_add_no_volume(seed, m):
    points = np.random.default_rng(seed).integers(0, 5, size=(10, m)).astype(float)
    assert hypervolume(points[non_dominated(points)]) == pytest.approx(hypervolume(points))


@pytest.mark.parametrize(
    ("points", "reference", "message"),
    [
        ([0.1, 0.2], 0.0, r"points have shape \(2,\); expected \(k, m\)"),
        ([[0.1, np.nan]], 0.0, r"points must be finite; got \[0.1, nan\] in row 0"),
        ([[0.1, np.inf]], 0.0, "points must be finite"),
        ([["a"]], 0.0, "points must be numbers"),
        ([[0.1, 0.2]], [0.0] * 3, r"reference_point has shape \(3,\); expected one number or shape \(2,\)"),
        ([[0.1, 0.2]], np.nan, "reference_point must be finite"),
    ],
)
def test_refused(points, reference, message):
    with pytest.raises(ValueError, match=message):
        hypervolume(points, reference)
    if "reference" not in message:
        with pytest.raises(ValueError, match=message):
            non_dominated(points)
