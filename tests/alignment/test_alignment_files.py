"""What is saved is read again, around the same base model and no other; forged files are refused."""

import copy

import numpy as np
import pytest
import torch

from hyperrank.alignment import HyperPromptAligner, base_model, tiny_model
from hyperrank.files import ModelFileError, read_model_file, write_model_file


@pytest.fixture
def path(fitted, tmp_path):
    return fitted.save(tmp_path / "aligner.safetensors")


def load(path, tiny, **options):
    return HyperPromptAligner.load(path, **{"model": tiny[0], "tokenizer": tiny[1], **options})


def test_roundtrip(conditioned, few, tiny, tmp_path):
    path = conditioned.save(tmp_path / "aligner.safetensors")
    loaded = load(path, tiny)
    for one, other in zip(conditioned.score(*few[:2]), loaded.score(*few[:2]), strict=True):
        assert np.array_equal(one, other)
    expected = conditioned.generate(few[0][:3], max_new_tokens=5)
    assert loaded.generate(few[0][:3], max_new_tokens=5) == expected
    assert loaded.history_ == conditioned.history_
    assert loaded.objectives_ == conditioned.objectives_
    assert loaded.get_params()["adapters"] == conditioned.adapters
    assert loaded.save(tmp_path / "again.safetensors").stat().st_size == path.stat().st_size


def test_files_hold_no_base_model(path, fitted):
    head, content = read_model_file(path)
    assert sum(value.size for value in content["trained"].values()) < 20_000
    assert head["base_model"][0] == "LlamaForCausalLM"
    assert path.stat().st_size < 80_000


def test_the_named_model_is_loaded_by_consent_alone(short, few, tiny, tmp_path):
    for part in tiny:
        part.save_pretrained(tmp_path / "base")
    aligner = short(model=str(tmp_path / "base"), tokenizer=None).fit(*few)
    path = aligner.save(tmp_path / "aligner.safetensors")
    with pytest.raises(ModelFileError, match=r"names the base model .*base'. Give it as model=\.\.\."):
        HyperPromptAligner.load(path)
    loaded = HyperPromptAligner.load(path, load_named_model=True)
    assert np.array_equal(loaded.score(["p"], [["a", "b"]])[0], aligner.score(["p"], [["a", "b"]])[0])
    # The object and what was saved of it are one model.
    assert short().fit(*few).base_.fingerprint == aligner.base_.fingerprint


def test_other_models_and_tokenizers_are_refused(path, tiny):
    with pytest.raises(
        ModelFileError,
        match=r"cannot be loaded: it was trained on the model 'LlamaForCausalLM' with fingerprint",
    ):
        load(path, tiny, model=tiny_model(random_state=1)[0])
    other = copy.deepcopy(tiny[1])
    other.add_tokens(["<another>"])
    with pytest.raises(ModelFileError, match="was trained on the tokenizer"):
        load(path, tiny, tokenizer=other)
    # Half as precise is the same model still.
    halved = copy.deepcopy(tiny[0]).to(torch.bfloat16)
    assert load(path, tiny, model=halved).objectives_


def test_damaged_and_foreign_files_are_refused(path, tiny, tmp_path):
    content = path.read_bytes()
    for damaged in (content[: len(content) // 2], content[:-1] + bytes([content[-1] ^ 1]), b""):
        (tmp_path / "damaged").write_bytes(damaged)
        with pytest.raises(ModelFileError, match="damaged"):
            load(tmp_path / "damaged", tiny)
    from hyperrank import load as load_ranker

    with pytest.raises(ModelFileError, match="holds a HyperPromptAligner"):
        load_ranker(path)


def option(name, value):
    return lambda _, content: content["params"].update({name: value})


def adapter(**values):
    return lambda _, content: content["params"].update(adapters=values)


def without(name):
    return lambda _, content: content.pop(name)


def tensor(name, value):
    return lambda _, content: content["trained"].update({name: value})


#: What a file with a right checksum may say.
FORGED = {
    "code": adapter(r=2, megatron_core="this"),
    "expression": adapter(r=2, target_modules="(x+x+)+y"),
    "rank": adapter(r=10**9),
    "rank-of-others": adapter(r=8),
    "adapters-list": option("adapters", ["r"]),
    "prompt": option("n_tokens", 10**9),
    "prompt-more": option("n_tokens", 4000),
    "width": option("prompt_width", 10**12),
    "width-more": option("prompt_width", 60_000),
    "width-text": option("prompt_width", "64"),
    "batch": option("batch_tokens", -1),
    "length": option("max_length", 10**9),
    "beta": option("beta", float("nan")),
    "loss": option("loss", "os.system"),
    "loss-list": option("loss", ["plackett_luce"]),
    "conditioning": option("conditioning", "lora"),
    "conditioning-list": option("conditioning", []),
    "precision": option("precision", {"a": 1}),
    "ratio": option("max_log_ratio", "a"),
    "text": option("prompt_text", 7),
    "unknown": option("trust_remote_code", True),
    "args": option("training_args", {"output_dir": "/"}),
    "no-params": without("params"),
    "no-trained": without("trained"),
    "no-history": without("history"),
    "tensor-more": tensor("conditioning.more", np.zeros(3, dtype=np.float32)),
    "tensor-nan": tensor("conditioning.initial", np.full((4, 64), np.nan, dtype=np.float32)),
    "tensor-text": tensor("conditioning.initial", "zero"),
    "tensor-kind": tensor("conditioning.initial", np.zeros((4, 64), dtype=np.int64)),
    "objectives": lambda head, _: head.update(objectives=["a", "b", "c"]),
    "objectives-none": lambda head, _: head.update(objectives=None),
    "objectives-many": lambda head, _: head.update(objectives=["a"] * 10**5),
    "base": lambda head, _: head.update(base_model="LlamaForCausalLM"),
    "base-list": lambda head, _: head["base_model"].append(["a"]),
    "layout": lambda head, _: head.update(layout=1),
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_forged_files_are_the_one_documented_error(path, tiny, tmp_path, forge):
    head, content = read_model_file(path)
    head.pop("format")
    forge(head, content)
    forged = write_model_file(tmp_path / "forged", content, head=head)
    with pytest.raises(ModelFileError):
        load(forged, tiny)


def test_fingerprints_tell_models_apart(tiny):
    base = base_model.model_fingerprint(tiny[0])
    assert base_model.model_fingerprint(copy.deepcopy(tiny[0])) == base
    moved = copy.deepcopy(tiny[0])
    with torch.no_grad():
        moved.model.layers[1].mlp.up_proj.weight[3, 3] += 0.01
    assert base_model.model_fingerprint(moved) != base
    turned = copy.deepcopy(tiny[0])
    turned.config.rms_norm_eps = 1e-3
    assert base_model.model_fingerprint(turned) != base
