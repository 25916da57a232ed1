"""Displays: pictures of fronts, of training and of explanations, as objects like scikit-learn's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass
from functools import partial
from io import BytesIO
from os import PathLike
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from hyperrank.front.criteria import check_objectives
from hyperrank.front.selection import FrontData, Selection, labelled_fronts

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Display", "ExplanationDisplay", "ParetoFrontDisplay", "TrainingDisplay"]


class Display:
    """What is drawn and, once `plot` has been called, the picture, as scikit-learn's displays are.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
        A figure of its own is not registered with pyplot: there is nothing to close. For a window of
        pyplot's, pass axes of it: ``plot(ax=pyplot.figure().add_subplot())``.
    axes_ : list of matplotlib.axes.Axes
        The panels, without colour bars.
    ax_ : matplotlib.axes.Axes
        The first of them.
    """

    figure_: Figure
    axes_: list[Axes]

    @property
    def ax_(self) -> Axes:
        """The first panel."""
        return self.axes_[0]

    def savefig(self, path: str | PathLike[str] | BinaryIO, **options: Any) -> None:
        """Write the picture to a file, such as ``front.pdf``; ``figure_.savefig`` in short.

        Parameters
        ----------
        path : path or binary file
            Its ending says what to write: ``.png``, ``.pdf``, ``.svg``, ...
        **options
            As ``matplotlib.figure.Figure.savefig`` takes them.
        """
        self.figure_.savefig(path, **options)

    def _repr_png_(self) -> bytes | None:
        """The picture for notebooks; pyplot shows its own figures itself."""
        figure = getattr(self, "figure_", None)
        if figure is None or hasattr(figure, "number"):
            return None
        buffer = BytesIO()
        figure.savefig(buffer, format="png")
        return buffer.getvalue()


@contextmanager
def drawing() -> Iterator[None]:
    """Where matplotlib is imported: without it, an error that says what to install."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != "matplotlib":
            raise
        raise ImportError("Plots need matplotlib: pip install hyperrank[plot]") from error


class ExplanationData(Protocol):
    """What is drawn of an explanation; `hyperrank.explain.Explanation` has it."""

    @property
    def features(self) -> tuple[str, ...]: ...
    @property
    def objectives(self) -> tuple[str, ...]: ...
    @property
    def against(self) -> NDArray[np.float64]: ...
    @property
    def weights(self) -> NDArray[np.float64]: ...
    @property
    def metric(self) -> str: ...
    @property
    def change(self) -> NDArray[np.float64]: ...
    @property
    def change_error(self) -> NDArray[np.float64]: ...
    @property
    def direction(self) -> NDArray[np.float64]: ...
    @property
    def drops(self) -> NDArray[np.float64] | None: ...
    @property
    def order(self) -> NDArray[np.int64]: ...
    @property
    def importances(self) -> NDArray[np.float64]: ...
    @property
    def importance_errors(self) -> NDArray[np.float64]: ...


