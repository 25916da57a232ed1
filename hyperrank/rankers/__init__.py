"""Rankers as scikit-learn estimators."""

from hyperrank.rankers.base import BaseRanker, RankerMixin, load
from hyperrank.rankers.baselines.mixed_scores import MixedScoresRanker
from hyperrank.rankers.baselines.modpo import MODPORanker
from hyperrank.rankers.baselines.scalarization import LightGBMScalarizationRanker, LinearScalarizationRanker
from hyperrank.rankers.baselines.soup import SoupRanker
from hyperrank.rankers.dpo.callbacks import Callback
from hyperrank.rankers.hyperdpo import HyperDPORanker
from hyperrank.rankers.specialized import SpecializedRanker

__all__ = [
    "BaseRanker",
    "Callback",
    "HyperDPORanker",
    "LightGBMScalarizationRanker",
    "LinearScalarizationRanker",
    "MODPORanker",
    "MixedScoresRanker",
    "RankerMixin",
    "SoupRanker",
    "SpecializedRanker",
    "load",
]
