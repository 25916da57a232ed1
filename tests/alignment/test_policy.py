"""Policy and reference: one model with and without conditioning and adapters; the caller's left alone."""

import architectures
import numpy as np
import pytest
import torch
from alignment_helpers import SHORT, by_full_logits, letter_lists

from hyperrank.alignment import HyperPromptAligner, base_model, policy, register_conditioning
from hyperrank.alignment.conditioning import Conditioning, PromptTuning
from hyperrank.alignment.tokens import TokenRow, pad_rows

#: Prompts and responses as tokens; vectors stand after the first token.
ROWS = [
    TokenRow([9, *[0] * 3, *range(30, 41)], [5, 6, 7, 257], 1),
    TokenRow([9, *[0] * 3], [8], 1),
    TokenRow([4, *[0] * 3, 90, 200], [1, 2, 3, 4, 5, 6, 7, 257], 1),
]
WEIGHTS = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.3, 0.7]])


def policy_of(model, tokenizer, conditioning="hyper_prompt", adapters=None):
    base = base_model.load_base_model(model, tokenizer, "cpu", "float32")
    with base_model.isolated(0, grad=True):
        initial = policy.initial_prompt(tokenizer, base.model, 3, "abc")
        return policy.Policy(base, ("a", "b"), conditioning, initial, 4, adapters)


