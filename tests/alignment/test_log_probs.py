"""Log-probabilities of responses against transformers' own full logits in float64."""

import architectures
import pytest
import torch
from alignment_helpers import by_full_logits

from hyperrank.alignment import token_loss
from hyperrank.alignment.batches import TokenBatch
from hyperrank.alignment.embeddings import starting_vectors
from hyperrank.alignment.frozen import frozen_copy
from hyperrank.alignment.language_model import LanguageModel

#: Token rows as prompt and response.
ROWS = [
    (list(range(30, 41)), [5, 6, 7, 257]),
    ([9], [8]),
    ([4, 90, 200], [1, 2, 3, 4, 5, 6, 7, 257]),
    ([60, 61], [7, 257]),
]


def batch_of(rows, pad=0):
    width = max(len(p) + len(r) for p, r in rows)
    ids = torch.tensor([[pad] * (width - len(p) - len(r)) + p + r for p, r in rows])
    n_response = torch.tensor([len(r) for _, r in rows])
    return TokenBatch(
        ids, torch.tensor([len(p) + len(r) for p, r in rows]), n_response, int(n_response.max())
    )


def held(family, dtype=torch.float64):
    model = architectures.tiny_of(family).to(dtype)
    return model, LanguageModel(frozen_copy(model), precision=dtype)


@pytest.mark.parametrize("k", [0, 1, 5])
@pytest.mark.parametrize("family", architectures.FAMILIES)
@torch.no_grad()
def test_batches_give_what_each_sequence_gives_alone(family, k):
    dtype = torch.float32 if family in architectures.FLOAT32_ONLY else torch.float64
    model, ours = held(family, dtype)
    drawn = torch.randn(len(ROWS), k, ours.hidden_size, generator=torch.Generator().manual_seed(1))
    vectors = drawn.to(dtype) if k else None
    found = ours.log_probs(batch_of(ROWS), vectors)
    expected = [by_full_logits(model, *row, v) for row, v in zip(ROWS, drawn.to(dtype), strict=True)]
    # Some families compute parts in float32 whatever they are given.
    assert torch.allclose(found.double(), torch.stack(expected), rtol=1e-5, atol=1e-4)


def test_heads_that_do_more_than_multiply_are_noticed():
    plain = {family: held(family, torch.float32)[1].has_plain_head for family in architectures.FAMILIES}
    assert [family for family, is_plain in plain.items() if not is_plain] == ["gemma2", "granite"]


def test_prompts_start_as_the_model_sees_those_tokens(tiny):
    """Also where the model scales its table, as Gemma does."""
    model = architectures.tiny_of("gemma2")
    ids = tiny[1]("ab", add_special_tokens=False).input_ids
    seen = []
    hook = model.model.layers[0].register_forward_pre_hook(lambda *call: seen.append(call[1][0]))
    with torch.no_grad():
        model(input_ids=torch.tensor([ids]))
        vectors = starting_vectors(tiny[1], model.get_input_embeddings(), 2, "ab")
        model(inputs_embeds=vectors[None])
    hook.remove()
    assert torch.equal(seen[0], seen[1])
    assert starting_vectors(tiny[1], model.get_input_embeddings(), 5, "ab").shape == (5, 32)


@torch.no_grad()
def test_what_fills_up_does_not_matter():
    _, ours = held("llama")
    vectors = torch.ones(len(ROWS), 3, ours.hidden_size).double()
    assert torch.equal(
        ours.log_probs(batch_of(ROWS, pad=0), vectors), ours.log_probs(batch_of(ROWS, pad=200), vectors)
    )


@torch.no_grad()
def test_float32_is_close_to_float64():
    model, ours = held("llama", torch.float32)
    exact = torch.stack([by_full_logits(model.double(), *row) for row in ROWS])
    _, ours = held("llama", torch.float32)
    assert ours.log_probs(batch_of(ROWS)).dtype == torch.float32
    assert torch.allclose(ours.log_probs(batch_of(ROWS)).double(), exact, atol=1e-4)


def test_gradients_in_chunks_are_those_of_all_logits(monkeypatch):
    model, ours = held("llama")
    vectors = torch.randn(len(ROWS), 3, ours.hidden_size).double().requires_grad_()
    sum_of = torch.stack([by_full_logits(model, *row, v) for row, v in zip(ROWS, vectors, strict=True)]).sum()
    (expected,) = torch.autograd.grad(sum_of, vectors)
    monkeypatch.setattr(token_loss, "CHUNK_LOGITS", 2 * 258)
    (found,) = torch.autograd.grad(ours.log_probs(batch_of(ROWS), vectors).sum(), vectors)
    assert torch.allclose(found, expected, rtol=1e-6, atol=1e-9)


def test_logits_are_held_a_chunk_at_a_time(monkeypatch):
    monkeypatch.setattr(token_loss, "CHUNK_LOGITS", 3 * 258)
    seen = []
    head = torch.nn.Linear(8, 258)

    def watched(states):
        seen.append(len(states))
        return head(states)

    hidden = torch.randn(10, 8, requires_grad=True)
    value = token_loss.token_log_probs(hidden, watched, torch.arange(10), 258)
    assert seen == [3, 3, 3, 1]
    value.sum().backward()
    assert sorted(seen) == [1, 1, 3, 3, 3, 3, 3, 3]


class NoMask(torch.nn.Module):
    """Stands in for a model that looks at what fills up."""

    def __init__(self):
        super().__init__()
        self.inner = architectures.tiny_of("llama")

    def get_input_embeddings(self):
        return self.inner.get_input_embeddings()

    def get_output_embeddings(self):
        return None

    def forward(self, inputs_embeds=None, attention_mask=None, use_cache=None):
        return self.inner(inputs_embeds=inputs_embeds)


def test_models_that_do_not_heed_the_mask_are_refused():
    with pytest.raises(ValueError, match="NoMask gives a sequence another log-probability"):
        LanguageModel(NoMask())
