"""Rankers of other libraries without groups, for the checks of scikit-learn, which pass none.

A module of their own, since pickling finds classes by name.
"""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from typing import Any

import numpy as np

with suppress(ImportError):
    lightgbm: Any = import_module("lightgbm")

    class OneListLGBMRanker(lightgbm.LGBMRanker):
        """LGBMRanker with one group."""

        def fit(self, X: Any, y: Any, **options: Any) -> Any:
            """Fit on all rows as one list."""
            return super().fit(X, y, group=[np.shape(X)[0]], **options)


with suppress(ImportError):
    xgboost: Any = import_module("xgboost")

    class OneListXGBRanker(xgboost.XGBRanker):
        """XGBRanker with one group."""

        def fit(self, X: Any, y: Any, **options: Any) -> Any:
            """Fit on all rows as one list."""
            return super().fit(X, y, group=[np.shape(X)[0]], **options)


with suppress(ImportError):
    catboost: Any = import_module("catboost")

    class OneListCatBoostRanker(catboost.CatBoostRanker):
        """CatBoostRanker with one group."""

        def fit(self, X: Any, y: Any = None, **options: Any) -> Any:
            """Fit on all rows as one list."""
            return super().fit(X, y, group_id=np.zeros(np.shape(X)[0], dtype=int), **options)
