"""Reports of ir-measures for arrays of scores and labels."""

from __future__ import annotations

import subprocess
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hyperrank.lists import QueryLists, ranks_within_lists
from hyperrank.metrics._blocks import Inputs, check_inputs

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class MeasureReport:
    """Measures of one ranking by ir-measures, made by `ir_measures_report`.

    Parameters
    ----------
    mean : dict of str to float
        Each measure over all queries, averaged as ir-measures does.
    per_query : dict of str to ndarray of shape (n_lists,)
        Each measure by query; NaN for a query without any observed label.
    ids : ndarray of shape (n_lists,)
        The queries, in the order in which they first appear.

    Examples
    --------
    >>> from hyperrank.metrics import ir_measures_report
    >>> report = ir_measures_report([2.0, 1.0, 3.0], [1, 0, 0], qid=[7, 7, 8], measures=["nDCG@10"])
    >>> report.ids.tolist()
    [7, 8]
    """

    mean: dict[str, float]
    per_query: dict[str, NDArray[np.float64]]
    ids: NDArray[Any]


def ir_measures_report(
    scores: ArrayLike,
    labels: ArrayLike,
    measures: Sequence[str] = ("nDCG@10", "AP", "RR"),
    *,
    qid: ArrayLike | QueryLists | None = None,
) -> MeasureReport:
    """Evaluate one column of scores against one objective by ir-measures.

    Of equal scores the earlier row ranks first, as in :func:`ndcg` with ``ties="order"``. ir-measures itself
    reads scores as 32-bit floats and breaks ties by document id, upwards for RR@k and downwards for the rest;
    it is given ranks in place of scores, so that neither matters.

    Parameters
    ----------
    scores : array-like of shape (n,)
        Scores of the documents, finite.
    labels : array-like of shape (n,)
        Whole numbers from 0, as ints or floats; NaN is unobserved and taken out.
    measures : sequence of str, default ("nDCG@10", "AP", "RR")
        Names that ir-measures knows, such as ``"nDCG(dcg='exp-log2')@10"``, ``"P(rel=2)@5"``, ``"ERR@20"``.
        It computes the first and the last by a Perl script that rounds to five decimals and takes labels up
        to 4.
    qid : array-like of shape (n,), QueryLists or None
        Query ids in any order; None makes one list of all documents.

    Returns
    -------
    MeasureReport

    Raises
    ------
    ValueError
        If the inputs are not one-dimensional, a label is no whole number, or ir-measures does not know a
        measure or cannot compute it.

    References
    ----------
    MacAvaney, Macdonald & Ounis: Streamlining evaluation with ir-measures. ECIR 2022.

    Examples
    --------
    >>> scores, labels = [3.0, 2.0, 1.0, 5.0], [0, 2, 1, 0]
    >>> report = ir_measures_report(scores, labels, ["RR", "P@2"], qid=["a", "a", "a", "b"])
    >>> report.mean
    {'RR': 0.25, 'P@2': 0.25}
    >>> report.per_query["RR"].tolist()
    [0.5, 0.0]
    """
    if np.ndim(scores) != 1 or np.ndim(labels) != 1:
        raise ValueError(
            f"scores have shape {np.shape(scores)} and labels {np.shape(labels)}: a report takes "
            "(n,) and (n,), one trade-off and one objective at a time."
        )
    inputs = check_inputs(scores, labels, qid)
    qrels, run = _as_frames(inputs)
    per_query = {name: np.full(inputs.lists.n_lists, np.nan) for name in measures}
    if qrels.empty:
        return MeasureReport(dict.fromkeys(measures, float("nan")), per_query, inputs.lists.ids)
    parsed = [_parse(name) for name in measures]
    results = _calculate(parsed, qrels, run)
    names = dict(zip(parsed, measures, strict=True))
    for result in results.per_query:
        per_query[names[result.measure]][int(result.query_id)] = result.value
    mean = {names[measure]: float(value) for measure, value in results.aggregated.items()}
    return MeasureReport({name: mean[name] for name in measures}, per_query, inputs.lists.ids)


def _as_frames(inputs: Inputs) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Labels and ranks as ir-measures takes them; queries are named by their number, which gdeval needs."""
    import pandas as pd

    (subset,) = inputs.subsets()
    labels = subset.labels[:, 0]
    broken = np.flatnonzero(labels != np.floor(labels))
    if len(broken):
        raise ValueError(
            f"ir-measures takes whole numbers as labels; got {labels[broken[0]]:g} ({len(broken)} such in "
            "all). Grade the labels first, or use hyperrank.metrics.ndcg, which takes any label."
        )
    # A rank from the bottom stands for the score; 32 bits hold those of a list below 2^24 documents.
    lists = subset.lists
    from_bottom = (lists.sizes - 1)[lists.index] - ranks_within_lists(subset.scores[:, 0], lists)
    named = pd.DataFrame({"query_id": lists.index, "doc_id": np.arange(len(labels))}).astype(str)
    return named.assign(relevance=labels.astype(int)), named.assign(score=from_bottom.astype(np.float64))


def _parse(name: str) -> Any:
    import ir_measures

    try:
        with warnings.catch_warnings():
            # ir-measures 0.4 reads names with parts of `ast` that Python 3.12 deprecates.
            warnings.simplefilter("ignore", DeprecationWarning)
            return ir_measures.parse_measure(name)
    except (ValueError, NameError) as error:
        raise ValueError(f"ir-measures does not know the measure {name!r}: {error}.") from error


def _calculate(measures: list[Any], qrels: Any, run: Any) -> Any:
    import ir_measures

    try:
        return ir_measures.calc(measures, qrels, run)
    except subprocess.CalledProcessError as error:
        raise ValueError(
            "ir-measures hands ERR and nDCG(dcg='exp-log2') to gdeval, which failed; it takes labels "
            "up to 4. hyperrank.metrics.err and ndcg take any."
        ) from error
