"""The listwise transformer against itself one list at a time, and against torch's own layers."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hyperrank.networks import ListTransformer
from hyperrank.networks.transformer import AttentionBlock, PackedSequences


def transformer(seed: int = 0, **options) -> ListTransformer:
    torch.manual_seed(seed)
    network = ListTransformer(5, 2, **{"hidden": (16, 16), "n_prompts": 3, **options}).eval()
    torch.nn.init.normal_(network.prompt.outer.weight)
    return network


def lists(sizes, seed=1):
    torch.manual_seed(seed)
    index = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    return torch.randn(len(index), 5), index


WEIGHTS = torch.tensor([[1.0, 0.0], [0.2, 0.8]])
sizes = st.lists(st.integers(1, 9), min_size=1, max_size=12)


@given(sizes=sizes, seed=st.integers(0, 99))
def test_packed_lists_score_as_each_list_alone(sizes, seed):
    network = transformer(seed)
    features, index = lists(sizes, seed)
    with torch.no_grad():
        together = network(features, WEIGHTS, index)
        alone = torch.cat([network(features[index == q], WEIGHTS) for q in range(len(sizes))])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


@given(sizes=sizes, seed=st.integers(0, 99))
def test_each_list_may_have_its_own_weights(sizes, seed):
    network = transformer(seed)
    features, index = lists(sizes, seed)
    own = torch.distributions.Dirichlet(torch.ones(2)).sample((len(sizes), 4))
    with torch.no_grad():
        together = network(features, own, index)
        alone = torch.cat([network(features[index == q], own[q]) for q in range(len(sizes))])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


@given(size=st.integers(1, 40), seed=st.integers(0, 99))
def test_documents_have_no_positions(size, seed):
    network = transformer(seed)
    features, _ = lists([size], seed)
    order = torch.randperm(size)
    with torch.no_grad():
        torch.testing.assert_close(
            network(features[order], WEIGHTS), network(features, WEIGHTS)[order], atol=1e-5, rtol=1e-5
        )


def test_a_list_sees_its_own_documents_and_no_others():
    network = transformer()
    features, index = lists([3, 3, 2])
    with torch.no_grad():
        before = network(features, WEIGHTS, index)
        features[0] += 1
        after = network(features, WEIGHTS, index)
    assert (before[:3] != after[:3]).all()
    torch.testing.assert_close(before[3:], after[3:], atol=1e-6, rtol=1e-6)


def test_alone_a_document_does_not_see_its_list():
    network = transformer(alone=True)
    features, index = lists([3, 5])
    with torch.no_grad():
        together = network(features, WEIGHTS, index)
        one_by_one = torch.cat([network(row[None], WEIGHTS) for row in features])
        own = network(features, WEIGHTS.expand(2, -1, -1), index)
    torch.testing.assert_close(together, one_by_one, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(together, own, atol=1e-6, rtol=1e-6)


def test_a_block_is_torchs_own_encoder_layer():
    torch.manual_seed(0)
    ours = AttentionBlock(16, n_heads=2).double()
    torchs = torch.nn.TransformerEncoderLayer(
        16, 2, 32, 0.0, torch.nn.functional.silu, batch_first=True, norm_first=True, dtype=torch.float64
    )
    pairs = {
        torchs.self_attn.in_proj_weight: ours.to_attention.weight,
        torchs.self_attn.in_proj_bias: ours.to_attention.bias,
        torchs.self_attn.out_proj.weight: ours.from_attention.weight,
        torchs.self_attn.out_proj.bias: ours.from_attention.bias,
        torchs.linear1.weight: ours.inner.weight,
        torchs.linear1.bias: ours.inner.bias,
        torchs.linear2.weight: ours.outer.weight,
        torchs.linear2.bias: ours.outer.bias,
    }
    with torch.no_grad():
        for theirs, own in pairs.items():
            theirs.copy_(own)
        tokens = torch.randn(4, 7, 16, dtype=torch.float64)
        packed = ours(tokens.flatten(0, 1), PackedSequences(((4, 7),)))
        torch.testing.assert_close(packed.view(4, 7, 16), torchs.train()(tokens))


def test_gradients_flow_through_packing():
    network = transformer().double().train()
    features, index = lists([2, 4, 2])
    features = features.double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: network(x, WEIGHTS.double(), index), features)


def test_only_prompts_are_trained_of_a_frozen_transformer():
    network = transformer().with_prompts(n_objectives=4, n_prompts=3, dropout=0.0)
    features, index = lists([2, 3])
    network(features, torch.eye(4), index).sum().backward()
    touched = {name for name, parameter in network.named_parameters() if parameter.grad is not None}
    assert touched == {name for name, _ in network.named_parameters() if name.startswith("prompt.")}


def test_new_prompts_start_where_even_weights_were():
    network = transformer()
    features, index = lists([4, 3])
    new = network.with_prompts(n_objectives=4, n_prompts=3, dropout=0.0)
    with torch.no_grad():
        even = network(features, torch.tensor([[0.5, 0.5]]), index)
        torch.testing.assert_close(new(features, torch.eye(4), index), even.expand(-1, 4))


def test_a_folded_transformer_no_longer_knows_the_weights():
    network = transformer()
    features, index = lists([4, 3])
    plain = network.fold(WEIGHTS[1])
    with torch.no_grad():
        torch.testing.assert_close(
            plain(features, torch.ones(1, 1), index)[:, 0], network(features, WEIGHTS, index)[:, 1]
        )


def test_a_list_of_ten_thousand_takes_memory_in_proportion():
    """Scores of all pairs would take 400 MB for each of the heads."""
    network = transformer()
    features, _ = lists([10_000])
    with torch.no_grad():
        assert network(features, WEIGHTS[:1]).isfinite().all()


def test_no_rows_have_no_scores():
    assert transformer()(torch.zeros(0, 5), WEIGHTS, torch.zeros(0, dtype=torch.int64)).shape == (0, 2)


def test_wrong_shapes_are_named():
    with pytest.raises(ValueError, match=r"one width for all layers of a transformer; got \(8, 4\)"):
        ListTransformer(5, 2, hidden=(8, 4))
    with pytest.raises(ValueError, match="need index"):
        transformer()(torch.zeros(2, 5), WEIGHTS[None])


def test_categorical_features_alone_of_which_no_category_is_known():
    """Too few rows to learn one from: all are unknown, and have a vector."""
    network = ListTransformer(0, 2, hidden=(8, 8), categories=[0, 0]).eval()
    assert network(torch.zeros(3, 2), torch.eye(2)).isfinite().all()
