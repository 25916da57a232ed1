"""Fronts of a ranker: the values that it reaches at many trade-offs, beside those of a baseline."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from hyperrank._checks import check_number
from hyperrank._columns import arrow_to_pandas, refuse_other_order, warn_of_label_scores
from hyperrank._progress import with_progress
from hyperrank.front.pareto_front import ParetoFront
from hyperrank.front.selection import TEMPERATURE, carried_temperatures, resolve_trade_off
from hyperrank.lists import QueryLists
from hyperrank.metrics import Metric, parse_metric
from hyperrank.rankers.data import GroupedFeatures, LabelledLists, warn_of_other_units
from hyperrank.rankers.inputs import QID_COLUMN, has_names, one_per_list, read_labelled, read_scores
from hyperrank.reference import NoReference, Reference
from hyperrank.reference.models import ModelBaseline, is_fitted
from hyperrank.simplex import as_weights, lattice_near
from hyperrank.weights import per_query_or_row

#: Trade-offs at which a front is profiled unless the caller says otherwise.
FRONT_WEIGHTS = 66
#: Scores that are held at a time while a front is profiled.
MAX_SCORES = 10_000_000


@dataclass(frozen=True, eq=False)
class FrontGrid:
    """Trade-offs to profile: weights (k, m), each under every temperature or with its own (`are_pairs`).

    Weights that are a default may be left out where they cannot be measured; the reference itself, at
    temperature 0, is profiled too on demand. A ranker without temperatures has None.
    """

    weights: NDArray[np.float64]
    temperatures: list[float] | None
    are_pairs: bool = False
    are_default: bool = False
    with_reference: bool = False


class FrontMixin:
    """Fronts of a ranker: its metrics at many trade-offs, and what a trade-off is to its scores."""

    metric: str
    objectives_: tuple[str, ...]
    #: Weights and temperatures of the rows of the last front, to tell of weights that lost theirs.
    _last_front: tuple[NDArray[np.float64], NDArray[np.float64]]

    def _scores(self, data: GroupedFeatures, weights: NDArray[np.float64]) -> NDArray[np.floating[Any]]:
        """Scores of grouped rows under k weights, shape (n, k)."""
        raise NotImplementedError

    @property
    def _needs_frame(self) -> bool:
        """Whether scores depend on the features as the caller has them."""
        return False

    def _reference_scores(self, data: GroupedFeatures) -> NDArray[np.floating[Any]] | None:
        """Scores of the reference ranker itself for grouped rows, shape (n,), or None."""
        return None

    def pareto_front(
        self,
        X: Any,
        Y: Any,
        *,
        qid: ArrayLike | None = None,
        weights: ArrayLike | None = None,
        temperatures: Sequence[float] | None = None,
        baseline: Any = None,
        by: Any = None,
        metric: str | Metric | None = None,
        label: str | None = None,
        **options: Any,
    ) -> ParetoFront:
        """Measure the ranker over the whole range of trade-offs.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Features, of queries that were not trained on.
        Y : array-like of shape (n, m)
            Labels >= 0, NaN where unobserved.
        qid : array-like of shape (n,), optional
            Query ids; one list of all rows by default.
        weights : array-like of shape (k, m), optional
            The trade-offs; selections among them have their own temperatures. By default a grid of up to 66.
        temperatures : sequence of float, optional
            Temperatures, each with all weights. By default that of ``temperature=`` or of the weights;
            otherwise 1, or 0.1, 0.3, 1 and 3 if a reference was passed. The reference, temperature 0, is
            measured too, unless `weights` or ``temperature=`` are given.
        baseline : array-like of shape (n,), fitted model or "reference", optional
            What limits, plots and confidences are relative to: scores, or a model with ``predict``, whose
            columns are matched by name. By default the reference, if the ranker has one.
        by : str or array-like of shape (n,), optional
            The segment of each row, such as market or device, the same for all rows of a query, or the name
            of the column of `X` that holds it. ``front.by_segment`` has the values of each.
        metric : str or Metric, optional
            The metric of the ranker by default.
        label : str, optional
            Name of the front in plots; the class name by default.
        **options
            Passed to the scoring, such as ``temperature``.

        Returns
        -------
        ParetoFront

        Raises
        ------
        ValueError
            If no objective has a list with a label above 0, or one that is weighted by `weights` has none, if
            segments differ within a query, or if the baseline or a temperature is not valid.

        Warns
        -----
        UserWarning
            If an objective has no such list. The front is then of the others, at weights without it.
        """
        check_is_fitted(self)
        vars(self).pop("_last_front", None)
        X, by = split_segments(self, X, by)
        refuse_other_order(by, "by", X)
        grid, options = read_grid(self, weights, temperatures, options)
        refuse_other_order(baseline, "baseline", X)
        is_model = hasattr(baseline, "predict")
        data = self._read(X, Y, qid, options.pop("ref_scores", None), keeps_frame=is_model)
        grid, measured = measurable(self.objectives_, grid, data.Y)
        measure = self._metric() if metric is None else parse_metric(metric)
        reference: Reference | None = getattr(self, "reference_", None)
        if reference is not None:
            data = replace(data, known_parts=data.reference_parts(reference))
        at, of_rows = _rows(grid, measured, reference)
        segments = None if by is None else _read_segments(by, data.lists)
        name, scores = _read_baseline(self, data, baseline)
        values = []
        blocks = np.array_split(np.arange(len(at)), -(-len(at) * len(data.X) // MAX_SCORES))
        verbose = getattr(self, "verbose", 0)
        for rows in with_progress(blocks, total=len(blocks), unit="block", verbose=verbose, desc="front"):
            some = self._front_scores(data, at[rows], None if of_rows is None else of_rows[rows], **options)
            values.append(per_query_values(measure, some, data))
        recorded = None
        if of_rows is not None:  # in units of the ranker that they are chosen for
            distinct, index = np.unique(of_rows, return_inverse=True)
            recorded = np.array([self._front_temperature(temperature=t) for t in distinct])[index]
        per_query = values[0] if len(values) == 1 else np.concatenate(values)
        of_baseline = None if scores is None else per_query_values(measure, scores[:, None], data)[0]
        if len(measured) < len(self.objectives_):
            per_query, at = per_query[:, :, measured], at[:, measured]
            of_baseline = None if of_baseline is None else of_baseline[:, measured]
        front = ParetoFront(
            np.nanmean(per_query, axis=1, dtype=np.float64),
            at,
            names=[self.objectives_[j] for j in measured],
            metric=str(measure),
            reference=None if of_baseline is None else np.nanmean(of_baseline, axis=0, dtype=np.float64),
            per_query=per_query,
            reference_per_query=of_baseline,
            label=type(self).__name__ if label is None else label,
            temperature=recorded,
            baseline=name,
            segments=segments,
        )
        if recorded is not None and len(measured) == len(self.objectives_):
            self._last_front = at, recorded
        return front

    def _default_weights(self) -> NDArray[np.float64]:
        """The trade-offs at which a front is profiled by default."""
        return lattice_near(len(self.objectives_), FRONT_WEIGHTS)

    def _trade_off(self, weights: Any, options: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Weights without the temperature that they carry, and the options of scoring with it."""
        weights, temperature = resolve_trade_off(weights, options.get("temperature"), self.objectives_)
        if temperature is None and weights is not None:
            self._warn_of_lost_temperature(weights)
        others = {name: value for name, value in options.items() if name != "temperature"}
        return weights, {**others, **self._temperature_option(temperature)}

    def _warn_of_lost_temperature(self, weights: Any) -> None:
        """Warn of weights from the last front, measured at other temperatures alone, that carry none."""
        last = vars(self).get("_last_front")  # once: another thread may measure a front meanwhile
        if last is None or per_query_or_row(weights, self.objectives_) is not None:
            return
        on_front, temperatures = last
        for each in np.atleast_2d(self._weights(weights)):
            found = np.unique(temperatures[np.isclose(on_front, each, rtol=0, atol=1e-9).all(axis=1)])
            if len(found) and 1 not in found:
                warnings.warn(
                    f"the weights {each.tolist()} are of the last front, which has them at temperature "
                    f"{', '.join(f'{t:g}' for t in found)}, but carry none, and are served at 1: pass a "
                    "selection or a row of front.weights as it is, or say temperature=.",
                    UserWarning,
                    stacklevel=5,
                )
                return

    def _temperature_option(self, temperature: float | None) -> dict[str, Any]:
        """The temperature as an option of scoring; a ranker without one is at 1."""
        if temperature is None or temperature == 1:
            return {}
        raise ValueError(
            f"a {type(self).__name__} has no temperature, and cannot serve a trade-off of temperature "
            f"{temperature:g}. The weights alone: selection.named_weights, or front.weights.to_numpy()."
        )

    def _front_temperature(self, **options: Any) -> float | None:
        """The temperature of a front that was scored with these options; None without one."""
        return None

    def _default_temperatures(self) -> tuple[float, ...] | None:
        """The temperatures of a front by default; None where the trade-off has one or there is none."""
        return None

    def _front_scores(
        self,
        data: GroupedFeatures,
        weights: NDArray[np.float64],
        temperatures: NDArray[np.float64] | None,
        **options: Any,
    ) -> NDArray[np.floating[Any]]:
        """Scores of grouped rows at k trade-offs, each of its own temperature, shape (n, k)."""
        if temperatures is not None and len(temperatures):
            options["temperature"] = float(temperatures[0])
        return self._scores(data, weights, **options)

    def _weights(self, weights: ArrayLike | Mapping[str, float] | None) -> NDArray[np.float64]:
        m = len(self.objectives_)
        if weights is None:
            return np.full(m, 1 / m)
        return as_weights(self._for_all(weights), m, self.objectives_)

    def _for_all(self, weights: Any) -> Any:
        """Weights that hold for all rows; refuses those of queries or rows."""
        if per_query_or_row(weights, self.objectives_) is not None:
            raise ValueError("weights per query or row are for predict; here give trade-offs for all rows.")
        return weights

    def _metric(self) -> Metric:
        return parse_metric(self.metric)

    def _read(self, X: Any, y: Any, qid: Any, ref_scores: Any, *, keeps_frame: bool = False) -> LabelledLists:
        """Check evaluation data against what was fitted."""
        # Frames are read by the fitted names, whatever the order of their columns; arrays by position.
        names = self.objectives_ if has_names(y) else None
        data = read_labelled(
            self,
            X,
            y,
            qid,
            reset=False,
            objectives=names,
            ref_scores=ref_scores,
            keeps_frame=keeps_frame or self._needs_frame,
        )
        if data.Y.shape[1] != len(self.objectives_):
            raise ValueError(
                f"y has {data.Y.shape[1]} objectives; the ranker was fitted on {len(self.objectives_)}: "
                f"{list(self.objectives_)}."
            )
        warn_of_other_units(self, data.Y, self.objectives_, "y")
        return data


