"""What is sent to workers: a fitted ranker with all that was asked of it, and how it scores a partition."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from hyperrank.boosters import booster_threads
from hyperrank.lists import QueryLists
from hyperrank.rankers.dpo.reward_model import one_thread_each
from hyperrank.weights import PerQuery, assigned

__all__ = ["PartScorer", "column_names", "made_up", "part_scorer", "sent"]

#: Rows by which a ranker is asked what it makes of features before any are there.
FEW = 2


@dataclass(frozen=True, eq=False)
class PartScorer:
    """A fitted ranker and what is asked of it.

    Attributes
    ----------
    ranker : BaseRanker
    weights : object
        As `predict` takes them.
    options : mapping
        Further arguments of `predict`.
    """

    ranker: Any
    weights: Any
    options: Mapping[str, Any]

    def scores(self, X: Any, qid: Any, ref_scores: Any) -> NDArray[np.floating[Any]]:
        """Scores of the rows of one partition, on one thread: Dask brings as many as it wants."""
        options = dict(self.options) | ({} if ref_scores is None else {"ref_scores": ref_scores})
        with one_thread():
            scores: NDArray[np.floating[Any]] = self.ranker.predict(
                X, qid=qid, weights=self.weights, **options
            )
        return scores

    def tried(self, X: Any, qid: Any, ref_scores: Any) -> NDArray[np.floating[Any]]:
        """Scores of a few made-up rows: all that `predict` refuses in them is refused here."""
        own = assigned(self.weights, self.ranker.objectives_)
        if not isinstance(own, PerQuery):
            return self.scores(X, qid, ref_scores)
        if qid is None:
            return self.scores(X, qid, ref_scores)  # which says that ids are missing
        # Made-up ids are not among those of the weights, whose own are.
        mixes = own.rows(QueryLists.from_qid(own.ids), self.ranker.objectives_).mixes
        return PartScorer(self.ranker, mixes[0], self.options).scores(X, qid, ref_scores)


def part_scorer(ranker: Any, weights: Any, options: Mapping[str, Any]) -> PartScorer:
    """A ranker and what is asked of it, apart from what the caller may change before the work is done."""
    # Another fit sets other attributes; those that are there it leaves as they are.
    return PartScorer(copy.copy(ranker), copy.deepcopy(weights), dict(options))


def sent(scorer: PartScorer) -> Any:
    """The scorer as one task of its own, which all partitions ask: workers get it once."""
    from dask import delayed
    from dask.base import tokenize

    return delayed(scorer, name=f"ranker-{tokenize(scorer)}", traverse=False)


def column_names(weights: Any, objectives: tuple[str, ...]) -> list[str]:
    """Names of the columns of scores under k trade-offs, such as ``relevance=0.7, clicks=0.3``.

    Raises
    ------
    ValueError
        If a trade-off is given twice.
    """
    table = np.asarray(weights, dtype=np.float64)
    for digits in (4, 17):
        names = [
            ", ".join(f"{name}={w:.{digits}g}" for name, w in zip(objectives, row, strict=True))
            for row in table
        ]
        if len(set(names)) == len(names):
            return names
    raise ValueError("weights hold the same trade-off twice: columns of scores are named after them.")


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep this thread's work to this thread: torch's, LightGBM's, ours."""
    with one_thread_each(), threadpool_limits(1, user_api="openmp"), booster_threads(1):
        yield


def made_up(meta: pd.DataFrame) -> pd.DataFrame:
    """A few rows of a frame's columns and types; text is made to look like numbers, which it may hold."""
    from dask.dataframe.utils import meta_nonempty

    rows = meta_nonempty(meta).iloc[:FEW].copy()
    for name, dtype in rows.dtypes.items():
        if pd.api.types.is_object_dtype(dtype) or pd.api.types.is_string_dtype(dtype):
            rows[name] = pd.Series(["0"] * len(rows), index=rows.index, dtype=dtype)
    return rows
