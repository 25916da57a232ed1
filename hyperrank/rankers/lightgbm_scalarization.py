"""The rival with one booster per trade-off, trained on all objectives at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state

from hyperrank.assigned import MixedRows
from hyperrank.booster_search import is_search
from hyperrank.boosters import booster_scores
from hyperrank.lists import within_list_deviation
from hyperrank.metrics import parse_metric
from hyperrank.rankers.holdout import read_list_weight
from hyperrank.rankers.inputs import GroupedFeatures, read_labelled
from hyperrank.rankers.label_mixing import MIXINGS, fit_mixed_boosters, search_mixed_boosters
from hyperrank.rankers.off_grid import check_off_grid
from hyperrank.rankers.weight_grid import WeightGridRanker, weight_grid

__all__ = ["LightGBMScalarizationRanker"]


class LightGBMScalarizationRanker(WeightGridRanker):
    """One LightGBM ranker per weight vector, each trained on that mix of the objectives.

    It knows the trade-offs it was trained at; what it makes of others `off_grid` says.

    Parameters
    ----------
    weights : int or array-like of shape (k, m), default 21
        The trade-offs to train at; a number makes an even lattice of up to as many, and at least the corners.
    mixing : {"gradients", "labels"}, default "gradients"
        What is mixed. ``"gradients"``: the lambdarank gradients of the objectives, so that each keeps its own
        order and normalisation. ``"labels"``: the grades, into one finer grade per document; about half as
        much work.
    off_grid : {"refuse", "nearest", "interpolate"}, default "refuse"
        What is made of weights that are not held. ``"refuse"``: an error that names the nearest held.
        ``"nearest"``: the scores of the nearest held. ``"interpolate"``: the scores of the nearest held of
        which they are a convex combination, mixed like that in units of `scales_`, since boosters of
        different mixes give scores of different size; beyond all held an error.
    objectives : sequence of str, optional
        Names of the objectives; by default those of the columns of `y`, or objective_0, objective_1, ...
    booster_params : mapping or "search", optional
        Native LightGBM parameters, on top of `hyperrank.boosters.BOOSTER_PARAMS`. ``"search"`` compares a
        few, and their rounds, by the hypervolume of the corners and the centre in a cross-validation over
        the queries.
    metric : str, default "ndcg@10"
        What fronts and scores are measured in.
    n_jobs : int, optional
        Boosters grown at a time; all cores by default. The result does not depend on it.
    random_state : int, RandomState or None, default None
        Makes fit repeatable.

    Attributes
    ----------
    objectives_ : tuple of str
        Names of the objectives.
    weights_ : ndarray of shape (k, m)
        The trade-offs held.
    boosters_ : list of lightgbm.Booster
        One for each of them.
    scales_ : ndarray of shape (k,)
        The deviation of each booster's scores from their list's mean on the training data.
    booster_search_ : hyperrank.booster_search.BoosterSearch
        What ``booster_params="search"`` found.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of str
        Their names, where `X` was a frame.

    Notes
    -----
    At a corner both mixings train the booster of that objective alone. Between, on the MSLR sample with
    relevance, quality and dwell (5 folds, 21 weights), fronts of mixed gradients had a mean hypervolume of
    .1326 and of mixed grades .1312. Two other ways were tried under another seed, with which those two had
    .1321 and .1315: gains relative to each list's ideal DCG gave .1319, gains relative to their mean .1309.
    With a standard deviation near .026 over folds there is little in it.

    Examples
    --------
    >>> from hyperrank import LightGBMScalarizationRanker, datasets
    >>> data = datasets.make_multilabel_ranking(n_queries=60, n_objectives=2, random_state=0)
    >>> ranker = LightGBMScalarizationRanker(weights=3, objectives=data.names, random_state=0)
    >>> ranker = ranker.fit(data.X, data.Y, qid=data.qid)
    >>> ranker.weights_.tolist()
    [[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]
    >>> ranker.predict(data.X, weights=[0.5, 0.5]).shape == (len(data.X),)
    True
    >>> ranker.predict(data.X, weights=[0.6, 0.4])
    Traceback (most recent call last):
        ...
    ValueError: LightGBMScalarizationRanker holds no model for weights [0.6, 0.4]; of the 3 it holds
    (weights_), the nearest is [0.5, 0.5]. Pass that, or fit with these weights, or set off_grid to 'nearest'
    or 'interpolate'.
    """

    def __init__(
        self,
        weights: int | ArrayLike = 21,
        *,
        mixing: str = "gradients",
        off_grid: str = "refuse",
        objectives: Sequence[str] | None = None,
        booster_params: Mapping[str, Any] | str | None = None,
        metric: str = "ndcg@10",
        n_jobs: int | None = None,
        random_state: Any = None,
    ) -> None:
        self.weights = weights
        self.mixing = mixing
        self.off_grid = off_grid
        self.objectives = objectives
        self.booster_params = booster_params
        self.metric = metric
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(
        self, X: Any, y: Any, *, qid: ArrayLike | None = None, query_weight: ArrayLike | None = None
    ) -> LightGBMScalarizationRanker:
        """Fit one booster per weight vector.

        Parameters
        ----------
        X : array-like, sparse matrix or frame of shape (n, d)
            Features, NaN where missing; a frame may carry the query ids in a column ``qid``.
        y : array-like or frame of shape (n,) or (n, m)
            Labels >= 0, more is better; NaN where unobserved.
        qid : array-like of shape (n,), optional
            Query ids of any kind, in any order; one list of all rows by default.
        query_weight : array-like of shape (n,), optional
            How much the query of each row counts in training; the same for all rows of a query.

        Returns
        -------
        LightGBMScalarizationRanker
            Itself.

        Raises
        ------
        ValueError
            If data or options are not as described.
        """
        data = read_labelled(self, X, y, qid, reset=True, objectives=self.objectives)
        metric = parse_metric(self.metric)
        if self.mixing not in MIXINGS:
            raise ValueError(f"mixing must be one of {MIXINGS}; got {self.mixing!r}.")
        check_off_grid(self.off_grid)
        grid = weight_grid(self.weights, data.names)
        options: dict[str, Any] = {
            "mixing": self.mixing,
            "seed": int(check_random_state(self.random_state).randint(2**31 - 1)),
            "list_weight": read_list_weight(query_weight, data.lists),
            "n_jobs": self.n_jobs,
        }
        params: Any = self.booster_params
        if is_search(params):
            found = search_mixed_boosters(np.asarray(data.X), data.Y, data.lists, metric=metric, **options)
            self.booster_search_, params = found, found.params
        self.boosters_ = fit_mixed_boosters(
            np.asarray(data.X), data.Y, data.lists, weights=grid, params=params, **options
        )
        self.scales_ = np.array(
            [within_list_deviation(booster_scores(b, np.asarray(data.X)), data.lists) for b in self.boosters_]
        )
        self.objectives_, self.weights_ = data.names, grid
        return self

    @property
    def _knows_lists(self) -> bool:
        return False

    def _scores(self, data: GroupedFeatures, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(self._of_held(weights, partial(self._scores_of, data), scales=self.scales_))

    def _scores_by_row(self, data: GroupedFeatures, mixes: MixedRows) -> NDArray[np.float64]:
        return self._of_held_by_row(mixes, partial(self._scores_of, data), scales=self.scales_)

    def _scores_of(self, data: GroupedFeatures, row: int) -> NDArray[np.float64]:
        return booster_scores(self.boosters_[row], np.asarray(data.X))
