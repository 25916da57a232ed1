"""Scorers: the same numbers as rankers and fronts give, for any ranker, however wrapped, or an error."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from lightgbm import LGBMRanker
from sklearn.base import BaseEstimator, clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.metrics import check_scoring
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hyperrank import (
    HyperDPORanker,
    LightGBMScalarizationRanker,
    LinearScalarizationRanker,
    MixedScoresRanker,
    QueryKFold,
    QueryLists,
)
from hyperrank.model_selection import make_hypervolume_scorer, make_ranking_scorer
from hyperrank.networks import MLP

QUICK = {"max_epochs": 1, "network": MLP(hidden=(4, 4)), "reference": None, "random_state": 0}
FEW_TREES = {"booster_params": {"num_boost_round": 3}, "random_state": 0}
RANKERS = [
    HyperDPORanker(**QUICK),
    MixedScoresRanker(**FEW_TREES),
    LightGBMScalarizationRanker(3, **FEW_TREES),
    LinearScalarizationRanker(2, **QUICK),
]


@pytest.fixture(scope="module")
def fitted(lists):
    return MixedScoresRanker(objectives=("relevance", "margin"), **FEW_TREES).fit(
        lists.X, lists.Y, qid=lists.qid
    )


@pytest.mark.parametrize("ranker", RANKERS, ids=lambda r: type(r).__name__)
def test_scorers_agree_with_score_and_front(ranker, lists):
    ranker = clone(ranker).fit(lists.X, lists.Y, qid=lists.qid)
    front = ranker.pareto_front(lists.X, lists.Y, qid=lists.qid)
    at = front.weights.to_numpy()[0]
    data = {"X": lists.X, "y": lists.Y, "qid": lists.qid}
    assert make_ranking_scorer()(ranker, **data) == pytest.approx(ranker.score(**data))
    assert make_ranking_scorer(weights=at)(ranker, **data) == pytest.approx(ranker.score(**data, weights=at))
    for number, name in enumerate(front.names):
        for objective in (number, name):
            value = make_ranking_scorer(objective=objective, weights=at)(ranker, **data)
            assert value == pytest.approx(front.points[name][0])
    assert make_hypervolume_scorer()(ranker, **data) == pytest.approx(front.hypervolume())
    corner = {"objective_1": 0.3}
    assert make_hypervolume_scorer(reference_point=corner)(ranker, **data) == pytest.approx(
        front.hypervolume(corner)
    )


@pytest.mark.usefixtures("routing")
@pytest.mark.parametrize("ranker", RANKERS, ids=lambda r: type(r).__name__)
@pytest.mark.parametrize("scorer", [make_ranking_scorer(weights=[1, 0]), make_hypervolume_scorer()], ids=repr)
def test_wrappers_change_nothing(ranker, scorer, lists):
    """Weights reach the ranker although no request was set for them."""
    scaled = StandardScaler().fit_transform(lists.X)
    alone = clone(ranker).fit(scaled, lists.Y, qid=lists.qid)
    pipe = make_pipeline(StandardScaler(), clone(ranker)).fit(lists.X, lists.Y, qid=lists.qid)
    expected = scorer(alone, scaled, lists.Y, qid=lists.qid)
    for wrapped in (pipe, FrozenEstimator(pipe), make_pipeline(pipe)):
        assert scorer(wrapped, lists.X, lists.Y, qid=lists.qid) == expected


@pytest.mark.usefixtures("routing")
def test_searches_inside_a_pipeline_are_unwrapped(lists):
    search = GridSearchCV(MixedScoresRanker(**FEW_TREES), {"metric": ["ndcg@5"]}, cv=QueryKFold(2))
    pipe = make_pipeline(StandardScaler(), search).fit(lists.X, lists.Y, qid=lists.qid)
    scorer = make_ranking_scorer(objective=1, weights=[0, 1])
    expected = scorer(pipe[-1].best_estimator_, pipe[0].transform(lists.X), lists.Y, qid=lists.qid)
    assert scorer(pipe, lists.X, lists.Y, qid=lists.qid) == expected
    assert expected != make_ranking_scorer(objective=1)(pipe, lists.X, lists.Y, qid=lists.qid)


class WithinQuery(BaseEstimator):
    """A transformer that needs the query ids."""

    __metadata_request__transform = {"qid": True}  # noqa: RUF012

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def transform(self, X, *, qid):
        return X - pd.DataFrame(X).groupby(np.asarray(qid)).transform("mean").to_numpy()

    def fit_transform(self, X, y=None, *, qid):
        return self.fit(X).transform(X, qid=qid)


@pytest.mark.usefixtures("routing")
def test_transformers_get_the_ids_they_ask_for(lists):
    pipe = make_pipeline(WithinQuery(), MixedScoresRanker(**FEW_TREES))
    pipe.fit(lists.X, lists.Y, qid=lists.qid)
    centred = WithinQuery().transform(lists.X, qid=lists.qid)
    scorer = make_ranking_scorer()
    assert scorer(pipe, lists.X, lists.Y, qid=lists.qid) == scorer(pipe[-1], centred, lists.Y, qid=lists.qid)


@pytest.mark.parametrize("room", [1, 200, 126 * 66])
def test_large_fronts_are_scored_in_blocks(room, fitted, lists, monkeypatch):
    whole = make_hypervolume_scorer()(fitted, lists.X, lists.Y, qid=lists.qid)
    monkeypatch.setattr("hyperrank.model_selection.scorers.MAX_SCORES", room)
    assert make_hypervolume_scorer()(fitted, lists.X, lists.Y, qid=lists.qid) == pytest.approx(whole)


class FeaturesOnly:
    """A ranker of somebody else's, that takes no query ids and no weights."""

    def predict(self, X):
        return X[:, 0]


