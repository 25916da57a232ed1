"""Fitting of references: LightGBM rankers trained here, and the registry of references that go by a name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hyperrank.boosters import BoosterSet, Cached, check_booster_params, fit_boosters
from hyperrank.files import storable
from hyperrank.lists import QueryLists, within_list_deviations
from hyperrank.networks.query_normalization import join_standardized
from hyperrank.reference.base import GroupedRows, NoReference, Reference, ReferenceData, ScoresReference
from hyperrank.reference.models import ModelReference, fit_model, is_fitted
from hyperrank.reference.per_objective import GivenScorers, resolve_scorers

if TYPE_CHECKING:
    import lightgbm


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

    def scores(self, rows: GroupedRows) -> NDArray[np.float64]:
        """Standardised scores of each booster, shape (n, 1) or (n, m)."""
        return _scores(self.boosters, self.scales, rows, query_standardize=self.query_standardize)


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

    @classmethod
    def of(cls, members: Sequence[Reference], rows: GroupedRows, main: int) -> SummedReference:
        """The sum on the scale of some rows."""
        total = cls(members, np.ones(1), main)
        total.scales = within_list_deviations(total.scores(rows), rows.lists)
        return total

    def select(self, objectives: NDArray[np.int64]) -> SummedReference:
        """The sums of some objectives; the first of them stands for the reference ranker."""
        members = [member.select(objectives) for member in self.members]
        return SummedReference(members, self.scales[objectives], 0)

    def scores(self, rows: GroupedRows) -> NDArray[np.float64]:
        """Standardised sums of the members' scores, shape (n, m)."""
        if self._joint is not None:
            total = _scores(*self._joint, rows, query_standardize=self.knows_lists, n=len(self.members))
        else:
            parts = [member.scores(rows) for member in self.members]
            total = sum(parts[1:], parts[0])
        return np.asarray(total / self.scales)

    @cached_property
    def _joint(self) -> tuple[BoosterSet, NDArray[np.float64]] | None:
        """All members as one set, whose trees are compared in one pass, where tables hold all of them."""
        members = [member for member in self.members if isinstance(member, BoosterReference)]
        n_features = max((member.boosters.n_features for member in members), default=0)
        boosters = BoosterSet([t for member in members for t in member.boosters.texts], n_features=n_features)
        if len(members) < len(self.members) or not boosters.has_tables:
            return None
        return boosters, np.concatenate([member.scales for member in members])

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_joint"}


