"""Networks that map features and weights to scores, and feature transforms."""

from hyperrank.networks.conditioning import (
    CONDITIONINGS,
    ConditionedLinear,
    register_conditioning,
    zero_linear,
)
from hyperrank.networks.options import MLP, Transformer, get_network
from hyperrank.networks.scorer import ConditionedScorer
from hyperrank.networks.transformer import HyperPrompt, ListTransformer

__all__ = [
    "CONDITIONINGS",
    "MLP",
    "NETWORKS",
    "ConditionedLinear",
    "ConditionedScorer",
    "HyperPrompt",
    "ListTransformer",
    "Transformer",
    "get_network",
    "register_conditioning",
    "zero_linear",
]

#: The networks that have a name: a perceptron of each document, a transformer of its list.
NETWORKS = ("mlp", "transformer")
