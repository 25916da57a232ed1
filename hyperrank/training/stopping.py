"""Early stopping: when to end training by the validation scores of its epochs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from hyperrank._checks import check_number
from hyperrank._params import Params
from hyperrank.files import storable

#: Given the entries of all epochs so far, whether training stops. Entries have ``epoch``, ``loss``,
#: ``seconds`` and, where the validation data were scored, ``score``.
StoppingRule: TypeAlias = Callable[[Sequence[dict[str, float]]], bool]


@storable
@dataclass
class EarlyStopping(Params):
    """Stop where the validation score has not improved for some evaluations.

    The parameters of the best score are those of the fitted network, whenever training stops.

    Parameters
    ----------
    patience : int, default 5
        Evaluations in a row without an improvement after which training stops.
    min_delta : float, default 0.0
        What the score must rise by to count as an improvement.
    fraction : float, default 0.1
        Share of the queries to hold out where no validation data are given.

    Examples
    --------
    >>> rule = EarlyStopping(patience=2)
    >>> history = [{"score": score} for score in (0.3, 0.5, 0.4, 0.5)]
    >>> [rule(history[:n]) for n in (1, 2, 3, 4)]
    [False, False, False, True]
    """

    patience: int = 5
    min_delta: float = 0.0
    fraction: float = 0.1

    def check(self) -> EarlyStopping:
        """Check the parameters.

        Returns
        -------
        EarlyStopping
            Itself.

        Raises
        ------
        ValueError
            If a parameter is out of range.
        """
        check_number("patience", self.patience, at_least=1, whole=True)
        check_number("min_delta", self.min_delta, at_least=0)
        check_number("fraction", self.fraction, above=0, below=1)
        return self

    def __call__(self, history: Sequence[dict[str, float]]) -> bool:
        """Whether training stops after the epochs of a history."""
        best, since = -math.inf, 0
        for entry in history:
            if "score" not in entry:
                continue
            if entry["score"] > best + self.min_delta:  # which NaN never is
                best, since = entry["score"], 0
            else:
                since += 1
        return since >= self.patience


def resolve_stopping(early_stopping: Any) -> tuple[StoppingRule | None, float]:
    """Rule (None for none) and share of held-out queries that ``early_stopping`` means, or a ValueError."""
    if isinstance(early_stopping, EarlyStopping):
        return early_stopping.check(), float(early_stopping.fraction)
    if early_stopping is False:
        return None, EarlyStopping().fraction
    if early_stopping is True or (isinstance(early_stopping, str) and early_stopping == "auto"):
        return EarlyStopping(), EarlyStopping().fraction
    if not callable(early_stopping) or isinstance(early_stopping, type):
        raise ValueError(
            "early_stopping must be True, False, 'auto', EarlyStopping(patience=5) or a function of the "
            f"history of the epochs; got {early_stopping!r}."
        )
    fraction = getattr(early_stopping, "fraction", EarlyStopping().fraction)
    return early_stopping, check_number("early_stopping.fraction", fraction, above=0, below=1)
