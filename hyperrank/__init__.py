"""Learning to rank for several objectives: train once, hold the whole Pareto front.

`HyperDPORanker` is the ranker, `ParetoFront` what it reaches, and `datasets` has data to try it on.
Everything below is imported when it is first asked for: torch and LightGBM take seconds, and a program
that only reads data or measures needs neither.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from hyperrank._version import __version__

if TYPE_CHECKING:
    from hyperrank import alignment, datasets, export, losses, metrics, model_selection, networks, simplex
    from hyperrank.explain import Comparison, Explanation
    from hyperrank.files import ModelFileError
    from hyperrank.front.pareto_front import ParetoFront
    from hyperrank.lists import QueryLists
    from hyperrank.model_selection import (
        QueryKFold,
        QueryShuffleSplit,
        make_hypervolume_scorer,
        make_ranking_scorer,
    )
    from hyperrank.plots import ExplanationDisplay, ParetoFrontDisplay, TrainingDisplay
    from hyperrank.rankers import (
        Callback,
        HyperDPORanker,
        LightGBMScalarizationRanker,
        LinearScalarizationRanker,
        MixedScoresRanker,
        MODPORanker,
        SoupRanker,
        SpecializedRanker,
        load,
    )
    from hyperrank.training import AdamW, CheckpointFile, EarlyStopping, TradeOffs
    from hyperrank.weights import PerQuery, PerRow

__all__ = [
    "AdamW",
    "Callback",
    "CheckpointFile",
    "Comparison",
    "EarlyStopping",
    "Explanation",
    "ExplanationDisplay",
    "HyperDPORanker",
    "LightGBMScalarizationRanker",
    "LinearScalarizationRanker",
    "MODPORanker",
    "MixedScoresRanker",
    "ModelFileError",
    "ParetoFront",
    "ParetoFrontDisplay",
    "PerQuery",
    "PerRow",
    "QueryKFold",
    "QueryLists",
    "QueryShuffleSplit",
    "SoupRanker",
    "SpecializedRanker",
    "TradeOffs",
    "TrainingDisplay",
    "__version__",
    "alignment",
    "datasets",
    "export",
    "load",
    "losses",
    "make_hypervolume_scorer",
    "make_ranking_scorer",
    "metrics",
    "model_selection",
    "networks",
    "simplex",
]

_HOMES = {
    "AdamW": "hyperrank.training",
    "Callback": "hyperrank.rankers",
    "CheckpointFile": "hyperrank.training",
    "Comparison": "hyperrank.explain",
    "EarlyStopping": "hyperrank.training",
    "Explanation": "hyperrank.explain",
    "ExplanationDisplay": "hyperrank.plots",
    "HyperDPORanker": "hyperrank.rankers",
    "LightGBMScalarizationRanker": "hyperrank.rankers",
    "LinearScalarizationRanker": "hyperrank.rankers",
    "MODPORanker": "hyperrank.rankers",
    "MixedScoresRanker": "hyperrank.rankers",
    "ModelFileError": "hyperrank.files",
    "ParetoFront": "hyperrank.front",
    "ParetoFrontDisplay": "hyperrank.plots",
    "PerQuery": "hyperrank.weights",
    "PerRow": "hyperrank.weights",
    "QueryKFold": "hyperrank.model_selection",
    "QueryLists": "hyperrank.lists",
    "QueryShuffleSplit": "hyperrank.model_selection",
    "SoupRanker": "hyperrank.rankers",
    "SpecializedRanker": "hyperrank.rankers",
    "TradeOffs": "hyperrank.training",
    "TrainingDisplay": "hyperrank.plots",
    "load": "hyperrank.rankers",
    "make_hypervolume_scorer": "hyperrank.model_selection",
    "make_ranking_scorer": "hyperrank.model_selection",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
    elif name in __all__:
        value = importlib.import_module(f"hyperrank.{name}")
    else:
        raise AttributeError(f"module 'hyperrank' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
