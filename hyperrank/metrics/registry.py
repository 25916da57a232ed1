"""Registry of metrics by name, such as "ndcg@10"."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import ArrayLike

from hyperrank.lists import QueryLists
from hyperrank.metrics._inputs import check_cutoff
from hyperrank.metrics.binary import average_precision, mrr, precision
from hyperrank.metrics.err import err
from hyperrank.metrics.ndcg import ndcg

__all__ = ["Metric", "parse_metric"]

_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "ndcg": ndcg,
    "map": average_precision,
    "mrr": mrr,
    "precision": precision,
    "err": err,
}
_ALIASES: Mapping[str, str] = {"ap": "map", "average_precision": "map", "rr": "mrr", "p": "precision"}
_PATTERN = re.compile(r"\s*(\w+)\s*(?:\((.*)\))?\s*(?:@\s*(\d+))?\s*")
_CALL_ARGUMENTS = {"scores", "labels", "qid", "k", "per_query"}


@dataclass(frozen=True)
class Metric:
    """A metric with its cut-off and conventions, ready to be called.

    Parameters
    ----------
    name : {"ndcg", "map", "mrr", "precision", "err"}
    k : int, optional
        Ranks that count; all by default. Precision needs one.
    options : tuple of (str, value)
        Further arguments of the metric's function, such as ``(("convention", "lightgbm"),)``.

    Raises
    ------
    ValueError
        If the name or an option is unknown, or the cut-off is not a positive whole number.

    Examples
    --------
    >>> metric = Metric("ndcg", 10)
    >>> str(metric)
    'ndcg@10'
    >>> metric([3.0, 1.0], [1, 0])
    1.0
    """

    name: str
    k: int | None = None
    options: tuple[tuple[str, Any], ...] = ()

    def __post_init__(self) -> None:
        if self.name not in _FUNCTIONS:
            raise ValueError(f"unknown metric {self.name!r}; {_known()}.")
        check_cutoff(self.k)
        if self.name == "precision" and self.k is None:
            raise ValueError("precision needs a cut-off: 'precision@10', say.")
        allowed = set(inspect.signature(_FUNCTIONS[self.name]).parameters) - _CALL_ARGUMENTS
        unknown = [key for key, _ in self.options if key not in allowed]
        if unknown:
            raise ValueError(f"metric {self.name!r} has no option {unknown[0]!r}; it has {sorted(allowed)}.")

    def __call__(
        self,
        scores: ArrayLike,
        labels: ArrayLike,
        *,
        qid: ArrayLike | QueryLists | None = None,
        per_query: bool = False,
    ) -> Any:
        """Compute the metric; shapes as of :func:`ndcg`."""
        function = _FUNCTIONS[self.name]
        return function(scores, labels, qid=qid, k=self.k, per_query=per_query, **dict(self.options))

    def __str__(self) -> str:
        """Give the name from which `parse_metric` makes the same metric."""
        options = ",".join(f"{key}={value}" for key, value in self.options)
        return self.name + (f"({options})" if options else "") + ("" if self.k is None else f"@{self.k}")


def parse_metric(metric: str | Metric) -> Metric:
    """Read a metric's name.

    Parameters
    ----------
    metric : str or Metric
        ``"ndcg@10"``, ``"map"``, ``"mrr@10"``, ``"precision@5"`` (or ``"p@5"``), ``"err@20"``, in any case;
        options in parentheses: ``"ndcg(convention=lightgbm)@10"``. A Metric is given back as it is.

    Returns
    -------
    Metric

    Raises
    ------
    ValueError
        If the name or an option is unknown, or the form is another.

    Examples
    --------
    >>> parse_metric("p@5")
    Metric(name='precision', k=5, options=())
    >>> str(parse_metric("nDCG(gain=linear)@10"))
    'ndcg(gain=linear)@10'
    """
    if isinstance(metric, Metric):
        return metric
    match = _PATTERN.fullmatch(metric) if isinstance(metric, str) else None
    if match is None:
        raise ValueError(
            f"a metric is named like 'ndcg@10' or 'map'; got {metric!r}. {_known().capitalize()}."
        )
    name = match[1].lower()
    options = tuple(_read_option(option, metric) for option in (match[2] or "").split(",") if option.strip())
    return Metric(_ALIASES.get(name, name), None if match[3] is None else int(match[3]), options)


def _known() -> str:
    return f"known are {sorted(_FUNCTIONS)}, each with a cut-off such as @10"


def _read_option(option: str, metric: str) -> tuple[str, Any]:
    """Read ``key=value``, numbers as numbers."""
    key, equals, value = (piece.strip() for piece in option.partition("="))
    if not equals or not value:
        raise ValueError(f"options of a metric are written key=value; got {option.strip()!r} in {metric!r}.")
    for kind in (int, float):
        try:
            return key, kind(value)
        except ValueError:
            continue
    return key, value
