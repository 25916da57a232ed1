"""Export: a PEFT folder, or a plain model of transformers in which trade-offs are new tokens."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn

from hyperrank.alignment.base_model import isolated
from hyperrank.alignment.policy import Policy
from hyperrank.alignment.tokens import Encoder

#: Logit that a new token has in the mean: it is read, never written.
NEVER = -100.0


def export_peft(folder: str | Path, policy: Policy, weights: Mapping[str, NDArray[np.float64]]) -> Path:
    """Write adapters as PEFT reads them, and prompt vectors at trade-offs beside them."""
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    targets = {name: path / name for name in weights} if policy.has_cores else {next(iter(weights)): path}
    for name in targets if policy.has_cores else ():
        if name in ("", ".", "..") or set(name) & set("/\\\0"):
            raise ValueError(f"trade-offs become folders here, and {name!r} cannot be the name of one.")
    for name, target in targets.items() if policy.rank else ():
        with isolated(grad=False):
            policy.at(torch.from_numpy(weights[name]).float()).save_pretrained(
                str(target), save_embedding_layers=False
            )
    vectors = _prompt_vectors(policy, weights)
    if vectors:
        save_file(vectors, path / "prompts.safetensors", metadata={"format": "pt"})
    described = {"objectives": policy.objectives, "trade_offs": {k: w.tolist() for k, w in weights.items()}}
    (path / "trade_offs.json").write_text(json.dumps(described, indent=1))
    return path


def export_transformers(
    folder: str | Path, policy: Policy, encoder: Encoder, weights: Mapping[str, NDArray[np.float64]]
) -> dict[str, str]:
    """Write a model that `AutoModelForCausalLM` alone loads, and its tokenizer."""
    if getattr(policy.model, "is_quantized", False):
        raise ValueError(
            "a quantized model cannot take adapters in: load it in bfloat16, and the aligner on it."
        )
    if len(weights) != 1 and policy.has_cores:
        raise ValueError(
            "adapters depend on the weights here, and each trade-off is a model of its own: "
            "export one at a time."
        )
    vectors, tokenizer = _prompt_vectors(policy, weights), copy.deepcopy(encoder.tokenizer)
    before: dict[str, str] = {}
    new: list[str] = []
    for number, (name, w) in enumerate(weights.items()):
        tokens = [f"<|trade_off_{number}_{i}|>" for i in range(len(vectors.get(name, ())))]
        before[name] = "".join(tokens) + policy.conditioning.text(w.tolist())
        new += tokens
    with isolated(grad=False):
        model = policy.merged(torch.from_numpy(next(iter(weights.values()))).float())
        if new:
            tokenizer.add_tokens(new, special_tokens=True)
            ids = tokenizer.convert_tokens_to_ids(new)
            _add_tokens(model, ids, torch.cat([vectors[name] for name in weights]))
            model.generation_config.suppress_tokens = ids
    if tokenizer.chat_template is not None:
        # Prompt vectors stand after the token that the tokenizer begins a text with.
        start = "" if encoder.bos is None else tokenizer.decode([encoder.bos])
        tokenizer.chat_template = _chat_template(tokenizer.chat_template, before, start)
    model.save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))
    described = {name: {"weights": w.tolist(), "before": before[name]} for name, w in weights.items()}
    Path(folder, "trade_offs.json").write_text(json.dumps(described, indent=1))
    return before


def _prompt_vectors(policy: Policy, weights: Mapping[str, NDArray[np.float64]]) -> dict[str, Tensor]:
    with isolated(grad=False):
        rows = torch.from_numpy(np.stack(list(weights.values()))).float().to(policy.device)
        vectors = policy.conditioning.prompt(rows)
    if vectors is None:
        return {}
    return {name: rows.clone() for name, rows in zip(weights, vectors.detach().cpu(), strict=True)}


def _add_tokens(model: Any, ids: list[int], vectors: Tensor) -> None:
    """Give tokens embeddings, and an output row that is never the likeliest."""
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    some = torch.arange(min(64, embedding.weight.shape[0]), device=embedding.weight.device)
    # Some models scale what the table holds.
    scale = embedding(some).norm() / embedding.weight[some].norm()
    mean = model.base_model(input_ids=some[None], use_cache=False).last_hidden_state[0].float().mean(dim=0)
    model.config.get_text_config().tie_word_embeddings = model.config.tie_word_embeddings = False
    for layer in (embedding, head):  # apart from each other, and from the caller's
        layer.weight = nn.Parameter(layer.weight.detach().clone(), requires_grad=False)
    model.resize_token_embeddings(max(len(embedding.weight), max(ids) + 1), mean_resizing=False)
    table, rows = model.get_input_embeddings().weight, model.get_output_embeddings().weight
    table[ids] = (vectors.to(table.device) / scale).to(table.dtype)
    rows[ids] = (NEVER * mean / mean.square().sum().clamp(min=1e-6)).to(rows)


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
