"""Text from a policy, each prompt under weights of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from hyperrank.alignment.batches import pad_left, token_batches
from hyperrank.alignment.extras import required
from hyperrank.alignment.policy import Policy
from hyperrank.alignment.tokens import Encoder, TokenLists

__all__ = ["Decoding", "generate_texts"]


@dataclass(frozen=True)
class Decoding:
    """How text is made of probabilities.

    Attributes
    ----------
    max_new_tokens : int
        Tokens at most.
    do_sample : bool
        Whether tokens are drawn; else the likeliest is taken.
    temperature, top_p : float
        Of drawing.
    """

    max_new_tokens: int = 128
    do_sample: bool = False
    temperature: float = 1.0
    top_p: float = 1.0

    def check(self) -> None:
        """Refuse what gives no text.

        Raises
        ------
        ValueError
            With the setting and what it may be.
        """
        if self.max_new_tokens < 1:
            raise ValueError(f"max_new_tokens must be at least 1; got {self.max_new_tokens}.")
        if not self.temperature > 0:
            raise ValueError(
                f"temperature must be above 0; got {self.temperature}. For the likeliest: do_sample=False."
            )
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must lie above 0 and be at most 1; got {self.top_p}.")


def generate_texts(
    policy: Policy,
    encoder: Encoder,
    prompts: Sequence[list[int]],
    weights: NDArray[np.float64],
    decoding: Decoding,
    batch_tokens: int,
) -> list[str]:
    """A text for each prompt under its weights.

    Parameters
    ----------
    policy : Policy
    encoder : Encoder
    prompts : sequence of n lists of int
        Tokens.
    weights : ndarray of shape (n, m)
    decoding : Decoding
    batch_tokens : int
        Tokens of prompts and texts, filled up, that are held at a time.

    Returns
    -------
    list of n str
    """
    settings = required("transformers").GenerationConfig(
        max_new_tokens=decoding.max_new_tokens,
        do_sample=decoding.do_sample,
        pad_token_id=encoder.pad,
        eos_token_id=encoder.eos,
        bos_token_id=encoder.bos,
        **({"temperature": decoding.temperature, "top_p": decoding.top_p} if decoding.do_sample else {}),
        **({"top_k": 0} if decoding.do_sample else {}),
    )
    # A response of one token stands where the text will come; it is cut off again.
    held = TokenLists(list(prompts), [[encoder.pad]] * len(prompts), np.arange(len(prompts) + 1))
    texts = [""] * len(prompts)
    for rows in token_batches(held.lengths + decoding.max_new_tokens, held.offsets, batch_tokens):
        batch = pad_left(held, rows, encoder.pad).without_response().to(policy.model.device)
        with torch.no_grad(), policy.model.autocast():
            mixes = torch.from_numpy(weights[rows]).to(policy.model.device, torch.float32)
            inputs = policy.model.embedded(batch, policy.prompt(mixes))
            inputs.pop("position_ids", None)  # transformers counts them itself, and goes on from there
            made = policy.model.model.generate(**inputs, generation_config=settings)
        for row, ids in zip(rows, made.tolist(), strict=True):
            texts[row] = encoder.tokenizer.decode(ids, skip_special_tokens=True)
    return texts
