"""Base of rankers of several unconditioned networks over one reference."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hyperrank._checks import check_choice
from hyperrank._progress import with_progress
from hyperrank.rankers.baselines._weight_grid import OFF_GRID, WeightGridRanker, weight_grid
from hyperrank.rankers.data import FitInputs, GroupedFeatures, warn_of_counts
from hyperrank.rankers.dpo.base import NetworkRanker
from hyperrank.rankers.dpo.config import FitConfig, unconditioned
from hyperrank.rankers.dpo.reference import FittedReference, fit_reference
from hyperrank.rankers.dpo.reward_model import RewardModel
from hyperrank.rankers.dpo.train import TradeOffTask, ValidationScores, train_reward_model
from hyperrank.rankers.dpo.tuning import tune
from hyperrank.rankers.inputs import one_validation, read_fit_inputs, takes_qid
from hyperrank.reference.fit import needs_frame
from hyperrank.training import Checkpoint, TrainingResult
from hyperrank.weights import RowWeights

T = TypeVar("T")


@dataclass(frozen=True)
class NetworkTrainer:
    """Training of one unconditioned network at a time, all on the same lists by the same config."""

    inputs: FitInputs
    reference: FittedReference
    config: FitConfig
    validation: ValidationScores | None

    def train(
        self, task: TradeOffTask, *, start: RewardModel | None = None, max_epochs: int | None = None
    ) -> tuple[RewardModel, TrainingResult]:
        """Train a network for one trade-off."""
        config = replace(self.config, verbose=max(0, self.config.verbose - 1))
        if max_epochs is not None:
            config = config.for_epochs(max_epochs)
        return train_reward_model(
            self.inputs, self.reference, config, validation=self.validation, task=task, start=start
        )

    def progress(self, items: Sequence[T] | NDArray[np.float64]) -> Iterable[Any]:
        """Items to train for, with a progress bar where the config is verbose."""
        return with_progress(items, total=len(items), unit="network", verbose=self.config.verbose)


class SeparateNetworksRanker(NetworkRanker):
    """A ranker of several networks, trained in `_train`, that do not know the weights, over one reference."""

    def _check_options(self, names: tuple[str, ...]) -> None:
        """Refuse options of the subclass's own that are wrong, before any training starts."""

    def _train(self, trainer: NetworkTrainer) -> None:
        """Train the networks, and set the attributes that hold them."""
        raise NotImplementedError

    @takes_qid
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
        X, y, qid, X_val, y_val, qid_val, ref_scores, ref_scores_val, query_weight, eval_set, eval_qid
            As for `HyperDPORanker.fit`.

        Returns
        -------
        Self
            Itself.

        Raises
        ------
        ValueError
            If data or options are not as described; always before any training starts.
        """
        inputs = read_fit_inputs(
            self,
            X,
            y,
            qid,
            validation=one_validation(X_val, y_val, qid_val, ref_scores_val, eval_set, eval_qid),
            ref_scores=ref_scores,
            query_weight=query_weight,
            objectives=self.objectives,
            keeps_frame=needs_frame(self.reference),
        )
        self._check_options(inputs.training.names)
        config = FitConfig.from_params(unconditioned(self.get_params(deep=False)), inputs)
        warn_of_counts(self.data_summary_, config.metric, config.loss)
        inputs = config.hold_out(inputs)
        config = tune(inputs, config, Checkpoint())
        reference = fit_reference(inputs, config, Checkpoint())
        validation = ValidationScores.of(inputs.validation, reference)
        self._train(NetworkTrainer(inputs, reference, config, validation))
        self.objectives_ = inputs.training.names
        self.reference_, self.reward_scale_ = reference.reference, reference.reward_scale
        self.tuning_ = config.tuning
        if config.booster_search is not None:
            self.booster_search_ = config.booster_search
        return self

    def _default_temperatures(self) -> None:
        """Baselines are compared at the trade-offs that they were trained at."""


@dataclass(eq=False, repr=False)
class NetworkGridRanker(SeparateNetworksRanker, WeightGridRanker):
    """One network per weight vector.

    Rewards are log-odds, which the loss itself gives their scale, so that those of different networks are
    mixed as they are; the reference's scores are those at the weights asked for.
    """

    models_: list[Any] = field(init=False)

    def _models(self) -> list[RewardModel]:
        return self.models_

    def _check_options(self, names: tuple[str, ...]) -> None:
        check_choice("off_grid", self.off_grid, OFF_GRID)
        weight_grid(self.weights, names)

    def _scores(
        self, data: GroupedFeatures, weights: NDArray[np.float64] | RowWeights, **options: Any
    ) -> NDArray[np.float64]:
        if isinstance(weights, RowWeights):
            return super()._scores(data, weights.distinct.map(self._served), **options)
        return super()._scores(data, self._served(weights), **options)

    def _front_scores(
        self,
        data: GroupedFeatures,
        weights: NDArray[np.float64],
        temperatures: NDArray[np.float64] | None,
        **options: Any,
    ) -> NDArray[np.float64]:
        return super()._front_scores(data, self._served(weights), temperatures, **options)

    def _rewards(
        self, data: GroupedFeatures, weights: NDArray[np.float64] | RowWeights
    ) -> NDArray[np.float64]:
        return self._mix_models(weights, partial(self._rewards_of, data))

    def _rewards_of(self, data: GroupedFeatures, row: int) -> NDArray[np.float32]:
        """Rewards by the model for one row of ``weights_``, shape (n,)."""
        model: RewardModel = self.models_[row]
        return model.rewards(data.X, data.lists.in_place, self.weights_[[row]])[:, 0]
