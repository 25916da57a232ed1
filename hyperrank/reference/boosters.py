"""LightGBM rankers fitted here as references."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperrank.boosters import BoosterSet, Keep, fit_boosters
from hyperrank.files import storable
from hyperrank.lists import QueryLists, within_list_deviations
from hyperrank.memmap import FeatureRows
from hyperrank.networks.query_normalization import join_standardized
from hyperrank.reference.base import Reference

__all__ = ["BoosterReference", "SummedReference", "fit_booster_pairs", "fit_booster_reference"]

#: Half the trees for each of a pair: on validation folds as good as the usual number, and half the work.
PAIR_PARAMS: Mapping[str, Any] = {"learning_rate": 0.1, "num_boost_round": 100}
#: Rows, about, that are scored at a time.
ROWS_AT_ONCE = 1 << 13


@storable
class BoosterReference(Reference):
    """LightGBM rankers fitted here, their scores brought to a common scale.

    Parameters
    ----------
    boosters : BoosterSet or sequence of lightgbm.Booster
        One, or one per objective.
    scales : ndarray of shape (len(boosters),)
        What each booster's scores are divided by.
    main : int or None
        The objective whose booster is the reference ranker; None for a single booster.
    query_standardize : bool, default False
        Whether they see the features standardised within their list beside the features.
    """

    def __init__(
        self,
        boosters: BoosterSet | Sequence[Any],
        scales: NDArray[np.float64],
        main: int | None,
        *,
        query_standardize: bool = False,
    ) -> None:
        self.boosters, self.scales, self.main = BoosterSet.of(boosters), scales, main
        self.query_standardize = query_standardize

    @property
    def knows_lists(self) -> bool:
        """Whether the score of a document depends on the others of its list."""
        return self.query_standardize

    def only(self, which: NDArray[np.int64]) -> BoosterReference:
        """The boosters of some objectives; the first of them stands for the reference ranker."""
        boosters = BoosterSet([self.boosters.texts[j] for j in which])
        return BoosterReference(boosters, self.scales[which], 0, query_standardize=self.query_standardize)

    def parts(self, X: FeatureRows, lists: QueryLists, frame: Any, ref_scores: Any) -> NDArray[np.float64]:
        """Standardised scores of each booster, shape (n, 1) or (n, m)."""
        out = np.empty((len(X), len(self.boosters)))
        # Features standardised within the list take as much memory again: a part of the rows at a time.
        for rows, part in lists.runs(ROWS_AT_ONCE):
            seen = join_standardized(X[rows], part) if self.query_standardize else X[rows]
            out[rows] = self.boosters.scores(seen)
        return out / self.scales


@storable
class SummedReference(Reference):
    """Several references that are mixed by weights, their scores added objective by objective.

    Parameters
    ----------
    members : sequence of Reference
        Each with one score per objective, on a common scale.
    scales : ndarray of shape (m,)
        What the sums are divided by.
    main : int
        The objective whose sum is the reference ranker.
    """

    def __init__(self, members: Sequence[Reference], scales: NDArray[np.float64], main: int) -> None:
        self.members, self.scales, self.main = list(members), scales, main

    @property
    def knows_lists(self) -> bool:
        """Whether the score of a document depends on the others of its list."""
        return any(member.knows_lists for member in self.members)

    def only(self, which: NDArray[np.int64]) -> SummedReference:
        """The sums of some objectives; the first of them stands for the reference ranker."""
        return SummedReference([member.only(which) for member in self.members], self.scales[which], 0)

    def parts(self, X: FeatureRows, lists: QueryLists, frame: Any, ref_scores: Any) -> NDArray[np.float64]:
        """Standardised sums of the members' scores, shape (n, m)."""
        total = self.members[0].parts(X, lists, frame, ref_scores)
        for member in self.members[1:]:
            total = total + member.parts(X, lists, frame, ref_scores)
        return total / self.scales


def fit_booster_reference(
    X: NDArray[np.float32],
    Y: NDArray[np.float32],
    lists: QueryLists,
    *,
    objectives: Sequence[int],
    main: int,
    query_standardize: bool = False,
    **options: Any,
) -> BoosterReference:
    """Fit one booster per objective.

    Parameters
    ----------
    X, Y, lists
        Grouped training rows.
    objectives : sequence of int
        Columns of `Y`.
    main : int
        The objective whose booster is the reference ranker.
    query_standardize : bool, default False
        Whether boosters see the features standardised within their list beside the features.
    **options
        Of `hyperrank.boosters.fit_boosters`.

    Returns
    -------
    BoosterReference
    """
    seen = join_standardized(X, lists) if query_standardize else X
    fitted = BoosterReference(
        fit_boosters(seen, Y, lists, objectives=objectives, **options),
        np.ones(len(objectives)),
        None if len(objectives) == 1 else main,
        query_standardize=query_standardize,
    )
    fitted.scales = within_list_deviations(fitted.parts(X, lists, None, None), lists)
    return fitted


def fit_booster_pairs(
    X: NDArray[np.float32],
    Y: NDArray[np.float32],
    lists: QueryLists,
    *,
    main: int,
    params: Mapping[str, Any] | None = None,
    query_standardize: bool = False,
    keep: Keep | None = None,
    **options: Any,
) -> SummedReference:
    """Fit two boosters per objective, a ranking one and a regression on the grades.

    The ranking booster sees each document beside the others of its list; the regression, whose scores
    are to mean the same in all lists, sees the features as they are. On validation folds both together
    gained more than either alone, and than both on the same features.

    Parameters
    ----------
    X, Y, lists, main, query_standardize, options
        As for `fit_booster_reference`.
    params : mapping, optional
        Native LightGBM parameters, on top of `PAIR_PARAMS`.
    keep : callable, optional
        Of `hyperrank.boosters.fit_boosters`.

    Returns
    -------
    SummedReference
    """
    options |= {"objectives": range(Y.shape[1]), "main": main}
    params = {**PAIR_PARAMS, **(params or {})}
    on_grades = {**params, "objective": "regression"}
    ranking = fit_booster_reference(
        X,
        Y,
        lists,
        params=params,
        query_standardize=query_standardize,
        keep=_keep_as("ranking", keep),
        **options,
    )
    regression = fit_booster_reference(
        X, Y, lists, params=on_grades, keep=_keep_as("regression", keep), **options
    )
    pair = SummedReference([ranking, regression], np.ones(Y.shape[1]), main)
    pair.scales = within_list_deviations(pair.parts(X, lists, None, None), lists)
    return pair


def _keep_as(kind: str, keep: Keep | None) -> Keep | None:
    """The same under names of its own."""
    return None if keep is None else lambda name, grow: keep(f"{kind} {name}", grow)
