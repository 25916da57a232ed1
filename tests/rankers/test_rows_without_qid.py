"""Rows that come without query ids are one list; where that is unlikely, a warning says so."""

import warnings

import numpy as np
import pandas as pd
import pytest

import hyperrank
from hyperrank import HyperDPORanker, MixedScoresRanker, PerRow, datasets
from hyperrank.networks import MLP

QUICK = {"reference": None, "network": MLP(hidden=(4,)), "max_epochs": 1, "device": "cpu"}
DATA = datasets.make_multilabel_ranking(n_queries=12, list_size=5, n_objectives=2, random_state=0)


def fitted():
    return HyperDPORanker(**QUICK).fit(DATA.X, DATA.Y, qid=DATA.qid)


@pytest.fixture(scope="module")
def ranker():
    return fitted()


ASKED = {
    "predict": lambda r: r.predict(DATA.X),
    "predict by trade-off": lambda r: r.predict(DATA.X, weights=[[1, 0], [0, 1]]),
    "predict, a weight per row": lambda r: r.predict(DATA.X, weights=PerRow(np.tile([0.25, 0.75], (60, 1)))),
    "score": lambda r: r.score(DATA.X, DATA.Y),
    "front": lambda r: r.pareto_front(DATA.X, DATA.Y),
}


@pytest.mark.parametrize("name", ASKED)
def test_many_rows_without_query_ids_raise_a_question(ranker, name):
    with pytest.warns(UserWarning, match=r"has 60 rows without query ids.*longest list in fit had 5\."):
        ASKED[name](ranker)


def test_other_rankers_and_loaded_ones_do_too(ranker, tmp_path):
    mixed = MixedScoresRanker().fit(DATA.X, DATA.Y, qid=DATA.qid)
    for one in (hyperrank.load(ranker.save(tmp_path / "model")), mixed):
        with pytest.warns(UserWarning, match="60 rows without query ids"):
            one.score(DATA.X, DATA.Y)
    assert np.array_equal(mixed.predict(DATA.X), mixed.predict(DATA.X, qid=DATA.qid))  # and nothing is said


def test_nothing_is_said_where_ids_are_given_or_one_list_is_likely(ranker):
    frame = pd.DataFrame(DATA.X).rename(columns=str).assign(qid=DATA.qid)
    alone = HyperDPORanker(**QUICK).fit(DATA.X[:5], DATA.Y[:5])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ranker.predict(DATA.X, qid=DATA.qid)
        ranker.predict(DATA.X[:20])
        alone.predict(DATA.X)
        HyperDPORanker(**QUICK).fit(frame, DATA.Y).predict(frame)
    with pytest.warns(UserWarning, match="21 rows"):
        ranker.predict(DATA.X[:21])
