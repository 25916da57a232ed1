"""Pareto fronts, and trade-offs chosen on them."""

from hyperrank.front.limits import InfeasibleLimitsError
from hyperrank.front.pareto_front import ParetoFront
from hyperrank.front.selection import Selection

__all__ = ["InfeasibleLimitsError", "ParetoFront", "Selection"]
