"""Labels that are not where labels usually are: among the features, or not yet grades."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from hyperrank.cli.layout import Layout
from hyperrank.cli.table_data import absent_columns
from hyperrank.datasets import RankingData, quantile_grades

__all__ = ["graded", "laid_out"]


def laid_out(data: RankingData, layout: Layout, path: Path, *, is_text: bool) -> RankingData:
    """Ranking data of LETOR text or a store as the layout wants them.

    Raises
    ------
    ValueError
        If a feature or objective is not there.
    """
    if is_text and len(layout.labels) > 1:
        raise ValueError(
            f"{path} is LETOR text, whose lines have one label: --labels names that one, "
            "--label-features picks further ones."
        )
    if layout.features:
        raise ValueError(f"{path} is no table: --features is for tables; leave features out by --drop.")
    if layout.labels:
        data = replace(data, names=layout.labels) if is_text else data.select(layout.labels)
    columns: list[int] = []
    if layout.label_features:
        data, columns = _with_label_features(data, layout.label_features, path)
    left_out = {*columns, *(data.feature_names.index(_feature(f, data, path)) for f in layout.drop)}
    if not left_out:
        return data
    kept = [j for j in range(len(data.feature_names)) if j not in left_out]
    if not kept:
        raise ValueError(f"{path}: no feature is left.")
    return replace(
        data,
        X=np.ascontiguousarray(data.X[:, kept]),
        feature_names=tuple(data.feature_names[j] for j in kept),
    )


def _with_label_features(
    data: RankingData, words: Sequence[str], path: Path
) -> tuple[RankingData, list[int]]:
    """Ranking data with some features as further labels, and where those features are."""
    names, columns = list(data.names), []
    for word in words:
        name, _, feature = word.rpartition("=")
        found = _feature(feature, data, path)
        names.append(name or found)
        columns.append(data.feature_names.index(found))
    if len(set(names)) < len(names) or len(set(columns)) < len(columns):
        raise ValueError(f"{path}: objectives must differ; got {', '.join(names)} with {', '.join(words)}.")
    labels = data.X[:, columns]
    if (labels < 0).any():
        raise ValueError(f"{path}: labels must not be negative, as some of {', '.join(words)} are.")
    return replace(data, Y=np.column_stack([data.Y, labels]), names=tuple(names)), columns


def graded(data: RankingData, objectives: Sequence[str], path: Path) -> RankingData:
    """Ranking data with grades in the place of some objectives' raw values."""
    if not objectives:
        return data
    unknown = [name for name in objectives if name not in data.names]
    if unknown:
        raise ValueError(f"--grade names {unknown[0]!r}, but {path} has {', '.join(data.names)} as labels.")
    columns = [data.names.index(name) for name in objectives]
    Y = np.array(data.Y)
    Y[:, columns] = quantile_grades(Y[:, columns], data.qid)
    return replace(data, Y=Y)


def _feature(given: str, data: RankingData, path: Path) -> str:
    """The name of a feature that was given by name or number."""
    for name in (given, f"feature_{given}"):
        if name in data.feature_names:
            return name
    raise ValueError(absent_columns(path, [given], data.feature_names, "feature"))
