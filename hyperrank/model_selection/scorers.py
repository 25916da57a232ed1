"""Scorers for scikit-learn's searches, with query ids and trade-offs for predict and the metric."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
import pandas as pd
import sklearn
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.metadata_routing import UNUSED, get_routing_for_object

from hyperrank._checks import is_whole, position_in
from hyperrank._columns import n_rows_of
from hyperrank.front.pareto_front import ParetoFront
from hyperrank.front.selection import resolve_trade_off
from hyperrank.lists import QueryLists
from hyperrank.metrics import Metric, parse_metric
from hyperrank.metrics.registry import ListMetric
from hyperrank.rankers.base import BaseRanker, list_shares
from hyperrank.rankers.data import warn_of_other_units
from hyperrank.rankers.inputs import has_names, read_labels, split_qid
from hyperrank.rankers.profile import FRONT_WEIGHTS, MAX_SCORES
from hyperrank.simplex import as_weights, lattice_near
from hyperrank.weights import TRADE_OFF

#: Weights of shape (k, m), and the options of predict with the temperature that they carry.
WeightsAndOptions = tuple[NDArray[np.float64], dict[str, Any]]


@dataclass(frozen=True)
class Evaluation:
    """Evaluation adapter: a fitted ranker of any library, unwrapped, and labelled rows to measure it on.

    `share` is how much each list counts; `metadata` what the caller gave beside X.
    """

    ranker: Any
    X: Any
    labels: NDArray[np.float32]
    names: tuple[str, ...]
    lists: QueryLists
    share: NDArray[np.float64]
    metadata: dict[str, Any]

    def trade_off(self, weights: ArrayLike | Mapping[str, float] | None) -> WeightsAndOptions:
        """The one trade-off, weights of shape (1, m); the ranker's default for None."""
        weights, options = self._resolved(weights)
        if isinstance(self.ranker, BaseRanker):
            at = self.ranker._weights(weights)
        else:
            m = len(self.names)
            at = np.full(m, 1 / m) if weights is None else as_weights(weights, m, self.names)
        if at.ndim != 1:
            raise ValueError(f"this scorer takes one trade-off; got weights of shape {at.shape}.")
        return at[None], options

    def trade_offs(self, weights: ArrayLike | int | None) -> WeightsAndOptions:
        """The trade-offs, shape (k, m): a number asks for an even lattice, None for the default."""
        m = len(self.names)
        if weights is None and isinstance(self.ranker, BaseRanker):
            return np.atleast_2d(self.ranker._default_weights()), {}
        if weights is None or is_whole(weights):
            return lattice_near(m, FRONT_WEIGHTS if weights is None else int(weights)), {}
        weights, options = self._resolved(weights)
        return np.atleast_2d(as_weights(weights, m, self.names)), options

    def _resolved(self, weights: Any) -> tuple[Any, dict[str, Any]]:
        """Weights without the temperature that they carry, and the options of predict with it."""
        if isinstance(self.ranker, BaseRanker):
            return self.ranker._trade_off(weights, {})
        weights, temperature = resolve_trade_off(weights, None, self.names)
        if temperature in (None, 1.0):
            return weights, {}
        if not self._takes("temperature"):
            raise ValueError(
                f"weights are of temperature {temperature:g}, and a {type(self.ranker).__name__} has none."
            )
        return weights, {"temperature": temperature}

    def measure(self, metric: Metric, trade_offs: WeightsAndOptions) -> NDArray[np.float64]:
        """Means of the metric over lists, shape (k, m), or (1, m) of a ranker without trade-offs."""
        if not self._takes("weights"):
            return self._means(metric, self._predict())
        at, options = trade_offs
        n_blocks = min(len(at), -(-len(at) * self.lists.n_rows // MAX_SCORES))
        blocks: list[Any] = np.array_split(at, n_blocks)
        if isinstance(self.ranker, BaseRanker):  # as many trade-offs as rows are still trade-offs
            blocks = [pd.DataFrame(block).rename_axis(TRADE_OFF) for block in blocks]
        means = [self._means(metric, self._predict(weights=block, **options)) for block in blocks]
        return np.concatenate(means)

    def _takes(self, name: str) -> bool:
        return name in inspect.signature(self.ranker.predict).parameters

    def _predict(self, **options: Any) -> NDArray[np.float64]:
        """Scores of shape (n, k)."""
        options |= {name: value for name, value in self.metadata.items() if self._takes(name)}
        scores = np.asarray(self.ranker.predict(self.X, **options), dtype=np.float64)
        expected = (self.lists.n_rows, len(options["weights"]) if "weights" in options else 1)
        if scores.size != expected[0] * expected[1]:
            name = type(self.ranker).__name__
            raise ValueError(f"{name}.predict gave scores of shape {scores.shape}; expected {expected}.")
        return scores.reshape(expected)

    def _means(self, metric: Metric, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        values = metric(scores, self.labels, qid=self.lists, per_query=True)
        counts = np.where(np.isnan(values), 0.0, self.share[:, None, None])
        total = counts.sum(axis=0)
        means = np.full(total.shape, np.nan)
        return np.divide((np.nan_to_num(values) * counts).sum(axis=0), total, out=means, where=total > 0)


def evaluation_of(
    estimator: Any, X: Any, y: Any, *, qid: Any = None, sample_weight: Any = None, ref_scores: Any = None
) -> Evaluation:
    """Unwrap a fitted ranker, or a Pipeline or search around one, and check the rows to measure it on."""
    ids = split_qid(X, qid)[1]
    if ids is None:
        raise ValueError(
            "the scorer got no query ids, and would rank all rows as one list: turn metadata routing on and "
            "pass qid= to the search, or put the ids into a column 'qid' of a data frame X."
        )
    n_rows = n_rows_of(X)
    lists = QueryLists.from_qid(ids, n_rows)
    ranker, rows = _unwrap(estimator, X, ids)
    labels, names = _labels_for(ranker, y, n_rows)
    metadata = {"qid": ids} | ({} if ref_scores is None else {"ref_scores": ref_scores})
    return Evaluation(ranker, rows, labels, names, lists, list_shares(sample_weight, lists), metadata)


def _unwrap(estimator: Any, X: Any, qid: Any) -> tuple[Any, Any]:
    """What predicts in the end, and the rows as it takes them.

    Pipelines and searches pass on what was requested of them; the ranker itself takes all it knows.
    """
    while True:
        if hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif isinstance(estimator, FrozenEstimator):
            estimator = estimator.estimator
        elif isinstance(estimator, Pipeline):
            X = _transformed(estimator, X, qid)
            estimator = estimator.steps[-1][1]
        else:
            return estimator, X


def _transformed(pipeline: Pipeline, X: Any, qid: Any) -> Any:
    """The rows after all steps but the last, query ids given to those that ask for them."""
    if len(pipeline.steps) == 1:
        return X
    before = pipeline[:-1]
    routing = sklearn.get_config()["enable_metadata_routing"]
    asked = routing and get_routing_for_object(before).consumes("transform", ["qid"])
    return before.transform(X, **({"qid": qid} if asked else {}))


def _labels_for(ranker: Any, y: Any, n_rows: int) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Labels under the names that the ranker knows, or under their own."""
    if not isinstance(ranker, BaseRanker):
        return read_labels(y, n_rows)
    known = ranker.objectives_
    is_strict = getattr(ranker, "objectives", None) is None
    labels, _ = read_labels(y, n_rows, objectives=known if has_names(y) else None, is_strict=is_strict)
    if labels.shape[1] != len(known):
        raise ValueError(
            f"y has {labels.shape[1]} objectives; the ranker was fitted on {len(known)}: {list(known)}."
        )
    warn_of_other_units(ranker, labels, known, "y")
    return labels, known


class _QueryScorer(BaseEstimator):
    """Base of the scorers: scikit-learn's call with query ids, and metadata routing.

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
        """Score a fitted ranker, or a Pipeline or search around one; never NaN, rather a ValueError.

        Query ids are needed unless `X` has a column ``qid``; a query counts as the mean of its rows' weights.
        """
        return self._value(
            evaluation_of(estimator, X, y, qid=qid, sample_weight=sample_weight, ref_scores=ref_scores)
        )

    def _value(self, evaluation: Evaluation) -> float:
        raise NotImplementedError

    def _measured(
        self, evaluation: Evaluation, trade_offs: WeightsAndOptions, needed: Any
    ) -> NDArray[np.float64]:
        """Means of shape (k, m), all there for the objectives needed."""
        metric = parse_metric(self.metric)
        means = evaluation.measure(metric, trade_offs)
        missing = np.isnan(means).any(axis=0) & needed
        if missing.any():
            names = [evaluation.names[j] for j in np.flatnonzero(missing)]
            why = "none has a label above 0 there" if metric.function is None else "it gave NaN for each"
            raise ValueError(
                f"{metric} measures nothing for objectives {names} on these "
                f"{evaluation.lists.n_lists} queries: {why}. Use fewer folds, or leave the objective out."
            )
        return means

    def _accept_sample_weight(self) -> bool:
        # What scikit-learn asks scorers in a dict of scorers while metadata routing is off.
        return True


@dataclass(eq=False, repr=False)
class RankingScorer(_QueryScorer):
    """Made by `make_ranking_scorer`."""

    metric: str | Metric | ListMetric = "ndcg@10"
    _: KW_ONLY
    objective: str | int | None = None
    weights: ArrayLike | Mapping[str, float] | None = None

    def _value(self, evaluation: Evaluation) -> float:
        trade_off = evaluation.trade_off(self.weights)
        weights = trade_off[0][0]
        counts = weights if self.objective is None else np.eye(len(weights))[self._column(evaluation.names)]
        means = self._measured(evaluation, trade_off, counts > 0)[0]
        return float(means[counts > 0] @ counts[counts > 0])

    def _column(self, names: tuple[str, ...]) -> int:
        """Number of the objective asked for."""
        position = position_in(names, self.objective)
        if position is not None:
            return position
        raise ValueError(
            f"objective {self.objective!r} is unknown; known are {list(names)}, by name or position from 0."
        )


@dataclass(eq=False, repr=False)
class HypervolumeScorer(_QueryScorer):
    """Made by `make_hypervolume_scorer`."""

    metric: str | Metric | ListMetric = "ndcg@10"
    _: KW_ONLY
    weights: ArrayLike | int | None = None
    reference_point: float | ArrayLike | Mapping[str, float] = 0.0

    def _value(self, evaluation: Evaluation) -> float:
        trade_offs = evaluation.trade_offs(self.weights)
        points = self._measured(evaluation, trade_offs, True)
        # A ranker without trade-offs gives one point, which stands for all of them.
        return ParetoFront(points, trade_offs[0][: len(points)], names=evaluation.names).hypervolume(
            self.reference_point
        )


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
    metric : str, Metric or callable, default ``"ndcg@10"``
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
    parse_metric(metric)
    if not (objective is None or isinstance(objective, str) or is_whole(objective)):
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
    metric : str, Metric or callable, default ``"ndcg@10"``
        What to measure, as for `make_ranking_scorer`.
    weights : array-like of shape (k, m) or int, optional
        The trade-offs; a number makes an even lattice of up to as many. By default those at which the
        ranker's ``pareto_front`` is profiled.
    reference_point : float, array-like of shape (m,) or mapping of objective to float, default 0
        The corner to measure from. Fronts are comparable only under the same one.

    Returns
    -------
    HypervolumeScorer
        Called as the scorer of `make_ranking_scorer` is, with the same errors; the higher the better.

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
    parse_metric(metric)
    if isinstance(weights, bool) or (is_whole(weights) and int(weights) < 1):
        raise ValueError(f"weights must be a number of at least 1, or weights; got {weights!r}.")
    return HypervolumeScorer(metric, weights=weights, reference_point=reference_point)
