"""Baseline rankers: one model per trade-off, or scores and parameters mixed afterwards."""

from hyperrank.rankers.baselines.mixed_scores import MixedScoresRanker
from hyperrank.rankers.baselines.modpo import MODPORanker
from hyperrank.rankers.baselines.scalarization import LightGBMScalarizationRanker, LinearScalarizationRanker
from hyperrank.rankers.baselines.soup import SoupRanker

__all__ = [
    "LightGBMScalarizationRanker",
    "LinearScalarizationRanker",
    "MODPORanker",
    "MixedScoresRanker",
    "SoupRanker",
]
