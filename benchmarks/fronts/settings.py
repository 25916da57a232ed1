"""Settings of the suite: data, folds and repetitions, small and large, real and generated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks.fronts.letor_sources import Mq2008
from benchmarks.fronts.sources import (
    Interactions,
    MovieLens,
    MslrSample,
    RecurringItems,
    Source,
    Synthetic,
    SyntheticShort,
)

__all__ = ["LARGE", "SETTINGS", "Setting"]

TWO = ("relevance", "quality")
AUXILIARY = ("quality", "quality2", "query_clicks", "url_clicks", "dwell")
FIVE = ("relevance", "quality", "quality2", "url_clicks", "dwell")


#: Settings that are run only where they are named.
LARGE = ("synthetic-500k",)


@dataclass(frozen=True)
class Setting:
    """Data with the folds that are run.

    Attributes
    ----------
    title : str
        What tables and pictures call it.
    make : callable
        ``(objectives=None, n_folds=5) -> Source``, and ``random_state=...`` where the data are generated.
    n_folds, n_repeats : int
        Of the suite.
    n_validation_folds : int
        Of `benchmarks.validation`; 0 where defaults are not chosen on these data.
    is_generated : bool
    """

    title: str
    make: Callable[..., Source]
    n_folds: int = 5
    n_repeats: int = 1
    n_validation_folds: int = 3
    is_generated: bool = False

    @property
    def another_draw(self) -> Mapping[str, Any]:
        """What makes generated data another draw than the suite's."""
        return {"random_state": 1} if self.is_generated else {}


def _mslr(objectives: tuple[str, ...]) -> Callable[..., Source]:
    return partial(MslrSample, objectives=objectives)


def _rows(n_queries: int, label: str) -> Callable[..., Source]:
    return partial(Interactions, sizes={"n_queries": n_queries}, label=label)


SETTINGS: Mapping[str, Setting] = {
    "mslr-sample-2": Setting(
        "MSLR sample, 2 objectives", partial(MslrSample, objectives=TWO), n_validation_folds=5
    ),
    "mslr-sample": Setting("MSLR sample, 3 objectives", MslrSample, n_validation_folds=5),
    "mslr-sample-5": Setting(
        "MSLR sample, 5 objectives", partial(MslrSample, objectives=FIVE), n_validation_folds=5
    ),
    "mq2008": Setting("MQ2008", Mq2008),
    "movielens": Setting("MovieLens 100k", MovieLens),
    "synthetic-3k": Setting("generator, 3,000 rows", Interactions, n_validation_folds=5, is_generated=True),
    "synthetic-short": Setting("generator, short lists", SyntheticShort, is_generated=True),
    "synthetic": Setting("generator, long lists", Synthetic, is_generated=True),
    "items": Setting("generator, recurring items", RecurringItems, is_generated=True),
    "synthetic-50k": Setting(
        "generator, 50,000 rows", _rows(2_250, "synthetic-50k"), n_validation_folds=2, is_generated=True
    ),
    "mslr-sample-paper": Setting(
        "MSLR sample, 5 auxiliary objectives",
        partial(MslrSample, objectives=AUXILIARY, main="relevance"),
        n_validation_folds=0,
    ),
    "movielens-paper": Setting(
        "MovieLens 100k, 2 auxiliary objectives", partial(MovieLens, main="rating"), n_validation_folds=0
    ),
    "synthetic-500k": Setting(
        "generator, 500,000 rows", _rows(22_500, "synthetic-500k"), n_validation_folds=1, is_generated=True
    ),
}
