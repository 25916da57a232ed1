"""Tokens per second and peak memory of training, beside trl's DPOTrainer on the same pairs.

Same model, LoRA, pairs, batch and precision (float32); both compute the reference in each step. Each is a
process of its own, by turns, and the best of its repetitions counts.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.alignment_sources import MODELS, MissingSourceError
from benchmarks.markdown import markdown_table

__all__ = ["WAYS", "main"]

ADAPTERS: dict[str, Any] = {"r": 8, "lora_alpha": 16, "target_modules": "all-linear"}
Pairs = list[dict[str, str]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; gives the exit status."""
    parser = argparse.ArgumentParser("python -m benchmarks.alignment_speed", description=__doc__)
    parser.add_argument("--model", choices=MODELS, default="smollm2")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--batch-size", type=int, default=4, help="pairs per step")
    parser.add_argument("--tokens", type=int, default=96, help="of prompt and response together, about")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--out", type=Path, default=Path("alignment-runs"), help="folder of models")
    parser.add_argument("--measure", choices=WAYS, help="measure this one in this process")
    options = parser.parse_args(arguments)
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    try:
        model = str(MODELS[options.model](options.out))
    except MissingSourceError as error:
        print(error)
        return 1
    if options.measure is not None:
        print(json.dumps(measured(options.measure, model, options)))
        return 0
    given = sys.argv[1:] if arguments is None else list(arguments)
    found: dict[str, list[dict[str, float]]] = {way: [] for way in options.ways}
    for _ in range(options.repeats):
        for way in options.ways:
            command = [sys.executable, "-m", "benchmarks.alignment_speed", *given, "--measure", way]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                print(f"{way}: {done.stderr.strip().splitlines()[-1]}")
                return 1
            found[way].append(json.loads(done.stdout.splitlines()[-1]))
    rows = []
    for way, runs in found.items():
        best = max(run["tokens"] / run["cpu"] for run in runs)
        wall = max(run["tokens"] / run["wall"] for run in runs)
        peak = min(run["peak"] for run in runs)
        rows.append(
            {
                "training": LABELS[way],
                "tokens per CPU second": f"{best:.0f}",
                "tokens per second": f"{wall:.0f}",
                "peak memory, MB": f"{peak / 1e6:.0f}",
                "above the model, MB": f"{min(run['peak'] - run['loaded'] for run in runs) / 1e6:.0f}",
            }
        )
    print(markdown_table(rows))
    print(f"\n{machine.provenance(' '.join(['python -m benchmarks.alignment_speed', *given]))}")
    return 0


def measured(way: str, model: str, options: argparse.Namespace) -> dict[str, float]:
    """Tokens of policy and prompts in training, seconds, and bytes."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    loaded: Any = AutoModelForCausalLM.from_pretrained(model)
    tokenizer: Any = AutoTokenizer.from_pretrained(model)
    pairs = texts(options.steps * options.batch_size, options.tokens)
    whole = [row["prompt"] + row[side] for row in pairs for side in ("chosen", "rejected")]
    tokens = sum(len(tokenizer(text).input_ids) + 1 for text in whole)
    bytes_loaded = machine.current_memory_bytes()
    machine.reset_peak_memory()
    wall, cpu = WAYS[way](loaded, tokenizer, pairs, options)
    return {
        "tokens": tokens,
        "wall": wall,
        "cpu": cpu,
        "peak": machine.peak_memory_bytes(),
        "loaded": bytes_loaded,
    }


def texts(n_pairs: int, n_tokens: int) -> Pairs:
    """Pairs of responses of about one length, half of the tokens prompt."""
    words = " and so on"
    prompt, response = words * (n_tokens // 6), words * (n_tokens // 6)
    return [
        {"prompt": f"{number}{prompt}", "chosen": f" one{response}", "rejected": f" two{response}"}
        for number in range(n_pairs)
    ]


class Clock:
    """Seconds between the first step's start and the last one's end, by a callback of the Trainer."""

    def __init__(self) -> None:
        from transformers import TrainerCallback

        clock = self

        class Callback(TrainerCallback):
            def on_train_begin(self, *_: Any, **__: Any) -> None:
                clock.begin = time.perf_counter(), time.process_time()

            def on_train_end(self, *_: Any, **__: Any) -> None:
                clock.end = time.perf_counter(), time.process_time()

        self.callback = Callback()
        self.begin = self.end = (0.0, 0.0)

    @property
    def seconds(self) -> tuple[float, float]:
        """By the wall and of the processor."""
        return self.end[0] - self.begin[0], self.end[1] - self.begin[1]


def conditioned(
    model: Any, tokenizer: Any, pairs: Pairs, options: argparse.Namespace, **aligner: Any
) -> tuple[float, float]:
    """A fit of ours."""
    from hyperrank.alignment import HyperPromptAligner

    clock = Clock()
    HyperPromptAligner(
        model,
        tokenizer,
        adapters=ADAPTERS,
        max_steps=options.steps,
        batch_size=options.batch_size,
        max_log_ratio=None,
        precision="float32",
        device="cpu",
        random_state=0,
        **aligner,
    ).fit(pairs, callbacks=[clock.callback])
    return clock.seconds


def trl(model: Any, tokenizer: Any, pairs: Pairs, options: argparse.Namespace) -> tuple[float, float]:
    """A run of trl's DPOTrainer."""
    import datasets
    import peft
    from trl import DPOConfig, DPOTrainer

    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        args = DPOConfig(
            output_dir=folder,
            max_steps=options.steps,
            per_device_train_batch_size=options.batch_size,
            gradient_checkpointing=False,
            bf16=False,
            use_cpu=True,
            report_to="none",
            save_strategy="no",
            disable_tqdm=True,
            dataloader_pin_memory=False,
        )
        trainer: Any = DPOTrainer(
            model,
            args=args,
            train_dataset=datasets.Dataset.from_list(pairs),
            processing_class=tokenizer,
            peft_config=peft.LoraConfig(**ADAPTERS, task_type="CAUSAL_LM"),
            callbacks=[clock.callback],
        )
        trainer.train()
    return clock.seconds


LABELS = {
    "lora": "hyperrank, LoRA with a core of the weights",
    "prompt-lora": "hyperrank, hyper prompt of 16 vectors and LoRA",
    "trl": "trl DPOTrainer, LoRA",
}
WAYS: Mapping[str, Callable[..., tuple[float, float]]] = {
    "lora": lambda *args: conditioned(*args, conditioning="lora"),
    "prompt-lora": conditioned,
    "trl": trl,
}


if __name__ == "__main__":
    raise SystemExit(main())
