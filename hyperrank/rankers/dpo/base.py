"""Base of rankers whose scores are a reference's plus scaled rewards."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hyperrank._checks import check_number
from hyperrank.losses import ListLoss, get_loss
from hyperrank.networks import MLP, Transformer, get_network
from hyperrank.rankers.base import BaseRanker
from hyperrank.rankers.data import GroupedFeatures
from hyperrank.rankers.dpo.reward_model import RewardModel
from hyperrank.reference import NoReference, PerObjectiveReference, Reference
from hyperrank.reference.base import mix
from hyperrank.training import AdamW, EarlyStopping, StoppingRule
from hyperrank.training.options import get_checkpoint_file, get_optimizer, get_trade_offs
from hyperrank.weights import PerQuery, PerRow, RowWeights


def _get_early_stopping(early_stopping: Any) -> EarlyStopping:
    return early_stopping if isinstance(early_stopping, EarlyStopping) else EarlyStopping()


#: What makes the object of each parameter that may be given by name.
OBJECTS: Mapping[str, Callable[[Any], Any]] = {
    "loss": get_loss,
    "network": get_network,
    "trade_offs": get_trade_offs,
    "optimizer": get_optimizer,
    "early_stopping": _get_early_stopping,
    "checkpoint": get_checkpoint_file,
}


def with_objects(params: Mapping[str, Any], current: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters to set, with an object for each name of one that has a nested parameter among them."""
    nested = {key.partition("__")[0] for key in params if "__" in key}
    objects = {
        name: OBJECTS[name](params.get(name, current.get(name)))
        for name in OBJECTS
        if name in nested and name in {**current, **params}
    }
    return {**objects, **{key: value for key, value in params.items() if key not in objects}}


#: Temperatures that a front is profiled at by default where the reference is one score.
FRONT_TEMPERATURES = (0.1, 0.3, 1.0, 3.0)


