"""Permutation of features, and its effect on rankings and metrics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from hyperrank._categories import categorical_of, replace_columns
from hyperrank._checks import check_n_jobs, check_number, check_random_state, check_verbose, position_in
from hyperrank._progress import with_progress
from hyperrank.explain.explanation import Explanation
from hyperrank.lists import QueryLists, ranks_within_lists
from hyperrank.metrics import Metric, parse_metric
from hyperrank.rankers.data import GroupedFeatures, LabelledLists
from hyperrank.rankers.inputs import read_features, split_qid
from hyperrank.rankers.profile import check_options


def exposure_change(before: NDArray[Any], after: NDArray[Any], lists: QueryLists) -> NDArray[np.float64]:
    r"""Gain of each grouped row in exposure, :math:`1 / \log_2(1 + rank)`, between two rankings by score.

    Sums to 0 within each list.
    """
    lost, gained = (1 / np.log2(2.0 + ranks_within_lists(scores, lists)) for scores in (before, after))
    return gained - lost


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
    top = [ranks_within_lists(scores, lists) < depth[lists.index] for scores in (before, after)]
    return float(np.mean(list_sums((top[0] & top[1]).astype(np.float64), lists) / depth))


def feature_names(ranker: Any) -> list[str]:
    """Names of the features that a ranker was fitted on; x0, x1, ... of an array."""
    names = getattr(ranker, "feature_names_in_", None)
    return [f"x{j}" for j in range(ranker.n_features_in_)] if names is None else list(map(str, names))


def columns_by_name(
    features: Sequence[Any] | Mapping[str, Any] | None, names: Sequence[str]
) -> dict[str, list[int]]:
    """Columns of the features asked for: one by one, groups by name, or all one by one for None.

    >>> columns_by_name({"text": [0, 1], "price": "x2"}, ["x0", "x1", "x2"])
    {'text': [0, 1], 'price': [2]}
    """
    features = names if features is None else features
    groups = features.items() if isinstance(features, Mapping) else ((None, f) for f in _each(features))
    columns: dict[str, list[int]] = {}
    doubled = set()
    for given, group in groups:
        index = [_position(feature, names) for feature in _each(group)]
        if not index or len(set(index)) < len(index):
            raise ValueError(f"features must name at least one feature, each once; got {group!r}.")
        name = " + ".join(names[j] for j in index) if given is None else str(given)
        if name in columns:
            doubled.add(name)
        columns[name] = index
    if not columns or doubled:
        got = sorted(doubled) or features
        raise ValueError(f"features must name at least one feature, each once; got {got!r}.")
    return columns


def _each(features: Any) -> Iterable[Any]:
    """Features one by one; a single one may stand alone."""
    return features if isinstance(features, Iterable) and not isinstance(features, str) else [features]


def _position(feature: Any, names: Sequence[str]) -> int:
    """The number of a feature that is given by it, or by name."""
    position = position_in(names, feature)
    if position is not None:
        return position
    shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    raise ValueError(
        f"features names {feature!r}, which is none of the {len(names)} features ({shown}) nor a number of "
        "one."
    )


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
class ScoredTradeOffs:
    """Trade-offs of a ranker: weights (k, m), the temperature of each, None without, and other options.

    `factors` are the temperatures in the ranker's own units, as a specialised one multiplies its own.
    """

    ranker: Any
    weights: NDArray[np.float64]
    temperatures: tuple[float | None, ...]
    factors: tuple[float, ...]
    options: dict[str, Any]

    @classmethod
    def of(cls, ranker: Any, each: Sequence[Any], options: Mapping[str, Any]) -> ScoredTradeOffs:
        """Trade-offs as the caller gives them, one after the other."""
        weights, temperatures, factors = [], [], []
        for given in each:
            at, scoring = ranker._trade_off(given, options)
            factor = scoring.get("temperature")
            weights.append(np.atleast_2d(ranker._weights(at)))
            temperatures += [ranker._front_temperature(**scoring)] * len(weights[-1])
            factors += [1.0 if factor is None else float(factor)] * len(weights[-1])
        others = {name: value for name, value in options.items() if name != "temperature"}
        return cls(ranker, np.concatenate(weights), tuple(temperatures), tuple(factors), others)

    def scores(self, data: GroupedFeatures) -> NDArray[np.floating[Any]]:
        """Scores of grouped rows, shape (n, k)."""
        factors = None if None in self.temperatures else np.array(self.factors)
        return np.asarray(self.ranker._front_scores(data, self.weights, factors, **self.options))


@dataclass(frozen=True)
class Task:
    """The grouped rows of an explanation, scored and measured under two trade-offs, in any process."""

    trade_offs: ScoredTradeOffs
    data: GroupedFeatures
    metric: Metric
    within: str
    n_repeats: int
    seed: int

    def values(self, scores: NDArray[np.floating[Any]]) -> NDArray[np.float64] | None:
        """The metric of each query, shape (2, n_lists, m), NaN where it does not count; or None."""
        if not isinstance(self.data, LabelledLists):
            return None
        found = self.metric(scores, self.data.Y, qid=self.data.lists, per_query=True)
        return np.ascontiguousarray(np.moveaxis(found, 0, 1), dtype=np.float64)


def _permuted(
    task: Task, index: list[int], change: NDArray[np.float64], before: NDArray[np.float64] | None
) -> tuple[float, float, float, NDArray[np.float64] | None]:
    """Share of the change that some features explain, its error, their direction, and drops of the metric."""
    lists = task.data.lists
    orders = permutations(lists, task.n_repeats, within=task.within, seed=task.seed)
    scored = [task.trade_offs.scores(copy) for copy in permuted_copies(task.data, index, orders)]
    n_unchanged = task.n_repeats - len(scored)  # a feature is constant within queries
    remaining = [change] * n_unchanged
    remaining += [exposure_change(scores[:, 0], scores[:, 1], lists) for scores in scored]
    drops: NDArray[np.float64] | None = None
    if before is not None:
        after = [before] * n_unchanged + [task.values(scores) for scores in scored]
        drops = np.mean([before - each for each in after if each is not None], axis=0)
    # Codes of categories have no direction.
    categorical = categorical_of(task.trade_offs.ranker)
    directions = [0.0 if j in categorical else correlation(task.data.X[:, j], change, lists) for j in index]
    share, error = share_gone(change, np.mean(remaining, axis=0), lists)
    # A group points where its features do, if they agree.
    return share, error, float(np.mean(directions)), drops


def permuted_copies(
    data: GroupedFeatures, index: list[int], orders: Iterable[NDArray[np.int64]]
) -> Iterator[GroupedFeatures]:
    """Features with some columns in other orders of rows; orders that change nothing are left out."""
    features = np.asarray(data.X)
    frame = data.frame.toarray() if hasattr(data.frame, "toarray") else data.frame
    is_pandas = hasattr(frame, "iloc")
    original = features[:, index]
    for order in orders:
        if np.array_equal(original[order], original, equal_nan=True):
            continue
        X = features.copy()
        X[:, index] = original[order]
        own = X
        if not data.is_shared:
            moved = {j: frame.iloc[order, j].array if is_pandas else frame[:, j][order] for j in index}
            own = replace_columns(frame, moved)
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
    pair = _pair(ranker, weights, against, options)
    if within not in WITHIN:
        raise ValueError(f"within must be one of {', '.join(map(repr, WITHIN))}; got {within!r}.")
    repeats = int(check_number("n_repeats", n_repeats, at_least=1, whole=True))
    columns = columns_by_name(features, feature_names(ranker))
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
    task = Task(pair, data, measured, within, repeats, seed)
    scores = pair.scores(data)
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
    jobs = (delayed(_permuted)(task, index, change, before) for index in columns.values())
    # As they come, for the bar; one after the other in this process by default.
    results = Parallel(n_jobs=check_n_jobs(n_jobs), return_as="generator")(jobs)
    with_bar = with_progress(
        results, total=len(columns), unit="feature", desc="permuting", verbose=check_verbose(verbose)
    )
    shares, errors, directions, drops = zip(*with_bar, strict=True)
    return Explanation(
        features=tuple(columns),
        objectives=tuple(ranker.objectives_),
        against=pair.weights[0],
        weights=pair.weights[1],
        metric=str(measured),
        change=np.array(shares),
        change_error=np.array(errors),
        direction=np.array(directions),
        drops=None if before is None else np.stack(drops),
        reached=None if before is None else np.nanmean(before, axis=1),
        n_rows=data.lists.n_rows,
        n_queries=data.lists.n_lists,
        common=common_at_top(scores[:, 0], scores[:, 1], data.lists),
        temperatures=pair.temperatures,
    )


def _pair(ranker: Any, weights: Any, against: Any, options: dict[str, Any]) -> ScoredTradeOffs:
    """The two trade-offs to explain; that from which it goes is at the same temperature by default."""
    if len(ranker.objectives_) < 2:
        raise ValueError(
            f"the ranker has one objective, {ranker.objectives_[0]}: there are no trade-offs to explain."
        )
    to = pair = ScoredTradeOffs.of(ranker, [weights], options)
    if against is not None:
        pair = ScoredTradeOffs.of(ranker, [against, weights], options)
    elif len(to.weights) != 2:
        pair = replace(
            to,
            weights=np.concatenate([ranker._weights(None)[None], to.weights]),
            temperatures=to.temperatures[:1] + to.temperatures,
            factors=to.factors[:1] + to.factors,
        )
    n_to, n_pair = len(to.weights), len(pair.weights)
    if n_pair != 2:
        given = "" if against is None else f" and {n_pair - n_to} in against"
        raise ValueError(
            "explain takes two trade-offs: two in weights, or one there and one in against; "
            f"got {n_to} in weights{given}."
        )
    if np.allclose(*pair.weights) and len(set(pair.temperatures)) == 1:
        raise ValueError(f"both trade-offs are {pair.weights[0].tolist()}: there is no change to explain.")
    return pair


def _sampled_lists(lists: QueryLists, max_rows: int | None, seed: int) -> NDArray[np.int64]:
    """Numbers of the lists to look at: all, or a random sample of at most `max_rows` rows."""
    if max_rows is None or lists.n_rows <= check_number("max_rows", max_rows, at_least=1, whole=True):
        return np.arange(lists.n_lists, dtype=np.int64)
    order = np.random.default_rng(seed).permutation(lists.n_lists)
    fits = int((np.cumsum(lists.sizes[order]) <= max_rows).sum())
    return np.sort(order[: max(1, fits)]).astype(np.int64)
