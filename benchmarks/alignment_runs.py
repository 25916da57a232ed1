"""Methods of the alignment benchmark: one aligner for all weights, one per weight, and a soup of these."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.alignment_sources import Source
from hyperrank.alignment import HyperPromptAligner

__all__ = ["METHODS", "Plan", "run_method"]

#: What is compared, and what it is called in tables.
METHODS = {
    "reference": "the model as it is",
    "hyper-prompt": "hyper prompt, model frozen",
    "hyper-prompt-lora": "hyper prompt and adapters",
    "dpo-per-weight": "one DPO run per weight",
    "soup": "soup of adapters",
}
ADAPTERS = {"r": 8, "lora_alpha": 16}
TEXT_TOKENS = 60


@dataclass(frozen=True)
class Plan:
    """What all methods share.

    Attributes
    ----------
    model : Path
    source : Source
    grid : ndarray of shape (k, m)
        Trade-offs that are judged, corners first and last.
    seed : int
    options : mapping
        Of every aligner.
    folder : Path
        Of runs.
    """

    model: Path
    source: Source
    grid: NDArray[np.float64]
    seed: int
    options: Mapping[str, Any]
    folder: Path

    def aligner(self, name: str, **options: Any) -> HyperPromptAligner:
        """An aligner that keeps its run in a folder of its own."""
        train = self.source.train
        return HyperPromptAligner(
            str(self.model),
            objectives=train.names,
            random_state=self.seed,
            sample_tokens=0,
            cache_dir=self.folder / "reference",
            checkpoint_dir=self.folder / f"{name}-{self.seed}",
            checkpoint_every=25,
            **{**self.options, **options},
        )

    def fitted(self, name: str, **options: Any) -> tuple[HyperPromptAligner, float]:
        """A fitted aligner and the seconds of its fit, which are kept with the run."""
        aligner = self.aligner(name, **options)
        clock = self.folder / f"{name}-{self.seed}" / "seconds.json"
        before = json.loads(clock.read_text()) if clock.exists() else 0.0
        train, started = self.source.train, time.perf_counter()

        def tick(entry: Mapping[str, Any]) -> None:
            if entry["step"] % 25 == 0:
                clock.write_text(json.dumps(before + time.perf_counter() - started))

        n_before = _steps_done(clock.parent)
        aligner.fit(train.prompts, train.responses, train.labels, callback=tick)
        if len(aligner.history_) == n_before:
            return aligner, before
        seconds = before + time.perf_counter() - started
        clock.write_text(json.dumps(seconds))
        return aligner, seconds


def run_method(name: str, plan: Plan) -> dict[str, Any]:
    """Train and judge one method, or read what it came to; see `METHODS`.

    Returns
    -------
    dict
        ``points`` (k, m) preference accuracies on held-out lists, ``rewards`` by objective, ``seconds`` of
        training, ``log_ratio`` at the end of it, and ``texts`` by trade-off and prompt.
    """
    path = plan.folder / f"{name}-{plan.seed}-{_key(plan)}.json"
    if path.exists():
        found: dict[str, Any] = json.loads(path.read_text())
        return found
    result = {
        "reference": _reference,
        "hyper-prompt": lambda plan: _one_for_all(plan, "hyper-prompt", None),
        "hyper-prompt-lora": lambda plan: _one_for_all(plan, "hyper-prompt-lora", ADAPTERS),
        "dpo-per-weight": _per_weight,
        "soup": _soup,
    }[name](plan)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(result))
    partial.replace(path)
    return result


def _one_for_all(plan: Plan, name: str, adapters: Mapping[str, Any] | None) -> dict[str, Any]:
    aligner, seconds = plan.fitted(name, adapters=adapters)
    judged = [_judged(aligner, plan, weights) for weights in plan.grid]
    return _result(judged, seconds, [aligner])


def _per_weight(plan: Plan) -> dict[str, Any]:
    judged, spent, aligners = [], 0.0, []
    for weights in plan.grid:
        aligner, seconds = plan.fitted(_dpo_name(weights), adapters=ADAPTERS, weights=weights.tolist())
        judged.append(_judged(aligner, plan, weights))
        spent += seconds
        aligners.append(aligner)
    return _result(judged, spent, aligners)


def _soup(plan: Plan) -> dict[str, Any]:
    """Prompts and adapters of the corners' runs, averaged by the weights."""
    corners = [
        plan.fitted(_dpo_name(weights), adapters=ADAPTERS, weights=weights.tolist())
        for weights in np.eye(plan.grid.shape[1])
    ]
    trained = [_of_corner(aligner, j) for j, (aligner, _) in enumerate(corners)]
    mixed = corners[0][0]
    judged = []
    for weights in plan.grid:
        mean = {name: _mean([part[name] for part in trained], weights) for name in trained[0]}
        mixed.policy_.load_trained(mean)
        judged.append(_judged(mixed, plan, weights))
    return _result(judged, sum(seconds for _, seconds in corners), [aligner for aligner, _ in corners])


