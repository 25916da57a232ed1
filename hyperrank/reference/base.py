"""Base class of references: scores per document or per document and objective, mixed by weights."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperrank.boosters import Cached
from hyperrank.files import storable
from hyperrank.lists import QueryLists
from hyperrank.memmap import FeatureRows
from hyperrank.weights import RowWeights


@dataclass(frozen=True)
class GroupedRows:
    """Rows grouped by query, as references score them.

    Parameters
    ----------
    X : ndarray or MappedRows of shape (n, d), float32
        Checked features, NaN where missing.
    lists : QueryLists
        The lists of the rows, and the way back to the caller's order.
    frame : object
        The same rows as the caller has them, such as a frame; `X` itself where no model reads them.
    ref_scores : ndarray of shape (n,) or (n, k), or None
        Scores of the rows that the caller gave, for k references by scores.
    """

    X: FeatureRows
    lists: QueryLists
    frame: Any
    ref_scores: NDArray[np.float64] | None


@dataclass(frozen=True)
class ReferenceData(GroupedRows):
    """Training data of a reference, and how its boosters are trained.

    Parameters
    ----------
    X, lists, frame, ref_scores
        As of `GroupedRows`.
    Y : ndarray of shape (n, m), float32
        Labels of grouped rows; NaN where unobserved.
    main : int
        The objective that a reference with a single score is fitted to.
    booster_params : mapping, optional
        LightGBM parameters, on top of `hyperrank.boosters.BOOSTER_PARAMS`.
    max_ranking_rounds : int, optional
        Rounds at most of the ranking boosters of pairs, where these are more.
    query_standardize : bool, default False
        Whether ranking boosters of all objectives see the features standardised within their list too.
    seed : int, default 0
    list_weight : ndarray of shape (n_lists,), optional
        How much each list counts.
    n_jobs : int, optional
        Boosters trained at a time; all cores by default.
    cached : callable, optional
        Of `hyperrank.boosters.fit_boosters`.
    verbose : int, default 0
        1 shows a progress bar where boosters are trained.
    categorical : collection of int, default ()
        Features that are categories, their codes from 0; NaN where unknown.
    """

    Y: NDArray[np.float32]
    main: int
    booster_params: Mapping[str, Any] | None = None
    max_ranking_rounds: int | None = None
    query_standardize: bool = False
    seed: int = 0
    list_weight: NDArray[np.float64] | None = None
    n_jobs: int | None = None
    cached: Cached | None = None
    verbose: int = 0
    categorical: Collection[int] = ()


class Reference:
    """Base class of references, to whose scores the rewards are added.

    A reference either gives one score per document, the same for every trade-off, or one per document and
    objective, which the trade-off's weights mix: the front that mixing the scores of several models gives.
    """

    #: The objective whose score stands for the reference ranker itself; None where there is one score.
    main: int | None = None
    #: How many ``ref_scores`` per row the caller must pass.
    needs_scores: int = False
    #: Whether it reads ``frame``, the features as the caller has them; if not, it may be given `X` for them.
    needs_frame = True
    #: The references that it is made of, if it is made of others.
    members: Sequence[Reference] = ()

    @property
    def knows_lists(self) -> bool:
        """Whether the score of a document depends on the others of its list."""
        return any(member.knows_lists for member in self.members)

    @property
    def n_features(self) -> int | None:
        """How many features rows must have; None where that is not known."""
        return next((n for member in self.members if (n := member.n_features) is not None), None)

    def scores(self, rows: GroupedRows) -> NDArray[np.float64]:
        """Scores of grouped rows, shape (n, 1), or (n, m) to be mixed by weights.

        Parameters
        ----------
        rows : GroupedRows
            Their ``frame`` may be read where `needs_frame` says so.

        Returns
        -------
        ndarray of shape (n, 1) or (n, m)
            The scores.
        """
        raise NotImplementedError

    def parts(self, rows: GroupedRows) -> NDArray[np.float64]:
        """What scores at any temperature are made of: `scores`, where these do not depend on it.

        Parameters
        ----------
        rows : GroupedRows
            As of `scores`.

        Returns
        -------
        ndarray of shape (n, p)
            For `at_temperature`.
        """
        return self.scores(rows)

    def at_temperature(self, parts: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
        """Scores that the rewards at a temperature are added to.

        Parameters
        ----------
        parts : ndarray of shape (n, p)
            Of `parts`.
        temperature : float
            As of ``predict``.

        Returns
        -------
        ndarray of shape (n, 1) or (n, m)
            At temperature 0 `scores`.
        """
        return parts

    def at(self, weights: NDArray[np.float64], temperature: float = 1.0) -> Reference:
        """The reference at one trade-off: one score per document.

        Parameters
        ----------
        weights : ndarray of shape (m,)
            The trade-off.
        temperature : float, default 1.0
            What is to count as temperature 1.

        Returns
        -------
        Reference
            Of the objectives whose weight is above 0.
        """
        if self.main is None:
            return self
        objectives = np.flatnonzero(weights > 0)
        return MixedReference(self.select(objectives), weights[objectives], temperature)

    def select(self, objectives: NDArray[np.int64]) -> Reference:
        """The reference of some of its objectives.

        Parameters
        ----------
        objectives : ndarray of shape (k,), int64
            Their numbers; the first stands for the reference ranker.

        Returns
        -------
        Reference
            Of those.
        """
        raise NotImplementedError

    def main_scores(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scores of the reference ranker itself.

        Parameters
        ----------
        scores : ndarray of shape (n, 1) or (n, m)
            Of `Reference.scores`.

        Returns
        -------
        ndarray of shape (n,)
            Those of the main objective.
        """
        return scores[:, 0 if self.main is None else self.main]


