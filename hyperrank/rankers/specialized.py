"""A ranker for one trade-off, made from one that holds them all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from hyperrank.front.selection import resolve_trade_off
from hyperrank.rankers.data import GroupedFeatures
from hyperrank.rankers.dpo.base import DPORanker, NetworkRanker
from hyperrank.rankers.dpo.reward_model import RewardModel
from hyperrank.simplex import as_weights
from hyperrank.training.options import TemperatureRange
from hyperrank.weights import RowWeights

#: How far weights may lie from those held and be taken for them: as far as rounding brings them.
TOLERANCE = 1e-6


class SpecializedRanker(DPORanker):
    """A ranker for one trade-off, its conditioning folded into plain parameters.

    ``specialize`` of a fitted ranker makes it. It scores as that ranker does under the same weights, up to
    rounding, with a plain network and without the boosters of objectives that do not count; `temperature`
    is free. It cannot be fitted.

    Parameters
    ----------
    metric : str, default ``"ndcg@10"``
        What `score` measures.

    Attributes
    ----------
    objectives_ : tuple of str
        Names of the objectives.
    weights_ : ndarray of shape (1, m)
        The weights of the trade-off.
    temperature_ : float
        Its temperature, in units of the ranker that it was made from.
    reference_, reward_scale_, model_
        As of `HyperDPORanker`, at this trade-off.

    Examples
    --------
    >>> from hyperrank import HyperDPORanker, datasets
    >>> data = datasets.make_multilabel_ranking(n_queries=60, n_objectives=2, random_state=0)
    >>> ranker = HyperDPORanker("lightgbm", max_epochs=1, random_state=0).fit(data.X, data.Y, qid=data.qid)
    >>> plain = ranker.specialize([0.7, 0.3])
    >>> plain.predict(data.X, qid=data.qid).shape == (len(data.X),)
    True
    """

    model_: RewardModel
    weights_: NDArray[np.float64]
    temperature_: float
    temperature_range_: TemperatureRange | None

    def __init__(self, metric: str = "ndcg@10") -> None:
        self.metric = metric

    def fit(self, X: Any, y: Any, **options: Any) -> SpecializedRanker:
        """Refuse: fit the ranker that it was made from.

        Parameters
        ----------
        X, y, **options
            Not looked at.

        Returns
        -------
        SpecializedRanker
            Never.

        Raises
        ------
        TypeError
            Always.
        """
        raise TypeError(
            "a SpecializedRanker is not fitted but made: fit a HyperDPORanker, then call specialize(weights)."
        )

    def _rewards(
        self, data: GroupedFeatures, weights: NDArray[np.float64] | RowWeights
    ) -> NDArray[np.float32]:
        rewards = self.model_.rewards(data.X, data.lists.in_place, np.ones((1, 1)))
        return rewards[:, 0] if isinstance(weights, RowWeights) else rewards

    def _default_weights(self) -> NDArray[np.float64]:
        return self.weights_

    def _default_temperatures(self) -> tuple[float, ...] | None:
        return None

    def _trade_off(self, weights: Any, options: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Weights, and the temperature of a selection in units of the one specialised for."""
        weights, temperature = resolve_trade_off(weights, None, self.objectives_)
        if temperature is None:
            return weights, dict(options)
        own, asked = getattr(self, "temperature_", 1.0), options.get("temperature")
        factor = 1.0 if temperature == own else temperature / own if own > 0 else np.inf
        is_fixed = own == 0 or getattr(self, "temperature_range_", None) is not None
        if (is_fixed and factor != 1) or (asked is not None and not np.isclose(asked, factor)):
            raise ValueError(
                f"this ranker is specialised for temperature {own:g}"
                + ("" if asked is None else f", to be multiplied by temperature={asked:g},")
                + f" and the selection is of {temperature:g}: ask the ranker that it was made from."
            )
        return weights, {**options, "temperature": factor}

    def _front_temperature(self, **options: Any) -> float | None:
        return getattr(self, "temperature_", 1.0) * self._factor(options.get("temperature"))

    def _weights(self, weights: ArrayLike | Mapping[str, float] | None) -> NDArray[np.float64]:
        held = self.weights_[0]
        given = held if weights is None else as_weights(weights, len(held), self.objectives_)
        if np.abs(given - held).max() > TOLERANCE:
            known = ", ".join(f"{name}: {w:.4g}" for name, w in zip(self.objectives_, held, strict=True))
            raise ValueError(
                f"this ranker is specialised for the weights {known}; got {np.asarray(given).tolist()}. "
                "Leave weights out, or ask the ranker that it was made from."
            )
        return given


class SpecializableRanker(NetworkRanker):
    """A ranker of networks with one model, ``model_``, for all trade-offs."""

    def specialize(
        self, weights: ArrayLike | Mapping[str, float], *, temperature: float | None = None
    ) -> SpecializedRanker:
        """Make a smaller ranker for one trade-off.

        Conditioning is folded into the parameters of a plain network, and boosters of objectives of weight 0
        are left out. Scores are the same up to rounding.

        Parameters
        ----------
        weights : array-like of shape (m,), mapping of objective to weight, or Selection
            The trade-off.
        temperature : float, optional
            As of `predict`: that of a selection, or else 1. It becomes the 1 of the new ranker's own
            `temperature`.

        Returns
        -------
        SpecializedRanker

        Raises
        ------
        NotFittedError
            Before fit.
        ValueError
            If weights are not one trade-off on the simplex, or the temperature is negative, or not one that
            the ranker was trained for.

        Examples
        --------
        >>> import numpy as np
        >>> from hyperrank import HyperDPORanker, datasets
        >>> data = datasets.make_multilabel_ranking(n_queries=60, n_objectives=2, random_state=0)
        >>> ranker = HyperDPORanker(max_epochs=1, random_state=0).fit(data.X, data.Y, qid=data.qid)
        >>> plain = ranker.specialize([0.7, 0.3])
        >>> scores = ranker.predict(data.X, weights=[0.7, 0.3])
        >>> bool(np.abs(plain.predict(data.X) - scores).max() < 1e-5)
        True
        """
        check_is_fitted(self)
        weights, options = self._trade_off(weights, {"temperature": temperature})
        at = as_weights(weights, len(self.objectives_), self.objectives_)
        if at.ndim != 1:
            raise ValueError(f"specialize takes one trade-off; got weights of shape {at.shape}.")
        factor = self._factor(options.get("temperature"))
        plain = SpecializedRanker(metric=self.metric)
        plain.temperature_ = factor
        plain.temperature_range_ = getattr(self, "temperature_range_", None)
        plain.objectives_, plain.n_features_in_ = self.objectives_, self.n_features_in_
        for name in ("feature_names_in_", "categories_", "data_summary_"):
            if hasattr(self, name):
                setattr(plain, name, getattr(self, name))
        plain.weights_ = at[None]
        plain.reward_scale_ = factor * self.reward_scale_
        plain.reference_ = self.reference_.at(at, factor)
        plain.model_ = self.model_.at(self._condition(at[None], factor)[0])
        return plain
