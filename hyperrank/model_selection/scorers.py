"""Scorers for scikit-learn's searches that carry query ids and trade-offs to predict and to the metric."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.metadata_routing import UNUSED

from hyperrank.front import ParetoFront
from hyperrank.metrics import Metric, parse_metric
from hyperrank.model_selection.judged import JudgedRanker, ListMetric, judge

__all__ = ["HypervolumeScorer", "RankingScorer", "make_hypervolume_scorer", "make_ranking_scorer"]


class _QueryScorer(BaseEstimator):
    """What the scorers share: scikit-learn's call with query ids, and how metadata reach it.

    Being an estimator gives it a repr, ``clone``, ``get_params`` and ``set_score_request``.
    """

    # Asked for beforehand, so that in a search with metadata routing fit(X, y, qid=qid) is enough.
    __metadata_request__score = {  # noqa: RUF012 - scikit-learn reads the class attribute
        "estimator": UNUSED,
        "qid": True,
        "sample_weight": True,
        "ref_scores": True,
    }

    metric: Any

    def __call__(self, estimator: Any, X: Any, y: Any, **metadata: Any) -> float:
        """Score a fitted ranker; the same as `score`."""
        return self.score(estimator, X, y, **metadata)

    def score(
        self,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        qid: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        ref_scores: ArrayLike | None = None,
    ) -> float:
        """Score a fitted ranker.

        Parameters
        ----------
        estimator : estimator
            A fitted ranker, or a Pipeline or search around one.
        X : array-like, sparse matrix or frame of shape (n, d)
            Features.
        y : array-like or frame of shape (n,) or (n, m)
            Labels >= 0, NaN where unobserved.
        qid : array-like of shape (n,), optional
            Query ids; needed unless `X` has a column ``qid``.
        sample_weight : array-like of shape (n,), optional
            A query counts as the mean of its rows' weights.
        ref_scores : array-like of shape (n,), optional
            The reference's scores, for rankers with ``reference="scores"``.

        Returns
        -------
        float
            Never NaN.

        Raises
        ------
        ValueError
            If there are no query ids, an objective is unknown, or there is nothing to measure.
        """
        return self._value(
            judge(estimator, X, y, qid=qid, sample_weight=sample_weight, ref_scores=ref_scores)
        )

    def _value(self, judged: JudgedRanker) -> float:
        raise NotImplementedError

    def _measured(self, judged: JudgedRanker, at: NDArray[np.float64], needed: Any) -> NDArray[np.float64]:
        """Means of shape (k, m), all there for the objectives needed."""
        metric = _metric(self.metric)
        means = judged.measure(metric, at)
        missing = np.isnan(means).any(axis=0) & needed
        if missing.any():
            names = [judged.names[j] for j in np.flatnonzero(missing)]
            why = "none has a label above 0 there" if isinstance(metric, Metric) else "it gave NaN for each"
            raise ValueError(
                f"{_name(metric)} measures nothing for objectives {names} on these {judged.lists.n_lists} "
                f"queries: {why}. Use fewer folds, or leave the objective out."
            )
        return means

    def _accept_sample_weight(self) -> bool:
        # What scikit-learn asks scorers in a dict of scorers while metadata routing is off.
        return True


class RankingScorer(_QueryScorer):
    """Made by `make_ranking_scorer`."""

    def __init__(
        self,
        metric: str | Metric | ListMetric = "ndcg@10",
        *,
        objective: str | int | None = None,
        weights: ArrayLike | Mapping[str, float] | None = None,
    ) -> None:
        self.metric = metric
        self.objective = objective
        self.weights = weights

    def _value(self, judged: JudgedRanker) -> float:
        at = judged.trade_off(self.weights)
        counts = at if self.objective is None else np.eye(len(at))[self._column(judged.names)]
        means = self._measured(judged, at[None], counts > 0)[0]
        return float(means[counts > 0] @ counts[counts > 0])

    def _column(self, names: tuple[str, ...]) -> int:
        """Number of the objective asked for."""
        wanted: Any = self.objective
        if wanted in names:
            return names.index(wanted)
        if _is_whole(wanted) and 0 <= wanted < len(names):
            return int(wanted)
        raise ValueError(
            f"objective {self.objective!r} is unknown; known are {list(names)}, by name or position from 0."
        )


class HypervolumeScorer(_QueryScorer):
    """Made by `make_hypervolume_scorer`."""

    def __init__(
        self,
        metric: str | Metric | ListMetric = "ndcg@10",
        *,
        weights: ArrayLike | int | None = None,
        reference_point: float | ArrayLike | Mapping[str, float] = 0.0,
    ) -> None:
        self.metric = metric
        self.weights = weights
        self.reference_point = reference_point

    def _value(self, judged: JudgedRanker) -> float:
        at = judged.trade_offs(self.weights)
        points = self._measured(judged, at, True)
        # A ranker without trade-offs gives one point, which stands for all of them.
        return ParetoFront(points, at[: len(points)], names=judged.names).hypervolume(self.reference_point)


def make_ranking_scorer(
    metric: str | Metric | Callable[[Any, Any], float] = "ndcg@10",
    *,
    objective: str | int | None = None,
    weights: ArrayLike | Mapping[str, float] | None = None,
) -> RankingScorer:
    """Make a scorer of one trade-off, for scikit-learn's searches and cross-validation.

    Query ids and weights go to ``predict``, as far as the ranker takes them, and query ids to the metric. The
    ranker may be any: of hyperrank, or one whose ``predict`` takes features alone, and may stand in
    pipelines and searches. With metadata routing on, ``fit(X, y, qid=qid)`` of a search is enough;
    with it off, the ids must be in a column ``qid`` of X.

    Parameters
    ----------
    metric : str, Metric or callable, default "ndcg@10"
        What to measure: a name, or a function ``metric(scores, labels)`` of the scores and labels of one
        list, whose values (NaN to skip a list) are averaged.
    objective : str or int, optional
        The objective to measure, by name or position; by default the mean over objectives under the weights.
    weights : array-like of shape (m,) or mapping of objective to weight, optional
        The trade-off to rank by; the ranker's default, equal weights, if left out.

    Returns
    -------
    RankingScorer
        ``scorer(estimator, X, y, qid=..., sample_weight=...)``, the higher the better. Where an objective
        cannot be measured it raises a ValueError; pass ``error_score="raise"`` to searches, which otherwise
        make NaN of it.

    Raises
    ------
    ValueError
        If the metric is unknown, or the objective is neither a name nor a position.

    Examples
    --------
    >>> from hyperrank import MixedScoresRanker, datasets
    >>> data = datasets.make_multilabel_ranking(n_queries=60, n_objectives=2, random_state=0)
    >>> ranker = MixedScoresRanker(random_state=0).fit(data.X, data.Y, qid=data.qid)
    >>> scorer = make_ranking_scorer("ndcg@10", objective=0, weights=[0.7, 0.3])
    >>> scorer
    RankingScorer(objective=0, weights=[0.7, 0.3])
    >>> 0 < scorer(ranker, data.X, data.Y, qid=data.qid) < 1
    True
    """
    _metric(metric)
    if not (objective is None or isinstance(objective, str) or _is_whole(objective)):
        raise ValueError(f"objective must be a name, a position or None; got {objective!r}.")
    return RankingScorer(metric, objective=objective, weights=weights)


def make_hypervolume_scorer(
    metric: str | Metric | Callable[[Any, Any], float] = "ndcg@10",
    *,
    weights: ArrayLike | int | None = None,
    reference_point: float | ArrayLike | Mapping[str, float] = 0.0,
) -> HypervolumeScorer:
    """Make a scorer of the whole front, for scikit-learn's searches and cross-validation.

    The ranker predicts at every trade-off, each gives a point with one value of the metric per objective, and
    the score is the volume that the points dominate. A ranker that knows no trade-offs gives one point. How
    query ids arrive is as for `make_ranking_scorer`.

    Parameters
    ----------
    metric : str, Metric or callable, default "ndcg@10"
        What to measure, as for `make_ranking_scorer`.
    weights : array-like of shape (k, m) or int, optional
        The trade-offs; a number makes an even lattice of up to as many. By default those at which the
        ranker's ``pareto_front`` is profiled.
    reference_point : float, array-like of shape (m,) or mapping of objective to float, default 0
        The corner to measure from. Fronts are comparable only under the same one.

    Returns
    -------
    HypervolumeScorer
        ``scorer(estimator, X, y, qid=..., sample_weight=...)``, the higher the better. Where an objective
        cannot be measured it raises a ValueError; pass ``error_score="raise"`` to searches, which otherwise
        make NaN of it.

    Raises
    ------
    ValueError
        If the metric is unknown, or a number of weights is below 1.

    Examples
    --------
    >>> from hyperrank import MixedScoresRanker, datasets
    >>> data = datasets.make_multilabel_ranking(n_queries=60, n_objectives=2, random_state=0)
    >>> ranker = MixedScoresRanker(random_state=0).fit(data.X, data.Y, qid=data.qid)
    >>> scorer = make_hypervolume_scorer("ndcg@10")
    >>> front = ranker.pareto_front(data.X, data.Y, qid=data.qid)
    >>> abs(scorer(ranker, data.X, data.Y, qid=data.qid) - front.hypervolume()) < 1e-6
    True
    """
    _metric(metric)
    number: Any = weights
    if isinstance(number, bool) or (_is_whole(number) and number < 1):
        raise ValueError(f"weights must be a number of at least 1, or weights; got {weights!r}.")
    return HypervolumeScorer(metric, weights=weights, reference_point=reference_point)


def _metric(metric: Any) -> Metric | ListMetric:
    """A metric by its name, or a function of the user's own."""
    named = isinstance(metric, str | Metric) or not callable(metric)
    return parse_metric(metric) if named else metric


def _name(metric: Any) -> str:
    return str(metric) if isinstance(metric, Metric) else getattr(metric, "__name__", repr(metric))


def _is_whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)
