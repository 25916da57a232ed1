"""Weights on the simplex: checks, Dirichlet draws, even lattices."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hyperrank._checks import check_number
from hyperrank._columns import arrow_to_pandas, as_numbers

__all__ = ["as_weights", "corners", "dirichlet_weights", "lattice", "lattice_near"]

#: How far a sum of weights may stray from one and still count as rounding.
SUM_TOLERANCE = 1e-3

#: Points of a lattice at most: more would fill the memory.
MAX_LATTICE = 10_000_000

#: How far below zero a weight may lie and still count as rounding, as in ``1 - 0.9 - 0.1``.
ZERO_TOLERANCE = 1e-6


def as_weights(
    weights: ArrayLike | Mapping[str, float], n_objectives: int, names: Sequence[str] | None = None
) -> NDArray[np.float64]:
    """Check weights and bring them onto the simplex exactly.

    Parameters
    ----------
    weights : array-like of shape (m,) or (k, m), mapping by objective, Series, frame or Selection
        Non-negative weights with sum 1 up to rounding (1e-3). Labels are matched by name. In a mapping,
        objectives left out weigh 0.
    n_objectives : int
        Number of objectives m.
    names : sequence of str, optional
        Names of the objectives; needed to read names.

    Returns
    -------
    ndarray of shape (m,) or (k, m), float64

    Raises
    ------
    ValueError
        If the shape is wrong, a weight is negative or not finite, a sum is not 1, or a name is unknown.

    Examples
    --------
    >>> as_weights([0.7, 0.3], 2).tolist()
    [0.7, 0.3]
    >>> as_weights({"clicks": 1.0}, 2, names=["relevance", "clicks"]).tolist()
    [0.0, 1.0]
    """
    if type(weights) is np.ndarray and weights.ndim == 1 and weights.dtype.kind == "f":
        weights = weights.tolist()
    if type(weights) is list and all(type(weight) is float for weight in weights):
        return _of_floats(tuple(weights), n_objectives).copy()
    weights = arrow_to_pandas(weights)
    if type(weights).__name__ in ("PerQuery", "PerRow"):
        raise ValueError("weights per query or row are for predict; here give one trade-off of all rows.")
    if isinstance(weights, str | bytes) or hasattr(weights, "non_dominated"):
        kind = f"a {type(weights).__name__}, {weights!r:.60}"
        raise ValueError(
            f"weights is {kind}; expected numbers, a mapping by objective, or a selection: front.select(...) "
            "of a front, Selection.from_dict(json.loads(text)) of JSON."
        )
    if names is not None and hasattr(weights, "_asdict"):  # a named tuple
        weights = weights._asdict()
    if isinstance(weights, Mapping):
        weights = _from_mapping(weights, n_objectives, names)
    elif isinstance(weights, list | tuple) and any(_is_named(each) for each in weights):
        rows = [as_weights(each, n_objectives, names) for each in weights]
        if all(row.ndim == 1 for row in rows):
            return np.stack(rows)
    elif names is not None:
        weights = by_name(weights, names, "weights")
    try:
        values = np.asarray(as_numbers(weights, "weights"), dtype=np.float64)
    except (TypeError, ValueError) as error:
        if str(error).startswith("weights"):
            raise ValueError(str(error)) from error
        raise ValueError(f"weights must be numbers of shape (m,) or (k, m): {error}.") from error
    return _on_simplex(values, n_objectives)


def _on_simplex(values: NDArray[np.float64], n_objectives: int) -> NDArray[np.float64]:
    """Numbers that were read, checked and brought to sums of exactly 1."""
    if values.ndim not in (1, 2) or values.shape[-1] != n_objectives or values.size == 0:
        expected = f"({n_objectives},) or (k, {n_objectives})"
        raise ValueError(f"weights have shape {values.shape}; expected {expected}, one weight per objective.")
    if not np.isfinite(values).all():
        raise ValueError(f"weights must be finite; got {_first_bad(values, ~np.isfinite(values))}.")
    if (values < -ZERO_TOLERANCE).any():
        raise ValueError(f"weights must not be negative; got {_first_bad(values, values < -ZERO_TOLERANCE)}.")
    values = np.where(values > 0, values, 0.0)
    with np.errstate(over="ignore"):
        sums = values.sum(axis=-1, keepdims=True)
    off = np.abs(sums - 1) > SUM_TOLERANCE
    if off.any():
        bad = np.broadcast_to(off, values.shape)
        raise ValueError(
            f"weights must sum to 1; got {_first_bad(values, bad)} with sum {sums[off][0]:.6g}. "
            "Divide them by their sum."
        )
    return np.asarray(values / sums)


@lru_cache(maxsize=1024)
def _of_floats(weights: tuple[float, ...], n_objectives: int) -> NDArray[np.float64]:
    """Weights of a request, which mostly are those of the last one."""
    return _on_simplex(np.array(weights), n_objectives)


def by_name(values: Any, names: Sequence[str], what: str, kind: str = "objectives") -> Any:
    """Labelled values (a Series, a frame by objective, or a selection) in the order of `names`.

    Anything without labels, and labels that only count from 0, is given back as it is. Labels that are
    unknown, missing or given twice are refused; errors call the values `what`, and the names `kind`.
    """
    is_selection = hasattr(values, "named_weights")
    values = getattr(values, "named_weights", values)
    if hasattr(values, "columns"):
        labels = list(values.columns)
    elif hasattr(values, "index") and hasattr(values, "to_numpy"):
        labels = list(values.index)
    else:
        return values
    if labels == list(range(len(labels))):
        return values
    unknown = [label for label in labels if label not in names]
    missing = [name for name in names if name not in labels]
    if is_selection and not unknown:  # of a front that could not measure the others, and gave them no weight
        return values.reindex(list(names), fill_value=0.0)
    if unknown or missing or len(labels) != len(names):
        problems = [f"unknown {kind} {unknown}"] if unknown else []
        problems += [f"no value for {missing}"] if missing else []
        raise ValueError(
            f"the labels of {what} are {labels}, with {' and '.join(problems) or 'labels given twice'}; the "
            f"{kind} are {list(names)}. Without labels (to_numpy()) they are read in that order."
        )
    return values[list(names)]


def _is_named(weights: Any) -> bool:
    """Whether weights say themselves which objective each is of."""
    return (
        isinstance(weights, Mapping)
        or hasattr(weights, "named_weights")
        or hasattr(weights, "_asdict")
        or (hasattr(weights, "index") and hasattr(weights, "to_numpy"))
    )


def corners(n_objectives: int) -> NDArray[np.float64]:
    """Corners of the simplex: all weight on one objective each.

    Parameters
    ----------
    n_objectives : int
        Number of objectives m.

    Returns
    -------
    ndarray of shape (m, m)
        The identity.

    Examples
    --------
    >>> corners(2).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    return np.eye(n_objectives)


