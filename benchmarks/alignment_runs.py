"""Methods of the alignment benchmark: one conditioned run for all weights, one DPO run per weight, a soup."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.alignment_sources import Source
from hyperrank.alignment import HyperPromptAligner, register_conditioning
from hyperrank.alignment.conditioning import Conditioning, Surroundings

__all__ = ["METHODS", "Plan", "evaluated", "run_method"]

ADAPTERS = {"r": 8, "lora_alpha": 16, "target_modules": ["q_proj", "v_proj"]}
#: What is compared: its name in tables, and its options.
METHODS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "prompt-lora": ("hyper prompt and LoRA", {"adapters": ADAPTERS}),
    "lora": ("LoRA with a core of the weights", {"adapters": ADAPTERS, "conditioning": "lora"}),
    "mixture": ("LoRA shared out and mixed", {"adapters": ADAPTERS, "conditioning": "mixture"}),
    "text": ("weights as text, LoRA", {"adapters": ADAPTERS, "conditioning": "text"}),
    "dpo-per-weight": ("one DPO run per weight, LoRA", {"adapters": ADAPTERS, "conditioning": "none"}),
    "soup": ("soup of the two corners' adapters", {}),
    "prompt": ("hyper prompt, model frozen", {}),
}


class Unconditioned(Conditioning):
    """Adapters alone: plain DPO."""

    def __init__(self, around: Surroundings) -> None:
        super().__init__()


register_conditioning("none", Unconditioned)


@dataclass(frozen=True)
class Plan:
    """What all methods share.

    Attributes
    ----------
    model : Path
    source : Source
    grid : ndarray of shape (k, m)
        Trade-offs that are evaluated, corners first and last.
    dpo_grid : ndarray of shape (l, m)
        Those that get a DPO run of their own.
    seed : int
    options : mapping
        Of every aligner.
    text_tokens : int
        Length of sampled texts; 0 for none.
    folder : Path
        Of runs.
    """

    model: Path
    source: Source
    grid: NDArray[np.float64]
    dpo_grid: NDArray[np.float64]
    seed: int
    options: Mapping[str, Any]
    text_tokens: int
    folder: Path

    def fitted(self, name: str, **options: Any) -> tuple[HyperPromptAligner, float]:
        """A fitted aligner, resumed where it was stopped, and the seconds of its fit."""
        folder = self.folder / f"{name}-{self.seed}"
        aligner = HyperPromptAligner(
            str(self.model),
            objectives=self.source.train.names,
            random_state=self.seed,
            checkpoint_dir=folder,
            training_args={"save_steps": 25},
            **{**self.options, **options},
        ).fit(self.source.train)
        # A finished run that is read again does not say how long it took.
        seconds = sum(entry.get("train_runtime", 0.0) for entry in aligner.history_) or math.nan
        return aligner, seconds


def run_method(name: str, plan: Plan) -> dict[str, Any]:
    """Train and evaluate one method, or read what it came to.

    Returns
    -------
    dict
        ``method``, ``seed``, ``names`` of objectives, ``options`` that are numbers; ``weights`` (k, m); of
        each held-out list the pairs ordered alike, and all (n, k, m); ``log_ratio`` (k,); ``texts`` by
        weights and prompt; ``seconds`` of training.
    """
    path = plan.folder / f"{name}-{plan.seed}.json"
    if path.exists():
        found: dict[str, Any] = json.loads(path.read_text())
        return found
    result = (
        _per_weight(plan) if name == "dpo-per-weight" else _soup(plan) if name == "soup" else _one(name, plan)
    )
    options = {key: value for key, value in plan.options.items() if isinstance(value, int | float)}
    result |= {"method": name, "seed": plan.seed, "names": plan.source.train.names, "options": options}
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(result))
    partial.replace(path)
    return result


def evaluated(aligner: HyperPromptAligner, plan: Plan, grid: NDArray[np.float64]) -> dict[str, Any]:
    """What an aligner does on held-out lists at some trade-offs."""
    test = plan.source.test
    rewards = aligner.score(test.prompts, test.responses, weights=grid)
    right, total = [], []
    for labels, of_list in zip(test.labels, rewards, strict=True):
        better = (labels[:, None, :] > labels[None, :, :])[:, :, None, :]
        margin = of_list[:, None, :] - of_list[None, :, :]
        alike = (0.5 * (1 + np.sign(margin)))[:, :, :, None]
        right.append((better * alike).sum(axis=(0, 1)).tolist())
        total.append(np.broadcast_to(better, (*alike.shape[:3], labels.shape[1])).sum(axis=(0, 1)).tolist())
    shown = grid[[0, len(grid) // 2, -1]] if len(grid) > 2 else grid
    texts = []
    if plan.text_tokens:
        prompts = list(plan.source.prompts)
        texts = aligner.generate(prompts, weights=shown, max_new_tokens=plan.text_tokens)
    return {
        "weights": grid.tolist(),
        "right": right,
        "total": total,
        "log_ratio": aligner.log_ratio(test.prompts[:32], test.responses[:32], weights=shown).tolist(),
        "texts": texts,
        "shown": shown.tolist(),
    }


def _one(name: str, plan: Plan) -> dict[str, Any]:
    aligner, seconds = plan.fitted(name, **METHODS[name][1])
    return {**evaluated(aligner, plan, plan.grid), "seconds": seconds, "history": aligner.history_}


def _per_weight(plan: Plan) -> dict[str, Any]:
    parts, spent = [], 0.0
    for weights in plan.dpo_grid:
        aligner, seconds = plan.fitted(
            _dpo_name(weights), weights=weights.tolist(), **METHODS["dpo-per-weight"][1]
        )
        parts.append(evaluated(aligner, plan, weights[None]))
        spent += seconds
    joined: dict[str, Any] = {
        key: [row for part in parts for row in part[key]] for key in ("weights", "log_ratio", "shown")
    }
    for key in ("right", "total"):
        joined[key] = np.concatenate([part[key] for part in parts], axis=1).tolist()
    texts = zip(*(part["texts"] for part in parts), strict=True)
    return {**joined, "texts": [[one for some in row for one in some] for row in texts], "seconds": spent}


def _soup(plan: Plan) -> dict[str, Any]:
    """Adapters of the corners' runs, averaged by the weights."""
    options = METHODS["dpo-per-weight"][1]
    corners = [plan.fitted(_dpo_name(w), weights=w.tolist(), **options) for w in np.eye(plan.grid.shape[1])]
    trained = [{n: v.clone() for n, v in aligner.policy_.state_dict().items()} for aligner, _ in corners]
    mixed, parts = corners[0][0], []
    for weights in plan.dpo_grid:
        shares = torch.from_numpy(weights).float()
        mean = {n: torch.tensordot(shares, torch.stack([t[n] for t in trained]), dims=1) for n in trained[0]}
        mixed.policy_.load_state_dict(mean)
        parts.append(evaluated(mixed, plan, weights[None]))
    joined: dict[str, Any] = {
        key: [row for part in parts for row in part[key]] for key in ("weights", "log_ratio")
    }
    for key in ("right", "total"):
        joined[key] = np.concatenate([part[key] for part in parts], axis=1).tolist()
    return {**joined, "texts": [], "shown": [], "seconds": sum(seconds for _, seconds in corners)}


def _dpo_name(weights: Sequence[float] | NDArray[np.float64]) -> str:
    return "dpo-" + "-".join(f"{weight:g}" for weight in weights)
