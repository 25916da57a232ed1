"""Data files of all kinds as ranking data, with the features and labels that a model takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hyperrank._categories import categorical_of
from hyperrank._columns import take_columns
from hyperrank.cli._command import Console
from hyperrank.cli._options import Layout
from hyperrank.datasets import RankingData, load_letor, open_store, quantile_grades
from hyperrank.datasets._batches import open_table
from hyperrank.datasets.table import absent_columns, is_table, read_table
from hyperrank.lists import QueryLists
from hyperrank.memmap import in_memory, is_mapped

if TYPE_CHECKING:
    from hyperrank.rankers import BaseRanker

#: Bytes of features, about, that are in memory at a time where they are in a mapped file.
CHUNK_BYTES = 1 << 26
#: Attribute of a model: the objectives whose values were graded by ``--grade`` before the fit.
GRADED = "graded_objectives_"


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
    categorical: Sequence[str] | None = None,
) -> tuple[RankingData, NDArray[np.float64] | None]:
    """Read a CSV, Parquet or Arrow file, LETOR text, or open a store, whose X stays in its file.

    Gives the data and the values of the `extra` column. Options are of tables, as for
    `hyperrank.datasets.table.read_table`; label columns by default those that the layout names.
    """
    if layout.group is not None and not is_text(path):
        raise ValueError(f"{path} is not LETOR text, which --group is for.")
    if categorical is None:
        categorical = layout.categorical or None
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
            categorical_features="from_dtype" if categorical is None else categorical,
        )
        return _graded(data, layout.grade, path), values
    if extra is not None:
        raise ValueError(f"{path} is not a table: it has no column {extra!r}.")
    if is_text(path):
        data = load_letor(path, missing=layout.missing, zero_based=layout.zero_based, group=layout.group)
    else:
        store = open_store(path)
        data = RankingData(store.X, store.Y, store.qid, store.names, store.feature_names, store.description)
        if store.categories:
            data = store.load()
    return _graded(_laid_out(data, layout, path), layout.grade, path), None


def _laid_out(data: RankingData, layout: Layout, path: Path) -> RankingData:
    """Ranking data of LETOR text or a store with the labels and features of the layout."""
    text = is_text(path)
    if text and len(layout.labels) > 1:
        raise ValueError(
            f"{path} is LETOR text, whose lines have one label: --labels names that one, "
            "--label-features picks further ones."
        )
    if layout.features:
        raise ValueError(f"{path} is not a table: --features is for tables; leave features out by --drop.")
    if layout.labels:
        data = replace(data, names=layout.labels) if text else data.select(layout.labels)
    moved: list[int] = []
    if layout.label_features:
        data, moved = _with_label_features(data, layout.label_features, path)
    if layout.categorical:
        named = [_feature(feature, data, path) for feature in layout.categorical]
        frame: Any = as_frame(data.X, data.feature_names).astype(dict.fromkeys(named, "category"))
        data = replace(data, X=frame)
    left_out = {*moved, *(data.feature_names.index(_feature(f, data, path)) for f in layout.drop)}
    if not left_out:
        return data
    columns = [j for j in range(len(data.feature_names)) if j not in left_out]
    if not columns:
        raise ValueError(f"{path}: no feature is left.")
    return replace(
        data,
        X=take_columns(data.X, np.array(columns)),
        feature_names=tuple(data.feature_names[j] for j in columns),
    )


def _with_label_features(
    data: RankingData, words: Sequence[str], path: Path
) -> tuple[RankingData, list[int]]:
    """Ranking data with some features as further labels, and which features those are."""
    names, columns = list(data.names), []
    for word in words:
        name, _, feature = word.rpartition("=")
        full_name = _feature(feature, data, path)
        names.append(name or full_name)
        columns.append(data.feature_names.index(full_name))
    if len(set(names)) < len(names) or len(set(columns)) < len(columns):
        raise ValueError(f"{path}: objectives must differ; got {', '.join(names)} with {', '.join(words)}.")
    labels = np.asarray(take_columns(data.X, np.array(columns)), dtype=np.float32)
    if (labels < 0).any():
        raise ValueError(f"{path}: labels must not be negative, as some of {', '.join(words)} are.")
    return replace(data, Y=np.column_stack([data.Y, labels]), names=tuple(names)), columns


def _feature(given: str, data: RankingData, path: Path) -> str:
    """The name of a feature that was given by name or number."""
    for name in (given, f"feature_{given}"):
        if name in data.feature_names:
            return name
    raise ValueError(f"{path} has {absent_columns([given], data.feature_names, 'feature')}")


def _graded(data: RankingData, objectives: Sequence[str], path: Path) -> RankingData:
    """Ranking data with grades in the place of some objectives' values; grades stay as they are."""
    if not objectives:
        return data
    unknown = [name for name in objectives if name not in data.names]
    if unknown:
        raise ValueError(f"--grade names {unknown[0]!r}, but {path} has {', '.join(data.names)} as labels.")
    columns = [data.names.index(name) for name in objectives]
    Y = np.array(data.Y)
    Y[:, columns] = quantile_grades(Y[:, columns], data.qid)
    return replace(data, Y=Y)


def summary(path: Path, data: RankingData) -> str:
    """What was read, in a line."""
    n_queries = len(np.unique(data.qid))
    labels = f"; objectives {', '.join(data.names)}" if data.names else ""
    alone = " (one document each: are these the query ids?)" if 1 < n_queries == len(data.X) else ""
    return f"{path}: {len(data.X):,} rows of {n_queries:,} queries{alone}, {data.X.shape[1]} features{labels}"


