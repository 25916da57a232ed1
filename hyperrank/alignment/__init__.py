"""Language models aligned once for all trade-offs; `fit` needs the extra: ``pip install "hyperrank[llm]"``."""

from hyperrank.alignment.aligner import HyperPromptAligner
from hyperrank.alignment.rewards import preference_accuracy
from hyperrank.alignment.tiny import tiny_model
from hyperrank.networks import HyperPrompt

__all__ = ["HyperPrompt", "HyperPromptAligner", "preference_accuracy", "tiny_model"]
