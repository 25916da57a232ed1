"""Labels of the generator: utilities that conflict, seen with noise, cut into grades."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hyperrank.lists import QueryLists

from .synthetic_features import Hidden

__all__ = ["draw_labels"]

#: How much of the label utility's variance lies between queries; real queries differ in how many good
#: documents they have.
QUERY_SHARE = 0.2
#: The least number of units in the random network that makes utility of hidden variables.
N_UNITS = 32


def draw_labels(
    rng: np.random.Generator,
    lists: QueryLists,
    hidden: Hidden,
    n_objectives: int,
    conflict: float,
    noise: float,
    shares: NDArray[np.float64],
) -> NDArray[np.float32]:
    """Draw grades of conflicting objectives; `make_multilabel_ranking` describes model and arguments."""
    utility = _factors(rng, lists, hidden, n_objectives) @ _mixing(n_objectives, conflict)
    return _grade(_observe(rng, lists, utility, noise), shares)


def _factors(
    rng: np.random.Generator, lists: QueryLists, hidden: Hidden, n_factors: int
) -> NDArray[np.float32]:
    """Nonlinear functions of the hidden variables, uncorrelated within queries."""
    n_variables = hidden.documents.shape[1]
    n_units = max(N_UNITS, 4 * n_factors)
    weights = rng.normal(size=(2, n_variables, n_units)).astype(np.float32) / np.sqrt(n_variables / 2)
    readout = rng.normal(size=(n_units, n_factors)).astype(np.float32)
    bias = rng.normal(size=n_units).astype(np.float32)
    of_query = hidden.queries @ weights[1] + bias
    raw = np.empty((lists.n_rows, n_factors), dtype=np.float32)
    for start in range(0, lists.n_rows, 65536):  # all units of all documents would outweigh the features
        rows = slice(start, start + 65536)
        raw[rows] = np.tanh(hidden.documents[rows] @ weights[0] + of_query[lists.index[rows]]) @ readout
    raw -= _list_means(raw, lists)[lists.index]
    power, axes = np.linalg.eigh(np.cov(raw.T, bias=True).reshape(n_factors, n_factors))
    scale = np.where(power > 1e-6 * power[-1], 1 / np.sqrt(np.maximum(power, 1e-30)), 0.0)
    return np.asarray(raw @ (axes * scale).astype(np.float32))


def _list_means(values: NDArray[np.float32], lists: QueryLists) -> NDArray[np.float32]:
    """Mean of each column within each list."""
    sums = np.add.reduceat(values, lists.offsets[:-1], axis=0)
    return np.asarray(sums / lists.sizes[:, None], dtype=np.float32)


def _mixing(n_objectives: int, conflict: float) -> NDArray[np.float32]:
    """Symmetric root of the equicorrelation matrix between objectives."""
    if n_objectives == 1:
        return np.ones((1, 1), dtype=np.float32)
    rho = 1 - conflict * n_objectives / (n_objectives - 1)
    correlation = np.full((n_objectives, n_objectives), rho)
    np.fill_diagonal(correlation, 1.0)
    power, axes = np.linalg.eigh(correlation)
    return ((axes * np.sqrt(np.maximum(power, 0))) @ axes.T).astype(np.float32)


def _observe(
    rng: np.random.Generator, lists: QueryLists, utility: NDArray[np.float32], noise: float
) -> NDArray[np.float32]:
    """Utilities with noise and the shift of the query."""
    observed = rng.standard_normal(utility.shape, dtype=np.float32)
    observed *= np.sqrt(np.float32(noise))
    observed += np.sqrt(np.float32(1 - noise)) * utility
    shift = rng.standard_normal((lists.n_lists, 1), dtype=np.float32)
    observed *= np.sqrt(np.float32(1 - QUERY_SHARE))
    observed += np.sqrt(np.float32(QUERY_SHARE)) * shift[lists.index]
    return observed


def _grade(values: NDArray[np.float32], shares: NDArray[np.float64]) -> NDArray[np.float32]:
    """Grades 0, 1, ... of the shares wanted, column by column."""
    grades = np.empty_like(values)
    for j in range(values.shape[1]):
        cuts = np.quantile(values[:, j], np.clip(np.cumsum(shares)[:-1], 0, 1))
        grades[:, j] = np.searchsorted(cuts, values[:, j], side="left")
    return grades
