"""Features of the generator: what hidden variables look like when measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hyperrank.lists import QueryLists

__all__ = ["Hidden", "draw_features"]

#: Share of a measured variable that is error.
ERROR_SHARE = 0.1
#: Share of rows in which a count is zero whatever the document is like.
ZERO_SHARE = 0.3

Column = NDArray[np.float32]
Warp = Callable[[np.random.Generator, Column], Column]


@dataclass(frozen=True, eq=False)
class Hidden:
    """What determines utility and is seen only through features.

    Attributes
    ----------
    documents : ndarray of shape (n, p), float32
    queries : ndarray of shape (n_lists, p), float32
    """

    documents: NDArray[np.float32]
    queries: NDArray[np.float32]

    @classmethod
    def draw(cls, rng: np.random.Generator, lists: QueryLists, n_variables: int) -> Hidden:
        """Draw standard normal variables."""
        return cls(
            rng.standard_normal((lists.n_rows, n_variables), dtype=np.float32),
            rng.standard_normal((lists.n_lists, n_variables), dtype=np.float32),
        )


def draw_features(
    rng: np.random.Generator,
    lists: QueryLists,
    hidden: Hidden,
    n_features: int,
    heavy_share: float,
    count_share: float,
    query_share: float,
    missing: float,
) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Measure the hidden variables.

    Parameters
    ----------
    rng : numpy.random.Generator
    lists : QueryLists
    hidden : Hidden
    n_features : int
        Number of columns; they see the hidden variables in turn.
    heavy_share, count_share, query_share : float
        Shares of kinds of columns.
    missing : float
        Share of entries that are NaN.

    Returns
    -------
    X : ndarray of shape (n, n_features), float32
    names : tuple of str
        Kind and number of each column.
    """
    kinds = _kinds(n_features, heavy_share, count_share, query_share)
    X = np.empty((lists.n_rows, n_features), dtype=np.float32)
    for j, kind in enumerate(kinds):
        source = hidden.queries if kind == "query" else hidden.documents
        measured = _measure(rng, source[:, j % source.shape[1]])
        column = _WARPS[kind](rng, measured)
        if missing:
            column[rng.random(len(column), dtype=np.float32) < missing] = np.nan
        X[:, j] = column[lists.index] if kind == "query" else column
    return X, tuple(f"{kind}_{kinds[:j].count(kind)}" for j, kind in enumerate(kinds))


def _kinds(n_features: int, heavy_share: float, count_share: float, query_share: float) -> list[str]:
    """List the kind of each column, normal ones first."""
    edges = np.rint(np.cumsum([0, query_share, count_share, heavy_share]) * n_features).astype(int)
    n_query, n_count, n_heavy = np.diff(edges).tolist()
    heavy = ["lognormal"] * (n_heavy - n_heavy // 2) + ["student"] * (n_heavy // 2)
    rest = heavy + ["count"] * n_count + ["query"] * n_query
    return ["normal"] * (n_features - len(rest)) + rest


def _measure(rng: np.random.Generator, variable: Column) -> Column:
    """Add measurement error to a variable, keeping unit variance."""
    measured = rng.standard_normal(len(variable), dtype=np.float32)
    measured *= np.float32(np.sqrt(ERROR_SHARE))
    measured += np.float32(np.sqrt(1 - ERROR_SHARE)) * variable
    return measured


def _scale(rng: np.random.Generator, low: float, high: float) -> np.float32:
    """Draw a scale, log-uniform between two bounds."""
    return np.float32(np.exp(rng.uniform(np.log(low), np.log(high))))


def _normal(rng: np.random.Generator, h: Column) -> Column:
    scale = _scale(rng, 0.01, 1e4)
    return scale * (h + np.float32(rng.normal()))


def _lognormal(rng: np.random.Generator, h: Column) -> Column:
    return _scale(rng, 0.01, 1e4) * np.exp(np.float32(1.5) * h)


def _student(rng: np.random.Generator, h: Column) -> Column:
    spread = rng.standard_gamma(1.5, size=len(h), dtype=np.float32) / np.float32(1.5)
    # The smallest draws of 10^9 keep the quotient finite in float32.
    return _scale(rng, 0.01, 1e4) * h / np.sqrt(np.maximum(spread, np.float32(1e-12)))


def _count(rng: np.random.Generator, h: Column) -> Column:
    counts = rng.poisson(_scale(rng, 0.5, 50.0) * np.exp(h)).astype(np.float32)
    counts[rng.random(len(h), dtype=np.float32) < ZERO_SHARE] = 0
    return counts


_WARPS: dict[str, Warp] = {
    "normal": _normal,
    "lognormal": _lognormal,
    "student": _student,
    "count": _count,
    "query": _normal,
}
