"""Aligner files: what was trained, and the name and fingerprint of the base model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hyperrank._version import __version__
from hyperrank.alignment.base_model import BaseModel
from hyperrank.alignment.conditioning import Surroundings, make_conditioning
from hyperrank.alignment.config import NOT_STORED
from hyperrank.files import ModelFileError, read_model_file, write_model_file

#: Layout of the content: 2 had the options of losses among the aligner's.
LAYOUT = 3


@dataclass(frozen=True)
class AlignerFile:
    """What a file holds: parameters of the aligner, what was fitted, and what tells the base model."""

    params: dict[str, Any]
    objectives: tuple[str, ...]
    history: list[dict[str, Any]]
    collapsed: bool
    trained: dict[str, NDArray[np.float32]]
    #: Its name, and the fingerprints of model and tokenizer.
    base_model: tuple[str, str, str]

    def write(self, path: str | Path, class_name: str, base: BaseModel) -> Path:
        """Write the file, whole or not at all."""
        # Options may have been set after the fit: such a file could not be read.
        self.check_shapes(base)
        head = {
            "class": class_name,
            "layout": LAYOUT,
            "objectives": list(self.objectives),
            "base_model": list(self.base_model),
            "versions": {"hyperrank": __version__, "torch": torch.__version__},
        }
        params = {name: value for name, value in self.params.items() if name not in NOT_STORED}
        content = {"params": params, "history": self.history, "collapsed": self.collapsed}
        return write_model_file(path, {**content, "trained": self.trained}, head=head)

    def check_base(self, base: BaseModel) -> None:
        """Refuse another model or tokenizer, and options that ask for more memory than the file's arrays."""
        given = (base.fingerprint, base.tokenizer_fingerprint)
        for what, stored, found in zip(("model", "tokenizer"), self.base_model[1:], given, strict=True):
            if stored != found:
                raise ValueError(
                    f"it was trained on the {what} {self.base_model[0][:200]!r} with fingerprint "
                    f"{stored[:12]}; {base.name!r} has {found[:12]}. Adapters mean nothing to another"
                )
        self.check_shapes(base)

    def check_shapes(self, base: BaseModel) -> None:
        """Check that arrays are those that the options ask for, without making these."""
        params, shapes = self.params, {name: value.shape for name, value in self.trained.items()}
        first = [shape for name, shape in shapes.items() if ".lora_A." in name]
        rank = 0 if params["adapters"] is None else params["adapters"].get("r", 8)
        if (rank > 0) != bool(first) or any(shape[0] != rank for shape in first):
            raise ValueError(
                f"options ask for adapters of rank {rank}, and those that were trained have another"
            )
        size = base.model.get_input_embeddings().weight.shape[1]
        with torch.device("meta"):  # takes no memory
            initial = torch.empty(params["n_tokens"], size)
            around = Surroundings(self.objectives, size, initial, params["prompt_width"], len(first), rank)
            expected = make_conditioning(params["conditioning"], around).state_dict()
        for name, value in expected.items():
            found = shapes.get(f"conditioning.{name}")
            if found != value.shape:
                raise ValueError(
                    f"options ask for {name} of shape {tuple(value.shape)}; what was trained: {found}"
                )


def read_aligner_file(path: str | Path, class_name: str, allowed: Sequence[str]) -> AlignerFile:
    """Read and check a file; nothing is built of it yet. A ValueError says what is wrong with it."""
    head, content = read_model_file(path)
    if head.get("class") != class_name:
        raise ModelFileError(f"{path} holds a {str(head.get('class'))[:40]}; expected a {class_name}.")
    if head.get("layout") != LAYOUT:
        raise ValueError("it was written by another version of hyperrank: train it again, or install that")
    params, trained = dict(content["params"]), dict(content["trained"])
    unknown = sorted(set(params) - (set(allowed) - NOT_STORED))
    if unknown:
        raise ValueError(f"it has unknown options {unknown[:3]}")
    for name, value in trained.items():
        if not isinstance(value, np.ndarray) or value.dtype != np.float32 or not np.isfinite(value).all():
            raise ValueError(f"its parameter {str(name)[:60]!r} is not an array of finite float32")
    texts = [head["objectives"], head["base_model"]]
    if not all(isinstance(some, list) and some and all(isinstance(t, str) for t in some) for some in texts):
        raise ValueError("its objectives or its base model are not texts")
    objectives, base_model = map(tuple, texts)
    return AlignerFile(
        params, objectives, list(content["history"]), bool(content["collapsed"]), trained, base_model
    )
