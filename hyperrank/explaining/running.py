"""The run: every feature permuted again and again, and what that does to rankings and metrics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray

from hyperrank.explaining.columns import Columns, permuted_frame
from hyperrank.explaining.explanation import Explanation
from hyperrank.explaining.measures import common_at_top, correlation, exposure_change, share_gone
from hyperrank.explaining.permuting import permutations
from hyperrank.lists import QueryLists
from hyperrank.metrics import Metric

__all__ = ["Task", "explained"]


@dataclass(frozen=True)
class Task:
    """What is explained: rows, how they are scored under two trade-offs, and how that is measured.

    Attributes
    ----------
    X : ndarray of shape (n, d), float32
        Features of grouped rows.
    frame : object
        The same as the caller gave them, for models that want them so; in the same order.
    lists : QueryLists
    Y : ndarray of shape (n, m) or None
        Labels, where metrics are wanted.
    score : callable
        ``(X, frame) -> scores of shape (n, 2)``, under the first and the second trade-off.
    metric : Metric
    within : {"query", "all"}
        Among which rows values are exchanged.
    n_repeats : int
    seed : int
    """

    X: NDArray[np.float32]
    frame: Any
    lists: QueryLists
    Y: NDArray[np.float32] | None
    score: Callable[[NDArray[np.float32], Any], NDArray[np.floating[Any]]]
    metric: Metric
    within: str
    n_repeats: int
    seed: int

    def values(self, scores: NDArray[np.floating[Any]]) -> NDArray[np.float64] | None:
        """The metric of each query, shape (2, n_lists, m), NaN where a list does not count."""
        if self.Y is None:
            return None
        found = self.metric(scores, self.Y, qid=self.lists, per_query=True)
        return np.ascontiguousarray(np.moveaxis(found, 0, 1), dtype=np.float64)


@dataclass(frozen=True)
class _Permuted:
    """What came of permuting one feature; the mean over repeats."""

    change: tuple[float, float]
    direction: float
    drops: NDArray[np.float64] | None


def explained(
    task: Task,
    columns: Sequence[Columns],
    *,
    objectives: Sequence[str],
    weights: NDArray[np.float64],
    n_jobs: int | None,
    verbose: int,
) -> Explanation:
    """Permute features, one after the other.

    Parameters
    ----------
    task : Task
    columns : sequence of Columns
    objectives : sequence of str
    weights : ndarray of shape (2, m)
        The trade-offs that `task` scores under.
    n_jobs : int or None
        Processes; one by default.
    verbose : int
        1 shows a progress bar.

    Returns
    -------
    Explanation

    Raises
    ------
    ValueError
        If both trade-offs rank the rows alike, or an objective cannot be measured.
    """
    scores = task.score(task.X, task.frame)
    change = exposure_change(scores[:, 0], scores[:, 1], task.lists)
    if not change.any():
        raise ValueError(
            "both trade-offs rank all of these queries alike: there is no change to explain. "
            "Take trade-offs further apart, or queries of more documents."
        )
    before = task.values(scores)
    names: list[str] = []
    if before is not None:
        names = [name for j, name in enumerate(objectives) if np.isnan(before[:, :, j]).all()]
    if names:
        raise ValueError(
            f"objectives {names} of y have no list with a label above 0 among the {task.lists.n_lists} "
            "queries looked at: nothing to measure there. Raise max_rows, or leave y out."
        )
    jobs = (delayed(_permuted)(task, each, change, before) for each in columns)
    # As they come, for the bar; one after the other in this process by default.
    found = Parallel(n_jobs=n_jobs, return_as="generator")(jobs)
    results = list(_with_bar(found, len(columns)) if verbose > 0 else found)
    drops = None if before is None else np.stack([each.drops for each in results if each.drops is not None])
    return Explanation(
        features=tuple(each.name for each in columns),
        objectives=tuple(objectives),
        against=weights[0],
        weights=weights[1],
        metric=str(task.metric),
        change=np.array([each.change[0] for each in results]),
        change_error=np.array([each.change[1] for each in results]),
        direction=np.array([each.direction for each in results]),
        drops=drops,
        reached=None if before is None else np.nanmean(before, axis=1),
        n_rows=task.lists.n_rows,
        n_queries=task.lists.n_lists,
        common=common_at_top(scores[:, 0], scores[:, 1], task.lists),
    )


def _with_bar(found: Any, total: int) -> Any:
    from tqdm.auto import tqdm

    return tqdm(found, total=total, desc="permuting", unit="feature", dynamic_ncols=True)


def _permuted(
    task: Task, columns: Columns, change: NDArray[np.float64], before: NDArray[np.float64] | None
) -> _Permuted:
    index = list(columns.index)
    own = task.X[:, index]
    left: list[NDArray[np.float64]] = []
    drops: list[NDArray[np.float64]] = []
    for order in permutations(task.lists, task.n_repeats, within=task.within, seed=task.seed):
        moved = own[order]
        if np.array_equal(moved, own, equal_nan=True):  # as of a feature of the query: nothing to score
            left.append(change)
            drops += [] if before is None else [np.where(np.isnan(before), np.nan, 0.0)]
            continue
        X = task.X.copy()
        X[:, index] = moved
        scores = task.score(X, permuted_frame(task.frame, index, order))
        left.append(exposure_change(scores[:, 0], scores[:, 1], task.lists))
        after = task.values(scores)
        if before is not None and after is not None:
            drops.append(before - after)
    directions = [correlation(column, change, task.lists) for column in own.T]
    return _Permuted(
        change=share_gone(change, np.mean(left, axis=0), task.lists),
        # A group points where its features do, if they agree.
        direction=float(np.mean(directions)),
        drops=np.mean(drops, axis=0) if drops else None,
    )