@dataclass(frozen=True)
class ModelData:
    """Ranking data, and which of their features a ranker takes.

    `names` is what the ranker calls its features; None if it takes all in order. `fill` is the value of those
    that LETOR text leaves out.
    """

    data: RankingData
    names: tuple[str, ...] | None
    fill: float
    ref_scores: NDArray[np.float64] | None

    def features(self, rows: slice = slice(None)) -> pd.DataFrame | NDArray[np.float32]:
        """Features of some rows, as the ranker was fitted on them."""
        X: Any = self.data.X
        X = X.iloc[rows] if hasattr(X, "iloc") else X[rows]
        if self.names is None:
            return X
        frame = X if hasattr(X, "iloc") else as_frame(X, self.data.feature_names)
        if self.names == self.data.feature_names:
            return frame
        return in_memory(frame).reindex(columns=list(self.names), fill_value=np.float32(self.fill))

    def chunks(self) -> Iterator[slice]:
        """Runs of whole queries: all rows at once, or what fits in memory of a mapped file."""
        if not is_mapped(self.data.X):
            yield slice(0, len(self.data.X))
            return
        lists = QueryLists.from_qid(self.data.qid)  # in a store the rows of a query are together
        n_rows = CHUNK_BYTES // self.data.X[:1].nbytes - int(lists.sizes.max())
        yield from (rows for rows, _ in lists.runs(max(1, n_rows)))


def as_frame(X: NDArray[np.float32], names: Sequence[str]) -> pd.DataFrame:
    """Features with their names, as rankers keep them; not copied."""
    return pd.DataFrame(X, columns=list(names), copy=False)


def read_column(
    path: Path, name: str, beside: RankingData, qid: str, *, as_ids: bool = False
) -> NDArray[Any]:
    """A further column of a table with ranking data: of numbers or, as ids are, of whole numbers or text."""
    if not is_table(path):
        raise ValueError(f"{path} is not a table: it has no column {name!r}.")
    features = beside.feature_names[:1]  # a table without any is refused
    if as_ids:
        columns = open_table(path).columns
        if name not in columns:
            raise ValueError(f"{path} has {absent_columns([name], columns)}")
        return read_table(path, labels=(), qid=name, features=features)[0].qid
    values = read_table(path, labels=(), qid=qid, features=features, extra=name)[1]
    assert values is not None
    return values


def read_features(
    ranker: BaseRanker,
    path: Path,
    layout: Layout,
    *,
    labels: Sequence[str] = (),
    extra: str | None = None,
) -> ModelData:
    """Read a file with the features of a fitted ranker, and perhaps label columns of a table."""
    known = getattr(ranker, "feature_names_in_", None)
    names = None if known is None else tuple(map(str, known))
    data, ref_scores = read_data(
        path,
        layout,
        labels=labels,
        features=names,
        not_features=ranker.objectives_,
        extra=extra,
        categorical=[] if names is None else [names[j] for j in categorical_of(ranker)],
    )
    width = data.X.shape[1]
    if names is None and width != ranker.n_features_in_:
        raise ValueError(
            f"{path} has {width} features; the model was fitted on {ranker.n_features_in_}, without names."
        )
    return with_features(path, data, names, layout.missing, ref_scores)


def with_features(
    path: Path,
    data: RankingData,
    names: tuple[str, ...] | None,
    fill: float,
    ref_scores: NDArray[np.float64] | None,
) -> ModelData:
    """Data with the features of these names, in this order; None takes them as they are."""
    known = set(data.feature_names)
    absent = [name for name in names or () if name not in known]
    # LETOR text may lack the last features in a file.
    if absent and not (is_text(path) and all(n.removeprefix("feature_").isdigit() for n in absent)):
        raise ValueError(f"{path} has {absent_columns(absent, data.feature_names, 'feature')}")
    return ModelData(data, names, fill, ref_scores)


def read_labelled(
    console: Console, ranker: BaseRanker, path: Path, layout: Layout, *, extra: str | None = None
) -> ModelData:
    """Read a file with labels for each objective of a fitted ranker, graded as they were for its fit.

    Label columns are those of the objectives' names, or those that the layout names, in the same order.
    """
    objectives = tuple(ranker.objectives_)
    if is_text(path) and not layout.labels:
        layout = replace(layout, labels=objectives[:1])
    labels = (layout.labels or objectives) if is_table(path) else ()
    labelled = read_features(ranker, path, layout, labels=labels, extra=extra)
    data = labelled.data
    if set(objectives) <= set(data.names):
        data = data.select(objectives)
    elif len(data.names) == len(objectives) and layout.labels:
        data = replace(data, names=objectives)
    else:
        where = "--label-features" if is_text(path) else "--labels, in that order"
        raise ValueError(
            f"{path} has the labels {', '.join(data.names)}, but the objectives of the model are "
            f"{', '.join(objectives)}: name the labels by {where}."
        )
    graded = tuple(getattr(ranker, GRADED, ()))
    if graded and not set(graded) <= set(layout.grade):
        console.note(
            f"{', '.join(graded)}: graded by quantile within the query, as for the fit of the model."
        )
    if hasattr(ranker, GRADED) and not set(layout.grade) <= {*graded, *layout.labels}:
        others = ", ".join(sorted(set(layout.grade) - set(graded)))
        console.note(f"Warning: --grade {others}: the model was fitted on values that were not graded.")
    return replace(labelled, data=_graded(data, graded, path))


def scoring_options(ranker: BaseRanker, temperature: float | None) -> dict[str, float]:
    """The temperature as an option of scoring, for a ranker that has one."""
    if temperature is None:
        return {}
    if "temperature" not in signature(ranker.predict).parameters:
        raise ValueError(f"the model is a {type(ranker).__name__}, which has no temperature.")
    return {"temperature": temperature}
