"""Conditioning: linear layers whose output depends on the weights of the objectives."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

#: With a multiple of this many outputs kernels were seen to treat all rows of a panel alike: with 2 to 11, or
#: with 17, those for AVX2 on AMD's processors round the last rows otherwise.
WIDTH_STEP = 16
#: How far a layer may be from the linear one that it is folded into, in double precision.
FOLD_TOLERANCE = 1e-9


class BatchInvariantLinear(nn.Linear):
    """A linear layer that gives a row the same bits whatever the other rows, when it scores.

    Outputs are computed as some of a multiple of 16. Nothing changes in training, nor in its parameters. One
    output alone is a product of another kind, which does not depend on the batch anyway.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - its name in torch
        """Output of shape (..., n_out) for input of shape (..., n_in)."""
        missing = -self.out_features % WIDTH_STEP
        if missing == 0 or self.out_features == 1 or torch.is_grad_enabled():
            return super().forward(input)
        weight = functional.pad(self.weight, (0, 0, 0, missing))
        bias = None if self.bias is None else functional.pad(self.bias, (0, missing))
        return functional.linear(input, weight, bias)[..., : self.out_features]


class WeightEmbedding(nn.Module):
    """Weights on the simplex, and `n_more` further numbers, to a condition vector by a small MLP."""

    def __init__(self, n_objectives: int, width: int, n_more: int = 0) -> None:
        super().__init__()
        self.n_objectives = n_objectives
        self.inner = BatchInvariantLinear(n_objectives + n_more, width)
        self.outer = BatchInvariantLinear(width, width)

    def forward(self, weights: Tensor) -> Tensor:
        """Condition of shape (..., width) for weights of shape (..., m + n_more)."""
        # Centred and scaled so that corners are as far from 0 for two objectives as for eight.
        centred = self.n_objectives * weights[..., : self.n_objectives] - 1.0
        more = weights[..., self.n_objectives :]
        if more.shape[-1]:
            centred = torch.cat([centred, more], dim=-1)
        return torch.nn.functional.silu(self.outer(torch.nn.functional.silu(self.inner(centred))))


