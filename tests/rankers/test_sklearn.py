"""scikit-learn's own checks, and the ways its users compose estimators."""

import pickle

import numpy as np
import pytest
import sklearn
from lightgbm import LGBMRanker
from scipy import sparse
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

import hyperrank
from hyperrank import (
    AdamW,
    EarlyStopping,
    HyperDPORanker,
    LightGBMScalarizationRanker,
    LinearScalarizationRanker,
    MixedScoresRanker,
    MODPORanker,
    QueryKFold,
    QueryLists,
    SoupRanker,
    TradeOffs,
)
from hyperrank.losses import ListNet, PlackettLuce
from hyperrank.networks import MLP, Transformer

QUICK = {"max_epochs": 2, "network": MLP(hidden=(8, 8)), "random_state": 0}
#: For the checks, which fit hundreds of times.
TREES = {"num_boost_round": 2, "num_leaves": 3}
NETWORK = {
    "max_epochs": 1,
    "network": MLP(hidden=(4, 4)),
    "booster_params": TREES,
    "n_jobs": 1,
    "random_state": 0,
}
ALONE = {**NETWORK, "reference": None}
FOREST = {"booster_params": TREES, "n_jobs": 1, "random_state": 0}


class _OfQueries:
    """Makes several objectives of the one label that the checks know, and queries of their rows."""

    n_objectives = 3

    def fit(self, X, y, *, qid=None, **options):
        """Fit to queries of three rows."""
        return super().fit(X, self._several(y), qid=self._queries(X, 3, qid), **options)

    def predict(self, X, *, qid=None, **options):
        """Predict each row as a query, so that its features do not depend on the other rows."""
        return super().predict(X, qid=self._queries(X, 1, qid), **options)

    def score(self, X, y, *, qid=None, **options):
        """Score queries of three rows."""
        return super().score(X, self._several(y), qid=self._queries(X, 3, qid), **options)

    @staticmethod
    def _queries(X, size, qid):
        return np.arange(np.shape(X)[0]) // size if qid is None and len(np.shape(X)) == 2 else qid

    def _several(self, y):
        """The label, and its square, its cube and so on."""
        if np.iscomplexobj(y):
            return y  # for the ranker to refuse
        try:
            labels = np.asarray(y, dtype=float).reshape(len(y))
        except (TypeError, ValueError):
            return y
        return np.column_stack([np.minimum(np.power(labels, j + 1), 9 + j) for j in range(self.n_objectives)])


class _MorePart(_OfQueries):
    def partial_fit(self, X, y, *, qid=None):
        """Train on queries of three rows."""
        return super().partial_fit(X, self._several(y), qid=self._queries(X, 3, qid))


class HyperDPOOfQueries(_MorePart, HyperDPORanker):
    """For two objectives."""

    n_objectives = 2


class HyperDPOOfFive(_MorePart, HyperDPORanker):
    """For five objectives."""

    n_objectives = 5


class MixedScoresOfQueries(_OfQueries, MixedScoresRanker):
    """For four objectives."""

    n_objectives = 4


class LightGBMScalarizationOfQueries(_OfQueries, LightGBMScalarizationRanker):
    """For three objectives."""


class LinearScalarizationOfQueries(_OfQueries, LinearScalarizationRanker):
    """For three objectives."""


class SoupOfQueries(_OfQueries, SoupRanker):
    """For three objectives."""


class MODPOOfQueries(_OfQueries, MODPORanker):
    """For three objectives."""


