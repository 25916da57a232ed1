"""Dask frames: scores are those of predict, and never those of queries that were cut."""

import os
import pickle
import threading

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
import torch
from distributed import Client, LocalCluster

from hyperrank import (
    HyperDPORanker,
    LightGBMScalarizationRanker,
    LinearScalarizationRanker,
    MixedScoresRanker,
    MODPORanker,
    PerQuery,
    PerRow,
    SoupRanker,
    datasets,
)
from hyperrank.boosters.scoring import requested_threads
from hyperrank.networks import MLP
from hyperrank.rankers.base import BaseRanker

W = [[1.0, 0.0], [0.5, 0.5], [0.2, 0.8]]
ONE = [0.7, 0.3]
FEW_TREES = {"num_boost_round": 5}
SHORT = {
    "max_epochs": 1,
    "network": MLP(hidden=(16, 16)),
    "booster_params": FEW_TREES,
    "n_jobs": 1,
    "random_state": 0,
}
NAMES = ("relevance", "clicks")


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
def rows(data):
    """Features and query ids, under an index that counts nothing."""
    frame = pd.DataFrame(data.X, columns=data.feature_names, index=np.arange(len(data.X)) * 3 + 7)
    return frame.assign(qid=data.qid)


@pytest.fixture(scope="module")
def listwise(data, rows):
    """A ranker that scores documents beside the others of their query, fitted on a frame."""
    ranker = HyperDPORanker(objectives=NAMES, query_standardize=True, **SHORT)
    return ranker.fit(rows.drop(columns="qid"), data.Y, qid=data.qid)


@pytest.fixture(scope="module")
def alone(data, rows):
    """A ranker that scores each document alone."""
    ranker = HyperDPORanker(objectives=NAMES, query_standardize=False, **SHORT)
    return ranker.fit(rows.drop(columns="qid"), data.Y, qid=data.qid)


@pytest.fixture(scope="module")
def cut(rows):
    """Partitions whose borders cut queries."""
    return dd.from_pandas(rows, npartitions=5)


def whole(rows):
    """Partitions that hold whole queries, one of them nothing, in an order of their own."""
    edges = np.flatnonzero(np.diff(rows.qid, prepend=-1))[[0, 9, 20]].tolist()
    pieces = [rows.iloc[a:b] for a, b in zip(edges, [*edges[1:], len(rows)], strict=True)]
    return dd.from_map(lambda piece: piece, [pieces[1], pieces[0], pieces[0].iloc[:0], pieces[2]], meta=rows)


def scores_of(ranker, rows, weights, **options):
    return ranker.predict(rows.drop(columns="qid"), qid=rows.qid.to_numpy(), weights=weights, **options)


def test_queries_that_are_cut_are_refused_not_misjudged(listwise, cut, rows):
    lazily = listwise.predict_dask(cut, weights=ONE)
    with pytest.raises(
        ValueError, match=r"of 40 queries have rows in more than one partition.*X\.shuffle\(on='qid'\)"
    ):
        lazily.compute()
    # What the check is for: scored as they lie, some scores differ and nothing would tell.
    silent = listwise.predict_dask(cut, weights=ONE, queries="whole").compute()
    assert (silent != scores_of(listwise, rows, ONE)).any()


def test_a_shuffle_by_query_id_brings_queries_together(listwise, cut, rows):
    shuffled = cut.shuffle(on="qid")
    found = listwise.predict_dask(shuffled, weights=W).compute()
    assert found.index.tolist() != rows.index.tolist()
    np.testing.assert_array_equal(found.loc[rows.index].to_numpy(), scores_of(listwise, rows, W))


@pytest.mark.parametrize("weights", [ONE, W, {"clicks": 0.3, "relevance": 0.7}, None])
def test_whole_queries_give_the_bits_of_predict(listwise, rows, weights):
    lazily = listwise.predict_dask(whole(rows), weights=weights)
    found = lazily.compute()
    wanted = scores_of(listwise, rows, weights)
    assert found.index.is_unique
    np.testing.assert_array_equal(found.loc[rows.index].to_numpy(), wanted)
    assert lazily.npartitions == 4


