"""What a prompt starts from: embeddings of real tokens."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["starting_vectors"]

#: What the model reads as its first instruction, before anything is trained.
DEFAULT_TEXT = "Answer what follows as well as you can. "


def starting_vectors(
    tokenizer: Any, embedding: nn.Embedding, n_tokens: int, text: str | None = None
) -> Tensor:
    """Embeddings of a text's first tokens, the text repeated until there are enough, shape (k, d).

    Raises
    ------
    ValueError
        If the text has no tokens.
    """
    text = DEFAULT_TEXT if text is None else text
    ids = tokenizer(text, add_special_tokens=False).input_ids
    if not ids:
        raise ValueError(f"prompt_text={text!r} has no tokens; wanted a text of some words.")
    ids = (ids * (n_tokens // len(ids) + 1))[:n_tokens]
    # By a call: some models scale what the table holds.
    with torch.no_grad():
        return embedding(torch.tensor(ids, device=embedding.weight.device)).float()
