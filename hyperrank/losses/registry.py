"""Losses by name, as rankers ask for them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor

from hyperrank.losses.approx_ndcg import approx_ndcg
from hyperrank.losses.dpo import ListLoss
from hyperrank.losses.listnet import listnet
from hyperrank.losses.pairwise import lambda_loss, pairwise_logistic
from hyperrank.losses.plackett_luce import plackett_luce

__all__ = ["named_loss"]

#: The losses that have a name, and which of the options gain, top_k and ties each knows.
LOSSES: dict[str, tuple[Callable[..., Tensor], tuple[str, ...]]] = {
    "listnet": (listnet, ("gain",)),
    "plackett_luce": (plackett_luce, ("top_k", "ties")),
    "lambda_loss": (lambda_loss, ("gain", "top_k")),
    "approx_ndcg": (approx_ndcg, ("gain",)),
    "pairwise_logistic": (pairwise_logistic, ()),
}


def named_loss(name: str, **options: Any) -> ListLoss:
    """A loss with those of the options bound that it knows.

    Parameters
    ----------
    name : {"listnet", "plackett_luce", "lambda_loss", "approx_ndcg", "pairwise_logistic"}
    **options
        gain, top_k, ties; what a loss does not know is ignored, since rankers hold options for all of them.

    Returns
    -------
    ListLoss
        The function with its options bound.

    Raises
    ------
    ValueError
        If the name is unknown.

    Examples
    --------
    >>> named_loss("listnet", gain="linear", ties="random").keywords
    {'gain': 'linear'}
    """
    if name not in LOSSES:
        *others, last = (repr(known) for known in LOSSES)
        raise ValueError(f"loss must be {', '.join(others)} or {last}; got {name!r}.")
    function, known = LOSSES[name]
    return partial(function, **{key: value for key, value in options.items() if key in known})
