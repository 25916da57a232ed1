"""Reference rankers: fitted models, boosters, or scores."""

from hyperrank.reference.base import GroupedRows, NoReference, Reference, ReferenceData, ScoresReference
from hyperrank.reference.fit import REFERENCES, BoosterReference, SummedReference, register_reference
from hyperrank.reference.models import MixedModelsReference, ModelReference
from hyperrank.reference.per_objective import ColumnReference, PerObjectiveReference

__all__ = [
    "REFERENCES",
    "BoosterReference",
    "ColumnReference",
    "GroupedRows",
    "MixedModelsReference",
    "ModelReference",
    "NoReference",
    "PerObjectiveReference",
    "Reference",
    "ReferenceData",
    "ScoresReference",
    "SummedReference",
    "register_reference",
]
