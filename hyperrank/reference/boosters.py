"""LightGBM rankers trained here as references: one, one per objective, or a pair per objective."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hyperrank.boosters import BoosterSet, Cached, check_booster_params, fit_boosters
from hyperrank.files import storable
from hyperrank.lists import QueryLists, within_list_deviations
from hyperrank.memmap import FeatureRows
from hyperrank.networks.query_normalization import join_standardized
from hyperrank.reference.base import Reference, ReferenceData

if TYPE_CHECKING:
    import lightgbm

__all__ = [
    "BoosterReference",
    "SummedReference",
    "fit_booster_front",
    "fit_booster_pairs",
    "fit_booster_regressions",
    "fit_single_booster",
]

#: Half the trees for each of a pair: on validation folds as good as the usual number, and half the work.
#: Larger trees than those of one booster alone: the sum of two overfits less.
PAIR_PARAMS: Mapping[str, Any] = {"learning_rate": 0.1, "num_boost_round": 100, "num_leaves": 15}
#: Rows, about, that are scored at a time.
ROWS_AT_ONCE = 1 << 13


@storable
class BoosterReference(Reference):
    """LightGBM rankers trained in fit, with scores on a common scale.

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

    needs_frame = False

    def __init__(
        self,
        boosters: BoosterSet | Sequence[lightgbm.Booster],
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

    @property
    def n_features(self) -> int:
        """How many features rows must have."""
        return self.boosters.n_features // (2 if self.query_standardize else 1)

    def select(self, objectives: NDArray[np.int64]) -> BoosterReference:
        """The boosters of some objectives; the first of them stands for the reference ranker."""
        boosters = BoosterSet([self.boosters.texts[j] for j in objectives])
        return BoosterReference(
            boosters, self.scales[objectives], 0, query_standardize=self.query_standardize
        )

    def scores(
        self, X: FeatureRows, lists: QueryLists, frame: Any, ref_scores: NDArray[np.float64] | None
    ) -> NDArray[np.float64]:
        """Standardised scores of each booster, shape (n, 1) or (n, m)."""
        if 0 < len(X) <= ROWS_AT_ONCE:
            features = join_standardized(X[:], lists) if self.query_standardize else X[:]
            return np.asarray(self.boosters.scores(features) / self.scales)
        out = np.empty((len(X), len(self.boosters)))
        # Features standardised within the list take as much memory again: some of the rows at a time.
        for rows, chunk in lists.runs(ROWS_AT_ONCE):
            features = join_standardized(X[rows], chunk) if self.query_standardize else X[rows]
            out[rows] = self.boosters.scores(features)
        return out / self.scales


@storable
class SummedReference(Reference):
    """Sum of several references that are mixed by weights, objective by objective.

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
        self.needs_frame = any(member.needs_frame for member in members)

    def select(self, objectives: NDArray[np.int64]) -> SummedReference:
        """The sums of some objectives; the first of them stands for the reference ranker."""
        members = [member.select(objectives) for member in self.members]
        return SummedReference(members, self.scales[objectives], 0)

    def scores(
        self, X: FeatureRows, lists: QueryLists, frame: Any, ref_scores: NDArray[np.float64] | None
    ) -> NDArray[np.float64]:
        """Standardised sums of the members' scores, shape (n, m)."""
        total = self.members[0].scores(X, lists, frame, ref_scores)
        for member in self.members[1:]:
            total = total + member.scores(X, lists, frame, ref_scores)
        return total / self.scales


def fit_single_booster(data: ReferenceData) -> BoosterReference:
    """Fit one booster to the main objective."""
    return _fit(replace(data, query_standardize=False), [data.main])


def fit_booster_front(data: ReferenceData) -> BoosterReference:
    """Fit one booster per objective."""
    return _fit(data, range(data.Y.shape[1]))


def fit_booster_pairs(data: ReferenceData) -> SummedReference:
    """Fit two boosters per objective, a ranking one and a regression on the grades.

    The ranking booster sees each document beside the others of its list; the regression, whose scores
    are to mean the same in all lists, sees the features as they are. On validation folds both together
    gained more than either alone, and than both on the same features.
    """
    params = {**PAIR_PARAMS, **check_booster_params(data.booster_params)}
    if data.max_ranking_rounds is not None:
        params["num_boost_round"] = min(data.max_ranking_rounds, params["num_boost_round"])
    objectives = range(data.Y.shape[1])
    ranking = replace(data, booster_params=params, cached=_prefixed("ranking", data.cached))
    members = [_fit(ranking, objectives, "ranking boosters"), fit_booster_regressions(data)]
    pair = SummedReference(members, np.ones(len(objectives)), data.main)
    pair.scales = within_list_deviations(pair.scores(data.X, data.lists, None, None), data.lists)
    return pair


def fit_booster_regressions(data: ReferenceData) -> BoosterReference:
    """Fit one regression on the grades per objective, of the features as they are."""
    params = {**PAIR_PARAMS, **check_booster_params(data.booster_params), "objective": "regression"}
    cached = _prefixed("regression", data.cached)
    regression = replace(data, booster_params=params, query_standardize=False, cached=cached)
    return _fit(regression, range(data.Y.shape[1]), "regression boosters")


def _fit(data: ReferenceData, objectives: Sequence[int], desc: str = "boosters") -> BoosterReference:
    """One booster for each of some objectives."""
    features = X = np.asarray(data.X)
    if data.query_standardize:
        features = join_standardized(X, data.lists)
        # Standardised codes mean nothing: boosters never split on what is constant.
        features[:, X.shape[1] + np.array([*data.categorical], dtype=np.int64)] = 0
    boosters = fit_boosters(
        features,
        data.Y,
        data.lists,
        objectives=objectives,
        params=data.booster_params,
        seed=data.seed,
        list_weight=data.list_weight,
        n_jobs=data.n_jobs,
        cached=data.cached,
        verbose=data.verbose,
        desc=desc,
        categorical=data.categorical,
    )
    fitted = BoosterReference(
        boosters,
        np.ones(len(objectives)),
        None if len(objectives) == 1 else data.main,
        query_standardize=data.query_standardize,
    )
    fitted.scales = within_list_deviations(fitted.scores(X, data.lists, None, None), data.lists)
    return fitted


def _prefixed(kind: str, cached: Cached | None) -> Cached | None:
    """The same cache under names of its own."""
    return None if cached is None else lambda name, train: cached(f"{kind} {name}", train)