@pytest.mark.parametrize("known", [True, False])
def test_scores_beside_features(listwise, rows, known):
    """Dask puts both side by side: by divisions where it knows them, else by index."""
    firsts = np.flatnonzero(np.diff(rows.qid, prepend=-1))[[0, 9, 20]]
    last = rows.index[-1]
    frame = dd.repartition(rows, divisions=[*rows.index[firsts], last]) if known else whole(rows)
    scores = listwise.predict_dask(frame, weights=ONE)
    assert scores.divisions == frame.divisions
    both = frame.assign(score=scores).compute()
    if known:
        pd.testing.assert_index_equal(both.index, rows.index)
    np.testing.assert_array_equal(both.loc[rows.index].score.to_numpy(), scores_of(listwise, rows, ONE))


def test_columns_are_named_by_trade_off(listwise, cut):
    one = listwise.predict_dask(cut, weights=ONE)
    several = listwise.predict_dask(cut, weights=pd.DataFrame(W, columns=["clicks", "relevance"]))
    assert (one.name, one.dtype) == ("score", np.float64)
    names = ["relevance=0, clicks=1", "relevance=0.5, clicks=0.5", "relevance=0.8, clicks=0.2"]
    assert several.columns.tolist() == names
    with pytest.raises(ValueError, match="same trade-off twice"):
        listwise.predict_dask(cut, weights=[ONE, ONE])


def test_nothing_is_computed_before_it_is_asked_for(listwise, rows):
    looked_at = []

    def piece(number):
        looked_at.append(number)
        return rows.iloc[:10]

    frame = dd.from_map(piece, [0, 1], meta=rows)
    for queries in ("check", "whole"):
        listwise.predict_dask(frame, weights=W, queries=queries)
    assert looked_at == []


def test_ids_in_an_index_of_known_divisions_wait_for_nothing(listwise, rows):
    frame = dd.from_pandas(rows.set_index("qid"), npartitions=4)
    found = listwise.predict_dask(frame, weights=ONE)
    np.testing.assert_array_equal(found.compute().to_numpy(), scores_of(listwise, rows, ONE))
    assert found.divisions == frame.divisions
    assert not any("refuse_cut" in str(key) for key in found.optimize().dask)
    # Divisions that are not what the partitions hold are noticed.
    pieces = [rows.set_index("qid").iloc[:30], rows.set_index("qid").iloc[30:]]
    last = int(rows.qid.max())
    wrong = dd.from_map(lambda piece: piece, pieces, meta=frame._meta, divisions=(0, last - 1, last))
    with pytest.raises(ValueError, match="lies outside of the divisions"):
        listwise.predict_dask(wrong, weights=ONE).compute()


def test_ids_in_an_index_without_divisions(listwise, rows):
    frame = dd.from_pandas(rows.set_index("qid"), npartitions=4).clear_divisions()
    found = listwise.predict_dask(frame, weights=W).compute()
    np.testing.assert_array_equal(found.to_numpy(), scores_of(listwise, rows, W))
    assert found.index.tolist() == rows.qid.tolist()


def test_ids_of_any_kind_and_name(listwise, rows):
    named = rows.assign(query=pd.Categorical([f"q{q}" for q in rows.qid])).drop(columns="qid")
    frame = dd.from_pandas(named, npartitions=4)
    wanted = scores_of(listwise, rows, ONE)
    shuffled = frame.shuffle(on="query")
    found = listwise.predict_dask(shuffled, qid="query", weights=ONE).compute()
    np.testing.assert_array_equal(found.loc[rows.index].to_numpy(), wanted)
    with pytest.raises(ValueError, match="in more than one partition, first 'q"):
        listwise.predict_dask(frame, qid="query", weights=ONE).compute()


def test_a_ranker_that_sees_documents_alone_needs_no_ids(alone, cut, rows):
    wanted = scores_of(alone, rows, ONE)
    np.testing.assert_array_equal(alone.predict_dask(cut, weights=ONE).compute().to_numpy(), wanted)
    found = alone.predict_dask(cut.drop(columns="qid"), weights=ONE)
    np.testing.assert_array_equal(found.compute().to_numpy(), wanted)


def test_weights_of_each_query(alone, listwise, cut, rows):
    table = pd.DataFrame(np.random.default_rng(0).dirichlet([1, 1], 40), columns=list(NAMES))
    own = PerQuery(table.rename_axis("qid"))
    for ranker, frame in ((alone, cut), (listwise, whole(rows))):
        found = ranker.predict_dask(frame, weights=own).compute()
        np.testing.assert_array_equal(found.loc[rows.index].to_numpy(), scores_of(ranker, rows, own))
    with pytest.raises(ValueError, match="weights lack"):
        alone.predict_dask(cut, weights=PerQuery(table.iloc[:3])).compute()
    with pytest.raises(ValueError, match="which rows are of which query is not: pass qid"):
        alone.predict_dask(cut.drop(columns="qid"), weights=own)
    with pytest.raises(ValueError, match=r"off the simplex|sum"):
        alone.predict_dask(cut, weights=PerQuery(table * 2))
    with pytest.raises(ValueError, match="PerRow gives weights by the number of a row"):
        alone.predict_dask(cut, weights=PerRow(np.tile(ONE, (len(rows), 1))))


