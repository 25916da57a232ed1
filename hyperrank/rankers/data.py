"""Grouped data of a ranker: features, labels, what fit is given; samples of lists, summary, warnings."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from hyperrank._columns import n_rows_of
from hyperrank.boosters import MAX_GRADE
from hyperrank.lists import QueryLists
from hyperrank.losses import ListLoss
from hyperrank.memmap import FeatureRows, MappedRows, take_rows
from hyperrank.metrics import CONVENTIONS, Convention, Metric
from hyperrank.reference import GroupedRows, Reference

#: Rows at most that feature importances are computed on.
FEW_ROWS = 256
#: Bytes of features, about, that are scored before their memory is given back.
CHUNK_BYTES = 1 << 25

#: Entries, about, that the share of missing features is taken from: all of large data would take seconds.
SAMPLE_ENTRIES = 1 << 22
#: Rows without query ids raise the question whose they are from so many times the longest list of fit on.
MUCH_LONGER = 4
#: Rows up to which fit takes rows without query ids as those of one query.
MAX_ROWS_WITHOUT_QID = 300
#: How many times the labels of fit others may be, on average and at most, and still be of the same unit.
SAME_UNIT = 4


@dataclass(frozen=True)
class GroupedFeatures(GroupedRows):
    """Checked features of grouped rows, and what belongs to the rows."""

    #: The parts of the scores of the ranker's reference, where they are known already.
    known_parts: NDArray[np.float64] | None = field(default=None, kw_only=True)

    def reference_parts(self, reference: Reference) -> NDArray[np.float64]:
        """What the scores of a reference at any temperature are made of."""
        if self.known_parts is not None:
            return self.known_parts
        self.check_ref_scores(reference.needs_scores)
        return reference.parts(self)

    def reference_scores(self, reference: Reference, temperature: float = 0.0) -> NDArray[np.float64]:
        """Scores of a reference, shape (n, 1) or, to be mixed by weights, (n, m)."""
        return reference.at_temperature(self.reference_parts(reference), temperature)

    @property
    def is_shared(self) -> bool:
        """Whether the caller's features are the checked ones, so that rows of both need no two copies."""
        return self.frame is self.X

    def take(self, which: NDArray[np.int64]) -> Self:
        """Some whole lists."""
        rows, lists = self.lists.take(which)
        X = take_rows(self.X, rows)
        of_rows = {name: getattr(self, name, None) for name in ("ref_scores", "known_parts", "Y")}
        return replace(
            self,
            X=X,
            lists=lists,
            frame=X if self.is_shared else take_rows(self.frame, rows),
            **{name: values[rows] for name, values in of_rows.items() if values is not None},
        )

    def in_memory(self) -> Self:
        """The same, no features of which stay in a file."""
        X = np.asarray(self.X)
        return replace(self, X=X, frame=X if self.is_shared else self.frame)

    def check_ref_scores(self, needed: int, *, suffix: str = "") -> None:
        """Refuse reference scores that are missing, of the wrong number, or that nothing would read."""
        name = f"ref_scores{suffix}"
        if self.ref_scores is None:
            if needed:
                scores = "one score" if needed == 1 else f"{needed} scores"
                raise ValueError(f"reference='scores' needs {name}: {scores} per row, wherever X is passed.")
            return
        if not needed:
            raise ValueError(f"{name} were given, but only reference='scores' reads them.")
        n_columns = 1 if self.ref_scores.ndim == 1 else self.ref_scores.shape[1]
        if n_columns != needed:
            expected = "(n,)" if needed == 1 else f"(n, {needed})"
            raise ValueError(
                f"{name} have {n_columns} column(s) of scores; expected shape {expected}: one for each "
                "objective whose reference is 'scores', in the order of the objectives."
            )


@dataclass(frozen=True)
class LabelledLists(GroupedFeatures):
    """Checked features and labels of grouped rows: Y of shape (n, m), NaN where unobserved."""

    Y: NDArray[np.float32]
    names: tuple[str, ...]


@dataclass(frozen=True)
class FitInputs:
    """Lists given to fit: to train on, for early stopping, and how much each training list counts."""

    training: LabelledLists
    validation: LabelledLists | None
    list_weight: NDArray[np.float64] | None
    #: Number of categories of each categorical feature, by its position.
    categories: Mapping[int, int] = field(default_factory=dict)

    def check_ref_scores(self, needed: int) -> None:
        """Refuse reference scores that are missing, or that nothing would read."""
        self.training.check_ref_scores(needed)
        if self.validation is not None:
            self.validation.check_ref_scores(needed, suffix="_val")

    def without_ref_scores(self) -> FitInputs:
        """The same for a reference that reads none."""
        validation = None if self.validation is None else replace(self.validation, ref_scores=None)
        return replace(self, training=replace(self.training, ref_scores=None), validation=validation)

    def take(self, which: NDArray[np.int64]) -> FitInputs:
        """The same with some of the training lists."""
        weight = None if self.list_weight is None else self.list_weight[which]
        return replace(self, training=self.training.take(which), list_weight=weight)

    def take_into_memory(self, which: NDArray[np.int64]) -> FitInputs:
        """The same with some of the training lists, none of which stay in a file."""
        taken = self.take(which)
        return replace(taken, training=taken.training.in_memory())


