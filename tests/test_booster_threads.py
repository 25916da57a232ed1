"""Threads that grow and score boosters: as many as asked for, and the same boosters."""

import numpy as np
import pytest

from hyperrank.boosters import booster_text, booster_threads, fit_booster
from hyperrank.boosters import training as growing
from hyperrank.boosters.scoring import requested_threads, scoring_threads
from hyperrank.lists import QueryLists


@pytest.fixture
def seen(monkeypatch):
    """What LightGBM is asked for, where all data count as large."""
    import lightgbm

    asked = []
    train = lightgbm.train

    def looked(settings, *args, **options):
        asked.append(settings.get("num_threads"))
        return train(settings, *args, **options)

    monkeypatch.setattr(growing, "ONE_THREAD_ENTRIES", 0)
    monkeypatch.setattr(lightgbm, "train", looked)
    return asked


def grown(**params):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 5)).astype(np.float32)
    lists = QueryLists.from_sizes(np.full(20, 20))
    params = {"num_boost_round": 3, **params}
    return booster_text(fit_booster(X, rng.integers(0, 3, 400), lists, params=params)).split("parameters:")[0]


def test_boosters_on_much_data_take_the_threads_asked_for_and_do_not_depend_on_them(seen):
    texts = [grown()]
    for n in (1, 2):
        with booster_threads(n):
            texts.append(grown())
            assert scoring_threads() == n
    assert seen == [None, 1, 2]
    assert len(set(texts)) == 1
    assert requested_threads() is None


def test_what_the_caller_sets_counts_more(seen):
    with booster_threads(2):
        grown(n_jobs=1)
    assert seen == [1]
