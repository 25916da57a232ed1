"""The methods that are compared, each with the options that make it as good as it gets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperrank import (
    HyperDPORanker,
    LightGBMScalarizationRanker,
    LinearScalarizationRanker,
    MixedScoresRanker,
)

__all__ = ["HYPERDPO", "METHODS", "NETWORKS", "Method"]

HYPERDPO = "HyperDPO, one network"
MIXED_SCORES = "boosters, scores mixed"
LIGHTGBM_GRADIENTS = "LightGBM per weight, gradients mixed"
LIGHTGBM_LABELS = "LightGBM per weight, labels mixed"
NETWORKS = "networks, one per weight"

#: With so high a temperature the reference drops out of the order, and rewards alone rank.
REWARDS_ALONE = 1e9


@dataclass(frozen=True)
class Method:
    """An estimator to fit, and the fronts to take of it.

    Attributes
    ----------
    make : callable
        ``(weights, seed, **params) -> estimator``.
    fronts : mapping of str to mapping
        What to call each front, and the options it is profiled with.
    is_network : bool
        Whether it takes the parameters that tests pass to make training short.
    """

    make: Callable[..., Any]
    fronts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    is_network: bool = False


def _hyperdpo(weights: NDArray[np.float64], seed: int, **params: Any) -> Any:  # noqa: ARG001
    return HyperDPORanker(random_state=seed, **params)


def _mixed_scores(weights: NDArray[np.float64], seed: int, **params: Any) -> Any:  # noqa: ARG001
    return MixedScoresRanker(random_state=seed, **params)


def _lightgbm(weights: NDArray[np.float64], seed: int, **params: Any) -> Any:
    return LightGBMScalarizationRanker(weights, random_state=seed, **params)


def _networks(weights: NDArray[np.float64], seed: int, **params: Any) -> Any:
    return LinearScalarizationRanker(weights, random_state=seed, **params)


#: The separate networks make two fronts of one fit: their loss sees the rewards alone, never the reference,
#: so that those trained without a reference are the very same, ranking by rewards alone.
METHODS: tuple[Method, ...] = (
    Method(_hyperdpo, {HYPERDPO: {}}, is_network=True),
    Method(_mixed_scores, {MIXED_SCORES: {}}),
    Method(partial(_lightgbm, mixing="gradients"), {LIGHTGBM_GRADIENTS: {}}),
    Method(partial(_lightgbm, mixing="labels"), {LIGHTGBM_LABELS: {}}),
    Method(
        _networks,
        {NETWORKS: {}, f"{NETWORKS}, no reference": {"temperature": REWARDS_ALONE}},
        is_network=True,
    ),
)
