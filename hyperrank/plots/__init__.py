"""Pictures as Display objects; matplotlib, an extra, is imported when something is drawn and not before."""

from hyperrank.plots.displays import Display, ExplanationDisplay, ParetoFrontDisplay, TrainingDisplay

__all__ = ["Display", "ExplanationDisplay", "ParetoFrontDisplay", "TrainingDisplay"]
