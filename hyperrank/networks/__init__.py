"""Torch modules from features and weights to scores, and the transforms of features before them."""

from hyperrank.networks.conditioning import CONDITIONINGS
from hyperrank.networks.hyper_prompt import HyperPrompt
from hyperrank.networks.scorer import ConditionedScorer
from hyperrank.networks.transformer import ListTransformer

__all__ = ["CONDITIONINGS", "NETWORKS", "ConditionedScorer", "HyperPrompt", "ListTransformer"]

#: The networks that have a name: a perceptron of each document, a transformer of its list.
NETWORKS = ("mlp", "transformer")
