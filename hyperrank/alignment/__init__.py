"""Language models aligned once for all trade-offs (extra `llm`)."""

from hyperrank.alignment.aligner import HyperPromptAligner
from hyperrank.alignment.conditioning import register_conditioning
from hyperrank.alignment.preferences import Preferences, preference_accuracy
from hyperrank.alignment.readers import load_preferences, to_preferences
from hyperrank.alignment.tiny import tiny_model
from hyperrank.networks import HyperPrompt

__all__ = [
    "HyperPrompt",
    "HyperPromptAligner",
    "Preferences",
    "load_preferences",
    "preference_accuracy",
    "register_conditioning",
    "tiny_model",
    "to_preferences",
]
