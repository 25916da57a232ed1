"""Permutation of features, and its effect on rankings and metrics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from hyperrank._categories import categorical_of, replace_columns
from hyperrank._checks import check_n_jobs, check_number, check_random_state, check_verbose
from hyperrank._progress import with_progress
from hyperrank.explain.explanation import Explanation
from hyperrank.lists import QueryLists
from hyperrank.metrics import Metric, parse_metric
from hyperrank.rankers.data import GroupedFeatures, LabelledLists
from hyperrank.rankers.inputs import read_features, split_qid
from hyperrank.rankers.profile import check_options


def positions(scores: NDArray[Any], lists: QueryLists) -> NDArray[np.int64]:
    """Rank of each grouped row in its list, from 0; of equal scores the earlier row ranks first."""
    order = np.lexsort((-scores, lists.index))
    ranks = np.empty(lists.n_rows, dtype=np.int64)
    ranks[order] = np.arange(lists.n_rows) - np.repeat(lists.offsets[:-1], lists.sizes)
    return ranks


def exposure_change(before: NDArray[Any], after: NDArray[Any], lists: QueryLists) -> NDArray[np.float64]:
    r"""Gain of each grouped row in exposure, :math:`1 / \log_2(1 + rank)`, between two rankings by score.

    Sums to 0 within each list.
    """
    return _exposure(after, lists) - _exposure(before, lists)


def _exposure(scores: NDArray[Any], lists: QueryLists) -> NDArray[np.float64]:
    return 1 / np.log2(2.0 + positions(scores, lists))


def list_sums(values: NDArray[np.float64], lists: QueryLists) -> NDArray[np.float64]:
    """Sums over the rows of each list."""
    return np.asarray(np.add.reduceat(values, lists.offsets[:-1]))


def share_gone(
    change: NDArray[np.float64], left: NDArray[np.float64], lists: QueryLists
) -> tuple[float, float]:
    r"""Share of a change that another lacks, :math:`1 - \langle d, d' \rangle / \langle d, d \rangle`.

    It is 0 where `left` is the change itself, and 1 where nothing of it is left. Its standard error over
    queries, the second value, is that of a ratio of sums.
    """
    whole, kept = list_sums(change * change, lists), list_sums(change * left, lists)
    total = whole.sum()
    share = 1 - kept.sum() / total
    residual = (whole - kept) - share * whole
    n = lists.n_lists
    error = np.sqrt((residual**2).sum() * n / max(n - 1, 1)) / total if n > 1 else np.nan
    return float(share), float(error)


def correlation(values: NDArray[Any], change: NDArray[np.float64], lists: QueryLists) -> float:
    """Correlation, from -1 to 1, of the order of a feature's values within each list with a change there.

    Missing values do not count; a feature that is constant within lists gives 0.
    """
    by_list = pd.Series(values).groupby(lists.index)
    n_known = by_list.transform("count").to_numpy()
    with np.errstate(invalid="ignore"):
        shares = np.nan_to_num((by_list.rank().to_numpy() - (n_known + 1) / 2) / n_known)
    scale = np.sqrt((shares**2).sum() * (change[~np.isnan(values)] ** 2).sum())
    return float((shares * change).sum() / scale) if scale > 0 else 0.0


def common_at_top(before: NDArray[Any], after: NDArray[Any], lists: QueryLists, k: int = 10) -> float:
    """Share of the first k documents, or of a short list's first half, that two rankings have in common."""
    depth = np.minimum(k, np.maximum(1, lists.sizes // 2))
    top = [positions(scores, lists) < depth[lists.index] for scores in (before, after)]
    return float(np.mean(list_sums((top[0] & top[1]).astype(np.float64), lists) / depth))


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
    names = [f"x{j}" for j in range(n_features)] if feature_names is None else list(map(str, feature_names))
    features = names if features is None else features
    groups = features.items() if isinstance(features, Mapping) else ((None, f) for f in _each(features))
    found = []
    for name, group in groups:
        index = tuple(_position(feature, names) for feature in _each(group))
        if not index or len(set(index)) < len(index):
            raise ValueError(f"features must name at least one feature, each once; got {group!r}.")
        found.append(Columns(" + ".join(names[j] for j in index) if name is None else str(name), index))
    given = [columns.name for columns in found]
    doubled = sorted({name for name in given if given.count(name) > 1})
    if not found or doubled:
        raise ValueError(f"features must name at least one feature, each once; got {doubled or features!r}.")
    return found


def _each(features: Any) -> Iterable[Any]:
    """Features one by one; a single one may stand alone."""
    return features if isinstance(features, Iterable) and not isinstance(features, str) else [features]


def _position(feature: Any, names: Sequence[str]) -> int:
    """The number of a feature that is given by it, or by name."""
    if isinstance(feature, str) and feature in names:
        return names.index(feature)
    is_number = isinstance(feature, Integral) and not isinstance(feature, bool)
    if is_number and 0 <= int(feature) < len(names):
        return int(feature)
    shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    raise ValueError(
        f"features names {feature!r}, which is none of the {len(names)} features ({shown}) nor a number of "
        "one."
    )


def permuted_frame(frame: Any, index: Sequence[int], order: NDArray[np.int64]) -> Any:
    """Features as the caller gave them, the columns `index` of them in another order of rows."""
    is_pandas = hasattr(frame, "iloc")
    columns = {j: frame.iloc[order, j].array if is_pandas else frame[:, j][order] for j in index}
    return replace_columns(frame, columns)


#: Documents among which values are permuted.
WITHIN = ("query", "all")


def permutations(lists: QueryLists, n_repeats: int, *, within: str, seed: int) -> Iterator[NDArray[np.int64]]:
    """Orders of grouped rows, one per repeat: row i gets the value of row ``order[i]``.

    Values stay in their ``"query"``, or go to ``"all"`` as in scikit-learn, which shuffles on by repeat.
    """
    if within == "all":
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
    """The grouped rows of an explanation, and how they are scored and measured under two trade-offs.

    `weights` are of shape (2, m), `options` those of the scoring at each. It goes to other processes.
    """

    ranker: Any
    data: GroupedFeatures
    weights: NDArray[np.float64]
    options: tuple[dict[str, Any], dict[str, Any]]
    metric: Metric
    within: str
    n_repeats: int
    seed: int

    def scores(self, data: GroupedFeatures) -> NDArray[np.floating[Any]]:
        """Scores of shape (n, 2) for these rows, or for changed ones."""
        before, after = self.options
        if before == after:
            return self.ranker._scores(data, self.weights, **before)
        pairs = zip(self.weights[:, None], self.options, strict=True)
        return np.concatenate([self.ranker._scores(data, at, **options) for at, options in pairs], axis=1)

    def values(self, scores: NDArray[np.floating[Any]]) -> NDArray[np.float64] | None:
        """The metric of each query, shape (2, n_lists, m), NaN where it does not count; or None."""
        if not isinstance(self.data, LabelledLists):
            return None
        found = self.metric(scores, self.data.Y, qid=self.data.lists, per_query=True)
        return np.ascontiguousarray(np.moveaxis(found, 0, 1), dtype=np.float64)


@dataclass(frozen=True)
class _Permuted:
    """Effect of permuting one feature; the mean over repeats."""

    change: tuple[float, float]
    direction: float
    drops: NDArray[np.float64] | None


def _permuted(
    task: Task, columns: Columns, change: NDArray[np.float64], before: NDArray[np.float64] | None
) -> _Permuted:
    lists, index = task.data.lists, list(columns.index)
    orders = permutations(lists, task.n_repeats, within=task.within, seed=task.seed)
    scored = [task.scores(copy) for copy in permuted_copies(task.data, index, orders)]
    n_unchanged = task.n_repeats - len(scored)  # a feature is constant within queries
    remaining = [change] * n_unchanged
    remaining += [exposure_change(scores[:, 0], scores[:, 1], lists) for scores in scored]
    drops: NDArray[np.float64] | None = None
    if before is not None:
        after = [before] * n_unchanged + [task.values(scores) for scores in scored]
        drops = np.mean([before - each for each in after if each is not None], axis=0)
    # Codes of categories have no direction.
    categorical = categorical_of(task.ranker)
    directions = [0.0 if j in categorical else correlation(task.data.X[:, j], change, lists) for j in index]
    return _Permuted(
        change=share_gone(change, np.mean(remaining, axis=0), lists),
        # A group points where its features do, if they agree.
        direction=float(np.mean(directions)),
        drops=drops,
    )


def permuted_copies(
    data: GroupedFeatures, index: list[int], orders: Iterable[NDArray[np.int64]]
) -> Iterator[GroupedFeatures]:
    """Features with some columns in other orders of rows; orders that change nothing are left out."""
    features = np.asarray(data.X)
    frame = data.frame.toarray() if hasattr(data.frame, "toarray") else data.frame
    original = features[:, index]
    for order in orders:
        if np.array_equal(original[order], original, equal_nan=True):
            continue
        X = features.copy()
        X[:, index] = original[order]
        own = X if data.is_shared else permuted_frame(frame, index, order)
        yield GroupedFeatures(X, data.lists, own, data.ref_scores)


def score_importances(ranker: Any, data: GroupedFeatures) -> NDArray[np.float64]:
    """Mean square of what scores at equal weights change by, within lists, where a feature is permuted.

    Shape (d,), as shares of their sum.
    """
    weights, lists = ranker._weights(None)[None], data.lists
    scores = ranker._scores(data, weights)[:, 0]
    orders = list(permutations(lists, 1, within="query", seed=0))
    importances = np.zeros(data.X.shape[1])
    for j in range(len(importances)):
        for permuted in permuted_copies(data, [j], orders):
            change = ranker._scores(permuted, weights)[:, 0] - scores
            change -= (list_sums(change, lists) / lists.sizes)[lists.index]
            importances[j] = np.mean(change**2)
    return importances / max(importances.sum(), np.finfo(float).tiny)


def explain_ranker(
    ranker: Any,
    X: Any,
    y: Any,
    *,
    qid: ArrayLike | None,
    weights: ArrayLike | Mapping[str, float],
    against: ArrayLike | Mapping[str, float] | None,
    features: Sequence[Any] | Mapping[str, Any] | None,
    metric: str | Metric | None,
    within: str,
    n_repeats: int,
    max_rows: int | None,
    random_state: Any,
    n_jobs: int | None,
    verbose: int,
    **options: Any,
) -> Explanation:
    """Explain the rank change between two trade-offs by permuting features.

    Parameters, returns and raises as of `hyperrank.rankers.BaseRanker.explain`.
    """
    check_is_fitted(ranker)
    check_options(ranker, options, "explain")
    ref_scores = options.pop("ref_scores", None)
    pair, pair_options = _pair(ranker, weights, against, options)
    if within not in WITHIN:
        raise ValueError(f"within must be one of {', '.join(map(repr, WITHIN))}; got {within!r}.")
    repeats = int(check_number("n_repeats", n_repeats, at_least=1, whole=True))
    columns = named_columns(features, getattr(ranker, "feature_names_in_", None), ranker.n_features_in_)
    if split_qid(X, qid)[1] is None:
        raise ValueError(
            "explain needs qid, one query id per row, to know which documents are ranked together; "
            "if all rows are of one query, pass np.zeros(len(X))."
        )
    seed = int(check_random_state(random_state).randint(np.iinfo(np.int32).max + 1))
    if y is None:
        data = read_features(ranker, X, qid, reset=False, ref_scores=ref_scores)
    else:
        data = ranker._read(X, y, qid, ref_scores)
    data = data.take(_sampled_lists(data.lists, max_rows, seed)).in_memory()
    measured = parse_metric(ranker.metric if metric is None else metric)
    task = Task(ranker, data, pair, pair_options, measured, within, repeats, seed)
    scores = task.scores(data)
    change = exposure_change(scores[:, 0], scores[:, 1], data.lists)
    if not change.any():
        raise ValueError(
            "both trade-offs rank all of these queries alike: there is no change to explain. "
            "Take trade-offs further apart, or queries of more documents."
        )
    before = task.values(scores)
    is_unknown = np.zeros(len(ranker.objectives_)) if before is None else np.isnan(before).all(axis=(0, 1))
    if is_unknown.any():
        names = [ranker.objectives_[j] for j in np.flatnonzero(is_unknown)]
        raise ValueError(
            f"objectives {names} of y have no list with a label above 0 among the {data.lists.n_lists} "
            "queries looked at: nothing to measure there. Raise max_rows, or leave y out."
        )
    jobs = (delayed(_permuted)(task, each, change, before) for each in columns)
    # As they come, for the bar; one after the other in this process by default.
    found = Parallel(n_jobs=check_n_jobs(n_jobs), return_as="generator")(jobs)
    results = list(
        with_progress(
            found, total=len(columns), unit="feature", desc="permuting", verbose=check_verbose(verbose)
        )
    )
    return Explanation(
        features=tuple(each.name for each in columns),
        objectives=tuple(ranker.objectives_),
        against=pair[0],
        weights=pair[1],
        metric=str(measured),
        change=np.array([each.change[0] for each in results]),
        change_error=np.array([each.change[1] for each in results]),
        direction=np.array([each.direction for each in results]),
        drops=None
        if before is None
        else np.stack([each.drops for each in results if each.drops is not None]),
        reached=None if before is None else np.nanmean(before, axis=1),
        n_rows=data.lists.n_rows,
        n_queries=data.lists.n_lists,
        common=common_at_top(scores[:, 0], scores[:, 1], data.lists),
        temperatures=tuple(ranker._front_temperature(**each) for each in pair_options),
    )


def _pair(
    ranker: Any, weights: Any, against: Any, options: dict[str, Any]
) -> tuple[NDArray[np.float64], tuple[dict[str, Any], dict[str, Any]]]:
    """The weights of the two trade-offs, shape (2, m), and with which options each is scored."""
    if len(ranker.objectives_) < 2:
        raise ValueError(
            f"the ranker has one objective, {ranker.objectives_[0]}: there are no trade-offs to explain."
        )
    weights, options_to = ranker._trade_off(weights, options)
    options_from = options_to
    to = np.atleast_2d(ranker._weights(weights))
    if len(to) == 2 and against is None:
        pair = to
    else:
        if against is not None:
            against, options_from = ranker._trade_off(against, options)
        pair = np.concatenate([np.atleast_2d(ranker._weights(against)), to])
    if len(pair) != 2:
        given = "" if against is None else f" and {len(pair) - len(to)} in against"
        raise ValueError(
            "explain takes two trade-offs: two in weights, or one there and one in against; "
            f"got {len(to)} in weights{given}."
        )
    if np.allclose(pair[0], pair[1]) and options_from == options_to:
        raise ValueError(f"both trade-offs are {pair[0].tolist()}: there is no change to explain.")
    return np.asarray(pair), (options_from, options_to)


def _sampled_lists(lists: QueryLists, max_rows: int | None, seed: int) -> NDArray[np.int64]:
    """Numbers of the lists to look at: all, or a random sample of at most `max_rows` rows."""
    if max_rows is None or lists.n_rows <= check_number("max_rows", max_rows, at_least=1, whole=True):
        return np.arange(lists.n_lists, dtype=np.int64)
    order = np.random.default_rng(seed).permutation(lists.n_lists)
    fits = int((np.cumsum(lists.sizes[order]) <= max_rows).sum())
    return np.sort(order[: max(1, fits)]).astype(np.int64)
