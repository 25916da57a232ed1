"""The estimators."""

from hyperrank.rankers.base import BaseRanker, RankerMixin
from hyperrank.rankers.hyperdpo import HyperDPORanker

__all__ = ["BaseRanker", "HyperDPORanker", "RankerMixin"]