CONFIGURATIONS = [
    HyperDPORanker(**NETWORK),
    HyperDPORanker("boosters", **NETWORK),
    HyperDPORanker(**ALONE),
    HyperDPORanker(
        **{**ALONE, "network": MLP(hidden=(4, 4), conditioning="concat")},
        feature_transform="standard",
        query_standardize=False,
    ),
    HyperDPORanker(
        **{**ALONE, "network": MLP(hidden=(4, 4), conditioning="hypernetwork")},
        feature_transform="log",
        loss=ListNet(gain="linear"),
    ),
    HyperDPORanker(
        **ALONE, feature_transform="none", normalize_objectives=False, optimizer=AdamW(average_decay=0.0)
    ),
    HyperDPORanker(**ALONE, loss=PlackettLuce(top_k=3)),
    HyperDPORanker(
        **{**ALONE, "network": MLP(hidden=(4, 4), conditioning="concat")},
        loss=PlackettLuce(ties="average", top_k=1),
    ),
    HyperDPORanker(
        **{**ALONE, "network": MLP(hidden=(4, 4), conditioning="hypernetwork")},
        loss=PlackettLuce(ties="rating"),
    ),
    HyperDPORanker(
        "lightgbm",
        **{**NETWORK, "network": MLP(hidden=(4, 4), conditioning="concat")},
        feature_transform="log",
    ),
    HyperDPORanker(DecisionTreeRegressor(max_depth=2, random_state=0), **NETWORK),
    HyperDPORanker(LGBMRanker(n_estimators=2, num_leaves=3, verbose=-1, n_jobs=1), **NETWORK, beta=0.5),
    HyperDPORanker(**NETWORK, query_standardize=False, feature_transform="standard"),
    HyperDPORanker("lightgbm", **NETWORK, trade_offs=TradeOffs(temperature_range=(0.5, 4.0))),
    HyperDPORanker(**{**NETWORK, "network": Transformer(hidden=(8,))}),
    HyperDPORanker(
        **{**ALONE, "network": Transformer(hidden=(8, 8), n_prompts=1)},
        loss="plackett_luce",
    ),
    HyperDPORanker(
        **{**ALONE, "network": MLP(hidden=(4, 4), dropout=0.0)},
        warm_start=True,
        trade_offs=TradeOffs(alpha=0.3, n_draws=2),
    ),
    HyperDPOOfQueries(**NETWORK, early_stopping=EarlyStopping(fraction=0.3)),
    HyperDPOOfQueries(
        **{**ALONE, "network": MLP(hidden=(4, 4), conditioning="concat")},
        query_standardize=True,
        loss="plackett_luce",
    ),
    HyperDPOOfQueries("lightgbm", **NETWORK, query_standardize=True, reference_objective=1),
    HyperDPOOfQueries(
        **{**NETWORK, "network": MLP(hidden=(4, 4), conditioning="concat")},
        trade_offs=TradeOffs(temperature_range=(0.5, 4.0)),
    ),
    HyperDPOOfQueries(**{**NETWORK, "network": Transformer(hidden=(8,))}, early_stopping=True),
    HyperDPOOfFive(**NETWORK, query_standardize=True, early_stopping=True, metric="map"),
    HyperDPOOfFive(
        **{**ALONE, "network": MLP(hidden=(4, 4), conditioning="hypernetwork")},
        query_standardize=False,
        feature_transform="log",
    ),
    MixedScoresRanker(**FOREST),
    MixedScoresOfQueries(**FOREST),
    LightGBMScalarizationRanker(**FOREST),
    LightGBMScalarizationRanker(**FOREST, mixing="labels"),
    LightGBMScalarizationOfQueries(3, **FOREST),
    LightGBMScalarizationOfQueries(3, **FOREST, mixing="labels"),
    LinearScalarizationRanker(2, **NETWORK),
    LinearScalarizationRanker(2, **ALONE, loss="plackett_luce", feature_transform="standard"),
    LinearScalarizationOfQueries(3, **ALONE, query_standardize=True, early_stopping=True),
    SoupRanker(**NETWORK),
    SoupRanker(**{**ALONE, "max_epochs": 2}, loss="plackett_luce", feature_transform="standard"),
    SoupOfQueries(**{**NETWORK, "max_epochs": 2}, query_standardize=True, early_stopping=True),
    MODPORanker(2, **NETWORK),
    MODPORanker(2, **ALONE, loss="plackett_luce", feature_transform="log"),
    MODPOOfQueries(6, **ALONE, query_standardize=True, early_stopping=True, reference_objective=1),
    MODPOOfQueries(3, **NETWORK, off_grid="interpolate"),
    LightGBMScalarizationOfQueries(3, **FOREST, off_grid="interpolate"),
]


#: The first of each public class, and one with several objectives; the others are for `make test-slow`.
FIRST = list(
    {
        type(ranker): ranker
        for ranker in reversed(CONFIGURATIONS)
        if type(ranker).__name__ in hyperrank.__all__ or type(ranker) is HyperDPOOfQueries
    }.values()
)
EXPECTED = {"check_array_api_input": "needs SCIPY_ARRAY_API, which is off here"}


@parametrize_with_checks(FIRST, expected_failed_checks=lambda _: EXPECTED)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(
    [ranker for ranker in CONFIGURATIONS if ranker not in FIRST], expected_failed_checks=lambda _: EXPECTED
)
def test_scikit_learns_checks_of_other_configurations(estimator, check):
    check(estimator)


#: The public rankers, as quick as can be.
RANKERS = [
    HyperDPORanker(**ALONE),
    MixedScoresRanker(**FOREST),
    LightGBMScalarizationRanker(3, **FOREST),
    LinearScalarizationRanker(3, **ALONE),
    SoupRanker(**ALONE),
    MODPORanker(3, **ALONE),
]


