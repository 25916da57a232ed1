"""Protocol of losses of lists, and the base of losses with options."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Protocol

from torch import Tensor

from hyperrank._params import Params


class ListLoss(Protocol):
    """A loss of flat, ragged lists with everything but the data bound.

    Such as `hyperrank.losses.ListNet`, the function `hyperrank.losses.listnet`, or a function of your own.
    """

    def __call__(self, scores: Tensor, labels: Tensor, offsets: Tensor, *, reduction: str) -> Tensor:
        """Losses of shape (q, k, m) for scores (n, k), labels (n, m) and ``reduction="none"``."""


class Loss(Params):
    """Base of losses with options: dataclasses that are called as their function is.

    Attributes
    ----------
    function : callable
        The loss, which takes the fields as keyword arguments.
    takes_gains : bool
        Whether labels are gains, which cannot be negative.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> from hyperrank.losses import listnet
    >>> def scaled_listnet(scores, labels, offsets, *, factor, reduction="mean"):
    ...     return listnet(factor * scores, labels, offsets, reduction=reduction)
    >>> @dataclass
    ... class ScaledListNet(Loss):
    ...     function = staticmethod(scaled_listnet)
    ...     factor: float = 2.0
    >>> ScaledListNet().set_params(factor=3.0)
    ScaledListNet(factor=3.0)
    """

    function: ClassVar[Callable[..., Tensor]]
    takes_gains: ClassVar[bool] = False

    def __call__(self, scores: Tensor, labels: Tensor, offsets: Tensor, *, reduction: str = "mean") -> Tensor:
        """Losses of lists; arguments and result as of `hyperrank.losses.listnet`."""
        return type(self).function(scores, labels, offsets, **self.get_params(), reduction=reduction)
