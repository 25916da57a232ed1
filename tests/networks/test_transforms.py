"""Feature transforms: closed forms, invariances, missing and extreme values."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import norm, rankdata

from hyperrank.networks import feature_transforms as transforms
from hyperrank.networks.feature_transforms import TRANSFORMS, FeatureTransform, fit_transform_module

Columns = NDArray[np.float32]


def fit(features: Any, kind: str, **options: Any) -> FeatureTransform:
    table = np.asarray(features, dtype=np.float32)
    return fit_transform_module(table, kind, rng=np.random.default_rng(0), **options)


def apply(transform: FeatureTransform, features: Any) -> Columns:
    found: Columns = transform(torch.from_numpy(np.asarray(features, dtype=np.float32))).numpy()
    return found


def column_of(n: int = 1000, seed: int = 0) -> Columns:
    return np.random.default_rng(seed).normal(size=(n, 1)).astype(np.float32)


def test_quantile_is_the_normal_quantile_of_the_mid_rank() -> None:
    values = np.random.default_rng(0).integers(0, 40, 500).astype(np.float32)
    expected = norm.ppf((rankdata(values) - 0.5) / 500)
    expected = (expected - expected.mean()) / expected.std()
    found = apply(fit(values[:, None], "quantile"), values[:, None])[:, 0]
    np.testing.assert_allclose(found, expected, atol=1e-5)


@given(
    train=st.lists(st.floats(-1e6, 1e6, width=32), min_size=2, max_size=60),
    probes=st.lists(st.floats(-2e6, 2e6, width=32), min_size=2, max_size=60),
    n_knots=st.sampled_from([2, 5, 256]),
)
@settings(max_examples=100, deadline=None)
def test_quantile_is_monotone(train: list[float], probes: list[float], n_knots: int) -> None:
    transform = fit(np.array(train)[:, None], "quantile", n_knots=n_knots)
    found = apply(transform, np.sort(probes)[:, None])[:, 0]
    assert np.isfinite(found).all()
    assert (np.diff(found) >= -1e-6).all()


@pytest.mark.parametrize("change", [np.exp, np.cbrt, lambda x: 1e20 * x - 1, lambda x: -1 / (x + 9)])
def test_quantile_is_blind_to_monotone_changes(change: Any) -> None:
    train = np.unique(column_of(200))[:, None]
    test = train[::3]
    plain = apply(fit(train, "quantile"), test)
    changed = apply(fit(change(train.astype(np.float64)), "quantile"), change(test.astype(np.float64)))
    np.testing.assert_allclose(changed, plain, atol=1e-6)


def test_quantile_of_more_values_than_knots_keeps_their_order() -> None:
    train, test = column_of(5000), column_of(1000, seed=1)
    found = apply(fit(np.exp(train), "quantile"), np.exp(test))[:, 0]
    inner = np.abs(test[:, 0]) < 2
    np.testing.assert_allclose(found[inner], test[inner, 0], atol=0.15)
    assert (np.argsort(found[inner]) == np.argsort(test[inner, 0])).all()


@pytest.mark.parametrize("kind", ["quantile", "standard", "log"])
@pytest.mark.parametrize("scale", [1e-30, 1e-10, 1.0, 1e10, 1e30])
def test_training_features_come_out_standardised(kind: str, scale: float) -> None:
    train = scale * (3 + column_of())
    found = apply(fit(train, kind), train).astype(np.float64)
    assert found.mean() == pytest.approx(0, abs=1e-4)
    assert found.std() == pytest.approx(1, rel=1e-4)


def test_standard_and_log_are_their_formulas() -> None:
    train, test = 10 * column_of(), 10 * column_of(seed=1)
    expected = (test - train.mean()) / train.std()
    np.testing.assert_allclose(apply(fit(train, "standard"), test), expected, atol=1e-5)
    logs = np.sign(train) * np.log1p(np.abs(train))
    expected = (np.sign(test) * np.log1p(np.abs(test)) - logs.mean()) / logs.std()
    np.testing.assert_allclose(apply(fit(train, "log"), test), expected, atol=1e-5)
    assert (apply(fit(train, "none"), test) == test).all()


@pytest.mark.parametrize("kind", ["quantile", "standard", "log"])
@pytest.mark.parametrize("value", [0.0, 7.0, -0.1, 1e30, 1e-30])
def test_constant_features_become_zero(kind: str, value: float) -> None:
    train = np.full((70, 1), value)
    assert apply(fit(train, kind), train) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("kind", TRANSFORMS)
def test_missing_values_become_zero_with_an_indicator(kind: str) -> None:
    train = np.array([[1.0, np.nan], [2.0, 5.0], [4.0, 6.0], [5.0, 7.0]])
    transform = fit(train, kind)
    assert transform.n_out == 3
    found = apply(transform, train)
    assert found[:, 2].tolist() == [1, 0, 0, 0]
    assert found[0, 1] == 0
    full = apply(fit(train[1:, 1:], kind), train[1:, 1:])
    np.testing.assert_allclose(found[1:, 1:2], full)
    # Missing only at test time: the centre, and no column that training never saw.
    late = apply(transform, [[np.nan, np.nan], [np.nan, 6.0]])
    assert late[:, 0].tolist() == [0, 0]
    assert late[:, 2].tolist() == [1, 0]


@pytest.mark.parametrize("kind", TRANSFORMS)
def test_a_feature_that_is_always_missing(kind: str) -> None:
    train = np.column_stack([np.arange(5.0), np.full(5, np.nan)])
    transform = fit(train, kind)
    found = apply(transform, train)
    assert found[:, 1:].tolist() == [[0, 1]] * 5
    assert np.isfinite(apply(transform, [[1.0, 3.0]])).all()


def test_values_beyond_training_are_clamped_by_quantile() -> None:
    train = column_of(100)
    transform = fit(train, "quantile")
    beyond = apply(transform, [[train.min() - 1e3], [train.min()], [train.max()], [train.max() + 1e3]])[:, 0]
    assert beyond[0] == beyond[1] < 0 < beyond[2] == beyond[3]


@pytest.mark.parametrize("kind", ["quantile", "standard", "log"])
@pytest.mark.parametrize(
    "train",
    [
        [-3e38, 3e38],
        [-3.4e38, -3.4e38, 3.4e38],
        [0, 1e-10, 2e-10],
        [5, 5, 5],
        [1e-45, 3e-45],
        [-3e38, 0, 1, 3e38],
    ],
)
def test_huge_and_tiny_values_stay_finite(kind: str, train: list[float]) -> None:
    column = np.array(train)[:, None]
    probes = np.array([-3.4e38, -3e38, -1, -1e-45, 0.0, 1e-45, 1, 3e38, 3.4e38])[:, None]
    found = apply(fit(column, kind), np.concatenate([column, probes]))
    assert np.isfinite(found).all()
    assert np.abs(found).max() <= 1e6
    assert (np.diff(found[len(train) :, 0]) >= 0).all()


def test_quantile_interpolates_between_values_of_unlike_sign() -> None:
    found = apply(fit([[-3e38], [3e38]], "quantile"), [[-3e38], [-1.5e38], [0], [1.5e38], [3e38]])
    np.testing.assert_allclose(found[:, 0], [-1, -0.5, 0, 0.5, 1], atol=1e-6)


@pytest.mark.parametrize("kind", TRANSFORMS)
def test_large_data_are_looked_at_in_part(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    train = np.column_stack([column_of(4000), column_of(4000, seed=1)])
    train[17, 1] = np.nan  # noticed whether it is drawn or not
    full = apply(fit(train, kind), train)
    monkeypatch.setattr(transforms, "MAX_FIT_ROWS", 1000)
    part = fit(train, kind)
    assert part.n_out == 3
    inner = (np.abs(train) < 2).all(axis=1)
    np.testing.assert_allclose(apply(part, train)[inner], full[inner], atol=0.25)
    again = fit(train, kind)
    assert (apply(again, train) == apply(part, train)).all()
    if kind != "none":
        assert (apply(part, train) != full).any()


@pytest.mark.parametrize("kind", TRANSFORMS)
def test_a_state_dict_holds_all_that_was_fitted(kind: str) -> None:
    train = np.column_stack([column_of(100), column_of(100, seed=1)])
    train[3, 0] = np.nan
    fitted = fit(train, kind)
    state = {name: tensor.clone() for name, tensor in fitted.state_dict().items()}
    other = fit(1 + train[::-1], kind)
    other.load_state_dict(state)
    assert (apply(other, train) == apply(fitted, train)).all()


def test_rows_are_transformed_one_by_one() -> None:
    features = np.column_stack([column_of(50), column_of(50, seed=1)])
    for kind in TRANSFORMS:
        transform = fit(features, kind)
        alone = np.concatenate([apply(transform, row[None]) for row in features])
        assert (apply(transform, features) == alone).all()


FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(
    st.lists(st.lists(FLOATS, min_size=1, max_size=40), min_size=1, max_size=4),
    st.lists(st.one_of(FLOATS, st.just(float("nan"))), min_size=1, max_size=20),
)
def test_knots_are_found_as_by_numpy(columns: list[list[float]], probes: list[float]) -> None:
    train = np.full((max(map(len, columns)), len(columns)), np.nan, dtype=np.float32)
    for j, column in enumerate(columns):
        train[: len(column), j] = column
    transform = fit(train, "quantile", n_knots=8)
    knots, width = transform.knots.numpy(), len(transform.search) // len(columns)
    values = np.clip(np.float32(probes), knots[:, :1], knots[:, -1:])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transforms, "FEW", 0)
        found = transforms.last_knots(transform.search, torch.from_numpy(values), transform.first)
    found = found.numpy().reshape(values.shape)
    for j, column in enumerate(values):
        known = ~np.isnan(column)
        expected = j * width + np.searchsorted(knots[j], column[known], side="right") - 1
        assert (found[j, known] == expected).all()
        assert (found[j] // width == j).all()  # a place of its own feature, also for NaN


def test_many_rows_are_transformed_as_few(monkeypatch: pytest.MonkeyPatch) -> None:
    features = np.random.default_rng(0).normal(size=(3000, 5)).astype(np.float32)
    features[::7, 2] = np.nan
    transform = fit(features, "quantile")
    wanted = apply(transform, features)
    monkeypatch.setattr(transforms, "FEW", len(features) * 5 + 1)  # by torch.searchsorted
    assert (apply(transform, features) == wanted).all()
    monkeypatch.setattr(transforms, "FEW", 0)
    monkeypatch.setattr(transforms, "SEARCHED_AT_ONCE", 1000)
    assert (apply(transform, features) == wanted).all()


def test_unknown_transform() -> None:
    with pytest.raises(ValueError, match=r"transform must be one of .*'quantile'.*; got 'rank'"):
        fit([[1.0]], "rank")
