"""scikit-learn's callbacks (ProgressBar, ScoringMonitor) around our epochs, where scikit-learn has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hyperrank.training import TrainingProgress

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
    fitted : callable
        Gives the attributes that make the estimator, as it is now, one that predicts.
    data : mapping
        ``X``, ``y`` and the ``metadata`` qid of the training rows, as the caller gave them.
    """

    def __init__(
        self,
        estimator: Any,
        max_epochs: int,
        *,
        verbose: int,
        fitted: Callable[[], dict[str, Any]],
        data: dict[str, Any],
    ) -> None:
        super().__init__(max_epochs, verbose=verbose, score_name="hypervolume")
        self.estimator, self.fitted, self.data = estimator, fitted, data
        self.context: Any = None
        if hasattr(estimator, "_skl_callbacks") and hasattr(estimator, "_init_callback_context"):
            self.context = estimator._init_callback_context(max_subtasks=max_epochs)
            self.context.call_on_fit_task_begin(estimator=estimator, **self.data)

    def update(self, entry: dict[str, float]) -> bool:
        """Show an epoch and report it; True where a callback asks to stop."""
        super().update(entry)
        if self.context is None:
            return False
        epoch = self.context.subcontext(task_name="epoch")
        epoch.call_on_fit_task_begin(estimator=self.estimator, **self.data)
        stop = epoch.call_on_fit_task_end(
            estimator=self.estimator, reconstruction_attributes=self.fitted(), **self.data
        )
        return bool(stop)

    def finish(self) -> None:
        """Report that fit is done."""
        if self.context is not None:
            self.context.call_on_fit_task_end(
                estimator=self.estimator, reconstruction_attributes={}, **self.data
            )
