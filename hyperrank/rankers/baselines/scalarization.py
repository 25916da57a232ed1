"""Scalarisation: one booster, or one unconditioned network, per trade-off, on all objectives at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hyperrank._categories import categorical_of
from hyperrank._checks import check_choice, check_random_state
from hyperrank.boosters import (
    BOOSTER_PARAMS,
    MAX_GRADE,
    booster_grades,
    booster_scores,
    check_booster_params,
    fit_booster,
    in_threads,
)
from hyperrank.boosters.search import BoosterSearch, search_booster_params
from hyperrank.boosters.training import is_search
from hyperrank.lists import QueryLists, within_list_deviations
from hyperrank.metrics import parse_metric
from hyperrank.rankers.baselines._networks import NetworkGridRanker, NetworkTrainer
from hyperrank.rankers.baselines._weight_grid import OFF_GRID, WeightGridRanker, weight_grid
from hyperrank.rankers.data import GroupedFeatures, warn_of_counts
from hyperrank.rankers.dpo.train import TradeOffTask
from hyperrank.rankers.inputs import read_labelled, read_list_weight, takes_qid
from hyperrank.simplex import corners
from hyperrank.weights import RowWeights

if TYPE_CHECKING:
    import lightgbm

#: What can be mixed.
MIXINGS = ("gradients", "labels")

#: LightGBM's parameters that count rows, and what they are unless the caller says otherwise.
ROWS_AT_LEAST = {"min_data_in_leaf": BOOSTER_PARAMS["min_data_in_leaf"], "min_data_in_bin": 3}


def fit_mixed_boosters(
    X: NDArray[np.float32],
    Y: NDArray[np.float32],
    lists: QueryLists,
    *,
    weights: NDArray[np.float64],
    mixing: str,
    n_jobs: int | None = None,
    **options: Any,
) -> list[lightgbm.Booster]:
    """Fit one booster per weight vector, several at once."""
    unlabelled = np.flatnonzero(np.isnan(Y).all(axis=0)).tolist()
    if unlabelled:
        raise ValueError(f"objectives in columns {unlabelled} of y have no label: every entry is NaN.")
    grades = np.column_stack([_grades(labels) for labels in Y.T])
    fit = _fit_on_gradients if mixing == "gradients" else _fit_on_labels
    tasks = [partial(fit, X, grades, lists, mix, **options) for mix in weights]
    return in_threads(tasks, n_jobs, X)


def search_mixed_boosters(
    X: NDArray[np.float32],
    Y: NDArray[np.float32],
    lists: QueryLists,
    *,
    mixing: str,
    seed: int = 0,
    categorical: Collection[int] = (),
    **options: Any,
) -> BoosterSearch:
    """Search for parameters by the front of boosters at the corners and the centre."""
    m = Y.shape[1]
    probes = np.vstack([corners(m), np.full((1, m), 1 / m)]) if m > 1 else corners(1)
    fit = partial(
        fit_mixed_boosters, weights=probes, mixing=mixing, seed=seed, n_jobs=1, categorical=categorical
    )
    return search_booster_params(X, Y, lists, fit=fit, mix=lambda scores, _: scores, seed=seed, **options)


def _fit_on_gradients(
    X: NDArray[np.float32],
    grades: NDArray[np.float64],
    lists: QueryLists,
    mix: NDArray[np.float64],
    *,
    params: Mapping[str, Any] | None = None,
    list_weight: NDArray[Any] | None = None,
    **options: Any,
) -> lightgbm.Booster:
    """Fit to every query once per objective, each copy weighted by the mix.

    All copies of a document fall into the same leaves, so that there their gradients add up to the mix.
    """
    used = np.flatnonzero(mix > 0)
    settings = check_booster_params(params)
    # Leaves and bins are to hold as many documents as they would without copies.
    for name, default in ROWS_AT_LEAST.items():
        settings[name] = int(settings.get(name, default)) * len(used)
    share = np.ones(lists.n_lists) if list_weight is None else list_weight
    return fit_booster(
        np.tile(X, (len(used), 1)),
        grades[:, used].T.ravel(),
        QueryLists.from_sizes(np.tile(lists.sizes, len(used))),
        params=settings,
        list_weight=np.outer(mix[used], share).ravel(),
        **options,
    )


def _fit_on_labels(
    X: NDArray[np.float32],
    grades: NDArray[np.float64],
    lists: QueryLists,
    mix: NDArray[np.float64],
    *,
    params: Mapping[str, Any] | None = None,
    **options: Any,
) -> lightgbm.Booster:
    """Fit to weighted means of the observed grades, in steps fine enough to use LightGBM's 32 grades.

    A step's gain is 2 to the mean grade, less 1: at a corner exactly that of the objective's own grades.
    """
    steps = max(1, MAX_GRADE // max(1, int(np.nanmax(grades))))
    gains = np.exp2(np.arange(MAX_GRADE + 1) / steps) - 1
    known = ~np.isnan(grades)
    total = known @ mix
    mean = np.where(known, grades, 0.0) @ mix / np.where(total > 0, total, np.nan)
    settings = {"label_gain": gains.tolist(), **(params or {})}
    return fit_booster(X, np.rint(mean * steps), lists, params=settings, **options)


def _grades(labels: NDArray[np.float32]) -> NDArray[np.float64]:
    """Labels as grades that LightGBM takes, NaN where unobserved."""
    grades = np.full(len(labels), np.nan)
    known = ~np.isnan(labels)
    grades[known] = booster_grades(labels[known])
    return grades


@dataclass(eq=False, repr=False)
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
    objectives, categorical_features, metric, n_jobs, random_state
        As in `HyperDPORanker`.
    booster_params : mapping or "search", optional
        Native LightGBM parameters, on top of `hyperrank.boosters.BOOSTER_PARAMS`. ``"search"`` compares a
        few, and their rounds, by the hypervolume of the corners and the centre in a cross-validation over
        the queries.

    Attributes
    ----------
    objectives_, n_features_in_, feature_names_in_
        As of `HyperDPORanker`.
    weights_ : ndarray of shape (k, m)
        The trade-offs held.
    boosters_ : list of lightgbm.Booster
        One for each of them.
    scales_ : ndarray of shape (k,)
        The deviation of each booster's scores from their list's mean on the training data.
    booster_search_ : hyperrank.boosters.search.BoosterSearch
        What ``booster_params="search"`` found.

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

    _: KW_ONLY
    mixing: str = "gradients"
    objectives: Sequence[str] | None = None
    categorical_features: str | Sequence[Any] | None = "from_dtype"
    booster_params: Mapping[str, Any] | str | None = None
    metric: str = "ndcg@10"
    n_jobs: int | None = None
    random_state: Any = None

    @takes_qid
    def fit(
        self, X: Any, y: Any, *, qid: ArrayLike | None = None, query_weight: ArrayLike | None = None
    ) -> LightGBMScalarizationRanker:
        """Fit one booster per weight vector.

        Parameters
        ----------
        X, y, qid, query_weight
            As for `HyperDPORanker.fit`.

        Returns
        -------
        LightGBMScalarizationRanker
            Itself.

        Raises
        ------
        ValueError
            If data or options are not as described.
        """
        data = read_labelled(self, X, y, qid, reset=True, objectives=self.objectives, keeps_frame=False)
        features, metric = np.asarray(data.X), parse_metric(self.metric)
        warn_of_counts(self.data_summary_, metric)
        check_choice("mixing", self.mixing, MIXINGS)
        check_choice("off_grid", self.off_grid, OFF_GRID)
        grid = weight_grid(self.weights, data.names)
        options: dict[str, Any] = {
            "mixing": self.mixing,
            "seed": int(check_random_state(self.random_state).randint(2**31 - 1)),
            "list_weight": read_list_weight(query_weight, data.lists),
            "n_jobs": self.n_jobs,
            "categorical": categorical_of(self),
        }
        params: Any = self.booster_params
        if is_search(params):
            found = search_mixed_boosters(features, data.Y, data.lists, metric=metric, **options)
            self.booster_search_, params = found, found.params
        options |= {"weights": grid, "params": params}
        self.boosters_ = fit_mixed_boosters(features, data.Y, data.lists, **options)
        scores = [booster_scores(booster, features) for booster in self.boosters_]
        self.scales_ = within_list_deviations(np.column_stack(scores), data.lists)
        self.objectives_, self.weights_ = data.names, grid
        return self

    @property
    def _knows_lists(self) -> bool:
        return False

    def _scores(
        self, data: GroupedFeatures, weights: NDArray[np.float64] | RowWeights
    ) -> NDArray[np.float64]:
        X = np.asarray(data.X)
        return self._mix_models(weights, lambda row: booster_scores(self.boosters_[row], X), self.scales_)

    def _scores_by_row(self, data: GroupedFeatures, row_weights: RowWeights) -> NDArray[np.float64]:
        return self._scores(data, row_weights)


class LinearScalarizationRanker(NetworkGridRanker):
    r"""One network per weight vector w, each trained on :math:`\sum_j w_j L_j` for that w alone.

    Everything but the conditioning is as in `HyperDPORanker`: the same trunk, transforms, loss, optimiser,
    epochs and batches for each network, and the same reference, which is fitted once for all of them. It
    knows the trade-offs it was trained at; what it makes of others `off_grid` says.

    Parameters
    ----------
    weights : int or array-like of shape (k, m), default 21
        The trade-offs to train at; a number makes an even lattice of up to as many, and at least the corners.
    reference : None, str or model, default "booster_pairs"
        The ranker to start from, as in `HyperDPORanker`; None is linear scalarisation as in the literature.
    off_grid : {"refuse", "nearest", "interpolate"}, default "refuse"
        What is made of weights that are not held. ``"refuse"``: an error that names the nearest held.
        ``"nearest"``: the scores of the nearest held. ``"interpolate"``: the rewards of the nearest held of
        which they are a convex combination, mixed like that, over the reference at the very weights; beyond
        all held an error. Rewards are log-odds, and all on one scale.
    reference_objective, objectives, loss, beta, normalize_objectives, metric, categorical_features
        As in `HyperDPORanker`.
    feature_transform, query_standardize, booster_params, max_epochs, optimizer, device, n_jobs, random_state
        As in `HyperDPORanker`.
    network : "mlp" or MLP, default "mlp"
        As there; its conditioning has no effect, since none of the networks sees the weights.
    early_stopping : bool, "auto", EarlyStopping or callable, default "auto"
        As there, but each network is stopped by the mean of the metric under its own weights.
    verbose : int, default 0
        1 shows a progress bar over the networks, 2 another for each.

    Attributes
    ----------
    objectives_, reference_, reward_scale_, tuning_, n_features_in_, feature_names_in_
        As of `HyperDPORanker`.
    weights_ : ndarray of shape (k, m)
        The trade-offs held.
    models_ : list of hyperrank.rankers.dpo.reward_model.RewardModel
        Transforms and network of each trade-off.
    histories_ : list of list of dict
        Loss, seconds and validation score by epoch, of each network.

    Examples
    --------
    >>> from hyperrank import LinearScalarizationRanker, datasets
    >>> data = datasets.make_multilabel_ranking(n_queries=60, n_objectives=2, random_state=0)
    >>> ranker = LinearScalarizationRanker(weights=3, objectives=data.names, max_epochs=3, random_state=0)
    >>> ranker = ranker.fit(data.X, data.Y, qid=data.qid)
    >>> ranker.predict(data.X, weights=[[1, 0], [0.5, 0.5]]).shape == (len(data.X), 2)
    True
    """

    def _train(self, trainer: NetworkTrainer) -> None:
        grid = weight_grid(self.weights, trainer.inputs.training.names)
        trained = [trainer.train(TradeOffTask(w, w)) for w in trainer.progress(grid)]
        self.weights_ = grid
        self.models_ = [model for model, _ in trained]
        self.histories_ = [result.history for _, result in trained]
