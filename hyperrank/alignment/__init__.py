"""Language models aligned once for all trade-offs (extra `llm`)."""

from hyperrank.alignment.aligner import HyperPromptAligner
from hyperrank.alignment.conditioning import register_conditioning
from hyperrank.alignment.preferences import Preferences
from hyperrank.alignment.readers import to_preferences
from hyperrank.alignment.tiny import tiny_model
from hyperrank.networks import HyperPrompt

__all__ = [
    "HyperPrompt",
    "HyperPromptAligner",
    "Preferences",
    "register_conditioning",
    "tiny_model",
    "to_preferences",
]
