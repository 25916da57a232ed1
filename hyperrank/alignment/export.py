"""Export: a PEFT folder, or a plain model of transformers in which trade-offs are new tokens."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn

from hyperrank.alignment.base_model import BaseModel, isolated, required
from hyperrank.alignment.policy import Policy
from hyperrank.alignment.tokens import Encoder

#: Logit that a new token has in the mean: it is read, never written.
NEVER = -100.0


def export_peft(
    folder: str | Path,
    base: BaseModel,
    policy: Policy,
    names: Sequence[str],
    adapters: Mapping[str, Any] | None,
    weights: Mapping[str, NDArray[np.float64]],
) -> Path:
    """Write adapters as PEFT reads them, and prompt vectors at trade-offs beside them."""
    path = Path(folder)
    if policy.has_cores:
        for name, w in weights.items():
            if name in ("", ".", "..") or set(name) & set("/\\\0"):
                raise ValueError(f"trade-offs become folders here, and {name!r} cannot be the name of one.")
            _write_adapters(path / name, base, policy, adapters, torch.from_numpy(w).float())
    elif adapters is not None:
        _write_adapters(path, base, policy, adapters, None)
    path.mkdir(parents=True, exist_ok=True)
    vectors = _prompt_vectors(policy, weights)
    if vectors:
        save_file(vectors, path / "prompts.safetensors", metadata={"format": "pt"})
    described = {"objectives": list(names), "trade_offs": {k: w.tolist() for k, w in weights.items()}}
    (path / "trade_offs.json").write_text(json.dumps(described, indent=1))
    return path


def _write_adapters(
    path: Path, base: BaseModel, policy: Policy, adapters: Mapping[str, Any] | None, weights: Tensor | None
) -> None:
    """Write one PEFT folder; a core of the weights goes into the first matrix of each layer."""
    path.mkdir(parents=True, exist_ok=True)
    config = required("peft").LoraConfig(
        **{**(adapters or {}), "target_modules": sorted(policy.adapter_changes(None))},
        task_type="CAUSAL_LM",
        base_model_name_or_path=base.name,
        inference_mode=True,
    )
    config.save_pretrained(str(path))
    tensors = {
        f"base_model.model.{name.replace('.default', '')}": value.detach().cpu().contiguous()
        for name, value in policy.adapters_at(weights).items()
    }
    save_file(tensors, path / "adapter_model.safetensors", metadata={"format": "pt"})


def export_transformers(
    folder: str | Path,
    base: BaseModel,
    policy: Policy,
    encoder: Encoder,
    weights: Mapping[str, NDArray[np.float64]],
) -> dict[str, str]:
    """Write a model that `AutoModelForCausalLM` alone loads, and its tokenizer."""
    if getattr(base.model, "is_quantized", False):
        raise ValueError(
            "a quantized model cannot take adapters in: load it in bfloat16, and the aligner on it."
        )
    first = torch.from_numpy(next(iter(weights.values()))).float().to(policy.device)
    if len(weights) != 1 and policy.has_cores:
        raise ValueError(
            "adapters depend on the weights here, and each trade-off is a model of its own: "
            "export one at a time."
        )
    with isolated(grad=False):
        # Prompt vectors stand after the token that the tokenizer begins a text with.
        start = "" if encoder.bos is None else base.tokenizer.decode([encoder.bos])
        model, tokenizer = policy.merged(first), copy.deepcopy(base.tokenizer)
        return _export(Path(folder), model, tokenizer, policy, weights, start)


def _export(
    folder: Path,
    model: Any,
    tokenizer: Any,
    policy: Policy,
    weights: Mapping[str, NDArray[np.float64]],
    start: str,
) -> dict[str, str]:
    vectors = _prompt_vectors(policy, weights)
    before = {}
    new: list[str] = []
    for number, (name, w) in enumerate(weights.items()):
        tokens = [f"<|trade_off_{number}_{i}|>" for i in range(len(vectors.get(name, ())))]
        before[name] = "".join(tokens) + policy.conditioning.text(w.tolist())
        new += tokens
    if new:
        tokenizer.add_tokens(new, special_tokens=True)
        ids = tokenizer.convert_tokens_to_ids(new)
        _add_tokens(
            model, ids, torch.cat([vectors[name] for name in weights]), max(len(tokenizer), max(ids) + 1)
        )
        model.generation_config.suppress_tokens = ids
    if tokenizer.chat_template is not None:
        tokenizer.chat_template = _chat_template(tokenizer.chat_template, before, start)
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))
    described = {name: {"weights": w.tolist(), "before": before[name]} for name, w in weights.items()}
    (folder / "trade_offs.json").write_text(json.dumps(described, indent=1))
    return before


def _prompt_vectors(policy: Policy, weights: Mapping[str, NDArray[np.float64]]) -> dict[str, Tensor]:
    found = {}
    with isolated(grad=False):
        for name, w in weights.items():
            vectors = policy.conditioning.prompt(torch.from_numpy(w).float().to(policy.device)[None])
            if vectors is not None:
                found[name] = vectors[0].detach().cpu().contiguous()
    return found


def _add_tokens(model: Any, ids: list[int], vectors: Tensor, size: int) -> None:
    """Give tokens embeddings, and an output row that is never the likeliest."""
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    some = torch.arange(min(64, embedding.weight.shape[0]), device=embedding.weight.device)
    # Some models scale what the table holds.
    scale = embedding(some).norm() / embedding.weight[some].norm()
    states = model.base_model(input_ids=some[None], use_cache=False).last_hidden_state[0].float()
    mean = states.mean(dim=0)
    never = NEVER * mean / mean.square().sum().clamp(min=1e-6)
    bias = getattr(head, "bias", None)
    model.config.get_text_config().tie_word_embeddings = model.config.tie_word_embeddings = False
    n_old = embedding.weight.shape[0]
    table, rows = (_grown(layer.weight, max(size, n_old)) for layer in (embedding, head))
    table[ids] = (vectors.to(table.device) / scale).to(table.dtype)
    rows[ids] = never.to(rows.dtype)
    embedding.weight, head.weight = (nn.Parameter(value, requires_grad=False) for value in (table, rows))
    embedding.num_embeddings = head.out_features = len(table)
    if bias is not None:
        head.bias = nn.Parameter(_grown(bias, len(table)), requires_grad=False)
    model.config.get_text_config().vocab_size = len(table)


def _grown(values: Tensor, size: int) -> Tensor:
    enlarged = values.new_zeros((size, *values.shape[1:]))
    enlarged[: len(values)] = values.detach()
    return enlarged


def _chat_template(template: str, before: Mapping[str, str], start: str) -> str:
    """The template with a variable `trade_off`, by default the first one; its text comes after `start`."""
    table = ", ".join(f"{json.dumps(name)}: {json.dumps(text)}" for name, text in before.items())
    return (
        "{% set rendered %}" + template + "{% endset %}"
        "{% set chosen = {" + table + "}[trade_off | default(" + json.dumps(next(iter(before))) + ")] %}"
        "{% set start = " + json.dumps(start) + " %}"
        "{% if rendered.startswith(start) %}{{ start + chosen + rendered[start | length:] }}"
        "{% else %}{{ chosen + rendered }}{% endif %}"
    )
