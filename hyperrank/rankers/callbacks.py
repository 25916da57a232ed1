"""scikit-learn's callbacks (ProgressBar, ScoringMonitor) around our epochs, where scikit-learn has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hyperrank.rankers.reward_model import RewardModel
from hyperrank.training import TrainingProgress, current

try:  # scikit-learn 1.9
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands in where scikit-learn has no callbacks."""

    def with_callbacks(method: Callable[..., Any]) -> Callable[..., Any]:
        """Leave the method as it is."""
        return method


__all__ = ["CallbackSupportMixin", "EpochCallbacks", "with_callbacks"]


class EpochCallbacks(TrainingProgress):
    """Progress that also tells scikit-learn's callbacks of each epoch.

    Parameters
    ----------
    estimator : BaseEstimator
        In fit.
    max_epochs : int
        Epochs at most.
    verbose : int
        As in `TrainingProgress`.
    fitted : mapping
        The attributes that, with the network, make the estimator one that predicts.
    data : mapping
        ``X``, ``y`` and the ``metadata`` qid of the training rows, as the caller gave them.
    done : int, default 0
        Epochs that an earlier process has trained, which callbacks do not see.
    """

    def __init__(
        self,
        estimator: Any,
        max_epochs: int,
        *,
        verbose: int,
        fitted: Mapping[str, Any],
        data: dict[str, Any],
        done: int = 0,
    ) -> None:
        # Of several processes that train together the first speaks, to callbacks too.
        self.is_first = current().is_first
        shown = verbose if self.is_first else 0
        super().__init__(max_epochs, verbose=shown, score_name="hypervolume", done=done)
        self.estimator, self.fitted, self.data = estimator, fitted, data
        self.context: Any = None

    def of(self, model: RewardModel) -> EpochCallbacks:
        """Begin, with the model that is trained."""
        self.fitted = {**self.fitted, "model_": model}
        has_callbacks = hasattr(self.estimator, "_skl_callbacks")
        if self.is_first and has_callbacks and hasattr(self.estimator, "_init_callback_context"):
            left = self.max_epochs - self.done
            self.context = self.estimator._init_callback_context(max_subtasks=left)
            self.context.call_on_fit_task_begin(estimator=self.estimator, **self.data)
        return self

    def update(self, entry: dict[str, float]) -> bool:
        """Show an epoch and report it; True where a callback asks to stop."""
        super().update(entry)
        if self.context is None:
            return False
        epoch = self.context.subcontext(task_name="epoch")
        epoch.call_on_fit_task_begin(estimator=self.estimator, **self.data)
        stop = epoch.call_on_fit_task_end(
            estimator=self.estimator, reconstruction_attributes=dict(self.fitted), **self.data
        )
        return bool(stop)

    def finish(self) -> None:
        """Report that fit is done."""
        if self.context is not None:
            self.context.call_on_fit_task_end(
                estimator=self.estimator, reconstruction_attributes={}, **self.data
            )
