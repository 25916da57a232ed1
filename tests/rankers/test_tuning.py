"""The trial before a fit: what it may see, what it may change, and that it finds what pays."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import ExtraTreesRegressor

from hyperrank import HyperDPORanker, LinearScalarizationRanker, QueryLists, datasets
from hyperrank.boosters import read_booster_text
from hyperrank.metrics import parse_metric
from hyperrank.networks import MLP
from hyperrank.rankers.data import FitInputs, LabelledLists
from hyperrank.rankers.dpo import config
from hyperrank.rankers.dpo import tuning as trials
from hyperrank.rankers.dpo.tuning import split_for_tuning

FEW_TREES = {"num_boost_round": 10, "num_leaves": 5, "min_data_in_leaf": 5}
SMALL = {"network": MLP(hidden=(16,)), "booster_params": FEW_TREES, "random_state": 0}


def made(n_queries=120, **options):
    given = {"list_size": (5, 12), "n_features": 6, "n_objectives": 2, "random_state": 0, **options}
    return datasets.make_multilabel_ranking(n_queries=n_queries, **given)


def as_lists(data):
    lists = QueryLists.from_qid(data.qid)
    return LabelledLists(
        X=np.asarray(data.X, np.float32),
        lists=lists,
        frame=data.X,
        ref_scores=None,
        Y=np.asarray(data.Y, np.float32),
        names=tuple(data.names),
    )


class Recorder(BaseEstimator):
    """A reference that notes the rows it is fitted on, by their first feature."""

    seen: list = []  # noqa: RUF012 - copies share it

    def __init__(self, scale=1.0):
        self.scale = scale

    def fit(self, X, y):
        self.seen.append(set(np.asarray(X)[:, 0].tolist()))
        self.coef_ = np.linspace(1, 0, X.shape[1])
        return self

    def predict(self, X):
        return self.scale * np.asarray(X) @ self.coef_


@pytest.fixture(scope="module")
def tuned_ranker():
    data = made()
    return HyperDPORanker(**SMALL).fit(data.X, data.Y, qid=data.qid)


@pytest.fixture
def recorded():
    Recorder.seen.clear()
    return Recorder.seen


def test_few_lists_are_not_parted():
    data = made(trials.MIN_LISTS - 1)
    ranker = HyperDPORanker(**SMALL).fit(data.X, data.Y, qid=data.qid)
    assert ranker.tuning_ is None
    assert ranker.model_.network.options["dropout"] == 0.5


def test_lists_that_judge_are_not_trained_on_and_validation_lists_judge_where_there_are_any():
    data = as_lists(made())
    which, judged = split_for_tuning(FitInputs(data, None, None), np.random.default_rng(0))
    assert len(which) == 96
    assert judged.lists.n_lists == 24
    assert not set(data.lists.ids[which]) & set(judged.lists.ids)
    held = as_lists(made(7, random_state=1))
    which, judged = split_for_tuning(FitInputs(data, held, None), np.random.default_rng(0))
    assert len(which) == 120
    assert judged.lists.n_lists == 7


def test_large_data_are_tried_on_a_part(monkeypatch):
    monkeypatch.setattr(trials, "MAX_TRAINING_LISTS", 30)
    monkeypatch.setattr(trials, "MAX_EVALUATION_LISTS", 10)
    which, judged = split_for_tuning(FitInputs(as_lists(made()), None, None), np.random.default_rng(0))
    assert (len(which), judged.lists.n_lists) == (30, 10)


def test_the_reference_of_the_trial_has_not_seen_what_judges(recorded):
    data = made()
    ranker = HyperDPORanker(Recorder(), **SMALL).fit(data.X, data.Y, qid=data.qid)
    in_trial, in_fit = recorded
    first = data.X[:, 0].astype(np.float64)
    assert in_fit == set(first.tolist())
    assert in_trial < in_fit
    assert 0.1 < 1 - len(in_trial) / len(in_fit) < 0.3
    assert ranker.tuning_ is not None


def test_a_model_that_may_have_seen_the_queries_keeps_its_pull():
    data = made()
    model = ExtraTreesRegressor(5, random_state=0).fit(data.X, data.Y[:, 0])
    ranker = HyperDPORanker(model, **SMALL).fit(data.X, data.Y, qid=data.qid)
    assert {entry["reward_scale_factor"] for entry in ranker.tuning_.candidates} == {np.inf}
    assert ranker.tuning_.reward_scale_factor == 1.0


@pytest.mark.parametrize("beta", [0.5, "auto"])
def test_what_the_caller_chose_is_kept(beta):
    data = made()
    ranker = HyperDPORanker(max_epochs=3, beta=beta, **{**SMALL, "network": MLP(hidden=(16,), dropout=0.2)})
    ranker.fit(data.X, data.Y, qid=data.qid)
    assert len(ranker.history_) == 3
    assert ranker.model_.network.options["dropout"] == 0.2
    if beta == "auto":
        assert {entry["epochs"] for entry in ranker.tuning_.candidates} == {3}
    else:
        assert ranker.tuning_ is None
        assert ranker.reward_scale_ == pytest.approx(
            1 / beta
        )  # the default reference's scores have deviation 1


def test_long_training_and_a_strong_pull_are_found_where_they_pay():
    both = made(400, n_features=10)
    data = both.take(np.flatnonzero(both.qid < np.unique(both.qid)[200]))
    test = both.take(np.flatnonzero(both.qid >= np.unique(both.qid)[200]))
    options = {**SMALL, "network": MLP(hidden=(32,)), "booster_params": {**FEW_TREES, "num_boost_round": 2}}
    ranker = HyperDPORanker(**options).fit(data.X, data.Y, qid=data.qid)
    assert ranker.tuning_.max_epochs > min(entry["epochs"] for entry in ranker.tuning_.candidates)
    assert ranker.tuning_.dropout < 0.5
    assert ranker.tuning_.reward_scale_factor > 1
    assert ranker.model_.network.options["dropout"] == ranker.tuning_.dropout
    assert len(ranker.history_) == ranker.tuning_.max_epochs
    first = [
        entry
        for entry in ranker.tuning_.candidates
        if entry["dropout"] == 0.5 and entry["reward_scale_factor"] == 1
    ]
    assert max(entry["utility"] for entry in ranker.tuning_.candidates) > first[0]["utility"]
    plain = HyperDPORanker(
        max_epochs=ranker.tuning_.candidates[0]["epochs"],
        beta=1.0,
        **{**options, "network": MLP(hidden=(32,), dropout=0.5)},
    )
    plain.fit(data.X, data.Y, qid=data.qid)
    fronts = [r.pareto_front(test.X, test.Y, qid=test.qid).hypervolume() for r in (ranker, plain)]
    assert fronts[0] > fronts[1]


@pytest.mark.parametrize(
    ("utilities", "n_trained"),
    [((0.1, 0.5, 0.6, 0.7), 3), ((0.1, 0.5, 0.8, 0.9), 4), ((0.1, 0.2, 0.1, 0.5), 3)],
    ids=["dwindling growth", "growth", "loss"],
)
def test_the_longest_training_is_tried_only_while_the_network_grows(monkeypatch, utilities, n_trained):
    given = iter(utilities)
    monkeypatch.setattr(trials, "_train_candidate", lambda *_: {np.inf: np.full(24, next(given))})
    data = made()
    ranker = HyperDPORanker(None, network=MLP(hidden=(2,)), random_state=0).fit(data.X, data.Y, qid=data.qid)
    assert len(ranker.tuning_.candidates) == n_trained
    best = int(np.argmax(utilities[:n_trained]))
    assert ranker.tuning_.dropout == trials.CANDIDATES[best][0]


def test_noise_is_not_climbed_for():
    data = made()
    noise = np.random.default_rng(0).integers(0, 3, data.Y.shape).astype(float)
    ranker = HyperDPORanker(**SMALL).fit(data.X, noise, qid=data.qid)
    assert len({entry["epochs"] for entry in ranker.tuning_.candidates}) <= 2
    assert ranker.tuning_.dropout == 0.5


def test_baselines_train_as_long_as_their_tuning_says(tuned_ranker):
    data, ours = made(), tuned_ranker.tuning_
    baseline = LinearScalarizationRanker(weights=2, n_jobs=1, **SMALL).fit(data.X, data.Y, qid=data.qid)
    assert baseline.tuning_.max_epochs == len(baseline.histories_[0])
    assert {entry["epochs"] for entry in baseline.tuning_.candidates} & {
        entry["epochs"] for entry in ours.candidates
    }


def test_the_same_seed_tunes_the_same(tuned_ranker):
    data = made()
    again = clone(tuned_ranker).fit(data.X, data.Y, qid=data.qid)
    assert again.tuning_ == tuned_ranker.tuning_
    np.testing.assert_array_equal(*(one.predict(data.X, qid=data.qid) for one in (again, tuned_ranker)))


def test_utility_is_the_weighted_mean_of_the_metrics_that_can_be_measured():
    data = as_lists(made(6))
    data.Y[data.lists.index == 2, 1] = 0.0  # nothing to measure there
    weights = np.array([[1.0, 0.0], [0.25, 0.75]])
    metric = parse_metric("ndcg@10")
    scores = np.random.default_rng(0).normal(size=(len(data.X), 2))
    judge = trials.TuningEvaluation(data, metric, weights, None, 1.0, ())
    found = judge.utility(scores)
    for q in range(6):
        rows = data.lists.index == q
        values = np.array([metric(scores[rows, k], data.Y[rows]) for k in range(2)])
        known = ~np.isnan(values)
        expected = (np.where(known, values, 0) * weights).sum() / (known * weights).sum()
        assert found[q] == pytest.approx(expected)
    assert np.isnan(metric(scores[data.lists.index == 2, 0], data.Y[data.lists.index == 2])[1])


def test_better_by_less_than_its_standard_error_is_not_better():
    a = np.array([1.0, 2.0, 3.0, np.nan])
    assert trials.surely_better(a + 0.1, a)
    assert not trials.surely_better(a, a)
    assert not trials.surely_better(np.array([3.0, 0.0, 4.0]), np.array([0.0, 3.0, 3.0]))


def test_labels_that_say_nothing_leave_the_defaults():
    data = made()
    ranker = HyperDPORanker(**SMALL).fit(data.X, np.ones_like(data.Y), qid=data.qid)
    assert (ranker.tuning_.dropout, ranker.tuning_.reward_scale_factor) == (0.5, 1.0)


def test_an_objective_with_few_labels_is_not_lost_to_a_trial():
    data = made()
    labels = data.Y.copy()
    first = data.qid == data.qid[0]
    labels[~first, 1] = np.nan
    is_tuned = set()
    for seed in range(6):  # the one query with labels is now among those that would judge, now not
        ranker = HyperDPORanker(**{**SMALL, "random_state": seed}, max_epochs=1)
        ranker.fit(data.X, labels, qid=data.qid)
        is_tuned.add(ranker.tuning_ is not None)
        assert np.isfinite(ranker.predict(data.X, qid=data.qid)).all()
    assert is_tuned == {True, False}
    weight = first.astype(float)
    ranker = HyperDPORanker(**SMALL).fit(data.X, data.Y, qid=data.qid, query_weight=weight)
    assert np.isfinite(ranker.predict(data.X, qid=data.qid)).all()


def test_tuning_can_be_left_out():
    data = made()
    ranker = HyperDPORanker(**{**SMALL, "network": MLP(hidden=(8,))}, tuning=False)
    assert ranker.fit(data.X, data.Y, qid=data.qid).tuning_ is None
    assert (ranker.model_.network.options["dropout"], ranker.reward_scale_) == (0.5, pytest.approx(1.0))
    with pytest.raises(ValueError, match="tuning must be one of"):
        ranker.set_params(tuning="no").fit(data.X, data.Y, qid=data.qid)


@pytest.fixture
def few_rounds(monkeypatch):
    monkeypatch.setattr(trials, "CAPACITIES", (({}, (5,)), ({"num_leaves": 31}, (20, 40))))
    monkeypatch.setattr(config, "MAX_RANKING_ROUNDS", 30)
    monkeypatch.setattr(trials, "MAX_RANKING_ROUNDS", 30)


def tuned(Y, data, **options):
    given = {"network": MLP(hidden=(8,), dropout=0.1), "max_epochs": 1, "random_state": 0, **options}
    return HyperDPORanker(**given).fit(data.X, Y, qid=data.qid)


@pytest.mark.usefixtures("few_rounds")
@pytest.mark.parametrize("kind", ["regressions", "pairs"])
def test_larger_boosters_are_chosen_where_they_are_better(monkeypatch, capsys, kind):
    data = datasets.make_user_item_ranking(n_users=150, n_items=60, list_size=12, noise=0.0, random_state=0)
    of_regressions = kind == "regressions"
    monkeypatch.setattr(trials, "surely_better", lambda a, b, **_: of_regressions and a is not b)
    ranker = tuned(data.Y, data, verbose=1)
    tuning, reference = ranker.tuning_, ranker.reference_
    small, *larger = tuning.booster_candidates
    assert max(entry["utility"] for entry in larger) > small["utility"]
    assert tuning.reference == ("booster_regressions" if kind == "regressions" else None)
    assert len(reference.members) == (2 if kind == "regressions" else 3)
    boosters = reference.members[0].boosters
    assert len(read_booster_text(boosters.texts[0]).trees) <= (40 if kind == "regressions" else 30)
    assert tuning.booster_params["num_leaves"] == 31
    assert max(tree.n_leaves for tree in read_booster_text(boosters.texts[0]).trees) > 15
    assert tuning.booster_params["num_boost_round"] in (20, 40)
    assert "of 31 leaves" in capsys.readouterr().err


@pytest.mark.usefixtures("few_rounds")
def test_small_boosters_stay_where_labels_are_noise():
    data = made()
    noise = np.random.default_rng(0).integers(0, 3, data.Y.shape).astype(float)
    assert tuned(noise, data).tuning_.booster_params == {}


@pytest.mark.usefixtures("few_rounds")
@pytest.mark.parametrize("reference", ["boosters", "lightgbm"])
def test_other_boosters_get_the_size_that_is_chosen(reference):
    data = datasets.make_user_item_ranking(n_users=150, n_items=60, list_size=12, noise=0.0, random_state=0)
    ranker = tuned(data.Y, data, reference=reference)
    assert ranker.tuning_.booster_params["num_leaves"] == 31
    (tree, *_) = read_booster_text(ranker.reference_.boosters.texts[0]).trees
    assert tree.n_leaves > 15


def test_booster_params_of_the_caller_stay():
    data = made()
    assert tuned(data.Y, data, booster_params=FEW_TREES).tuning_.booster_candidates == []
