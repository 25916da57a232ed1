"""Pictures as Display objects; matplotlib, an extra, is imported when something is drawn and not before."""

from hyperrank.plots.display import Display
from hyperrank.plots.explanation import ExplanationDisplay
from hyperrank.plots.pareto import ParetoFrontDisplay
from hyperrank.plots.training import TrainingDisplay

__all__ = ["Display", "ExplanationDisplay", "ParetoFrontDisplay", "TrainingDisplay"]
