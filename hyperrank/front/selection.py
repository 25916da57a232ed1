"""Selection: one trade-off of a front, with what it reaches and how sure that is; pictures for notebooks."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import DTypeLike, NDArray

from hyperrank._checks import check_number
from hyperrank._columns import arrow_to_pandas
from hyperrank.front.bootstrap import Evidence, StoredEvidence, check_probability
from hyperrank.front.criteria import check_objectives
from hyperrank.simplex import as_weights, by_name
from hyperrank.weights import TRADE_OFF, PerQuery, PerRow


class FrontData(Protocol):
    """A front as plots and selections read it; `hyperrank.front.ParetoFront` is one."""

    points: pd.DataFrame
    weights: pd.DataFrame
    metric: str
    temperatures: NDArray[np.float64] | None
    label: str | None
    baseline: str | None
    reference: pd.Series | None
    per_query: NDArray[np.float32] | None
    reference_per_query: NDArray[np.float32] | None
    segments: NDArray[Any] | None

    def __len__(self) -> int: ...

    @property
    def names(self) -> list[str]:
        """Names of the objectives."""

    @property
    def by_segment(self) -> pd.DataFrame | None:
        """What each trade-off reaches in each segment."""

    @property
    def non_dominated(self) -> NDArray[np.bool_]:
        """The points that no other dominates, shape (k,)."""

    def select(self, at_least: Mapping[str, float] | None = None) -> Selection:
        """The profiled trade-off that keeps every limit and is best otherwise."""


def labelled_fronts(others: Any, profile: Callable[..., FrontData] | None = None) -> list[FrontData]:
    """Fronts to compare with, under the labels that were given for them; `profile` makes those of rankers."""
    if not isinstance(others, Iterable) or _is_front(others):
        others = [others]
    pairs = others.items() if isinstance(others, Mapping) else ((None, each) for each in others)
    fronts = []
    for name, other in pairs:
        label = None if name is None else str(name)
        if not _is_front(other):
            if profile is None:
                raise TypeError(f"others must be fronts; got a {type(other).__name__}.")
            other = profile(other, label=label)
        elif label is not None:
            other = copy.copy(other)
            other.label = label
        fronts.append(other)
    return fronts


def _is_front(other: Any) -> bool:
    return hasattr(other, "points") and hasattr(other, "non_dominated")


@dataclass(frozen=True, eq=False, repr=False)
class Selection:
    """One trade-off of a front, weights and temperature, accepted wherever weights are.

    ``predict(X, weights=selection)`` serves it at the temperature at which its front was measured, and so do
    `score`, `specialize` and everything else that takes weights.

    If the front has values of each query, a selection says how sure it is, by a bootstrap over the queries.
    `confidence` and `joint_confidence` account for few queries and for picking the best of many trade-offs
    (`hyperrank.front.bootstrap.LimitConfidence`). Values and `interval` do not account for the choice: the
    best of many is partly the luckiest, so its values tend to be lower on new queries. Measure it alone on
    new queries for an unbiased estimate.

    Parameters
    ----------
    weights : ndarray of shape (m,)
        The weights of the trade-off, in the order of `values`.
    values : Series of shape (m,)
        Metrics at the trade-off, by objective.
    limits : Series
        Smallest values allowed, in units of the metric, by constrained objective.
    index : int
        Row of the trade-off in the front's ``points`` and ``weights``.
    evidence : Evidence, StoredEvidence or str
        Source of `confidence` and `interval`, or the reason why there is none.
    temperature : float or None
        Temperature of the trade-off; None for a ranker without.
    metric : str or None
        Metric of `values`.

    Examples
    --------
    >>> from hyperrank import ParetoFront
    >>> front = ParetoFront(
    ...     [[0.42, 0.30], [0.35, 0.40]], [[1, 0], [0, 1]], names=["relevance", "clicks"], temperature=0.5
    ... )
    >>> choice = front.select(maximize="clicks")
    >>> choice
    Selection of row 1 at temperature 0.5
               weight  value
    relevance     0.0   0.35
    clicks        1.0   0.40
    >>> choice.named_weights["clicks"]
    np.float64(1.0)
    >>> Selection.from_dict(choice.to_dict()).temperature
    0.5
    """

    weights: NDArray[np.float64]
    values: pd.Series
    limits: pd.Series
    index: int
    evidence: Evidence | StoredEvidence | str = "the front is unknown."
    temperature: float | None = None
    metric: str | None = None

    @property
    def names(self) -> list[str]:
        """Names of the objectives."""
        return list(self.values.index)

    @property
    def named_weights(self) -> pd.Series:
        """The weights by objective."""
        return pd.Series(self.weights, index=self.values.index, name="weight")

    @property
    def margin(self) -> pd.Series:
        """Values minus limits, by constrained objective."""
        return self.values[self.limits.index] - self.limits

    @property
    def confidence(self) -> pd.Series:
        """Confidence that each limit is kept on such queries, by constrained objective.

        Shares of the baseline (or of the front's best) are taken on the same resampled queries.
        """
        return pd.Series(self._known.confidence, index=self.limits.index, dtype=np.float64)

    @property
    def joint_confidence(self) -> float:
        """Confidence that all limits are kept at once; 1 without limits."""
        return self._known.joint_confidence

    def interval(self, level: float = 0.9) -> pd.DataFrame:
        """Intervals of the values (Efron's percentile interval, widened for few queries).

        Parameters
        ----------
        level : float, default 0.9
            Probability with which each single interval contains the value over all queries.

        Returns
        -------
        DataFrame of shape (m, 2)
            Columns ``low`` and ``high``, a row per objective.
        """
        check_probability("level", level)
        return pd.DataFrame(self._known.interval(level), index=self.values.index, columns=["low", "high"])

    @property
    def _known(self) -> Evidence | StoredEvidence:
        if isinstance(self.evidence, str):
            raise ValueError(f"how sure this selection is cannot be told: {self.evidence}")
        return self.evidence

    def to_dict(self) -> dict[str, Any]:
        """The selection as a JSON-compatible dict; `from_dict` reads it.

        Returns
        -------
        dict
            ``objectives``, ``weights``, ``temperature``, ``metric``, ``values``, ``limits`` and ``index``;
            where the front has values by query also ``confidence``, ``joint_confidence`` and ``interval``,
            the one of level 0.9. NaN is None.
        """
        document: dict[str, Any] = {
            "objectives": self.names,
            "weights": _numbers(self.named_weights),
            "temperature": self.temperature,
            "metric": self.metric,
            "values": _numbers(self.values),
            "limits": _numbers(self.limits),
            "index": int(self.index),
        }
        if not isinstance(self.evidence, str):
            document["confidence"] = _numbers(self.confidence)
            document["joint_confidence"] = self.joint_confidence
            document["interval"] = {name: _numbers(row) for name, row in self.interval().iterrows()}
        return document

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Selection:
        """Make a selection from the result of `to_dict`, or from the JSON of ``hyperrank select``.

        Parameters
        ----------
        document : mapping

        Returns
        -------
        Selection

        Raises
        ------
        ValueError
            If it is not a selection, or its weights are not on the simplex.
        """
        if not isinstance(document, Mapping) or not isinstance(document.get("weights"), Mapping):
            raise ValueError(
                "a selection is a mapping with 'weights' by objective, as Selection.to_dict gives it and "
                f"hyperrank select writes it; got {document!r:.80}."
            )
        names = document.get("objectives") or list(document["weights"])
        if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
            raise ValueError(f"objectives of a selection must be a list of names; got {names!r:.80}.")
        metric, temperature = document.get("metric"), document.get("temperature")
        if not isinstance(metric, str | None):
            raise ValueError(f"metric of a selection must be a text; got {metric!r}.")
        if temperature is not None:
            temperature = check_number("temperature", temperature, at_least=0)
        evidence: StoredEvidence | str = "the selection was stored without it."
        try:
            values = _series(document.get("values") or dict.fromkeys(names), list(names))
            limits = document.get("limits") or {}
            limits = _series(limits, check_objectives(limits, pd.Index(names), "limits of a selection"))
            if document.get("interval") is not None:
                bounds = [[document["interval"][name][end] for end in ("low", "high")] for name in names]
                evidence = StoredEvidence(
                    _series(document["confidence"], list(limits.index)).to_numpy(),
                    float(document["joint_confidence"]),
                    np.array(bounds, dtype=np.float64),
                )
            index = int(document.get("index", 0))
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            raise ValueError(f"not a complete selection: {error!r}.") from error
        return cls(
            as_weights(document["weights"], len(names), names),
            values,
            limits,
            index,
            evidence,
            temperature,
            metric,
        )

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        # NumPy 1 knows no copy=None.
        return np.array(self.weights, dtype=dtype, copy=True if copy is None else copy)

    def __repr__(self) -> str:
        return f"{self._summary()}\n{self._table().to_string(na_rep='')}"

    def _repr_html_(self) -> str:
        table = self._table().to_html(na_rep="", float_format="{:.4g}".format)
        return f"<p>{escape(self._summary())}</p>{selection_picture(self)}{table}"

    def _summary(self) -> str:
        return f"Selection of row {self.index}{at_temperature(self.temperature)}"

    def _table(self) -> pd.DataFrame:
        table = pd.DataFrame({"weight": self.named_weights, "value": self.values})
        has_resamples = not isinstance(self.evidence, str)
        if has_resamples:
            table = table.join(self.interval())
        if len(self.limits):
            table = table.assign(limit=self.limits, margin=self.margin)
            if has_resamples:
                table = table.assign(confidence=self.confidence)
        return table


def at_temperature(temperature: float | NDArray[np.float64] | None) -> str:
    """A temperature, or several, in a sentence; nothing where there is none."""
    if temperature is None:
        return ""
    distinct = [f"{value:g}" for value in np.unique(temperature)]
    if len(distinct) == 1:
        return f" at temperature {distinct[0]}"
    if len(distinct) > 5:
        return f" at temperatures {distinct[0]} to {distinct[-1]}"
    return f" at temperatures {', '.join(distinct[:-1])} and {distinct[-1]}"


def carried_temperatures(weights: Any) -> list[float | None]:
    """The temperatures that trade-offs carry: one for all or one for each; None for those without."""
    table = _table_of(weights)
    rows = list(table) if isinstance(table, list | tuple) else [table]
    return [found for row in rows for found in _carried(row)]


def _table_of(weights: Any) -> Any:
    """The trade-offs themselves, of those for queries or rows too."""
    table = arrow_to_pandas(weights.table if isinstance(weights, PerQuery | PerRow) else weights)
    return table.tolist() if isinstance(table, np.ndarray) and table.dtype == object else table


def _carried(row: Any) -> list[float | None]:
    """The temperatures of a selection, a row of a front's weights, or a frame of such rows."""
    if isinstance(row, Selection):
        return [row.temperature]
    held = getattr(row, "attrs", {}).get(TEMPERATURE)
    if not isinstance(held, tuple):
        return [held]
    labels: list[Any] = [row.name] if isinstance(row, pd.Series) else list(row.index)
    is_front = isinstance(row, pd.Series) or row.index.name == TRADE_OFF
    is_front = is_front and all(isinstance(n, int | np.integer) and 0 <= n < len(held) for n in labels)
    if not is_front or not _are_of_front(row, labels):
        raise ValueError(
            "the weights are of a front of several temperatures, and which is whose has been lost with their "
            "index: pass rows of front.weights as they are, or a selection."
        )
    return [held[n] for n in labels]


def _are_of_front(row: Any, labels: list[Any]) -> bool:
    """Whether weights are about those that the front has under their labels: rows may be numbered again."""
    known = row.attrs.get(OF_TEMPERATURE)
    if known is None:
        return True
    table = row.to_frame().T if isinstance(row, pd.Series) else row
    own = table.reindex(columns=list(known)).to_numpy(np.float64)
    return np.allclose(own, pd.DataFrame(known).iloc[labels], rtol=0, atol=ROUNDED)


def resolve_trade_off(
    weights: Any, temperature: float | None, names: Sequence[str]
) -> tuple[Any, float | None]:
    """Weights without the temperature that they carry, and that temperature, or the one asked for outright.

    Selections, sequences of them, and rows of a front's weights carry one; all but selections are given back
    as they are. A ValueError if temperatures differ, or a selection is of other objectives.
    """
    table = _table_of(weights)
    weights = table if isinstance(weights, np.ndarray) else weights
    several = isinstance(table, list | tuple) and any(isinstance(each, Selection) for each in table)
    selections = list(table) if several else [table]
    are_selections = all(isinstance(each, Selection) for each in selections)
    if several and not are_selections:
        raise ValueError("weights mix selections with others: give selections alone, or weights alone.")
    if not are_selections and temperature is not None:  # rows of a front's weights, unless the caller says
        return weights, temperature
    temperatures = {t for t in carried_temperatures(weights) if t is not None}
    if len(temperatures) > 1:
        kind = "selections" if are_selections else "weights"
        raise ValueError(
            f"the {kind} are of the temperatures {sorted(temperatures)}: predict under one at a time."
        )
    carried = temperatures.pop() if temperatures else None
    if temperature is not None and carried is not None and not np.isclose(temperature, carried, rtol=1e-9):
        raise ValueError(
            f"the selection has temperature {carried:g}, and temperature={temperature:g} was given beside "
            "it: leave temperature out, or pass selection.named_weights for the weights alone."
        )
    if are_selections and table is weights:
        rows = [by_name(each, names, "weights").to_numpy() for each in selections]
        weights = np.stack(rows) if several else rows[0]
    return weights, carried if temperature is None else temperature


#: Where a front's weights, and rows of them, carry the temperature: a key of pandas' `attrs`.
TEMPERATURE = "hyperrank_temperature"
#: Where they carry all weights of the front beside several temperatures, by which rows are known again.
OF_TEMPERATURE = "hyperrank_weights"
#: How far weights may be from those of the front and still be theirs, as rounding brings them.
ROUNDED = 5e-3


def _numbers(values: pd.Series) -> dict[str, float | None]:
    """Numbers by name as JSON knows them."""
    return {str(name): float(value) if np.isfinite(value) else None for name, value in values.items()}


def _series(values: Mapping[str, Any], names: list[str]) -> pd.Series:
    return pd.Series([values[name] for name in names], index=names, dtype=np.float64)


#: Size of a front's picture, and the margin that its labels need.
WIDTH, HEIGHT, MARGIN = 300, 220, 28
#: Height of a bar of a selection's picture.
BAR = 18


def front_picture(front: FrontData) -> str:
    """Points in the first two objectives: hollow where dominated; the reference is a cross."""
    names = front.names[:2]
    points = front.points[names].to_numpy()
    if len(names) == 1:
        points = np.column_stack([points, np.zeros(len(points))])
    reference = None if front.reference is None else front.reference[names].to_numpy()
    if reference is not None:
        reference = np.append(reference, 0.0)[:2]
    every = points if reference is None else np.vstack([points, reference])
    low, span = every.min(axis=0), np.ptp(every, axis=0)
    span[span == 0] = 1.0

    def place(point: NDArray[np.float64]) -> tuple[float, float]:
        x, y = (point - low) / span
        return MARGIN + x * (WIDTH - 2 * MARGIN), HEIGHT - MARGIN - y * (HEIGHT - 2 * MARGIN)

    marks = []
    for point, is_optimal in sorted(zip(points, front.non_dominated, strict=True), key=lambda pair: pair[1]):
        x, y = place(point)
        fill = "#1f77b4" if is_optimal else "none"
        marks.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{fill}" stroke="#1f77b4"/>')
    if reference is not None:
        x, y = place(reference)
        marks.append(f'<path d="M{x - 5:.1f} {y:.1f}h10m-5 -5v10" stroke="#d62728" stroke-width="2"/>')
    titles = [f"{escape(name[:24])} {low[j]:.3f} to {low[j] + span[j]:.3f}" for j, name in enumerate(names)]
    texts = [f'<text x="{WIDTH / 2}" y="{HEIGHT - 8}" text-anchor="middle">{titles[0]}</text>']
    if len(titles) > 1:
        turn = f"translate(14 {HEIGHT / 2}) rotate(-90)"
        texts.append(f'<text transform="{turn}" text-anchor="middle">{titles[1]}</text>')
    return _svg(WIDTH, HEIGHT, marks + texts)


def selection_picture(selection: Selection) -> str:
    """A bar for the weight of each objective."""
    parts = []
    for row, (name, weight) in enumerate(selection.named_weights.items()):
        y = row * (BAR + 4)
        parts.append(f'<rect x="120" y="{y}" width="{140 * weight:.1f}" height="{BAR}" fill="#1f77b4"/>')
        parts.append(f'<text x="114" y="{y + 13}" text-anchor="end">{escape(str(name)[:18])}</text>')
        parts.append(f'<text x="{126 + 140 * weight:.1f}" y="{y + 13}">{weight:.2g}</text>')
    return _svg(WIDTH, len(selection.weights) * (BAR + 4), parts)


def _svg(width: int, height: int, parts: list[str]) -> str:
    """A picture that takes the colour of the text around it."""
    style = "font: 12px sans-serif; fill: currentColor"
    shape = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img"'
    return f'<svg {shape} style="{style}">{"".join(parts)}</svg>'
