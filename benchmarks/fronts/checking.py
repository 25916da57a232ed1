"""Verification of a run's metric values by ir-measures."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperrank.datasets import RankingData
from hyperrank.metrics import ir_measures_report

__all__ = ["TOLERANCE", "compare_with_ir_measures"]

#: Differences above this are not rounding.
TOLERANCE = 1e-9
#: Seconds that a run may spend on this; beyond, the corners alone are checked.
MAX_SECONDS = 0.5


def compare_with_ir_measures(
    scores: NDArray[Any],
    test: RankingData,
    points: NDArray[np.float64],
    weights: NDArray[np.float64],
    *,
    max_seconds: float = MAX_SECONDS,
) -> dict[str, Any]:
    """The largest difference between NDCG@10 of ours and of ir-measures.

    Parameters
    ----------
    scores : ndarray of shape (n, k)
        Scores of the test documents at k trade-offs.
    test : RankingData
    points : ndarray of shape (k, m)
        Our NDCG@10, gains 2^z - 1, lists without a label above 0 skipped.
    weights : ndarray of shape (k, m)
        Their corners are what is compared at least.
    max_seconds : float, default 0.5
        How long all points may take, estimated from the first.

    Returns
    -------
    dict
        ``compared`` values and the ``largest_difference`` among them.
    """
    started = time.perf_counter()
    differences = [abs(_value(scores[:, 0], test, 0) - points[0, 0])]
    seconds = time.perf_counter() - started
    rows: list[int] = list(range(len(weights)))
    if seconds * points.size > max_seconds:
        rows = np.unique(weights.argmax(axis=0)).tolist()
    cells = [(row, j) for row in rows for j in range(points.shape[1]) if (row, j) != (0, 0)]
    differences += [abs(_value(scores[:, row], test, j) - points[row, j]) for row, j in cells]
    return {"compared": len(differences), "largest_difference": float(max(differences))}


def _value(scores: NDArray[Any], test: RankingData, objective: int) -> float:
    """NDCG@10 by ir-measures, whose gains are labels as they are: labels are given as gains."""
    gains = np.exp2(test.Y[:, objective].astype(np.float64)) - 1
    values = ir_measures_report(scores, gains, ["nDCG@10"], qid=test.qid).per_query["nDCG@10"]
    _, number = np.unique(_by_first_row(test.qid), return_inverse=True)
    counts = np.bincount(number, weights=np.nan_to_num(gains) > 0) > 0
    return float(values[counts].mean())


def _by_first_row(qid: NDArray[Any]) -> NDArray[np.int64]:
    """Number of each row's query in the order in which queries first appear."""
    _, first, inverse = np.unique(qid, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]