@dataclass(eq=False, repr=False)
class ExplanationDisplay(Display):
    """Bar chart of the features that drive a change of trade-off, with importances by objective.

    `from_estimator` makes and draws it; so does ``ranker.explain(...).plot()``. Drawing needs
    ``pip install hyperrank[plot]``.

    Parameters
    ----------
    explanation : Explanation

    Attributes
    ----------
    axes_ : list of matplotlib.axes.Axes
        Shares of the change and, with labels, importances for each objective.

    Examples
    --------
    >>> from hyperrank import ExplanationDisplay, MixedScoresRanker, datasets
    >>> data = datasets.make_multilabel_ranking(n_queries=20, n_features=4, n_objectives=2, random_state=0)
    >>> ranker = MixedScoresRanker(booster_params={"num_boost_round": 5}, random_state=0)
    >>> ranker = ranker.fit(data.X, data.Y, qid=data.qid)
    >>> display = ExplanationDisplay.from_estimator(
    ...     ranker, data.X, qid=data.qid, weights=[1, 0], against=[0, 1], n_repeats=1
    ... )
    >>> len(display.axes_)
    1
    """

    explanation: ExplanationData

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        qid: Any,
        weights: Any,
        ax: Axes | None = None,
        n_features: int = 12,
        width: float | str | None = None,
        **options: Any,
    ) -> ExplanationDisplay:
        """Explain and draw.

        Parameters
        ----------
        estimator : ranker
            Fitted, with ``explain``.
        X, y, qid, weights
            As ``explain`` takes them.
        ax, n_features, width
            As `plot` takes them.
        **options
            As ``explain`` takes them.

        Returns
        -------
        ExplanationDisplay
        """
        explanation = estimator.explain(X, y, qid=qid, weights=weights, **options)
        return cls(explanation).plot(ax, n_features=n_features, width=width)

    def plot(
        self, ax: Axes | None = None, *, n_features: int = 12, width: float | str | None = None
    ) -> ExplanationDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Whose place to draw in; a figure of its own by default.
        n_features : int, default 12
            How many features, those first that drive the change most.
        width : float, "column" or "page", optional
            Inches of the figure, or those of a paper's column or page.

        Returns
        -------
        ExplanationDisplay
            Itself, with ``figure_`` and ``axes_``.

        Raises
        ------
        ImportError
            Without matplotlib.
        """
        if n_features < 1:
            raise ValueError(f"n_features must be at least 1; got {n_features!r}.")
        with drawing():
            from hyperrank.plots._draw import draw_explanation
        self.figure_, self.axes_ = draw_explanation(self.explanation, ax, n_features=n_features, width=width)
        return self


#: Fronts to draw beside, perhaps by label.
Others = FrontData | Sequence[FrontData] | Mapping[str, FrontData]
KINDS = ("auto", "plane", "pairs", "parallel", "segments")


@dataclass(eq=False, repr=False)
class ParetoFrontDisplay(Display):
    """Plot of a front, with baselines and a selection.

    `from_estimator` and `from_front` make and draw it; so does ``front.plot()``. Drawing needs
    ``pip install hyperrank[plot]``.

    Parameters
    ----------
    front : ParetoFront
        What to draw.
    others : sequence of ParetoFront
        Baselines to draw beside, under their labels.
    selection : Selection, optional
        A trade-off of the front to mark, with its limits.

    Attributes
    ----------
    axes_ : list of matplotlib.axes.Axes
        The panels: one, one for each pair of objectives, or one for each front.

    Examples
    --------
    >>> from hyperrank import ParetoFront, ParetoFrontDisplay
    >>> front = ParetoFront([[0.42, 0.30], [0.35, 0.40]], [[1, 0], [0, 1]], names=["relevance", "clicks"])
    >>> display = ParetoFrontDisplay.from_front(front, selection=front.select(maximize="clicks"))
    >>> display.ax_.get_xlabel()
    'relevance (ndcg@10)'
    """

    front: FrontData
    _: KW_ONLY
    others: Sequence[FrontData] = ()
    selection: Selection | None = None

    @classmethod
    def from_front(
        cls,
        front: FrontData,
        *,
        others: Others = (),
        selection: Selection | None = None,
        **options: Any,
    ) -> ParetoFrontDisplay:
        """Draw a front that has been profiled.

        Parameters
        ----------
        front : ParetoFront
        others : ParetoFront, sequence of them or mapping of label to ParetoFront
            Baselines, of the same objectives and metric.
        selection : Selection, optional
            A trade-off of the front to mark.
        **options
            As `plot` takes them.

        Returns
        -------
        ParetoFrontDisplay
        """
        return cls(front, others=labelled_fronts(others), selection=selection).plot(**options)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        qid: Any = None,
        others: Any = (),
        weights: Any = None,
        metric: Any = None,
        at_least: Mapping[str, float] | None = None,
        name: str | None = None,
        **options: Any,
    ) -> ParetoFrontDisplay:
        """Profile a fitted ranker, and baselines, on the same queries, and draw what they reach.

        Parameters
        ----------
        estimator : ranker
            Fitted, with ``pareto_front``.
        X, y, qid, weights, metric
            As ``pareto_front`` takes them; queries that were not trained on.
        others : mapping of label to ranker or ParetoFront, or a sequence or one of them
            Baselines: fitted rankers, profiled here at their own trade-offs, or fronts.
        at_least : mapping of objective to share, optional
            Marks the trade-off that ``front.select(at_least=...)`` picks.
        name : str, optional
            What to call the ranker; its class by default.
        **options
            As `plot` takes them.

        Returns
        -------
        ParetoFrontDisplay

        Raises
        ------
        TypeError
            If an estimator has no front.
        """
        front = _profiled(estimator, X, y, qid=qid, weights=weights, metric=metric, label=name)
        profile = partial(_profiled, X=X, y=y, qid=qid, metric=front.metric)
        selection = None if at_least is None else front.select(at_least)
        return cls(front, others=labelled_fronts(others, profile), selection=selection).plot(**options)

    def plot(
        self,
        objectives: str | Sequence[str] | None = None,
        ax: Axes | None = None,
        *,
        kind: str = "auto",
        width: float | str | None = None,
        interval: float | None = None,
    ) -> ParetoFrontDisplay:
        """Draw.

        Parameters
        ----------
        objectives : str or sequence of str, optional
            What to draw; all objectives by default. The weight of the first colours the trade-offs.
        ax : matplotlib.axes.Axes, optional
            Where to draw; several panels share its place. A figure of its own by default.
        kind : {"auto", "plane", "pairs", "parallel", "segments"}, default "auto"
            By default two objectives are a plane, three every pair of them, and more parallel coordinates:
            an axis for each objective and a line for each trade-off, baselines in panels below on the same
            axes. ``"segments"`` shows the selection alone, of a front by segment: its change from the
            baseline in each, with 90% intervals, red where it surely loses.
        width : float, "column" or "page", optional
            Inches of the figure, or those of a paper's column or page.
        interval : float, optional
            Marks where the selection's values lie in this middle share of resamples of the queries; see
            `Selection.interval`.

        Returns
        -------
        ParetoFrontDisplay
            Itself, with ``figure_`` and ``axes_``.

        Raises
        ------
        ImportError
            Without matplotlib.
        ValueError
            If objectives are unknown, baselines measure something else, or the kind does not fit.
        """
        shown = list(self.front.names) if objectives is None else objectives
        names = [shown] if isinstance(shown, str) else list(shown)
        self._check(names)
        how = _kind(kind, len(names))
        if interval is not None and self.selection is None:
            raise ValueError("interval is of a selection: pass selection=, or at_least= to from_estimator.")
        with drawing():
            from hyperrank.plots._draw import FRONT_PICTURES, Picture
        picture = Picture(self.front, names, self.others, self.selection, width, interval)
        self.figure_, self.axes_ = FRONT_PICTURES[how](picture, ax)
        return self

    def _check(self, objectives: list[str]) -> None:
        front = self.front
        check_objectives(objectives, front.points.columns, "objectives")
        if not objectives or len(set(objectives)) < len(objectives):
            raise ValueError(f"objectives must name at least one objective, each once; got {objectives}.")
        selection = self.selection
        if selection is not None and not isinstance(selection, Selection):
            raise TypeError(
                "selection must be what select, knee or nearest of the front gave; "
                f"got a {type(selection).__name__}."
            )
        known = list(objectives if selection is None else selection.values.index)
        unknown = [name for name in objectives if name not in known]
        if unknown:
            raise ValueError(
                f"selection is of a front of {known} and knows no {unknown}: pass one of the drawn front."
            )
        for other in self.others:
            check_objectives(objectives, other.points.columns, "objectives (for others)")
            if other.metric != front.metric:
                raise ValueError(f"others must share the metric {front.metric!r}; got {other.metric!r}.")


def _kind(kind: str, n_objectives: int) -> str:
    """The kind of picture, for so many objectives."""
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}; got {kind!r}.")
    if kind == "segments":
        return kind
    if n_objectives < 2 or (kind == "plane" and n_objectives > 2):
        drawn = "two objectives" + " or more" * (kind != "plane")
        raise ValueError(f"kind={kind!r} draws {drawn}, not {n_objectives}: pass objectives=[...].")
    return {2: "plane", 3: "pairs"}.get(n_objectives, "parallel") if kind == "auto" else kind


def _profiled(estimator: Any, X: Any, y: Any, **options: Any) -> FrontData:
    if not hasattr(estimator, "pareto_front"):
        raise TypeError(
            f"a {type(estimator).__name__} has no front: pass a ranker with pareto_front, or a ParetoFront."
        )
    front: FrontData = estimator.pareto_front(X, y, **options)
    return front


@dataclass(eq=False, repr=False)
class TrainingDisplay(Display):
    """Loss by epoch, and hypervolume of the validation front with the best epoch.

    `from_estimator` makes and draws it; so does ``ranker.plot_training()``. Drawing needs
    ``pip install hyperrank[plot]``.

    Parameters
    ----------
    history : sequence of mapping
        For each epoch ``epoch`` and ``loss``, and ``score`` where the validation front was looked at.
    best_epoch : int, optional
        The epoch whose parameters are used.
    name : str, optional
        A title.

    Attributes
    ----------
    axes_ : list of matplotlib.axes.Axes
        The panels: loss; hypervolume, with validation.

    Examples
    --------
    >>> from hyperrank import HyperDPORanker, TrainingDisplay, datasets
    >>> data = datasets.make_multilabel_ranking(n_queries=60, n_objectives=2, random_state=0)
    >>> ranker = HyperDPORanker(max_epochs=3, random_state=0).fit(data.X, data.Y, qid=data.qid)
    >>> display = TrainingDisplay.from_estimator(ranker)
    >>> len(display.history), display.ax_.get_ylabel()
    (3, 'loss')
    """

    history: Sequence[Mapping[str, float]]
    _: KW_ONLY
    best_epoch: int | None = None
    name: str | None = None

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        ax: Axes | None = None,
        width: float | str | None = None,
        name: str | None = None,
    ) -> TrainingDisplay:
        """Draw how a fitted ranker was trained.

        Parameters
        ----------
        estimator : ranker
            Fitted, with ``history_``: networks have one, boosters do not.
        ax, width
            As `plot` takes them.
        name : str, optional
            A title; none by default.

        Returns
        -------
        TrainingDisplay

        Raises
        ------
        NotFittedError
            Before fit.
        TypeError
            If the ranker has no history.
        """
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(estimator)
        history = getattr(estimator, "history_", None)
        if not history:
            raise TypeError(
                f"a {type(estimator).__name__} has no history of its training; HyperDPORanker has."
            )
        best_epoch = getattr(estimator, "best_epoch_", None)
        return cls(history, best_epoch=best_epoch, name=name).plot(ax, width=width)

    def plot(self, ax: Axes | None = None, *, width: float | str | None = None) -> TrainingDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Whose place to draw in; a figure of its own by default.
        width : float, "column" or "page", optional
            Inches of the figure, or those of a paper's column or page.

        Returns
        -------
        TrainingDisplay
            Itself, with ``figure_`` and ``axes_``.

        Raises
        ------
        ImportError
            Without matplotlib.
        """
        with drawing():
            from hyperrank.plots._draw import draw_training
        self.figure_, self.axes_ = draw_training(self, ax, width=width)
        return self
