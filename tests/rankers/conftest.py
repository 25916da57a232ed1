import pytest

from hyperrank import HyperDPORanker, datasets
from hyperrank.datasets import RankingData
from hyperrank.networks import MLP


@pytest.fixture(scope="session")
def small() -> RankingData:
    return datasets.make_multilabel_ranking(
        n_queries=60, list_size=(3, 30), n_features=8, n_objectives=2, conflict=0.7, random_state=3
    )


@pytest.fixture(scope="session")
def unseen() -> RankingData:
    return datasets.make_multilabel_ranking(
        n_queries=20, list_size=(3, 30), n_features=8, n_objectives=2, conflict=0.7, random_state=4
    )


@pytest.fixture(scope="session")
def fitted(small: RankingData) -> HyperDPORanker:
    ranker = HyperDPORanker(
        objectives=("relevance", "clicks"), max_epochs=6, network=MLP(hidden=(16, 16)), random_state=0
    )
    return ranker.fit(small.X, small.Y, qid=small.qid)
