"""Language models aligned once for all trade-offs (extra `llm`)."""

from hyperrank.alignment.aligner import HyperPromptAligner
from hyperrank.alignment.preferences import Preferences
from hyperrank.alignment.readers import load_hh_rlhf, load_preferences, load_safe_rlhf
from hyperrank.alignment.rewards import preference_accuracy
from hyperrank.alignment.tiny import tiny_model
from hyperrank.networks import HyperPrompt

__all__ = [
    "HyperPrompt",
    "HyperPromptAligner",
    "Preferences",
    "load_hh_rlhf",
    "load_preferences",
    "load_safe_rlhf",
    "preference_accuracy",
    "tiny_model",
]
