"""Expected reciprocal rank: the cascade model of a reader who stops when satisfied."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hyperrank.lists import QueryLists
from hyperrank.metrics._blocks import Block, average_over_lists, check_cutoff, check_inputs, empty_value
from hyperrank.metrics.ndcg import Empty


def err(
    scores: ArrayLike,
    labels: ArrayLike,
    *,
    qid: ArrayLike | QueryLists | None = None,
    k: int | None = None,
    max_label: float | None = None,
    empty: Empty = "zero",
    per_query: bool = False,
) -> Any:
    r"""Compute expected reciprocal rank, of every column of scores against every objective.

    With :math:`R_r = (2^{z_{(r)}} - 1) / 2^{z_{\max}}` the chance that the document at rank r satisfies,

    .. math:: \mathrm{ERR@}k = \sum_{r \le k} \frac{R_r}{r} \prod_{i < r} (1 - R_i)

    It is not normalised: the best ranking of a list scores less than 1. Of equal scores the earlier row ranks
    first.

    Parameters
    ----------
    scores, labels, qid, k, per_query
        As for `ndcg`.
    max_label : float, optional
        The top grade of the scale; by default each objective's highest label in `labels`. Give it to compare
        across data sets: gdeval, and ir-measures with it, fixes 4.
    empty : {"skip", "zero", "one", 0, 1}, default "zero"
        What a list without any positive label scores; "skip" leaves it out of the mean.

    Returns
    -------
    float or ndarray
        Of the shape that `ndcg` gives.

    Raises
    ------
    ValueError
        If lengths disagree, a score is not finite, a label negative, infinite or above `max_label`, or a
        choice unknown.

    References
    ----------
    Chapelle, Metzler, Zhang & Grinspan: Expected reciprocal rank for graded relevance. CIKM 2009.

    Examples
    --------
    >>> err([2.0, 1.0], [0, 1], max_label=1)
    0.25
    >>> err([2.0, 1.0], [1, 0], max_label=1)
    0.5
    """
    inputs = check_inputs(scores, labels, qid)
    top = _top_grades(inputs.labels, max_label)
    without = empty_value(empty)
    cutoff = check_cutoff(k)

    def measure(block: Block, columns: slice) -> NDArray[np.float64]:
        highest = top[block.subset.columns][:, None]
        ranked = block.ranked_labels(columns)
        satisfied = np.exp2(ranked - highest) - np.exp2(-highest)
        still_reading = np.ones_like(satisfied)
        np.cumprod(1.0 - satisfied[..., :-1], axis=3, out=still_reading[..., 1:])
        values = (satisfied * still_reading) @ (1.0 / np.arange(1, block.depth + 1))
        return np.where(block.highest[:, None, :] > 0, values, without)

    return average_over_lists(inputs, measure, cutoff, per_query)


def _top_grades(labels: NDArray[np.float64], max_label: float | None) -> NDArray[np.float64]:
    """Find the top grade of each objective, shape (m,); 0 where nothing is observed."""
    highest = np.fmax.reduce(labels, axis=0, initial=0.0)
    if max_label is None:
        return np.asarray(highest)
    if not (np.isfinite(max_label) and max_label > 0):
        raise ValueError(f"max_label must be positive and finite; got {max_label!r}.")
    if (highest > max_label).any():
        column = int(np.argmax(highest > max_label))
        raise ValueError(
            f"labels reach {highest[column]:g} in column {column}, above max_label={max_label:g}."
        )
    return np.full_like(highest, max_label)
