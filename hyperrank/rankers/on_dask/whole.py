"""Whether any query has rows in two partitions: found while these are scored, before scores are given."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

__all__ = ["distinct_ids", "passed_on", "refuse_cut", "refuse_outside"]

#: The column of distinct query ids.
ID = "query"


def distinct_ids(ids: Any) -> pd.DataFrame:
    """The query ids of a partition, each once."""
    found = pd.Series(ids)
    if isinstance(found.dtype, pd.CategoricalDtype):  # partitions may know other categories
        found = found.astype(found.cat.categories.dtype)
    return pd.DataFrame({ID: found.dropna().drop_duplicates().reset_index(drop=True)})


def refuse_cut(ids: pd.DataFrame) -> pd.DataFrame:
    """Nothing, unless the distinct ids of all partitions hold one twice.

    Raises
    ------
    ValueError
        If they do.
    """
    cut = ids[ID][ids[ID].duplicated()].drop_duplicates()
    if len(cut):
        raise ValueError(
            f"{len(cut)} of {ids[ID].nunique()} queries have rows in more than one partition, first "
            f"{_plain(cut.iloc[0])!r}, and this ranker scores a document beside the others of its query: "
            "predict_dask(..., queries='gather') brings queries together for the scoring; so do "
            "X.shuffle(on='qid') and X.set_index('qid') beforehand."
        )
    return ids.iloc[:0]


def refuse_outside(ids: Any, low: Any, high: Any, *, is_last: bool) -> None:
    """Refuse an index that is not within the divisions that Dask takes it to have.

    Raises
    ------
    ValueError
        If an id lies outside.
    """
    found = pd.Index(ids)
    outside = found[(found < low) | ((found > high) if is_last else (found >= high))]
    if len(outside):
        given, low, high = _plain(outside[0]), _plain(low), _plain(high)
        raise ValueError(
            f"query {given!r} lies outside of the divisions of its partition, {low!r} to {high!r}, so it may "
            "be in another too: X.clear_divisions() has predict_dask look itself."
        )


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def passed_on(scores: Any, checked: Any) -> Any:  # noqa: ARG001 - to have been checked is all
    """The scores, once the check that they wait for has passed."""
    return scores
