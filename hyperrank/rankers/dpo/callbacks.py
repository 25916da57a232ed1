"""Callbacks of a fit: the user's own, and scikit-learn's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self, TypeAlias

if TYPE_CHECKING:
    from hyperrank.rankers.dpo.reward_model import RewardModel

__all__ = ["Callback", "CallbackSupportMixin", "EpochFunction", "FitCallbacks", "with_callbacks"]

try:  # scikit-learn 1.9
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands in where scikit-learn has no callbacks."""

    def with_callbacks(method: Callable[..., Any]) -> Callable[..., Any]:
        """Leave the method as it is."""
        return method


#: Called with the entry of each epoch; training stops where it returns True.
EpochFunction: TypeAlias = Callable[[dict[str, float]], bool | None]


class Callback:
    """Base class of callbacks for ``HyperDPORanker(callbacks=[...])``.

    A subclass overrides the hooks that it needs. They are called in the process that fits, and under
    ``torchrun`` in rank 0. An exception in a hook aborts the fit and reaches the caller.
    `sklearn.base.clone`, and so searches, share a callback between ranker and clone.

    Examples
    --------
    >>> from hyperrank import Callback, HyperDPORanker, datasets
    >>> class StopAt(Callback):
    ...     def __init__(self, loss):
    ...         self.loss = loss
    ...
    ...     def on_epoch_end(self, ranker, entry):
    ...         return entry["loss"] < self.loss
    >>> data = datasets.make_multilabel_ranking(n_queries=60, n_objectives=2, random_state=0)
    >>> ranker = HyperDPORanker(reference=None, callbacks=[StopAt(0.99)], random_state=0)
    >>> ranker = ranker.fit(data.X, data.Y, qid=data.qid)
    >>> ranker.history_[-1]["loss"] < 0.99
    True
    """

    def on_fit_begin(self, ranker: Any) -> None:
        """The training of the network begins: tuning is done and the reference is fitted.

        Parameters
        ----------
        ranker : HyperDPORanker
            In fit. Its ``history_`` has the epochs of an interrupted fit that is resumed.
        """

    def on_epoch_end(self, ranker: Any, entry: dict[str, float]) -> bool | None:
        """An epoch ends.

        Parameters
        ----------
        ranker : HyperDPORanker
            In fit; ``history_`` has all entries up to this one.
        entry : dict of str to float
            ``epoch``, ``loss`` and ``seconds``; with validation data also ``score``, the hypervolume of the
            validation front, and for each objective ``validation/NAME``, the highest metric on that front.

        Returns
        -------
        bool, optional
            True stops training. The parameters of the best score are kept as after any other end.
        """

    def on_fit_end(self, ranker: Any) -> None:
        """The fit ends: the ranker is fitted.

        Parameters
        ----------
        ranker : HyperDPORanker
        """

    def __sklearn_clone__(self) -> Self:
        return self


class FitCallbacks:
    """The callbacks of one fit: those of the parameter, and those that scikit-learn's protocol has set."""

    def __init__(self, ranker: Any, X: Any, y: Any, qid: Any) -> None:
        self.ranker = ranker
        self.callbacks = _checked(ranker.callbacks)
        self.data = {"X": X, "y": y, "metadata": None if qid is None else {"qid": qid}}
        self.fitted: Mapping[str, Any] = {}
        self.context: Any = None

    def begin(self, n_epochs: int, fitted: Mapping[str, Any], history: Sequence[dict[str, float]]) -> None:
        """Tell that the training begins: its epochs at most, the attributes with which the ranker predicts.

        `history` has the entries of the epochs of an interrupted fit.
        """
        self.fitted = fitted
        self.ranker.history_ = list(history)
        if hasattr(self.ranker, "_skl_callbacks") and hasattr(self.ranker, "_init_callback_context"):
            self.context = self.ranker._init_callback_context(max_subtasks=n_epochs)
            self.context.call_on_fit_task_begin(estimator=self.ranker, **self.data)
        for callback in self._objects():
            callback.on_fit_begin(self.ranker)

    def epoch(self, model: RewardModel, entry: dict[str, float]) -> bool:
        """Report an epoch; True where a callback asks to stop."""
        self.ranker.history_.append(entry)
        stops = [
            callback.on_epoch_end(self.ranker, dict(entry))
            if isinstance(callback, Callback)
            else callback(dict(entry))
            for callback in self.callbacks
        ]
        if self.context is not None:
            context = self.context.subcontext(task_name="epoch")
            context.call_on_fit_task_begin(estimator=self.ranker, **self.data)
            stops += [
                context.call_on_fit_task_end(
                    estimator=self.ranker,
                    reconstruction_attributes={**self.fitted, "model_": model},
                    **self.data,
                )
            ]
        return any(stops)

    def end(self) -> None:
        """Tell that fit is done."""
        for callback in self._objects():
            callback.on_fit_end(self.ranker)
        if self.context is not None:
            self.context.call_on_fit_task_end(
                estimator=self.ranker, reconstruction_attributes={}, **self.data
            )

    def _objects(self) -> list[Callback]:
        return [callback for callback in self.callbacks if isinstance(callback, Callback)]


def _checked(callbacks: Any) -> list[Callback | EpochFunction]:
    """The callbacks of the parameter; one may stand alone."""
    if callbacks is None:
        return []
    is_one = isinstance(callbacks, str | Callback) or not isinstance(callbacks, Iterable)
    given = [callbacks] if is_one else list(callbacks)
    for callback in given:
        if isinstance(callback, type) or not (isinstance(callback, Callback) or callable(callback)):
            raise ValueError(
                "callbacks must be a list of hyperrank.Callback objects or of functions of an epoch's entry; "
                f"got {callback!r}."
            )
    return given
