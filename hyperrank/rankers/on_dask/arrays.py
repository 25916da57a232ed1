"""Dask's arrays: scored by chunks of rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from hyperrank.rankers.on_dask.parts import FEW, PartScorer, part_scorer, sent
from hyperrank.rankers.on_dask.whole import distinct_ids, passed_on, refuse_cut

__all__ = []


def predict(
    ranker: Any, X: Any, *, qid: Any, weights: Any, queries: str, ref_scores: Any, options: Mapping[str, Any]
) -> Any:
    """Score a Dask array; see `PredictsOnDask.predict_dask`."""
    import dask.array as da
    from dask import delayed

    if X.ndim != 2:
        raise ValueError(f"X has {X.ndim} dimensions; wanted (n, d), rows of features.")
    if X.numblocks[1] > 1:
        X = X.rechunk({1: -1})
    ids, given = (_beside(values, X, name) for name, values in (("qid", qid), ("ref_scores", ref_scores)))
    scorer = part_scorer(ranker, weights, options)
    tried = scorer.tried(
        np.zeros((FEW, X.shape[1]), dtype=X.dtype),
        None if ids is None else np.zeros(FEW, dtype=np.int64),
        None if given is None else np.zeros(FEW),
    )
    n_parts = X.numblocks[0]
    waits = ranker._knows_lists and n_parts > 1 and queries != "whole"
    if waits and queries == "gather":
        raise ValueError(
            "queries='gather' takes frames: dask.dataframe.from_dask_array(X) with the ids as a column 'qid'."
        )
    if waits and ids is None:
        raise ValueError(
            "this ranker scores a document beside the others of its query: pass qid, a dask array of the ids."
        )
    blocks = X.to_delayed().ravel().tolist()
    of_ids, of_given = (
        [None] * n_parts if values is None else values.to_delayed().tolist() for values in (ids, given)
    )
    one, score = sent(scorer), delayed(_scored, pure=True)
    tail = tried.shape[1:]
    parts = [score(*part, one, tail) for part in zip(blocks, of_ids, of_given, strict=True)]
    if waits:
        checked = delayed(_refuse_cut, pure=True)([delayed(distinct_ids, pure=True)(part) for part in of_ids])
        parts = [delayed(passed_on, pure=True)(part, checked) for part in parts]
    arrays = [
        da.from_delayed(part, shape=(n_rows, *tail), dtype=tried.dtype)
        for part, n_rows in zip(parts, X.chunks[0], strict=True)
    ]
    return da.concatenate(arrays, axis=0, allow_unknown_chunksizes=True)


def _beside(values: Any, X: Any, name: str) -> Any:
    """One number or id per row, in chunks of the same rows as the features."""
    import dask.array as da

    if values is None:
        return None
    if not isinstance(values, da.Array) or values.ndim != 1:
        raise ValueError(
            f"{name} of a dask array is a dask array of shape (n,), one entry per row; got "
            f"{type(values).__name__}. dask.array.from_array(values, chunks=X.chunks[0]) makes one."
        )
    known = not np.isnan([*values.chunks[0], *X.chunks[0]]).any()
    if known and values.shape[0] != X.shape[0]:
        raise ValueError(f"{name} has {values.shape[0]} entries, but X has {X.shape[0]} rows.")
    if known:
        return values.rechunk((X.chunks[0],))
    if values.numblocks[0] != X.numblocks[0]:
        raise ValueError(
            f"{name} has {values.numblocks[0]} chunks, X has {X.numblocks[0]}, and of unknown sizes they "
            "cannot be matched: compute_chunk_sizes() of both."
        )
    return values


def _scored(block: Any, ids: Any, given: Any, scorer: PartScorer, tail: tuple[int, ...]) -> Any:
    """Scores of a chunk, which may have no rows; `tail` is their shape but for the rows."""
    if not len(block):
        return np.empty((0, *tail))
    return scorer.scores(block, ids, given)


def _refuse_cut(ids: list[pd.DataFrame]) -> None:
    refuse_cut(pd.concat(ids, ignore_index=True))