def disturb(made):
    """Move everything that can be trained."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, value in made.state_dict().items():
            if not name.endswith("initial"):
                value.add_(0.3 * torch.randn(value.shape, generator=generator))


def outputs(made, rows=ROWS, weights=WEIGHTS, **options):
    with torch.no_grad():
        return made(**pad_rows(rows, 0, 3, **options), row_weights=weights)


@pytest.mark.parametrize("family", architectures.FAMILIES)
def test_log_probs_are_those_of_full_logits(tiny, family):
    """Of each sequence alone, with its own vectors, whatever else is in the batch."""
    model = architectures.tiny_of(family)
    made = policy_of(model, tiny[1])
    disturb(made)
    found = outputs(made)
    with torch.no_grad():
        vectors = made.conditioning.prompt(WEIGHTS)
        initial = made.conditioning.initial
        for n, row in enumerate(ROWS):
            ids = [row.prompt[0], *row.prompt[4:]]
            expected = by_full_logits(model, ids, row.response, vectors[n], place=1)
            assert float(found["log_probs"][n]) == pytest.approx(float(expected), abs=2e-3, rel=1e-5)
            expected = by_full_logits(model, ids, row.response, initial, place=1)
            assert float(found["reference"][n]) == pytest.approx(float(expected), abs=2e-3, rel=1e-5)
    assert made.has_plain_head == (family not in ("gemma2", "granite"))
    assert found["n_tokens"].tolist() == [4, 1, 8]


@pytest.mark.parametrize("conditioning", ["hyper_prompt", "lora", "mixture", "text"])
def test_the_reference_stays_where_it_was(tiny, conditioning):
    made = policy_of(architectures.tiny_of("gpt2"), tiny[1], conditioning, {"r": 4})
    before = outputs(made)
    assert torch.equal(before["log_probs"], before["reference"])
    disturb(made)
    after = outputs(made)
    assert torch.equal(after["reference"], before["reference"])
    assert (after["log_probs"] - before["log_probs"]).abs().min() > 1e-3
    if conditioning != "text":
        turned = outputs(made, weights=WEIGHTS.flip(1))
        assert (turned["log_probs"] - after["log_probs"]).abs().min() > 1e-4


def test_each_row_has_its_own_core(tiny):
    made = policy_of(architectures.tiny_of("llama"), tiny[1], "lora", {"r": 4})
    disturb(made)
    together = outputs(made)["log_probs"]
    alone = [outputs(made, [ROWS[n]], WEIGHTS[n : n + 1])["log_probs"][0] for n in range(3)]
    assert torch.allclose(together, torch.stack(alone), atol=1e-4)


def test_the_callers_model_stays_as_it_is(tiny):
    model = architectures.tiny_of("gpt2").train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    disturb(policy_of(model, tiny[1], adapters={"r": 4, "lora_dropout": 0.5}))
    assert model.training
    assert all(value.requires_grad for value in model.parameters())
    assert model.transformer.drop.p == 0.1
    after = model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_only_conditioning_and_adapters_are_trained(tiny):
    made = policy_of(architectures.tiny_of("llama"), tiny[1], adapters={"r": 2, "target_modules": ["q_proj"]})
    trained = made.state_dict()
    assert sum(name.startswith("adapters.") for name in trained) == 4
    asked = {name for name, value in made.named_parameters() if value.requires_grad}
    assert len(asked) == len(trained) - 1  # all but the initial prompt
    assert made.state_dict().keys() == trained.keys()
    with made.adapters_off():
        pass
    assert {name for name, value in made.named_parameters() if value.requires_grad} == asked
    other = policy_of(
        architectures.tiny_of("llama"), tiny[1], adapters={"r": 3, "target_modules": ["q_proj"]}
    )
    with pytest.raises(ValueError, match="another conditioning or other adapters"):
        made.load_state_dict(other.state_dict())


def test_there_is_no_dropout_in_any_mode(tiny):
    made = policy_of(architectures.tiny_of("opt"), tiny[1], adapters={"r": 4})
    disturb(made)
    quiet = outputs(made)
    made.train()
    assert torch.equal(outputs(made)["log_probs"], quiet["log_probs"])


def test_logits_are_held_a_chunk_at_a_time_with_the_gradients_of_all(tiny, monkeypatch):
    made = policy_of(architectures.tiny_of("llama"), tiny[1])

    def gradient():
        made.zero_grad()
        made(**pad_rows(ROWS, 0, 3), row_weights=WEIGHTS)["log_probs"].sum().backward()
        return made.conditioning.hyper.base.grad.clone()

    expected, seen = gradient(), []
    head = made.model.get_output_embeddings()
    head.register_forward_hook(lambda *call: seen.append(len(call[2])))
    monkeypatch.setattr(policy, "CHUNK_LOGITS", 5 * 258)
    assert torch.allclose(gradient(), expected, rtol=1e-4, atol=1e-6)
    assert seen == [5, 5, 3, 5, 5, 3, 3, 5, 5] or sorted(seen) == [3, 3, 3, 5, 5, 5, 5, 5, 5]


def test_prompts_start_as_the_model_sees_those_tokens(tiny):
    """Also where the model scales its table, as Gemma does."""
    model = architectures.tiny_of("gemma2")
    ids = tiny[1]("ab", add_special_tokens=False).input_ids
    vectors = policy.initial_prompt(tiny[1], model, 5, "ab")
    assert torch.equal(vectors[:2], model.get_input_embeddings()(torch.tensor(ids)))
    assert torch.equal(vectors[2:4], vectors[:2])


# peft asks transformers by a name that it has given up.
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
def test_models_of_other_kinds_are_refused(tiny):
    import peft
    import transformers

    sizes = {"vocab_size": 40, "d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 16}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "decoder_ffn_dim": 16}
    bart = transformers.BartForConditionalGeneration(transformers.BartConfig(**sizes, **heads))
    with pytest.raises(ValueError, match="BartForConditionalGeneration has an encoder"):
        policy_of(bart, tiny[1])
    adapted = peft.get_peft_model(architectures.tiny_of("llama"), peft.LoraConfig(target_modules=["q_proj"]))
    with pytest.raises(ValueError, match=r"carries adapters.*merge_and_unload"):
        policy_of(adapted, tiny[1])


def test_models_that_must_not_be_moved_stay(tiny):
    """A quantized parameter is more than its numbers: it is shared, and neither cast nor moved."""

    class Quantized(torch.nn.Parameter):
        pass

    model = architectures.tiny_of("llama")
    for layer in model.model.layers:
        layer.mlp.up_proj.weight = Quantized(layer.mlp.up_proj.weight.detach(), requires_grad=False)
    model.is_quantized = True
    base = base_model.load_base_model(model, tiny[1], "cpu", "bfloat16")
    shared = base.model.model.layers[0].mlp.up_proj.weight
    assert shared is model.model.layers[0].mlp.up_proj.weight
    assert shared.dtype == torch.float32
    # They may be packed anew at their first use, and are the same model still.
    with torch.no_grad():
        shared.mul_(2)
    assert base_model.model_fingerprint(model) == base.fingerprint


class Shift(Conditioning):
    """A conditioning of a user's own: one vector, w in its first entries."""

    n_vectors = 1

    def __init__(self, around):
        super().__init__()
        self.size = around.hidden_size
        self.step = torch.nn.Parameter(torch.zeros(()))

    def prompt(self, weights):
        return self.step * torch.nn.functional.pad(weights, (0, self.size - weights.shape[1]))[:, None]

    def reference_prompt(self):
        return torch.zeros(1, self.size)


def test_conditionings_of_ones_own(tiny, few, tmp_path):
    register_conditioning("shift", Shift)
    aligner = HyperPromptAligner(*tiny, **{**SHORT, "conditioning": "shift"}, hypernetwork_learning_rate=1.0)
    aligner.fit(*few)
    assert aligner.history_[0]["log_ratio"] == 0.0
    one, other = (np.concatenate(aligner.score(*few[:2], weights=w)) for w in ([1, 0], [0, 1]))
    assert np.abs(one - other).max() > 1e-4
    loaded = HyperPromptAligner.load(aligner.save(tmp_path / "file"), model=tiny[0], tokenizer=tiny[1])
    assert np.array_equal(one, np.concatenate(loaded.score(*few[:2], weights=[1, 0])))
    assert issubclass(PromptTuning, Conditioning)
    assert letter_lists(1)
