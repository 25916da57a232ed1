"""Methods that are compared, each with its best options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

import hyperrank
from benchmarks.fronts import baselines

__all__ = [
    "FREE",
    "HYPERDPO",
    "METHODS",
    "NETWORKS",
    "PAPER",
    "REFERENCE",
    "SUITE",
    "Method",
    "find",
    "front_label",
    "front_order",
    "make",
]

HYPERDPO = "hyperdpo"
NETWORKS = "networks"
REFERENCE = "reference"

#: Of the sweep over one ranker as reference.
PAPER_TEMPERATURES = (0.25, 0.5, 1, 2)
#: With so high a temperature the reference drops out of the order, and rewards alone rank.
REWARDS_ALONE = 1e9


@dataclass(frozen=True)
class Method:
    """An estimator to fit, and the fronts to take of it.

    Attributes
    ----------
    ranker : str
        Its public name in hyperrank, or its name in `benchmarks.fronts.baselines`.
    label : str
        What tables call it.
    tuning : str
        How it was tuned.
    options : mapping
        What its constructor is given beside objectives, seed and weights.
    fronts : mapping of str to mapping
        Keys of the fronts of one fit with the options they are predicted with; by default one front under
        the method's own key.
    labels : mapping of str to str
        What tables call further fronts.
    per_weight : bool
        Whether it trains one model per weight vector, and knows no others.
    is_dpo : bool
        Whether it takes a reference ranker, and passes its scores to fit and predict.
    library : str, optional
        What must be installed for it, beside what hyperrank needs.
    """

    ranker: str
    label: str
    tuning: str
    options: Mapping[str, Any] = field(default_factory=dict)
    fronts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    per_weight: bool = False
    is_dpo: bool = False
    library: str | None = None

    def fronts_of(self, key: str) -> Mapping[str, Mapping[str, Any]]:
        """Fronts by key, with the options they are predicted with."""
        return self.fronts or {key: {}}


AS_OURS = "the defaults of HyperDPO: same trunk, transforms, loss, epochs and early stopping"


def _with_and_without(key: str, label: str) -> dict[str, Any]:
    """Two fronts of one fit, over our reference and alone.

    The loss sees the rewards alone, never the reference, so that networks trained without one are the very
    same, ranking by rewards alone.
    """
    return {
        "fronts": {key: {}, f"{key}-alone": {"temperature": REWARDS_ALONE}},
        "labels": {f"{key}-alone": f"{label}, no reference"},
    }


KINDS = {"ranking": ["ranking"], "regression": ["regression"], "both": ["ranking", "regression"]}
SEARCHED_HERE = (
    "leaves, rate, sampling, rounds and features chosen for each objective on a third of the lists"
)


def _mixed(library: str, name: str, features: Mapping[str, str], kinds: Sequence[str], tuning: str) -> Method:
    """Models per objective of some kinds and features, a front of each kind and feature set."""
    fronts, labels = {}, {}
    for key, shown in features.items():
        for kind in kinds:
            front = "-".join([library, *([] if key == "plain" else [key]), kind])
            fronts[front] = {"members": [(part, key) for part in KINDS[kind]]}
            labels[front] = f"{name} {'ranking + regression' if kind == 'both' else kind}{shown}"
    members = sorted({member for options in fronts.values() for member in options["members"]})
    options = {"library": library, "members": members}
    installed = None if library == "lightgbm" else library
    return Method("MixedModels", f"{name}, mixed", tuning, options, fronts, labels, library=installed)


def _per_weight(key: str, combination: str, name: str) -> Method:
    """LightGBM per weight, alone and with regressions mixed in."""
    return Method(
        "PerWeight",
        name,
        "leaves, rate, sampling and rounds chosen on a third of the lists; in-list features",
        {"combination": combination},
        {key: {}, f"{key}-regression": {"with_regressions": True}},
        {f"{key}-regression": f"{name} + regression"},
        per_weight=True,
    )


FEATURES = {"plain": "", "in-list": ", in-list"}
METHODS: Mapping[str, Method] = {
    HYPERDPO: Method(
        "HyperDPORanker",
        "HyperDPO, one network",
        "defaults",
        fronts={HYPERDPO: {}, "hyperdpo-untrained": {"temperature": 0}},
        labels={"hyperdpo-untrained": "HyperDPO's reference alone"},
        is_dpo=True,
    ),
    "hyperdpo-network": Method("HyperDPORanker", "HyperDPO, network alone", "defaults", {"reference": None}),
    "hyperdpo-paper": Method(
        "HyperDPORanker",
        "HyperDPO over one ranker",
        "defaults",
        {"reference": "lightgbm"},
        fronts={f"hyperdpo-paper-{t:g}": {"temperature": t} for t in PAPER_TEMPERATURES},
        labels={
            f"hyperdpo-paper-{t:g}": f"HyperDPO over one ranker, temperature {t:g}"
            for t in PAPER_TEMPERATURES
        },
        is_dpo=True,
    ),
    "hyperdpo-concat": Method(
        "HyperDPORanker",
        "HyperDPO, weights concatenated (COSMOS)",
        AS_OURS,
        {"network__conditioning": "concat"},
        is_dpo=True,
    ),
    "hyperdpo-transformer": Method(
        "HyperDPORanker",
        "HyperDPO, listwise transformer (hyper prompts)",
        AS_OURS,
        {"network": "transformer"},
        is_dpo=True,
    ),
    "lightgbm": _mixed("lightgbm", "LightGBM", FEATURES, list(KINDS), "LightGBM's own defaults"),
    "lightgbm-searched": _mixed(
        "lightgbm", "LightGBM", {"searched": ", searched"}, list(KINDS), SEARCHED_HERE
    ),
    "xgboost": _mixed("xgboost", "XGBoost", FEATURES, ["ranking"], "its own defaults, rank:ndcg"),
    "catboost": _mixed("catboost", "CatBoost", FEATURES, ["ranking"], "YetiRank, 100 rounds"),
    "per-weight-labels": _per_weight(
        "per-weight-labels", "labels", "LightGBM per weight, labels mixed, in-list"
    ),
    "per-weight-gradients": _per_weight(
        "per-weight-gradients", "gradients", "LightGBM per weight, gradients mixed, in-list"
    ),
    "chebyshev": _per_weight("chebyshev", "chebyshev", "LightGBM per weight, Chebyshev, in-list"),
    "mixed-scores": Method("MixedScoresRanker", "boosters, scores mixed", "defaults"),
    NETWORKS: Method(
        "LinearScalarizationRanker",
        "networks, one per weight, HyperDPO's reference",
        f"{AS_OURS}, each network stopped under its own weights",
        per_weight=True,
        is_dpo=True,
        **_with_and_without(NETWORKS, "networks, one per weight"),
    ),
    "soup": Method(
        "SoupRanker",
        "soup of networks",
        AS_OURS,
        is_dpo=True,
        **_with_and_without("soup", "soup of networks"),
    ),
    "modpo": Method(
        "MODPORanker",
        "MODPO",
        AS_OURS,
        per_weight=True,
        is_dpo=True,
        **_with_and_without("modpo", "MODPO"),
    ),
}

#: What the suite of all settings runs.
SUITE = (
    HYPERDPO,
    "hyperdpo-network",
    "hyperdpo-paper",
    NETWORKS,
    "soup",
    "modpo",
    "lightgbm",
    "lightgbm-searched",
    "xgboost",
    "catboost",
    "per-weight-labels",
    "chebyshev",
)

#: What is run where the reference knows the main objective alone, as in the paper.
PAPER = ("hyperdpo-paper", NETWORKS)

#: What is run on all other data.
FREE = tuple(key for key in METHODS if key != "hyperdpo-paper")

#: Fitted to the main objective where data have one, before the others, which start from its scores.
REFERENCE_METHOD = Method("MixedScoresRanker", "LightGBM for {main}, the reference", "defaults")


def find(key: str) -> Method:
    """The method of a key, the reference included."""
    return REFERENCE_METHOD if key == REFERENCE else METHODS[key]


def make(
    key: str,
    weights: NDArray[np.float64],
    *,
    objectives: Sequence[str],
    seed: int,
    has_reference: bool = False,
    params: Mapping[str, Any] | None = None,
) -> Any:
    """An unfitted ranker.

    Parameters
    ----------
    key : str
        Of the method.
    weights : ndarray of shape (k, m)
        The trade-offs that methods of one model per weight are trained at.
    objectives : sequence of str
    seed : int
    has_reference : bool, default False
        Whether scores of a reference ranker are given to fit and predict, for methods that take them.
    params : mapping, optional
        Constructor parameters on top of the method's own.

    Returns
    -------
    estimator
    """
    method = find(key)
    options: dict[str, Any] = {**method.options, "objectives": tuple(objectives), "random_state": seed}
    if method.per_weight:
        options["weights"] = weights
    if method.is_dpo and has_reference:
        options["reference"] = "scores"
    home = baselines if hasattr(baselines, method.ranker) else hyperrank
    return getattr(home, method.ranker)().set_params(**{**options, **(params or {})})


def front_order() -> list[str]:
    """Keys of all fronts in the order of tables."""
    return [REFERENCE, *(front for key, method in METHODS.items() for front in method.fronts_of(key))]


def front_label(front: str) -> str:
    """What tables call a front."""
    if front == REFERENCE:
        return REFERENCE_METHOD.label
    for key, method in METHODS.items():
        if front in method.fronts_of(key):
            return method.labels.get(front, method.label)
    return front