def hold_out(inputs: FitInputs, fraction: float, seed: int) -> FitInputs:
    """Separate a share of the lists for early stopping from those to train on."""
    data = inputs.training
    n_lists = data.lists.n_lists
    shuffled = np.random.default_rng(seed).permutation(n_lists).astype(np.int64)
    # For each objective the last list with a label stays, so that there is something to learn it from.
    observed = np.logical_or.reduceat(~np.isnan(data.Y), data.lists.offsets[:-1], axis=0)[shuffled]
    spare = np.delete(shuffled, n_lists - 1 - observed[::-1].argmax(axis=0))
    if len(spare) == 0:
        raise ValueError(
            "early_stopping=True needs X_val: y has no query that its objectives can do without."
        )
    validation = np.sort(spare[: max(1, round(fraction * n_lists))])
    training = np.setdiff1d(np.arange(n_lists, dtype=np.int64), validation)
    return replace(inputs.take(training), validation=data.take(validation))


def sample_rows(inputs: FitInputs, n_rows: int, seed: int) -> FitInputs:
    """Training lists of about `n_rows` rows, in memory; the inputs themselves if they have no more."""
    lists = inputs.training.lists
    rng = np.random.default_rng([seed, 3])
    which = labelled_lists(inputs.training.Y, lists.offsets, n_rows, rng, list_weight=inputs.list_weight)
    return inputs if len(which) == lists.n_lists else inputs.take_into_memory(which)


def few_rows(data: LabelledLists, seed: int) -> GroupedFeatures:
    """Features of a few lists, in memory; the last of them may be cut."""
    which = some_lists(data.lists.sizes, FEW_ROWS, np.random.default_rng([seed, 4]))
    rows, lists = data.lists.take(which)
    rows, ends = rows[:FEW_ROWS], np.minimum(lists.offsets, FEW_ROWS)
    X = np.asarray(take_rows(data.X, rows))
    return GroupedFeatures(
        X,
        QueryLists.from_sizes(np.diff(ends)[np.diff(ends) > 0]),
        X if data.is_shared else take_rows(data.frame, rows),
        None if data.ref_scores is None else data.ref_scores[rows],
    )


def some_lists(
    sizes: NDArray[np.int64], n_rows: int, rng: np.random.Generator, *, n_lists: int | None = None
) -> NDArray[np.int64]:
    """Numbers of lists at random, in random order, that together have about `n_rows` rows."""
    order = rng.permutation(len(sizes)).astype(np.int64)[:n_lists]
    ends = np.cumsum(sizes[order])
    n_fit = int(np.searchsorted(ends, n_rows, side="right"))
    has_enough = n_fit > 0 and 2 * ends[n_fit - 1] >= n_rows
    return order[: n_fit if has_enough else n_fit + 1]


