"""Trade-offs as they are typed, and as files that ``select`` wrote."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hyperrank.cli.values import PAIRS

__all__ = ["read_weights", "spelled"]

WANTED = "wanted name=weight pairs, as in relevance=0.7,clicks=0.3, or a .json file that select wrote"


def read_weights(given: Sequence[str], objectives: Sequence[str]) -> Any:
    """Weights for predict.

    Parameters
    ----------
    given : sequence of str
        Each ``relevance=0.7,clicks=0.3`` or the path of a file that select wrote.
    objectives : sequence of str
        Of the ranker.

    Returns
    -------
    ndarray of shape (m,) or (k, m), or None
        (m,) for one, None for none.

    Raises
    ------
    ValueError
        If weights are off the simplex, an objective is unknown, or a file holds no trade-off.
    """
    import numpy as np

    from hyperrank.simplex import as_weights

    rows = []
    for text in given:
        try:
            rows.append(as_weights(_named(text), len(objectives), objectives))
        except ValueError as error:
            raise ValueError(f"--weights {text}: {error}") from error
    if not rows:
        return None
    return rows[0] if len(rows) == 1 else np.stack(rows)


def spelled(weights: Sequence[float], objectives: Sequence[str]) -> str:
    """A trade-off as ``--weights`` reads it, to the bit."""
    return ",".join(f"{name}={float(w)!r}" for name, w in zip(objectives, weights, strict=True))


def _named(text: str) -> dict[str, float]:
    if text.endswith(".json"):
        return _from_file(Path(text))
    if "=" not in text:
        raise ValueError(f"{WANTED}.")
    return PAIRS(text)


def _from_file(path: Path) -> dict[str, float]:
    try:
        found = json.loads(path.read_text()).get("weights")
        return {str(name): float(weight) for name, weight in found.items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise ValueError(f"the file holds no trade-off; {WANTED}.") from error
