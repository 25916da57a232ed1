"""Columns of a table as ranking data."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperrank.cli.layout import Layout
from hyperrank.cli.tables import Block, open_table
from hyperrank.datasets import RankingData

__all__ = ["absent_columns", "table_data"]

LARGEST = float(np.finfo(np.float32).max)


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
            X.append(_columns(block, features, n_rows, lowest=-LARGEST))
            targets.append(_columns(block, labels, n_rows, lowest=0.0))
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


def _columns(block: Block, names: Sequence[str], first_row: int, lowest: float) -> NDArray[np.float32]:
    """Some columns in float32, each value checked."""
    table = np.empty((len(block), len(names)), dtype=np.float32)
    for j, name in enumerate(names):
        values = block.numbers(name)
        with np.errstate(invalid="ignore"):
            bad = np.flatnonzero((values < lowest) | (values > LARGEST))
        if len(bad):
            wanted = "labels from 0 to 3e38" if lowest == 0 else "finite numbers that float32 can hold"
            raise ValueError(
                f"column {name!r} holds {values[bad[0]]:g} at row {first_row + bad[0]:,}; wanted {wanted}, "
                "or nothing where there is none."
            )
        table[:, j] = values
    return table


def _check_columns(path: Path, columns: Sequence[str], wanted: Sequence[str], qid: str) -> None:
    """Refuse columns that are not there."""
    if qid not in columns:
        raise ValueError(
            f"{path} has no column {qid!r} of query ids; name it by --qid. {_there_are(columns)}"
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
    return f"There are {', '.join(columns[:12])}{more}."
