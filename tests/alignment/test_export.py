"""Exports: other libraries load them alone, and give the same text and probabilities."""

import copy
import json

import architectures
import numpy as np
import peft
import pytest
import tokenizers
import torch
from alignment_helpers import SHORT
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from hyperrank.alignment import HyperPromptAligner

PROMPTS = ["Hi. ", "Tell me of bees. "]
TEMPLATE = "{{ bos_token }}{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}\n"


def text_of(folder, prompts, n=12, **options):
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    found = []
    for prompt in prompts:
        ids = tokenizer(prompt, return_tensors="pt")
        made = model.generate(**ids, max_new_tokens=n, do_sample=False, pad_token_id=0, **options)
        found.append(tokenizer.decode(made[0, ids.input_ids.shape[1] :], skip_special_tokens=True))
    return found


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2"])
def test_trade_offs_are_tokens_of_a_plain_model(tiny, few, tmp_path, family):
    """Also where embeddings are tied to the output (GPT-2, Gemma) or scaled (Gemma)."""
    options = {**SHORT, "adapters": {"r": 2}, "prompt_learning_rate": 0.3, "max_length": 100}
    rates = {"hypernetwork_learning_rate": 0.3, "adapter_learning_rate": 0.03}
    model = architectures.tiny_of(family)
    aligner = HyperPromptAligner(model, tiny[1], **options, **rates).fit(*few)
    weights = {"long": [1, 0], "brief": [0.2, 0.8]}
    before = aligner.export_transformers(tmp_path, weights=weights)
    assert list(before) == ["long", "brief"]
    for name, w in weights.items():
        expected = aligner.generate(PROMPTS, weights=w, max_new_tokens=12)
        assert text_of(tmp_path, [before[name] + prompt for prompt in PROMPTS]) == expected
    assert before["brief"].startswith("<|trade_off_1_0|><|trade_off_1_1|>")
    assert json.loads((tmp_path / "trade_offs.json").read_text())["brief"]["weights"] == [0.2, 0.8]
    assert model.get_input_embeddings().weight.shape[0] == 258


def test_new_tokens_are_never_written(tiny, few, tmp_path):
    model = architectures.tiny_of("gpt2")
    with torch.no_grad():
        model.transformer.ln_f.bias.fill_(1.0)  # as in trained models, states have a part in common
    aligner = HyperPromptAligner(model, tiny[1], **{**SHORT, "max_length": 100, "max_steps": 1}).fit(*few)
    before = aligner.export_transformers(tmp_path)
    assert list(before) == ["letters", "brevity", "center"]
    model, tokenizer = AutoModelForCausalLM.from_pretrained(tmp_path), AutoTokenizer.from_pretrained(tmp_path)
    ids = tokenizer(before["center"] + "What then? " * 7, return_tensors="pt").input_ids
    with torch.no_grad():
        probabilities = torch.softmax(model(input_ids=ids).logits[0], dim=-1)
    assert probabilities[:, 258:].sum(dim=1).max() < 1e-6
    assert model.generation_config.suppress_tokens == list(range(258, 270))


@pytest.mark.parametrize("begins", [True, False])
def test_chat_templates_take_a_trade_off(tiny, few, tmp_path, begins):
    """Its tokens come after a beginning-of-text token that the tokenizer sets, else first of all."""
    tokenizer = copy.deepcopy(tiny[1])
    tokenizer.chat_template = TEMPLATE
    if not begins:
        tokenizer.backend_tokenizer.post_processor = tokenizers.processors.ByteLevel()
    aligner = HyperPromptAligner(tiny[0], tokenizer, **SHORT).fit(*few)
    before = aligner.export_transformers(tmp_path)
    chat, loaded = [{"role": "user", "content": "hi"}], AutoTokenizer.from_pretrained(tmp_path)
    for name, tokens in before.items():
        found = loaded.apply_chat_template(chat, tokenize=False, trade_off=name)
        assert found == ("<s>" + tokens if begins else tokens + "<s>") + "<user>hi"
        vectors = aligner.encoder_.rows(chat, ["a"])[0].place
        assert vectors == begins
    default = loaded.apply_chat_template(chat, tokenize=False)
    assert default == loaded.apply_chat_template(chat, tokenize=False, trade_off="letters")