def labelled_lists(
    Y: NDArray[np.float32],
    offsets: NDArray[np.int64],
    n_rows: int,
    rng: np.random.Generator,
    *,
    list_weight: NDArray[np.float64] | None = None,
) -> NDArray[np.int64]:
    """The same in their own order, with labels of every objective that has any."""
    sizes = np.diff(offsets)
    if len(Y) <= n_rows:
        return np.arange(len(sizes), dtype=np.int64)
    counts = np.ones(len(sizes), dtype=bool)
    if list_weight is not None and list_weight.any():
        counts = list_weight > 0
    counting = np.flatnonzero(counts)
    chosen = counting[some_lists(sizes[counting], n_rows, rng)]
    observed = np.logical_or.reduceat(~np.isnan(Y), offsets[:-1], axis=0) & counts[:, None]
    for j in np.flatnonzero(~observed[chosen].any(axis=0)):
        known = np.flatnonzero(observed[:, j])
        if len(known):
            # An objective with labels in few lists could be missing from the sample.
            extra = some_lists(sizes[known], n_rows // (2 * Y.shape[1]), rng)
            chosen = np.concatenate([chosen, known[extra]])
    return np.unique(chosen)


def score_in_chunks(
    data: GroupedFeatures, score: Callable[[GroupedFeatures], NDArray[np.floating[Any]]]
) -> NDArray[np.floating[Any]]:
    """Scores of grouped rows: at once, or of rows in a mapped file by chunks of whole lists.

    A document's score does not depend on the lists that are scored with its own, so the result is the same.
    """
    X = data.X
    if not isinstance(X, MappedRows):
        return score(data)
    scores = []
    for rows, lists in data.lists.in_place.runs(max(1, CHUNK_BYTES // max(1, X.nbytes // len(X)))):
        features = X[rows]
        chunk = GroupedFeatures(
            X=features,
            lists=lists,
            frame=features if data.is_shared else data.frame[rows],
            ref_scores=None if data.ref_scores is None else data.ref_scores[rows],
        )
        scores.append(score(chunk))
    return np.concatenate(scores)


def summarize_data(
    X: FeatureRows, Y: NDArray[np.float32], lists: QueryLists, names: Sequence[str]
) -> dict[str, Any]:
    """Count rows and queries, and describe list sizes, missing features and labels of each objective.

    Of the labels ``observed`` is the share of all rows, ``positive`` the share of the observed ones.
    """
    n_sampled = min(len(X), max(1, SAMPLE_ENTRIES // X.shape[1]))
    sample = X[np.linspace(0, len(X) - 1, n_sampled).astype(np.int64)]
    sizes = lists.sizes
    return {
        "n_rows": len(X),
        "n_queries": int(lists.n_lists),
        "list_size": {"min": int(sizes.min()), "median": float(np.median(sizes)), "max": int(sizes.max())},
        "missing": float(np.isnan(sample).mean()),
        "labels": {name: _labels(column) for name, column in zip(names, Y.T, strict=True)},
    }


def refuse_forgotten_qid(X: Any, name: str) -> None:
    """Refuse to fit many rows without query ids, which would be the list of one query."""
    n_rows = n_rows_of(X)
    if n_rows > MAX_ROWS_WITHOUT_QID:
        raise ValueError(
            f"{name} has {n_rows:,} rows and no query ids: documents are ranked within their query, so pass "
            "qid= (one id per row; of group sizes QueryLists.from_sizes(group).qid) or a frame with a column "
            "'qid'. If all rows are documents of one query, say so with one id for all: qid=np.zeros(len(X))."
        )


def warn_of_other_units(
    estimator: BaseEstimator, Y: NDArray[np.float32], names: Sequence[str], name: str
) -> None:
    """Warn of labels that look like those of fit in other units, such as raw counts beside grades."""
    summary = (getattr(estimator, "data_summary_", None) or {}).get("labels", {})
    others = []
    for objective, column in zip(names, Y.T, strict=True):
        known, labels = summary.get(objective, {}), _labels(column)
        if not known.get("positive") or not labels.get("positive"):
            continue
        ratios = [
            labels["max"] / known["max"],
            labels["mean"] / labels["positive"] / (known["mean"] / known["positive"]),
        ]
        if min(ratios) > SAME_UNIT or max(ratios) < 1 / SAME_UNIT:
            others.append(f"{objective!r} goes up to {labels['max']:,g}, and up to {known['max']:,g} in fit")
    if others:
        warnings.warn(
            f"labels in {name} look like other units than in fit ({'; '.join(others)}): metrics of them "
            "would mean something else. Bring them to the units of fit, such as grades "
            "(hyperrank.datasets.quantile_grades; --grade).",
            UserWarning,
            stacklevel=4,
        )


def warn_of_counts(summary: dict[str, Any], metric: Metric, loss: ListLoss | None = None) -> None:
    """Warn of labels that are no grades, such as counts or seconds, where gains are 2 to their power."""
    large = {name: known["max"] for name, known in summary["labels"].items() if known["max"] > MAX_GRADE}
    gain = getattr(loss, "gain", None) or getattr(loss, "keywords", {}).get("gain")
    exp2_gains = ["loss"] if gain == "exp2" else []
    if metric.name == "ndcg":
        options = dict(metric.options)
        convention = CONVENTIONS.get(options.get("convention", ""), Convention())
        exp2_gains += ["metric"] if options.get("gain", convention.gain) == "exp2" else []
    if large and exp2_gains:
        name, highest = max(large.items(), key=lambda item: item[1])
        warnings.warn(
            f"labels of {sorted(large)} look like counts or amounts ({name!r} goes up to {highest:,g}), and "
            f"gains of the {' and the '.join(exp2_gains)} are 2**label - 1: the highest labels alone would "
            "count. Make grades of them (hyperrank.datasets.quantile_grades; --grade), or take linear gains: "
            "gain='linear' of the loss, metric='ndcg(gain=linear)@10'.",
            UserWarning,
            stacklevel=4,
        )


def warn_of_one_list(estimator: BaseEstimator, X: Any, name: str) -> None:
    """Warn where rows without query ids, one list by the rules, are too many for one of the lists of fit."""
    summary = getattr(estimator, "data_summary_", None)
    n_rows = n_rows_of(X)
    if not summary or summary["n_queries"] < 2 or n_rows <= MUCH_LONGER * summary["list_size"]["max"]:
        return
    warnings.warn(
        f"{name} has {n_rows:,} rows without query ids, and they are taken as the list of one query; the "
        f"longest list in fit had {summary['list_size']['max']:,}. If they are of several queries, pass qid= "
        "or a frame with a column 'qid'.",
        UserWarning,
        stacklevel=2,
    )


def _labels(column: NDArray[np.float32]) -> dict[str, float]:
    known = column[~np.isnan(column)]
    if not len(known):
        return {"observed": 0.0}
    return {
        "observed": len(known) / len(column),
        "mean": float(known.mean(dtype=np.float64)),
        "max": float(known.max()),
        "positive": float((known > 0).mean()),
    }
