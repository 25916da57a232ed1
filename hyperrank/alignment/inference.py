"""Inference: implicit rewards of responses, and text under each prompt's weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hyperrank._checks import check_number, import_extra
from hyperrank.alignment.base_model import isolated
from hyperrank.alignment.policy import Policy
from hyperrank.alignment.preferences import Prompt
from hyperrank.alignment.tokens import Encoder, TokenRow, pad_rows


def log_ratios(
    policy: Policy,
    encoder: Encoder,
    prompts: Sequence[Prompt],
    responses: Sequence[Sequence[str]],
    weights: NDArray[np.float64],
    batch_tokens: int,
) -> tuple[list[NDArray[np.float64]], list[NDArray[np.int64]]]:
    """Log-ratio of policy to reference for each response under k trade-offs of its list, and its tokens."""
    sizes = [len(texts) for texts in responses]
    ratios, counts = np.empty((sum(sizes), weights.shape[1])), np.empty(sum(sizes), dtype=np.int64)
    seen: dict[int, torch.Tensor] = {}
    for column in range(weights.shape[1]):
        lines = [policy.conditioning.text(w.tolist()) for w in weights[:, column]]
        lists = zip(prompts, responses, lines, strict=True)
        rows = [row for prompt, texts, line in lists for row in encoder.rows(prompt, texts, line)]
        per_row = np.repeat(weights[:, column], sizes, axis=0)
        for number, batch in enumerate(_batches(rows, 0, batch_tokens)):
            inputs = pad_rows([rows[row] for row in batch], encoder.pad, encoder.n_vectors)
            inputs["row_weights"] = torch.from_numpy(per_row[batch]).float()
            # Without text the rows are the same for all trade-offs, and so is the reference.
            known = None if any(lines) else seen.get(number)
            with isolated(grad=False):
                on_device = {key: value.to(policy.device) for key, value in inputs.items()}
                output = policy(**on_device, reference=known)
            seen[number] = output["reference"]
            ratios[batch, column] = (output["log_probs"] - output["reference"]).cpu().numpy()
            counts[batch] = output["n_tokens"].cpu().numpy()
    bounds = np.cumsum(sizes)[:-1]
    return list(np.split(ratios, bounds)), list(np.split(counts, bounds))


class Decoder:
    """Generation by the base model's own `generate` and `generation_config`."""

    def __init__(
        self,
        policy: Policy,
        encoder: Encoder,
        batch_tokens: int,
        max_new_tokens: int,
        stop: str | Sequence[str] | None,
        options: dict[str, Any],
    ) -> None:
        self.policy, self.encoder, self.batch_tokens = policy, encoder, batch_tokens
        check_number("max_new_tokens", max_new_tokens, at_least=1, whole=True)
        self.room, self.max_new_tokens = encoder.limit - max_new_tokens, max_new_tokens
        if self.room < 1:
            raise ValueError(
                f"max_new_tokens={max_new_tokens} leaves no room for a prompt; "
                f"expected at most {encoder.limit - 1}."
            )
        self.options = {name: value for name, value in options.items() if value is not None}
        if "temperature" in self.options and not self.options["temperature"] > 0:
            raise ValueError("temperature must be above 0. For the likeliest tokens: do_sample=False.")
        check_number("top_p", self.options.get("top_p", 1.0), above=0, at_most=1)
        if self.options.keys() & {"num_return_sequences", "return_dict_in_generate"}:
            raise ValueError("generate gives texts alone, several for each prompt by n_samples=.")
        ends = self.options.get("eos_token_id", policy.model.generation_config.eos_token_id)
        if ends is None and encoder.eos is not None:
            ends = self.options["eos_token_id"] = encoder.eos
        self.ends = {ends} if isinstance(ends, int) else set(ends or ())
        self.options |= {"max_new_tokens": max_new_tokens, "pad_token_id": encoder.pad}
        self.stop = [stop] if isinstance(stop, str) else list(stop or ())
        if not all(isinstance(text, str) and text for text in self.stop):
            raise ValueError(f"stop must be a text of at least one character, or several; got {stop!r}.")
        if self.stop:
            self.options.update(stop_strings=self.stop, tokenizer=encoder.tokenizer)

    def texts(self, prompts: Sequence[Prompt], weights: NDArray[np.float64], seed: int) -> list[str]:
        """Texts for prompts under weights of shape (n_prompts, m)."""
        rows = self._rows(prompts, weights)
        texts = [""] * len(rows)
        with isolated(seed, grad=False):
            for batch in _batches(rows, self.max_new_tokens, self.batch_tokens):
                made = self._generate([rows[row] for row in batch], weights[batch])
                for row, ids in zip(batch, made.tolist(), strict=True):
                    texts[row] = self._text(ids)
        return texts

    def stream(self, prompt: Prompt, weights: NDArray[np.float64], seed: int | None) -> Iterator[str]:
        """Pieces of one text as they are made, by another thread."""
        tokenizer, rows, left = self.encoder.tokenizer, self._rows([prompt], weights[None]), Event()
        streamer = import_extra("transformers", "llm").TextIteratorStreamer(
            tokenizer, skip_special_tokens=True
        )
        more = {"streamer": streamer, "stopping_criteria": [lambda *_: left.is_set()]}

        def generate() -> None:
            try:
                with isolated(seed, grad=False):
                    self._generate(rows, weights[None], **more)
            finally:
                streamer.end()

        pool = ThreadPoolExecutor(1)
        work = pool.submit(generate)
        pool.shutdown(wait=False)
        try:
            yield from (piece for piece in streamer if piece)
            work.result()
        finally:
            left.set()  # a reader may leave before the end

    def _rows(self, prompts: Sequence[Prompt], weights: NDArray[np.float64]) -> list[TokenRow]:
        lines = [self.policy.conditioning.text(w.tolist()) for w in weights]
        found = [self.encoder.prompt(p, self.room, line) for p, line in zip(prompts, lines, strict=True)]
        return [TokenRow(ids, [], place) for ids, place in found]

    def _generate(self, rows: list[TokenRow], weights: NDArray[np.float64], **more: Any) -> torch.Tensor:
        inputs = pad_rows(rows, self.encoder.pad, self.encoder.n_vectors, left=True)
        inputs["weights"] = torch.from_numpy(weights).float()
        del inputs["response_mask"]
        on_device = {key: value.to(self.policy.device) for key, value in inputs.items()}
        return self.policy.generate(**on_device, **self.options, **more)

    def _text(self, ids: list[int]) -> str:
        # What fills up a row after its end may be a token like any other.
        n = next((n for n, token in enumerate(ids) if token in self.ends), len(ids))
        text: str = self.encoder.tokenizer.decode(ids[:n], skip_special_tokens=True)
        ends = [text.index(stop) for stop in self.stop if stop in text]
        return text[: min(ends)] if ends else text


def _batches(rows: Sequence[TokenRow], more: int, budget: int) -> list[NDArray[np.int64]]:
    """Rows of like length together, within a budget of padded tokens; a longer row goes alone."""
    lengths = np.array([len(row.prompt) + len(row.response) + more for row in rows])
    order = np.argsort(-lengths, kind="stable")
    batches, first = [], 0
    for place in range(1, len(order) + 1):
        if place == len(order) or (place - first + 1) * lengths[order[first]] > budget:
            batches.append(order[first:place])
            first = place
    return batches
