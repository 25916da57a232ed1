"""Lists sharded among processes, and what a part of a batch counts."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from training_helpers import data_of, network_of

from hyperrank.losses import listnet, weighted_loss
from hyperrank.training import ListTensors, ShardedLists, alone, process_group
from hyperrank.training.data import EmptyShards, shards


@given(sizes=st.lists(st.integers(1, 500), max_size=60), n_shards=st.integers(1, 9))
@settings(max_examples=50)
def test_every_list_is_in_one_shard_and_shards_are_alike(sizes, n_shards):
    sizes = np.array(sizes, dtype=np.int64)
    parts = shards(sizes, n_shards)
    assert len(parts) == n_shards
    assert sorted(at for part in parts for at in part) == list(range(len(sizes)))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    totals = [sizes[part].sum() for part in parts]
    assert max(totals) - min(totals) <= (sizes.max() if len(sizes) else 0)


def shards_of(data: ListTensors, n_processes: int) -> list[ShardedLists]:
    mean = 1.0 if data.query_weight is None else float(data.query_weight.mean())
    sharded = []
    for numbers in shards(data.lists.sizes, n_processes):
        rows, lists = data.lists.take(numbers)
        weight = None if data.query_weight is None else data.query_weight[numbers]
        local = ListTensors(data.features[rows], data.labels[rows], lists, weight)
        sharded.append(ShardedLists(local, numbers, data.lists, n_processes=n_processes, mean_weight=mean))
    return sharded


@pytest.mark.parametrize("n_processes", [2, 3, 7])
@pytest.mark.parametrize("is_weighted", [False, True])
@pytest.mark.parametrize("which", [[2, 5, 11, 0, 4], [3], [0, 1]])
def test_the_mean_of_the_processes_gradients_is_that_of_the_batch(n_processes, is_weighted, which):
    weights = torch.arange(20.0) if is_weighted else None
    data, network = data_of(query_weight=weights), network_of()
    drawn = torch.from_numpy(np.random.default_rng(0).dirichlet([1, 1], (len(which), 3))).float()

    def gradient(part, forward=network) -> torch.Tensor:
        batch = part.batch(np.array(which))
        own = drawn if batch.places is None else drawn[batch.places]
        rewards = forward(batch.features, own, batch.index)
        value = rewards.sum()
        if len(rewards):
            options = {"loss": listnet, "query_weight": batch.query_weight}
            value = weighted_loss(rewards, batch.labels, batch.offsets, own, **options)
        parameters = [p for p in network.parameters() if p.requires_grad]
        return torch.cat([g.ravel() for g in torch.autograd.grad(value * batch.share, parameters)])

    found = [gradient(shard, EmptyShards(network)) for shard in shards_of(data, n_processes)]
    torch.testing.assert_close(torch.stack(found).mean(dim=0), gradient(data), rtol=1e-4, atol=1e-7)


def test_without_a_group_a_fit_is_alone():
    with process_group() as processes, alone(), process_group() as within:
        assert (processes.size, processes.is_rank_zero, within.size) == (1, True, 1)
        assert processes.on_rank_zero(lambda: {1}) == {1}
        assert processes.shard(np.array([3, 4])).tolist() == [0, 1]
