"""Columns of a table as ranking data."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperrank.cli.layout import Layout
from hyperrank.cli.tables import open_table
from hyperrank.datasets import RankingData
from hyperrank.datasets.table_columns import feature_columns, label_columns

__all__ = ["absent_columns", "table_data"]

#: What columns of query ids are often called, without underscores and spaces.
USUAL_IDS = ("qid", "queryid", "query", "searchid", "sessionid")


def table_data(
    path: Path,
    layout: Layout,
    *,
    labels: Sequence[str],
    features: Sequence[str] | None = None,
    beside: Sequence[str] = (),
    column: str | None = None,
) -> tuple[RankingData, NDArray[np.float64] | None]:
    """Read a CSV, Parquet or Arrow file.

    Parameters
    ----------
    path : Path
    layout : Layout
    labels : sequence of str
        Columns of the objectives; none where they do not matter.
    features : sequence of str, optional
        Columns of the features; by default what the layout says, or all that are left.
    beside : sequence of str
        Columns that are no features even where all that are left would be.
    column : str, optional
        A further column of numbers, such as the reference's scores.

    Returns
    -------
    data : RankingData
    values : ndarray of shape (n,) or None
        Of the further column.

    Raises
    ------
    ValueError
        If a column is not there or not of numbers, naming file, column and row.
    """
    columns, blocks = open_table(path)
    further = [] if column is None else [column]
    _check_columns(path, columns, [*labels, *further, *layout.drop], layout.qid)
    if features is None:
        taken = {*labels, *further, *beside, *layout.drop, layout.qid}
        features = layout.features or [name for name in columns if name not in taken]
    _check_columns(path, columns, features, layout.qid)
    both = [name for name in features if name in {*labels, layout.qid}]
    if both or not features:
        why = f"{both[0]!r} cannot be a feature as well" if both else "no column is left for features"
        raise ValueError(f"{path}: {why}.")
    return _read(path, blocks, layout.qid, list(labels), list(features), column)


def _read(
    path: Path, blocks: Any, qid: str, labels: list[str], features: list[str], column: str | None
) -> tuple[RankingData, NDArray[np.float64] | None]:
    from hyperrank.datasets.growing_rows import GrowingRows
    from hyperrank.datasets.letor_block import merge_ids

    X = GrowingRows(len(features), np.nan)
    ids, targets, values, n_rows = [], [], [], 0
    wanted = list(dict.fromkeys([*features, *labels, qid, *([] if column is None else [column])]))
    try:
        for block in filter(len, blocks(wanted, qid)):
            X.append(feature_columns(block.numbers, features, len(block), n_rows))
            targets.append(label_columns(block.numbers, labels, len(block), n_rows))
            ids.append(block.ids(qid, n_rows))
            if column is not None:
                values.append(block.numbers(column))
            n_rows += len(block)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    found = merge_ids(ids)
    if found is None:
        raise ValueError(f"{path} holds no row.")
    data = RankingData(
        X=X.finish(),
        Y=np.concatenate(targets),
        qid=found,
        names=tuple(labels),
        feature_names=tuple(features),
        description=f"Read from {path.name}.",
    )
    return data, np.concatenate(values) if values else None


def _check_columns(path: Path, columns: Sequence[str], wanted: Sequence[str], qid: str) -> None:
    """Refuse columns that are not there."""
    if qid not in columns:
        near = [name for name in columns if name.lower().replace("_", "").replace(" ", "") in USUAL_IDS]
        hint = f"Was {near[0]!r} meant? " if near else ""
        raise ValueError(
            f"{path} has no column {qid!r} of query ids; name it by --qid. {hint}{_there_are(columns)}"
        )
    absent = [name for name in wanted if name not in columns]
    if absent:
        raise ValueError(absent_columns(path, absent, columns))


def absent_columns(path: Path, absent: Sequence[str], columns: Sequence[str], what: str = "column") -> str:
    """Say which columns, or features, are not there, and what may have been meant."""
    near = get_close_matches(absent[0], columns, n=1)
    hint = f"Was {near[0]!r} meant? " if near else ""
    some = ", ".join(map(repr, absent[:6])) + (f" and {len(absent) - 6} more" if len(absent) > 6 else "")
    word = what if len(absent) == 1 else f"{what}s"
    return f"{path} lacks the {word} {some}. {hint}{_there_are(columns)}"


def _there_are(columns: Sequence[str]) -> str:
    more = f" and {len(columns) - 12} more" if len(columns) > 12 else ""
    return f"There are {', '.join(map(repr, columns[:12]))}{more}."
