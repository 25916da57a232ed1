"""Tables with one row per document, read into memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .growing_rows import GrowingRows
from .letor_block import merge_ids
from .ranking_data import RankingData
from .table_source import table_source

__all__ = ["load_table"]


def load_table(
    source: Any,
    *,
    labels: str | Sequence[str],
    qid: str = "qid",
    features: Sequence[str] | None = None,
) -> RankingData:
    """Read ranking data from a table with one row per document.

    Parameters
    ----------
    source : path, sequence of paths, Arrow table, reader or batch, or frame
        Parquet files (``.parquet``, ``.pq``), Arrow IPC files (``.arrow``, ``.feather``, ``.ipc``), several
        of them one after the other, or a table in memory: pyarrow's, or a frame of pandas or polars.
    labels : str or sequence of str
        Columns of the objectives, the main one first: numbers from 0, null or NaN where unobserved.
    qid : str, default "qid"
        Column of the query ids, integers or text.
    features : sequence of str, optional
        Columns of the features, numbers, null or NaN where missing; all other columns by default.

    Returns
    -------
    RankingData
        With rows in the order of the table.

    Raises
    ------
    ValueError
        If columns are not there or not numbers, a label is negative, a value infinite in float32, a query id
        missing, or a file is damaged.
    ImportError
        Without pyarrow, which the extra ``hyperrank[arrow]`` brings.
    OSError
        If a file cannot be opened.

    Examples
    --------
    >>> import polars
    >>> frame = polars.DataFrame(
    ...     {"qid": [1, 1, 2], "bm25": [0.5, None, 2.0], "clicks": [3, 0, 1], "relevance": [2, 0, 1]}
    ... )
    >>> data = load_table(frame, labels=["relevance", "clicks"])
    >>> data
    RankingData(X (3, 1), Y (3, 2): relevance, clicks; 2 queries)
    >>> data.X[:, 0].tolist()
    [0.5, nan, 2.0]
    """
    table = table_source(source, labels=labels, qid=qid, features=features)
    assert table.feature_names is not None
    X = GrowingRows(len(table.feature_names), np.nan)
    ids, targets = [], []
    for chunk in table.chunks:
        ids.append(chunk.ids)
        X.append(chunk.X)
        targets.append(chunk.Y)
    found = merge_ids(ids)
    if found is None:
        raise ValueError(f"{table.description.removeprefix('Read from ').rstrip('.')} holds no row.")
    return RankingData(
        X=X.finish(),
        Y=np.concatenate(targets),
        qid=found,
        names=table.names,
        feature_names=table.feature_names,
        description=table.description,
    )
