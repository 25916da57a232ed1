"""Ranking metrics on ragged lists, and the quality of fronts.

Every metric has one call: ``metric(scores, labels, qid=..., k=...)`` with scores (n,) or (n, K), one column
per trade-off, and labels (n,) or (n, m), one column per objective, gives the mean over lists, shape (K, m).

==================================  ======================================================================
:func:`ndcg`                        normalised discounted cumulative gain, its conventions named
:func:`mrr`                         mean reciprocal rank
:func:`average_precision`           average precision; its mean is MAP
:func:`precision`                   precision at k
:func:`err`                         expected reciprocal rank
:class:`Metric`, `parse_metric`     a metric by name: ``"ndcg@10"``
:func:`register_metric`             a metric of your own under a name
:data:`CONVENTIONS`                 NDCG as LightGBM, XGBoost, CatBoost, scikit-learn, ir-measures mean it
:func:`hypervolume`                 volume dominated by a front
:func:`non_dominated`               the points of a front that nothing dominates
:func:`ir_measures_report`          values of ir-measures for the same arrays
==================================  ======================================================================
"""

from hyperrank.metrics.binary import average_precision, mrr, precision
from hyperrank.metrics.ir_measures import MeasureReport, ir_measures_report
from hyperrank.metrics.ndcg import CONVENTIONS, Convention, err, ndcg
from hyperrank.metrics.pareto import hypervolume, non_dominated
from hyperrank.metrics.registry import Metric, parse_metric, register_metric

__all__ = [
    "CONVENTIONS",
    "Convention",
    "MeasureReport",
    "Metric",
    "average_precision",
    "err",
    "hypervolume",
    "ir_measures_report",
    "mrr",
    "ndcg",
    "non_dominated",
    "parse_metric",
    "precision",
    "register_metric",
]
