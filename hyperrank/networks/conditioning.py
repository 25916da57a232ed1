"""How weights reach a layer: the named choices of conditioning."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["CONDITIONINGS", "ConditionedLinear", "SteadyLinear", "WeightEmbedding", "per_row"]

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


#: The named choices. "none" ignores the weights: an ordinary network, for baselines.
CONDITIONINGS = ("concat", "film", "hypernetwork", "none")


class WeightEmbedding(nn.Module):
    """Weights on the simplex to a condition vector, by a small MLP shared by all conditioned layers.

    Parameters
    ----------
    n_objectives : int
        Number of objectives m.
    width : int
        Size of the condition vector.
    n_more : int, default 0
        Further numbers that stand behind the weights, centred and scaled by whoever gives them.
    """

    def __init__(self, n_objectives: int, width: int, n_more: int = 0) -> None:
        super().__init__()
        self.n_objectives = n_objectives
        self.inner = SteadyLinear(n_objectives + n_more, width)
        self.outer = SteadyLinear(width, width)

    def forward(self, weights: Tensor) -> Tensor:
        """Condition of shape (..., width) for weights of shape (..., m + n_more)."""
        # Centred and scaled so that corners are as far from 0 for two objectives as for eight.
        centred = self.n_objectives * weights[..., : self.n_objectives] - 1.0
        more = weights[..., self.n_objectives :]
        if more.shape[-1]:
            centred = torch.cat([centred, more], dim=-1)
        return torch.nn.functional.silu(self.outer(torch.nn.functional.silu(self.inner(centred))))


class ConditionedLinear(nn.Module):
    r"""A linear layer whose output depends on weights, its large product shared by all of them.

    With h the input, c the condition and A h + a the shared part,

    - ``"concat"``: :math:`A h + a + B c`, a layer on the concatenation of h and c (COSMOS);
    - ``"film"``: :math:`(1 + G c) \odot (A h + a) + B c` (Perez et al., AAAI 2018);
    - ``"hypernetwork"``: :math:`A h + a + U (D c \odot V h) + B c`, a layer whose matrix moves with the
      weights within a low-rank family;
    - ``"none"``: :math:`A h + a`.

    The weight-dependent parts start at zero: at first every trade-off is the same network.

    Parameters
    ----------
    n_in, n_out, n_condition : int
        Sizes of h, of the output and of c.
    kind : {"concat", "film", "hypernetwork", "none"}
        The conditioning.
    rank : int, default 16
        Rank of the family of ``"hypernetwork"``.
    """

    def __init__(self, n_in: int, n_out: int, n_condition: int, kind: str, rank: int = 16) -> None:
        super().__init__()
        if kind not in CONDITIONINGS:
            raise ValueError(f"conditioning must be one of {CONDITIONINGS}; got {kind!r}.")
        self.kind = kind
        self.shared = SteadyLinear(n_in, n_out)
        if kind != "none":
            self.shift = _zero_linear(n_condition, n_out)
        if kind == "film":
            self.gain = _zero_linear(n_condition, n_out)
        if kind == "hypernetwork":
            rank = min(rank, n_in, n_out)
            self.down = SteadyLinear(n_in, rank, bias=False)
            self.diagonal = _zero_linear(n_condition, rank)
            self.up = SteadyLinear(rank, n_out, bias=False)

    def forward(self, hidden: Tensor, condition: Tensor, index: Tensor | None) -> Tensor:
        """Output of shape (n, k, n_out).

        Parameters
        ----------
        hidden : Tensor of shape (n, n_in) or (n, k, n_in)
            Shared by all weights, or one per weight.
        condition : Tensor of shape (lists, k, n_condition)
            The conditions of each list; one list for conditions that all rows share.
        index : Tensor of shape (n,) or None
            The list of each row; None where all rows share the conditions.
        """
        return self.moved(hidden, self.moves(condition), index)

    def moves(self, condition: Tensor) -> tuple[Tensor, ...]:
        """What the weights do to the layer: by kind, shift, gain or diagonal of shape (lists, k, width)."""
        if self.kind == "none":
            return (condition[..., :0],)
        if self.kind == "film":
            return self.shift(condition), self.gain(condition)
        if self.kind == "hypernetwork":
            return self.shift(condition), self.diagonal(condition)
        return (self.shift(condition),)

    def folded(self, moves: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """Weight and bias of the plain linear layer that this one is, for moves of shape (width,)."""
        weight, bias = self.shared.weight, self.shared.bias
        if self.kind == "none":
            return weight, bias
        if self.kind == "film":
            gain = 1 + moves[1]
            return gain[:, None] * weight, gain * bias + moves[0]
        if self.kind == "hypernetwork":
            weight = weight + self.up.weight @ (moves[1][:, None] * self.down.weight)
        return weight, bias + moves[0]

    def moved(self, hidden: Tensor, moves: tuple[Tensor, ...], index: Tensor | None) -> Tensor:
        """Output of shape (n, k, n_out), for what `moves` gave."""
        shared = self.shared(hidden)
        if hidden.ndim == 2:
            shared = shared[:, None]
        if self.kind == "none":
            return shared.expand(-1, moves[0].shape[1], -1)
        shift = per_row(moves[0], index)
        if self.kind == "film":
            return torch.addcmul(shared + shift, shared, per_row(moves[1], index))
        if self.kind == "hypernetwork":
            low = self.down(hidden)
            low = low[:, None] if hidden.ndim == 2 else low
            return shared + self.up(low * per_row(moves[1], index)) + shift
        return shared + shift


def per_row(values: Tensor, index: Tensor | None) -> Tensor:
    """Values of shape (lists, k, width) for each row of its list, or broadcast over all rows.

    The gradient of ``values[index]`` is summed by several threads in any order: another result each time.
    """
    return values if index is None else values.index_select(0, index)


def _zero_linear(n_in: int, n_out: int) -> SteadyLinear:
    """A linear layer that starts as zero."""
    layer = SteadyLinear(n_in, n_out)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
