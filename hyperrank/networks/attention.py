"""Sequences of unequal length in one tensor, and attention within each, without padding."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

__all__ = ["AttentionBlock", "PackedSequences"]


@dataclass(frozen=True)
class PackedSequences:
    """How sequences lie in a packed tensor: those of equal length beside each other.

    Attributes
    ----------
    groups : tuple of (int, int)
        For each length that occurs: how many sequences have it, and the length.
    """

    groups: tuple[tuple[int, int], ...]

    def within(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Attention of each token over those of its own sequence.

        One call for each length: sequences of one length are a batch without padding, however many there
        are, and memory grows with the length of the longest, not with its square.

        Parameters
        ----------
        queries, keys, values : Tensor of shape (tokens, heads, width)

        Returns
        -------
        Tensor of the same shape
        """
        parts, start = [], 0
        for count, length in self.groups:
            stop = start + count * length
            pieces = (
                tensor[start:stop].unflatten(0, (count, length)).transpose(1, 2)
                for tensor in (queries, keys, values)
            )
            seen = nn.functional.scaled_dot_product_attention(*pieces)
            parts.append(seen.transpose(1, 2).flatten(0, 1))
            start = stop
        return torch.cat(parts)


class AttentionBlock(nn.Module):
    """One layer of a transformer on packed sequences: attention, then two linear layers, each added.

    Parameters
    ----------
    width : int
        Of the tokens.
    n_heads : int
        Divides the width.
    dropout : float, default 0
        Share of what either half adds that is dropped in training.

    References
    ----------
    Vaswani et al., NeurIPS 2017; layers normalised before, not after: Xiong et al., ICML 2020.
    """

    def __init__(self, width: int, n_heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.norm = nn.LayerNorm(width)
        self.to_attention = nn.Linear(width, 3 * width)
        self.from_attention = nn.Linear(width, width)
        self.norm_inner = nn.LayerNorm(width)
        self.inner = nn.Linear(width, 2 * width)
        self.outer = nn.Linear(2 * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor, sequences: PackedSequences) -> Tensor:
        """Tokens of shape (tokens, width) after the layer."""
        heads = self.to_attention(self.norm(tokens)).unflatten(-1, (3, self.n_heads, -1))
        seen = sequences.within(*heads.unbind(dim=1)).flatten(1)
        tokens = tokens + self.dropout(self.from_attention(seen))
        inner = nn.functional.silu(self.inner(self.norm_inner(tokens)))
        return tokens + self.dropout(self.outer(inner))
