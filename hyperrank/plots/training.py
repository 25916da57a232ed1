"""The display of a run of training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hyperrank.plots.display import Display, drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["TrainingDisplay"]


class TrainingDisplay(Display):
    """Loss by epoch, the validation front's hypervolume with the epoch that was kept, and what a trial tried.

    `from_estimator` makes and draws it; so does ``ranker.plot_training()``. Drawing needs
    ``pip install hyperrank[plot]``.

    Parameters
    ----------
    history : sequence of mapping
        For each epoch ``epoch`` and ``loss``, and ``score`` where the validation front was looked at.
    best_epoch : int, optional
        The epoch whose parameters were kept.
    tried : sequence of mapping, optional
        What a trial before the fit tried: ``dropout``, ``epochs``, ``pull``, ``utility``.
    chosen : tuple of two floats, optional
        Dropout and pull that the trial chose.
    name : str, optional
        A title.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
        What `plot` drew; not registered with pyplot unless `ax` was.
    axes_ : list of matplotlib.axes.Axes
        The panels: loss; hypervolume, with validation; the trial, if wanted.
    ax_ : matplotlib.axes.Axes
        The first of them.

    Examples
    --------
    >>> from hyperrank import HyperDPORanker, TrainingDisplay, datasets
    >>> data = datasets.make_multilabel_ranking(n_queries=60, n_objectives=2, random_state=0)
    >>> ranker = HyperDPORanker(max_epochs=3, random_state=0).fit(data.X, data.Y, qid=data.qid)
    >>> display = TrainingDisplay.from_estimator(ranker)
    >>> len(display.history), display.ax_.get_ylabel()
    (3, 'loss')
    """

    def __init__(
        self,
        history: Sequence[Mapping[str, float]],
        *,
        best_epoch: int | None = None,
        tried: Sequence[Mapping[str, float]] = (),
        chosen: tuple[float, float] | None = None,
        name: str | None = None,
    ) -> None:
        self.history = list(history)
        self.best_epoch = best_epoch
        self.tried = list(tried)
        self.chosen = chosen
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        ax: Axes | None = None,
        trial: bool = False,
        width: float | str | None = None,
        name: str | None = None,
    ) -> TrainingDisplay:
        """Draw how a fitted ranker was trained.

        Parameters
        ----------
        estimator : ranker
            Fitted, with ``history_``: networks have one, boosters do not.
        ax, trial, width
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
            If the ranker keeps no history.
        """
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(estimator)
        history = getattr(estimator, "history_", None)
        if not history:
            raise TypeError(
                f"a {type(estimator).__name__} keeps no history of its training; HyperDPORanker does."
            )
        found = getattr(estimator, "trial_", None)
        return cls(
            history,
            best_epoch=getattr(estimator, "best_epoch_", None),
            tried=() if found is None else found.tried,
            chosen=None if found is None else (found.dropout, found.pull),
            name=name,
        ).plot(ax, trial=trial, width=width)

    def plot(
        self, ax: Axes | None = None, *, trial: bool = False, width: float | str | None = None
    ) -> TrainingDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Whose place to draw in; a figure of its own by default.
        trial : bool, default False
            Whether to draw what the trial tried too: the utility that each length of training reached on
            held-out queries, by how hard the objectives pull away from the reference.
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
        ValueError
            If a trial is wanted and there was none.
        """
        if trial and not self.tried:
            raise ValueError("there was no trial to draw: fit has one with 100 queries or more.")
        with drawing():
            from hyperrank.plots.curves import draw_training
        self.figure_, self.axes_ = draw_training(self, ax, trial=trial, width=width)
        return self
