"""Tests by query against cases that are known in closed form."""

from math import comb

import numpy as np
import pytest

from benchmarks.fronts.resampling import compare_fronts, compare_means, mean_hypervolume
from hyperrank.metrics import hypervolume


def one_value(queries):
    """Values of one objective at one trade-off, for one seed and one fold."""
    return [np.asarray(queries, dtype=float)[None, None, :, None]]


def random_values(rng, n_folds=2, seeds=2, k=5, q=12, m=3):
    return [rng.uniform(size=(seeds, k, q, m)) for _ in range(n_folds)]


def test_identical_methods():
    values = random_values(np.random.default_rng(0))
    for found in (
        compare_fronts(values, values, n=200),
        compare_means(values, values, row=1, objective=2, n=200),
    ):
        assert (found.lead, found.low, found.high, found.p) == (0, 0, 0, 1)


def test_lead_is_the_difference_of_mean_hypervolumes():
    rng = np.random.default_rng(1)
    a, b = random_values(rng), random_values(rng)
    expected = [
        np.mean([hypervolume(front) for fold in values for front in fold.mean(axis=2)]) for values in (a, b)
    ]
    assert compare_fronts(a, b, n=10).lead == pytest.approx(expected[0] - expected[1])
    assert mean_hypervolume(np.array([[[[0.5, 0.5]]]])) == pytest.approx([0.25])


def test_a_query_that_does_not_count_is_left_out():
    rng = np.random.default_rng(2)
    a, b = random_values(rng, 1, q=6), random_values(rng, 1, q=6)
    for fold in (*a, *b):
        fold[:, :, 4, 1] = np.nan
    expected = [np.mean([hypervolume(f) for f in np.nanmean(v[0], axis=2)]) for v in (a, b)]
    assert compare_fronts(a, b, n=10).lead == pytest.approx(expected[0] - expected[1])
    b[0][:, :, 3, 1] = np.nan
    with pytest.raises(ValueError, match="not measured on the same queries"):
        compare_fronts(a, b, n=10)


def test_p_of_equal_differences_in_closed_form():
    """Only the two swaps of all queries or none are as extreme: p = 2 / 2^q."""
    q, n = 6, 5_000
    found = compare_fronts(one_value([0.7] * q), one_value([0.5] * q), n=n)
    assert found.lead == pytest.approx(0.2)
    assert found.p == pytest.approx(2 / 2**q, abs=4 * np.sqrt(2 / 2**q / n))


def test_p_of_a_majority_in_closed_form():
    """Differences of one size are a sign test: 8 of 10 for a."""
    n = 5_000
    a = [0.6] * 8 + [0.4] * 2
    found = compare_means(one_value(a), one_value([0.5] * 10), row=0, objective=0, n=n)
    exact = 2 * sum(comb(10, i) for i in range(3)) / 2**10
    assert found.p == pytest.approx(exact, abs=4 * np.sqrt(exact / n))
    assert found.low < found.lead < found.high


def test_clearly_better():
    rng = np.random.default_rng(3)
    b = random_values(rng, q=30)
    a = [np.clip(values + 0.2, 0, None) for values in b]
    found = compare_fronts(a, b, n=500)
    assert found.p == pytest.approx(1 / 501)
    assert 0 < found.low < found.lead < found.high


def test_p_is_uniform_where_methods_are_alike():
    rng = np.random.default_rng(4)
    ps = []
    for _ in range(100):
        difficulty = rng.uniform(0.2, 0.8, size=(1, 1, 15, 2))
        a, b = (difficulty + 0.1 * rng.normal(size=(1, 3, 15, 2)) for _ in range(2))
        ps.append(compare_fronts([a], [b], n=99).p)
    ordered = np.sort(ps)
    # The Kolmogorov-Smirnov distance at 1% for 100 draws, 0.16, with room for steps of 1/100. Half the p, or
    # twice, as of one tail in the place of two, would be 0.5 away.
    assert np.abs(ordered - (np.arange(100) + 0.5) / 100).max() < 1.63 / np.sqrt(100) + 0.01


def test_swaps_are_shared_by_seeds():
    """Seeds that say the same are no more evidence than one."""
    rng = np.random.default_rng(5)
    a, b = (rng.uniform(size=(1, 4, 10, 2)) for _ in range(2))
    one = compare_fronts([a], [b], n=300)
    three = compare_fronts([np.repeat(a, 3, axis=0)], [np.repeat(b, 3, axis=0)], n=300)
    assert three.p == one.p
    assert three.low == pytest.approx(one.low)
