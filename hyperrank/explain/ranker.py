"""Methods `explain` and `plot_training` of rankers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from hyperrank._checks import check_number
from hyperrank.explain.explanation import Explanation
from hyperrank.explain.permutation import Task, check_within, explain_change, named_columns
from hyperrank.lists import QueryLists
from hyperrank.metrics import Metric, parse_metric
from hyperrank.plots import TrainingDisplay
from hyperrank.rankers.inputs import GroupedFeatures, LabelledLists, read_features, split_qid
from hyperrank.reference import take_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes


__all__ = ["ExplainedMixin"]


class ExplainedMixin:
    """``explain`` and ``plot_training`` of every ranker."""

    def explain(
        self: Any,
        X: Any,
        y: Any = None,
        *,
        qid: ArrayLike | None = None,
        weights: ArrayLike | Mapping[str, float],
        against: ArrayLike | Mapping[str, float] | None = None,
        features: Sequence[Any] | Mapping[str, Any] | None = None,
        metric: str | Metric | None = None,
        within: str = "query",
        n_repeats: int = 5,
        max_rows: int | None = 5_000,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        **options: Any,
    ) -> Explanation:
        """Explain the rank change between two trade-offs by permuting features.

        Parameters
        ----------
        X : array-like or frame of shape (n, d)
            Features, of queries that were not trained on; a frame may carry the query ids in a column `qid`.
        y : array-like of shape (n, m), optional
            Labels >= 0, NaN where unobserved. With them each objective's metric is looked at too, as in
            scikit-learn's permutation importance; the change of the ranking needs none.
        qid : array-like of shape (n,)
            Query ids.
        weights : array-like of shape (m,) or (2, m), mapping or Selection
            The trade-off that the change is to; or two, from the first to the second.
        against : array-like of shape (m,), mapping or Selection, optional
            The trade-off that the change is from; by default what ``predict`` takes where it is given none.
        features : sequence of str or int, or mapping of str to such, optional
            Features to permute; or groups of them, by name, each permuted as one: features that say the same
            cover for each other where they are permuted alone. By default all, one by one.
        metric : str or Metric, optional
            By default that of the ranker.
        within : {"query", "all"}, default "query"
            Documents among which values are permuted. Within its query, a feature keeps the values that the
            query has, and one that is the same for the whole query has no say in what is permuted; among
            ``"all"``, as scikit-learn does it, documents get values that no document of their query has.
        n_repeats : int, default 5
            Permutations of each feature.
        max_rows : int or None, default 5,000
            Documents to look at, at most: whole queries are drawn until there are as many. None takes all.
        random_state : int, RandomState or None, default None
            Makes the result repeatable.
        n_jobs : int, optional
            Processes, each with a copy of the ranker; one by default.
        verbose : int, default 0
            1 shows a progress bar.
        **options
            Passed on to the scoring, such as ``temperature``.

        Returns
        -------
        Explanation

        Raises
        ------
        NotFittedError
            Before fit.
        ValueError
            If there is one objective alone, query ids are missing, trade-offs or features are unknown, or
            both trade-offs rank all queries alike.

        Examples
        --------
        >>> from hyperrank import HyperDPORanker, datasets
        >>> data = datasets.make_multilabel_ranking(60, n_features=4, n_objectives=2, random_state=0)
        >>> ranker = HyperDPORanker(max_epochs=2, random_state=0).fit(data.X, data.Y, qid=data.qid)
        >>> found = ranker.explain(data.X, qid=data.qid, weights=[[1, 0], [0, 1]], random_state=0)
        >>> sorted(found.top(4))
        ['x0', 'x1', 'x2', 'x3']
        """
        check_is_fitted(self)
        pair = _pair(self, weights, against)
        check_within(within)
        repeats = int(check_number("n_repeats", n_repeats, at_least=1, whole=True))
        columns = named_columns(features, getattr(self, "feature_names_in_", None), self.n_features_in_)
        if split_qid(X, qid)[1] is None:
            raise ValueError(
                "explain needs qid, one query id per row, to know which documents are ranked together; "
                "if all rows are of one query, pass np.zeros(len(X))."
            )
        seed = int(check_random_state(random_state).randint(np.iinfo(np.int32).max + 1))
        ref_scores = options.pop("ref_scores", None)
        if y is None:
            data = read_features(self, X, qid, reset=False, ref_scores=ref_scores)
        else:
            data = self._read(X, y, qid, ref_scores)
        rows, lists = data.lists.take(_sampled_lists(data.lists, max_rows, seed))
        task = Task(
            X=data.X[rows],
            frame=_dense(take_rows(data.frame, rows)),
            lists=lists,
            Y=data.Y[rows] if isinstance(data, LabelledLists) else None,
            score=_Scoring(
                self,
                pair,
                lists,
                None if data.ref_scores is None else data.ref_scores[rows],
                options,
            ),
            metric=self._metric() if metric is None else parse_metric(metric),
            within=within,
            n_repeats=repeats,
            seed=seed,
        )
        return explain_change(
            task, columns, objectives=self.objectives_, weights=pair, n_jobs=n_jobs, verbose=verbose
        )

    def plot_training(
        self,
        ax: Axes | None = None,
        *,
        trial: bool = False,
        width: float | str | None = None,
        name: str | None = None,
    ) -> TrainingDisplay:
        """Draw how the ranker was trained; needs ``pip install hyperrank[plot]``.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Whose place to draw in; a figure of its own by default.
        trial : bool, default False
            Whether to draw the tuning before the fit too.
        width : float, "column" or "page", optional
            Inches of the figure, or those of a paper's column or page.
        name : str, optional
            A title.

        Returns
        -------
        TrainingDisplay

        Raises
        ------
        NotFittedError
            Before fit.
        TypeError
            If the ranker has no history, as those of boosters alone.
        """
        return TrainingDisplay.from_estimator(self, ax=ax, trial=trial, width=width, name=name)


@dataclass(frozen=True)
class _Scoring:
    """Scores of changed features under two trade-offs; goes to other processes with the ranker."""

    ranker: Any
    weights: NDArray[np.float64]
    lists: QueryLists
    ref_scores: NDArray[np.float64] | None
    options: dict[str, Any] = field(default_factory=dict)

    def __call__(self, X: NDArray[np.float32], frame: Any) -> NDArray[np.floating[Any]]:
        data = GroupedFeatures(X, self.lists, frame, self.ref_scores)
        return self.ranker._scores(data, self.weights, **self.options)


def _pair(ranker: Any, weights: Any, against: Any) -> NDArray[np.float64]:
    """The two trade-offs, shape (2, m)."""
    if len(ranker.objectives_) < 2:
        raise ValueError(
            f"the ranker has one objective, {ranker.objectives_[0]}: there are no trade-offs to explain."
        )
    to = np.atleast_2d(ranker._weights(weights))
    if len(to) == 2 and against is None:
        pair = to
    else:
        pair = np.concatenate([np.atleast_2d(ranker._weights(against)), to])
    if len(pair) != 2:
        given = "" if against is None else f" and {len(pair) - len(to)} in against"
        raise ValueError(
            "explain takes two trade-offs: two in weights, or one there and one in against; "
            f"got {len(to)} in weights{given}."
        )
    if np.allclose(pair[0], pair[1]):
        raise ValueError(f"both trade-offs are {pair[0].tolist()}: there is no change to explain.")
    return np.asarray(pair)


def _sampled_lists(lists: QueryLists, max_rows: int | None, seed: int) -> NDArray[np.int64]:
    """Numbers of the lists to look at: all, or a random sample of at most `max_rows` rows."""
    if max_rows is None or lists.n_rows <= check_number("max_rows", max_rows, at_least=1, whole=True):
        return np.arange(lists.n_lists, dtype=np.int64)
    order = np.random.default_rng(seed).permutation(lists.n_lists)
    fits = int((np.cumsum(lists.sizes[order]) <= max_rows).sum())
    return np.sort(order[: max(1, fits)]).astype(np.int64)


def _dense(frame: Any) -> Any:
    """Sparse features as an array: columns of it are replaced."""
    return frame.toarray() if hasattr(frame, "toarray") else frame
