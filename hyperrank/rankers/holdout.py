"""Which lists train, which stop the training, and how much each counts."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hyperrank.lists import QueryLists
from hyperrank.rankers.inputs import LabelledLists, read_labelled
from hyperrank.rankers.labels import read_scores
from hyperrank.rankers.options import check_number

__all__ = ["hold_out", "one_validation", "read_list_weight", "read_validation"]

#: Lists from which on some are held out to stop training by, unless told otherwise. With fewer, not to see
#: them costs more than a noisy validation front gains: on MQ2008's 627 training queries 0.6% of hypervolume.
MIN_LISTS_TO_HOLD_OUT = 1000


def one_validation(
    X_val: Any, y_val: Any, qid_val: Any, eval_set: Any, eval_qid: Any
) -> tuple[Any, Any, Any]:
    """Validation data under either of their names: X_val, y_val, qid_val, or eval_set and eval_qid.

    Raises
    ------
    ValueError
        If they are given under both, or `eval_set` is not one pair of features and labels.
    """
    if eval_set is None and eval_qid is None:
        return X_val, y_val, qid_val
    if any(given is not None for given in (X_val, y_val, qid_val)):
        raise ValueError(
            "validation data were given as X_val and as eval_set or eval_qid: use one of the two."
        )
    pairs = eval_set if isinstance(eval_set, list) else [eval_set]
    if len(pairs) != 1 or not isinstance(pairs[0], tuple | list) or len(pairs[0]) != 2:
        raise ValueError("eval_set must be one pair (X_val, y_val), or a list of one such pair.")
    (features, labels), ids = pairs[0], eval_qid
    if isinstance(ids, list | tuple) and len(ids) == 1:
        of_rows = hasattr(ids[0], "__len__") and not isinstance(ids[0], str | bytes)
        ids = ids[0] if of_rows else ids  # the one pair has a single row
    return features, labels, ids


def read_validation(
    estimator: Any,
    X_val: Any,
    y_val: Any,
    qid_val: Any,
    ref_scores_val: Any,
    *,
    names: tuple[str, ...],
    n_rows: int,
) -> LabelledLists | None:
    """Check validation data against the training data; None where there are none.

    Parameters
    ----------
    estimator : BaseEstimator
        That knows the features.
    X_val, y_val, qid_val, ref_scores_val
        As the caller gave them.
    names : tuple of str
        The objectives.
    n_rows : int
        Training rows.

    Raises
    ------
    ValueError
        If they are given in part, or do not fit the training data.

    Warns
    -----
    UserWarning
        If they have as many rows as the training data, which is what a search makes of validation data
        that were as long as the whole data set: it cuts them like training rows.
    """
    if X_val is None:
        if y_val is not None or qid_val is not None or ref_scores_val is not None:
            raise ValueError("y_val, qid_val or ref_scores_val were given without X_val.")
        return None
    if y_val is None:
        raise ValueError("X_val was given without y_val: pass both, or neither.")
    data = read_labelled(
        estimator,
        X_val,
        y_val,
        qid_val,
        reset=False,
        objectives=names if hasattr(y_val, "columns") else None,
        ref_scores=ref_scores_val,
        suffix="_val",
    )
    if data.Y.shape[1] != len(names):
        raise ValueError(f"y_val has {data.Y.shape[1]} objectives, but y has {len(names)}: {list(names)}.")
    if len(data.X) == n_rows:
        warnings.warn(
            f"X_val has exactly as many rows as X ({n_rows}). If this fit is part of a scikit-learn search, "
            "the search cut X_val like the training rows and this is not what you passed: drop a row of it.",
            UserWarning,
            stacklevel=4,
        )
    return data


def hold_out(
    estimator: Any, data: LabelledLists, given: LabelledLists | None, *, rng: np.random.Generator
) -> tuple[LabelledLists | None, NDArray[np.int64]]:
    """Decide by ``early_stopping`` what training is stopped by.

    Parameters
    ----------
    estimator : HyperDPORanker or LinearScalarizationRanker
        Whose ``early_stopping`` and ``validation_fraction`` are read.
    data : LabelledLists
        All rows given to fit.
    given : LabelledLists or None
        Validation data of the caller's.
    rng : numpy.random.Generator
        Picks lists to hold out.

    Returns
    -------
    held : LabelledLists or None
        What to stop by.
    kept : ndarray of int64
        Numbers of the lists to train on.

    Raises
    ------
    ValueError
        If an option is unknown, or there is too little to hold out.
    """
    wanted = estimator.early_stopping
    if wanted not in (True, False, "auto"):
        raise ValueError(f"early_stopping must be True, False or 'auto'; got {wanted!r}.")
    n_lists = data.lists.n_lists
    everything = np.arange(n_lists, dtype=np.int64)
    share = check_number("validation_fraction", estimator.validation_fraction, above=0, below=1)
    if wanted is False or given is not None:
        return (given if wanted is not False else None), everything
    if wanted == "auto" and n_lists < MIN_LISTS_TO_HOLD_OUT:
        return None, everything
    if n_lists < 2:
        raise ValueError(
            "early_stopping=True needs X_val, or at least 2 queries to hold one out; "
            f"qid names {n_lists}, of {data.lists.n_rows} sample(s)."
        )
    shuffled = rng.permutation(n_lists).astype(np.int64)
    # For each objective the last list with a label stays, so that there is something to learn it from.
    observed = np.logical_or.reduceat(~np.isnan(data.Y), data.lists.offsets[:-1], axis=0)[shuffled]
    spare = np.delete(shuffled, n_lists - 1 - observed[::-1].argmax(axis=0))
    if len(spare) == 0:
        raise ValueError(
            "early_stopping=True needs X_val: y has no query that its objectives can do without."
        )
    held = spare[: max(1, round(share * n_lists))]
    return data.take(np.sort(held)), np.setdiff1d(everything, held)


def read_list_weight(query_weight: ArrayLike | None, lists: QueryLists) -> NDArray[np.float64] | None:
    """One weight per list from one per row.

    Raises
    ------
    ValueError
        If a weight is negative, rows of one query differ, or all are 0.
    """
    if query_weight is None:
        return None
    rows = lists.group(read_scores(query_weight, lists.n_rows, name="query_weight"))
    if (rows < 0).any():
        raise ValueError(f"query_weight must not be negative; got {rows.min()}.")
    per_list = rows[lists.offsets[:-1]]
    differs = np.flatnonzero(rows != per_list[lists.index])
    if len(differs):
        query = lists.ids[lists.index[differs[0]]]
        raise ValueError(f"query_weight differs between rows of query {query}: give its rows one weight.")
    if not per_list.any():
        raise ValueError("query_weight is 0 for every query: nothing would be learnt.")
    return np.asarray(per_list)
