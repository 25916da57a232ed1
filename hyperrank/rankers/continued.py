"""Going on from an earlier fit: what is kept of it, and one more epoch on new queries."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from numpy.typing import ArrayLike

from hyperrank.rankers.callbacks import with_callbacks
from hyperrank.rankers.fitting import FitPlan
from hyperrank.rankers.reward_model import RewardModel
from hyperrank.rankers.tempering import Range
from hyperrank.rankers.together import in_processes
from hyperrank.training import TrainingResult

__all__ = ["PartialFitMixin", "as_task", "kept_plan", "warn_of_interrupt"]


class PartialFitMixin:
    """Training one more epoch on new queries, for a ranker with ``_checked`` and ``_train``."""

    __metadata_request__partial_fit = {"qid": True}  # noqa: RUF012 - scikit-learn reads the class attribute

    conditioning: str
    objectives_: tuple[str, ...]
    model_: RewardModel
    temperature_range_: Range | None
    fit: Any
    _checked: Any
    _train: Any
    reference_: Any
    pull_: float

    @with_callbacks
    @in_processes
    def partial_fit(
        self,
        X: Any,
        y: Any,
        *,
        qid: ArrayLike | None = None,
        ref_scores: ArrayLike | None = None,
        query_weight: ArrayLike | None = None,
    ) -> Self:
        """Train one more epoch on new queries; the first call is a whole fit.

        Reference, boosters and transforms stay as the first call made them.

        Parameters
        ----------
        X, y, qid, ref_scores, query_weight
            As for `fit`.

        Returns
        -------
        HyperDPORanker
            Itself.
        """
        if not hasattr(self, "model_"):
            return self.fit(X, y, qid=qid, ref_scores=ref_scores, query_weight=query_weight)
        checked = self._checked(
            X,
            y,
            qid,
            validation=(None, None, None, None),
            ref_scores=ref_scores,
            query_weight=query_weight,
            conditioning=self.conditioning,
            objectives=self.objectives_,
            reset=False,
            holds_out=False,
        )
        once = replace(checked.plan.settings, max_epochs=1)
        checked = replace(checked, plan=kept_plan(self, replace(checked.plan, settings=once)))
        return self._train(
            checked, self.reference_, self.pull_, self.model_, data=as_task(X, y, qid), is_new=True
        )


def kept_plan(ranker: Any, plan: FitPlan) -> FitPlan:
    """The plan with what the network of the last fit cannot do otherwise.

    Raises
    ------
    ValueError
        If that network knows the temperature, and the loss does not.
    """
    trained = ranker.temperature_range_
    if trained is not None and ranker.loss != "listnet":
        raise ValueError(
            f"the last fit had temperature_range={trained}, which needs loss='listnet' to go on; "
            f"got loss={ranker.loss!r}."
        )
    return replace(plan, booster_inputs=bool(ranker.model_.boosters), temperature_range=trained)


def warn_of_interrupt(result: TrainingResult, checkpoint: Path | None = None) -> None:
    """Say what a fit has kept that Ctrl-C ended."""
    how = "With warm_start=True, fit goes on from there."
    if checkpoint is not None and checkpoint.exists():
        how = f"fit(..., resume=True) goes on from {checkpoint} to what the whole fit would have been."
    warnings.warn(
        f"training was interrupted after {len(result.history)} whole epochs: the ranker is fitted, and holds "
        f"what it had learnt by then. {how}",
        UserWarning,
        stacklevel=4,
    )


def as_task(X: Any, y: Any, qid: Any) -> dict[str, Any]:
    """Training data as scikit-learn's callbacks want them."""
    return {"X": X, "y": y, "metadata": None if qid is None else {"qid": qid}}
