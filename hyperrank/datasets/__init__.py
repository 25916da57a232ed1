"""Data sets for ranking by several objectives: readers, a store on disk, real data, a generator."""

from hyperrank.datasets.convert import convert
from hyperrank.datasets.fetch import FetchError, fetch_movielens_100k, fetch_mslr_sample
from hyperrank.datasets.letor import load_letor
from hyperrank.datasets.ranking_data import RankingData, quantile_grades
from hyperrank.datasets.store import Store, StoreError, open_store
from hyperrank.datasets.synthetic import make_multilabel_ranking, make_user_item_ranking
from hyperrank.datasets.table import load_table

__all__ = [
    "FetchError",
    "RankingData",
    "Store",
    "StoreError",
    "convert",
    "fetch_movielens_100k",
    "fetch_mslr_sample",
    "load_letor",
    "load_table",
    "make_multilabel_ranking",
    "make_user_item_ranking",
    "open_store",
    "quantile_grades",
]
