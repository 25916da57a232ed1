"""Permutation explanations: which features drive the rank change between two trade-offs."""

from hyperrank.explain.comparison import Comparison
from hyperrank.explain.explanation import Explanation
from hyperrank.explain.permutation import Columns, Task, explain_change, named_columns

__all__ = ["Columns", "Comparison", "Explanation", "Task", "explain_change", "named_columns"]