def dirichlet_weights(
    n: int, n_objectives: int, *, alpha: float | ArrayLike = 1.0, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw weights from a Dirichlet distribution.

    Parameters
    ----------
    n : int
        Number of draws.
    n_objectives : int
        Number of objectives m.
    alpha : float or array-like of shape (m,), default 1
        Concentration: 1 is uniform on the simplex, less favours corners and edges, more the centre.
    rng : numpy.random.Generator
        Where the draws come from.

    Returns
    -------
    ndarray of shape (n, m), float64

    Examples
    --------
    >>> import numpy as np
    >>> dirichlet_weights(3, 2, rng=np.random.default_rng(0)).sum(axis=1).tolist()
    [1.0, 1.0, 1.0]
    """
    check_number("n", n, at_least=0, whole=True)
    check_number("n_objectives", n_objectives, at_least=1, whole=True)
    if not isinstance(rng, np.random.Generator | np.random.RandomState):
        raise TypeError(f"rng must be a generator, such as numpy.random.default_rng(0); got {rng!r}.")
    concentration = np.asarray(as_numbers(alpha, "alpha"), dtype=np.float64)
    if concentration.shape not in ((), (n_objectives,)):
        raise ValueError(f"alpha must be one number or {n_objectives}; got shape {concentration.shape}.")
    if not (np.isfinite(concentration).all() and (concentration > 0).all()):
        raise ValueError(f"alpha must be positive and finite; got {alpha!r}.")
    if n_objectives == 1:
        return np.ones((n, 1))
    # Gamma draws underflow to 0 for a small alpha; in log space no draw is lost.
    uniform = rng.uniform(size=(n, n_objectives))
    log_gamma = np.log(rng.gamma(concentration + 1.0, size=(n, n_objectives)))
    # Below 1e-300 the quotient could overflow, and all draws are corners long before.
    log_gamma += np.log1p(-uniform) / np.maximum(concentration, 1e-300)
    draws = np.exp(log_gamma - log_gamma.max(axis=1, keepdims=True))
    return np.asarray(draws / draws.sum(axis=1, keepdims=True))


def lattice(n_objectives: int, divisions: int) -> NDArray[np.float64]:
    """Even lattice on the simplex: all weights that are multiples of ``1 / divisions``.

    Parameters
    ----------
    n_objectives : int
        Number of objectives m.
    divisions : int
        Steps along each edge; the lattice has ``comb(divisions + m - 1, m - 1)`` points (Das & Dennis, 1998).

    Returns
    -------
    ndarray of shape (k, m), float64
        Lexicographically descending, so the first row is the corner of the first objective.

    Examples
    --------
    >>> lattice(2, 2).tolist()
    [[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]
    >>> len(lattice(3, 5))
    21
    """
    if not all(isinstance(count, Integral) and count >= 1 for count in (n_objectives, divisions)):
        given = f"{n_objectives} and {divisions}"
        raise ValueError(f"n_objectives and divisions must be whole numbers of at least 1; got {given}.")
    if math.comb(divisions + n_objectives - 1, n_objectives - 1) > MAX_LATTICE:
        raise ValueError(
            f"a lattice of {divisions} divisions of {n_objectives} objectives has more than {MAX_LATTICE:,} "
            "points: lattice_near(n_objectives, n_points) takes as many divisions as fit."
        )
    counts = np.zeros((1, 0), dtype=np.int64)
    left = np.array([divisions], dtype=np.int64)
    for _ in range(n_objectives - 1):
        repeats = left + 1
        ends = np.cumsum(repeats)
        within = np.arange(ends[-1]) - np.repeat(ends - repeats, repeats)
        taken = np.repeat(left, repeats) - within
        counts = np.column_stack([np.repeat(counts, repeats, axis=0), taken])
        left = within
    return np.asarray(np.column_stack([counts, left]) / divisions)


def lattice_near(n_objectives: int, n_points: int) -> NDArray[np.float64]:
    """Even lattice with as many points as possible up to `n_points`, and at least the corners.

    Parameters
    ----------
    n_objectives : int
        Number of objectives m.
    n_points : int
        Points at most.

    Returns
    -------
    ndarray of shape (k, m)
        Weights on the simplex.

    Examples
    --------
    >>> len(lattice_near(2, 21)), len(lattice_near(3, 21)), len(lattice_near(6, 21))
    (21, 21, 21)
    """
    check_number("n_objectives", n_objectives, at_least=1, whole=True)
    check_number("n_points", n_points, at_least=1, whole=True)
    if n_objectives == 1:
        return np.ones((1, 1))
    divisions = 1
    while math.comb(divisions + n_objectives, n_objectives - 1) <= n_points:
        divisions += 1
    return lattice(n_objectives, divisions)


def _from_mapping(weights: Mapping[str, float], n_objectives: int, names: Sequence[str] | None) -> list[Any]:
    """Weights by objective name as a vector."""
    if names is None:
        raise ValueError("weights given by name, but the objectives have no names here: give a sequence.")
    unknown = [name for name in weights if name not in names]
    if unknown:
        hint = ""
        if "weights" in unknown:
            hint = " A stored selection is read by Selection.from_dict."
        elif any(isinstance(value, Mapping) or np.ndim(value) for value in weights.values()):
            hint = " For weights of each query, by its id: PerQuery(weights)."
        more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
        raise ValueError(
            f"weights name unknown objectives {unknown[:5]}{more}; the objectives are {list(names)}.{hint}"
        )
    if len(names) != n_objectives:
        raise ValueError(f"{len(names)} names for {n_objectives} objectives.")
    return [weights.get(name, 0.0) for name in names]


def _first_bad(values: NDArray[Any], bad: NDArray[np.bool_]) -> str:
    """Spell the first offending weight vector and its row, for an error."""
    if values.ndim == 1:
        return str(values.tolist())
    row = int(np.flatnonzero(bad.any(axis=1))[0])
    return f"{values[row].tolist()} in row {row}"
