"""Data, a process that dies, and what it leaves."""

import pytest
from small_fits import TINY, KilledError, fit, validation

from hyperrank import CheckpointFile, HyperDPORanker, datasets
from hyperrank.training import Checkpoint


@pytest.fixture(scope="module")
def data():
    return datasets.make_multilabel_ranking(
        n_queries=40, list_size=(2, 12), n_features=5, n_objectives=2, random_state=0
    )


@pytest.fixture(scope="module")
def many():
    """Enough queries for tuning."""
    return datasets.make_multilabel_ranking(
        n_queries=100, list_size=(2, 8), n_features=5, n_objectives=2, random_state=0
    )


@pytest.fixture
def dying(monkeypatch):
    """Ends a process when it has written its checkpoint so many times."""
    left = [0]
    write = Checkpoint._write

    def and_die(self, training):
        write(self, training)
        left[0] -= 1
        if left[0] == 0:
            raise KilledError

    monkeypatch.setattr(Checkpoint, "_write", and_die)
    return left


@pytest.fixture
def unfinished(data, tmp_path, dying):
    path = tmp_path / "fit"
    dying[0] = 3
    with pytest.raises(KilledError):
        fit(HyperDPORanker(**TINY, checkpoint=CheckpointFile(path, every=0)), data, **validation(data))
    dying[0] = -1
    return path
