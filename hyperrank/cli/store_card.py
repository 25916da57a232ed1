"""What a store of ranking data holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hyperrank.datasets import open_store

__all__ = ["store_card"]


def store_card(path: Path) -> dict[str, Any]:
    """Shape and names of a store.

    Raises
    ------
    StoreError
        If the folder is none.
    """
    store = open_store(path)
    sizes = np.diff(store.offsets)
    return {
        "store": str(path),
        "description": store.description,
        "n_rows": len(store),
        "n_queries": len(sizes),
        "longest_query": int(sizes.max()),
        "objectives": store.names,
        "n_features": len(store.feature_names),
        "features": store.feature_names,
    }
