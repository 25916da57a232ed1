"""What every reference gives: its scores, and how weights mix them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperrank.files import storable
from hyperrank.lists import QueryLists
from hyperrank.memmap import FeatureRows

__all__ = ["NoReference", "Reference", "ScoresReference"]


class Reference:
    """A ranker that stands before ours: its scores are what ours is measured against and added to.

    A reference either gives one score per document, the same for every trade-off, or one per document and
    objective, which the trade-off's weights mix: the front that mixing the scores of several models gives.
    """

    #: The objective whose score stands for the reference ranker itself; None where there is one score.
    main: int | None = None
    #: Whether the caller must pass ``ref_scores``.
    needs_scores = False

    @property
    def knows_lists(self) -> bool:
        """Whether the score of a document depends on the others of its list."""
        return False

    def parts(self, X: FeatureRows, lists: QueryLists, frame: Any, ref_scores: Any) -> NDArray[np.float64]:
        """Scores of shape (n, 1), or (n, m) to be mixed by weights, of grouped rows.

        Parameters
        ----------
        X : ndarray or MappedRows of shape (n, d), float32
            Checked features of grouped rows.
        lists : QueryLists
            The lists of the rows, and the way back to the caller's order.
        frame : object
            The features as the caller gave them, in the caller's order.
        ref_scores : ndarray of shape (n,) or None
            Scores that the caller gave, in the caller's order.

        Returns
        -------
        ndarray of shape (n, 1) or (n, m)
            The scores.
        """
        raise NotImplementedError

    @staticmethod
    def mix(parts: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scores under weights.

        Parameters
        ----------
        parts : ndarray of shape (n, 1) or (n, m)
            What `parts` gave.
        weights : ndarray of shape (k, m)
            The trade-offs.

        Returns
        -------
        ndarray of shape (n, k)
            Or (n, 1) where weights do not matter.
        """
        if parts.shape[1] == 1:
            return parts
        # Term by term: a matrix product rounds otherwise for one row than for many.
        mixed = np.zeros((len(parts), len(weights)))
        for part, weight in zip(parts.T, weights.T, strict=True):
            mixed += part[:, None] * weight
        return mixed

    def at(self, weights: NDArray[np.float64]) -> Reference:
        """The reference at one trade-off: one score per document.

        Parameters
        ----------
        weights : ndarray of shape (m,)
            The trade-off.

        Returns
        -------
        Reference
            Of the objectives that weigh something.
        """
        if self.main is None:
            return self
        which = np.flatnonzero(weights > 0)
        return MixedReference(self.only(which), weights[which])

    def only(self, which: NDArray[np.int64]) -> Reference:
        """The reference of some of its objectives.

        Parameters
        ----------
        which : ndarray of shape (k,), int64
            Their numbers; the first stands for the reference ranker.

        Returns
        -------
        Reference
            Of those.
        """
        raise NotImplementedError

    def own_scores(self, parts: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scores of the reference ranker itself.

        Parameters
        ----------
        parts : ndarray of shape (n, 1) or (n, m)
            What `parts` gave.

        Returns
        -------
        ndarray of shape (n,)
            Those of the main objective.
        """
        return parts[:, 0 if self.main is None else self.main]


@storable
class MixedReference(Reference):
    """A reference of several objectives at one trade-off.

    Parameters
    ----------
    reference : Reference
        With one score per objective.
    weights : ndarray of shape (m,)
        What mixes them.
    """

    def __init__(self, reference: Reference, weights: NDArray[np.float64]) -> None:
        self.reference, self.weights = reference, weights

    @property
    def knows_lists(self) -> bool:
        """Whether the score of a document depends on the others of its list."""
        return self.reference.knows_lists

    def parts(self, X: FeatureRows, lists: QueryLists, frame: Any, ref_scores: Any) -> NDArray[np.float64]:
        """The mixed scores, shape (n, 1)."""
        return self.mix(self.reference.parts(X, lists, frame, ref_scores), self.weights[None])


@storable
class NoReference(Reference):
    """No reference: all scores 0."""

    def parts(self, X: FeatureRows, lists: QueryLists, frame: Any, ref_scores: Any) -> NDArray[np.float64]:
        """Zeros of shape (n, 1)."""
        return np.zeros((len(X), 1))


@storable
class ScoresReference(Reference):
    """A column of scores that the caller passes wherever features are passed."""

    needs_scores = True

    def parts(self, X: FeatureRows, lists: QueryLists, frame: Any, ref_scores: Any) -> NDArray[np.float64]:
        """The caller's scores, shape (n, 1)."""
        return lists.group(np.asarray(ref_scores, dtype=np.float64))[:, None]