def _scores(
    boosters: BoosterSet,
    scales: NDArray[np.float64],
    rows: GroupedRows,
    *,
    query_standardize: bool,
    n: int = 1,
) -> NDArray[np.float64]:
    """Standardised scores of boosters; of `n` sets one after the other their sums."""

    def of_some(X: NDArray[np.float32], lists: QueryLists) -> NDArray[np.float64]:
        scores = boosters.scores(join_standardized(X, lists) if query_standardize else X) / scales
        return np.asarray(scores if n == 1 else scores.reshape(len(X), n, -1).sum(axis=1))

    if 0 < len(rows.X) <= ROWS_AT_ONCE:
        return of_some(rows.X[:], rows.lists)
    out = np.empty((len(rows.X), len(boosters) // n))
    # Features standardised within the list take as much memory again: some of the rows at a time.
    for run, chunk in rows.lists.runs(ROWS_AT_ONCE):
        out[run] = of_some(rows.X[run], chunk)
    return out


def fit_single_booster(data: ReferenceData) -> BoosterReference:
    """Fit one booster to the main objective."""
    return _fit(replace(data, query_standardize=False), [data.main])


def fit_booster_front(data: ReferenceData) -> BoosterReference:
    """Fit one booster per objective."""
    return _fit(data, range(data.Y.shape[1]))


def fit_booster_pairs(data: ReferenceData) -> SummedReference:
    """Fit ranking boosters and regressions on the grades, one and two per objective.

    Ranking boosters see each document beside the others of its list. On validation folds all of them
    together gained more than any alone (ledger, sections 5 and 23).
    """
    params = {**PAIR_PARAMS, **check_booster_params(data.booster_params)}
    if data.max_ranking_rounds is not None:
        params["num_boost_round"] = min(data.max_ranking_rounds, params["num_boost_round"])
    ranking = replace(data, booster_params=params, cached=_prefixed("ranking", data.cached))
    members = [_fit(ranking, range(data.Y.shape[1]), "ranking boosters"), *_fit_regressions(data)]
    return SummedReference.of(members, data, data.main)


def fit_booster_regressions(data: ReferenceData) -> SummedReference:
    """Fit two regressions on the grades per objective."""
    return SummedReference.of(_fit_regressions(data), data, data.main)


def _fit_regressions(data: ReferenceData) -> list[BoosterReference]:
    """Regressions of the features as they are, and of those beside the features standardised in the list.

    Scores of the former mean the same in all lists; the latter know what is much or little in theirs.
    """
    params = {**PAIR_PARAMS, **check_booster_params(data.booster_params), "objective": "regression"}
    views = {"regression": False, **({"regression in the list": True} if data.query_standardize else {})}
    return [
        _fit(
            replace(data, booster_params=params, query_standardize=view, cached=_prefixed(name, data.cached)),
            range(data.Y.shape[1]),
            f"{name} boosters",
        )
        for name, view in views.items()
    ]


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
    fitted.scales = within_list_deviations(fitted.scores(data), data.lists)
    return fitted


def _prefixed(kind: str, cached: Cached | None) -> Cached | None:
    """The same cache under names of its own."""
    return None if cached is None else lambda name, train: cached(f"{kind} {name}", train)


class ReferenceKind(NamedTuple):
    """How a reference that goes by a name is fitted.

    One that `needs_scores`, wherever features are passed, has nothing to fit; one that `trains_boosters`
    takes a sample of very many rows.
    """

    fit: Callable[[ReferenceData], Reference]
    needs_scores: bool = False
    trains_boosters: bool = False


#: References that go by a name; anything else is a model with ``predict``, or a mapping of scorers.
REFERENCES: dict[str, ReferenceKind] = {}


def register_reference(
    name: str,
    fit: Callable[[ReferenceData], Reference],
    *,
    needs_scores: bool = False,
    trains_boosters: bool = False,
) -> None:
    """Register a reference under a name, for ``reference=name``.

    Parameters
    ----------
    name : str
    fit : callable
        ``(data: ReferenceData) -> Reference``. The reference's class is made `hyperrank.files.storable` if
        rankers with it are to be saved.
    needs_scores : bool, default False
        Whether the caller must pass ``ref_scores`` wherever features are passed.
    trains_boosters : bool, default False
        Whether `fit` trains boosters, which take a sample of very many rows.

    Raises
    ------
    ValueError
        If the name is taken.
    """
    if name in REFERENCES:
        raise ValueError(f"there is a reference {name!r} already: the names are {', '.join(REFERENCES)}.")
    REFERENCES[name] = ReferenceKind(fit, needs_scores, trains_boosters)


register_reference("booster_pairs", fit_booster_pairs, trains_boosters=True)
register_reference("booster_regressions", fit_booster_regressions, trains_boosters=True)
register_reference("boosters", fit_booster_front, trains_boosters=True)
register_reference("lightgbm", fit_single_booster, trains_boosters=True)
register_reference("scores", lambda _: ScoresReference(), needs_scores=True)


def resolve_reference(reference: Any, names: Sequence[str], frame: Any) -> Any:
    """A mapping of objectives to scorers as `GivenScorers`, any other reference as it is; or a ValueError."""
    return resolve_scorers(reference, names, frame) if isinstance(reference, Mapping) else reference


def stand_in(reference: Any) -> Any:
    """What tuning fits in the place of a reference: of a mapping, the boosters that take its scorers' place.

    Those may have seen the queries that tuning holds out, on which they would then be better than they will
    be.
    """
    return reference.boosters if isinstance(reference, GivenScorers) else reference


def check_reference(reference: Any) -> int:
    """Check that something can be a reference; how many ``ref_scores`` per row it needs, or a ValueError."""
    if isinstance(reference, GivenScorers):
        return reference.needs_scores
    if isinstance(reference, str) and reference in REFERENCES:
        return REFERENCES[reference].needs_scores
    if reference is not None and not callable(getattr(reference, "predict", None)):
        given, hint = type(reference).__name__, ""
        if isinstance(reference, str):
            given, near = repr(reference), get_close_matches(reference, REFERENCES, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
        elif hasattr(reference, "__len__"):
            hint = " Scores of rows: reference='scores', and ref_scores= of fit."
        raise ValueError(
            f"reference must be None, one of {tuple(REFERENCES)}, a model with predict, or a mapping from "
            f"objectives to models; got {given}.{hint}"
        )
    return False


def is_fitted_here(reference: Any) -> bool:
    """Whether `fit_reference` fits it, so that it can be fitted without some of the queries."""
    reference = stand_in(reference)
    if isinstance(reference, str):
        return not check_reference(reference)
    return reference is not None and not is_fitted(reference)


def trains_boosters(reference: Any) -> bool:
    """Whether `fit_reference` trains boosters for it."""
    name = stand_in(reference)
    return isinstance(name, str) and name in REFERENCES and REFERENCES[name].trains_boosters


def needs_frame(reference: Any) -> bool:
    """Whether `fit_reference` may read the features as the caller has them."""
    is_scores = isinstance(reference, str) and reference == "scores"
    return reference is not None and not trains_boosters(reference) and not is_scores


def fit_reference(reference: Any, data: ReferenceData) -> Reference:
    """Fit the reference that the user named, or take the model that the user gave; or a ValueError."""
    check_reference(reference)
    if reference is None:
        return NoReference()
    if isinstance(reference, str):
        return REFERENCES[reference].fit(data)
    if isinstance(reference, GivenScorers):
        return reference.complete(fit_reference(stand_in(reference), data), data)
    if not is_fitted(reference):
        reference = fit_model(reference, data.frame, data.Y[:, data.main], data.lists)
    return ModelReference.of(reference, data.frame)
