"""Batches of whole lists, and the schedule of the learning rate."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from training_helpers import data_of

from hyperrank.losses import ListNet, PlackettLuce, prepare
from hyperrank.training import ListTensors, document_batches
from hyperrank.training.loop import warmup_cosine


def batches_of(sizes: list[int], batch_docs: int, seed: int = 0) -> list[list[int]]:
    rng = np.random.default_rng(seed)
    return [b.tolist() for b in document_batches(np.array(sizes, dtype=np.int64), batch_docs, rng)]


@given(
    sizes=st.lists(st.integers(0, 200), max_size=60),
    batch_docs=st.integers(1, 300),
    seed=st.integers(0, 1000),
)
@settings(max_examples=50, deadline=None)
def test_every_list_is_in_one_batch_and_long_ones_are_alone(
    sizes: list[int], batch_docs: int, seed: int
) -> None:
    batches = batches_of(sizes, batch_docs, seed)
    assert sorted(at for batch in batches for at in batch) == list(range(len(sizes)))
    assert all(batches)
    for batch in batches:
        n_docs = sum(sizes[at] for at in batch)
        assert len(batch) == 1 or max(sizes[at] for at in batch) <= batch_docs
        assert len(batch) == 1 or n_docs < 3 * batch_docs


def test_batches_are_about_as_large_as_asked() -> None:
    sizes = np.random.default_rng(0).integers(1, 20, 2000).tolist()
    totals = np.array([sum(sizes[at] for at in batch) for batch in batches_of(sizes, 500)])
    assert len(totals) == round(sum(sizes) / 500)
    assert (np.abs(totals - 500) < 40).all()


def test_no_small_rest_is_left_over() -> None:
    assert sorted(len(batch) for batch in batches_of([1] * 101, 10)) == [10] * 9 + [11]


def test_batches_follow_the_generator() -> None:
    sizes = [3, 50, 4, 1, 9, 2, 70] * 5
    assert batches_of(sizes, 10, seed=1) == batches_of(sizes, 10, seed=1)
    assert batches_of(sizes, 10, seed=1) != batches_of(sizes, 10, seed=2)
    rng = np.random.default_rng(0)
    first, second = ([b.tolist() for b in document_batches(np.array(sizes), 10, rng)] for _ in range(2))
    assert first != second


def test_long_lists_are_not_all_first_or_last() -> None:
    sizes = [100] * 10 + [5] * 100
    long = [max(batch) < 10 for batch in batches_of(sizes, 50)]
    assert sum(long) == 10
    assert 0 < np.flatnonzero(long).mean() < len(long) - 1
    assert np.flatnonzero(long).tolist() not in ([*range(10)], [*range(len(long) - 10, len(long))])


def test_no_lists_make_no_batches() -> None:
    assert batches_of([], 10) == []


def test_a_batch_holds_the_rows_of_its_lists() -> None:
    data = data_of((2, 3, 1), query_weight=[1.0, 2.0, 6.0])
    batch = data.batch(np.array([2, 0]))
    assert torch.equal(batch.features, data.features[[5, 0, 1]])
    assert torch.equal(batch.labels, data.labels[[5, 0, 1]])
    assert batch.offsets.tolist() == [0, 1, 3]
    assert batch.index.tolist() == [0, 1, 1]
    assert batch.query_weight is not None
    assert batch.query_weight.tolist() == [6.0, 1.0]
    assert float(batch.share) == pytest.approx(3.5 / 3)
    plain = data_of((2, 3, 1)).batch(np.array([1]))
    assert plain.query_weight is None
    assert plain.share == 1


def test_warmup_rises_in_a_line_then_falls_as_a_cosine() -> None:
    factors = np.array([warmup_cosine(step, 200) for step in range(201)])
    np.testing.assert_allclose(factors[:10], np.arange(1, 11) / 10)
    assert (np.diff(factors[10:]) <= 0).all()
    assert factors[105] == pytest.approx((1 + 0.01) / 2)
    assert factors[200] == pytest.approx(0.01)
    assert warmup_cosine(1000, 200) == pytest.approx(0.01)
    assert warmup_cosine(0, 200, warmup=0.5) == pytest.approx(0.01)
    assert warmup_cosine(200, 200, floor=0.3) == pytest.approx(0.3)


@pytest.mark.parametrize("n_steps", [1, 2, 3])
def test_short_runs_take_full_steps(n_steps: int) -> None:
    factors = [warmup_cosine(step, n_steps) for step in range(n_steps)]
    assert factors[0] == 1
    assert all(0 < factor <= 1 for factor in factors)


@pytest.mark.parametrize("loss", [ListNet(), PlackettLuce()], ids=["listnet", "plackett_luce"])
def test_batches_of_parts_are_those_of_shorter_lists(loss) -> None:
    whole = data_of((7, 30, 4), query_weight=[1, 2, 3])
    parts = whole.lists.split(8, np.random.default_rng(0))
    data = ListTensors(whole.features, whole.labels, parts, whole.query_weight[parts.ids])
    data.prepare(loss)
    batch = data.batch(np.array([2, 5, 0]))
    rows = np.concatenate([parts.order[parts.offsets[at] : parts.offsets[at + 1]] for at in (2, 5, 0)])
    assert (batch.features == whole.features[rows]).all()
    assert (batch.labels == whole.labels[rows]).all()
    assert batch.query_weight.tolist() == [2, 3, 1]
    alone = prepare(loss, batch.labels, batch.offsets)
    names = ("target", "has_gain") if loss == ListNet() else ("rank", "n_observed")
    assert all(torch.equal(getattr(batch.prepared, name), getattr(alone, name)) for name in names)
