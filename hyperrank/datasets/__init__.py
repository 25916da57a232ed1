"""Data sets for ranking by several objectives: readers, real data, a generator."""

from .fetching import FetchError
from .grades import quantile_grades
from .letor import load_letor
from .mslr import fetch_mslr_sample
from .ranking_data import RankingData
from .synthetic import make_multilabel_ranking

__all__ = [
    "FetchError",
    "RankingData",
    "fetch_mslr_sample",
    "load_letor",
    "make_multilabel_ranking",
    "quantile_grades",
]
