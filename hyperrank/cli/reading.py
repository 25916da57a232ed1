"""Data files of all kinds as ranking data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hyperrank.cli.labelling import graded, laid_out
from hyperrank.cli.layout import Layout
from hyperrank.cli.table_data import table_data
from hyperrank.cli.tables import is_csv
from hyperrank.datasets import RankingData, load_letor, open_store
from hyperrank.datasets.arrow_batches import ARROW_FILES, PARQUET_FILES

__all__ = ["is_table", "is_text", "read_data", "summary"]


def is_table(path: Path) -> bool:
    """Whether a file is a table with named columns, by its name."""
    return is_csv(path) or path.suffix.lower() in PARQUET_FILES | ARROW_FILES


def is_text(path: Path) -> bool:
    """Whether a file is LETOR text: all that is neither a table nor a folder."""
    return not is_table(path) and not path.is_dir()


def read_data(
    path: Path,
    layout: Layout,
    *,
    labels: Sequence[str] | None = None,
    features: Sequence[str] | None = None,
    beside: Sequence[str] = (),
    column: str | None = None,
) -> tuple[RankingData, NDArray[np.float64] | None]:
    """Read a CSV, Parquet or Arrow file, LETOR text, or open a store.

    Parameters
    ----------
    path : Path
    layout : Layout
    labels : sequence of str, optional
        Label columns of a table, none or some; by default those that the layout names.
    features, beside, column
        Of tables, as for `table_data`.

    Returns
    -------
    data : RankingData
        Of a store with X in its file.
    values : ndarray of shape (n,) or None

    Raises
    ------
    ValueError
        If the file is not what it should be, naming it.
    OSError
        If it cannot be opened.
    """
    if is_table(path):
        if layout.label_features:
            raise ValueError(f"{path} is a table: name its label columns by --labels.")
        if labels is None and not layout.labels:
            raise ValueError(
                f"{path} is a table: name its label columns by --labels, as in --labels relevance."
            )
        data, values = table_data(
            path,
            layout,
            labels=layout.labels if labels is None else labels,
            features=features,
            beside=beside,
            column=column,
        )
        return graded(data, layout.grade, path), values
    if column is not None:
        raise ValueError(f"{path} is no table: it has no column {column!r}.")
    if is_text(path):
        data = load_letor(path, missing=layout.missing, zero_based=layout.zero_based)
    else:
        data = _stored(path)
    return graded(laid_out(data, layout, path, is_text=is_text(path)), layout.grade, path), None


def summary(path: Path, data: RankingData) -> str:
    """What was read, in a line."""
    n_queries = len(np.unique(data.qid))
    labels = f"; objectives {', '.join(data.names)}" if data.names else ""
    alone = " (one document each: are these the query ids?)" if 1 < n_queries == len(data.X) else ""
    return f"{path}: {len(data.X):,} rows of {n_queries:,} queries{alone}, {data.X.shape[1]} features{labels}"


def _stored(path: Path) -> RankingData:
    store = open_store(path)
    return RankingData(
        X=store.X,
        Y=store.Y,
        qid=store.qid if store.ids.dtype != object else store.qid.astype(np.str_),
        names=store.names,
        feature_names=store.feature_names,
        description=store.description,
    )
