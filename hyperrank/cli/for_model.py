"""Data as a fitted ranker wants them: its features by name, its objectives as labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperrank.cli.layout import Layout
from hyperrank.cli.reading import is_table, is_text, read_data
from hyperrank.cli.table_data import absent_columns
from hyperrank.datasets import RankingData
from hyperrank.mapped import forget_pages, is_mapped

__all__ = ["ModelData", "features_of", "labelled_for", "read_for", "scoring_options", "with_features"]

#: Bytes of features, about, that are in memory at a time where they lie in a mapped file.
PART_BYTES = 1 << 26


@dataclass(frozen=True)
class ModelData:
    """Ranking data, and which of their features a ranker takes.

    Attributes
    ----------
    data : RankingData
    columns : ndarray of shape (d,), int64, or None
        Where the ranker's features are, -1 where LETOR text leaves one out; None: all of them in order.
    names : tuple of str or None
        What the ranker calls them; None where it knows no names.
    fill : float
        The value of what is left out.
    ref_scores : ndarray of shape (n,) or None
    """

    data: RankingData
    columns: NDArray[np.int64] | None
    names: tuple[str, ...] | None
    fill: float
    ref_scores: NDArray[np.float64] | None

    def features(self, rows: slice = slice(None)) -> Any:
        """Features of some rows, as the ranker was fitted on them."""
        X = self.data.X[rows]
        if self.columns is not None:
            X = np.where(self.columns >= 0, X[:, self.columns], np.float32(self.fill))
        return X if self.names is None else features_of(X, self.names)

    def parts(self) -> Iterator[slice]:
        """Rows in runs of whole queries: all at once, or what fits in memory of a mapped file."""
        n_rows = len(self.data.X)
        if not is_mapped(self.data.X):
            yield slice(0, n_rows)
            return
        # In a store the rows of a query are together.
        starts = np.append(np.flatnonzero(self.data.qid[1:] != self.data.qid[:-1]) + 1, n_rows)
        step, begin = max(1, PART_BYTES // self.data.X[:1].nbytes), 0
        while begin < n_rows:
            fits = starts[(starts > begin) & (starts <= begin + step)]
            end = int(fits[-1] if len(fits) else starts[starts > begin][0])
            yield slice(begin, end)
            forget_pages(self.data.X)
            begin = end


def features_of(X: NDArray[np.float32], names: Sequence[str]) -> Any:
    """Features with their names, as rankers keep them; not copied."""
    import pandas as pd

    return pd.DataFrame(X, columns=list(names), copy=False)


def read_for(
    ranker: Any,
    path: Path,
    layout: Layout,
    *,
    labels: Sequence[str] = (),
    column: str | None = None,
) -> ModelData:
    """Read a file for a fitted ranker.

    Parameters
    ----------
    ranker : BaseRanker
    path : Path
    layout : Layout
    labels : sequence of str
        Label columns of a table.
    column : str, optional
        Column of a table with the reference's scores.

    Raises
    ------
    ValueError
        If a feature is not there, naming it.
    """
    known = getattr(ranker, "feature_names_in_", None)
    names = None if known is None else tuple(map(str, known))
    data, ref_scores = read_data(
        path, layout, labels=labels, features=names, beside=ranker.objectives_, column=column
    )
    width = data.X.shape[1]
    if names is None and width != ranker.n_features_in_:
        raise ValueError(
            f"{path} has {width} features; the model was fitted on {ranker.n_features_in_}, without names."
        )
    return with_features(path, data, names, layout.missing, ref_scores)


def with_features(
    path: Path, data: RankingData, names: tuple[str, ...] | None, fill: float, ref_scores: Any
) -> ModelData:
    """Data with the features of these names, in this order; None takes them as they are.

    Raises
    ------
    ValueError
        If a feature is not there, naming it.
    """
    columns = None
    if names is not None and names != data.feature_names:
        columns = _columns(path, names, data.feature_names)
    return ModelData(data, columns, names, fill, ref_scores)


def labelled_for(ranker: Any, path: Path, layout: Layout, *, column: str | None = None) -> ModelData:
    """Read a file with labels for each objective of a fitted ranker.

    Label columns are those of the objectives' names, or those that the layout names, in the same order.

    Raises
    ------
    ValueError
        If labels do not fit the objectives.
    """
    objectives = ranker.objectives_
    if is_text(path) and not layout.labels:
        layout = replace(layout, labels=objectives[:1])
    found = read_for(
        ranker, path, layout, labels=(layout.labels or objectives) if is_table(path) else (), column=column
    )
    names = found.data.names
    if set(objectives) <= set(names):
        return replace(found, data=found.data.select(objectives))
    if len(names) == len(objectives) and layout.labels:
        return replace(found, data=replace(found.data, names=objectives))
    where = "--label-features" if is_text(path) else "--labels, in that order"
    raise ValueError(
        f"{path} has the labels {', '.join(names)}, but the objectives of the model are "
        f"{', '.join(objectives)}: name the labels by {where}."
    )


def scoring_options(ranker: Any, temperature: float | None) -> dict[str, Any]:
    """The temperature as an option of scoring.

    Raises
    ------
    ValueError
        If one is given to a ranker that has none.
    """
    if temperature is None:
        return {}
    if "temperature" not in signature(ranker.predict).parameters:
        raise ValueError(f"the model is a {type(ranker).__name__}, which has no temperature.")
    return {"temperature": temperature}


def _columns(path: Path, wanted: Sequence[str], names: Sequence[str]) -> NDArray[np.int64]:
    """Where features are by name; LETOR text may lack the last ones in a file."""
    where = {name: j for j, name in enumerate(names)}
    absent = [name for name in wanted if name not in where]
    numbered = is_text(path) and all(name.removeprefix("feature_").isdigit() for name in absent)
    if absent and not numbered:
        raise ValueError(absent_columns(path, absent, names, "feature"))
    return np.array([where.get(name, -1) for name in wanted], dtype=np.int64)
