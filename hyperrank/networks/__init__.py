"""Torch modules from features and weights to scores, and the transforms of features before them."""

from hyperrank.networks.conditioning import CONDITIONINGS
from hyperrank.networks.hyper_prompt import HyperPrompt
from hyperrank.networks.scorer import ConditionedScorer

__all__ = ["CONDITIONINGS", "ConditionedScorer", "HyperPrompt"]
