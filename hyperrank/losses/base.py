"""Protocol of losses of lists, the base of losses with options, and losses by name."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

from hyperrank._checks import Params


class ListLoss(Protocol):
    """Protocol of a loss of flat, ragged lists, with all options bound.

    Such as `hyperrank.losses.ListNet`, the function `hyperrank.losses.listnet`, or a function of your own.
    """

    def __call__(self, scores: Tensor, labels: Tensor, offsets: Tensor, *, reduction: str) -> Tensor:
        """Losses of shape (q, k, m) for scores (n, k), labels (n, m) and ``reduction="none"``."""


class Loss(Params):
    """Base class of losses with options, as callable dataclasses.

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


#: Losses by name; each is registered where it is defined.
_LOSSES: dict[str, Callable[[], ListLoss]] = {}


def register_loss(name: str, factory: Callable[[], ListLoss]) -> None:
    """Register a loss under a name, for rankers and files.

    Parameters
    ----------
    name : str
        As in ``HyperDPORanker(loss=name)``.
    factory : callable
        Makes the loss, without arguments: a class such as `ListNet`, or ``lambda: function``.

    Raises
    ------
    ValueError
        If another loss has the name.

    Examples
    --------
    >>> import torch
    >>> from hyperrank.losses import listnet
    >>> def sharp_listnet(scores, labels, offsets, *, reduction="mean"):
    ...     return listnet(10 * scores, labels, offsets, reduction=reduction)
    >>> register_loss("sharp_listnet", lambda: sharp_listnet)
    >>> loss = get_loss("sharp_listnet")
    >>> loss(torch.tensor([1.0, 0.0]), torch.tensor([1.0, 0.0]), torch.tensor([0, 2]))
    tensor(4.5418e-05)
    """
    if _LOSSES.get(name, factory) is not factory:
        raise ValueError(f"loss {name!r} is registered already, as {_LOSSES[name]!r}: take another name.")
    _LOSSES[name] = factory


def get_loss(loss: str | ListLoss) -> ListLoss:
    """Get a loss by name, or check a custom one.

    Parameters
    ----------
    loss : str or callable
        ``"listnet"``, ``"plackett_luce"``, ``"lambda_loss"``, ``"approx_ndcg"``, ``"pairwise_logistic"`` or
        a name of `register_loss`; an object such as ``PlackettLuce(top_k=10)``; or a function of your own.

    Returns
    -------
    ListLoss

    Raises
    ------
    ValueError
        If the name or an option is unknown, or losses do not have the shape that they should have.
    TypeError
        If it cannot be called.

    Examples
    --------
    >>> get_loss("plackett_luce")
    PlackettLuce(top_k=None, ties='random')
    """
    if isinstance(loss, str):
        if loss not in _LOSSES:
            *others, last = (repr(name) for name in _LOSSES)
            raise ValueError(
                f"loss must be {', '.join(others)} or {last}, an object such as ListNet(gain='linear'), or a "
                f"function; got {loss!r}."
            )
        return _LOSSES[loss]()
    if isinstance(loss, type) or not callable(loss):
        is_class = isinstance(loss, type)
        raise TypeError(
            "loss must be a name, an object such as ListNet(gain='linear'), or a function; got "
            + (f"the class {loss.__name__}: pass {loss.__name__}()." if is_class else f"{loss!r}.")
        )
    _check_shape(loss)
    return loss


def _check_shape(loss: ListLoss) -> None:
    """Call a loss with two lists, three draws and two objectives; its own checks refuse wrong options."""
    has_generator = "generator" in signature(loss).parameters
    options: dict[str, Any] = {"generator": torch.Generator()} if has_generator else {}
    scores, labels = (torch.zeros(4, width, dtype=torch.float32, device="cpu") for width in (3, 2))
    labels[0, 0] = labels[3, 1] = 1.0
    offsets = torch.tensor([0, 2, 4], device="cpu")
    with torch.no_grad():
        losses = loss(scores, labels, offsets, reduction="none", **options)
    if not isinstance(losses, Tensor) or losses.shape != (2, 3, 2):
        got = f"shape {tuple(losses.shape)}" if isinstance(losses, Tensor) else f"a {type(losses).__name__}"
        raise ValueError(
            "a loss gives a tensor of shape (lists, draws, objectives) for scores (documents, draws), labels "
            f"(documents, objectives) and reduction='none': (2, 3, 2) was expected; {loss!r} gave {got}."
        )


def takes_gains(loss: ListLoss) -> bool:
    """Whether a loss takes labels as gains, which cannot be negative.

    Parameters
    ----------
    loss : callable

    Returns
    -------
    bool
        False for a function without the attribute.

    Examples
    --------
    >>> takes_gains(get_loss("listnet")), takes_gains(get_loss("plackett_luce"))
    (True, False)
    """
    return bool(getattr(loss, "takes_gains", False))
