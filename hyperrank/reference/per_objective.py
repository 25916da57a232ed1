"""References of one scorer per objective: models, columns and scores of the user's, completed by boosters."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hyperrank._checks import position_in
from hyperrank._columns import as_numbers, take_columns
from hyperrank.boosters import booster_from_text
from hyperrank.files import storable
from hyperrank.lists import within_list_deviations
from hyperrank.reference.base import GroupedRows, Reference, ReferenceData, ScoresReference
from hyperrank.reference.models import (
    ModelReference,
    checked_scores,
    is_fitted,
    listed,
    names_of_frame,
)

if TYPE_CHECKING:
    import lightgbm

#: The temperature from which on boosters have taken the place of scorers that are not kept alone.
REPLACED_AT = 0.3


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

    def scores(self, rows: GroupedRows) -> NDArray[np.float64]:
        """The column, shape (n, 1), in the precision that the caller gave it."""
        frame = rows.frame
        has_columns = hasattr(frame, "columns") or isinstance(frame, np.ndarray)
        columns = np.array([self.column], dtype=np.int64)
        values = take_columns(frame if has_columns else np.asarray(rows.X), columns)
        scores = np.asarray(as_numbers(values, f"column {self.name!r}"), dtype=np.float64)[:, 0]
        return checked_scores(scores, rows.lists, f"column {self.name!r}, a reference,")


@dataclass(frozen=True)
class GivenScorers:
    """What the user gave as the reference of some objectives, by their numbers, found among the features.

    `boosters` names the reference of all objectives that completes them and takes their place.
    """

    scorers: Mapping[int, Reference]
    n_objectives: int
    boosters: str = "booster_pairs"

    @property
    def needs_scores(self) -> int:
        """How many scores per row the caller must pass."""
        return sum(scorer.needs_scores for scorer in self.scorers.values())

    def complete(self, boosters: Reference, data: ReferenceData) -> PerObjectiveReference:
        """The reference of these scorers and of boosters for all objectives, on a common scale.

        Parameters
        ----------
        boosters : Reference
            One score per objective, standardised.
        data : ReferenceData
            Training rows, in which deviations are measured.
        """
        given, scorers = np.array([*self.scorers]), list(self.scorers.values())
        scales, kept, joined = (np.ones(self.n_objectives) for _ in range(3))
        reference = PerObjectiveReference(scorers, given, boosters, scales, 1.0, kept, joined, data.main)
        deviations = within_list_deviations(reference.parts(data)[:, given], data.lists)
        anchor = [*self.scorers].index(data.main) if data.main in self.scorers else 0
        unit = reference.unit = float(deviations[anchor])
        # Division by a power of two is exact: documents that a given scorer tells apart stay apart.
        scales[given] = np.exp2(np.round(np.log2(deviations / unit)))
        kept[given], joined[given] = 1 - 1 / REPLACED_AT, 1 / REPLACED_AT
        return reference


@storable
class PerObjectiveReference(Reference):
    """Given scorers for some objectives, and boosters trained in fit for all.

    At temperature 0 an objective with a scorer is ranked by that alone. The higher the temperature, the more
    the boosters of the objective take its place, and from 0.3 on they have it: on validation folds fronts
    over all temperatures gained more by that than by a mixture of both (ledger, section 24).

    Parameters
    ----------
    scorers : sequence of Reference
        Each of one score per document.
    objectives : ndarray of shape (len(scorers),), int64
        The number of each scorer's objective.
    boosters : Reference
        One score for each of all objectives, standardised.
    scales : ndarray of shape (m,)
        What the scorers' scores are divided by: 1 for the main objective if it has a scorer, and a power of
        two for others.
    unit : float
        What the boosters' scores are multiplied by.
    kept, joined : ndarray of shape (m,)
        How much scorers and the boosters of the same objectives would count at temperature 1 if that changed
        as it does from 0 on: below 0 for scorers whose place is taken before.
    main : int
        The objective whose score is the reference ranker.
    """

    def __init__(
        self,
        scorers: Sequence[Reference],
        objectives: NDArray[np.int64],
        boosters: Reference,
        scales: NDArray[np.float64],
        unit: float,
        kept: NDArray[np.float64],
        joined: NDArray[np.float64],
        main: int,
    ) -> None:
        self.scorers, self.boosters, self.main = list(scorers), boosters, main
        self.objectives = np.asarray(objectives, dtype=np.int64)
        self.scales, self.unit, self.kept, self.joined = scales, unit, kept, joined
        self.needs_scores = sum(scorer.needs_scores for scorer in self.scorers)
        self.needs_frame = any(scorer.needs_frame for scorer in self.scorers)
        self.members = [boosters, *scorers]

    def select(self, objectives: NDArray[np.int64]) -> PerObjectiveReference:
        """The scorers and boosters of some objectives; the first of them stands for the reference ranker."""
        place = {j: position for position, j in enumerate(np.asarray(objectives).tolist())}
        scorers = {
            place[j]: scorer
            for j, scorer in zip(self.objectives.tolist(), self.scorers, strict=True)
            if j in place
        }
        return PerObjectiveReference(
            list(scorers.values()),
            np.array([*scorers], dtype=np.int64),
            self.boosters.select(objectives),
            self.scales[objectives],
            self.unit,
            self.kept[objectives],
            self.joined[objectives],
            0,
        )

    def keep_alone(self, objectives: Sequence[int]) -> None:
        """Leave objectives to their scorers at all temperatures."""
        self.kept[objectives], self.joined[objectives] = 1.0, 0.0

    def factors(self, temperature: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What the scores of scorers and of boosters are multiplied by, each of shape (m,)."""
        boosters = np.ones(len(self.scales))
        boosters[self.objectives] = np.minimum(temperature * self.joined, self.most)[self.objectives]
        return np.maximum(0.0, 1 + temperature * (self.kept - 1)) / self.scales, boosters * self.unit

    @property
    def most(self) -> NDArray[np.float64]:
        """What boosters count at most; in older files they join scorers at any temperature."""
        return np.where(self.kept > 0, np.inf, 1.0)

    def scores(self, rows: GroupedRows) -> NDArray[np.float64]:
        """Scores of each objective on a common scale, shape (n, m): those at temperature 0."""
        return self.at_temperature(self.parts(rows), 0.0)

    def parts(self, rows: GroupedRows) -> NDArray[np.float64]:
        """Scores of the scorers, 0 where there is none, and beside them those of the boosters, (n, 2 m)."""
        own, given = np.zeros((len(rows.X), len(self.scales))), rows.ref_scores
        passed = iter(() if given is None else given.reshape(len(own), -1).T)
        for j, scorer in zip(self.objectives, self.scorers, strict=True):
            scores = next(passed) if scorer.needs_scores else None
            own[:, j] = scorer.scores(replace(rows, ref_scores=scores))[:, 0]
        return np.hstack([own, self.boosters.scores(rows)])

    def at_temperature(self, parts: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
        """Scores at a temperature, with as much of the boosters as belongs to it, shape (n, m)."""
        own, boosted = np.hsplit(parts, 2)
        of_scorers, of_boosters = self.factors(temperature)
        return np.asarray(own * of_scorers + boosted * of_boosters)

    def given(self, names: Sequence[str]) -> dict[str, Any]:
        """The scorers as `HyperDPORanker` takes them."""
        return {names[j]: _given(scorer) for j, scorer in zip(self.objectives, self.scorers, strict=True)}


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
    content = Path(path).read_bytes()
    try:
        return booster_from_text(content.decode())
    except ValueError as error:  # not UTF-8, or not a model
        reason = "it holds other bytes than text." if isinstance(error, UnicodeDecodeError) else error
        if content[8:].startswith(b'{"__metadata__"'):
            reason = "it holds a ranker of hyperrank's, which Python takes as hyperrank.load(path)."
        raise ValueError(f"{path} is not a LightGBM model in text form: {reason}") from error


def _objective(key: Any, names: Sequence[str]) -> int:
    position = position_in(names, key)
    if position is not None:
        return position
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
