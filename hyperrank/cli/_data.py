"""Data files of all kinds as ranking data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperrank.cli._options import Layout
from hyperrank.datasets import RankingData, load_letor, open_store, quantile_grades
from hyperrank.datasets.table import absent_columns, is_table, read_table
from hyperrank.memmap import forget_pages, is_mapped

__all__ = [
    "ModelData",
    "features_of",
    "is_table",
    "is_text",
    "labelled_for",
    "read_data",
    "read_for",
    "scoring_options",
    "summary",
    "with_features",
]


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
    raise ValueError(f"{path} has {absent_columns([given], data.feature_names, 'feature')}")


def is_text(path: Path) -> bool:
    """Whether a file is LETOR text: all that is neither a table nor a folder."""
    return not is_table(path) and not path.is_dir()


def read_data(
    path: Path,
    layout: Layout,
    *,
    labels: Sequence[str] | None = None,
    features: Sequence[str] | None = None,
    not_features: Sequence[str] = (),
    extra: str | None = None,
) -> tuple[RankingData, NDArray[np.float64] | None]:
    """Read a CSV, Parquet or Arrow file, LETOR text, or open a store.

    Parameters
    ----------
    path : Path
    layout : Layout
    labels : sequence of str, optional
        Label columns of a table, none or some; by default those that the layout names.
    features, not_features, extra
        Of tables, as for `read_table`.

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
    if layout.group is not None and not is_text(path):
        raise ValueError(f"{path} is not LETOR text, which --group is for.")
    if is_table(path):
        if layout.label_features:
            raise ValueError(f"{path} is a table: name its label columns by --labels.")
        if labels is None and not layout.labels:
            raise ValueError(
                f"{path} is a table: name its label columns by --labels, as in --labels relevance."
            )
        data, values = read_table(
            path,
            labels=layout.labels if labels is None else labels,
            qid=layout.qid,
            features=layout.features or None if features is None else features,
            drop=layout.drop,
            extra=extra,
            not_features=not_features,
        )
        return graded(data, layout.grade, path), values
    if extra is not None:
        raise ValueError(f"{path} is not a table: it has no column {extra!r}.")
    if is_text(path):
        data = load_letor(path, missing=layout.missing, zero_based=layout.zero_based, group=layout.group)
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
        qid=store.qid,
        names=store.names,
        feature_names=store.feature_names,
        description=store.description,
    )


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
        path, layout, labels=labels, features=names, not_features=ranker.objectives_, extra=column
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
        raise ValueError(f"{path} has {absent_columns(absent, names, 'feature')}")
    return np.array([where.get(name, -1) for name in wanted], dtype=np.int64)
