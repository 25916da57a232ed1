"""What is saved is read again, around the same base model and no other."""

import copy

import numpy as np
import pytest
import torch

from hyperrank.alignment import HyperPromptAligner, tiny_model
from hyperrank.files import ModelFileError, read_model_file


@pytest.mark.parametrize("adapters", [None, {"r": 2, "lora_alpha": 4}], ids=["prompt", "lora"])
def test_roundtrip(short, few, tiny, tmp_path, adapters):
    aligner = short(adapters=adapters, sample_tokens=3, prompt_learning_rate=0.3, adapter_learning_rate=0.01)
    path = aligner.fit(*few).save(tmp_path / "aligner.safetensors")
    loaded = HyperPromptAligner.load(path, model=tiny[0], tokenizer=tiny[1])
    for one, other in zip(aligner.score(*few[:2]), loaded.score(*few[:2]), strict=True):
        assert np.array_equal(one, other)
    assert loaded.generate(few[0][:3], max_new_tokens=5) == aligner.generate(few[0][:3], max_new_tokens=5)
    assert loaded.history_ == aligner.history_
    assert loaded.objectives_ == aligner.objectives_
    assert loaded.get_params()["adapters"] == adapters
    assert loaded.save(tmp_path / "again.safetensors").stat().st_size == path.stat().st_size


def test_files_hold_no_base_model(short, few, tiny, tmp_path):
    path = short().fit(*few).save(tmp_path / "aligner.safetensors")
    head, content = read_model_file(path)
    assert sum(value.size for value in content["trained"].values()) < 20_000
    assert head["base_model"]["name"] == "LlamaForCausalLM"
    assert path.stat().st_size < 100_000


def test_models_are_loaded_by_their_name(short, few, tiny, tmp_path):
    for part in tiny:
        part.save_pretrained(tmp_path / "base")
    aligner = short(model=str(tmp_path / "base"), tokenizer=None).fit(*few)
    loaded = HyperPromptAligner.load(aligner.save(tmp_path / "aligner.safetensors"))
    assert np.array_equal(loaded.score(["p"], [["a", "b"]])[0], aligner.score(["p"], [["a", "b"]])[0])
    # The object and what was saved of it are one model.
    assert short().fit(*few).base_.fingerprint == aligner.base_.fingerprint


def test_other_models_and_tokenizers_are_refused(short, few, tiny, tmp_path):
    path = short().fit(*few).save(tmp_path / "aligner.safetensors")
    with pytest.raises(ModelFileError, match=r"was trained on the model 'LlamaForCausalLM' with fingerprint"):
        HyperPromptAligner.load(path, model=tiny_model(random_state=1)[0], tokenizer=tiny[1])
    other = copy.deepcopy(tiny[1])
    other.add_tokens(["<another>"])
    with pytest.raises(ModelFileError, match="was trained on the tokenizer"):
        HyperPromptAligner.load(path, model=tiny[0], tokenizer=other)
    # Half as precise is the same model still.
    halved = copy.deepcopy(tiny[0]).to(torch.bfloat16)
    assert HyperPromptAligner.load(path, model=halved, tokenizer=tiny[1]).objectives_


def test_damaged_and_foreign_files_are_refused(short, few, tiny, tmp_path):
    path = short().fit(*few).save(tmp_path / "aligner.safetensors")
    content = path.read_bytes()
    for damaged in (content[: len(content) // 2], content[:-1] + bytes([content[-1] ^ 1]), b""):
        (tmp_path / "damaged").write_bytes(damaged)
        with pytest.raises(ModelFileError, match="damaged"):
            HyperPromptAligner.load(tmp_path / "damaged", model=tiny[0], tokenizer=tiny[1])
    from hyperrank import load

    with pytest.raises(ModelFileError, match="holds a HyperPromptAligner"):
        load(path)


def test_fingerprints_tell_models_apart(tiny):
    from hyperrank.alignment.fingerprint import model_fingerprint

    base = model_fingerprint(tiny[0])
    assert model_fingerprint(copy.deepcopy(tiny[0])) == base
    moved = copy.deepcopy(tiny[0])
    with torch.no_grad():
        moved.model.layers[1].mlp.up_proj.weight[3, 3] += 0.01
    assert model_fingerprint(moved) != base
    turned = copy.deepcopy(tiny[0])
    turned.config.rms_norm_eps = 1e-3
    assert model_fingerprint(turned) != base
