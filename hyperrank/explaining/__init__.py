"""Which features drive the change between two trade-offs: what goes away where one is permuted."""

from hyperrank.explaining.columns import Columns, named_columns
from hyperrank.explaining.explanation import Explanation
from hyperrank.explaining.running import Task, explained

__all__ = ["Columns", "Explanation", "Task", "explained", "named_columns"]
