"""Plan of the runs: identity and order."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import hyperrank
from benchmarks.fronts.grid import N_WEIGHTS
from benchmarks.fronts.methods import REFERENCE, find
from benchmarks.fronts.sources import Source

__all__ = ["Run", "plan"]


@dataclass(frozen=True, eq=False)
class Run:
    """One fit of one method on one fold.

    Attributes
    ----------
    source : Source
    fold, seed : int
    method : str
        Its key.
    params : mapping
        Constructor parameters on top of the method's own.
    reference : Run or None
        The run whose scores this one starts from.
    n_weights : int
        Number of trade-offs, for `trade_offs`.
    """

    source: Source
    fold: int
    seed: int
    method: str
    params: Mapping[str, Any] = field(default_factory=dict)
    reference: Run | None = None
    n_weights: int = N_WEIGHTS

    @property
    def fronts(self) -> tuple[str, ...]:
        """Keys of the fronts that it makes."""
        return tuple(find(self.method).fronts_of(self.method))

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What makes this run this run. Not the commit: the report warns where commits differ."""
        return {
            **self.source.identity(),
            "fold": self.fold,
            "seed": self.seed,
            "method": self.method,
            "options": {**find(self.method).options, **self.params},
            "n_weights": self.n_weights,
            "reference": None if self.reference is None else self.reference.key,
            "hyperrank": hyperrank.__version__,
        }

    @cached_property
    def key(self) -> str:
        """A short name for the identity."""
        text = json.dumps(self.identity, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def needs(self) -> str | None:
        """Key of the run that must end before this one starts."""
        return None if self.reference is None else self.reference.key

    def __str__(self) -> str:
        return f"{self.method}, fold {self.fold + 1}, seed {self.seed}"


def plan(
    source: Source,
    methods: Sequence[str],
    *,
    n_seeds: int,
    params: Mapping[str, Mapping[str, Any]] | None = None,
    n_weights: int = N_WEIGHTS,
) -> list[Run]:
    """All runs, in the order in which they go.

    Parameters
    ----------
    source : Source
    methods : sequence of str
        Keys.
    n_seeds : int
        Fits per fold and method.
    params : mapping of method to mapping, optional
        Constructor parameters on top of the methods' own.
    n_weights : int, default 21
        Number of trade-offs.

    Returns
    -------
    list of Run
        The reference before those that start from it, if the data have a main objective of its own.
    """
    given = params or {}
    runs: list[Run] = []
    for number, (fold, seed) in enumerate(
        (f, s) for f in range(source.n_folds * source.n_repeats) for s in range(n_seeds)
    ):
        reference = None
        if source.main is not None:
            # One reference per fold, the same for all seeds of the methods.
            reference = Run(source, fold, 0, REFERENCE, given.get(REFERENCE, {}), None, n_weights)
            runs += [reference] if seed == 0 else []
        # Every other time backwards, so that a machine that slows down slows all methods alike.
        for method in methods if number % 2 == 0 else methods[::-1]:
            start = reference if find(method).is_dpo else None
            runs.append(Run(source, fold, seed, method, given.get(method, {}), start, n_weights))
    return runs