def test_temperature_and_reference_scores(data, rows):
    X, given = rows.drop(columns="qid"), np.linspace(0, 1, len(rows))
    ranker = HyperDPORanker(reference="scores", objectives=NAMES, **SHORT)
    ranker.fit(X, data.Y, qid=data.qid, ref_scores=given)
    frame = dd.from_pandas(rows.assign(bm25=given).set_index("qid"), npartitions=3)
    asked = {"weights": ONE, "temperature": 0.5}
    found = ranker.predict_dask(frame, ref_scores="bm25", **asked).compute()
    wanted = ranker.predict(X, qid=data.qid, ref_scores=given, **asked)
    np.testing.assert_array_equal(found.to_numpy(), wanted)
    with pytest.raises(ValueError, match="needs ref_scores"):
        ranker.predict_dask(frame.drop(columns="bm25"), **asked)
    with pytest.raises(ValueError, match="no column 'bm26' for ref_scores"):
        ranker.predict_dask(frame, ref_scores="bm26", **asked)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: frame.drop(columns="normal_0"), "(?s)feature names should match.*normal_0"),
        (lambda frame: frame.assign(extra=1.0), "(?s)feature names should match.*extra"),
        (lambda frame: frame[frame.columns[::-1]], "(?s)Feature names must be in the same order"),
        (lambda frame: frame.drop(columns="qid"), "neither a column nor an index 'qid'.*say by qid="),
    ],
)
def test_wrong_frames_are_refused_at_once_as_by_predict(listwise, cut, rows, change, message):
    with pytest.raises(ValueError, match=message):
        listwise.predict_dask(change(cut), weights=ONE)
    if "qid" in change(rows):
        with pytest.raises(ValueError, match=message):
            listwise.predict(change(rows), weights=ONE)


def test_other_wrong_arguments(listwise, cut, rows):
    with pytest.raises(TypeError, match=r"got pandas.*DataFrame. For data in memory: predict"):
        listwise.predict_dask(rows)
    with pytest.raises(TypeError, match=r"takes a dask DataFrame; got dask.*from_dask_array"):
        listwise.predict_dask(cut.to_dask_array())
    with pytest.raises(ValueError, match="queries must be one of"):
        listwise.predict_dask(cut, queries="gather")
    with pytest.raises(ValueError, match="neither a column nor an index 'query', for qid"):
        listwise.predict_dask(cut, qid="query")
    with pytest.raises(ValueError, match=r"name of a column; got Series. X.assign\(qid=...\)"):
        listwise.predict_dask(cut, qid=cut["qid"])
    with pytest.raises(ValueError, match="temperature must be"):
        listwise.predict_dask(cut, temperature=-1)
    with pytest.raises(ValueError, match="contains infinity"):
        listwise.predict_dask(cut.assign(normal_0=np.inf)[list(rows)]).compute()
    missing = cut.assign(qid=cut.qid.where(cut.qid != 3))[list(rows)]
    with pytest.raises(ValueError, match="qid"):
        listwise.predict_dask(missing).compute()


@pytest.mark.parametrize(
    ("kind", "params", "knows"),
    [
        (MixedScoresRanker, {"booster_params": FEW_TREES}, False),
        (LightGBMScalarizationRanker, {"booster_params": FEW_TREES, "weights": 2}, False),
        (HyperDPORanker, {**SHORT, "query_standardize": False, "network": "transformer"}, True),
        (HyperDPORanker, {**SHORT, "reference": None, "query_standardize": True}, True),
        (LinearScalarizationRanker, {**SHORT, "weights": 2}, True),
        (SoupRanker, {**SHORT, "reference": None, "query_standardize": False}, False),
        (SoupRanker, SHORT, True),
        (MODPORanker, {**SHORT, "weights": 2, "reference": None, "query_standardize": True}, True),
    ],
)
def test_rankers_know_whether_they_look_at_lists(data, kind, params, knows):
    """As predict shows: whether a document's score changes when the others of its query go."""
    params = {name: value for name, value in params.items() if not (name == "hidden" and "network" in params)}
    ranker = kind(**params).fit(data.X, data.Y, qid=data.qid)
    assert ranker._knows_lists == knows
    some = np.flatnonzero(np.bincount(data.qid)[data.qid] > 3)
    weights = getattr(ranker, "weights_", np.eye(2))[0]
    together = ranker.predict(data.X[some], qid=data.qid[some], weights=weights)
    apart = ranker.predict(data.X[some], qid=np.arange(len(some)), weights=weights)
    assert (together != apart).any() == knows
    if hasattr(ranker, "specialize"):
        assert ranker.specialize(weights)._knows_lists == knows


