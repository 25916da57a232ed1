"""Files written by an earlier version load, and give the scores that they gave then."""

import json

import numpy as np
import pytest
from freeze import FILE_SCORES, FILES, INPUTS, STORE, scores_of, tiny_data

import hyperrank
from hyperrank import datasets

FROZEN = json.loads(FILE_SCORES.read_text())


@pytest.mark.parametrize("name", FROZEN)
def test_saved_rankers_score_as_they_did(name):
    with np.load(INPUTS) as inputs:
        X, qid = inputs["X"], inputs["qid"]
    ranker = hyperrank.load(FILES / f"{name}.safetensors")
    np.testing.assert_allclose(scores_of(ranker, X, qid), FROZEN[name], rtol=1e-5, atol=1e-6)


def test_a_store_opens_as_it_was():
    store, data = datasets.open_store(STORE), tiny_data()
    store.verify()
    assert np.array_equal(store.X, data.X, equal_nan=True)
    assert np.array_equal(store.load().Y, data.Y)
    assert np.array_equal(store.qid, data.qid)
    assert store.names == data.names
