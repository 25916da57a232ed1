"""From lists to one number: run a measure over all blocks and average it over lists."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperrank.metrics._blocks import Block, blocks
from hyperrank.metrics._inputs import Inputs

__all__ = ["EMPTY_VALUES", "average_over_lists", "empty_value"]

#: What a list without a relevant document scores, by name.
EMPTY_VALUES = {"skip": np.nan, "zero": 0.0, "one": 1.0}

Measure = Callable[[Block, slice], NDArray[np.float64]]


def empty_value(empty: str | float) -> float:
    """Read the `empty` argument of a metric: NaN stands for a list that is skipped."""
    if isinstance(empty, str) and empty in EMPTY_VALUES:
        return EMPTY_VALUES[empty]
    if not isinstance(empty, str | bool) and empty in (0, 1):
        return float(empty)
    raise ValueError(f"empty must be 'skip', 'zero' (or 0) or 'one' (or 1); got {empty!r}.")


def average_over_lists(inputs: Inputs, measure: Measure, k: int | None, per_query: bool) -> Any:
    """Average a measure over lists, or give it list by list.

    Parameters
    ----------
    inputs : Inputs
    measure : callable
        ``measure(block, columns)`` gives (B, K, m) for those columns of the scores, NaN for skipped lists.
    k : int or None
        The cut-off, passed on to the blocks.
    per_query : bool
        Whether to return each list's value.

    Returns
    -------
    float or ndarray
        Shape (K, m), or (n_lists, K, m), less the axes of 1-D inputs.
    """
    n_lists, n_scores, n_labels = inputs.shape
    by_list = np.full((n_lists, n_scores, n_labels), np.nan) if per_query else None
    totals = np.zeros((n_scores, n_labels))
    counts = np.zeros((n_scores, n_labels))
    for part in inputs.parts():
        for block in blocks(part, k):
            for columns in block.column_tiles():
                values = measure(block, columns)
                if by_list is not None:
                    _store(by_list, block, columns, values)
                    continue
                valid = ~np.isnan(values)
                totals[columns, part.columns] += values.sum(axis=0, where=valid)
                counts[columns, part.columns] += valid.sum(axis=0)
    if by_list is not None:
        return inputs.squeeze(by_list)
    means = np.full_like(totals, np.nan)
    np.divide(totals, counts, out=means, where=counts > 0)
    return inputs.squeeze(means)


def _store(by_list: NDArray[np.float64], block: Block, columns: slice, values: NDArray[np.float64]) -> None:
    """Put a block's values at their lists, columns and objectives."""
    lists = block.which[:, None, None]
    scores = np.arange(columns.start, columns.stop)[None, :, None]
    objectives = np.arange(by_list.shape[2])[block.part.columns][None, None, :]
    by_list[lists, scores, objectives] = values
