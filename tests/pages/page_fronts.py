"""Fronts to make pages of."""

from typing import Any

import numpy as np

from hyperrank.front import ParetoFront
from hyperrank.simplex import lattice_near

NAMES = ["relevance", "clicks", "dwell time", "quality", "freshness", "margin", "price", "stock"]


def measured(
    m: int = 3, k: int = 15, n_queries: int = 60, *, seed: int = 0, noise: float = 0.03, **changes: Any
) -> ParetoFront:
    """A front with values by query, some of them unknown, and a reference measured on the same queries.

    Objectives differ in what can be reached.
    """
    rng = np.random.default_rng(seed)
    weights = lattice_near(m, k)
    ease = rng.beta(2, 3, size=(n_queries, m)) * 0.6
    per_query = ease + 0.25 * np.sqrt(weights)[:, None, :] - 0.05
    per_query = np.clip(per_query + rng.normal(0, noise, size=per_query.shape), 0, 1).astype(np.float32)
    of_reference = np.clip(ease + 0.08, 0, 1).astype(np.float32)
    scale = np.array([1.0, 0.4, 0.7, 1.0, 0.5, 0.9, 0.6, 0.8], dtype=np.float32)[:m]
    per_query, of_reference = per_query * scale, of_reference * scale
    unknown = rng.random((n_queries, m)) < 0.1
    per_query[:, unknown] = np.nan
    of_reference[unknown] = np.nan
    settings: dict[str, Any] = {
        "points": np.nanmean(per_query, axis=1, dtype=np.float64),
        "weights": weights,
        "names": NAMES[:m],
        "per_query": per_query,
        "reference": np.nanmean(of_reference, axis=0, dtype=np.float64),
        "reference_per_query": of_reference,
        "label": "ours",
    }
    return ParetoFront(**{**settings, **changes})
