"""Registry of reference kinds, and fitting of references from what the user named."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple

from hyperrank.reference.base import NoReference, Reference, ReferenceData, ScoresReference
from hyperrank.reference.boosters import (
    fit_booster_front,
    fit_booster_pairs,
    fit_booster_regressions,
    fit_single_booster,
)
from hyperrank.reference.models import ModelReference, fitted_model, is_fitted
from hyperrank.reference.per_objective import GivenScorers, resolve_scorers

__all__ = [
    "REFERENCES",
    "check_reference",
    "fit_reference",
    "is_fitted_here",
    "needs_frame",
    "register_reference",
    "resolve_reference",
    "stand_in",
    "trains_boosters",
]


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
    """What tuning fits in the place of a reference: of a mapping, the boosters that join its scorers.

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
    if isinstance(reference, str):
        return not check_reference(reference)
    if isinstance(reference, GivenScorers):
        return True
    return reference is not None and not is_fitted(reference)


def trains_boosters(reference: Any) -> bool:
    """Whether `fit_reference` trains boosters for it."""
    if isinstance(reference, GivenScorers):
        return True
    kind = REFERENCES.get(reference) if isinstance(reference, str) else None
    return kind is not None and kind.trains_boosters


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
    model = fitted_model(reference, data.frame, data.Y[:, data.main], data.lists)
    return ModelReference.of(model, data.frame)
