"""Hyper Prompt Tuning: weights of the objectives as prompt vectors before a transformer's sequence."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["HyperPrompt"]


class HyperPrompt(nn.Module):
    r"""Weights on the simplex to a few prompt vectors, by a small MLP.

    .. math:: p_i(w) = b_i + (U \, silu(V (m w - 1) + v))_i, \qquad i = 1 \dots k

    U starts at zero: at first all trade-offs see the same prompt b, and the transformer behind it, of which
    nothing is changed, is steered by what training makes of U. Each row of a batch may have its own weights.

    Parameters
    ----------
    n_objectives : int
        Number of objectives m.
    n_tokens : int
        Number of prompt vectors k.
    hidden_size : int
        Width d of the transformer's embeddings.
    width : int, default 64
        Hidden units of the MLP.
    embeddings : Tensor of shape (k, d), optional
        What the prompt starts from, such as embeddings of real tokens; small random vectors by default.

    Raises
    ------
    ValueError
        If `embeddings` have another shape.

    References
    ----------
    Ren et al.: HyperDPO, arXiv 2410.08316, section on Hyper Prompt Tuning; prompt tuning itself: Lester et
    al., EMNLP 2021.

    Examples
    --------
    >>> import torch
    >>> prompt = HyperPrompt(n_objectives=2, n_tokens=4, hidden_size=8)
    >>> prompt(torch.tensor([[0.3, 0.7], [1.0, 0.0], [0.0, 1.0]])).shape
    torch.Size([3, 4, 8])
    """

    def __init__(
        self,
        n_objectives: int,
        n_tokens: int,
        hidden_size: int,
        *,
        width: int = 64,
        embeddings: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.n_objectives, self.n_tokens, self.hidden_size = n_objectives, n_tokens, hidden_size
        if embeddings is None:
            embeddings = 0.02 * torch.randn(n_tokens, hidden_size)
        if tuple(embeddings.shape) != (n_tokens, hidden_size):
            raise ValueError(
                f"embeddings must have shape (n_tokens, hidden_size) = ({n_tokens}, {hidden_size}); "
                f"got {tuple(embeddings.shape)}."
            )
        self.base = nn.Parameter(embeddings.detach().clone().float())
        self.inner = nn.Linear(n_objectives, width)
        self.outer = nn.Linear(width, n_tokens * hidden_size)
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    def forward(self, weights: Tensor) -> Tensor:
        """Prompt vectors for weights.

        Parameters
        ----------
        weights : Tensor of shape (..., m)
            Weights on the simplex.

        Returns
        -------
        Tensor of shape (..., k, d)
            k prompt vectors for each.

        Raises
        ------
        ValueError
            If the weights are for another number of objectives.
        """
        if weights.shape[-1] != self.n_objectives:
            raise ValueError(
                f"weights must have {self.n_objectives} columns, one per objective; "
                f"got shape {tuple(weights.shape)}."
            )
        # Centred and scaled so that corners are as far from 0 for two objectives as for eight.
        centred = self.n_objectives * weights.to(self.base.dtype) - 1.0
        shift = self.outer(nn.functional.silu(self.inner(centred)))
        return self.base + shift.unflatten(-1, (self.n_tokens, self.hidden_size))
