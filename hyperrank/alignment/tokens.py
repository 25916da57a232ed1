"""Tokens: prompts and responses encoded, datasets of lists, and batches that carry weights."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset

from hyperrank.alignment.preferences import Example, Preferences, Prompt, named_weights
from hyperrank.alignment.readers import read_lists
from hyperrank.simplex import dirichlet_weights

#: Tokens of a sequence at most, where neither the model nor the caller says.
DEFAULT_LENGTH = 4096
#: Tokenizers without a limit report this and more as their limit.
NO_LIMIT = 10**9


class TokenRow(NamedTuple):
    """Tokens of a prompt, with `n_vectors` placeholders from `place` on, and of a response."""

    prompt: list[int]
    response: list[int]
    place: int


class Encoder:
    """A tokenizer with the lengths that a model allows."""

    def __init__(
        self, tokenizer: Any, limit: int, max_response: int | None = None, n_vectors: int = 0
    ) -> None:
        self.tokenizer, self.limit, self.n_vectors = tokenizer, limit - n_vectors, n_vectors
        self.max_response = self.limit // 2 if max_response is None else max_response
        if not 1 <= self.max_response < self.limit:
            raise ValueError(
                f"max_response_length must lie between 1 and {self.limit - 1}; got {max_response!r}."
            )
        self.eos: int | None = tokenizer.eos_token_id
        start = tokenizer("").input_ids
        # Some end even the empty text with their end-of-text token.
        self.bos: int | None = start[0] if start and start[0] != self.eos else None
        # Of masked positions; any token will do.
        known = (tokenizer.pad_token_id, self.eos, 0)
        self.pad = int(next(token for token in known if token is not None))
        self._has_warned = False

    def prompt(self, prompt: Prompt, room: int, text: str = "") -> tuple[list[int], int]:
        """Tokens of a prompt cut from the left to `room`, and where prompt vectors stand in it."""
        ids = self._ids(prompt if isinstance(prompt, str) else self._template(prompt))
        head = [] if self.bos is None else [self.bos]
        if head and ids[:1] == head:
            ids = ids[1:]
        line = self._ids(text) if text else []
        if not head and not line and not ids:
            raise ValueError(
                "a prompt is empty, and the tokenizer begins no text by itself: the first token of a "
                "response would depend on nothing. Give it at least one character."
            )
        if room < 2:
            head = []
        line = line[: max(0, room - len(head) - 1)]
        ids = ids[max(0, len(ids) - (room - len(head) - len(line))) :]
        return [*head, *[self.pad] * self.n_vectors, *line, *ids], len(head)

    def response(self, prompt: Prompt, response: str) -> list[int]:
        """Tokens of a response with its end, cut to the longest allowed."""
        if isinstance(prompt, str):
            ids = self._ids(response) + ([] if self.eos is None else [self.eos])
        else:
            ids = self._ids(self._turn(prompt, response))
        if not ids:
            raise ValueError("a response is empty, and the tokenizer has no end-of-text token for it.")
        if len(ids) > self.max_response and not self._has_warned:
            self._has_warned = True
            warnings.warn(
                f"a response of {len(ids)} tokens was cut to {self.max_response}, without its end, and so "
                "are others as long: raise max_response_length, or leave them out.",
                UserWarning,
                stacklevel=2,
            )
        return ids[: self.max_response]

    def rows(self, prompt: Prompt, responses: Sequence[str], text: str = "") -> list[TokenRow]:
        """Tokens of a list; all its responses see the same of the prompt."""
        tails = [self.response(prompt, response) for response in responses]
        ids, place = self.prompt(prompt, self.limit - max(map(len, tails)), text)
        return [TokenRow(ids, tail, place) for tail in tails]

    def _template(self, messages: Sequence[Any], **options: Any) -> str:
        options = {"add_generation_prompt": True, "tokenize": False, **options}
        return str(self.tokenizer.apply_chat_template(list(messages), **options))

    def _turn(self, prompt: Sequence[Any], response: str) -> str:
        """A response with what the chat template puts behind it."""
        start, turn = self._template(prompt), {"role": "assistant", "content": response}
        whole = self._template([*prompt, turn], add_generation_prompt=False)
        if whole.startswith(start):
            # A line break after the end of the turn is the template's separator, and never generated.
            return whole[len(start) :].rstrip("\n")
        return response + (self.tokenizer.eos_token or "")

    def _ids(self, text: str) -> list[int]:
        # Tokenizers warn of texts beyond their limit, which are cut here.
        ids: list[int] = self.tokenizer(text, add_special_tokens=False, verbose=False).input_ids
        return ids


def length_limit(config: Any, tokenizer: Any, max_length: int | None, n_vectors: int) -> int:
    """Tokens that prompt vectors, prompt and response may have together."""
    known = [getattr(config, name, None) for name in ("max_position_embeddings", "n_positions")]
    model = min((limit for limit in known if isinstance(limit, int) and limit > 0), default=NO_LIMIT)
    if max_length is not None and max_length > model:
        raise ValueError(f"max_length={max_length} is more than the model's {model} positions.")
    stated = tokenizer.model_max_length if tokenizer.model_max_length < NO_LIMIT else DEFAULT_LENGTH
    limit: int = max_length or min(model, stated)
    if limit - n_vectors < 2:
        raise ValueError(
            f"{limit} positions less {n_vectors} prompt vectors leave no room for a prompt and a response: "
            "lower n_tokens or raise max_length."
        )
    return limit


class ListDataset(Dataset[Example]):
    """Lists by number, with the pass that they are read in."""

    def __init__(self, data: Preferences, points: NDArray[np.float64] | None = None) -> None:
        self.data, self.points, self.epoch = data, points, 0

    def set_epoch(self, epoch: int) -> None:
        """Called by accelerate at the start of each pass."""
        self.epoch = epoch

    def content(self) -> list[Any]:
        """What a run's checkpoints are told by."""
        return [self.data.prompts, self.data.responses, [labels.tolist() for labels in self.data.labels]]

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, number: int) -> Example:
        content = self.data.prompts[number], self.data.responses[number], self.data.labels[number]
        return Example(*content, self.epoch, number, self.points)


