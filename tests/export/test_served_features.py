"""Features as the exported graph computes them, against the transforms that networks were trained with."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hyperrank.export.modules import ServedTransform, last_knot_passed, standardize_one_list
from hyperrank.networks.feature_transforms import TRANSFORMS, _searched, fit_transform_module
from hyperrank.networks.query_normalization import standardize_within

FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)
FEW = st.sampled_from([0.0, 1.0, 2.0, -3.5, 1e-30, 1e30])


def matrices(entries, most=40):
    shapes = st.tuples(st.integers(1, most), st.integers(1, 4))
    return shapes.flatmap(lambda shape: hnp.arrays(np.float32, shape, elements=entries))


def search_table(knots):
    return _searched(knots, torch.zeros_like(knots))["search"].view(len(knots), -1)


@given(matrices(FINITE | FEW, most=70), st.data())
def test_the_search_finds_what_searchsorted_finds(knots, data):
    knots = torch.from_numpy(np.sort(knots, axis=0).T.copy())
    n = data.draw(st.integers(1, 9))
    values = data.draw(hnp.arrays(np.float32, (len(knots), n), elements=FINITE | FEW))
    values = torch.maximum(torch.cat([torch.from_numpy(values), knots], dim=1), knots[:, :1])
    expected = torch.searchsorted(knots, values, right=True) - 1
    assert torch.equal(last_knot_passed(search_table(knots), values), expected)


@pytest.mark.parametrize("n_knots", [2, 3, 64, 256])
def test_the_search_finds_every_knot_of_a_large_table(n_knots):
    knots = torch.arange(n_knots, dtype=torch.float32)[None]
    between = torch.cat([knots, knots + 0.5], dim=1)
    found = last_knot_passed(search_table(knots), between)
    assert torch.equal(found, torch.arange(n_knots).repeat(2)[None])


def holes(X, rng, share=0.2):
    return np.where(rng.random(X.shape) < share, np.float32(np.nan), X)


@pytest.mark.parametrize("kind", TRANSFORMS)
@pytest.mark.parametrize("are_missing", [False, True])
def test_transforms_are_those_of_training(kind, are_missing):
    rng = np.random.default_rng(0)
    scales = np.array([1e-6, 1, 1, 1e5, 1e30, 0, 1], dtype=np.float32)
    seen = (rng.normal(size=(700, 7)) * scales).astype(np.float32)
    seen[:, 2] = rng.integers(0, 4, 700)
    if are_missing:
        seen[:, :4] = holes(seen[:, :4], rng)
        seen[:, 6] = np.nan
    transform = fit_transform_module(seen, kind, rng=rng)
    # Features that were never missing in training may be so now, and lie beyond all that was seen.
    later = np.concatenate([seen, holes(rng.normal(size=(50, 7)) * 3 * scales, rng), 1e30 * np.eye(7)])
    rows = torch.from_numpy(later.astype(np.float32))
    found, expected = ServedTransform(transform)(rows), transform(rows)
    if kind == "log":  # torch's float32 log1p is itself one bit off here and there
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    else:
        assert torch.equal(found, expected)
    assert len(found.unique()) > 100


@given(matrices(FINITE | FEW | st.just(float("nan"))))
def test_features_within_the_list_are_the_same_to_the_bit(rows):
    features = torch.from_numpy(rows)
    expected = standardize_within(features, torch.tensor([0, len(rows)]))
    found = standardize_one_list(features, may_miss=True)
    assert torch.equal(found.isnan(), features.isnan())
    assert torch.equal(found.nan_to_num(), expected.nan_to_num())
    if not np.isnan(rows).any():
        assert torch.equal(standardize_one_list(features, may_miss=False), expected)


@pytest.mark.parametrize("n", [1, 2, 5000])
def test_long_lists_are_the_same_to_the_bit(n):
    rng = np.random.default_rng(n)
    rows = torch.from_numpy(rng.lognormal(sigma=5, size=(n, 6)).astype(np.float32))
    expected = standardize_within(rows, torch.tensor([0, n]))
    assert torch.equal(standardize_one_list(rows, may_miss=True), expected)
    assert n == 1 or expected.abs().max() > 0.5
