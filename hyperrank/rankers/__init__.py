"""The estimators."""

from hyperrank.rankers.base import BaseRanker, load
from hyperrank.rankers.hyperdpo import HyperDPORanker
from hyperrank.rankers.lightgbm_scalarization import LightGBMScalarizationRanker
from hyperrank.rankers.linear_scalarization import LinearScalarizationRanker
from hyperrank.rankers.mixed_scores import MixedScoresRanker
from hyperrank.rankers.modpo import MODPORanker
from hyperrank.rankers.soup import SoupRanker
from hyperrank.rankers.specialized import SpecializedRanker
from hyperrank.rankers.tags import RankerMixin

__all__ = [
    "BaseRanker",
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
