"""Reference rankers: fitted models, boosters trained here, or scores that the caller passes."""

from hyperrank.reference.base import NoReference, Reference, ReferenceData, ScoresReference
from hyperrank.reference.boosters import BoosterReference, SummedReference
from hyperrank.reference.fit import (
    REFERENCES,
    check_reference,
    fit_reference,
    is_fitted_here,
    register_reference,
    trains_boosters,
)
from hyperrank.reference.models import MixedModelsReference, ModelReference, fit_models, take_rows
from hyperrank.reference.per_objective import (
    ColumnReference,
    PerObjectiveReference,
)

__all__ = [
    "REFERENCES",
    "BoosterReference",
    "ColumnReference",
    "MixedModelsReference",
    "ModelReference",
    "NoReference",
    "PerObjectiveReference",
    "Reference",
    "ReferenceData",
    "ScoresReference",
    "SummedReference",
    "check_reference",
    "fit_models",
    "fit_reference",
    "is_fitted_here",
    "register_reference",
    "take_rows",
    "trains_boosters",
]
