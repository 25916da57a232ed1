"""Displays of fronts, training and explanations; matplotlib, an extra, is imported when one is drawn."""

from hyperrank.plots.displays import Display, ExplanationDisplay, ParetoFrontDisplay, TrainingDisplay

__all__ = ["Display", "ExplanationDisplay", "ParetoFrontDisplay", "TrainingDisplay"]