def check_options(ranker: FrontMixin, options: Mapping[str, Any], method: str, hint: str = "") -> None:
    """Refuse options that a ranker's scoring does not have."""
    known = {"ref_scores", "temperature", *inspect.signature(ranker._scores).parameters}
    for unknown in sorted(set(options) - known):
        near = get_close_matches(unknown, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else hint or "its documentation lists them."
        raise TypeError(f"{method} has no option {unknown!r}; {hint}")


def read_grid(
    ranker: FrontMixin, weights: Any, temperatures: Any, options: Mapping[str, Any]
) -> tuple[FrontGrid, dict[str, Any]]:
    """The trade-offs that `pareto_front` is asked for, and the other options of scoring."""
    names = ranker.objectives_
    if hasattr(options.get("temperature"), "__len__") and not isinstance(options["temperature"], str):
        raise ValueError(f"temperature must be one number; several: temperatures={options['temperature']!r}.")
    default: tuple[float, ...] | None = None
    carried = carried_temperatures(weights)
    distinct = {t for t in carried if t is not None}
    several = len(distinct) > 1
    if temperatures is not None:
        if options.get("temperature") is not None or distinct:
            raise ValueError(
                "temperatures are given, and so is temperature, or the weights carry one: leave one out."
            )
        found = [_option(ranker, None, t) for t in _checked_temperatures(temperatures)]
    elif several:
        if options.get("temperature") is not None or None in carried:
            raise ValueError(
                f"the weights are of the temperatures {sorted(distinct)}: leave temperature out."
            )
        weights = as_weights(ranker._for_all(weights), len(names), names)
        found = [_option(ranker, row, t) for row, t in zip(weights, carried, strict=True)]
    else:
        weights, options = ranker._trade_off(weights, options)
        is_open = weights is None and options.get("temperature") is None
        default = ranker._default_temperatures() if is_open else None
        found = [options.get("temperature")] if default is None else list(default)
    others = {name: value for name, value in options.items() if name != "temperature"}
    check_options(ranker, others, "pareto_front", "how many trade-offs: weights says it.")
    at = ranker._default_weights() if weights is None else weights
    at = np.atleast_2d(as_weights(ranker._for_all(at), len(names), names))
    has_temperature = ranker._front_temperature() is not None
    return FrontGrid(
        at,
        [1.0 if t is None else check_number("temperature", t, at_least=0) for t in found]
        if has_temperature
        else None,
        are_pairs=several,
        are_default=weights is None,
        with_reference=temperatures is not None or default is not None,
    ), others


def _checked_temperatures(temperatures: Any) -> list[float]:
    given = np.ravel(np.asarray(temperatures, dtype=object)).tolist()
    found = [check_number("temperatures", each, at_least=0) for each in given]
    if not found or len(set(found)) < len(found):
        raise ValueError(f"temperatures must be numbers, each once, as in (0, 0.3, 1, 3); got {given}.")
    return found


def _option(
    ranker: FrontMixin, weights: NDArray[np.float64] | None, temperature: float | None
) -> float | None:
    """A temperature as the ranker's scoring takes it; refuses one that the ranker does not have."""
    if weights is None:
        return ranker._trade_off(None, {"temperature": temperature})[1].get("temperature")
    row = pd.Series(weights, index=list(ranker.objectives_))
    row.attrs[TEMPERATURE] = temperature
    return ranker._trade_off(row, {})[1].get("temperature")


def measurable(
    names: Sequence[str], grid: FrontGrid, Y: NDArray[np.float32]
) -> tuple[FrontGrid, NDArray[np.int64]]:
    """Trade-offs without those that weigh objectives that cannot be measured, and those that can."""
    is_measured = (Y > 0).any(axis=0)
    measured = np.flatnonzero(is_measured)
    if is_measured.all():
        return grid, measured
    others = [names[j] for j in np.flatnonzero(~is_measured).tolist()]
    kept = (grid.weights[:, ~is_measured] == 0).all(axis=1)
    if not kept.any() or not (grid.are_default or kept.all()):
        raise ValueError(
            f"objectives {others} of y have no list with a label above 0: nothing to measure there. "
            "Give them no weight, or measure on more queries."
        )
    warnings.warn(
        f"objectives {others} of y have no list with a label above 0, and nothing can be measured there: "
        f"the front is of {[names[j] for j in measured.tolist()]} alone, at trade-offs that give the "
        "others no weight.",
        UserWarning,
        stacklevel=3,
    )
    return replace(grid, weights=grid.weights[kept]), measured


def _rows(
    grid: FrontGrid, measured: NDArray[np.int64], reference: Reference | None
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Weights and temperature of each row of a front."""
    at, temperatures = grid.weights, grid.temperatures
    if temperatures is None or grid.are_pairs:
        return at, None if temperatures is None else np.array(temperatures)
    main = None if reference is None else reference.main
    # A reference of one score is the same ranking under all weights.
    blocks = [(at[:1] if t == 0 and main is None else at, t) for t in temperatures]
    itself = at[:1] if main is None else np.eye(at.shape[1])[[main]]
    is_known = any(t == 0 and (rows == itself).all(axis=1).any() for rows, t in blocks)
    exists = not isinstance(reference, NoReference | None) and itself[:, measured].sum() == 1
    if grid.with_reference and exists and not is_known:
        blocks.append((itself, 0.0))
    return (
        np.concatenate([rows for rows, _ in blocks]),
        np.concatenate([np.full(len(rows), t) for rows, t in blocks]),
    )


def split_segments(ranker: FrontMixin, X: Any, by: Any) -> tuple[Any, Any]:
    """Features without the column of segments, unless the ranker was fitted on it, and that column."""
    if not isinstance(by, str):
        return X, by
    X = arrow_to_pandas(X)
    if by not in list(getattr(X, "columns", ())):
        raise ValueError(
            f"by={by!r} is not a column of X: name one of a frame, or pass a value for each row."
        )
    known = getattr(ranker, "feature_names_in_", getattr(ranker, "column_labels_in_", ()))
    if by in list(known) or by == QID_COLUMN:
        return X, X[by]
    return X.drop(columns=[by]) if hasattr(X, "iloc") else X.drop(by), X[by]


def _read_segments(by: Any, lists: QueryLists) -> NDArray[Any]:
    """The segment of each list, from that of each row."""
    given = np.array(by, dtype=object)
    if isinstance(by, np.ma.MaskedArray):
        given[np.ma.getmaskarray(by)] = None
    if given.ndim != 1:
        raise ValueError(
            f"by has shape {given.shape}; expected the segment of each row, or the name of a column."
        )
    if len(given) != lists.n_rows:
        raise ValueError(f"by has {len(given)} values for {lists.n_rows} rows; expected one for each row.")
    codes, names = pd.factorize(given)
    if (codes < 0).any():
        raise ValueError(f"by has no value in row {int((codes < 0).argmax())}: name what is unknown.")
    hint = "segments are of whole queries, such as a market or a device."
    of_list = one_per_list(lists.group(codes), lists, "by", hint)
    is_number = all(isinstance(label, int | float | np.number) for label in names)
    labels = names.astype(np.float64 if is_number else str)
    if len(np.unique(labels)) < len(names):  # whole numbers beyond 2^53, or 1 beside "1"
        labels = names.astype(str)
        if len(np.unique(labels)) < len(names):
            raise ValueError("by has several values that are one when written as text: name each otherwise.")
    return np.asarray(labels[of_list])


def _read_baseline(
    ranker: FrontMixin, data: LabelledLists, baseline: Any
) -> tuple[str | None, NDArray[np.floating[Any]] | None]:
    """The name of what a front is compared with, and its scores for grouped rows, shape (n,)."""
    if baseline is None or (isinstance(baseline, str) and baseline == "reference"):
        scores = ranker._reference_scores(data)
        if scores is None and baseline is not None:
            raise ValueError(
                f"baseline='reference', and this {type(ranker).__name__} has none: pass scores or a model."
            )
        return None if scores is None else "reference", scores
    if isinstance(baseline, str):
        raise ValueError(
            f"baseline must be 'reference', a fitted model, or one score per row; got {baseline!r}."
        )
    if not hasattr(baseline, "predict"):
        given = data.lists.group(read_scores(baseline, data.lists.n_rows, name="baseline"))
        warn_of_label_scores(given, "baseline", data.Y, data.names)
        return "baseline", given
    if not is_fitted(baseline):
        raise ValueError(f"baseline must be fitted; this {type(baseline).__name__} is not.")
    of_model = ModelBaseline.of(baseline, data.frame)
    return type(baseline).__name__, of_model.scores(data)[:, 0]


def per_query_values(metric: Metric, scores: NDArray[Any], data: LabelledLists) -> NDArray[np.float32]:
    """Values of shape (k, n_lists, m)."""
    values = metric(scores, data.Y, qid=data.lists.in_place, per_query=True)
    return np.ascontiguousarray(np.moveaxis(values, 0, 1), dtype=np.float32)