@storable
class MixedReference(Reference):
    """A reference of several objectives at one trade-off; `temperature` counts as 1."""

    def __init__(self, reference: Reference, weights: NDArray[np.float64], temperature: float = 1.0) -> None:
        self.reference, self.weights, self.temperature = reference, weights, temperature
        self.needs_frame, self.needs_scores = reference.needs_frame, reference.needs_scores
        self.members = [reference]

    def scores(self, rows: GroupedRows) -> NDArray[np.float64]:
        """The mixed scores, shape (n, 1)."""
        return self.at_temperature(self.parts(rows), 0.0)

    def parts(self, rows: GroupedRows) -> NDArray[np.float64]:
        """What scores at any temperature are made of."""
        return self.reference.parts(rows)

    def at_temperature(self, parts: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
        """The mixed scores at a temperature, shape (n, 1)."""
        scores = self.reference.at_temperature(parts, self.temperature * temperature)
        return mix(scores, self.weights[None])


@storable
class NoReference(Reference):
    """No reference: all scores 0."""

    needs_frame = False

    def scores(self, rows: GroupedRows) -> NDArray[np.float64]:
        """Zeros of shape (n, 1)."""
        return np.zeros((len(rows.X), 1))


@storable
class ScoresReference(Reference):
    """Scores that are passed to fit and predict along with the features."""

    needs_scores = True
    needs_frame = False

    def scores(self, rows: GroupedRows) -> NDArray[np.float64]:
        """The caller's scores, shape (n, 1)."""
        return np.asarray(rows.ref_scores, dtype=np.float64)[:, None]


def mix(scores: NDArray[np.float64], weights: NDArray[np.float64] | RowWeights) -> NDArray[np.float64]:
    """Scores (n, m) mixed by k weights, shape (n, k), or by those of each row, (n,).

    A single score, (n, 1), is the same under all weights.
    """
    if isinstance(weights, RowWeights):
        return scores[:, 0] if scores.shape[1] == 1 else _weighted_sum(scores.T, weights.by_row.T)
    return scores if scores.shape[1] == 1 else _weighted_sum(scores.T[:, :, None], weights.T)


def _weighted_sum(terms: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Term by term: a matrix product rounds otherwise for one row than for many."""
    mixed = np.zeros(np.broadcast_shapes(terms[0].shape, weights[0].shape))
    for term, weight in zip(terms, weights, strict=True):
        mixed += term * weight
    return mixed
