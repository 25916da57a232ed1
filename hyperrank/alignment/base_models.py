"""The base model and its tokenizer: loaded by name, or as they were passed, on a device in a precision."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from hyperrank.alignment.extras import required
from hyperrank.alignment.fingerprint import model_fingerprint, tokenizer_fingerprint
from hyperrank.alignment.frozen import frozen_copy, refuse_unfit
from hyperrank.alignment.language_model import LanguageModel

__all__ = ["BaseModel", "base_model"]

#: Precisions by name.
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class BaseModel:
    """A language model ready to be steered.

    Attributes
    ----------
    model : LanguageModel
    tokenizer : PreTrainedTokenizerBase
    name : str
        What transformers loads it by; the model's class where it has no name.
    fingerprint : str
        See `hyperrank.alignment.fingerprint`.
    """

    model: LanguageModel
    tokenizer: Any
    name: str
    fingerprint: str

    @cached_property
    def tokenizer_fingerprint(self) -> str:
        """The tokenizer's."""
        return tokenizer_fingerprint(self.tokenizer)

    @property
    def identity(self) -> dict[str, str]:
        """What log-probabilities depend on beside the tokens."""
        dtype, device = self.model.embedding.weight.dtype, self.model.device.type
        return {
            "model": self.fingerprint,
            "dtype": str(dtype),
            "precision": str(self.model.precision),
            "device": device,
        }


def base_model(model: Any, tokenizer: Any, device: str, precision: str) -> BaseModel:
    """Load a model and its tokenizer, or take those that were passed; these stay as they are.

    Parameters
    ----------
    model : str, path or PreTrainedModel
    tokenizer : str, path, PreTrainedTokenizerBase or None
        By default what belongs to the model's name.
    device : str
        ``"auto"`` is a GPU where there is one.
    precision : {"auto", "float32", "bfloat16"}
        ``"auto"`` is bfloat16 on GPUs that know it, else float32.

    Raises
    ------
    ImportError
        Without the extra `llm`.
    ValueError
        If there is no such model, or it cannot be steered.
    """
    transformers = required("transformers")
    where = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device)
    wanted = _precision(precision, where)
    if isinstance(model, str) or hasattr(model, "__fspath__"):
        name, kind = str(model), transformers.AutoModelForCausalLM
        with _quiet(transformers):
            loaded = _loaded(kind, name, dtype=wanted)
    else:
        loaded, name = model, getattr(model, "name_or_path", "") or type(model).__name__
    refuse_unfit(loaded)
    if tokenizer is None or isinstance(tokenizer, str) or hasattr(tokenizer, "__fspath__"):
        tokenizer = _loaded(transformers.AutoTokenizer, str(tokenizer or name))
    fingerprint = model_fingerprint(loaded)
    held = frozen_copy(loaded).to(where)
    if wanted == torch.bfloat16:
        # Half the memory, as products are rounded to it in any case; positions, in buffers, need more digits.
        for value in held.parameters():
            value.data = value.data.to(torch.bfloat16)
    return BaseModel(LanguageModel(held, wanted), tokenizer, name, fingerprint)


def _precision(name: str, device: torch.device) -> torch.dtype:
    if name == "auto":
        return torch.bfloat16 if device.type == "cuda" and torch.cuda.is_bf16_supported() else torch.float32
    if name not in PRECISIONS:
        raise ValueError(f"precision must be 'auto', 'float32' or 'bfloat16'; got {name!r}.")
    return PRECISIONS[name]


def _loaded(kind: Any, name: str, **options: Any) -> Any:
    try:
        return kind.from_pretrained(name, **options)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{kind.__name__} finds nothing it can load under {name!r}: {reason}") from error


@contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """Without the bar over a model's parameters, which libraries should not draw unasked."""
    shown = transformers.utils.logging.is_progress_bar_enabled()
    transformers.utils.logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            transformers.utils.logging.enable_progress_bar()
