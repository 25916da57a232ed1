"""Policy and reference: the same model with and without prompt and adapters, and the caller's left alone."""

import architectures
import numpy as np
import pytest
import torch

from hyperrank.alignment.batches import pad_left
from hyperrank.alignment.frozen import frozen_copy, refuse_unfit
from hyperrank.alignment.language_model import LanguageModel
from hyperrank.alignment.policy import Policy
from hyperrank.alignment.tokens import TokenLists
from hyperrank.networks import HyperPrompt

TOKENS = TokenLists([[30, 31, 32], [9]], [[5, 6, 257], [7, 257], [8]], np.array([0, 2, 3]))


def policy_of(model, adapters=None, k=3):
    held = LanguageModel(frozen_copy(model))
    torch.manual_seed(0)
    prompt = HyperPrompt(2, k, held.hidden_size)
    return Policy(held, prompt, adapters)


def disturb(policy):
    """Move everything that can be trained."""
    torch.manual_seed(1)
    with torch.no_grad():
        for value in policy.trained().values():
            value.add_(0.3 * torch.randn_like(value))


@pytest.mark.parametrize("family", ["llama", "gpt2", "opt", "gemma2"])
@torch.no_grad()
def test_the_reference_is_the_model_as_it_was_given(family):
    model = architectures.tiny_of(family)
    batch = pad_left(TOKENS, range(3), 0)
    expected = LanguageModel(frozen_copy(model)).log_probs(batch)
    policy = policy_of(model, {"r": 4})
    disturb(policy)
    weights = torch.full((3, 2), 0.5)
    assert torch.equal(policy.reference_log_probs(batch), expected)
    assert (policy.log_probs(batch, weights) - expected).abs().min() > 1e-3


@torch.no_grad()
def test_each_row_has_its_own_weights():
    policy = policy_of(architectures.tiny_of("llama"), {"r": 4})
    disturb(policy)
    weights = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.3, 0.7]])
    together = policy.log_probs(pad_left(TOKENS, range(3), 0), weights)
    alone = [policy.log_probs(pad_left(TOKENS, [n], 0), weights[n : n + 1])[0] for n in range(3)]
    assert torch.allclose(together, torch.stack(alone), atol=1e-4)
    assert (policy.log_probs(pad_left(TOKENS, range(3), 0), weights.flip(1)) - together).abs().min() > 1e-3


def test_the_callers_model_stays_as_it_is():
    model = architectures.tiny_of("gpt2").train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    policy = policy_of(model, {"r": 4, "lora_dropout": 0.5})
    disturb(policy)
    assert model.training
    assert all(value.requires_grad for value in model.parameters())
    assert model.transformer.drop.p == 0.1
    after = model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_only_prompt_and_adapters_are_trained():
    model = architectures.tiny_of("llama")
    assert set(policy_of(model).trained()) == {
        f"prompt.{part}" for part in ("base", "inner.weight", "inner.bias", "outer.weight", "outer.bias")
    }
    policy = policy_of(model, {"r": 2, "target_modules": ["q_proj"]})
    names = [name for name in policy.trained() if name.startswith("adapters.")]
    assert len(names) == 4
    assert all(value.dtype == torch.float32 for value in policy.trained().values())
    asked = {name for name, value in policy.named_parameters() if value.requires_grad}
    assert len(asked) == len(policy.trained())
    with policy.adapters_off():
        pass
    assert {name for name, value in policy.named_parameters() if value.requires_grad} == asked


def test_there_is_no_dropout_in_any_mode():
    policy = policy_of(architectures.tiny_of("opt"), {"r": 4, "lora_dropout": 0.5})
    batch, weights = pad_left(TOKENS, range(3), 0), torch.full((3, 2), 0.5)
    quiet = policy.log_probs(batch, weights)
    policy.model.model.train()
    assert torch.equal(policy.log_probs(batch, weights), quiet)


# peft asks transformers by a name that it has given up.
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
def test_models_that_cannot_be_steered_are_refused():
    import peft
    import transformers

    sizes = {"vocab_size": 40, "d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 16}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "decoder_ffn_dim": 16}
    bart = transformers.BartForConditionalGeneration(transformers.BartConfig(**sizes, **heads))
    with pytest.raises(ValueError, match="BartForConditionalGeneration has an encoder"):
        refuse_unfit(bart)
    adapted = peft.get_peft_model(architectures.tiny_of("llama"), peft.LoraConfig(target_modules=["q_proj"]))
    with pytest.raises(ValueError, match=r"carries adapters.*merge_and_unload"):
        refuse_unfit(adapted)
    quantised = architectures.tiny_of("llama")
    quantised.is_quantized = True
    with pytest.raises(ValueError, match="LlamaForCausalLM is quantised"):
        refuse_unfit(quantised)


def test_other_parameters_are_not_taken_over():
    one, other = (policy_of(architectures.tiny_of("llama"), k=k) for k in (3, 4))
    with pytest.raises(ValueError, match="another prompt or other adapters"):
        one.load_trained(other.trained())
