"""Metrics of graded relevance: normalised discounted cumulative gain, and expected reciprocal rank."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hyperrank.lists import QueryLists
from hyperrank.metrics._blocks import Block, average_over_lists, check_cutoff, check_inputs, empty_value

Gain = Literal["exp2", "linear"]
Ties = Literal["order", "average", "worst"]
Empty = Literal["skip", "zero", "one"] | int


@dataclass(frozen=True)
class Convention:
    """The three choices in which definitions of NDCG differ.

    Parameters
    ----------
    gain : {"exp2", "linear"}
        Gain of a label z: ``2 ** z - 1`` or z.
    empty : {"skip", "zero", "one"}
        What a list without any positive label scores.
    ties : {"order", "average", "worst"}
        How documents of equal score are ranked.

    Examples
    --------
    >>> from hyperrank.metrics import CONVENTIONS
    >>> CONVENTIONS["hyperrank"]
    Convention(gain='exp2', empty='skip', ties='order')
    """

    gain: Gain = "exp2"
    empty: Empty = "skip"
    ties: Ties = "order"


#: NDCG as each library computes it by default; each is tested against that library's own numbers.
CONVENTIONS: Mapping[str, Convention] = MappingProxyType(
    {
        "hyperrank": Convention(),
        "lightgbm": Convention("exp2", "one", "order"),
        "xgboost": Convention("exp2", "one", "order"),
        "xgboost-minus": Convention("exp2", "zero", "order"),
        "catboost-base": Convention("linear", "one", "worst"),
        "catboost-exp": Convention("exp2", "one", "worst"),
        "sklearn": Convention("linear", "zero", "average"),
        "ir-measures": Convention("linear", "zero", "order"),
        "ir-measures-exp": Convention("exp2", "zero", "order"),
    }
)


def resolve_convention(gain: Gain, empty: Empty, ties: Ties, convention: str | None) -> Convention:
    """Check the choices and let a named convention make them; a ValueError if they contradict it."""
    for name, value, choices in (("gain", gain, get_args(Gain)), ("ties", ties, get_args(Ties))):
        if value not in choices:
            raise ValueError(f"{name} must be one of {list(choices)}; got {value!r}.")
    chosen = Convention(gain, empty, ties)
    if convention is None:
        return chosen
    if convention not in CONVENTIONS:
        raise ValueError(f"convention must be one of {list(CONVENTIONS)}; got {convention!r}.")
    named, default = CONVENTIONS[convention], Convention()
    for field in ("gain", "empty", "ties"):
        given, meant = getattr(chosen, field), getattr(named, field)
        if given not in (getattr(default, field), meant):
            raise ValueError(
                f"convention={convention!r} means {field}={meant!r}, but {field}={given!r} was given too: "
                "leave one of them out."
            )
    return named


#: Gains of the grades 0 to 31, which nearly all labels are: looked up several times as fast as computed.
GRADE_GAINS = np.exp2(np.arange(32)) - 1.0


def ndcg(
    scores: ArrayLike,
    labels: ArrayLike,
    *,
    qid: ArrayLike | QueryLists | None = None,
    k: int | None = None,
    gain: Gain = "exp2",
    empty: Empty = "skip",
    ties: Ties = "order",
    convention: str | None = None,
    per_query: bool = False,
) -> Any:
    r"""Normalised discounted cumulative gain, of every column of scores against every objective.

    For one list with labels :math:`z_{(1)}, z_{(2)}, \ldots` in the order of descending score,

    .. math:: \mathrm{NDCG@}k = \frac{\sum_{r \le k} g(z_{(r)}) / \log_2(r + 1)}
              {\max_\pi \sum_{r \le k} g(z_{\pi(r)}) / \log_2(r + 1)}

    and the result is its mean over lists.

    Parameters
    ----------
    scores : array-like of shape (n,) or (n, K)
        Scores of the documents, finite; one column per trade-off.
    labels : array-like of shape (n,) or (n, m)
        Labels of the documents, at least 0; one column per objective. NaN is unobserved: the document leaves
        the list of that objective. Huge labels are safe.
    qid : array-like of shape (n,), QueryLists or None
        Query ids in any order; None makes one list of all documents.
    k : int, optional
        Ranks that count; all by default.
    gain : {"exp2", "linear"}, default "exp2"
        ``2 ** z - 1`` (Burges et al., 2005) or z itself (Järvelin & Kekäläinen, 2002).
    empty : {"skip", "zero", "one", 0, 1}, default "skip"
        What a list without any positive label scores; "skip" leaves it out of the mean. A list without any
        observed document is always left out.
    ties : {"order", "average", "worst"}, default "order"
        Rank of documents with equal scores. "order": the earlier row first. "average": the expected value
        over all their orders. "worst": lower labels first, so that a constant score earns the least.
    convention : str, optional
        A name from ``CONVENTIONS`` that makes the last three choices as that library does.
    per_query : bool, default False
        Return the value of each list, in the order in which queries first appear.

    Returns
    -------
    float or ndarray
        Shape (K, m), or (n_lists, K, m) with `per_query`, less the axes of 1-D inputs. NaN where a list, or
        every list, is skipped.

    Raises
    ------
    ValueError
        If lengths disagree, a score is not finite, a label negative or infinite, or a choice unknown.

    References
    ----------
    Järvelin & Kekäläinen: Cumulated gain-based evaluation of IR techniques. TOIS, 2002.

    Burges et al.: Learning to rank using gradient descent. ICML 2005.

    McSherry & Najork: Computing information retrieval performance measures efficiently in the presence of
    tied scores. ECIR 2008; the expected value under ties.

    Examples
    --------
    >>> scores, labels = [3.0, 2.0, 1.0, 5.0], [0, 2, 1, 0]
    >>> round(ndcg(scores, labels, qid=[1, 1, 1, 2], k=3), 4)
    0.659
    >>> round(ndcg(scores, labels, qid=[1, 1, 1, 2], k=3, convention="lightgbm"), 4)
    0.8295
    >>> ndcg(scores, labels, qid=[1, 1, 1, 2], per_query=True).round(4)
    array([0.659,    nan])
    """
    chosen = resolve_convention(gain, empty, ties, convention)
    no_gain = empty_value(chosen.empty)
    cutoff = check_cutoff(k)

    def measure(block: Block, columns: slice) -> NDArray[np.float64]:
        return _ndcg_of_block(block, columns, chosen, no_gain)

    return average_over_lists(check_inputs(scores, labels, qid), measure, cutoff, per_query)


def _ndcg_of_block(block: Block, columns: slice, chosen: Convention, no_gain: float) -> NDArray[np.float64]:
    """NDCG of the lists of a block, shape (B, K, m)."""
    best = block.best_labels[:, None]
    highest = best[..., :1]
    discounts = _discounts(block.depth)
    if chosen.ties == "average":
        reached = _expected_dcg(block, columns, _gains(block.labels[:, None], highest, chosen.gain)[:, 0])
    else:
        ranked = block.ranked_labels(columns, chosen.ties)
        reached = _gains(ranked, highest, chosen.gain) @ discounts
    ideal = _gains(best, highest, chosen.gain) @ discounts
    values = np.full_like(reached, no_gain)
    np.divide(reached, ideal, out=values, where=ideal > 0)
    # Sums of the same gains in another order may exceed the ideal by a rounding.
    return np.minimum(values, 1.0, out=values)


def _discounts(depth: int) -> NDArray[np.float64]:
    return np.asarray(1.0 / np.log2(np.arange(2, depth + 2)))


def _gains(labels: NDArray[np.float64], highest: NDArray[np.float64], gain: Gain) -> NDArray[np.float64]:
    """Give gains as fractions of the highest label's scale: NDCG is the same, and nothing overflows."""
    if gain == "linear":
        return labels / np.where(highest > 0, highest, 1.0)
    if highest.max() < len(GRADE_GAINS):
        grades = labels.astype(np.int64)
        if (grades == labels).all():
            return np.asarray(GRADE_GAINS.take(grades) * np.exp2(-highest))
    # (2^z - 1) / 2^highest: from z = 1 on the difference loses no digits, and below it would lose them.
    gains = np.exp2(labels - highest) - np.exp2(-highest)
    low = (labels > 0) & (labels < 1)
    if low.any():
        small = np.minimum(labels, 1.0)
        np.copyto(gains, np.expm1(small * math.log(2)) * np.exp2(-highest), where=low)
    return np.asarray(gains)