def test_foreign_rankers_get_features_alone(lists):
    Y = pd.DataFrame(lists.Y, columns=["relevance", "margin"])
    values = [
        make_ranking_scorer(objective=name)(FeaturesOnly(), lists.X, Y, qid=lists.qid)
        for name in ("relevance", "margin")
    ]
    half, tilted = (
        make_ranking_scorer(weights=w)(FeaturesOnly(), lists.X, Y, qid=lists.qid)
        for w in (None, {"relevance": 0.9, "margin": 0.1})
    )
    assert half == pytest.approx(np.mean(values))
    assert tilted == pytest.approx(np.dot([0.9, 0.1], values))
    box = make_hypervolume_scorer()(FeaturesOnly(), lists.X, Y, qid=lists.qid)
    assert box == pytest.approx(values[0] * values[1])


def test_models_of_other_libraries(lists):
    group = QueryLists.from_qid(lists.qid).sizes
    booster = LGBMRanker(n_estimators=3, n_jobs=1, verbose=-1).fit(lists.X, lists.Y[:, 0], group=group)
    linear = Ridge().fit(StandardScaler().fit_transform(lists.X), lists.Y)  # as many scores as objectives
    assert 0 < make_ranking_scorer(objective=0)(booster, lists.X, lists.Y, qid=lists.qid) <= 1
    with pytest.raises(
        ValueError, match=r"Ridge.predict gave scores of shape \(126, 2\); expected \(126, 1\)"
    ):
        make_ranking_scorer(objective=0)(linear, lists.X, lists.Y, qid=lists.qid)


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame])
def test_ids_in_a_column(kind, fitted, lists):
    table = kind({f"x{j}": lists.X[:, j] for j in range(4)} | {"qid": [f"q{q}" for q in lists.qid]})
    named = clone(fitted).fit(table, lists.Y)
    scorer = make_ranking_scorer(weights=[0.2, 0.8])
    assert scorer(named, table, lists.Y) == scorer(fitted, lists.X, lists.Y, qid=lists.qid)


def test_label_frames_are_read_by_name(fitted, lists):
    swapped = pd.DataFrame(lists.Y[:, ::-1], columns=["margin", "relevance"])
    scorer = make_ranking_scorer(objective="margin", weights={"margin": 1})
    assert scorer(fitted, lists.X, swapped, qid=lists.qid) == scorer(fitted, lists.X, lists.Y, qid=lists.qid)


def test_sample_weight_weighs_queries(fitted, lists):
    kept = lists.qid < np.median(lists.qid)
    for scorer in (make_ranking_scorer(), make_hypervolume_scorer(weights=5)):
        weighted = scorer(fitted, lists.X, lists.Y, qid=lists.qid, sample_weight=kept.astype(float))
        assert weighted == pytest.approx(scorer(fitted, lists.X[kept], lists.Y[kept], qid=lists.qid[kept]))
    with pytest.raises(ValueError, match="sample_weight must not be negative; got -1"):
        make_ranking_scorer()(fitted, lists.X, lists.Y, qid=lists.qid, sample_weight=-np.ones(len(lists.X)))


def test_scores_of_a_reference_are_carried(lists):
    own = HyperDPORanker(**(QUICK | {"reference": "scores"}))
    own.fit(lists.X, lists.Y, qid=lists.qid, ref_scores=lists.X[:, 0])
    score = make_ranking_scorer()(own, lists.X, lists.Y, qid=lists.qid, ref_scores=lists.X[:, 0])
    assert score == pytest.approx(own.score(lists.X, lists.Y, qid=lists.qid, ref_scores=lists.X[:, 0]))


