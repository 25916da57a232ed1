"""The display of what drives the change between two trade-offs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hyperrank.plots.display import Display, drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from hyperrank.explaining import Explanation

__all__ = ["ExplanationDisplay"]


class ExplanationDisplay(Display):
    """The features that drive the change between two trade-offs, as bars; importances by objective beside.

    `from_estimator` makes and draws it; so does ``ranker.explain(...).plot()``. Drawing needs
    ``pip install hyperrank[plot]``.

    Parameters
    ----------
    explanation : Explanation

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
        What `plot` drew; not registered with pyplot unless `ax` was.
    axes_ : list of matplotlib.axes.Axes
        Shares of the change and, with labels, importances for each objective.
    ax_ : matplotlib.axes.Axes
        The first of them.

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

    def __init__(self, explanation: Explanation) -> None:
        self.explanation = explanation

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
        found = estimator.explain(X, y, qid=qid, weights=weights, **options)
        return cls(found).plot(ax, n_features=n_features, width=width)

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
            from hyperrank.plots.bars import draw_explanation
        self.figure_, self.axes_ = draw_explanation(self.explanation, ax, n_features=n_features, width=width)
        return self
