"""Dask: frames scored lazily, partition by partition, each query whole or refused."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from hyperrank._checks import check_choice, import_extra
from hyperrank.boosters import booster_threads
from hyperrank.lists import QueryLists
from hyperrank.rankers.dpo.reward_model import one_thread_each
from hyperrank.rankers.inputs import QID_COLUMN
from hyperrank.weights import TRADE_OFF, PerQuery, PerRow, per_query_or_row

if TYPE_CHECKING:
    import dask.dataframe as dd
    from dask.delayed import Delayed

    from hyperrank.rankers.base import BaseRanker

#: What can be said of queries that partitions may cut.
QUERIES = ("check", "whole")
#: Made-up rows by which a ranker checks features before any are read.
N_EXAMPLES = 2
#: The column of query ids next to the scores that wait for the check.
OF_QUERY = "__query__"

Scores = pd.Series | pd.DataFrame


def predict_dask(
    ranker: BaseRanker,
    X: dd.DataFrame,
    *,
    qid: str | None,
    weights: ArrayLike | Mapping[str, float] | PerQuery | PerRow | None,
    queries: str,
    ref_scores: str | None,
    **options: Any,
) -> dd.Series | dd.DataFrame:
    """Score a Dask frame, lazily.

    Parameters, returns and raises as of `hyperrank.rankers.BaseRanker.predict_dask`.
    """
    check_is_fitted(ranker)
    import_extra("dask.dataframe", "dask")
    import dask.dataframe as dd
    from dask import delayed
    from dask.base import tokenize

    check_choice("queries", queries, QUERIES)
    if isinstance(weights, PerRow):
        raise ValueError(
            "PerRow gives weights by the number of a row, which partitions do not know: give weights by "
            "query id (PerQuery), or trade-offs for all rows."
        )
    if not isinstance(X, dd.DataFrame):
        raise TypeError(
            f"predict_dask takes a dask DataFrame; got {type(X).__module__}.{type(X).__name__}. "
            "For data in memory: predict. Of a dask array dask.dataframe.from_dask_array makes a frame."
        )
    at, options = ranker._trade_off(weights, options)
    if at is not None and per_query_or_row(at, ranker.objectives_) is None:
        trade_offs = ranker._weights(at)
        if trade_offs.ndim == 2:  # said outright, for partitions that have as many rows
            at = pd.DataFrame(trade_offs, columns=ranker.objectives_).rename_axis(TRADE_OFF)
    # Another fit sets other attributes; those that are there it leaves as they are.
    scorer = PartitionScorer(
        copy.copy(ranker), copy.deepcopy(at), options, *find_qid(X._meta, qid, ref_scores), ref_scores
    )
    example = scorer.example_scores(X._meta)
    if example.ndim == 2:
        scorer = replace(scorer, columns=column_names(ranker._weights(at), ranker.objectives_))
    meta = scorer.labelled(np.empty((0, *example.shape[1:]), example.dtype), X._meta.index)
    # A task of its own, on which all partitions depend: workers get it once.
    task = delayed(scorer, name=f"ranker-{tokenize(scorer)}", traverse=False)
    if not ranker._knows_lists or X.npartitions == 1 or queries == "whole":
        return X.map_partitions(score_partition, task, meta=meta)
    if scorer.qid is None:
        raise ValueError(
            f"X has neither a column nor an index {QID_COLUMN!r}, and this ranker scores a document "
            "together with the others of its query: say by qid= where query ids are. "
            f"Columns: {list(X.columns[:10])}."
        )
    if scorer.is_index and has_distinct_divisions(X):
        numbers = dd.from_map(lambda number: pd.Series([number]), range(X.npartitions), meta=pd.Series([0]))
        return X.map_partitions(score_within, numbers, task, X.divisions, meta=meta, align_dataframes=False)
    return score_checked(X, task, scorer.ids(X._meta), meta)


def find_qid(meta: pd.DataFrame, qid: str | None, ref_scores: str | None) -> tuple[str | None, bool]:
    """The column of query ids, or None, and whether it is the index; `meta` is an empty frame."""
    for name, value in (("qid", qid), ("ref_scores", ref_scores)):
        if value is not None and not isinstance(value, str):
            raise ValueError(
                f"{name} of a frame is the name of a column; got {type(value).__name__}. "
                f"X.assign({name}=...) makes one of a series."
            )
    columns = list(meta.columns)
    if ref_scores is not None and ref_scores not in columns:
        raise ValueError(f"X has no column {ref_scores!r} for ref_scores. Columns: {columns[:10]}.")
    name = QID_COLUMN if qid is None else qid
    if name in columns or meta.index.name == name:
        return name, name not in columns
    if qid is not None:
        raise ValueError(f"X has neither a column nor an index {qid!r}, for qid. Columns: {columns[:10]}.")
    return None, False


@dataclass(frozen=True, eq=False)
class PartitionScorer:
    """A fitted ranker and the arguments of its `predict`, as workers get them."""

    ranker: BaseRanker
    weights: Any
    options: Mapping[str, Any]
    qid: str | None  # the column or index of query ids
    is_index: bool
    ref_scores: str | None  # the column of the reference's scores
    columns: list[str] | None = None  # names for the scores under k trade-offs; None for a series

    def ids(self, partition: pd.DataFrame) -> pd.Series:
        """Query ids of a partition."""
        return partition.index.to_series() if self.is_index else partition[self.qid]

    def scores(self, partition: pd.DataFrame) -> NDArray[np.floating[Any]]:
        """Scores of the rows of one partition, on one thread: Dask brings as many as it wants."""
        dropped = [] if self.qid is None or self.is_index else [self.qid]
        options = dict(self.options)
        if self.ref_scores is not None:
            dropped.append(self.ref_scores)
            options["ref_scores"] = partition[self.ref_scores].to_numpy()
        ids = None if self.qid is None else self.ids(partition).to_numpy()
        with one_thread_each(), threadpool_limits(1, user_api="openmp"), booster_threads(1):
            return self.ranker.predict(
                partition.drop(columns=dropped), qid=ids, weights=self.weights, **options
            )

    def labelled(self, scores: NDArray[np.floating[Any]], index: pd.Index) -> Scores:
        """Scores with their names and the index of their rows."""
        if self.columns is None:
            return pd.Series(scores, index=index, name="score")
        return pd.DataFrame(scores, index=index, columns=self.columns)

    def example_scores(self, meta: pd.DataFrame) -> NDArray[np.floating[Any]]:
        """Scores of a few made-up rows: all that `predict` refuses in them is refused before any work."""
        rows = example_rows(meta, self.qid)
        weights = per_query_or_row(self.weights, self.ranker.objectives_)
        if isinstance(weights, PerQuery) and self.qid is not None:
            # Made-up ids are not among those of the weights: take the weights of one that is.
            row_weights = weights._rows(QueryLists.from_qid(weights.ids), self.ranker.objectives_).weights
            return replace(self, weights=row_weights[0]).scores(rows)
        return self.scores(rows)


def score_partition(partition: pd.DataFrame, scorer: PartitionScorer) -> Scores:
    """Scores of a partition, which may have no rows."""
    if len(partition):
        return scorer.labelled(scorer.scores(partition), partition.index)
    shape = 0 if scorer.columns is None else (0, len(scorer.columns))
    return scorer.labelled(np.empty(shape), partition.index)


def score_checked(X: dd.DataFrame, scorer: Delayed, ids: pd.Series, meta: Scores) -> dd.Series | dd.DataFrame:
    """Scores that wait until no query was found in two partitions; `ids` are those of no rows."""
    table = pd.DataFrame(meta).assign(**{OF_QUERY: ids})
    both = X.map_partitions(score_beside_ids, scorer, meta=table)
    id_meta = distinct_ids(ids)
    distinct = both[OF_QUERY].map_partitions(distinct_ids, meta=id_meta).clear_divisions()
    checked = distinct.repartition(npartitions=1).map_partitions(refuse_cut, meta=id_meta)
    scores = both["score"] if meta.ndim == 1 else both[list(meta.columns)]
    return scores.map_partitions(pass_on, checked, meta=meta, align_dataframes=False)


def score_beside_ids(partition: pd.DataFrame, scorer: PartitionScorer) -> pd.DataFrame:
    """Scores of a partition and the query ids of their rows."""
    scores = pd.DataFrame(score_partition(partition, scorer))
    return scores.assign(**{OF_QUERY: scorer.ids(partition).array})


def distinct_ids(ids: pd.Series) -> pd.DataFrame:
    """The query ids of a partition, each once."""
    if isinstance(ids.dtype, pd.CategoricalDtype):  # partitions may know other categories
        ids = ids.astype(ids.cat.categories.dtype)
    return pd.DataFrame({OF_QUERY: ids.dropna().drop_duplicates().reset_index(drop=True)})


def refuse_cut(ids: pd.DataFrame) -> pd.DataFrame:
    """Nothing, unless the distinct ids of all partitions hold one twice."""
    cut = ids[OF_QUERY][ids[OF_QUERY].duplicated()].drop_duplicates()
    if len(cut):
        raise ValueError(
            f"{len(cut)} of {ids[OF_QUERY].nunique()} queries have rows in more than one partition, first "
            f"{cut.tolist()[0]!r}, and this ranker scores a document together with the others of its query: "
            "X.shuffle(on='qid') or X.set_index('qid') beforehand brings queries together."
        )
    return ids.iloc[:0]


def pass_on(scores: Scores, checked: pd.DataFrame) -> Scores:  # noqa: ARG001 - a dependency of the task
    """The scores, once the check that they wait for has passed."""
    return scores


def score_within(
    partition: pd.DataFrame, number: pd.Series, scorer: PartitionScorer, divisions: tuple[Any, ...]
) -> Scores:
    """Scores of a partition whose index is query ids within the divisions that Dask takes it to have."""
    at = int(number.iloc[0])
    low, high = divisions[at : at + 2]
    index = partition.index
    is_above = index > high if at == len(divisions) - 2 else index >= high
    outside = index[(index < low) | is_above]
    if len(outside):
        query, low, high = pd.Index([outside[0], low, high]).tolist()
        raise ValueError(
            f"query {query!r} lies outside of the divisions of its partition, {low!r} to {high!r}, so it may "
            "be in another too: X.clear_divisions() has predict_dask look itself."
        )
    return score_partition(partition, scorer)


def has_distinct_divisions(X: dd.DataFrame) -> bool:
    """Whether Dask knows the divisions of the index, and no value belongs to two partitions."""
    bounds = list(X.divisions)[:-1]  # the last partition holds its upper bound too
    return bool(X.known_divisions) and all(a < b for a, b in pairwise(bounds))


def example_rows(meta: pd.DataFrame, qid: str | None) -> pd.DataFrame:
    """A few rows of a frame's columns and types; text is made to look like numbers, which it may hold."""
    from dask.dataframe.utils import meta_nonempty

    rows = meta_nonempty(meta).iloc[:N_EXAMPLES].copy()
    for name, dtype in rows.dtypes.items():
        if pd.api.types.is_object_dtype(dtype) or pd.api.types.is_string_dtype(dtype):
            rows[name] = pd.Series(["0"] * len(rows), index=rows.index, dtype=dtype)
        elif isinstance(dtype, pd.CategoricalDtype) and name != qid:  # Dask may not know the categories
            rows[name] = pd.Series(np.nan, index=rows.index, dtype=dtype)
    return rows


def column_names(weights: ArrayLike, objectives: tuple[str, ...]) -> list[str]:
    """Names of the columns of scores under k trade-offs, such as ``relevance=0.7, clicks=0.3``."""
    table = np.asarray(weights, dtype=np.float64)
    for digits in (4, 17):
        names = [
            ", ".join(f"{name}={w:.{digits}g}" for name, w in zip(objectives, row, strict=True))
            for row in table
        ]
        if len(set(names)) == len(names):
            return names
    raise ValueError("weights hold the same trade-off twice: columns of scores are named after them.")
