"""References of one scorer per objective: models, columns and scores of the user's, completed by boosters."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hyperrank._columns import as_numbers
from hyperrank.boosters import booster_from_text
from hyperrank.files import storable
from hyperrank.lists import QueryLists, within_list_deviations
from hyperrank.memmap import FeatureRows
from hyperrank.reference.base import Reference, ReferenceData, ScoresReference
from hyperrank.reference.boosters import fit_booster_pairs
from hyperrank.reference.models import (
    ModelReference,
    checked_scores,
    is_fitted,
    listed,
    names_of_frame,
    take_columns,
)

if TYPE_CHECKING:
    import lightgbm


@storable
class ColumnReference(Reference):
    """A column of the features as scores.

    Parameters
    ----------
    name : str
        Of the column.
    column : int
        Its position among the features that the ranker was fitted on.
    """

    def __init__(self, name: str, column: int) -> None:
        self.name, self.column = name, column

    def scores(
        self, X: FeatureRows, lists: QueryLists, frame: Any, ref_scores: NDArray[np.float64] | None
    ) -> NDArray[np.float64]:
        """The column, shape (n, 1), in the precision that the caller gave it."""
        has_columns = hasattr(frame, "columns") or isinstance(frame, np.ndarray)
        columns = np.array([self.column], dtype=np.int64)
        values = take_columns(frame if has_columns else np.asarray(X), columns)
        scores = np.asarray(as_numbers(values, f"column {self.name!r}"), dtype=np.float64)[:, 0]
        return checked_scores(scores, lists, f"column {self.name!r}, a reference,")


@dataclass(frozen=True)
class GivenScorers:
    """What the user gave as the reference of some objectives, by their numbers, found among the features."""

    scorers: Mapping[int, Reference]
    n_objectives: int

    @property
    def missing(self) -> list[int]:
        """The objectives that boosters are trained for."""
        return [j for j in range(self.n_objectives) if j not in self.scorers]

    @property
    def needs_scores(self) -> int:
        """How many scores per row the caller must pass."""
        return sum(scorer.needs_scores for scorer in self.scorers.values())

    def complete(self, completion: Reference | None, data: ReferenceData) -> PerObjectiveReference:
        """The reference of these scorers and of boosters for the other objectives, on a common scale."""
        ones = np.ones(self.n_objectives)
        reference = PerObjectiveReference(
            list(self.scorers.values()), np.array([*self.scorers]), completion, ones, data.main
        )
        scores = reference.scores(data.X, data.lists, data.frame, data.ref_scores)
        deviations = within_list_deviations(scores, data.lists)
        anchor = data.main if data.main in self.scorers else min(self.scorers)
        scales = deviations / deviations[anchor]
        # Division by a power of two is exact: documents that a given scorer tells apart stay apart.
        given = reference.objectives
        scales[given] = np.exp2(np.round(np.log2(scales[given])))
        reference.scales = scales
        return reference


@storable
class PerObjectiveReference(Reference):
    """Scorers that the user gave for some objectives, and boosters trained here for the others.

    Parameters
    ----------
    scorers : sequence of Reference
        Each of one score per document.
    objectives : ndarray of shape (len(scorers),), int64
        The number of each scorer's objective.
    completion : Reference or None
        One score for each of the other objectives, in their order.
    scales : ndarray of shape (m,)
        What the scores of each objective are divided by: 1 for the main objective if it has a scorer, and a
        power of two for other scorers.
    main : int
        The objective whose score is the reference ranker.
    """

    def __init__(
        self,
        scorers: Sequence[Reference],
        objectives: NDArray[np.int64],
        completion: Reference | None,
        scales: NDArray[np.float64],
        main: int,
    ) -> None:
        self.scorers, self.completion, self.scales, self.main = list(scorers), completion, scales, main
        self.objectives = np.asarray(objectives, dtype=np.int64)
        self.missing = np.setdiff1d(np.arange(len(scales)), self.objectives)
        if len(self.missing) + len(self.scorers) != len(scales) or (completion is None) != (
            len(self.missing) == 0
        ):
            raise ValueError(
                f"{len(scales)} objectives need a scorer each or boosters; got scorers of {objectives}."
            )
        self.needs_scores = sum(scorer.needs_scores for scorer in self.scorers)
        self.needs_frame = any(scorer.needs_frame for scorer in self.scorers)

    @property
    def knows_lists(self) -> bool:
        """Whether the score of a document depends on the others of its list."""
        members = self.scorers if self.completion is None else [*self.scorers, self.completion]
        return any(member.knows_lists for member in members)

    @property
    def n_features(self) -> int | None:
        """How many features rows must have; None where that is not known."""
        return None if self.completion is None else self.completion.n_features

    def select(self, objectives: NDArray[np.int64]) -> PerObjectiveReference:
        """The scorers and boosters of some objectives; the first of them stands for the reference ranker."""
        place = {int(j): position for position, j in enumerate(objectives)}
        scorers = {
            place[j]: scorer
            for j, scorer in zip(self.objectives.tolist(), self.scorers, strict=True)
            if j in place
        }
        missing = np.array([k for k, j in enumerate(self.missing.tolist()) if j in place], dtype=np.int64)
        completion = self.completion.select(missing) if self.completion and len(missing) else None
        return PerObjectiveReference(
            list(scorers.values()), np.array([*scorers]), completion, self.scales[objectives], 0
        )

    def scores(
        self, X: FeatureRows, lists: QueryLists, frame: Any, ref_scores: NDArray[np.float64] | None
    ) -> NDArray[np.float64]:
        """Scores of each objective on a common scale, shape (n, m)."""
        out = np.empty((len(X), len(self.scales)))
        passed = iter(() if ref_scores is None else ref_scores.reshape(len(X), -1).T)
        for j, scorer in zip(self.objectives, self.scorers, strict=True):
            own = next(passed) if scorer.needs_scores else None
            out[:, j] = scorer.scores(X, lists, frame, own)[:, 0]
        if self.completion is not None:
            out[:, self.missing] = self.completion.scores(X, lists, frame, None)
        return np.asarray(out / self.scales)

    def given(self, names: Sequence[str]) -> dict[str, Any]:
        """The scorers as `HyperDPORanker` takes them."""
        return {names[j]: _given(scorer) for j, scorer in zip(self.objectives, self.scorers, strict=True)}


def fit_completion(given: GivenScorers, data: ReferenceData) -> Reference:
    """Pairs of boosters for the objectives without a scorer, of which there must be one."""
    return fit_booster_pairs(replace(data, Y=data.Y[:, given.missing], main=0))


def resolve_scorers(reference: Mapping[Any, Any], names: Sequence[str], frame: Any) -> GivenScorers:
    """Find what the user gave by name or number of an objective, before anything is trained.

    A scorer is a fitted model, the path of a LightGBM text file, the name of a column, or ``"scores"``.
    Errors say which objective or column is unknown, which model is not fitted, and which file is not one.
    """
    scorers: dict[int, Reference] = {}
    for key, scorer in reference.items():
        j = _objective(key, names)
        if j in scorers:
            raise ValueError(f"reference gives objective {names[j]!r} two scorers: by its name and number.")
        scorers[j] = _scorer(scorer, names[j], frame)
    if not scorers:
        raise ValueError(
            "reference is a mapping without entries: give a scorer for at least one objective, as in "
            f"{{{names[0]!r}: model}}, or reference='booster_pairs' to train all here."
        )
    return GivenScorers(dict(sorted(scorers.items())), len(names))


def read_booster_file(path: str | os.PathLike[str]) -> lightgbm.Booster:
    """The LightGBM model in a text file, which may come from anywhere; a ValueError if it is not one."""
    try:
        return booster_from_text(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:  # not UTF-8, or not a model
        raise ValueError(f"{path} is not a LightGBM model in text form: {error}") from error


def _objective(key: Any, names: Sequence[str]) -> int:
    if isinstance(key, str) and key in names:
        return list(names).index(key)
    if isinstance(key, Integral) and not isinstance(key, bool) and 0 <= int(key) < len(names):
        return int(key)
    raise ValueError(
        f"reference has a scorer for {key!r}, which is not an objective: they are {listed(names)}, or go by "
        "their numbers from 0."
    )


def _scorer(given: Any, objective: str, frame: Any) -> Reference:
    """What one objective was given, as a reference of one score."""
    if isinstance(given, str) and given == "scores":
        return ScoresReference()
    if isinstance(given, str) and given in (columns := names_of_frame(frame) or []):
        return ColumnReference(given, columns.index(given))
    if isinstance(given, str | os.PathLike):
        if not Path(given).is_file():
            raise ValueError(_nowhere(given, objective, frame))
        given = read_booster_file(given)
    if not callable(getattr(given, "predict", None)):
        raise ValueError(
            f"the reference of {objective!r} must be a fitted model with predict, the path of a LightGBM "
            f"text file, the name of a column of X, or 'scores'; got {type(given).__name__}."
        )
    if type(given).__name__ == "FrozenEstimator":
        given = given.estimator
    if not is_fitted(given):
        raise ValueError(
            f"the reference of {objective!r}, a {type(given).__name__}, is not fitted: fit it before, or "
            f"leave {objective!r} out of the mapping and boosters are trained for it here. In scikit-learn's "
            "searches, which clone models without what they learnt, wrap it in FrozenEstimator."
        )
    return ModelReference.of(given, frame)


def _nowhere(given: str | os.PathLike[str], objective: str, frame: Any) -> str:
    columns = names_of_frame(frame)
    have = f"X has {listed(columns)}" if columns else "X is an array without names"
    return (
        f"the reference of {objective!r} is {os.fspath(given)!r}, which is neither a column of X nor a file "
        f"with a LightGBM model, and not 'scores'. {have}."
    )


def _given(scorer: Reference) -> Any:
    if isinstance(scorer, ModelReference):
        return scorer.model
    return scorer.name if isinstance(scorer, ColumnReference) else "scores"
