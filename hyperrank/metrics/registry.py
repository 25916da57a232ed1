"""Registry of metrics by name, such as "ndcg@10"."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hyperrank.lists import QueryLists
from hyperrank.metrics._blocks import Block, Inputs, average_over_lists, check_cutoff, check_inputs
from hyperrank.metrics.binary import average_precision, mrr, precision
from hyperrank.metrics.ndcg import err, ndcg

#: A metric of one list: its scores and labels to a number, NaN where it has none.
ListMetric = Callable[..., float]

_METRICS: dict[str, Callable[..., Any]] = {
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
    name : {"ndcg", "map", "mrr", "precision", "err"} or a name of `register_metric`
    k : int, optional
        Ranks that count; all by default. Precision needs one.
    options : tuple of (str, value)
        Further arguments of the metric's function, such as ``(("convention", "lightgbm"),)``.
    function : callable, optional
        A metric of your own, as `register_metric` takes it; `name` is then what to call it.

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
    function: Callable[..., Any] | None = field(default=None, kw_only=True, repr=False)

    def __post_init__(self) -> None:
        if self.function is None and self.name not in _METRICS:
            raise ValueError(f"unknown metric {self.name!r}; {_known()}.")
        check_cutoff(self.k)
        if self.name == "precision" and self.k is None:
            raise ValueError("precision needs a cut-off: 'precision@10', say.")
        parameters = inspect.signature(self._function).parameters
        if self.k is not None and "k" not in parameters:
            raise ValueError(f"metric {self.name!r} has no cut-off, but @{self.k} was given.")
        allowed = set(list(parameters)[2:]) - _CALL_ARGUMENTS
        unknown = [key for key, _ in self.options if key not in allowed]
        if unknown:
            raise ValueError(f"metric {self.name!r} has no option {unknown[0]!r}; it has {sorted(allowed)}.")
        if self.options and "qid" in parameters:
            self([1.0, 0.0], [0, 0])  # values of options are refused at once

    def __call__(
        self,
        scores: ArrayLike,
        labels: ArrayLike,
        *,
        qid: ArrayLike | QueryLists | None = None,
        per_query: bool = False,
    ) -> Any:
        """Compute the metric; shapes as of :func:`ndcg`."""
        function, options = self._function, dict(self.options)
        if "qid" in inspect.signature(function).parameters:
            return function(scores, labels, qid=qid, k=self.k, per_query=per_query, **options)
        if self.k is not None:
            options["k"] = self.k
        return _list_by_list(partial(function, **options), check_inputs(scores, labels, qid), per_query)

    @property
    def _function(self) -> Callable[..., Any]:
        return _METRICS[self.name] if self.function is None else self.function

    def __str__(self) -> str:
        """Give the name from which `parse_metric` makes the same metric."""
        options = ",".join(f"{key}={value}" for key, value in self.options)
        return self.name + (f"({options})" if options else "") + ("" if self.k is None else f"@{self.k}")


def register_metric(name: str, function: Callable[..., Any]) -> None:
    """Register a metric under a name, for rankers and files.

    Parameters
    ----------
    name : str
        Lower-case letters, digits and underscores, as in ``parse_metric("hits@5")``.
    function : callable
        ``function(scores, labels)`` of one list, both of shape (n,), gives a number, NaN where the list does
        not count; documents without a label are left out. With a parameter `k` it has cut-offs. Or one with
        the parameters of `ndcg`, `qid` and `per_query` among them, for all lists at once.

    Raises
    ------
    ValueError
        If the name is no such word, or another metric has it.
    TypeError
        If `function` cannot be called.

    Examples
    --------
    >>> import numpy as np
    >>> def hits(scores, labels, k=None):
    ...     return float(labels[np.argsort(-scores)][:k].max() > 0)
    >>> register_metric("hits", hits)
    >>> parse_metric("hits@1")([3.0, 1.0, 2.0], [0, 1, 1], qid=["a", "a", "b"])
    0.5
    """
    if not callable(function):
        raise TypeError(f"a metric is a function of scores and labels; got {function!r}.")
    if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ValueError(f"a metric's name is a word such as 'hits' or 'hits_2'; got {name!r}.")
    if name in _ALIASES or _METRICS.get(name, function) is not function:
        raise ValueError(f"there is a metric {name!r} already; {_known()}.")
    _METRICS[name] = function


def _list_by_list(function: ListMetric, inputs: Inputs, per_query: bool) -> Any:
    """Values of a metric of one list, or their means over lists."""

    def measure(block: Block, columns: slice) -> NDArray[np.float64]:
        scores, labels = block.subset.scores[:, columns], block.subset.labels
        values = np.empty((len(block.which), scores.shape[1], labels.shape[1]))
        for number, first, size in zip(range(len(values)), block.starts, block.sizes, strict=True):
            rows = slice(first, first + size)
            for i, j in np.ndindex(values.shape[1:]):
                value = function(scores[rows, i], labels[rows, j])
                if np.ndim(value) or not isinstance(value, int | float | np.number | np.ndarray):
                    raise TypeError(
                        f"the metric gave a {type(value).__name__} for a list; expected a number."
                    )
                values[number, i, j] = value
        return values

    return average_over_lists(inputs, measure, None, per_query)


def parse_metric(metric: str | Metric | Callable[..., Any]) -> Metric:
    """Make a metric from its name or from a function.

    Parameters
    ----------
    metric : str, Metric or callable
        ``"ndcg@10"``, ``"map"``, ``"mrr@10"``, ``"precision@5"`` (or ``"p@5"``), ``"err@20"``, in any case,
        or a name of `register_metric`; options in parentheses: ``"ndcg(convention=lightgbm)@10"``. A Metric
        is given back as it is. A function of your own as `register_metric` takes it.

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
    if callable(metric) and not isinstance(metric, type):
        return Metric(getattr(metric, "__name__", type(metric).__name__), function=metric)
    match = _PATTERN.fullmatch(metric) if isinstance(metric, str) else None
    if match is None:
        raise ValueError(
            f"a metric is named like 'ndcg@10' or 'map'; got {metric!r}. {_known().capitalize()}."
        )
    name = match[1].lower()
    options = tuple(
        _read_option(option, str(metric)) for option in (match[2] or "").split(",") if option.strip()
    )
    return Metric(_ALIASES.get(name, name), None if match[3] is None else int(match[3]), options)


def _known() -> str:
    return f"known are {sorted(_METRICS)}, each with a cut-off such as @10"


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
