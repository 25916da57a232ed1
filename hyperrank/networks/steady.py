"""Linear layers that give a row the same bits wherever it stands."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["SteadyLinear"]

#: Outputs from which on kernels were seen to treat all rows of a tile alike. With 2 to 11, those for AVX2 on
#: AMD's processors round the last rows of a panel otherwise.
STEADY_WIDTH = 16


class SteadyLinear(nn.Linear):
    """A linear layer that, when it scores, computes a few outputs as some of more.

    Nothing changes in training, nor in its parameters. One output alone is a product of another kind, which
    is steady anyway.

    Examples
    --------
    >>> import torch
    >>> layer = SteadyLinear(3, 5).eval()
    >>> with torch.no_grad():
    ...     layer(torch.ones(2, 3)).shape
    torch.Size([2, 5])
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - its name in torch
        """Output of shape (..., n_out) for input of shape (..., n_in)."""
        missing = STEADY_WIDTH - self.out_features
        if torch.is_grad_enabled() or self.out_features == 1 or missing <= 0:
            return super().forward(input)
        weight = functional.pad(self.weight, (0, 0, 0, missing))
        bias = None if self.bias is None else functional.pad(self.bias, (0, missing))
        return functional.linear(input, weight, bias)[..., : self.out_features]
