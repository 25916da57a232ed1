"""The weight-conditioned scorer: a trunk that knows the document, and layers that know the trade-off."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from hyperrank.networks.conditioning import ConditionedLinear, SteadyLinear, WeightEmbedding, per_row
from hyperrank.networks.random import Dropout, NewTensors

__all__ = ["ConditionedScorer"]


class ConditionedScorer(nn.Module):
    """A multi-layer perceptron from features and weights to one score per trade-off.

    All hidden layers but the last are the trunk: they see the features alone and are computed once,
    however many weights are asked for. The last hidden layer and the output are conditioned on the
    weights, the output by a head whose vector moves with them.

    Parameters
    ----------
    n_features : int
        Number of features d.
    n_objectives : int
        Number of objectives m.
    hidden : sequence of int, default (128, 128)
        Widths of the hidden layers, the last of them conditioned.
    conditioning : {"film", "concat", "hypernetwork", "none"}, default "film"
        How the weights reach the conditioned layers.
    dropout : float, default 0
        Share of hidden units dropped in training, the same for all weights of a document.
    n_condition : int, default 32
        Size of the condition vector.
    n_more : int, default 0
        Numbers that condition the network beside the weights, such as a temperature; they stand behind
        the weights in the same tensor.

    Examples
    --------
    >>> import torch
    >>> network = ConditionedScorer(n_features=5, n_objectives=2, hidden=(8, 8))
    >>> network(torch.zeros(3, 5), torch.tensor([[1.0, 0.0], [0.0, 1.0]])).shape
    torch.Size([3, 2])
    """

    #: Parameters that move all scores of a list alike, of which no listwise loss sees anything.
    constants = ("head.bias",)

    def __init__(
        self,
        n_features: int,
        n_objectives: int,
        *,
        hidden: Sequence[int] = (128, 128),
        conditioning: str = "film",
        dropout: float = 0.0,
        n_condition: int = 32,
        n_more: int = 0,
    ) -> None:
        super().__init__()
        #: The arguments that make the same network again, before its parameters.
        self.options = {
            "n_features": n_features,
            "n_objectives": n_objectives,
            "hidden": list(hidden),
            "conditioning": conditioning,
            "dropout": dropout,
            "n_condition": n_condition,
            "n_more": n_more,
        }
        widths = [n_features, *hidden]
        self.dropout = Dropout(dropout)
        self.trunk = nn.ModuleList(SteadyLinear(n_in, n_out) for n_in, n_out in pairwise(widths[:-1]))
        self.embedding = WeightEmbedding(n_objectives, n_condition, n_more)
        self.conditioned = ConditionedLinear(widths[-2], widths[-1], n_condition, conditioning)
        self.head = SteadyLinear(widths[-1], 1)
        self.conditioning = conditioning
        if conditioning == "none":
            self.embedding.requires_grad_(False)  # nothing reads it
        else:
            self.head_shift = SteadyLinear(n_condition, widths[-1])
            nn.init.zeros_(self.head_shift.weight)
            nn.init.zeros_(self.head_shift.bias)

    def forward(self, features: Tensor, weights: Tensor, index: Tensor | None = None) -> Tensor:
        """Scores of all rows under k weights, shape (n, k).

        Parameters
        ----------
        features : Tensor of shape (n, d)
            Transformed features.
        weights : Tensor of shape (k, m + n_more) or (q, k, m + n_more)
            Weights for all rows, or for each list, and what conditions the network beside them.
        index : Tensor of shape (n,), int64, optional
            The list of each row; needed where each list has its own weights.

        Returns
        -------
        Tensor of shape (n, k)
            The scores.

        Raises
        ------
        ValueError
            If each list has its own weights, but `index` is not given.
        """
        if weights.ndim == 2:
            weights, index = weights[None], None
        elif index is None:
            raise ValueError(f"weights of shape {tuple(weights.shape)} need index, the list of each row.")
        return self.moved(features, self.moves(weights), index)

    def moves(self, weights: Tensor) -> tuple[Tensor, ...]:
        """What weights do to the layers that know them.

        Parameters
        ----------
        weights : Tensor of shape (..., k, m)
            The trade-offs.

        Returns
        -------
        tuple of Tensor of shape (..., k, width)
            By kind of move.
        """
        if self.conditioning == "none":
            return (weights[..., :0],)
        condition = self.embedding(weights)
        return (*self.conditioned.moves(condition), self.head_shift(condition))

    def moved(self, features: Tensor, moves: tuple[Tensor, ...], index: Tensor | None = None) -> Tensor:
        """Scores of all rows for what `moves` gave.

        Parameters
        ----------
        features : Tensor of shape (n, d)
            Transformed features.
        moves : tuple of Tensor
            Of k weights for all rows, or for each list.
        index : Tensor of shape (n,), int64, optional
            The list of each row; needed where each list has its own.

        Returns
        -------
        Tensor of shape (n, k)
            The scores.
        """
        hidden = features
        for layer in self.trunk:
            hidden = self._drop(torch.nn.functional.silu(layer(hidden)))
        hidden = torch.nn.functional.silu(self.conditioned.moved(hidden, moves, index))
        hidden = self._drop_shared(hidden)
        scores = self.head(hidden)[..., 0]
        if self.conditioning == "none":
            return scores
        return scores + (hidden * per_row(moves[-1], index)).sum(dim=-1)

    @torch.no_grad()
    def folded(self, weights: Tensor) -> ConditionedScorer:
        """The plain network that this one is under weights of shape (m,), which then no longer matter.

        Parameters
        ----------
        weights : Tensor of shape (m,)
            The trade-off.

        Returns
        -------
        ConditionedScorer
            Of ``conditioning="none"`` and one objective, on the same device.
        """
        device, exact = weights.device, copy.deepcopy(self).cpu().double()
        moves = tuple(move[0] for move in exact.moves(weights.cpu().double()[None]))
        as_plain: dict[str, Any] = {"n_objectives": 1, "n_more": 0, "conditioning": "none", "n_condition": 1}
        with NewTensors(torch.Generator()):
            plain = ConditionedScorer(**{**self.options, **as_plain}).double()
        for parameter in plain.embedding.parameters():
            parameter.zero_()
        for layer, own in zip(plain.trunk, exact.trunk, strict=True):
            layer.load_state_dict(own.state_dict())
        weight, bias = exact.conditioned.folded(moves)
        plain.conditioned.shared.load_state_dict({"weight": weight, "bias": bias})
        vector = 0 if self.conditioning == "none" else moves[-1]
        plain.head.load_state_dict({"weight": exact.head.weight + vector, "bias": exact.head.bias})
        return plain.float().to(device).eval()

    def _drop(self, hidden: Tensor) -> Tensor:
        dropped: Tensor = self.dropout(hidden)
        return dropped

    def _drop_shared(self, hidden: Tensor) -> Tensor:
        """Dropout with one mask for all weights of a document, so that trade-offs stay comparable."""
        if not self.training or self.dropout.p == 0:
            return hidden
        return hidden * self._drop(torch.ones_like(hidden[:, :1]))
