"""Multi-layer perceptron conditioned on the weights of the objectives."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from hyperrank._environment import Dropout, NewTensors
from hyperrank.networks.conditioning import (
    BatchInvariantLinear,
    Conditioning,
    WeightEmbedding,
    conditioning_name,
    get_conditioning,
    per_row,
    zero_linear,
)
from hyperrank.networks.feature_transforms import CategoryEmbedding


class ConditionedScorer(nn.Module):
    """Multi-layer perceptron that maps features and weights to a score per trade-off.

    All hidden layers but the last are the trunk: they see the features alone and are computed once,
    however many weights are asked for. The last hidden layer and the output are conditioned on the
    weights, the output by a head whose vector depends on them.

    The units of the last hidden layer may be split among members of a packed ensemble: each is trained to
    score by itself, in training mode, and the score is their mean.

    Parameters
    ----------
    n_features : int
        Number of features d.
    n_objectives : int
        Number of objectives m.
    hidden : sequence of int, default (128, 128)
        Widths of the hidden layers, the last of them conditioned.
    conditioning : {"film", "concat", "hypernetwork", "none"} or class, default "film"
        How the weights reach the last hidden layer: a name, one of `register_conditioning`, or a subclass of
        `ConditionedLinear`.
    dropout : float, default 0
        Share of hidden units dropped in training, the same for all weights of a document.
    n_condition : int, default 32
        Size of the condition vector.
    n_more : int, default 0
        Further numbers that condition the network, such as a temperature; they stand behind
        the weights in the same tensor.
    categories : sequence of int, default ()
        Number of categories of each categorical feature, whose codes stand behind the `n_features` others.
    n_members : int, default 1
        Members that the last hidden layer is split among evenly.

    Examples
    --------
    >>> import torch
    >>> network = ConditionedScorer(n_features=5, n_objectives=2, hidden=(8, 8))
    >>> network(torch.zeros(3, 5), torch.tensor([[1.0, 0.0], [0.0, 1.0]])).shape
    torch.Size([3, 2])
    """

    #: Parameters that shift all scores of a list alike, so that no listwise loss depends on them.
    constants = ("head.bias",)

    def __init__(
        self,
        n_features: int,
        n_objectives: int,
        *,
        hidden: Sequence[int] = (128, 128),
        conditioning: str | Conditioning = "film",
        dropout: float = 0.0,
        n_condition: int = 32,
        n_more: int = 0,
        categories: Sequence[int] = (),
        n_members: int = 1,
    ) -> None:
        super().__init__()
        conditioning = conditioning_name(conditioning)
        #: The arguments that make the same network again, before its parameters.
        self.options = {
            "n_features": n_features,
            "n_objectives": n_objectives,
            "hidden": list(hidden),
            "conditioning": conditioning,
            "dropout": dropout,
            "n_condition": n_condition,
            "n_more": n_more,
            "categories": list(categories),
            "n_members": n_members,
        }
        self.n_members = n_members
        self.categories = CategoryEmbedding(categories)
        self.widths = widths = [n_features + self.categories.n_out, *hidden]
        self.dropout = Dropout(dropout)
        self.trunk = nn.ModuleList(BatchInvariantLinear(n_in, n_out) for n_in, n_out in pairwise(widths[:-1]))
        self.embedding = WeightEmbedding(n_objectives, n_condition, n_more)
        self.conditioned = get_conditioning(conditioning)(widths[-2], widths[-1], n_condition)
        self.head = BatchInvariantLinear(widths[-1], 1)
        self.conditioning = conditioning
        if conditioning == "none":
            self.embedding.requires_grad_(False)  # nothing reads it
        else:
            self.head_shift = zero_linear(n_condition, widths[-1])

    @cached_property
    def condition_parameters(self) -> list[nn.Parameter]:
        """The parameters that `modulation` depends on."""
        parts = [
            self.embedding,
            self.conditioned,
            *([] if self.conditioning == "none" else [self.head_shift]),
        ]
        return [parameter for part in parts for parameter in part.parameters()]

    def forward(self, features: Tensor, weights: Tensor, index: Tensor | None = None) -> Tensor:
        """Scores of all rows under k weights, shape (n, k).

        Parameters
        ----------
        features : Tensor of shape (n, d)
            Transformed features, codes of categories last.
        weights : Tensor of shape (k, m + n_more) or (q, k, m + n_more)
            Weights for all rows, or for each list, and what else conditions the network.
        index : Tensor of shape (n,), int64, optional
            The list of each row; needed where each list has its own weights.

        Returns
        -------
        Tensor of shape (n, k)
            The scores; in training mode of shape (n, k * n_members), of each member under the first weights,
            then under the next.

        Raises
        ------
        ValueError
            If each list has its own weights, but `index` is not given.
        """
        if weights.ndim == 2:
            weights, index = weights[None], None
        elif index is None:
            raise ValueError(f"weights of shape {tuple(weights.shape)} need index, the list of each row.")
        return self.modulate(features, self.modulation(weights), index)

    def modulation(self, weights: Tensor) -> tuple[Tensor, ...]:
        """What the conditioned layers compute of weights.

        Parameters
        ----------
        weights : Tensor of shape (..., k, m)
            The trade-offs.

        Returns
        -------
        tuple of Tensor of shape (..., k, width)
            Of the last hidden layer, and at the end of the output.
        """
        if self.conditioning == "none":
            return self.conditioned.modulation(weights)
        condition = self.embedding(weights)
        return (*self.conditioned.modulation(condition), self.head_shift(condition))

    def modulate(
        self, features: Tensor, modulation: tuple[Tensor, ...], index: Tensor | None = None
    ) -> Tensor:
        """Scores of all rows for what `modulation` gave.

        Parameters
        ----------
        features : Tensor of shape (n, d)
            Transformed features, codes of categories last.
        modulation : tuple of Tensor
            Of k weights for all rows, or for each list.
        index : Tensor of shape (n,), int64, optional
            The list of each row; needed where each list has its own.

        Returns
        -------
        Tensor of shape (n, k)
            The scores; in training mode as of `forward`.
        """
        hidden = self.categories(features) if self.options["categories"] else features
        for layer in self.trunk:
            hidden = self._drop(torch.nn.functional.silu(layer(hidden)))
        of_hidden, of_head = self._parted(modulation)
        hidden = torch.nn.functional.silu(self.conditioned(hidden, of_hidden, index))
        hidden = self._drop_shared(hidden)
        shift = None if of_head is None else per_row(of_head, index)
        if self.training and self.n_members > 1:
            return self._by_member(hidden, 0.0 if shift is None else shift)
        scores = self.head(hidden)[..., 0]
        if shift is not None:
            scores = scores + (hidden * shift).sum(dim=-1)
        return scores / self.n_members if self.n_members > 1 else scores

    def _parted(self, modulation: tuple[Tensor, ...]) -> tuple[tuple[Tensor, ...], Tensor | None]:
        """What `modulation` gave for the last hidden layer, and for the head where it is conditioned."""
        return (modulation, None) if self.conditioning == "none" else (modulation[:-1], modulation[-1])

    def _by_member(self, hidden: Tensor, shift: Tensor | float) -> Tensor:
        """Scores of each member, shape (n, k * n_members), by its own units alone."""
        terms = (hidden * (self.head.weight[0] + shift)).unflatten(-1, (self.n_members, -1))
        return terms.sum(dim=-1).flatten(1) + self.head.bias / self.n_members

    @torch.no_grad()
    def fold(self, weights: Tensor) -> ConditionedScorer:
        """The unconditioned network that this one is under weights of shape (m,).

        Parameters
        ----------
        weights : Tensor of shape (m,)
            The trade-off.

        Returns
        -------
        ConditionedScorer
            Of ``conditioning="none"`` and one objective, on the same device, ready to score.
        """
        device, exact = weights.device, copy.deepcopy(self).cpu().double()
        modulation = tuple(part[0] for part in exact.modulation(weights.cpu().double()[None]))
        of_hidden, of_head = self._parted(modulation)
        shape: dict[str, Any] = {name: self.options[name] for name in ("n_features", "hidden", "categories")}
        with NewTensors(torch.Generator()):
            network = ConditionedScorer(n_objectives=1, conditioning="none", n_condition=1, **shape)
        network = network.double()
        for parameter in network.embedding.parameters():
            parameter.zero_()
        network.categories.load_state_dict(exact.categories.state_dict())
        network.trunk.load_state_dict(exact.trunk.state_dict())
        weight, bias = exact.conditioned.fold(of_hidden)
        network.conditioned.shared.load_state_dict({"weight": weight, "bias": bias})
        head = {"weight": exact.head.weight + (0 if of_head is None else of_head), "bias": exact.head.bias}
        network.head.load_state_dict({name: value / self.n_members for name, value in head.items()})
        return network.float().to(device).eval()

    def _drop(self, hidden: Tensor) -> Tensor:
        dropped: Tensor = self.dropout(hidden) if self.training else hidden
        return dropped

    def _drop_shared(self, hidden: Tensor) -> Tensor:
        """Dropout with one mask for all weights of a document, so that trade-offs stay comparable."""
        if not self.training or self.dropout.p == 0:
            return hidden
        return hidden * self._drop(torch.ones_like(hidden[:, :1]))
