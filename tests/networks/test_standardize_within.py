"""Standardisation within the list: the closed form, and the same bits in any order."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hyperrank.lists import QueryLists
from hyperrank.networks.query_normalization import (
    ENTRIES_AT_ONCE,
    _by_segments,
    join_standardized,
    standardize_within,
)


def offsets_of(*sizes: int) -> Tensor:
    return torch.tensor([0, *sizes]).cumsum(0)


def closed_form(features: Tensor) -> Tensor:
    wide = features.double()
    return (wide - wide.mean(dim=0)) / wide.std(dim=0, correction=0)


def test_closed_form_list_by_list() -> None:
    features, sizes = torch.randn(60, 4), [20, 0, 7, 33]
    found = standardize_within(features, offsets_of(*sizes))
    assert found.dtype == torch.float32
    expected = torch.cat([closed_form(part) for part in features.split(sizes) if len(part)])
    torch.testing.assert_close(found.double(), expected, rtol=1e-6, atol=1e-6)


@given(
    seed=st.integers(0, 2**31),
    sizes=st.lists(st.integers(0, 30), min_size=1, max_size=5),
    scale=st.sampled_from([1e-30, 1e-3, 1.0, 1e6, 1e30]),
    shift=st.sampled_from([0.0, 1.0, 1e3]),
)
@settings(max_examples=60, deadline=None)
def test_other_rows_may_stand_in_any_order_to_the_bit(
    seed: int, sizes: list[int], scale: float, shift: float
) -> None:
    generator = torch.Generator().manual_seed(seed)
    features = scale * (shift + torch.randn(sum(sizes), 3, generator=generator).pow(3))
    within = [
        at[torch.randperm(len(at), generator=generator)] for at in torch.arange(len(features)).split(sizes)
    ]
    order = torch.cat(within)
    found = standardize_within(features, offsets_of(*sizes))
    assert torch.equal(standardize_within(features[order], offsets_of(*sizes)), found[order])
    # Float32 results hide the last bits of the sums; float64 ones show them.
    wide = features.double() * torch.rand(sum(sizes), 3, generator=generator, dtype=torch.float64)
    found = standardize_within(wide, offsets_of(*sizes))
    assert torch.equal(standardize_within(wide[order], offsets_of(*sizes)), found[order])


def test_a_list_is_the_same_beside_others_and_alone() -> None:
    features = torch.randn(30, 2)
    together = standardize_within(features, offsets_of(10, 20))
    assert torch.equal(together[10:], standardize_within(features[10:], offsets_of(20)))


def test_a_list_of_100_000_documents() -> None:
    features = torch.randn(100_000, 2).exp()
    found = standardize_within(features, offsets_of(100_000))
    torch.testing.assert_close(found.double(), closed_form(features), rtol=1e-6, atol=1e-6)
    order = torch.randperm(100_000)
    assert torch.equal(standardize_within(features[order], offsets_of(100_000)), found[order])


@pytest.mark.parametrize("value", [0.0, 1.0, 0.1, -3.7, 1e6, 1e-30, 3e38])
@pytest.mark.parametrize("n", [1, 2, 3, 1001])
def test_constant_features_and_single_documents_become_zero(value: float, n: int) -> None:
    assert (standardize_within(torch.full((n, 1), value), offsets_of(n)) == 0).all()


def test_rounding_noise_of_a_constant_is_not_a_feature() -> None:
    noisy = np.nextafter(np.full(50, 0.1, dtype=np.float32), np.float32(1))
    noisy[::2] = np.float32(0.1)
    assert (standardize_within(torch.from_numpy(noisy)[:, None], offsets_of(50)) == 0).all()


@pytest.mark.parametrize("noise", [0.3, 1.0, 100.0])
def test_small_differences_on_a_large_offset(noise: float) -> None:
    features = (1e6 + noise * torch.randn(1000, 1, generator=torch.Generator().manual_seed(0))).float()
    found = standardize_within(features, offsets_of(1000))
    torch.testing.assert_close(found.double(), closed_form(features), rtol=1e-5, atol=1e-5)


def test_whether_a_feature_is_constant_is_one_answer_per_list() -> None:
    features = torch.tensor([[0.0], [1e-3], [2e-3], [1e3]])
    found = standardize_within(features, offsets_of(4))
    torch.testing.assert_close(found.double(), closed_form(features), rtol=1e-6, atol=1e-6)
    tiny = torch.tensor([[1e-8], [2e-8], [3e-8]])
    torch.testing.assert_close(
        standardize_within(tiny, offsets_of(3)).double(), closed_form(tiny), rtol=1e-6, atol=1e-6
    )


def test_no_lists_and_empty_lists() -> None:
    assert standardize_within(torch.zeros(0, 3), offsets_of()).shape == (0, 3)
    assert standardize_within(torch.zeros(0, 3), offsets_of(0, 0)).shape == (0, 3)


def test_missing_values_stay_missing_and_do_not_count() -> None:
    features = torch.randn(12, 3)
    features[torch.rand(12, 3) < 0.3] = torch.nan
    features[6:, 1] = torch.nan  # a list without any
    found = standardize_within(features, offsets_of(6, 6))
    assert torch.equal(torch.isnan(found), torch.isnan(features))
    for part, of_part in zip(features.split(6), found.split(6), strict=True):
        for column, standardized in zip(part.T, of_part.T, strict=True):
            known = ~torch.isnan(column)
            if known.sum() > 1:
                expected = closed_form(column[known][:, None])[:, 0]
                torch.testing.assert_close(standardized[known].double(), expected, rtol=1e-5, atol=1e-6)


def test_joined_in_runs_of_lists_as_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    features = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    lists = QueryLists.from_sizes([7, 0, 20, 1, 22])
    whole = join_standardized(features, lists)
    monkeypatch.setattr("hyperrank.networks.query_normalization.ENTRIES_AT_ONCE", 32)
    np.testing.assert_array_equal(join_standardized(features, lists), whole)
    np.testing.assert_array_equal(whole[:, :4], features)
    offsets = torch.from_numpy(lists.offsets)
    within = standardize_within(torch.from_numpy(features), offsets).numpy()
    np.testing.assert_array_equal(whole[:, 4:], within)


def test_columns_of_a_long_list_are_standardised_some_at_a_time_as_all_at_once() -> None:
    features = np.random.default_rng(0).lognormal(size=(5000, 40)).astype(np.float32)
    whole = join_standardized(features, QueryLists.from_sizes([5000]))[:, 40:]
    assert ENTRIES_AT_ONCE // len(features) < features.shape[1]
    for columns in (slice(3), slice(30, 36), slice(39, 40)):
        some = standardize_within(torch.from_numpy(features[:, columns].copy()), torch.tensor([0, 5000]))
        np.testing.assert_array_equal(whole[:, columns], some.numpy())


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_gpus_way_gives_the_same_bits(missing: float) -> None:
    generator = torch.Generator().manual_seed(0)
    for _ in range(30):
        sizes = torch.randint(0, 80, (7,), generator=generator).tolist()
        features = torch.randn(sum(sizes), 5, generator=generator).pow(5)
        features[torch.rand(features.shape, generator=generator) < missing] = torch.nan
        found, again = (how(features, offsets_of(*sizes)) for how in (standardize_within, _by_segments))
        torch.testing.assert_close(found, again, rtol=0, atol=0, equal_nan=True)
