"""What may stand as a reference ranker, and the scores it gives."""

from hyperrank.reference.base import NoReference, Reference, ScoresReference
from hyperrank.reference.boosters import BoosterReference, SummedReference
from hyperrank.reference.fitting import REFERENCES, check_reference, fit_reference, is_fitted_here, is_grown
from hyperrank.reference.models import MixedModelsReference, ModelReference, fit_models, take_rows

__all__ = [
    "REFERENCES",
    "BoosterReference",
    "MixedModelsReference",
    "ModelReference",
    "NoReference",
    "Reference",
    "ScoresReference",
    "SummedReference",
    "check_reference",
    "fit_models",
    "fit_reference",
    "is_fitted_here",
    "is_grown",
    "take_rows",
]
