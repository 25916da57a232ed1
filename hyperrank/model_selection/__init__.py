"""Cross-validation and searches: splitters that keep queries whole, and scorers for rankers.

==========================================  ======================================================
:class:`~hyperrank.QueryKFold`              folds of whole queries
:class:`~hyperrank.QueryShuffleSplit`       random splits of whole queries
:func:`~hyperrank.make_ranking_scorer`      a metric of one objective, or of all, at one trade-off
:func:`~hyperrank.make_hypervolume_scorer`  hypervolume of the front over many trade-offs
==========================================  ======================================================
"""

from hyperrank.model_selection.scorers import make_hypervolume_scorer, make_ranking_scorer
from hyperrank.model_selection.splitters import QueryKFold, QueryShuffleSplit

__all__ = ["QueryKFold", "QueryShuffleSplit", "make_hypervolume_scorer", "make_ranking_scorer"]