def test_rankers_of_ones_own_count_as_looking_at_lists():
    assert BaseRanker()._knows_lists


def test_what_was_asked_is_what_is_done(data, rows, cut):
    """Whatever becomes of the ranker and the weights before the work."""
    ranker = MixedScoresRanker(booster_params=FEW_TREES, random_state=0).fit(data.X, data.Y, qid=data.qid)
    X, weights = dd.from_pandas(pd.DataFrame(data.X), npartitions=3), np.array(ONE)
    wanted = ranker.predict(data.X, weights=weights)
    found = ranker.predict_dask(X, weights=weights)
    weights[:] = [0, 1]
    ranker.set_params(booster_params={"num_boost_round": 1}).fit(data.X, data.Y[:, ::-1], qid=data.qid)
    np.testing.assert_array_equal(found.compute(), wanted)


def test_rankers_of_the_same_parameters_are_told_apart(data):
    """Dask computes tasks of one name once."""
    X = pd.DataFrame(data.X)
    fitted = [
        MixedScoresRanker(booster_params=FEW_TREES, random_state=0).fit(X, Y, qid=data.qid)
        for Y in (data.Y, data.Y[:, ::-1])
    ]
    lazy = [ranker.predict_dask(dd.from_pandas(X, npartitions=1), weights=ONE) for ranker in fitted]
    for ranker, found in zip(fitted, dask.compute(*lazy), strict=True):
        np.testing.assert_array_equal(found, ranker.predict(X, weights=ONE))


def test_the_ranker_is_sent_once(alone, cut):
    many = cut.repartition(npartitions=30)
    few, size = (len(pickle.dumps(alone.predict_dask(f, weights=ONE).optimize().dask)) for f in (cut, many))
    assert size < few + len(pickle.dumps(alone)) / 2


def test_threads_do_not_multiply(alone, cut, rows, monkeypatch):
    """One thread for each partition, on Dask's own threads, and the same bits."""
    seen = []
    predict = type(alone).predict

    def looked(self, *args, **options):
        seen.append((threading.get_ident(), torch.get_num_threads(), requested_threads()))
        return predict(self, *args, **options)

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    monkeypatch.setattr(type(alone), "predict", looked)
    with dask.config.set(scheduler="threads", num_workers=2):
        found = alone.predict_dask(cut, weights=ONE).compute()
    np.testing.assert_array_equal(found.to_numpy(), predict(alone, rows, weights=ONE))
    assert {(n, held) for _, n, held in seen} == {(1, 1)}
    assert requested_threads() is None
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)


def on_a_cluster(ranker, rows, **options):
    """Scores by way of a real scheduler and real workers."""
    with (
        LocalCluster(n_workers=2, threads_per_worker=2, dashboard_address=":0", **options) as cluster,
        Client(cluster),
    ):
        frame = dd.from_pandas(rows, npartitions=5)
        shuffled = ranker.predict_dask(frame.shuffle(on="qid"), weights=W).compute(scheduler=None)
        checked = ranker.predict_dask(whole(rows), weights=W).compute(scheduler=None).loc[rows.index]
        with pytest.raises(ValueError, match="in more than one partition"):
            ranker.predict_dask(frame, weights=W).compute(scheduler=None)
    return shuffled.loc[rows.index].to_numpy(), checked.to_numpy()


def test_on_a_cluster_of_threads(listwise, rows):
    wanted = scores_of(listwise, rows, W)
    for found in on_a_cluster(listwise, rows, processes=False):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.slow
def test_on_a_cluster_of_processes(listwise, rows, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", os.environ.get("OMP_NUM_THREADS", "2"))
    wanted = scores_of(listwise, rows, W)
    for found in on_a_cluster(listwise, rows, processes=True):
        np.testing.assert_array_equal(found, wanted)
