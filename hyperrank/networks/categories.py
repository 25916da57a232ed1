"""Embeddings of categorical features."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hyperrank.networks.random import Dropout

#: Widths of embeddings: so many times the fourth root of the number of categories, up to the most.
WIDTH, MAX_WIDTH = 2.0, 16
#: Share of the categories that training takes for unknown ones, so that these are learnt.
UNKNOWN_SHARE = 0.1


class CategoryEmbedding(nn.Module):
    """Codes of categories in the last columns, replaced by vectors that are learnt.

    The first vector of each feature stands for missing and unknown categories. All start at zero, so that
    a category of which little is learnt stays near the others. `sizes` are numbers of categories.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        self.tables = nn.ParameterList(
            torch.zeros(size + 1, min(MAX_WIDTH, math.ceil(WIDTH * max(size, 1) ** 0.25))) for size in sizes
        )
        self.n_out = sum(table.shape[1] for table in self.tables)
        self.dropout = Dropout(UNKNOWN_SHARE)

    def forward(self, features: Tensor) -> Tensor:
        """Features of shape (n, d) for plain ones and codes, one column each; codes begin at 1."""
        n_plain = features.shape[1] - len(self.tables)
        codes = features[:, n_plain:]
        if self.training:
            codes = codes * (self.dropout(torch.ones_like(codes)) > 0)
        vectors = [table[row_of(codes[:, j], table)] for j, table in enumerate(self.tables)]
        return torch.cat([features[:, :n_plain], *vectors], dim=1)


def row_of(codes: Tensor, table: Tensor) -> Tensor:
    """The row of each code in a table; that of unknown ones where it has no such row."""
    return torch.where((codes > 0) & (codes < len(table)), codes, torch.zeros_like(codes)).long()