def _reference(plan: Plan) -> dict[str, Any]:
    """The model without prompt and adapters: by definition every reward is 0, and half of all pairs right."""
    names = plan.source.train.names
    return {"points": [[0.5] * len(names)], "seconds": 0.0, "log_ratio": 0.0, "texts": []}


def _mean(values: Sequence[torch.Tensor], weights: NDArray[np.float64]) -> torch.Tensor:
    """Parameters under weights."""
    shares = torch.from_numpy(weights).to(values[0])
    return torch.tensordot(shares, torch.stack(list(values)), dims=1)


def _of_corner(aligner: HyperPromptAligner, j: int) -> dict[str, torch.Tensor]:
    """What was trained, with the prompt of the run's own weights as its constant part."""
    policy = aligner.policy_
    values = {name: value.detach().clone() for name, value in policy.trained().items()}
    own = torch.eye(len(aligner.objectives_), device=policy.model.device)[j]
    values["prompt.base"] = policy.prompt(own).detach().clone()
    for part in ("prompt.outer.weight", "prompt.outer.bias"):
        values[part] = torch.zeros_like(values[part])
    return values


def _judged(
    aligner: HyperPromptAligner, plan: Plan, weights: NDArray[np.float64]
) -> tuple[list[float], list[str]]:
    """Accuracies on held-out lists, and texts, at a trade-off."""
    test = plan.source.test
    accuracy = aligner.accuracy(test.prompts, test.responses, test.labels, weights=weights)
    texts = aligner.generate(list(plan.source.prompts), weights=weights, max_new_tokens=TEXT_TOKENS)
    return accuracy.tolist(), texts


def _result(
    judged: Sequence[tuple[list[float], list[str]]], seconds: float, aligners: Sequence[HyperPromptAligner]
) -> dict[str, Any]:
    ends = [np.mean([entry["log_ratio"] for entry in a.history_[-10:]]) for a in aligners]
    return {
        "points": [points for points, _ in judged],
        "texts": [texts for _, texts in judged],
        "seconds": seconds,
        "log_ratio": float(np.max(ends)),
        "collapsed": any(aligner.collapsed_ for aligner in aligners),
    }


def _dpo_name(weights: NDArray[np.float64]) -> str:
    return "dpo-" + "-".join(f"{weight:g}" for weight in weights)


def _steps_done(folder: Path) -> int | None:
    """Steps of a kept run, so that a run that is only read does not count as time."""
    from hyperrank.files import read_model_file

    path = folder / "alignment-checkpoint.safetensors"
    return int(read_model_file(path)[0]["step"]) if path.exists() else None


def _key(plan: Plan) -> str:
    """Tells plans apart whose results differ."""
    sizes = [len(plan.source.train), len(plan.source.test)]
    shown = json.dumps([plan.model.name, sizes, plan.grid.tolist(), dict(plan.options)], sort_keys=True)
    return hashlib.sha256(shown.encode()).hexdigest()[:12]
