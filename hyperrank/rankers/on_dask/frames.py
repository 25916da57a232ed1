"""Dask's frames: scored by partition, the result with the index and the partitions of the features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from hyperrank.rankers.inputs import QID_COLUMN
from hyperrank.rankers.on_dask import gathered
from hyperrank.rankers.on_dask.parts import PartScorer, column_names, made_up, part_scorer, sent
from hyperrank.rankers.on_dask.whole import distinct_ids, passed_on, refuse_cut, refuse_outside

__all__ = ["FrameLayout", "scored"]

#: The column of query ids beside the scores that wait for the check.
OF_QUERY = "__query__"


@dataclass(frozen=True)
class FrameLayout:
    """What is what in the frame.

    Attributes
    ----------
    qid : str or None
        The column or index of query ids.
    is_index : bool
        Whether they are the index.
    ref_scores : str or None
        The column of reference scores.
    columns : tuple of str or None
        Names for the scores under k trade-offs; None for a series.
    """

    qid: str | None
    is_index: bool
    ref_scores: str | None
    columns: tuple[str, ...] | None = None

    def ids(self, part: pd.DataFrame) -> Any:
        """The query ids of a partition."""
        if self.qid is None:
            return None
        return part.index if self.is_index else part[self.qid]

    def split(self, part: pd.DataFrame) -> tuple[pd.DataFrame, Any, Any]:
        """Features, query ids and reference scores of a partition."""
        aside = [] if self.qid is None or self.is_index else [self.qid]
        ref_scores = None
        if self.ref_scores is not None:
            aside.append(self.ref_scores)
            ref_scores = part[self.ref_scores].to_numpy()
        ids = self.ids(part)
        return part.drop(columns=aside), None if ids is None else ids.to_numpy(), ref_scores

    def labelled(self, scores: Any, index: pd.Index) -> pd.Series | pd.DataFrame:
        """Scores with their names and the index of their rows."""
        if self.columns is None:
            return pd.Series(scores, index=index, name="score")
        return pd.DataFrame(scores, index=index, columns=list(self.columns))


def predict(
    ranker: Any, X: Any, *, qid: Any, weights: Any, queries: str, ref_scores: Any, options: Mapping[str, Any]
) -> Any:
    """Score a Dask frame; see `PredictsOnDask.predict_dask`."""
    layout = _layout(X._meta, qid, ref_scores)
    scorer = part_scorer(ranker, weights, options)
    tried = scorer.tried(*layout.split(made_up(X._meta)))
    if tried.ndim == 2:
        names = column_names(ranker._weights(weights), ranker.objectives_)
        layout = replace(layout, columns=tuple(names))
    shape = (0,) if tried.ndim == 1 else (0, tried.shape[1])
    meta = layout.labelled(np.empty(shape, tried.dtype), X._meta.index)
    if not ranker._knows_lists or X.npartitions == 1 or queries == "whole":
        return X.map_partitions(scored, sent(scorer), layout, meta=meta)
    if layout.qid is None:
        raise ValueError(
            f"X has neither a column nor an index {QID_COLUMN!r}, and this ranker scores a document beside "
            f"the others of its query: say by qid= where query ids are. Columns: {_some(X.columns)}."
        )
    if queries == "gather":
        return gathered.predict(X, sent(scorer), layout, meta)
    if layout.is_index and _is_cut_by_value(X):
        numbers = gathered.part_numbers(X.npartitions)
        return X.map_partitions(
            _scored_within, numbers, sent(scorer), layout, X.divisions, meta=meta, align_dataframes=False
        )
    return _checked(X, sent(scorer), layout, meta)


def scored(part: pd.DataFrame, scorer: PartScorer, layout: FrameLayout) -> pd.Series | pd.DataFrame:
    """Scores of a partition, which may have no rows."""
    if not len(part):
        return layout.labelled(np.empty((0, *([len(layout.columns)] if layout.columns else []))), part.index)
    return layout.labelled(scorer.scores(*layout.split(part)), part.index)


def _checked(X: Any, scorer: Any, layout: FrameLayout, meta: pd.Series | pd.DataFrame) -> Any:
    """Scores that wait until no query was found in two partitions."""
    table = meta.to_frame() if isinstance(meta, pd.Series) else meta
    of_query = layout.ids(X._meta).to_series(index=meta.index) if layout.is_index else X._meta[layout.qid]
    both = X.map_partitions(_scored_beside_ids, scorer, layout, meta=table.assign(**{OF_QUERY: of_query}))
    id_meta = distinct_ids(of_query)
    ids = both[OF_QUERY].map_partitions(distinct_ids, meta=id_meta).clear_divisions()
    checked = ids.repartition(npartitions=1).map_partitions(refuse_cut, meta=id_meta)
    scores = both["score"] if meta.ndim == 1 else both[list(meta.columns)]
    return scores.map_partitions(passed_on, checked, meta=meta, align_dataframes=False)


def _scored_beside_ids(part: pd.DataFrame, scorer: PartScorer, layout: FrameLayout) -> pd.DataFrame:
    scores = scored(part, scorer, layout)
    table = scores.to_frame() if isinstance(scores, pd.Series) else scores
    table[OF_QUERY] = layout.ids(part).to_numpy() if layout.is_index else layout.ids(part)
    return table


def _scored_within(
    part: pd.DataFrame, number: pd.Series, scorer: PartScorer, layout: FrameLayout, divisions: tuple[Any, ...]
) -> pd.Series | pd.DataFrame:
    """Scores of a partition whose index is query ids within known bounds."""
    at = int(number.iloc[0])
    refuse_outside(part.index, divisions[at], divisions[at + 1], is_last=at == len(divisions) - 2)
    return scored(part, scorer, layout)


def _is_cut_by_value(X: Any) -> bool:
    """Whether Dask knows the divisions of the index, and no value belongs to two partitions."""
    bounds = list(X.divisions)[:-1]  # the last partition holds its upper bound too
    return bool(X.known_divisions) and all(a < b for a, b in pairwise(bounds))


def _layout(meta: pd.DataFrame, qid: Any, ref_scores: Any) -> FrameLayout:
    """What is what, checked."""
    for name, value in (("qid", qid), ("ref_scores", ref_scores)):
        if value is not None and not isinstance(value, str):
            raise ValueError(
                f"{name} of a frame is the name of a column; got {type(value).__name__}. "
                f"X.assign({name}=...) makes one of a series."
            )
    known = list(meta.columns)
    if ref_scores is not None and ref_scores not in known:
        raise ValueError(f"X has no column {ref_scores!r} for ref_scores. Columns: {_some(known)}.")
    wanted = QID_COLUMN if qid is None else qid
    if wanted in known:
        return FrameLayout(wanted, False, ref_scores)
    if meta.index.name == wanted:
        return FrameLayout(wanted, True, ref_scores)
    if qid is not None:
        raise ValueError(f"X has neither a column nor an index {qid!r}, for qid. Columns: {_some(known)}.")
    return FrameLayout(None, False, ref_scores)


def _some(names: Any) -> str:
    shown = ", ".join(repr(name) for name in list(names)[:10])
    return f"{shown}, ..." if len(names) > 10 else shown
