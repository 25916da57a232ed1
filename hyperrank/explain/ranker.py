"""Explanation of a fitted ranker: input checks, sampled queries, and scores under two trade-offs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from hyperrank._checks import check_number
from hyperrank.explain.explanation import Explanation
from hyperrank.explain.permutation import Task, check_within, explain_change, named_columns
from hyperrank.lists import QueryLists
from hyperrank.metrics import Metric, parse_metric
from hyperrank.rankers.data import GroupedFeatures, LabelledLists
from hyperrank.rankers.inputs import read_features, split_qid
from hyperrank.reference import take_rows

__all__ = ["explain_ranker"]


def explain_ranker(
    ranker: Any,
    X: Any,
    y: Any,
    *,
    qid: ArrayLike | None,
    weights: ArrayLike | Mapping[str, float],
    against: ArrayLike | Mapping[str, float] | None,
    features: Sequence[Any] | Mapping[str, Any] | None,
    metric: str | Metric | None,
    within: str,
    n_repeats: int,
    max_rows: int | None,
    random_state: Any,
    n_jobs: int | None,
    verbose: int,
    **options: Any,
) -> Explanation:
    """Explain the rank change between two trade-offs by permuting features.

    Parameters, returns and raises as of `hyperrank.rankers.BaseRanker.explain`.
    """
    check_is_fitted(ranker)
    ref_scores = options.pop("ref_scores", None)
    pair, pair_options = _pair(ranker, weights, against, options)
    check_within(within)
    repeats = int(check_number("n_repeats", n_repeats, at_least=1, whole=True))
    columns = named_columns(features, getattr(ranker, "feature_names_in_", None), ranker.n_features_in_)
    if split_qid(X, qid)[1] is None:
        raise ValueError(
            "explain needs qid, one query id per row, to know which documents are ranked together; "
            "if all rows are of one query, pass np.zeros(len(X))."
        )
    seed = int(check_random_state(random_state).randint(np.iinfo(np.int32).max + 1))
    if y is None:
        data = read_features(ranker, X, qid, reset=False, ref_scores=ref_scores)
    else:
        data = ranker._read(X, y, qid, ref_scores)
    rows, lists = data.lists.take(_sampled_lists(data.lists, max_rows, seed))
    task = Task(
        X=data.X[rows],
        frame=_dense(take_rows(data.frame, rows)),
        lists=lists,
        Y=data.Y[rows] if isinstance(data, LabelledLists) else None,
        score=_Scoring(
            ranker,
            pair,
            lists,
            None if data.ref_scores is None else data.ref_scores[rows],
            pair_options,
        ),
        metric=ranker._metric() if metric is None else parse_metric(metric),
        within=within,
        n_repeats=repeats,
        seed=seed,
    )
    return explain_change(
        task,
        columns,
        objectives=ranker.objectives_,
        weights=pair,
        temperatures=tuple(ranker._front_temperature(**each) for each in pair_options),
        n_jobs=n_jobs,
        verbose=verbose,
    )


@dataclass(frozen=True)
class _Scoring:
    """Scores of changed features under two trade-offs; goes to other processes with the ranker."""

    ranker: Any
    weights: NDArray[np.float64]
    lists: QueryLists
    ref_scores: NDArray[np.float64] | None
    options: tuple[dict[str, Any], dict[str, Any]] = ({}, {})

    def __call__(self, X: NDArray[np.float32], frame: Any) -> NDArray[np.floating[Any]]:
        data = GroupedFeatures(X, self.lists, frame, self.ref_scores)
        before, after = self.options
        if before == after:
            return self.ranker._scores(data, self.weights, **before)
        pairs = zip(self.weights[:, None], self.options, strict=True)
        return np.concatenate([self.ranker._scores(data, at, **options) for at, options in pairs], axis=1)


def _pair(
    ranker: Any, weights: Any, against: Any, options: dict[str, Any]
) -> tuple[NDArray[np.float64], tuple[dict[str, Any], dict[str, Any]]]:
    """The weights of the two trade-offs, shape (2, m), and with which options each is scored."""
    if len(ranker.objectives_) < 2:
        raise ValueError(
            f"the ranker has one objective, {ranker.objectives_[0]}: there are no trade-offs to explain."
        )
    weights, options_to = ranker._trade_off(weights, options)
    options_from = options_to
    to = np.atleast_2d(ranker._weights(weights))
    if len(to) == 2 and against is None:
        pair = to
    else:
        if against is not None:
            against, options_from = ranker._trade_off(against, options)
        pair = np.concatenate([np.atleast_2d(ranker._weights(against)), to])
    if len(pair) != 2:
        given = "" if against is None else f" and {len(pair) - len(to)} in against"
        raise ValueError(
            "explain takes two trade-offs: two in weights, or one there and one in against; "
            f"got {len(to)} in weights{given}."
        )
    if np.allclose(pair[0], pair[1]) and options_from == options_to:
        raise ValueError(f"both trade-offs are {pair[0].tolist()}: there is no change to explain.")
    return np.asarray(pair), (options_from, options_to)


def _sampled_lists(lists: QueryLists, max_rows: int | None, seed: int) -> NDArray[np.int64]:
    """Numbers of the lists to look at: all, or a random sample of at most `max_rows` rows."""
    if max_rows is None or lists.n_rows <= check_number("max_rows", max_rows, at_least=1, whole=True):
        return np.arange(lists.n_lists, dtype=np.int64)
    order = np.random.default_rng(seed).permutation(lists.n_lists)
    fits = int((np.cumsum(lists.sizes[order]) <= max_rows).sum())
    return np.sort(order[: max(1, fits)]).astype(np.int64)


def _dense(frame: Any) -> Any:
    """Sparse features as an array: columns of it are replaced."""
    return frame.toarray() if hasattr(frame, "toarray") else frame
