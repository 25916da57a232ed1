"""Data sets for ranking by several objectives: readers, a store on disk, real data, a generator."""

from .converting import convert
from .fetching import FetchError
from .grades import quantile_grades
from .letor import load_letor
from .mslr import fetch_mslr_sample
from .ranking_data import RankingData
from .store import Store, open_store
from .store_format import StoreError
from .synthetic import make_multilabel_ranking
from .table import load_table

__all__ = [
    "FetchError",
    "RankingData",
    "Store",
    "StoreError",
    "convert",
    "fetch_mslr_sample",
    "load_letor",
    "load_table",
    "make_multilabel_ranking",
    "open_store",
    "quantile_grades",
]
