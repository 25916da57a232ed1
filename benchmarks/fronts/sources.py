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
    "Interactions",
    "KFoldSource",
    "MovieLens",
    "MslrSample",
    "RecurringItems",
    "Source",
    "SourceError",
    "Synthetic",
    "SyntheticShort",
    "chosen_from",
    "split_off_main",
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
    n_repeats : int
        How often all of them are, dealt anew each time.
    protocol : str
        Where data, labels and folds come from, for the report.
    """

    label: str
    objectives: tuple[str, ...]
    main: str | None = None
    n_folds: int
    n_repeats: int = 1
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
        """Training and test queries of a fold, counted from 0 on through all repetitions."""


class KFoldSource(Source):
    """Data that are split into folds of whole queries, dealt anew for each repetition."""

    @abstractmethod
    def load(self) -> RankingData:
        """All documents, the main objective first where there is one."""

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
        repeat, at = divmod(number, self.n_folds)
        splitter = QueryKFold(self.n_folds, shuffle=True, random_state=repeat)
        train, test = (
            self.data.take(rows) for rows in list(splitter.split(self.data.X, qid=self.data.qid))[at]
        )
        if self.main is None:
            return Fold(train, test)
        return split_off_main(train, test, self.objectives, self.main)


def split_off_main(train: RankingData, test: RankingData, objectives: Sequence[str], main: str) -> Fold:
    """A fold whose main objective is the reference's alone."""
    return Fold(train.select(objectives), test.select(objectives), train.select([main]), test.select([main]))


class Fetched(KFoldSource):
    """Data that a fetcher of `hyperrank.datasets` gives.

    Parameters
    ----------
    objectives : sequence of str, optional
        Some of `known`; by default the first three, less the main one.
    n_folds : int, default 5
    main : str, optional
        The objective of the reference ranker alone.
    """

    known: tuple[str, ...]
    fetch: str
    description: str

    def __init__(
        self, objectives: Sequence[str] | None = None, n_folds: int = 5, *, main: str | None = None
    ) -> None:
        default = [name for name in self.known[:3] if name != main]
        self.objectives = chosen_from(self.known, objectives or default, self.label)
        self.n_folds, self.main = n_folds, main
        self.protocol = f"{self.description} QueryKFold({n_folds}, shuffle=True, random_state=repetition)."

    def identity(self) -> dict[str, Any]:
        return {**super().identity(), "main": self.main}

    def load(self) -> RankingData:
        """All documents, or a one-line error if they cannot be fetched."""
        names = [*([] if self.main is None else [self.main]), *self.objectives]
        try:
            data: RankingData = getattr(datasets, self.fetch)(objectives=names)
        except datasets.FetchError as error:
            raise SourceError(" ".join(str(error).split())) from error
        return data


class MslrSample(Fetched):
    """The MSLR-WEB10K sample."""

    label, fetch = "mslr-sample", "fetch_mslr_sample"
    known = ("relevance", "quality", "dwell", "quality2", "query_clicks", "url_clicks")
    description = (
        "The first rows of MSLR-WEB10K fold 1 (10,000 documents of 86 queries, 131 features); signals "
        "beside relevance as grades 0 to 4 by quantile within the query."
    )


class MovieLens(Fetched):
    """MovieLens 100k, one list per user."""

    label, fetch = "movielens", "fetch_movielens_100k"
    known = ("rating", "release_year", "long_tail")
    description = (
        "MovieLens 100k: the films that 629 users rated (67,268 rows, 28 features); film statistics come "
        "from the ratings of a third of the users, who are left out."
    )


class Synthetic(KFoldSource):
    """One fixed draw of a generator of `hyperrank.datasets`.

    Parameters
    ----------
    objectives : sequence of str, optional
        All by default.
    n_folds : int, default 5
    sizes : mapping, optional
        What the generator is given, on top of the class's own.
    label : str, optional
        The class's own by default.
    random_state : int, default 0
        Of the draw.
    """

    label = "synthetic"
    make = "make_multilabel_ranking"
    known: tuple[str, ...] = ("objective_0", "objective_1", "objective_2")
    sizes: Mapping[str, Any] = {"n_queries": 256, "list_size": (20, 200), "n_features": 40}

    def __init__(
        self,
        objectives: Sequence[str] | None = None,
        n_folds: int = 5,
        sizes: Mapping[str, Any] | None = None,
        *,
        label: str | None = None,
        random_state: int = 0,
    ) -> None:
        self.label = label or self.label
        self.objectives = chosen_from(self.known, objectives or self.known, self.label)
        self.n_folds = n_folds
        self.sizes = {**self.sizes, **(sizes or {}), "random_state": random_state}
        given = ", ".join(f"{name}={value}" for name, value in self.sizes.items())
        self.protocol = (
            f"datasets.{self.make}({given}), the same for all seeds of the methods. "
            f"QueryKFold({n_folds}, shuffle=True, random_state=repetition)."
        )

    def identity(self) -> dict[str, Any]:
        return {**super().identity(), "sizes": {name: str(value) for name, value in self.sizes.items()}}

    def load(self) -> RankingData:
        """All documents."""
        made: RankingData = getattr(datasets, self.make)(**self.sizes)
        return made.select(self.objectives)


class SyntheticShort(Synthetic):
    """The same generator with lists as long as a page or a few: about 7,000 documents."""

    label = "synthetic-short"
    sizes: Mapping[str, Any] = {**Synthetic.sizes, "list_size": (5, 50)}


class Interactions(Synthetic):
    """The generator with many interactions, of which more rows teach more: about 3,000 documents."""

    label = "synthetic-3k"
    sizes: Mapping[str, Any] = {"n_queries": 140, "list_size": (5, 60), "n_features": 40, "n_hidden": 8}


class RecurringItems(Synthetic):
    """Items that recur across lists, with a label of user and item and one of the item alone."""

    label, make = "items", "make_user_item_ranking"
    known = ("affinity", "item_property")
    sizes: Mapping[str, Any] = {"n_users": 450, "n_items": 1000, "list_size": 60}


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
