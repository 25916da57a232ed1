"""Passes through the model: rows of like length together, as many as a budget of tokens holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hyperrank.alignment.tokens import TokenLists

__all__ = ["TokenBatch", "pad_left", "rows_of", "token_batches"]


@dataclass(frozen=True)
class TokenBatch:
    """Rows of tokens, filled up on the left.

    Attributes
    ----------
    ids : Tensor of shape (B, T), int64
        Tokens of prompt and response; any token where filled up.
    n_tokens : Tensor of shape (B,), int64
        Real tokens of each row: its last ones.
    n_response : Tensor of shape (B,), int64
        Tokens of its response: the last of them.
    longest_response : int
        The greatest of these.
    """

    ids: Tensor
    n_tokens: Tensor
    n_response: Tensor
    longest_response: int

    @property
    def in_response(self) -> Tensor:
        """Which of the last `longest_response` tokens belong to a response, shape (B, R), bool."""
        place = torch.arange(self.longest_response, device=self.ids.device)
        return place >= self.longest_response - self.n_response[:, None]

    def without_response(self) -> TokenBatch:
        """The prompts alone, where all responses have the same length."""
        n = self.longest_response
        return TokenBatch(self.ids[:, :-n], self.n_tokens - n, self.n_response * 0, 0)

    def to(self, device: torch.device) -> TokenBatch:
        """The same on a device."""
        ids, n_tokens, n_response = (v.to(device) for v in (self.ids, self.n_tokens, self.n_response))
        return TokenBatch(ids, n_tokens, n_response, self.longest_response)


def token_batches(
    lengths: NDArray[np.int64], offsets: NDArray[np.int64], budget: int
) -> list[NDArray[np.int64]]:
    """Lists that go through the model together: whole, of like length, within a budget of padded tokens.

    Parameters
    ----------
    lengths : ndarray of shape (n,)
        Tokens of each row.
    offsets : ndarray of shape (q + 1,)
        Where each list's rows begin.
    budget : int
        Rows times the longest of them, at most; a list that is larger alone goes alone.

    Returns
    -------
    list of ndarray of int64
        Numbers of the lists; each list is in one of them.

    Examples
    --------
    >>> import numpy as np
    >>> [batch.tolist() for batch in token_batches(np.array([9, 2, 3, 8]), np.arange(5), budget=18)]
    [[0, 3], [2, 1]]
    """
    n_rows = np.diff(offsets)
    longest = np.maximum.reduceat(lengths, offsets[:-1])
    batches: list[NDArray[np.int64]] = []
    first = rows = 0
    order = np.argsort(-longest, kind="stable")
    for place, number in enumerate(order):
        # The first of a batch is its longest.
        if place > first and (rows + n_rows[number]) * longest[order[first]] > budget:
            batches.append(order[first:place])
            first, rows = place, 0
        rows += int(n_rows[number])
    batches.append(order[first:])
    return batches


def rows_of(lists: NDArray[np.int64], offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows of some lists, list by list.

    Examples
    --------
    >>> import numpy as np
    >>> rows_of(np.array([1, 0]), np.array([0, 2, 5])).tolist()
    [2, 3, 4, 0, 1]
    """
    return np.concatenate([np.arange(offsets[number], offsets[number + 1]) for number in lists])


def pad_left(tokens: TokenLists, rows: Sequence[int] | NDArray[np.int64], pad: int) -> TokenBatch:
    """Some responses, with their prompts before them, as a batch.

    Examples
    --------
    >>> import numpy as np
    >>> tokens = TokenLists([[5], [6, 7]], [[1], [2, 3]], np.array([0, 1, 2]))
    >>> batch = pad_left(tokens, [0, 1], pad=0)
    >>> batch.ids.tolist(), batch.in_response.tolist()
    ([[0, 0, 5, 1], [6, 7, 2, 3]], [[False, True], [True, True]])
    """
    owner = tokens.list_of_row
    sequences = [tokens.prompts[owner[row]] + tokens.responses[row] for row in rows]
    n_tokens = torch.tensor([len(ids) for ids in sequences])
    n_response = torch.tensor([len(tokens.responses[row]) for row in rows])
    ids = torch.full((len(sequences), int(n_tokens.max())), pad)
    for place, sequence in enumerate(sequences):
        ids[place, ids.shape[1] - len(sequence) :] = torch.tensor(sequence)
    return TokenBatch(ids, n_tokens, n_response, int(n_response.max()))
