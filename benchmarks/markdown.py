"""Tables and numbers as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["markdown_table", "mean_and_deviation", "p_value"]


def markdown_table(rows: Sequence[Mapping[str, str]]) -> str:
    """A Markdown table whose columns line up as plain text too.

    Examples
    --------
    >>> print(markdown_table([{"method": "a", "s": "1.5"}, {"method": "bc", "s": ""}]))
    | method | s   |
    |--------|-----|
    | a      | 1.5 |
    | bc     |     |
    """
    columns = list(rows[0])
    table = [columns, *([row[column] for column in columns] for row in rows)]
    widths = [max(map(len, cells)) for cells in zip(*table, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"
        for cells in table
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def mean_and_deviation(values: NDArray[np.float64], digits: int = 4) -> str:
    """Mean ± standard deviation, with significant digits for small means."""
    deviation = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    mean = float(values.mean())
    if 0 < abs(mean) < 0.02:
        return f"{mean:.{digits}g} ± {deviation:.2g}"
    return f"{mean:.{digits}f} ± {deviation:.{digits}f}"


def p_value(p: float, n: int) -> str:
    """A p-value, which n permutations cannot bring below 1 / (n + 1)."""
    return f"< {2 / (n + 1):.2g}" if p <= 1 / (n + 1) + 1e-12 else f"{p:.3f}"
