"""scikit-learn's callbacks of a fit, told of each epoch; nothing before scikit-learn 1.9."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sklearn.base import BaseEstimator

from hyperrank.rankers.dpo.reward_model import RewardModel
from hyperrank.training.distributed import SingleProcess

__all__ = ["CallbackSupportMixin", "FitCallbacks", "with_callbacks"]

try:  # scikit-learn 1.9
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands in where scikit-learn has no callbacks."""

    def with_callbacks(method: Callable[..., Any]) -> Callable[..., Any]:
        """Leave the method as it is."""
        return method


class FitCallbacks:
    """The callbacks that were set on an estimator.

    Parameters
    ----------
    estimator : BaseEstimator
        In fit.
    X, y, qid
        The training rows, as the caller gave them.
    """

    def __init__(self, estimator: BaseEstimator, X: Any, y: Any, qid: Any) -> None:
        self.estimator = estimator
        self.data = {"X": X, "y": y, "metadata": None if qid is None else {"qid": qid}}
        self.fitted: Mapping[str, Any] = {}
        self.context: Any = None

    def begin(self, n_epochs: int, fitted: Mapping[str, Any], processes: SingleProcess) -> None:
        """Tell that the training begins.

        Parameters
        ----------
        n_epochs : int
            Epochs to come at most.
        fitted : mapping
            The attributes that, with the network, make the estimator one that predicts.
        processes : SingleProcess
            The first of several tells the callbacks.
        """
        self.fitted = fitted
        has_callbacks = hasattr(self.estimator, "_skl_callbacks")
        if processes.is_rank_zero and has_callbacks and hasattr(self.estimator, "_init_callback_context"):
            self.context = self.estimator._init_callback_context(max_subtasks=n_epochs)
            self.context.call_on_fit_task_begin(estimator=self.estimator, **self.data)

    def epoch(self, model: RewardModel, entry: dict[str, float]) -> bool:
        """Report an epoch; True where a callback asks to stop."""
        if self.context is None:
            return False
        context = self.context.subcontext(task_name="epoch")
        context.call_on_fit_task_begin(estimator=self.estimator, **self.data)
        stops = context.call_on_fit_task_end(
            estimator=self.estimator,
            reconstruction_attributes={**self.fitted, "model_": model},
            **self.data,
        )
        return bool(stops)

    def end(self) -> None:
        """Tell that fit is done."""
        if self.context is not None:
            self.context.call_on_fit_task_end(
                estimator=self.estimator, reconstruction_attributes={}, **self.data
            )