def _expected_dcg(block: Block, columns: slice, gains: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average DCG over all orders of tied documents: every rank of a tie gains the mean of the tied.

    Gains are (B, m, P); the result is (B, K, m).
    """
    scores = block.scores(columns)
    order = np.argsort(scores, axis=2)[:, :, ::-1]
    ordered = np.take_along_axis(scores, order, axis=2)
    first = np.ones(ordered.shape, dtype=bool)
    np.not_equal(ordered[:, :, 1:], ordered[:, :, :-1], out=first[:, :, 1:])
    starts = np.flatnonzero(first)
    discounts = np.zeros(block.width)
    discounts[: block.depth] = _discounts(block.depth)
    discount_sums = np.add.reduceat(np.broadcast_to(discounts, ordered.shape).ravel(), starts)
    shares = discount_sums / np.diff(starts, append=first.size)
    row_starts = np.searchsorted(starts, np.arange(0, first.size, block.width))
    expected = np.empty((*scores.shape[:2], gains.shape[1]))
    for j in range(gains.shape[1]):
        ranked = np.take_along_axis(gains[:, j, None, :], order, axis=2)
        tied_gains = np.add.reduceat(ranked.ravel(), starts)
        expected[:, :, j] = np.add.reduceat(tied_gains * shares, row_starts).reshape(scores.shape[:2])
    return expected


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
    top = np.fmax.reduce(inputs.labels, axis=0, initial=0.0)  # of each objective; 0 where none is observed
    if max_label is not None:
        if not (np.isfinite(max_label) and max_label > 0):
            raise ValueError(f"max_label must be positive and finite; got {max_label!r}.")
        if (top > max_label).any():
            column = int(np.argmax(top > max_label))
            raise ValueError(
                f"labels reach {top[column]:g} in column {column}, above max_label={max_label:g}."
            )
        top = np.full_like(top, max_label)
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
