"""Named conventions of NDCG: what each library means by the word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

__all__ = ["CONVENTIONS", "Convention", "resolve_convention"]

Gain = Literal["exp2", "linear"]
Ties = Literal["order", "average", "worst"]
Empty = Literal["skip", "zero", "one"] | int

GAINS: tuple[str, ...] = ("exp2", "linear")
TIES: tuple[str, ...] = ("order", "average", "worst")


@dataclass(frozen=True)
class Convention:
    """The three choices on which NDCGs differ.

    Parameters
    ----------
    gain : {"exp2", "linear"}
        Gain of a label z: ``2 ** z - 1`` or z.
    empty : {"skip", "zero", "one"}
        What a list without any positive label scores.
    ties : {"order", "average", "worst"}
        How documents of equal score are ranked.

    Examples
    --------
    >>> from hyperrank.metrics import CONVENTIONS
    >>> CONVENTIONS["hyperrank"]
    Convention(gain='exp2', empty='skip', ties='order')
    """

    gain: Gain = "exp2"
    empty: Empty = "skip"
    ties: Ties = "order"


#: NDCG as each library computes it by default; each is tested against that library's own numbers.
CONVENTIONS: Mapping[str, Convention] = MappingProxyType(
    {
        "hyperrank": Convention(),
        "lightgbm": Convention("exp2", "one", "order"),
        "xgboost": Convention("exp2", "one", "order"),
        "xgboost-minus": Convention("exp2", "zero", "order"),
        "catboost-base": Convention("linear", "one", "worst"),
        "catboost-exp": Convention("exp2", "one", "worst"),
        "sklearn": Convention("linear", "zero", "average"),
        "ir-measures": Convention("linear", "zero", "order"),
        "ir-measures-exp": Convention("exp2", "zero", "order"),
    }
)


def resolve_convention(gain: Gain, empty: Empty, ties: Ties, convention: str | None) -> Convention:
    """Check the choices and let a named convention make them.

    Raises
    ------
    ValueError
        If a name is unknown, or the convention contradicts a choice made beside it.
    """
    if gain not in GAINS:
        raise ValueError(f"gain must be one of {list(GAINS)}; got {gain!r}.")
    if ties not in TIES:
        raise ValueError(f"ties must be one of {list(TIES)}; got {ties!r}.")
    chosen = Convention(gain, empty, ties)
    if convention is None:
        return chosen
    if convention not in CONVENTIONS:
        raise ValueError(f"convention must be one of {list(CONVENTIONS)}; got {convention!r}.")
    named, default = CONVENTIONS[convention], Convention()
    for field in ("gain", "empty", "ties"):
        given, wanted = getattr(chosen, field), getattr(named, field)
        if given not in (getattr(default, field), wanted):
            raise ValueError(
                f"convention={convention!r} means {field}={wanted!r}, but {field}={given!r} was given too: "
                "leave one of them out."
            )
    return named
