from collections.abc import Iterator

import pandas as pd
import pytest
import sklearn

from hyperrank import datasets
from hyperrank.datasets import RankingData


@pytest.fixture
def routing() -> Iterator[None]:
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.fixture(scope="session")
def lists() -> RankingData:
    return datasets.make_multilabel_ranking(
        n_queries=24, list_size=(3, 9), n_features=4, n_objectives=2, conflict=0.7, random_state=5
    )


@pytest.fixture(scope="session")
def frame(lists: RankingData) -> pd.DataFrame:
    """The features with the query ids, in the same order, beside them."""
    return pd.DataFrame(lists.X, columns=list("abcd")).assign(qid=[f"query {q:02d}" for q in lists.qid])
