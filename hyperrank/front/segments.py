"""Values by segment: what each trade-off reaches among the queries of a market or a device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["read_by_segment", "table_by_segment"]

COLUMNS = ("segment", "trade_off", "objective", "n_queries", "value", "error")


def table_by_segment(
    per_query: NDArray[np.float32],
    baseline_per_query: NDArray[np.float32] | None,
    segments: NDArray[Any],
    names: Sequence[str],
) -> pd.DataFrame:
    """The table ``ParetoFront.by_segment``, of values of shapes (k, n_queries, m) and (n_queries, m).

    >>> values = np.float32([[[0.5], [0.7], [0.2]]])
    >>> table = table_by_segment(values, None, np.array(["de", "de", "fr"]), ["clicks"])
    >>> table[["segment", "n_queries", "value", "error"]].round(3).to_numpy().tolist()
    [['de', 2, 0.6, 0.1], ['fr', 1, 0.2, nan]]
    """
    k = len(per_query)
    tables = []
    for name in np.unique(segments):
        among = segments == name
        values = per_query[:, among].astype(np.float64)
        columns = dict(zip(("n_queries", "value", "error"), _mean_error(values), strict=True))
        if baseline_per_query is not None:
            baseline = baseline_per_query[among].astype(np.float64)
            columns["baseline"] = np.broadcast_to(_mean_error(baseline[None])[1], (k, len(names)))
            _, columns["change"], columns["change_error"] = _mean_error(values - baseline)
        table = pd.DataFrame({column: array.ravel() for column, array in columns.items()})
        table.insert(0, "segment", name)
        table.insert(1, "trade_off", np.repeat(np.arange(k), len(names)))
        table.insert(2, "objective", np.tile(names, k))
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _mean_error(
    values: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Counts, means and standard errors over queries of values of shape (k, n_queries, m); NaN if unknown."""
    known = ~np.isnan(values)
    n = known.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(known, values, 0.0).sum(axis=1) / n
        away = np.where(known, values - mean[:, None], 0.0)
        return n, mean, np.sqrt((away**2).sum(axis=1) / (n - 1) / n)


def read_by_segment(document: Any, names: Sequence[str], k: int) -> pd.DataFrame:
    """The table that was stored with a front of k trade-offs."""
    try:
        table = pd.DataFrame(document)
        numbers = table.drop(columns=["segment", "objective"]).astype(np.float64)
        fits = set(COLUMNS) <= set(table) and set(table["objective"]) <= set(names)
        fits = fits and bool(numbers["trade_off"].isin(range(k)).all())
    except (AttributeError, KeyError, TypeError, ValueError):
        fits = False
    if not fits:
        raise ValueError(
            f"by_segment of a front must have the columns {', '.join(COLUMNS)} of equal length, for its "
            "objectives and rows."
        )
    return table.assign(**numbers).astype({"trade_off": np.int64, "n_queries": np.int64})
