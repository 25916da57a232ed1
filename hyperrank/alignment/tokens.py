"""Texts as tokens: prompts cut from the left, responses that end."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperrank.alignment.inputs import Prompt

__all__ = ["Encoder", "TokenLists", "length_limit"]

#: Tokens of a sequence at most, where neither the model nor the caller says.
DEFAULT_LENGTH = 4096
#: Tokenizers without a limit call this and more their limit.
NO_LIMIT = 10**9


@dataclass(frozen=True)
class TokenLists:
    """Tokens of prompts and of their responses, flat over lists.

    Attributes
    ----------
    prompts : list of list of int
        One per list.
    responses : list of list of int
        One per response, in the order of the lists; never empty.
    offsets : ndarray of shape (q + 1,), int64
        Where each list's responses begin.
    """

    prompts: list[list[int]]
    responses: list[list[int]]
    offsets: NDArray[np.int64]

    @cached_property
    def n_lists(self) -> int:
        """Number of prompts."""
        return len(self.prompts)

    @cached_property
    def list_of_row(self) -> NDArray[np.int64]:
        """For each response the number of its prompt, shape (n,)."""
        return np.repeat(np.arange(self.n_lists), np.diff(self.offsets))

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each prompt with its response, shape (n,)."""
        prompts = np.array([len(p) for p in self.prompts], dtype=np.int64)
        return prompts[self.list_of_row] + self.n_response

    @cached_property
    def n_response(self) -> NDArray[np.int64]:
        """Tokens of each response, shape (n,)."""
        return np.array([len(r) for r in self.responses], dtype=np.int64)

    def take(self, lists: NDArray[np.int64]) -> TokenLists:
        """Some of the lists."""
        responses = [self.responses[row] for q in lists for row in range(*self.offsets[q : q + 2])]
        sizes = np.diff(self.offsets)[lists]
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        return TokenLists([self.prompts[q] for q in lists], responses, offsets)

    def digest(self) -> str:
        """SHA-256 of all tokens and of how they are grouped."""
        content = json.dumps([self.prompts, self.responses, self.offsets.tolist()])
        return hashlib.sha256(content.encode()).hexdigest()


class Encoder:
    """A tokenizer with the lengths that a model allows.

    Prompts begin with the tokenizer's beginning-of-text token if it sets one, and never end in an
    end-of-text token; responses always end in one if the tokenizer has one.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerBase
    limit : int
        Tokens of a prompt with its response at most.
    max_response : int, optional
        Tokens of a response at most; half the limit by default.

    Raises
    ------
    ValueError
        If the lengths leave no room for a prompt.
    """

    def __init__(self, tokenizer: Any, limit: int, max_response: int | None = None) -> None:
        self.tokenizer, self.limit = tokenizer, limit
        self.max_response = max_response if max_response is not None else max(1, limit // 2)
        if not 1 <= self.max_response < limit:
            raise ValueError(
                f"max_response_length must lie between 1 and {limit - 1}, so that {limit} tokens have room "
                f"for a prompt too; got {self.max_response}."
            )
        self.eos: int | None = tokenizer.eos_token_id
        with_special = tokenizer("a").input_ids
        bos = tokenizer.bos_token_id
        self.bos: int | None = bos if bos is not None and with_special[:1] == [bos] else None

    @property
    def pad(self) -> int:
        """What fills up rows; masked, so that any token will do where the tokenizer has none for it."""
        pad = self.tokenizer.pad_token_id
        return int(pad if pad is not None else self.eos if self.eos is not None else 0)

    def prompt(self, prompt: Prompt, room: int) -> list[int]:
        """Tokens of a prompt, cut from the left to `room` of them; the beginning-of-text token stays.

        Raises
        ------
        ValueError
            If there are none.
        """
        if isinstance(prompt, str):
            ids = self._plain(prompt)
        else:
            chat = self.tokenizer.apply_chat_template(
                list(prompt), add_generation_prompt=True, tokenize=False
            )
            ids = self._plain(chat)
        if self.bos is not None and ids[:1] != [self.bos]:
            ids = [self.bos, *ids]
        if not ids:
            raise ValueError(
                "a prompt is empty, and the tokenizer begins no text by itself: the first token of a "
                "response would depend on nothing. Give it at least one character."
            )
        if len(ids) > room:
            head = ids[:1] if self.bos is not None and room > 1 else []
            ids = head + ids[len(ids) - (room - len(head)) :]
        return ids

    def response(self, response: str) -> tuple[list[int], bool]:
        """Tokens of a response, and whether it had to be cut.

        Raises
        ------
        ValueError
            If there are none.
        """
        ids = self._plain(response) + ([] if self.eos is None else [self.eos])
        if not ids:
            raise ValueError(
                "a response is empty, and the tokenizer has no end-of-text token to stand for it."
            )
        return ids[: self.max_response], len(ids) > self.max_response

    def encode(self, prompts: Sequence[Prompt], responses: Sequence[Sequence[str]]) -> TokenLists:
        """Tokens of checked lists; one warning for all responses that were cut."""
        heads, tails, n_cut = [], [], 0
        for prompt, texts in zip(prompts, responses, strict=True):
            encoded = [self.response(text) for text in texts]
            n_cut += sum(cut for _, cut in encoded)
            tails += [ids for ids, _ in encoded]
            # Of one list all responses see the same prompt, or their probabilities could not be compared.
            longest = max(len(ids) for ids, _ in encoded)
            heads.append(self.prompt(prompt, self.limit - longest))
        if n_cut:
            warnings.warn(
                f"{n_cut} of {len(tails)} responses were cut to {self.max_response} tokens, without their "
                "end: raise max_response_length, or leave them out.",
                UserWarning,
                stacklevel=4,
            )
        offsets = np.cumsum([0, *(len(texts) for texts in responses)], dtype=np.int64)
        return TokenLists(heads, tails, offsets)

    def _plain(self, text: str) -> list[int]:
        # Tokenizers warn of texts beyond their limit, which are cut here.
        ids: list[int] = self.tokenizer(text, add_special_tokens=False, verbose=False).input_ids
        return ids


def length_limit(config: Any, tokenizer: Any, asked: int | None, n_tokens: int) -> int:
    """Tokens that a prompt and its response may have together, beside the prompt vectors.

    Raises
    ------
    ValueError
        If more is asked than the model can hold, or nothing is left.
    """
    known = [getattr(config, name, None) for name in ("max_position_embeddings", "n_positions")]
    model = min((limit for limit in known if isinstance(limit, int) and limit > 0), default=None)
    if asked is not None and model is not None and asked > model:
        raise ValueError(f"max_length={asked} is more than the model's {model} positions.")
    said = tokenizer.model_max_length if tokenizer.model_max_length < NO_LIMIT else DEFAULT_LENGTH
    limit = asked or min(model or NO_LIMIT, said)
    if limit - n_tokens < 2:
        raise ValueError(
            f"{limit} positions less {n_tokens} prompt vectors leave no room for a prompt and a response: "
            "lower n_tokens or raise max_length."
        )
    return limit - n_tokens
