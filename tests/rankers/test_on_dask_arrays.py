"""Bulk predictions on Dask arrays."""

import dask
import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest

from hyperrank import HyperDPORanker, datasets

W = [[1.0, 0.0], [0.5, 0.5], [0.2, 0.8]]
ONE = [0.7, 0.3]
SHORT = {
    "max_epochs": 1,
    "hidden": (16, 16),
    "booster_params": {"num_boost_round": 5},
    "n_jobs": 1,
    "random_state": 0,
}


@pytest.fixture(scope="module", autouse=True)
def _in_this_thread():
    with dask.config.set(scheduler="sync"):
        yield


@pytest.fixture(scope="module")
def data():
    return datasets.make_multilabel_ranking(
        n_queries=40, list_size=(1, 12), n_features=8, n_objectives=2, random_state=3
    )


@pytest.fixture(scope="module")
def ranker(data):
    """A ranker that looks at lists, fitted on arrays."""
    return HyperDPORanker(query_standardize=True, **SHORT).fit(data.X, data.Y, qid=data.qid)


def test_whole_queries(ranker, data):
    edges = np.flatnonzero(np.diff(data.qid, prepend=-1))[[0, 9, 20]]
    X = da.from_array(data.X, chunks=((*np.diff(edges), len(data.X) - edges[-1]), 2))
    for weights in (ONE, W):
        found = ranker.predict_dask(X, qid=da.from_array(data.qid, chunks=50), weights=weights)
        assert found.chunks[0] == X.chunks[0]
        wanted = ranker.predict(data.X, qid=data.qid, weights=weights)
        assert found.shape == wanted.shape
        np.testing.assert_array_equal(found.compute(), wanted)


def test_chunks_of_unknown_size(ranker, data):
    frame = dd.from_pandas(pd.DataFrame(data.X).assign(qid=data.qid).set_index("qid"), npartitions=3)
    X, qid = frame.to_dask_array(), frame.index.to_dask_array()
    wanted = ranker.predict(data.X, qid=data.qid, weights=W)
    np.testing.assert_array_equal(ranker.predict_dask(X, qid=qid, weights=W).compute(), wanted)
    with pytest.raises(ValueError, match="qid has 2 chunks, X has 3, and of unknown sizes"):
        ranker.predict_dask(X, qid=qid.blocks[:2])


def test_cut_queries(ranker, data):
    X, qid = da.from_array(data.X, chunks=(31, -1)), da.from_array(data.qid, chunks=31)
    with pytest.raises(ValueError, match="in more than one partition"):
        ranker.predict_dask(X, qid=qid, weights=ONE).compute()
    with pytest.raises(ValueError, match="pass qid, a dask array"):
        ranker.predict_dask(X, weights=ONE)
    with pytest.raises(ValueError, match="queries='gather' takes frames"):
        ranker.predict_dask(X, qid=qid, weights=ONE, queries="gather")


def test_wrong_arrays(ranker, data):
    X = da.from_array(data.X, chunks=(50, -1))
    with pytest.raises(ValueError, match="X has 4 features, but HyperDPORanker is expecting 8"):
        ranker.predict_dask(X[:, :4], qid=da.from_array(data.qid))
    with pytest.raises(ValueError, match="qid of a dask array is a dask array"):
        ranker.predict_dask(X, qid=data.qid)
    with pytest.raises(ValueError, match="qid has 10 entries, but X has"):
        ranker.predict_dask(X, qid=da.from_array(data.qid[:10]))
    with pytest.raises(ValueError, match="X has 1 dimensions"):
        ranker.predict_dask(X[:, 0])