def reciprocal_rank(scores, labels):
    """One over the rank of the first relevant document; NaN without one."""
    hits = np.flatnonzero(labels[np.argsort(-scores, kind="stable")] > 0)
    return 1 / (1 + hits[0]) if len(hits) else np.nan


def test_metrics_of_ones_own(lists):
    Y = lists.Y.copy()
    Y[::7, 1] = np.nan
    ranker = HyperDPORanker(**QUICK).fit(lists.X, Y, qid=lists.qid)
    for make, options in ((make_ranking_scorer, {"weights": [0.3, 0.7]}), (make_hypervolume_scorer, {})):
        own, named = (
            make(metric, **options)(ranker, lists.X, Y, qid=lists.qid)
            for metric in (reciprocal_rank, "mrr(empty=skip)")
        )
        assert own == pytest.approx(named)
    with pytest.raises(ValueError, match=r"reciprocal_rank measures nothing .*it gave NaN for each"):
        make_ranking_scorer(reciprocal_rank)(ranker, lists.X, Y * 0, qid=lists.qid)


def test_what_cannot_be_measured_is_an_error(fitted, lists):
    Y = lists.Y * [1, 0]
    data = (fitted, lists.X, Y)
    message = (
        r"ndcg@10 measures nothing for objectives \['margin'\] on these 24 queries: none has a label above 0"
    )
    for scorer in (make_ranking_scorer(), make_ranking_scorer(objective=1), make_hypervolume_scorer()):
        with pytest.raises(ValueError, match=message):
            scorer(*data, qid=lists.qid)
    only_relevance = make_ranking_scorer(weights=[1, 0])(*data, qid=lists.qid)
    assert only_relevance == make_ranking_scorer(objective=0, weights=[1, 0])(*data, qid=lists.qid)


@pytest.mark.parametrize("objective", ["clicks", 2, -1])
def test_unknown_objectives(objective, fitted, lists):
    with pytest.raises(ValueError, match=r"is unknown; known are \['relevance', 'margin'\]"):
        make_ranking_scorer(objective=objective)(fitted, lists.X, lists.Y, qid=lists.qid)
    arrays = clone(fitted).set_params(objectives=None).fit(lists.X, lists.Y, qid=lists.qid)
    with pytest.raises(ValueError, match=r"known are \['objective_0', 'objective_1'\]"):
        make_ranking_scorer(objective="relevance")(arrays, lists.X, lists.Y, qid=lists.qid)


def test_wrong_data(fitted, lists):
    scorer = make_ranking_scorer()
    with pytest.raises(ValueError, match=r"the scorer got no query ids.*turn metadata routing on"):
        scorer(fitted, lists.X, lists.Y)
    with pytest.raises(ValueError, match="y has 1 objectives; the ranker was fitted on 2"):
        scorer(fitted, lists.X, lists.Y[:, 0], qid=lists.qid)
    with pytest.raises(ValueError, match="weights have shape"):
        make_ranking_scorer(weights=[1, 0, 0])(fitted, lists.X, lists.Y, qid=lists.qid)
    with pytest.raises(ValueError, match="takes one trade-off"):
        make_ranking_scorer(weights=[[1, 0]])(fitted, lists.X, lists.Y, qid=lists.qid)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: make_ranking_scorer("dcg@10"), "unknown metric 'dcg'"),
        (lambda: make_hypervolume_scorer(10), "a metric is named like 'ndcg@10'"),
        (lambda: make_ranking_scorer(objective=0.5), "objective must be a name, a position or None; got 0.5"),
        (lambda: make_ranking_scorer(objective=True), "objective must be a name, a position or None"),
        (lambda: make_hypervolume_scorer(weights=0), "weights must be a number of at least 1"),
    ],
)
def test_wrong_options(build, message):
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.usefixtures("routing")
@pytest.mark.parametrize(
    "scorer",
    [
        make_ranking_scorer("map", objective="a", weights={"a": 1}),
        make_hypervolume_scorer(reference_point=0.1),
    ],
)
def test_scorers_are_copied_and_spelled(scorer):
    assert check_scoring(Ridge(), scorer) is scorer
    for again in (pickle.loads(pickle.dumps(scorer)), clone(scorer)):
        assert repr(again) == repr(scorer)
        assert again.get_params() == scorer.get_params()
    assert repr(scorer) in (
        "RankingScorer(metric='map', objective='a', weights={'a': 1})",
        "HypervolumeScorer(reference_point=0.1)",
    )
    renamed = clone(scorer).set_score_request(qid="query", sample_weight=False)
    requests = renamed.get_metadata_routing().score.requests
    assert requests == {"qid": "query", "sample_weight": False, "ref_scores": True}
