"""Permutation of features, and its effect on rankings and metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray

from hyperrank._progress import with_progress
from hyperrank.explain.explanation import Explanation
from hyperrank.explain.rank_change import common_at_top, correlation, exposure_change, share_gone
from hyperrank.lists import QueryLists
from hyperrank.metrics import Metric

__all__ = ["Columns", "Task", "check_within", "explain_change", "named_columns", "permutations"]


@dataclass(frozen=True)
class Columns:
    """One feature, or several that are permuted together, by the numbers of their columns."""

    name: str
    index: tuple[int, ...]


def named_columns(
    features: Sequence[Any] | Mapping[str, Any] | None, feature_names: Sequence[str] | None, n_features: int
) -> list[Columns]:
    """Columns of the features asked for: one by one, groups by name, or all one by one for None.

    >>> named_columns({"text": [0, 1], "price": "x2"}, None, 3)
    [Columns(name='text', index=(0, 1)), Columns(name='price', index=(2,))]
    """
    names = (
        [f"x{j}" for j in range(n_features)]
        if feature_names is None
        else [str(name) for name in feature_names]
    )
    positions = {name: j for j, name in enumerate(names)}
    if features is None:
        return [Columns(name, (j,)) for j, name in enumerate(names)]
    if isinstance(features, Mapping):
        found = [Columns(str(name), _index(group, positions, names)) for name, group in features.items()]
    else:
        numbers = [_index(feature, positions, names) for feature in _each(features)]
        found = [Columns(" + ".join(names[j] for j in index), index) for index in numbers]
    given = [columns.name for columns in found]
    doubled = sorted({name for name in given if given.count(name) > 1})
    if not found or doubled:
        raise ValueError(f"features must name at least one feature, each once; got {doubled or features!r}.")
    return found


def _each(features: Any) -> Iterable[Any]:
    """Features one by one; a single one may stand alone."""
    return [features] if isinstance(features, str | Integral) else features


def _index(group: Any, positions: Mapping[str, int], names: Sequence[str]) -> tuple[int, ...]:
    found = []
    for feature in _each(group):
        is_number = isinstance(feature, Integral) and not isinstance(feature, bool)
        if is_number and 0 <= int(feature) < len(names):
            found.append(int(feature))
        elif isinstance(feature, str) and feature in positions:
            found.append(positions[feature])
        else:
            shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
            raise ValueError(
                f"features names {feature!r}, which is none of the {len(names)} features ({shown}) nor a "
                "number of one."
            )
    if not found or len(set(found)) < len(found):
        raise ValueError(f"features must name at least one feature, each once; got {group!r}.")
    return tuple(found)


def permuted_frame(frame: Any, index: Sequence[int], order: NDArray[np.int64]) -> Any:
    """Features as the caller gave them, the columns `index` of them in another order of rows."""
    if hasattr(frame, "isetitem"):
        changed = frame.copy(deep=False)
        for j in index:
            changed.isetitem(j, frame.iloc[order, j].array)
        return changed
    if hasattr(frame, "with_columns"):  # polars
        return frame.with_columns([frame[:, j][order] for j in index])
    changed = frame.copy()
    changed[:, list(index)] = frame[order][:, list(index)]
    return changed


#: Documents among which values are permuted.
WITHIN = ("query", "all")


def check_within(within: str) -> str:
    """Refuse unknown values of `within`."""
    if within not in WITHIN:
        raise ValueError(f"within must be one of {', '.join(map(repr, WITHIN))}; got {within!r}.")
    return within


def permutations(lists: QueryLists, n_repeats: int, *, within: str, seed: int) -> Iterator[NDArray[np.int64]]:
    """Orders of grouped rows, one per repeat: row i gets the value of row ``order[i]``.

    Within ``"query"`` values stay in their query. ``"all"`` draws as
    ``sklearn.inspection.permutation_importance`` does, which shuffles on from repeat to repeat.
    """
    if check_within(within) == "all":
        state = np.random.RandomState(seed)
        order = np.arange(lists.n_rows, dtype=np.int64)
        placed = order.copy()
        for _ in range(n_repeats):
            state.shuffle(order)
            placed = placed[order]
            yield placed
        return
    rng = np.random.default_rng(seed)
    for _ in range(n_repeats):
        # Sorted by query first and by chance second: rows of a query change places among themselves.
        yield np.lexsort((rng.random(lists.n_rows), lists.index)).astype(np.int64)


@dataclass(frozen=True)
class Task:
    """The grouped rows of an explanation, how they are scored under two trade-offs, and the metric.

    `frame` has the features as the caller gave them, for models that take them so. `score` gives scores of
    shape (n, 2) for ``(X, frame)``. `Y` is None without metrics.
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
    """Effect of permuting one feature; the mean over repeats."""

    change: tuple[float, float]
    direction: float
    drops: NDArray[np.float64] | None


def explain_change(
    task: Task,
    columns: Sequence[Columns],
    *,
    objectives: Sequence[str],
    weights: NDArray[np.float64],
    temperatures: tuple[float | None, ...] = (None, None),
    n_jobs: int | None,
    verbose: int,
) -> Explanation:
    """Permute features, one after the other.

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
    results = list(
        with_progress(found, total=len(columns), unit="feature", desc="permuting", verbose=verbose)
    )
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
        temperatures=temperatures,
    )


def _permuted(
    task: Task, columns: Columns, change: NDArray[np.float64], before: NDArray[np.float64] | None
) -> _Permuted:
    index = list(columns.index)
    original = task.X[:, index]
    remaining: list[NDArray[np.float64]] = []
    drops: list[NDArray[np.float64]] = []
    for order in permutations(task.lists, task.n_repeats, within=task.within, seed=task.seed):
        permuted = original[order]
        if np.array_equal(permuted, original, equal_nan=True):  # constant within queries: nothing to score
            remaining.append(change)
            drops += [] if before is None else [np.where(np.isnan(before), np.nan, 0.0)]
            continue
        X = task.X.copy()
        X[:, index] = permuted
        scores = task.score(X, permuted_frame(task.frame, index, order))
        remaining.append(exposure_change(scores[:, 0], scores[:, 1], task.lists))
        after = task.values(scores)
        if before is not None and after is not None:
            drops.append(before - after)
    directions = [correlation(column, change, task.lists) for column in original.T]
    return _Permuted(
        change=share_gone(change, np.mean(remaining, axis=0), task.lists),
        # A group points where its features do, if they agree.
        direction=float(np.mean(directions)),
        drops=np.mean(drops, axis=0) if drops else None,
    )
