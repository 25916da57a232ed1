"""Which features drive the change between two trade-offs: what goes away where one is permuted."""

from hyperrank.explain.explanation import Explanation
from hyperrank.explain.permutation import Columns, Task, explained, named_columns

__all__ = ["Columns", "Explanation", "Task", "explained", "named_columns"]