class ListCollator:
    """Lists to a batch: weights drawn, responses packed and padded on the right."""

    def __init__(
        self,
        encoder: Encoder,
        text: Callable[[Sequence[float]], str],
        *,
        alpha: float = 1.0,
        weights: NDArray[np.float64] | None = None,
        seed: int = 0,
    ) -> None:
        self.encoder, self.text = encoder, text
        self.alpha, self.weights, self.seed = alpha, weights, seed

    def __call__(self, examples: Sequence[Example]) -> dict[str, Any]:
        """A batch; with `points`, one for each under ``at``."""
        points = examples[0].points
        if points is None:
            return self.batch(examples, np.stack([self._draw(example) for example in examples]))
        batches = [self.batch(examples, np.tile(point, (len(examples), 1))) for point in points]
        # accelerate takes the length of the first tensor for the number of examples.
        return {"weights": batches[0]["weights"], "at": batches}

    def batch(self, examples: Sequence[Example], weights: NDArray[np.float64]) -> dict[str, Tensor]:
        """A batch under weights of shape (q, m)."""
        rows: list[TokenRow] = []
        for example, w in zip(examples, weights, strict=True):
            rows += self.encoder.rows(example.prompt, example.responses, self.text(w.tolist()))
        sizes = [len(example.responses) for example in examples]
        return {
            "weights": torch.from_numpy(weights).float(),
            "targets": torch.from_numpy(np.concatenate([example.labels for example in examples])).float(),
            "offsets": torch.tensor(np.cumsum([0, *sizes])),
            "row_weights": torch.from_numpy(np.repeat(weights, sizes, axis=0)).float(),
            **pad_rows(rows, self.encoder.pad, self.encoder.n_vectors),
        }

    def _draw(self, example: Example) -> NDArray[np.float64]:
        if self.weights is not None:
            return self.weights
        rng = np.random.default_rng([self.seed, example.epoch, example.number])
        return dirichlet_weights(1, example.labels.shape[1], alpha=self.alpha, rng=rng)[0]


def pad_rows(rows: Sequence[TokenRow], pad: int, n_vectors: int, *, left: bool = False) -> dict[str, Tensor]:
    """What `Policy.forward` takes of some rows, padded to the longest."""

    def padded(values: list[Tensor], fill: int = 0) -> Tensor:
        side = "left" if left else "right"
        return pad_sequence(values, batch_first=True, padding_value=fill, padding_side=side)

    ids = [torch.tensor(row.prompt + row.response) for row in rows]
    steps = [torch.arange(len(row)) for row in ids]
    responses = [step >= len(row.prompt) for step, row in zip(steps, rows, strict=True)]
    vectors = [(step >= r.place) & (step < r.place + n_vectors) for step, r in zip(steps, rows, strict=True)]
    return {
        "input_ids": padded(ids, pad),
        "attention_mask": padded([torch.ones_like(row) for row in ids]),
        "response_mask": padded(responses),
        "prompt_mask": padded(vectors),
    }


def evaluation_data(data: Any, names: tuple[str, ...]) -> Any:
    """A dataset for evaluations at the corners and the center of the simplex, or a mapping of them."""
    if data is None:
        return None
    if isinstance(data, Mapping):
        return {str(key): evaluation_data(value, names) for key, value in data.items()}
    read = read_lists(data, None, None, names)
    if not isinstance(read, Preferences):
        raise ValueError("eval_data must have a length; got a stream.")
    return ListDataset(read, np.stack(list(named_weights(None, names).values())))