class ConditionedLinear(nn.Module):
    r"""Base class of linear layers conditioned on weights, with one large product for all trade-offs.

    With h the input, c the condition (an embedding of the weights) and A h + a the shared part. A subclass
    says by `modulation` what it computes of c, once for each trade-off, and by `modulate` what that does to
    the shared part. Layers that c enters should start at zero (`zero_linear`): then at first every trade-off
    is the same network. The result must be linear in h, so that `fold` can make a linear layer of it.

    Parameters
    ----------
    n_in, n_out, n_condition : int
        Sizes of h, of the output and of c.

    Examples
    --------
    `register_conditioning` shows a layer of one's own.

    >>> import torch
    >>> from hyperrank.networks.conditioning import FiLM
    >>> layer = FiLM(3, 4, 2)
    >>> layer(torch.ones(5, 3), layer.modulation(torch.ones(1, 2, 2)), None).shape
    torch.Size([5, 2, 4])
    """

    def __init__(self, n_in: int, n_out: int, n_condition: int) -> None:
        super().__init__()
        self.shared = BatchInvariantLinear(n_in, n_out)

    def modulation(self, condition: Tensor) -> tuple[Tensor, ...]:
        """What the layer computes of conditions, once for each trade-off.

        Parameters
        ----------
        condition : Tensor of shape (..., n_condition)

        Returns
        -------
        tuple of Tensor of shape (..., any width)
        """
        raise NotImplementedError

    def modulate(self, hidden: Tensor, shared: Tensor, modulation: tuple[Tensor, ...]) -> Tensor:
        """Apply what the weights do to the shared part.

        Parameters
        ----------
        hidden : Tensor of shape (n, 1, n_in) or (n, k, n_in)
            h, shared by all weights or one per weight.
        shared : Tensor of shape (n, 1, n_out) or (n, k, n_out)
            A h + a.
        modulation : tuple of Tensor
            What `modulation` gave, of shape (n, k, width), or (1, k, width) where all rows share the weights.

        Returns
        -------
        Tensor of shape (n, k, n_out)
        """
        raise NotImplementedError

    def forward(self, hidden: Tensor, modulation: tuple[Tensor, ...], index: Tensor | None) -> Tensor:
        """Output of shape (n, k, n_out).

        Parameters
        ----------
        hidden : Tensor of shape (n, n_in) or (n, k, n_in)
            Shared by all weights, or one per weight.
        modulation : tuple of Tensor of shape (lists, k, width)
            What `modulation` gave for the conditions of each list; one list where all rows share them.
        index : Tensor of shape (n,) or None
            The list of each row; None where all rows share the conditions.

        Returns
        -------
        Tensor of shape (n, k, n_out)
        """
        if hidden.ndim == 2:
            hidden = hidden[:, None]
        return self.modulate(hidden, self.shared(hidden), tuple(per_row(part, index) for part in modulation))

    @torch.no_grad()
    def fold(self, modulation: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """The linear layer that this one is for one trade-off.

        Parameters
        ----------
        modulation : tuple of Tensor of shape (width,)
            What `modulation` gave.

        Returns
        -------
        weight : Tensor of shape (n_out, n_in)
        bias : Tensor of shape (n_out,)

        Raises
        ------
        ValueError
            If it is not linear in its input.
        """
        at = tuple(part[None, None] for part in modulation)
        weight = self.shared.weight
        inputs = torch.eye(weight.shape[1], dtype=weight.dtype, device=weight.device)
        bias = self(inputs[:1] * 0, at, None)[0, 0]
        folded = (self(inputs, at, None)[:, 0] - bias).T
        both = inputs.sum(dim=0, keepdim=True)
        error = (self(2 * both, at, None)[0, 0] - 2 * folded.sum(dim=1) - bias).abs().max()
        if error > FOLD_TOLERANCE * (1 + folded.abs().sum()):
            raise ValueError(
                f"{type(self).__name__} is not linear in its input, so no unconditioned network gives the "
                "same scores: it cannot be specialized to one trade-off."
            )
        return folded, bias


class Unconditioned(ConditionedLinear):
    r"""No conditioning: :math:`A h + a`, an ordinary network, for baselines."""

    def modulation(self, condition: Tensor) -> tuple[Tensor, ...]:
        """Nothing: tensors of no width, which say how many trade-offs there are."""
        return (condition[..., :0],)

    def modulate(self, hidden: Tensor, shared: Tensor, modulation: tuple[Tensor, ...]) -> Tensor:
        """The shared part."""
        return shared.expand(-1, modulation[0].shape[1], -1)


class Concat(ConditionedLinear):
    r"""Conditioning "concat": :math:`A h + a + B c`, a layer on the concatenation of h and c (COSMOS)."""

    def __init__(self, n_in: int, n_out: int, n_condition: int) -> None:
        super().__init__(n_in, n_out, n_condition)
        self.shift = zero_linear(n_condition, n_out)

    def modulation(self, condition: Tensor) -> tuple[Tensor, ...]:
        """The shift B c."""
        return (self.shift(condition),)

    def modulate(self, hidden: Tensor, shared: Tensor, modulation: tuple[Tensor, ...]) -> Tensor:
        """The shared part, shifted."""
        return shared + modulation[0]


class FiLM(Concat):
    r"""Conditioning "film": :math:`(1 + G c) \odot (A h + a) + B c` (Perez et al., AAAI 2018)."""

    def __init__(self, n_in: int, n_out: int, n_condition: int) -> None:
        super().__init__(n_in, n_out, n_condition)
        self.gain = zero_linear(n_condition, n_out)

    def modulation(self, condition: Tensor) -> tuple[Tensor, ...]:
        """The shift B c and the gain G c."""
        return self.shift(condition), self.gain(condition)

    def modulate(self, hidden: Tensor, shared: Tensor, modulation: tuple[Tensor, ...]) -> Tensor:
        """The shared part, scaled and shifted."""
        shift, gain = modulation
        return torch.addcmul(shared + shift, shared, gain)


class Hypernetwork(Concat):
    r"""Conditioning "hypernetwork": :math:`A h + a + U (D c \odot V h) + B c`, with V of `rank` rows."""

    def __init__(self, n_in: int, n_out: int, n_condition: int, rank: int = 16) -> None:
        super().__init__(n_in, n_out, n_condition)
        rank = min(rank, n_in, n_out)
        self.down = BatchInvariantLinear(n_in, rank, bias=False)
        self.diagonal = zero_linear(n_condition, rank)
        self.up = BatchInvariantLinear(rank, n_out, bias=False)

    def modulation(self, condition: Tensor) -> tuple[Tensor, ...]:
        """The shift B c and the diagonal D c."""
        return self.shift(condition), self.diagonal(condition)

    def modulate(self, hidden: Tensor, shared: Tensor, modulation: tuple[Tensor, ...]) -> Tensor:
        """The shared part and a product of low rank, shifted."""
        shift, diagonal = modulation
        return shared + self.up(self.down(hidden) * diagonal) + shift


Conditioning = Callable[[int, int, int], ConditionedLinear]

_CONDITIONINGS: dict[str, Conditioning] = {
    "concat": Concat,
    "film": FiLM,
    "hypernetwork": Hypernetwork,
    "none": Unconditioned,
}

#: The names of the conditionings of this package. "none" ignores the weights: for baselines.
CONDITIONINGS = tuple(_CONDITIONINGS)


def register_conditioning(name: str, conditioning: Conditioning) -> None:
    """Register a conditioning under a name, for networks and files.

    Parameters
    ----------
    name : str
        As in ``MLP(conditioning=name)``.
    conditioning : callable
        Makes the layer of ``(n_in, n_out, n_condition)``: a subclass of
        `ConditionedLinear`.

    Raises
    ------
    ValueError
        If another conditioning has the name.

    Examples
    --------
    >>> import torch
    >>> from hyperrank.networks import ConditionedLinear, ConditionedScorer, zero_linear
    >>> class GainOnly(ConditionedLinear):
    ...     def __init__(self, n_in, n_out, n_condition):
    ...         super().__init__(n_in, n_out, n_condition)
    ...         self.gain = zero_linear(n_condition, n_out)
    ...
    ...     def modulation(self, condition):
    ...         return (self.gain(condition),)
    ...
    ...     def modulate(self, hidden, shared, modulation):
    ...         return shared * (1 + modulation[0])
    >>> register_conditioning("gain_only", GainOnly)
    >>> network = ConditionedScorer(5, 2, conditioning="gain_only")
    >>> network(torch.zeros(3, 5), torch.eye(2)).shape
    torch.Size([3, 2])
    """
    if _CONDITIONINGS.get(name, conditioning) is not conditioning:
        raise ValueError(
            f"conditioning {name!r} is registered already, as {_CONDITIONINGS[name]!r}: take another name."
        )
    _CONDITIONINGS[name] = conditioning


def get_conditioning(conditioning: str | Conditioning) -> Conditioning:
    """A conditioning by name, or one's own as it is; a ValueError if there is none of the name."""
    if callable(conditioning):
        return conditioning
    if conditioning not in _CONDITIONINGS:
        raise ValueError(
            f"conditioning must be one of {tuple(_CONDITIONINGS)}, or a class such as those; "
            f"got {conditioning!r}."
        )
    return _CONDITIONINGS[conditioning]


def conditioning_name(conditioning: str | Conditioning) -> str | Conditioning:
    """The name of a conditioning; itself where it has none."""
    names = (name for name, registered in _CONDITIONINGS.items() if registered is conditioning)
    return next(names, conditioning)


def per_row(values: Tensor, index: Tensor | None) -> Tensor:
    """Values of shape (lists, k, width) for each row of its list, or broadcast over all rows.

    The gradient of ``values[index]`` is summed by several threads in any order: another result each time.
    """
    return values if index is None else values.index_select(0, index)


def zero_linear(n_in: int, n_out: int) -> BatchInvariantLinear:
    """Linear layer with all parameters zero, so that it has no effect before training.

    Parameters
    ----------
    n_in, n_out : int

    Returns
    -------
    torch.nn.Linear

    Examples
    --------
    >>> zero_linear(2, 1).weight.tolist()
    [[0.0, 0.0]]
    """
    layer = BatchInvariantLinear(n_in, n_out)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
