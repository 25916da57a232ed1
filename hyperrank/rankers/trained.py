"""From what fit has found out to a trained network: what a whole fit and one more epoch have in common."""

from __future__ import annotations

from functools import partial
from typing import Any, Self

from hyperrank.rankers.callbacks import EpochCallbacks
from hyperrank.rankers.continued import warn_of_interrupt
from hyperrank.rankers.dpo import CheckedFit
from hyperrank.rankers.fitting import fit_reward_model
from hyperrank.rankers.reward_model import RewardModel
from hyperrank.rankers.specialized import Specializable
from hyperrank.rankers.tempering import anchor_parts
from hyperrank.training import Checkpoint, TrainingResult, current

__all__ = ["TrainsOneNetwork"]


class TrainsOneNetwork(Specializable):
    """A ranker with one network for all trade-offs, and the training of it."""

    history_: list[dict[str, float]]
    best_epoch_: int
    best_score_: float

    def _train(
        self,
        checked: CheckedFit,
        reference: Any,
        pull: float,
        start: RewardModel | None,
        *,
        data: dict[str, Any],
        is_new: bool = False,
        checkpoint: Checkpoint | None = None,
    ) -> Self:
        """Train the network and take over what came of it; `is_new` where no part has seen the rows."""
        plan = checked.plan
        checkpoint = checkpoint or Checkpoint()
        kept = {
            "objectives_": checked.training.names,
            "reference_": reference,
            "pull_": pull,
            "temperature_range_": plan.temperature_range,
        }
        anchor = None
        if plan.temperature_range is not None:
            parts = partial(anchor_parts, checked, reference, pull, wanted=self.reference, is_unseen=is_new)
            anchor = checkpoint.phase("anchor", lambda: current().of_first(parts))
        progress = EpochCallbacks(
            self,
            plan.settings.max_epochs,
            verbose=plan.verbose,
            fitted=kept,
            data=data,
            done=checkpoint.epochs_done,
        )
        model, result = fit_reward_model(
            checked.training,
            plan,
            validation=self._stopping(checked, reference, pull),
            list_weight=checked.list_weight,
            start=start,
            keep_boosters=is_new,
            anchor=anchor,
            progress=progress.of,
            keep_on_interrupt=True,
            checkpoint=checkpoint,
        )
        for name, value in {**kept, "model_": model}.items():
            setattr(self, name, value)
        self._take_over(result, checkpoint)
        progress.finish()
        return self

    def _take_over(self, result: TrainingResult, checkpoint: Checkpoint) -> None:
        if result.is_interrupted:
            warn_of_interrupt(result, checkpoint.path)
        else:
            checkpoint.remove()
        self.history_ = result.history
        self.best_epoch_, self.best_score_ = result.best_epoch, result.best_score
