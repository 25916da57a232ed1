"""Peak memory of a training step: all logits at once, in chunks, and with activation checkpointing.

Each way in a process of its own. The step is on pairs of responses of one length, of which the prompt is an
eighth; "all logits" is the same prompt tuning written down with transformers alone.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.alignment_sources import MODELS, MissingSourceError
from benchmarks.markdown import markdown_table

__all__ = ["WAYS", "main"]

Rows = tuple[list[str], list[list[str]], list[list[list[float]]]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; gives the exit status."""
    parser = argparse.ArgumentParser("python -m benchmarks.alignment_memory", description=__doc__)
    parser.add_argument("--model", choices=MODELS, default="smollm2")
    parser.add_argument("--pairs", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=512, help="of prompt and response together, about")
    parser.add_argument("--out", type=Path, default=Path("alignment-runs"), help="folder of models")
    parser.add_argument("--way", choices=WAYS, help="measure this one in this process")
    options = parser.parse_args(arguments)
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    try:
        model = MODELS[options.model](options.out)
    except MissingSourceError as error:
        print(error)
        return 1
    if options.way is not None:
        loaded, peak = WAYS[options.way](str(model), texts(options.pairs, options.tokens))
        print(loaded, peak)
        return 0
    given = sys.argv[1:] if arguments is None else list(arguments)
    rows = []
    for way in WAYS:
        command = [sys.executable, "-m", "benchmarks.alignment_memory", *given, "--way", way]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        loaded, peak = (int(number) for number in done.stdout.split()[-2:])
        rows.append(
            {"step": way, "peak, MB": f"{peak / 1e6:.0f}", "above model, MB": f"{(peak - loaded) / 1e6:.0f}"}
        )
    print(markdown_table(rows))
    print(f"\n{machine.provenance(' '.join(['python -m benchmarks.alignment_memory', *given]))}")
    return 0


def texts(n_pairs: int, n_tokens: int) -> Rows:
    """Pairs of responses that differ in one word."""
    words = " and so on" * (n_tokens // 3)
    prompt, response = words[: len(words) // 8], words[len(words) // 8 :]
    prompts = [f"{number}{prompt}" for number in range(n_pairs)]
    return prompts, [[f" one{response}", f" two{response}"]] * n_pairs, [[[1.0, 0.0], [0.0, 1.0]]] * n_pairs


def all_logits(model: str, rows: Rows) -> tuple[int, int]:
    """Prompt tuning by DPO from all logits, in plain transformers."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    prompts, responses, _ = rows
    held: Any = AutoModelForCausalLM.from_pretrained(model)
    tokenizer: Any = AutoTokenizer.from_pretrained(model)
    held.requires_grad_(False)
    ids = torch.tensor(
        [tokenizer(p + r).input_ids for p, pair in zip(prompts, responses, strict=True) for r in pair]
    )
    loaded = machine.current_memory_bytes()
    machine.reset_peak_memory()
    vectors = torch.zeros(16, held.get_input_embeddings().weight.shape[1], requires_grad=True)
    embeds = torch.cat([vectors.expand(len(ids), -1, -1), held.get_input_embeddings()(ids)], dim=1)
    logits = held(inputs_embeds=embeds, use_cache=False).logits[:, 15:-1]
    each = torch.log_softmax(logits.float(), dim=-1).gather(2, ids[:, :, None])
    ratio = each.sum(dim=(1, 2)).view(-1, 2)
    torch.nn.functional.softplus(ratio[:, 1] - ratio[:, 0]).mean().backward()
    return loaded, machine.peak_memory_bytes()


def one_step(model: str, rows: Rows, *, activation_checkpointing: bool) -> tuple[int, int]:
    """A fit of one step, reference included."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from hyperrank.alignment import HyperPromptAligner

    held: Any = AutoModelForCausalLM.from_pretrained(model)
    tokenizer: Any = AutoTokenizer.from_pretrained(model)
    n_pairs = len(rows[0])
    aligner = HyperPromptAligner(
        held,
        tokenizer,
        max_steps=1,
        batch_size=n_pairs,
        batch_tokens=10**6,
        max_response_length=4000 if tokenizer.model_max_length > 10**6 else None,
        activation_checkpointing=activation_checkpointing,
        sample_tokens=0,
        device="cpu",
    )
    loaded = machine.current_memory_bytes()
    machine.reset_peak_memory()
    aligner.fit(*rows)
    return loaded, machine.peak_memory_bytes()


WAYS: Mapping[str, Callable[[str, Rows], tuple[int, int]]] = {
    "all-logits": all_logits,
    "chunks": lambda model, rows: one_step(model, rows, activation_checkpointing=False),
    "chunks-checkpointing": lambda model, rows: one_step(model, rows, activation_checkpointing=True),
}


if __name__ == "__main__":
    raise SystemExit(main())
