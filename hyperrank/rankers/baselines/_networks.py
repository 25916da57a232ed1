"""What rankers of several unconditioned networks share: checking, the reference, and training one of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hyperrank.metrics import Metric
from hyperrank.rankers.baselines._weight_grid import WeightGridRanker, check_off_grid, weight_grid
from hyperrank.rankers.dpo.base import DPORanker
from hyperrank.rankers.dpo.config import FitPlan
from hyperrank.rankers.dpo.reward_model import RewardModel
from hyperrank.rankers.dpo.train import RewardMargin, Validation, fit_reward_model
from hyperrank.rankers.inputs import GroupedFeatures, LabelledLists, one_validation
from hyperrank.training import TrainingResult
from hyperrank.weights import MixedRows

__all__ = ["NetworkGridRanker", "NetworkTrainer", "SeparateNetworksRanker"]


@dataclass(frozen=True)
class NetworkTrainer:
    """Trains one unconditioned network at a time, all on the same lists by the same plan.

    Attributes
    ----------
    data : LabelledLists
    plan : FitPlan
    list_weight : ndarray of shape (n_lists,) or None
    stopping : Validation or None
        For all trade-offs; each network is stopped by its own.
    verbose : int
        1 shows a bar over the networks.
    """

    data: LabelledLists
    plan: FitPlan
    list_weight: NDArray[np.float64] | None
    stopping: Validation | None
    verbose: int

    def train(
        self,
        mix: NDArray[np.float64],
        *,
        stop_by: NDArray[np.float64] | None = None,
        start: RewardModel | None = None,
        max_epochs: int | None = None,
        margin: RewardMargin | None = None,
    ) -> tuple[RewardModel, TrainingResult]:
        """Train a network on one mix of the objectives' losses.

        Parameters
        ----------
        mix : ndarray of shape (m,)
            What the losses are weighted by.
        stop_by : ndarray of shape (m,), optional
            What the metrics are weighted by, which training is stopped by; `mix` by default.
        start : RewardModel, optional
            Whose transform is kept, and from whose network training starts.
        max_epochs : int, optional
            Those of the plan by default.
        margin : RewardMargin, optional
            What is taken off the rewards before the loss sees them.
        """
        plan = self.plan
        if max_epochs is not None:
            plan = replace(plan, settings=replace(plan.settings, max_epochs=max_epochs))
        stopping = self.stopping
        return fit_reward_model(
            self.data,
            plan,
            validation=None if stopping is None else _of_one(stopping, mix if stop_by is None else stop_by),
            list_weight=self.list_weight,
            draw_weights=partial(_repeated, mix),
            start=start,
            margin=margin,
        )

    def shown(self, items: Sequence[Any] | NDArray[Any]) -> Iterable[Any]:
        """Items to train for, with a progress bar where one is wanted."""
        if self.verbose < 1:
            return items
        from tqdm.auto import tqdm

        return tqdm(items, desc="training", unit="network", dynamic_ncols=True)


class SeparateNetworksRanker(DPORanker):
    """A ranker of several networks that do not know the weights, over one reference.

    A subclass trains them in `_train`.
    """

    # A network that ignores the weights gains nothing by more draws of the same ones.
    n_draws = 1
    alpha = 1.0
    booster_inputs = False

    objectives: Sequence[str] | None
    verbose: int

    def _train(self, trainer: NetworkTrainer) -> dict[str, Any]:
        """Train the networks, and give the attributes that hold them."""
        raise NotImplementedError

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
        eval_set: Any = None,
        eval_qid: Any = None,
    ) -> Self:
        """Train the networks on queries with labels for every objective.

        Parameters
        ----------
        X : array-like, sparse matrix or frame of shape (n, d)
            Features, NaN where missing; a frame may carry the query ids in a column ``qid``.
        y : array-like or frame of shape (n,) or (n, m)
            Labels >= 0, more is better; NaN where unobserved.
        qid : array-like of shape (n,), optional
            Query ids of any kind, in any order; one list of all rows by default.
        X_val, y_val, qid_val
            Validation data, to stop training by.
        ref_scores, ref_scores_val : array-like of shape (n,), optional
            The reference's scores, for ``reference="scores"``.
        query_weight : array-like of shape (n,), optional
            How much the query of each row counts in training; the same for all rows of a query.
        eval_set, eval_qid
            Validation data as other rankers take them: ``[(X_val, y_val)]`` and ``[qid_val]``.

        Returns
        -------
        Self
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
            validation=(*one_validation(X_val, y_val, qid_val, eval_set, eval_qid), ref_scores_val),
            ref_scores=ref_scores,
            query_weight=query_weight,
            conditioning="none",
            objectives=self.objectives,
        )
        checked = self._tried(checked)
        plan = checked.plan
        reference, pull = self._fit_reference(checked)
        trainer = NetworkTrainer(
            data=checked.training,
            plan=replace(plan, verbose=max(0, plan.verbose - 1)),
            list_weight=checked.list_weight,
            stopping=self._stopping(checked, reference, pull),
            verbose=plan.verbose,
        )
        fitted = self._train(trainer)
        self.objectives_ = checked.training.names
        self.reference_, self.pull_, self.trial_ = reference, pull, checked.trial
        for name, value in fitted.items():
            setattr(self, name, value)
        return self


class NetworkGridRanker(WeightGridRanker, SeparateNetworksRanker):
    """One network per weight vector.

    Rewards are log-odds, which the loss itself gives their scale, so that those of different networks are
    mixed as they are; the reference's scores are those at the weights asked for.
    """

    weights: Any
    models_: list[Any]

    def _models(self) -> list[RewardModel]:
        return self.models_

    def _check_options(self, names: tuple[str, ...]) -> None:
        check_off_grid(self.off_grid)
        weight_grid(self.weights, names)

    def _scores(
        self, data: GroupedFeatures, weights: NDArray[np.float64], *, temperature: float | None = None
    ) -> NDArray[np.float64]:
        return super()._scores(data, self._served(weights), temperature=temperature)

    def _scores_by_row(
        self, data: GroupedFeatures, mixes: MixedRows, *, temperature: float | None = None
    ) -> NDArray[np.float64]:
        distinct = mixes.distinct
        served = MixedRows(self._served(distinct.mixes), distinct.index)
        return super()._scores_by_row(data, served, temperature=temperature)

    def _rewards(self, data: GroupedFeatures, weights: NDArray[np.float64]) -> NDArray[np.floating[Any]]:
        return self._of_held(weights, partial(self._rewards_of, data))

    def _rewards_by_row(self, data: GroupedFeatures, mixes: MixedRows) -> NDArray[np.floating[Any]]:
        return self._of_held_by_row(mixes, partial(self._rewards_of, data))

    def _rewards_of(self, data: GroupedFeatures, row: int) -> NDArray[np.float32]:
        """Rewards by the model for one row of ``weights_``, shape (n,)."""
        model: RewardModel = self.models_[row]
        return model.rewards(data.X, data.lists.in_place, self.weights_[[row]])[:, 0]


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
