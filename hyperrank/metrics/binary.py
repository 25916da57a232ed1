"""Metrics of binary relevance: reciprocal rank, average precision, precision at k.

Shared conventions, those of trec_eval: a document is relevant if its label is at least `relevant_from`; of
equal scores the earlier row ranks first; a list without a relevant document scores 0 and counts in the mean,
unless `empty` says otherwise. A NaN label is unobserved: the document leaves the list of that objective. A
list without any observed document is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hyperrank.lists import QueryLists
from hyperrank.metrics._blocks import Block, average_over_lists, check_cutoff, check_inputs, empty_value
from hyperrank.metrics.ndcg import Empty


def mrr(
    scores: ArrayLike,
    labels: ArrayLike,
    *,
    qid: ArrayLike | QueryLists | None = None,
    k: int | None = None,
    relevant_from: float = 1,
    empty: Empty = "zero",
    per_query: bool = False,
) -> Any:
    """Mean reciprocal rank: 1 / r for the first relevant document at rank r, 0 if there is none up to rank k.

    Parameters
    ----------
    scores, labels, qid, k, per_query
        As for `ndcg`.
    relevant_from : float, default 1
        The lowest label that is relevant.
    empty : {"skip", "zero", "one", 0, 1}, default "zero"
        What a list without any relevant document scores; "skip" leaves it out of the mean.

    Returns
    -------
    float or ndarray
        Of the shape that `ndcg` gives.

    Raises
    ------
    ValueError
        If lengths disagree, a score is not finite, a label negative or infinite, or a choice unknown.

    References
    ----------
    Kantor & Voorhees: The TREC-5 confusion track. Information Retrieval, 2000.

    Examples
    --------
    >>> mrr([3.0, 2.0, 1.0, 5.0], [0, 2, 1, 0], qid=[1, 1, 1, 2])
    0.25
    >>> mrr([3.0, 2.0, 1.0, 5.0], [0, 2, 1, 0], qid=[1, 1, 1, 2], empty="skip")
    0.5
    """

    def reciprocal_rank(relevant: NDArray[np.bool_], _: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.asarray(relevant.any(axis=3) / (relevant.argmax(axis=3) + 1))

    return _binary(reciprocal_rank, scores, labels, qid, k, relevant_from, empty, per_query)


def average_precision(
    scores: ArrayLike,
    labels: ArrayLike,
    *,
    qid: ArrayLike | QueryLists | None = None,
    k: int | None = None,
    relevant_from: float = 1,
    empty: Empty = "zero",
    per_query: bool = False,
) -> Any:
    """Average precision; its mean over lists is MAP.

    The sum of the precisions at the ranks of the relevant documents, divided by the number of *all* relevant
    documents of the list, also with a cut-off (trec_eval's ``map_cut``): a list with more than k relevant
    documents cannot reach 1.

    Parameters
    ----------
    scores, labels, qid, k, per_query
        As for `ndcg`.
    relevant_from, empty
        As for `mrr`.

    Returns
    -------
    float or ndarray
        Of the shape that `ndcg` gives.

    Raises
    ------
    ValueError
        If lengths disagree, a score is not finite, a label negative or infinite, or a choice unknown.

    References
    ----------
    Harman: Evaluation issues in information retrieval. Information Processing & Management, 1992.

    Examples
    --------
    >>> round(average_precision([3.0, 2.0, 1.0], [0, 2, 1]), 4)
    0.5833
    >>> average_precision([3.0, 2.0, 1.0], [0, 2, 1], k=2)
    0.25
    """

    def precision_sum(relevant: NDArray[np.bool_], n_relevant: NDArray[np.int64]) -> NDArray[np.float64]:
        precisions = relevant.cumsum(axis=3) / np.arange(1, relevant.shape[3] + 1)
        return np.asarray((precisions * relevant).sum(axis=3) / np.maximum(n_relevant, 1))

    return _binary(precision_sum, scores, labels, qid, k, relevant_from, empty, per_query)


def precision(
    scores: ArrayLike,
    labels: ArrayLike,
    *,
    k: int,
    qid: ArrayLike | QueryLists | None = None,
    relevant_from: float = 1,
    empty: Empty = "zero",
    per_query: bool = False,
) -> Any:
    """Precision at k: the share of relevant documents among the first k.

    As in trec_eval the divisor is k also for a shorter list, which therefore cannot reach 1.

    Parameters
    ----------
    scores, labels, qid, per_query
        As for `ndcg`.
    k : int
        Ranks that count.
    relevant_from, empty
        As for `mrr`.

    Returns
    -------
    float or ndarray
        Of the shape that `ndcg` gives.

    Raises
    ------
    ValueError
        If lengths disagree, a score is not finite, a label negative or infinite, or a choice unknown.

    Examples
    --------
    >>> precision([3.0, 2.0, 1.0], [0, 2, 1], k=2)
    0.5
    >>> precision([3.0, 2.0, 1.0], [0, 2, 1], k=5)
    0.4
    """
    if k is None:
        raise ValueError("precision needs a cut-off: give k, a whole number of at least 1.")

    def share(relevant: NDArray[np.bool_], _: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.asarray(relevant.sum(axis=3) / k)

    return _binary(share, scores, labels, qid, k, relevant_from, empty, per_query)


def _binary(
    value: Callable[[NDArray[np.bool_], NDArray[np.int64]], NDArray[np.float64]],
    scores: ArrayLike,
    labels: ArrayLike,
    qid: ArrayLike | QueryLists | None,
    k: int | None,
    relevant_from: float,
    empty: Empty,
    per_query: bool,
) -> Any:
    """Average a binary metric.

    ``value(relevant, n_relevant)`` makes (B, K, m) of relevance by rank (B, K, m, depth), counts (B, 1, m).
    """
    if not relevant_from > 0:
        raise ValueError(
            f"relevant_from must be positive, or every document is relevant; got {relevant_from!r}."
        )
    without = empty_value(empty)
    cutoff = check_cutoff(k)

    def measure(block: Block, columns: slice) -> NDArray[np.float64]:
        n_relevant = (block.labels >= relevant_from).sum(axis=2)[:, None, :]
        values = value(block.ranked_labels(columns) >= relevant_from, n_relevant)
        return np.where(n_relevant > 0, values, without)

    return average_over_lists(check_inputs(scores, labels, qid), measure, cutoff, per_query)