def test_other_conditionings_are_text_or_one_model_each(tiny, few, tmp_path):
    options = {**SHORT, "adapters": {"r": 3}, "adapter_learning_rate": 0.1}
    for conditioning in ("text", "lora", "mixture"):
        aligner = HyperPromptAligner(*tiny, **options, conditioning=conditioning).fit(*few)
        before = aligner.export_transformers(tmp_path / conditioning, weights={"mixed": [0.3, 0.7]})
        assert before["mixed"] == ("[letters: 30%, brevity: 70%]\n" if conditioning == "text" else "")
        expected = aligner.generate(PROMPTS, weights=[0.3, 0.7], max_new_tokens=12)
        assert text_of(tmp_path / conditioning, [before["mixed"] + p for p in PROMPTS]) == expected
    with pytest.raises(ValueError, match="export one at a time"):
        aligner.export_transformers(tmp_path / "two")
    with pytest.raises(ValueError, match="cannot be the name of one"):
        aligner.export_peft(tmp_path / "peft", weights={"a/b": [1, 0]})
    with pytest.raises(ValueError, match="weights must map names of trade-offs to weights"):
        aligner.export_transformers(tmp_path / "two", weights=[[1, 0]])


# peft asks transformers by a name that it has given up.
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
def test_peft_loads_adapters_and_prompts(tiny, few, tmp_path):
    options = {**SHORT, "adapters": {"r": 2, "lora_alpha": 4}, "adapter_learning_rate": 0.1}
    aligner = HyperPromptAligner(*tiny, **options).fit(*few)
    aligner.export_peft(tmp_path, weights={"both": [0.5, 0.5]})
    model = peft.PeftModel.from_pretrained(copy.deepcopy(tiny[0]), str(tmp_path))
    vectors, ids = load_file(tmp_path / "prompts.safetensors")["both"], tiny[1]("Hi. ").input_ids
    with torch.no_grad():
        embeds = tiny[0].get_input_embeddings()(torch.tensor([ids]))
        embeds = torch.cat([embeds[:, :1], vectors[None], embeds[:, 1:]], dim=1)
        made = model.generate(inputs_embeds=embeds, max_new_tokens=8, do_sample=False, pad_token_id=0)
    assert (
        tiny[1].decode(made[0], skip_special_tokens=True) == aligner.generate(["Hi. "], max_new_tokens=8)[0]
    )
    assert np.isclose(json.loads((tmp_path / "trade_offs.json").read_text())["trade_offs"]["both"], 0.5).all()


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
@pytest.mark.parametrize("conditioning", ["lora", "mixture"])
def test_each_trade_off_is_an_adapter_of_its_own(tiny, few, tmp_path, conditioning):
    options = {**SHORT, "adapters": {"r": 3, "lora_alpha": 5}, "adapter_learning_rate": 0.1}
    aligner = HyperPromptAligner(*tiny, **options, conditioning=conditioning).fit(*few)
    aligner.export_peft(tmp_path, weights={"mixed": [0.3, 0.7], "short": [0, 1]})
    ids = torch.tensor([tiny[1]("Hi. aab").input_ids])
    for name, w in (("mixed", [0.3, 0.7]), ("short", [0.0, 1.0])):
        model = peft.PeftModel.from_pretrained(copy.deepcopy(tiny[0]), str(tmp_path / name))
        with torch.no_grad():
            logits = model(input_ids=ids).logits
            expected = aligner.policy_.merged(torch.tensor(w))(input_ids=ids).logits
            plain = tiny[0](input_ids=ids).logits
        assert torch.allclose(logits, expected, atol=1e-4)
        assert not torch.allclose(logits, plain, atol=1e-2)
