"""The rival that the literature trains: one unconditioned network per trade-off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hyperrank.metrics import Metric
from hyperrank.rankers.dpo import DPORanker
from hyperrank.rankers.fitting import Validation, fit_reward_model
from hyperrank.rankers.inputs import GroupedFeatures
from hyperrank.rankers.weight_grid import WeightGridRanker, weight_grid

__all__ = ["LinearScalarizationRanker"]


class LinearScalarizationRanker(WeightGridRanker, DPORanker):
    r"""One network per weight vector w, each trained on :math:`\sum_j w_j L_j` for that w alone.

    Everything but the conditioning is as in `HyperDPORanker`: the same trunk, transforms, loss, optimiser,
    epochs and batches for each network, and the same reference, which is fitted once for all of them. It
    knows the trade-offs it was trained at and refuses others, naming the nearest it holds.

    Parameters
    ----------
    weights : int or array-like of shape (k, m), default 21
        The trade-offs to train at; a number makes an even lattice of up to as many, and at least the corners.
    reference : None, "boosters", "lightgbm", "scores" or model, default "boosters"
        The ranker to start from, as in `HyperDPORanker`; None is linear scalarisation as in the literature.
    reference_objective, objectives, loss, gain, top_k, ties, beta, hidden, dropout, feature_transform
        As in `HyperDPORanker`.
    query_standardize, booster_params, normalize_objectives, max_epochs, batch_docs, learning_rate
        As in `HyperDPORanker`.
    weight_decay, average_decay, validation_fraction, patience, metric, device, n_jobs, random_state
        As in `HyperDPORanker`.
    early_stopping : bool or "auto", default "auto"
        As there, but each network is stopped by the mean of the metric under its own weights.
    verbose : int, default 0
        1 shows a progress bar over the networks, 2 another for each.

    Attributes
    ----------
    objectives_ : tuple of str
        Names of the objectives.
    weights_ : ndarray of shape (k, m)
        The trade-offs held.
    reference_ : hyperrank.reference.Reference
        The reference ranker, ready to score.
    pull_ : float
        What rewards are multiplied by in scores: the reference's deviation over beta.
    models_ : list of hyperrank.rankers.reward_model.RewardModel
        Transforms and network of each trade-off.
    histories_ : list of list of dict
        Loss, seconds and validation score by epoch, of each network.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of str
        Their names, where `X` was a frame.

    Examples
    --------
    >>> from hyperrank import LinearScalarizationRanker, datasets
    >>> data = datasets.make_multilabel_ranking(n_queries=60, n_objectives=2, random_state=0)
    >>> ranker = LinearScalarizationRanker(weights=3, objectives=data.names, max_epochs=3, random_state=0)
    >>> ranker = ranker.fit(data.X, data.Y, qid=data.qid)
    >>> ranker.predict(data.X, weights=[[1, 0], [0.5, 0.5]]).shape == (len(data.X), 2)
    True
    """

    # A network that ignores the weights gains nothing by more draws of the same ones.
    n_draws = 1
    alpha = 1.0
    booster_inputs = False

    def __init__(
        self,
        weights: int | ArrayLike = 21,
        reference: Any = "boosters",
        *,
        reference_objective: int | str = 0,
        objectives: Sequence[str] | None = None,
        loss: str = "listnet",
        gain: str = "exp2",
        top_k: int | None = None,
        ties: str = "random",
        beta: float | str = "auto",
        hidden: Sequence[int] = (128, 128),
        dropout: float = 0.5,
        feature_transform: str = "quantile",
        query_standardize: bool | str = "auto",
        booster_params: Mapping[str, Any] | None = None,
        normalize_objectives: bool = True,
        max_epochs: int | str = "auto",
        batch_docs: int | str = "auto",
        learning_rate: float = 2e-3,
        weight_decay: float = 1e-2,
        average_decay: float = 0.99,
        early_stopping: bool | str = "auto",
        validation_fraction: float = 0.1,
        patience: int = 5,
        metric: str = "ndcg@10",
        device: str = "auto",
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.weights = weights
        self.reference = reference
        self.reference_objective = reference_objective
        self.objectives = objectives
        self.loss = loss
        self.gain = gain
        self.top_k = top_k
        self.ties = ties
        self.beta = beta
        self.hidden = hidden
        self.dropout = dropout
        self.feature_transform = feature_transform
        self.query_standardize = query_standardize
        self.booster_params = booster_params
        self.normalize_objectives = normalize_objectives
        self.max_epochs = max_epochs
        self.batch_docs = batch_docs
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.average_decay = average_decay
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.metric = metric
        self.device = device
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def fit(
        self,
        X: Any,
        y: Any,
        *,
        qid: ArrayLike | None = None,
        X_val: Any = None,
        y_val: Any = None,
        qid_val: ArrayLike | None = None,
        ref_scores: ArrayLike | None = None,
        ref_scores_val: ArrayLike | None = None,
        query_weight: ArrayLike | None = None,
    ) -> LinearScalarizationRanker:
        """Train one network per weight vector; parameters as of `HyperDPORanker.fit`.

        Returns
        -------
        LinearScalarizationRanker
            Itself.

        Raises
        ------
        ValueError
            If data or options are not as described; always before any training starts.
        """
        checked = self._checked(
            X,
            y,
            qid,
            validation=(X_val, y_val, qid_val, ref_scores_val),
            ref_scores=ref_scores,
            query_weight=query_weight,
            conditioning="none",
            objectives=self.objectives,
        )
        grid = weight_grid(self.weights, checked.training.names)
        plan = replace(checked.plan, verbose=max(0, checked.plan.verbose - 1))
        reference, pull = self._fit_reference(checked)
        stopping = self._stopping(checked, reference, pull)
        trained = [
            fit_reward_model(
                checked.training,
                plan,
                validation=None if stopping is None else _of_one(stopping, mix),
                list_weight=checked.list_weight,
                draw_weights=partial(_repeated, mix),
            )
            for mix in self._shown(grid)
        ]
        self.objectives_, self.weights_ = checked.training.names, grid
        self.reference_, self.pull_ = reference, pull
        self.models_ = [model for model, _ in trained]
        self.histories_ = [result.history for _, result in trained]
        return self

    def _rewards(self, data: GroupedFeatures, weights: NDArray[np.float64]) -> NDArray[np.float32]:
        rewards = [
            self.models_[row].rewards(data.X, data.lists.in_place, self.weights_[[row]])
            for row in self._held(weights)
        ]
        return np.column_stack(rewards)

    def _shown(self, grid: NDArray[np.float64]) -> Any:
        """The weights to train at, with a progress bar where one is wanted."""
        if self.verbose < 1:
            return grid
        from tqdm.auto import tqdm

        return tqdm(grid, desc="training", unit="network", dynamic_ncols=True)


@dataclass(frozen=True)
class _ScalarisedMetric(Metric):
    """A metric whose one value is the mean over objectives by weights, those without labels left out."""

    mix: tuple[float, ...] = ()

    def __call__(self, *args: Any, **options: Any) -> NDArray[np.float64]:
        values = np.atleast_2d(super().__call__(*args, **options))
        known = ~np.isnan(values)
        return (np.where(known, values, 0.0) @ self.mix)[:, None]


def _of_one(stopping: Validation, mix: NDArray[np.float64]) -> Validation:
    """Held-out lists by which the network for one trade-off is stopped."""
    metric = stopping.metric
    mixed = stopping.mixed_reference(mix[None])
    return replace(
        stopping,
        metric=_ScalarisedMetric(metric.name, metric.k, metric.options, tuple(mix)),
        mixed_reference=lambda _: mixed,
    )


def _repeated(mix: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    return np.tile(mix, (n, 1))