class DPORanker(BaseRanker):
    """A ranker whose scores are a reference's plus rewards that were learnt over it, times their scale.

    A subclass sets ``objectives_``, ``reference_``, ``reward_scale_`` and ``model_`` in fit, or overrides
    `_rewards` and `_models`.
    """

    __metadata_request__predict = {  # noqa: RUF012 - scikit-learn reads the class attribute
        "qid": True,
        "weights": True,
        "temperature": True,
        "ref_scores": True,
    }

    reference_: Reference
    reward_scale_: float
    model_: RewardModel

    @property
    def pull_(self) -> float:
        """Alias of ``reward_scale_``."""
        return self.reward_scale_

    def set_params(self, **params: Any) -> Self:
        """Set parameters.

        Parameters
        ----------
        **params
            New values; ``loss__top_k`` sets an option of the loss, and so on for network, trade-offs,
            optimiser, early stopping and checkpoint, also where these were given by name.

        Returns
        -------
        Self
            Itself.

        Raises
        ------
        ValueError
            If there is no such parameter.
        """
        super().set_params(**with_objects(params, self.get_params(deep=False)))
        return self

    def predict(
        self,
        X: Any,
        *,
        qid: ArrayLike | None = None,
        weights: ArrayLike | Mapping[str, float] | PerQuery | PerRow | None = None,
        temperature: float | None = None,
        ref_scores: ArrayLike | None = None,
    ) -> NDArray[np.floating[Any]]:
        """Score documents under one or several trade-offs; higher ranks first.

        Parameters
        ----------
        X : array-like, sparse matrix or frame of shape (n, d)
            Features, NaN where missing; a frame may carry the query ids in a column ``qid``.
        qid : array-like of shape (n,), optional
            Query ids, which matter where `query_standardize` is on or the network is a transformer; one list
            by default.
        weights : array-like of shape (m,) or (k, m), mapping, Selection, PerQuery or PerRow, optional
            One or k trade-offs on the simplex, or one by objective name; equal weights by default. A frame
            with query ids in an index or a column of the name ``qid``, or `PerQuery`, gives each query its
            own; `PerRow` each row. Selections, and rows of a front's weights, bring their temperature.
        temperature : float, optional
            How hard the objectives pull away from the reference: 0 gives the reference itself, 1 (the
            default) what was trained, more goes further. The same as training with beta / temperature; for
            a ranker with a ``temperature_range`` it must lie in that, or be 0. A selection brings its own.
        ref_scores : array-like of shape (n,) or (n, k), optional
            The reference's scores, for ``reference="scores"``; columns for k objectives whose scorer is that.

        Returns
        -------
        ndarray of shape (n,) or (n, k), float64
            (n, k) for k trade-offs. In the order of the rows of `X`.

        Raises
        ------
        NotFittedError
            Before fit.
        ValueError
            If `X` is not what fit was given, weights are off the simplex or unknown to the ranker, or the
            temperature is.
        """
        return self._predict(X, qid, weights, ref_scores=ref_scores, temperature=temperature)

    def _rewards(
        self, data: GroupedFeatures, weights: NDArray[np.float64] | RowWeights
    ) -> NDArray[np.floating[Any]]:
        """Rewards of grouped rows under k conditions, shape (n, k), or each under its own, (n,)."""
        return self.model_.rewards(data.X, data.lists.in_place, weights)

    def _models(self) -> Sequence[RewardModel]:
        """All that give rewards."""
        return [self.model_]

    @property
    def _knows_lists(self) -> bool:
        return self.reference_.knows_lists or any(model.knows_lists for model in self._models())

    def _scores(
        self,
        data: GroupedFeatures,
        weights: NDArray[np.float64] | RowWeights,
        *,
        temperature: float | None = None,
    ) -> NDArray[np.float64]:
        """Scores of grouped rows under k weights, shape (n, k), or each under its own, (n,)."""
        factor = self._factor(temperature)
        base = mix(data.reference_scores(self.reference_, factor), weights)
        condition = partial(self._condition, temperature=factor)
        conditions = weights.map(condition) if isinstance(weights, RowWeights) else condition(weights)
        rewards = self._rewards(data, conditions)
        return base + np.multiply(rewards, factor * self.reward_scale_, dtype=np.float64)

    def _front_scores(
        self,
        data: GroupedFeatures,
        weights: NDArray[np.float64],
        temperatures: NDArray[np.float64] | None,
        **options: Any,
    ) -> NDArray[np.float64]:
        """Scores of grouped rows at k trade-offs, shape (n, k); weights that recur are scored once."""
        if temperatures is None or (temperatures == temperatures[0]).all():
            one = None if temperatures is None else float(temperatures[0])
            return self._scores(data, weights, temperature=one, **options)
        scores = np.zeros((len(data.X), len(weights)))
        warm = temperatures > 0
        conditions = np.concatenate(
            [self._condition(row[None], t) for row, t in zip(weights[warm], temperatures[warm], strict=True)]
        )
        distinct, which = np.unique(conditions, axis=0, return_inverse=True)
        scores[:, warm] = self._rewards(data, distinct)[:, which.ravel()]
        scores *= temperatures * self.reward_scale_
        for t in np.unique(temperatures):
            at_t = temperatures == t
            scores[:, at_t] += mix(data.reference_scores(self.reference_, t), weights[at_t])
        return scores

    def _scores_by_row(
        self, data: GroupedFeatures, row_weights: RowWeights, **options: Any
    ) -> NDArray[np.float64]:
        return self._scores(data, row_weights, **options)

    @property
    def _needs_frame(self) -> bool:
        return self.reference_.needs_frame

    def _temperature_option(self, temperature: float | None) -> dict[str, Any]:
        return {"temperature": temperature}

    def _front_temperature(self, **options: Any) -> float | None:
        return self._factor(options.get("temperature"))

    def _default_temperatures(self) -> tuple[float, ...] | None:
        is_learnt = self.reference_.main is not None and not isinstance(
            self.reference_, PerObjectiveReference
        )
        if isinstance(self.reference_, NoReference) or is_learnt:
            return (1.0,)
        low, high = getattr(self, "temperature_range_", None) or (0.0, np.inf)
        return tuple(t for t in FRONT_TEMPERATURES if low <= t <= high)

    @staticmethod
    def _factor(temperature: float | None) -> float:
        """The temperature, 1 by default."""
        return 1.0 if temperature is None else check_number("temperature", temperature, at_least=0)

    def _condition(self, weights: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
        """What conditions the rewards: weights, and the temperature where it matters."""
        return weights

    def _reference_scores(self, data: GroupedFeatures) -> NDArray[np.float64] | None:
        if isinstance(self.reference_, NoReference):
            return None
        return self.reference_.main_scores(data.reference_scores(self.reference_))


@dataclass(eq=False, repr=False)
class NetworkRanker(DPORanker):
    """A ranker whose fit trains networks over a reference; its parameters are those that all of these have.

    Dataclasses write the constructors, which only store: a subclass adds its own parameters as fields.
    """

    reference: Any = "booster_pairs"
    _: KW_ONLY
    reference_objective: int | str = 0
    objectives: Sequence[str] | None = None
    loss: str | ListLoss = "listnet"
    beta: float | str = "auto"
    normalize_objectives: bool = True
    metric: str = "ndcg@10"
    network: str | MLP | Transformer = "mlp"
    categorical_features: str | Sequence[Any] | None = "from_dtype"
    feature_transform: str = "quantile"
    query_standardize: bool | str = "auto"
    booster_params: Mapping[str, Any] | str | None = None
    max_epochs: int | str = "auto"
    optimizer: str | AdamW = "adamw"
    early_stopping: bool | str | EarlyStopping | StoppingRule = "auto"
    device: str = "auto"
    n_jobs: int | None = None
    random_state: Any = None
    verbose: int = 0
