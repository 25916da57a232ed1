"""A ranker behind the example's server."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pandas as pd
import pytest
from served_process import MAX_BYTES, MAX_DOCUMENTS, PATIENCE, Running, serving

from hyperrank import HyperDPORanker, MixedScoresRanker, datasets
from hyperrank.networks import MLP
from hyperrank.rankers.base import BaseRanker


@pytest.fixture(scope="session")
def data() -> datasets.RankingData:
    return datasets.make_multilabel_ranking(
        n_queries=40, list_size=(5, 30), n_features=6, n_objectives=2, conflict=0.7, random_state=3
    )


@pytest.fixture(scope="session")
def ranker(data) -> HyperDPORanker:
    ranker = HyperDPORanker(
        objectives=("relevance", "clicks"),
        max_epochs=2,
        network=MLP(hidden=(16, 16), dropout=0.0),
        beta=1.0,
        random_state=0,
    )
    return ranker.fit(data.X, data.Y, qid=data.qid)


@pytest.fixture(scope="session")
def named(data) -> MixedScoresRanker:
    """Fitted on a frame, and of a class that knows no temperature."""
    frame = pd.DataFrame(data.X, columns=[f"f{j}" for j in range(data.X.shape[1])])
    return MixedScoresRanker(objectives=("quality", "margin"), random_state=0).fit(
        frame, data.Y, qid=data.qid
    )


@pytest.fixture(scope="session")
def saved(ranker: BaseRanker, tmp_path_factory) -> Path:
    return ranker.save(tmp_path_factory.mktemp("saved") / "model.safetensors")


@pytest.fixture(scope="session")
def server(saved) -> Iterator[Running]:
    with serving(saved, max_bytes=MAX_BYTES, max_documents=MAX_DOCUMENTS) as running:
        yield running


@pytest.fixture(scope="session")
def client(server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=PATIENCE) as client:
        yield client


@pytest.fixture(scope="module")
def tight(ranker, tmp_path_factory) -> Iterator[Running]:
    """A server with two places, and little patience."""
    path = ranker.save(tmp_path_factory.mktemp("tight") / "model.safetensors")
    with serving(path, threads=1, max_waiting=1, body_seconds=3, reload_seconds=0.1) as running:
        yield running
