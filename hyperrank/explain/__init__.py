"""Permutation explanations: which features drive the rank change between two trade-offs."""

from hyperrank.explain.comparison import Comparison
from hyperrank.explain.explanation import Explanation

__all__ = ["Comparison", "Explanation"]
