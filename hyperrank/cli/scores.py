"""Scores as tables, and as files."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hyperrank.files import write_atomically
from hyperrank.lists import QueryLists

__all__ = ["score_table", "write_scores"]


def score_table(qid: NDArray[Any], scores: NDArray[np.floating[Any]], top: int | None) -> pd.DataFrame:
    """Scores beside their query ids.

    Parameters
    ----------
    qid : ndarray of shape (n,)
    scores : ndarray of shape (n,) or (n, k)
    top : int, optional
        Keep that many of each query.

    Returns
    -------
    DataFrame
        Columns ``qid`` and ``score``, or ``score_1`` to ``score_k``. With `top` also ``rank`` from 1, and
        ``row``, the number of the row in the data from 0; queries are in the order of their first rows, and
        of equal scores the earlier row is first.
    """
    columns = [scores] if scores.ndim == 1 else list(scores.T)
    names = ["score"] if scores.ndim == 1 else [f"score_{j}" for j in range(1, len(columns) + 1)]
    table = pd.DataFrame({"qid": qid, **dict(zip(names, columns, strict=True))})
    if top is None:
        return table
    lists = QueryLists.from_qid(qid)
    order = lists.order[np.lexsort((lists.order, -lists.group(scores), lists.index))]
    rank = np.arange(lists.n_rows) - lists.offsets[:-1][lists.index] + 1
    first = np.minimum.reduceat(lists.order, lists.offsets[:-1])[lists.index]
    kept = np.flatnonzero(rank <= top)
    kept = kept[np.lexsort((rank[kept], first[kept]))]
    rows = order[kept]
    return table.iloc[rows].assign(rank=rank[kept], row=rows).reset_index(drop=True)


def write_scores(path: Path, table: pd.DataFrame, scores: NDArray[np.floating[Any]]) -> None:
    """Write scores in the form that the name of the file says, whole or not at all."""
    buffer = io.BytesIO()
    if path.suffix.lower() == ".npy":
        np.save(buffer, scores, allow_pickle=False)
    elif path.suffix.lower() == ".parquet":
        table.to_parquet(buffer, index=False, engine="pyarrow")
    else:
        table.to_csv(buffer, index=False, lineterminator="\n")
    write_atomically(path, buffer.getvalue())
