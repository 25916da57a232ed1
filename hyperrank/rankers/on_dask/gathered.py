"""Queries brought together from all partitions to be scored, and the scores brought back to their rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

__all__ = []

#: Columns that travel with the rows: which query they are of, where they were, and what their index was.
QUERY, HOME, ROW, INDEX = "__query__", "__home__", "__row__", "__index__"


def predict(X: Any, scorer: Any, layout: Any, meta: pd.Series | pd.DataFrame) -> Any:
    """Score a Dask frame whose queries may lie in several partitions.

    Parameters
    ----------
    X : dask DataFrame
    scorer : Delayed of PartScorer
    layout : Any
    meta : Series or DataFrame
        Of the result.

    Returns
    -------
    dask Series or DataFrame
        With the index, the partitions and the order of `X`.
    """
    import dask.dataframe as dd

    of_frame = _marked(X._meta, pd.Series([0]), layout)
    marked = X.map_partitions(
        _marked, part_numbers(X.npartitions), layout, meta=of_frame, align_dataframes=False
    ).clear_divisions()
    together = marked.shuffle(on=QUERY, npartitions=X.npartitions)
    table = meta.to_frame() if isinstance(meta, pd.Series) else meta
    of_scores = table.reset_index(drop=True).assign(**{name: of_frame[name] for name in (HOME, ROW, INDEX)})
    found = together.map_partitions(_scored, scorer, layout, meta=of_scores)
    home = found.set_index(HOME, divisions=list(range(X.npartitions + 1)))
    scores = home.map_partitions(_as_they_came, layout, X._meta.index.name, meta=meta).clear_divisions()
    if not X.known_divisions:
        return scores
    # With the divisions of the features, so that both can be put side by side without another shuffle.
    return dd.from_delayed(scores.to_delayed(), meta=meta, divisions=X.divisions, verify_meta=False)


def part_numbers(n: int) -> Any:
    """Partitions that hold their own number."""
    import dask.dataframe as dd

    return dd.from_pandas(pd.Series(np.arange(n)), npartitions=n, sort=False)


def _marked(part: pd.DataFrame, number: pd.Series, layout: Any) -> pd.DataFrame:
    """Rows that know where they are from."""
    ids = layout.ids(part)
    marks = {
        QUERY: ids.to_numpy() if layout.is_index else ids,
        HOME: np.full(len(part), number.iloc[0], dtype=np.int64),
        ROW: np.arange(len(part), dtype=np.int64),
        INDEX: part.index.to_series(index=part.index),
    }
    return part.assign(**marks)


def _scored(part: pd.DataFrame, scorer: Any, layout: Any) -> pd.DataFrame:
    """Scores of whole queries, their rows in the order in which they came."""
    from hyperrank.rankers.on_dask.frames import scored

    rows = part.sort_values([HOME, ROW])
    features = rows.drop(columns=[QUERY, HOME, ROW, INDEX])
    if layout.is_index:
        features = features.set_axis(pd.Index(rows[QUERY], name=layout.qid), axis=0)
    scores = scored(features, scorer, layout)
    table = scores.to_frame() if isinstance(scores, pd.Series) else scores
    kept = rows[[HOME, ROW, INDEX]].reset_index(drop=True)
    return pd.concat([table.reset_index(drop=True), kept], axis=1)


def _as_they_came(part: pd.DataFrame, layout: Any, name: Any) -> pd.Series | pd.DataFrame:
    """The scores of one partition of the features, in its order and with its index."""
    rows = part.sort_values(ROW)
    index = pd.Index(rows[INDEX]).rename(name)
    values = rows.drop(columns=[ROW, INDEX])
    return layout.labelled(values["score"].to_numpy() if layout.columns is None else values.to_numpy(), index)
