"""LightGBM rankers on query lists: any labels, any list length, cross-fitted by query, scored fast."""

from __future__ import annotations

from hyperrank.boosters.lightgbm_text import (
    BoosterTextError,
    Tree,
    canonical_text,
    read_booster_text,
)
from hyperrank.boosters.scoring import (
    MAX_LEAVES,
    BoosterSet,
    TreeEnsemble,
    booster_from_text,
    booster_scores,
    booster_text,
    booster_threads,
    model_text,
)
from hyperrank.boosters.training import (
    BOOSTER_PARAMS,
    MAX_GRADE,
    MAX_LIST,
    Cached,
    booster_grades,
    check_booster_params,
    fit_booster,
    fit_boosters,
    in_threads,
)

__all__ = [
    "BOOSTER_PARAMS",
    "MAX_GRADE",
    "MAX_LEAVES",
    "MAX_LIST",
    "BoosterSet",
    "BoosterTextError",
    "Cached",
    "Tree",
    "TreeEnsemble",
    "booster_from_text",
    "booster_grades",
    "booster_scores",
    "booster_text",
    "booster_threads",
    "canonical_text",
    "check_booster_params",
    "fit_booster",
    "fit_boosters",
    "in_threads",
    "model_text",
    "read_booster_text",
]
