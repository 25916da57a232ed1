"""ParetoFront: the values that a ranker reaches at each trade-off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from hyperrank._checks import check_number
from hyperrank._columns import as_numbers
from hyperrank.files import check_suffix, write_atomically
from hyperrank.front.bootstrap import read_by_segment, table_by_segment
from hyperrank.front.criteria import (
    achievement,
    desirability,
    finite_number,
    knee_distance,
    numbers_by_objective,
)
from hyperrank.front.limits import Candidates
from hyperrank.front.selection import OF_TEMPERATURE, TEMPERATURE, Selection, at_temperature, front_picture
from hyperrank.metrics import hypervolume, non_dominated
from hyperrank.simplex import as_weights, by_name
from hyperrank.weights import TRADE_OFF

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from hyperrank.plots import ParetoFrontDisplay

__all__ = ["ParetoFront"]


class ParetoFront:
    """Metrics of a ranker on a set of queries, at each of k trade-offs between m objectives.

    Made by ``ranker.pareto_front(X, Y, qid=...)``, or from points, to compare with the results of any other
    ranker. More is better in every objective.

    Parameters
    ----------
    points : array-like of shape (k, m)
        One row per trade-off, one value of the metric per objective.
    weights : array-like of shape (k, m)
        Weights of the trade-offs.
    names : sequence of str
        The objectives.
    metric : str, default ``"ndcg@10"``
        Metric of the points.
    reference : array-like of shape (m,), Series or mapping by objective, optional
        Metrics of the baseline: the ranker's reference, or another.
    per_query : array-like of shape (k, n_queries, m), optional
        The values of each query, NaN where a list does not count for an objective.
    reference_per_query : array-like of shape (n_queries, m), optional
        The same for the baseline.
    label : str, optional
        Name of this front in plots.
    temperature : float or array-like of shape (k,), optional
        The temperatures that the points were measured at, if the ranker has one.
    baseline : str, default "reference"
        Name of the baseline.
    segments : array-like of shape (n_queries,), optional
        The segment of each query, such as its market.

    Attributes
    ----------
    points, weights : DataFrame of shape (k, m)
        One row per trade-off, one column per objective. Rows of `weights` carry their temperature (by pandas'
        ``attrs``), so that ``predict(X, weights=front.weights.iloc[3])`` serves what was measured.
        Arrays, tuples and dictionaries made of them (``to_numpy``, ``itertuples``, ``to_dict``) carry none:
        they are served at 1 unless ``temperature=`` is given, with a warning if they were not measured there.
    temperatures : ndarray of shape (k,) or None
        The temperature of each trade-off.
    temperature : float or None
        The temperature, if it is the same for all of them; otherwise None.
    reference : Series of shape (m,) or None
        Metrics of the baseline.
    baseline : str or None
        Name of the baseline: ``"reference"``, the class of a model, or ``"baseline"``.
    per_query, reference_per_query : ndarray of float32 or None
        As given.
    segments : ndarray of shape (n_queries,) or None
        As given.
    by_segment : DataFrame or None
        Metrics of each trade-off in each segment: ``segment``, ``trade_off`` (its row), ``objective``,
        ``n_queries`` that count, ``value`` and its standard ``error``; with a baseline also its value
        ``baseline``, the ``change`` from it and the ``change_error``.

    Raises
    ------
    ValueError
        If shapes disagree, a point or reference value is not finite, weights are off the simplex or names
        are not unique.

    Examples
    --------
    >>> front = ParetoFront(
    ...     points=[[0.42, 0.30], [0.41, 0.38], [0.35, 0.40]],
    ...     weights=[[1, 0], [0.5, 0.5], [0, 1]],
    ...     names=["relevance", "clicks"],
    ...     reference=[0.40, 0.32],
    ... )
    >>> round(front.hypervolume(), 4)
    0.1658
    >>> selection = front.select(at_least={"relevance": 0.98})
    >>> selection.weights.tolist()
    [0.5, 0.5]
    """

    def __init__(
        self,
        points: ArrayLike,
        weights: ArrayLike,
        *,
        names: Sequence[str],
        metric: str = "ndcg@10",
        reference: ArrayLike | Mapping[str, float] | None = None,
        per_query: ArrayLike | None = None,
        reference_per_query: ArrayLike | None = None,
        label: str | None = None,
        temperature: float | ArrayLike | None = None,
        baseline: str | None = "reference",
        segments: ArrayLike | None = None,
    ) -> None:
        columns = _checked_names(names)
        m = len(columns)
        if not isinstance(metric, str) or not isinstance(label, str | None):
            raise TypeError(f"metric must be a text, and label a text or None; got {metric!r} and {label!r}.")
        self.metric = metric
        self.label = label
        self.points = _table(points, columns, "points")
        self.weights = pd.DataFrame(np.atleast_2d(as_weights(weights, m, columns)), columns=columns)
        self.weights.index.name = TRADE_OFF
        k = len(self.points)
        if len(self.weights) != k:
            raise ValueError(
                f"{k} points were given with {len(self.weights)} weights: give one row for each."
            )
        self.temperatures = _temperatures(temperature, k)
        if self.temperatures is not None:
            one = self.temperature
            self.weights.attrs[TEMPERATURE] = tuple(self.temperatures.tolist()) if one is None else one
            if one is None:
                self.weights.attrs[OF_TEMPERATURE] = self.weights.to_dict("list")
            self.points.attrs |= self.weights.attrs  # tables of both keep what both have
        self.baseline = None if reference is None else baseline
        self.reference = None
        if reference is not None:
            named = pd.Series(reference) if isinstance(reference, Mapping) else reference
            row = named.to_frame().T if isinstance(named, pd.Series) else [named]
            self.reference = _table(row, columns, "reference").iloc[0].rename("reference")
        self.per_query = _per_query(per_query, (k, None, m), "per_query")
        n_queries = None if self.per_query is None else self.per_query.shape[1]
        self.reference_per_query = _per_query(reference_per_query, (n_queries, m), "reference_per_query")
        self.segments = None if segments is None else np.asarray(segments)
        if self.segments is not None and self.segments.shape != (n_queries,):
            raise ValueError(
                f"segments must have shape (n_queries,), as per_query has them; got {self.segments.shape}."
            )

    @property
    def names(self) -> list[str]:
        """Names of the objectives."""
        return list(self.points.columns)

    @property
    def temperature(self) -> float | None:
        """The temperature of all trade-offs; None without one, or if they are of several."""
        distinct = set() if self.temperatures is None else set(self.temperatures.tolist())
        return distinct.pop() if len(distinct) == 1 else None

    @cached_property
    def non_dominated(self) -> NDArray[np.bool_]:
        """Whether each point is Pareto-optimal, shape (k,)."""
        return np.asarray(non_dominated(self.points.to_numpy()), dtype=bool)

    @cached_property
    def by_segment(self) -> pd.DataFrame | None:
        """Metrics of each trade-off in each segment; None without segments."""
        if self.segments is None or self.per_query is None:
            return None
        return table_by_segment(self.per_query, self.reference_per_query, self.segments, self.names)

    def hypervolume(self, reference_point: float | ArrayLike | Mapping[str, float] = 0.0) -> float:
        """Volume that the front dominates above a reference point.

        Parameters
        ----------
        reference_point : float, array-like of shape (m,) or mapping of objective to float, default 0
            The corner to measure from; objectives left out of a mapping are measured from 0.

        Returns
        -------
        float
        """
        if hasattr(reference_point, "_asdict"):  # a named tuple
            reference_point = reference_point._asdict()
        if isinstance(reference_point, Mapping | pd.Series):
            corner = numbers_by_objective(
                reference_point, self.points.columns, "reference_point must map objectives to values", ""
            )
            reference_point = [corner.get(name, 0.0) for name in self.names]
        return hypervolume(self.points.to_numpy(), reference_point=reference_point)

    def select(
        self,
        at_least: Mapping[str, float] | None = None,
        *,
        maximize: str | Mapping[str, float] | None = None,
        relative: bool = True,
        confidence: float | None = None,
        n_resamples: int = 2000,
        random_state: int = 0,
        in_every_segment: bool = False,
    ) -> Selection:
        """Pick the best of the measured trade-offs that keep every limit.

        Parameters
        ----------
        at_least : mapping of objective to float, optional
            Limits, on one or several objectives; none by default.
        maximize : str, mapping of objective to weight, or None
            What to maximise within the limits: one objective, a weighted sum, or by default the mean over the
            objectives without a limit (over all, if each has one). In sums each objective is divided by its
            best value on the front.
        relative : bool, default True
            Whether limits are shares of the baseline's value or, for a front without a baseline, of the
            objective's best value on the front. If False, limits are values of the metric.
        confidence : float, optional
            Pick only trade-offs that keep all limits at once on such queries with this probability, which
            accounts for few queries and for picking the best of many trade-offs
            (`hyperrank.front.bootstrap.LimitConfidence`). Shares of the baseline are taken on the same
            resampled queries. The reference keeps its own shares for certain. By default the limits only need
            to hold on the measured queries, and a limit that is just met will often fail on others.
        n_resamples : int, default 2000
            Number of resamples of the queries, for this and for the intervals of the selection.
        random_state : int, default 0
            Seed of the resamples.
        in_every_segment : bool, default False
            Whether limits must also hold in each segment, as shares of the baseline there; with
            `confidence`, in all segments at once.

        Returns
        -------
        Selection
            The trade-off, which can be passed as weights to ``predict``.

        Raises
        ------
        ValueError
            If an objective is unknown, if no trade-off keeps the limits (the error says what can be reached,
            and how surely), or if `confidence` is given for a front without values of each query.

        Examples
        --------
        >>> from hyperrank import ParetoFront
        >>> front = ParetoFront(
        ...     [[0.42, 0.30], [0.41, 0.38], [0.35, 0.40]],
        ...     [[1, 0], [0.5, 0.5], [0, 1]],
        ...     names=["relevance", "clicks"],
        ... )
        >>> front.select(at_least={"relevance": 0.40}, relative=False)
        Selection of row 1
                   weight  value  limit  margin
        relevance     0.5   0.41    0.4    0.01
        clicks        0.5   0.38
        """
        candidates = Candidates(
            self, at_least, relative, confidence, n_resamples, random_state, in_every_segment
        )
        return candidates.best(desirability(self.points, maximize, candidates.limits.values.index))

    def knee(
        self,
        at_least: Mapping[str, float] | None = None,
        *,
        relative: bool = True,
        confidence: float | None = None,
        n_resamples: int = 2000,
        random_state: int = 0,
        in_every_segment: bool = False,
    ) -> Selection:
        r"""Pick the trade-off beyond which more of one objective costs much of another.

        The knee is the Pareto-optimal point farthest beyond the plane through the extremes of the front, with
        objectives scaled to [0, 1] by their ranges on it (Das, 1999; formula in `hyperrank.front.criteria`).
        For two objectives it has the largest :math:`z_1 + z_2`. If the front bends inwards throughout, the
        knee is an extreme. Ties are broken as in `select`.

        Parameters
        ----------
        at_least : mapping of objective to float, optional
            Limits to keep; the plane and the ranges are still those of the whole front.
        relative, confidence, n_resamples, random_state, in_every_segment
            As in `select`.

        Returns
        -------
        Selection

        Raises
        ------
        ValueError
            As in `select`.

        Examples
        --------
        >>> from hyperrank import ParetoFront
        >>> front = ParetoFront(
        ...     [[0.42, 0.30], [0.41, 0.38], [0.35, 0.40]],
        ...     [[1, 0], [0.5, 0.5], [0, 1]],
        ...     names=["relevance", "clicks"],
        ... )
        >>> front.knee().index
        1
        """
        candidates = Candidates(
            self, at_least, relative, confidence, n_resamples, random_state, in_every_segment
        )
        rating = knee_distance(self.points.to_numpy(), self.non_dominated)
        return candidates.best(rating, desirability(self.points, None, self.points.columns))

    def nearest(
        self,
        target: Mapping[str, float],
        *,
        at_least: Mapping[str, float] | None = None,
        relative: bool = True,
        confidence: float | None = None,
        n_resamples: int = 2000,
        random_state: int = 0,
        in_every_segment: bool = False,
    ) -> Selection:
        r"""Pick the trade-off that comes closest to a target, or goes farthest beyond it.

        It has the largest :math:`\min_j (p_j - t_j) / (\max p_j - \min p_j)` (Wierzbicki's achievement, 1980;
        ranges over the Pareto-optimal points). If the target cannot be reached, this is the smallest worst
        shortfall; otherwise the largest smallest gain. A plain distance would prefer a point that just hits
        a modest target to one that is better in everything. If the target names only some objectives, the
        best in the others is picked among the points that reach it, as in `select`.

        Parameters
        ----------
        target : mapping of objective to float
            Values of the metric, for all or some objectives.
        at_least : mapping of objective to float, optional
            Limits to keep as well.
        relative : bool, default True
            Unit of `at_least`, as in `select`; the target is in units of the metric.
        confidence, n_resamples, random_state, in_every_segment
            As in `select`.

        Returns
        -------
        Selection

        Raises
        ------
        ValueError
            As in `select`, or if the target is not valid.

        Examples
        --------
        >>> from hyperrank import ParetoFront
        >>> front = ParetoFront(
        ...     [[0.42, 0.30], [0.41, 0.38], [0.35, 0.40]],
        ...     [[1, 0], [0.5, 0.5], [0, 1]],
        ...     names=["relevance", "clicks"],
        ... )
        >>> front.nearest({"relevance": 0.40, "clicks": 0.35}).index
        1
        >>> front.nearest({"clicks": 0.39}).index
        2
        """
        candidates = Candidates(
            self, at_least, relative, confidence, n_resamples, random_state, in_every_segment
        )
        return candidates.best(*achievement(self.points, self.non_dominated, target))

    def plot(
        self,
        objectives: str | Sequence[str] | None = None,
        ax: Axes | None = None,
        others: ParetoFront | Sequence[ParetoFront] | Mapping[str, ParetoFront] = (),
        *,
        selection: Selection | None = None,
        kind: str = "auto",
        width: float | str | None = None,
        interval: float | None = None,
    ) -> ParetoFrontDisplay:
        """Draw the front; needs ``pip install hyperrank[plot]``.

        Two objectives give a plane, three every pair of them, and more parallel coordinates. Trade-offs are
        coloured by the weight of the first objective, and dominated ones are faint. In each plane, steps
        bound the dominated area.

        Parameters
        ----------
        objectives, ax, kind, width, interval
            As of `hyperrank.plots.ParetoFrontDisplay.plot`.
        others : ParetoFront, sequence of them or mapping of label to ParetoFront
            Baselines to draw with it, under their labels.
        selection : Selection, optional
            A trade-off of this front to mark, with its limits.

        Returns
        -------
        ParetoFrontDisplay
            With ``figure_``, ``axes_`` and ``savefig(path)``; its figure is not registered with pyplot, so
            there is nothing to close.
        """
        from hyperrank.plots import ParetoFrontDisplay

        return ParetoFrontDisplay.from_front(
            self,
            others=others,
            selection=selection,
            objectives=objectives,
            ax=ax,
            kind=kind,
            width=width,
            interval=interval,
        )

    def to_html(
        self,
        path: str | Path,
        *,
        title: str | None = None,
        selection: Selection | None = None,
        others: ParetoFront | Sequence[ParetoFront] | Mapping[str, ParetoFront] = (),
        queries: pd.DataFrame | None = None,
        level: float = 0.9,
        n_resamples: int = 2000,
        random_state: int = 0,
    ) -> Path:
        """Write an HTML page on which people choose a trade-off without Python.

        They move the weights, or limits, and see what each objective reaches, in each segment too, how sure
        that is, and how it stands to the reference and to a trade-off that was pinned. The page is one file
        that fetches nothing and opens in any browser. It picks by the rules of `select`, and gives what was
        picked as a line of Python, as JSON that `Selection.from_dict` reads, and as a link to the page as it
        is shown.

        Parameters
        ----------
        path : path
            Where to write; its folder must exist. A file that is there is replaced, whole or not at all.
        title : str, optional
            Heading of the page.
        selection : Selection, optional
            The trade-off of this front to open with; by default what `select` picks.
        others : ParetoFront, sequence of them or mapping of label to ParetoFront
            Baselines to draw with it, under their labels.
        queries : DataFrame, optional
            Queries whose rankings to show before and after: ``ranker.rank(X, qid=qid, weights=front,
            top_k=10)`` of a few, whose column ``document`` may be replaced by titles. With
            ``contributions=True`` the page names the features that move each document.
        level : float, default 0.9
            Of the intervals, which are those of `Selection.interval`.
        n_resamples : int, default 2000
            How often queries are resampled for them. The page carries them, or as many as fit into a few
            megabytes, to tell how sure limits are kept.
        random_state : int, default 0
            Seed of the resamples.

        Returns
        -------
        Path

        Raises
        ------
        ValueError
            If an option means nothing, or `selection` or `queries` are not of this front.
        OSError
            If the file cannot be written; then nothing has changed.

        Examples
        --------
        >>> import pathlib, tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> front = ParetoFront([[0.42, 0.30], [0.35, 0.40]], [[1, 0], [0, 1]], names=["relevance", "clicks"])
        >>> front.to_html(pathlib.Path(folder.name, "front.html")).stat().st_size < 100_000
        True
        >>> folder.cleanup()
        """
        from hyperrank.front.html import front_page

        check_suffix(path, ".html")
        page = front_page(
            self,
            title=title,
            selection=selection,
            others=others,
            queries=queries,
            level=level,
            n_resamples=n_resamples,
            random_state=random_state,
        )
        return write_atomically(path, page.encode("utf-8", "replace"))

    def to_frame(self) -> pd.DataFrame:
        """Weights, metrics and Pareto-optimality in one table.

        Returns
        -------
        DataFrame of shape (k, 2 m + 1) or (k, 2 m + 2)
            Columns ``weight_<objective>``, ``temperature`` where there is one, ``<objective>`` and
            ``non_dominated``.
        """
        table = self.weights.rename_axis(None).add_prefix("weight_")
        if self.temperatures is not None:
            table = table.assign(temperature=self.temperatures)
        return table.join(self.points).assign(non_dominated=self.non_dominated)

    def to_dict(self) -> dict[str, Any]:
        """The front as a JSON-compatible dict, without the values of each query; `from_dict` reads it.

        Returns
        -------
        dict
            ``objectives``, ``metric``, ``temperature`` (None if there are several), ``label``,
            ``hypervolume``, ``reference``, ``baseline`` and ``points``: for each trade-off its ``weights``,
            ``temperature``, ``values`` by objective and whether it is ``non_dominated``. By segment also
            ``by_segment``, the columns of the table of that name.
        """
        rows = zip(
            self.weights.to_dict("records"), self.points.to_dict("records"), self.non_dominated, strict=True
        )
        by_segment = None if self.by_segment is None else self.by_segment.to_dict("list")
        temperatures = [None] * len(self) if self.temperatures is None else self.temperatures.tolist()
        return {
            "objectives": self.names,
            "metric": self.metric,
            "temperature": self.temperature,
            "label": self.label,
            "hypervolume": self.hypervolume(),
            "reference": None if self.reference is None else self.reference.to_dict(),
            "baseline": self.baseline,
            "points": [
                {"weights": weights, "temperature": t, "values": values, "non_dominated": bool(best)}
                for (weights, values, best), t in zip(rows, temperatures, strict=True)
            ],
            **({} if by_segment is None else {"by_segment": by_segment}),
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> ParetoFront:
        """Make a front from the result of `to_dict`, or from the JSON of ``hyperrank front``.

        Parameters
        ----------
        document : mapping

        Returns
        -------
        ParetoFront

        Raises
        ------
        ValueError
            If it is not a front.

        Examples
        --------
        >>> front = ParetoFront([[0.42, 0.30], [0.35, 0.40]], [[1, 0], [0, 1]], names=["relevance", "clicks"])
        >>> ParetoFront.from_dict(front.to_dict()).select(maximize="clicks").index
        1
        """
        try:
            names, rows = list(document["objectives"]), list(document["points"])
            weights = pd.DataFrame([row["weights"] for row in rows])
            points = pd.DataFrame([row["values"] for row in rows])
            others = {name: document.get(name) for name in ("reference", "label")}
            temperature = document.get("temperature")
            of_rows = [row.get("temperature", temperature) for row in rows]
            texts = {"metric": document["metric"], "label": others["label"] or ""}
            texts["baseline"] = document.get("baseline", "reference") or ""
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(
                "a front is a mapping with 'objectives', 'metric' and 'points', as ParetoFront.to_dict "
                f"gives it and hyperrank front writes it; {error!r}."
            ) from error
        for name, text in texts.items():
            if not isinstance(text, str):
                raise ValueError(f"{name} of a front must be a text; got {text!r}.")
        if None in of_rows and any(each is not None for each in of_rows):
            raise ValueError("a front has a temperature in each of its points, or in none.")
        front = cls(
            points,
            weights,
            names=names,
            metric=texts["metric"],
            temperature=None
            if None in of_rows
            else [check_number("temperature", each, at_least=0) for each in of_rows],
            baseline=texts["baseline"] or None,
            **others,
        )
        volume = document.get("hypervolume")
        if volume is not None and not np.isclose(finite_number(volume, "hypervolume"), front.hypervolume()):
            raise ValueError(f"hypervolume is {volume!r}, and that of the points {front.hypervolume():.6g}.")
        if document.get("by_segment") is not None:
            front.by_segment = read_by_segment(document["by_segment"], names, len(rows))
        return front

    def __len__(self) -> int:
        return len(self.points)

    def __repr__(self) -> str:
        return f"{self._summary()}\n{self.to_frame()!r}"

    def _repr_html_(self) -> str:
        table = self.to_frame().to_html(max_rows=60)
        return f"<p>{escape(self._summary())}</p>{front_picture(self)}{table}"

    def _summary(self) -> str:
        title = "ParetoFront" if self.label is None else f"ParetoFront of {self.label}"
        kept = int(self.non_dominated.sum())
        where = at_temperature(self.temperatures)
        return f"{title}: {self.metric} at {len(self)} trade-offs{where}, {kept} of them non-dominated"


def _checked_names(names: Sequence[str]) -> list[str]:
    """Objective names, unique strings."""
    columns = [names] if isinstance(names, str) else list(names)
    if not columns or not all(isinstance(name, str) for name in columns) or len(set(columns)) < len(columns):
        raise ValueError(f"names must be unique strings, one per objective; got {names!r}.")
    return columns


def _temperatures(temperature: Any, k: int) -> NDArray[np.float64] | None:
    """The temperature of each of k trade-offs."""
    if temperature is None:
        return None
    given = np.ravel(np.asarray(temperature, dtype=object)).tolist()
    found = [check_number("temperature", each, at_least=0) for each in given]
    if len(found) not in (1, k):
        raise ValueError(f"{k} points were given with {len(found)} temperatures: give one, or one for each.")
    return np.broadcast_to(np.array(found), k).copy()


def _table(values: Any, columns: list[str], what: str) -> pd.DataFrame:
    """Values of the metric as a table, all finite."""
    array = np.array(as_numbers(by_name(values, columns, what), what), dtype=np.float64)
    if array.ndim != 2 or array.shape[1] != len(columns) or len(array) == 0:
        raise ValueError(f"{what} must have one value for each of {columns}; got shape {array.shape}.")
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        row, column = bad[0]
        raise ValueError(
            f"{what} must be finite; got {array[row, column]} for {columns[column]!r} in row {row}. "
            "An objective without any labels has no value: leave it out."
        )
    return pd.DataFrame(array, columns=columns)


def _per_query(values: Any, expected: tuple[int | None, ...], what: str) -> NDArray[np.float32] | None:
    """Values of each query, of the expected shape (None: any length)."""
    if values is None:
        return None
    array = np.asarray(values, dtype=np.float32)
    if array.ndim != len(expected) or any(
        size not in (None, n) for size, n in zip(expected, array.shape, strict=True)
    ):
        shape = tuple("n_queries" if size is None else size for size in expected)
        raise ValueError(f"{what} must have shape {shape}; got {array.shape}.")
    return array
