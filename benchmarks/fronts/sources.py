"""Data sources of the comparison, by fold."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from hyperrank import QueryKFold, datasets
from hyperrank.datasets import RankingData

__all__ = [
    "Fold",
    "KFoldSource",
    "MslrSample",
    "Source",
    "SourceError",
    "Synthetic",
    "SyntheticShort",
    "chosen_from",
]


class SourceError(ValueError):
    """Data that are missing or do not fit the options; the message says in one line what is expected."""


@dataclass(frozen=True, eq=False)
class Fold:
    """Training and test queries.

    Attributes
    ----------
    train, test : RankingData
        Labels of the objectives that methods are trained on.
    main_train, main_test : RankingData or None
        The same documents with labels of the main objective, where that is the reference's alone.
    """

    train: RankingData
    test: RankingData
    main_train: RankingData | None = None
    main_test: RankingData | None = None


class Source(ABC):
    """A data set with its folds. Cheap to make and to pickle: data are read when a fold is loaded.

    Attributes
    ----------
    label : str
        What tables and files call the data.
    objectives : tuple of str
        What methods are trained on.
    main : str or None
        The objective of the reference ranker, where it is not one of `objectives`.
    n_folds : int
        How many folds are run.
    protocol : str
        Where data, labels and folds come from, for the report.
    """

    label: str
    objectives: tuple[str, ...]
    main: str | None = None
    n_folds: int
    protocol: str

    def check(self) -> None:  # noqa: B027 - most have nothing to find out
        """Find out early whether the data can be had.

        Raises
        ------
        SourceError
            If they cannot.
        """

    def identity(self) -> dict[str, Any]:
        """What tells these data and folds from others; no machine's paths."""
        return {"data": self.label, "objectives": list(self.objectives), "folds": self.n_folds}

    @abstractmethod
    def fold(self, number: int) -> Fold:
        """Training and test queries of a fold, counted from 0."""


class KFoldSource(Source):
    """Data that are split into folds of whole queries."""

    @abstractmethod
    def load(self) -> RankingData:
        """All documents."""

    @cached_property
    def data(self) -> RankingData:
        """All documents, read once."""
        return self.load()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "data"}

    def check(self) -> None:
        n_queries = len(np.unique(self.data.qid))
        if self.n_folds > n_queries:
            raise SourceError(f"{self.n_folds} folds need as many queries; {self.label} has {n_queries}.")

    def fold(self, number: int) -> Fold:
        splits = QueryKFold(self.n_folds, shuffle=True, random_state=0).split(self.data.X, qid=self.data.qid)
        train, test = list(splits)[number]
        return Fold(self.data.take(train), self.data.take(test))


class MslrSample(KFoldSource):
    """The MSLR-WEB10K sample."""

    label = "mslr-sample"
    known = ("relevance", "quality", "quality2", "query_clicks", "url_clicks", "dwell")
    default = ("relevance", "quality", "dwell")

    def __init__(self, objectives: Sequence[str] | None = None, n_folds: int = 5) -> None:
        self.objectives = chosen_from(self.known, objectives or self.default, self.label)
        self.n_folds = n_folds
        self.protocol = (
            "The first rows of MSLR-WEB10K fold 1 (10,000 documents of 86 queries, 131 features); signals "
            "beside relevance as grades 0 to 4 by quantile within the query. "
            f"QueryKFold({n_folds}, shuffle=True, random_state=0)."
        )

    def load(self) -> RankingData:
        """All documents, or a one-line error if they cannot be fetched."""
        try:
            return datasets.fetch_mslr_sample(objectives=self.objectives)
        except datasets.FetchError as error:
            raise SourceError(" ".join(str(error).split())) from error


class Synthetic(KFoldSource):
    """One fixed draw of the generator: about 20,000 documents."""

    label = "synthetic"
    known = ("objective_0", "objective_1", "objective_2")
    sizes: Mapping[str, Any] = {"n_queries": 256, "list_size": (20, 200), "n_features": 40}

    def __init__(
        self,
        objectives: Sequence[str] | None = None,
        n_folds: int = 5,
        sizes: Mapping[str, Any] | None = None,
    ) -> None:
        self.objectives = chosen_from(self.known, objectives or self.known, self.label)
        self.n_folds = n_folds
        self.sizes = {**self.sizes, **(sizes or {})}
        given = ", ".join(f"{name}={value}" for name, value in self.sizes.items())
        self.protocol = (
            f"datasets.make_multilabel_ranking({given}, n_objectives=3, random_state=0), the same for all "
            f"seeds of the methods. QueryKFold({n_folds}, shuffle=True, random_state=0)."
        )

    def identity(self) -> dict[str, Any]:
        return {**super().identity(), "sizes": {name: str(value) for name, value in self.sizes.items()}}

    def load(self) -> RankingData:
        """All documents."""
        made = datasets.make_multilabel_ranking(n_objectives=len(self.known), random_state=0, **self.sizes)
        return made.select(self.objectives)


class SyntheticShort(Synthetic):
    """The same generator with lists as long as a page or a few: about 7,000 documents."""

    label = "synthetic-short"
    sizes: Mapping[str, Any] = {**Synthetic.sizes, "list_size": (5, 50)}


def chosen_from(known: Sequence[str], objectives: Sequence[str], label: str) -> tuple[str, ...]:
    """Objectives by name, each known and given once, at least two.

    Raises
    ------
    SourceError
        If they are not.
    """
    chosen = tuple(objectives)
    unknown = [name for name in chosen if name not in known]
    if unknown:
        raise SourceError(f"{label} has no objective {unknown[0]!r}; it has {', '.join(known)}.")
    if len(chosen) < 2 or len(set(chosen)) < len(chosen):
        raise SourceError(f"A front needs two or more objectives, each once; got {', '.join(chosen)}.")
    return chosen