def test_every_public_ranker_is_checked():
    public = [getattr(hyperrank, name) for name in hyperrank.__all__ if name.endswith("Ranker")]
    public.remove(hyperrank.SpecializedRanker)  # which is made, and cannot be fitted
    assert {type(ranker) for ranker in RANKERS} == set(public)
    assert set(public) <= {type(ranker) for ranker in FIRST}


@pytest.mark.parametrize("ranker", RANKERS, ids=lambda ranker: type(ranker).__name__)
class TestTags:
    """What the tags say is so."""

    def test_neither_classifier_nor_regressor(self, ranker):
        assert get_tags(ranker).estimator_type == "ranker"
        assert not is_classifier(ranker)
        assert not is_regressor(ranker)
        assert not get_tags(ranker).non_deterministic

    def test_labels_are_required(self, ranker, small):
        assert get_tags(ranker).target_tags.required
        with pytest.raises(ValueError, match="requires y"):
            clone(ranker).fit(small.X, None)

    def test_labels_may_be_of_several_objectives(self, ranker, small):
        tags = get_tags(ranker).target_tags
        assert tags.multi_output
        assert tags.single_output
        for y in (small.Y, small.Y[:, 0]):
            fitted = clone(ranker).fit(small.X, y, qid=small.qid)
            assert fitted.predict(small.X, qid=small.qid).shape == (len(small.X),)

    def test_labels_are_not_negative(self, ranker, small):
        assert get_tags(ranker).target_tags.positive_only
        with pytest.raises(ValueError, match="y must hold labels from 0"):
            clone(ranker).fit(small.X, small.Y - 1, qid=small.qid)

    def test_features_may_be_missing_or_sparse(self, ranker, small):
        tags = get_tags(ranker).input_tags
        assert tags.allow_nan
        assert tags.sparse
        X = np.where(small.X > 1, np.nan, small.X)
        assert np.isfinite(clone(ranker).fit(X, small.Y, qid=small.qid).predict(X, qid=small.qid)).all()
        X = sparse.csr_array(np.where(small.X > 0, small.X, 0))
        dense = clone(ranker).fit(X.toarray(), small.Y, qid=small.qid).predict(X.toarray(), qid=small.qid)
        thin = clone(ranker).fit(X, small.Y, qid=small.qid).predict(X, qid=small.qid)
        np.testing.assert_array_equal(thin, dense)

    def test_text_is_refused(self, ranker, small):
        tags = get_tags(ranker).input_tags
        assert not tags.string
        assert not tags.categorical
        with pytest.raises(ValueError, match="X: column 0 holds 'red' at row 0"):
            clone(ranker).fit(np.full(small.X.shape, "red"), small.Y)


def test_a_frozen_reference_survives_clone(small, unseen):
    """An ordinary fitted reference is cloned unfitted with the ranker, as in any search."""
    sizes = QueryLists.from_qid(small.qid).sizes
    model = LGBMRanker(n_estimators=5, verbose=-1, n_jobs=1).fit(small.X, small.Y[:, 0], group=sizes)
    ranker = HyperDPORanker(FrozenEstimator(model), **QUICK)
    copy = clone(ranker).fit(small.X, small.Y[:, ::-1], qid=small.qid)
    np.testing.assert_array_equal(copy.predict(unseen.X, temperature=0), model.predict(unseen.X))
    assert copy.reference_.model.estimator is model
    refitted = clone(HyperDPORanker(model, **QUICK)).fit(small.X, small.Y[:, ::-1], qid=small.qid)
    assert refitted.reference_.model is not model
    assert not np.array_equal(refitted.predict(unseen.X, temperature=0), model.predict(unseen.X))


def test_pickled_rankers_score_alike(fitted, unseen):
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict(unseen.X), fitted.predict(unseen.X))


def test_grid_search_carries_qid_through_a_pipeline(small):
    with sklearn.config_context(enable_metadata_routing=True):
        pipe = make_pipeline(StandardScaler(), HyperDPORanker(**QUICK))
        search = GridSearchCV(
            pipe, {"hyperdporanker__trade_offs__alpha": [0.5, 1.0]}, cv=QueryKFold(2), error_score="raise"
        )
        search.fit(small.X, small.Y, qid=small.qid)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_clone_keeps_every_parameter():
    ranker = HyperDPORanker("lightgbm", beta=0.3, objectives=("a", "b"), booster_params={"num_leaves": 3})
    assert clone(ranker).get_params() == ranker.get_params()
