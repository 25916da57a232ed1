"""LightGBM rankers on our lists: any labels, any list length, cross-fitted by query, scored fast."""

from hyperrank.boosters.growing import (
    BOOSTER_PARAMS,
    MAX_GRADE,
    Keep,
    booster_grades,
    cross_fitted_scores,
    fit_booster,
    fit_boosters,
    in_threads,
)
from hyperrank.boosters.scoring import (
    BoosterSet,
    booster_from_text,
    booster_scores,
    booster_text,
    model_text,
)
from hyperrank.boosters.threads import booster_threads

__all__ = [
    "BOOSTER_PARAMS",
    "MAX_GRADE",
    "BoosterSet",
    "Keep",
    "booster_from_text",
    "booster_grades",
    "booster_scores",
    "booster_text",
    "booster_threads",
    "cross_fitted_scores",
    "fit_booster",
    "fit_boosters",
    "in_threads",
    "model_text",
]
