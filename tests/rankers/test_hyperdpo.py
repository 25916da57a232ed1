import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from lightgbm import LGBMRanker
from scipy import sparse
from sklearn.tree import DecisionTreeRegressor

from hyperrank import AdamW, EarlyStopping, HyperDPORanker, QueryLists, datasets
from hyperrank.metrics import ndcg
from hyperrank.networks import MLP
from hyperrank.rankers.dpo.config import FitConfig
from hyperrank.rankers.inputs import read_fit_inputs, read_labelled
from hyperrank.reference import GroupedRows
from hyperrank.simplex import lattice

QUICK = {"max_epochs": 2, "network": MLP(hidden=(8, 8)), "random_state": 0}
#: Whatever depends on the boosters' in-sample fit is checked without them.
ALONE = {**QUICK, "reference": None}


def test_learns_each_objective_and_trades_between_them():
    test = datasets.make_multilabel_ranking(
        n_queries=60,
        list_size=(20, 40),
        n_features=8,
        n_objectives=2,
        conflict=0.9,
        noise=0.0,
        random_state=3,
    )
    split = test.qid < 45
    ranker = HyperDPORanker(
        reference=None, network=MLP(hidden=(32, 32), dropout=0.1), max_epochs=60, random_state=0
    )
    ranker.fit(test.X[split], test.Y[split], qid=test.qid[split])
    held = ~split
    front = ranker.pareto_front(test.X[held], test.Y[held], qid=test.qid[held], weights=[[1, 0], [0, 1]])
    rng = np.random.default_rng(0)
    by_chance = ndcg(rng.normal(size=held.sum()), test.Y[held], qid=test.qid[held], k=10)
    points = front.points.to_numpy()
    assert (np.diag(points) > by_chance + 0.1).all()
    assert points[0, 0] > points[1, 0] + 0.05
    assert points[1, 1] > points[0, 1] + 0.05


def test_several_weights_at_once_equal_one_at_a_time(fitted, unseen):
    weights = lattice(2, 5)
    together = fitted.predict(unseen.X, qid=unseen.qid, weights=weights)
    assert together.shape == (len(unseen.X), 6)
    for k, one in enumerate(weights):
        np.testing.assert_allclose(
            fitted.predict(unseen.X, qid=unseen.qid, weights=one), together[:, k], atol=1e-6
        )


def test_weights_by_name_and_equal_by_default(fitted, unseen):
    by_name = fitted.predict(unseen.X, qid=unseen.qid, weights={"clicks": 1.0})
    np.testing.assert_array_equal(by_name, fitted.predict(unseen.X, qid=unseen.qid, weights=[0, 1]))
    default = fitted.predict(unseen.X, qid=unseen.qid)
    np.testing.assert_array_equal(default, fitted.predict(unseen.X, qid=unseen.qid, weights=[0.5, 0.5]))


def test_temperature_zero_is_the_reference_and_scaling_is_linear(fitted, unseen):
    weights = [0.3, 0.7]
    at = {t: fitted.predict(unseen.X, qid=unseen.qid, weights=weights, temperature=t) for t in (0, 1, 2.5)}
    parts = fitted.reference_.scores(GroupedRows(unseen.X, QueryLists.from_qid(unseen.qid), unseen.X, None))
    np.testing.assert_allclose(at[0], parts @ weights, rtol=1e-12)
    np.testing.assert_allclose(at[2.5] - at[0], 2.5 * (at[1] - at[0]), rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(at[1], fitted.predict(unseen.X, qid=unseen.qid, weights=weights))


def test_beta_is_temperature_before_training(small, unseen):
    soft = HyperDPORanker(beta=1.0, **QUICK).fit(small.X, small.Y, qid=small.qid)
    hard = HyperDPORanker(beta=0.25, **QUICK).fit(small.X, small.Y, qid=small.qid)
    np.testing.assert_allclose(
        soft.predict(unseen.X, qid=unseen.qid, temperature=4.0),
        hard.predict(unseen.X, qid=unseen.qid),
        rtol=1e-9,
    )


def test_the_reference_never_enters_the_gradient(small, unseen):
    """What docs/method.md says of rewards: they are learnt alike over any reference, or over none."""
    alone = HyperDPORanker(reference=None, **QUICK).fit(small.X, small.Y, qid=small.qid)
    weights = lattice(2, 3)
    rewards = alone.predict(unseen.X, qid=unseen.qid, weights=weights)
    for reference in ("boosters", "lightgbm"):
        over = HyperDPORanker(reference=reference, beta=1.0, **QUICK).fit(small.X, small.Y, qid=small.qid)
        base = over.predict(unseen.X, qid=unseen.qid, weights=weights, temperature=0)
        scores = over.predict(unseen.X, qid=unseen.qid, weights=weights)
        np.testing.assert_allclose((scores - base) / over.reward_scale_, rewards, rtol=1e-5, atol=1e-6)


def test_same_seed_same_bits_and_global_state_untouched(small, unseen):
    np.random.seed(1)  # noqa: NPY002 - the global state is what is tested
    torch.manual_seed(1)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    first = HyperDPORanker(**QUICK).fit(small.X, small.Y, qid=small.qid)
    np.testing.assert_array_equal(before[0], np.random.get_state()[1])  # noqa: NPY002
    assert torch.equal(before[1], torch.get_rng_state())
    torch.manual_seed(99)
    second = HyperDPORanker(**QUICK).fit(small.X, small.Y, qid=small.qid)
    weights = lattice(2, 3)
    np.testing.assert_array_equal(
        first.predict(unseen.X, qid=unseen.qid, weights=weights),
        second.predict(unseen.X, qid=unseen.qid, weights=weights),
    )
    other = HyperDPORanker(**{**QUICK, "random_state": 1}).fit(small.X, small.Y, qid=small.qid)
    assert not np.array_equal(first.predict(unseen.X), other.predict(unseen.X))


def test_a_score_is_the_same_to_the_bit_in_any_company(fitted, unseen):
    """Whole queries alone or among others, rows in any order."""
    scores = fitted.predict(unseen.X, qid=unseen.qid, weights=[[1, 0], [0.2, 0.8]])
    rng = np.random.default_rng(0)
    shuffled = rng.permutation(len(unseen.X))
    np.testing.assert_array_equal(
        fitted.predict(unseen.X[shuffled], qid=unseen.qid[shuffled], weights=[[1, 0], [0.2, 0.8]]),
        scores[shuffled],
    )
    for query in np.unique(unseen.qid)[:5]:
        rows = unseen.qid == query
        np.testing.assert_array_equal(
            fitted.predict(unseen.X[rows], qid=unseen.qid[rows], weights=[[1, 0], [0.2, 0.8]]), scores[rows]
        )


def test_a_document_alone_scores_the_same_without_query_features(small, unseen):
    ranker = HyperDPORanker(query_standardize=False, **QUICK).fit(small.X, small.Y, qid=small.qid)
    scores = ranker.predict(unseen.X, qid=unseen.qid)
    for row in (0, 7, 50):
        np.testing.assert_array_equal(ranker.predict(unseen.X[row : row + 1]), scores[row : row + 1])


def test_unsorted_string_ids_and_frames_give_the_same_scores(small, unseen):
    ids = np.array([f"query {q}" for q in small.qid])
    plain = HyperDPORanker(**QUICK).fit(small.X, small.Y, qid=small.qid)
    named = pd.DataFrame(small.X, columns=[f"f{i}" for i in range(8)])
    labels = pd.DataFrame(small.Y, columns=["relevance", "clicks"])
    framed = HyperDPORanker(**QUICK).fit(named.assign(qid=ids), labels)
    assert framed.objectives_ == ("relevance", "clicks")
    assert list(framed.feature_names_in_) == list(named.columns)
    test = pd.DataFrame(unseen.X, columns=named.columns)
    expected = plain.predict(unseen.X, qid=unseen.qid)
    np.testing.assert_array_equal(framed.predict(test.assign(qid=unseen.qid)), expected)
    np.testing.assert_array_equal(framed.predict(test, qid=unseen.qid.astype(str)), expected)
    polars = pl.DataFrame(unseen.X, schema=list(named.columns)).with_columns(qid=pl.Series(unseen.qid))
    np.testing.assert_array_equal(framed.predict(polars), expected)


@pytest.mark.parametrize(
    "spell",
    [str, float, lambda q: (int(q), "de"), lambda q: f"query {q}"],
    ids=["str", "float", "tuple", "text"],
)
def test_ids_given_twice_may_be_spelled_otherwise(small, spell):
    """What rows they bring together is what counts."""
    frame = pd.DataFrame(small.X).rename(columns=str).assign(qid=small.qid)
    ranker = HyperDPORanker(**ALONE).fit(frame, small.Y, qid=[spell(q) for q in small.qid])
    expected = HyperDPORanker(**ALONE).fit(frame, small.Y)
    np.testing.assert_array_equal(ranker.predict(frame), expected.predict(frame))


def test_label_frames_are_read_by_name(fitted, unseen):
    right = pd.DataFrame(unseen.Y, columns=["relevance", "clicks"])
    front = fitted.pareto_front(unseen.X, right, qid=unseen.qid)
    swapped = fitted.pareto_front(unseen.X, right[["clicks", "relevance"]], qid=unseen.qid)
    pd.testing.assert_frame_equal(front.points, swapped.points)


def test_sparse_features_equal_dense_ones(small, unseen):
    dense = np.where(np.abs(small.X) > 1, small.X, 0)
    fit = HyperDPORanker(**ALONE).fit(sparse.csr_matrix(dense), small.Y, qid=small.qid)
    expected = HyperDPORanker(**ALONE).fit(dense, small.Y, qid=small.qid)
    np.testing.assert_array_equal(fit.predict(sparse.csr_array(unseen.X)), expected.predict(unseen.X))


@pytest.mark.parametrize("loss", ["listnet", "plackett_luce"])
@pytest.mark.parametrize("conditioning", ["film", "concat", "hypernetwork"])
@pytest.mark.parametrize("transform", ["quantile", "standard", "log"])
def test_choices_work_with_missing_values(small, unseen, loss, conditioning, transform):
    rng = np.random.default_rng(0)
    X, Y = small.X.copy(), small.Y.copy()
    X[rng.random(X.shape) < 0.2] = np.nan
    Y[rng.random(Y.shape) < 0.2] = np.nan
    ranker = HyperDPORanker(
        loss=loss,
        feature_transform=transform,
        **{**QUICK, "network": MLP(hidden=(8, 8), conditioning=conditioning)},
    )
    scores = ranker.fit(X, Y, qid=small.qid).predict(unseen.X, qid=unseen.qid, weights=lattice(2, 2))
    assert np.isfinite(scores).all()
    assert np.ptp(scores, axis=0).min() > 0


def test_fitted_models_stand_as_references(small, unseen):
    booster = LGBMRanker(n_estimators=5, n_jobs=1, verbose=-1).fit(
        small.X, small.Y[:, 0], group=QueryLists.from_qid(small.qid).sizes
    )
    for model in (
        booster,
        booster.booster_,
        DecisionTreeRegressor(random_state=0).fit(small.X, small.Y[:, 0]),
    ):
        ranker = HyperDPORanker(reference=model, **QUICK).fit(small.X, small.Y, qid=small.qid)
        at_rest = ranker.predict(unseen.X, qid=unseen.qid, temperature=0)
        np.testing.assert_allclose(at_rest, model.predict(unseen.X), rtol=1e-6)
        assert np.ptp(ranker.predict(unseen.X, qid=unseen.qid) - at_rest) > 0


def test_an_unfitted_reference_is_cloned_and_fitted_on_the_reference_objective(small, unseen):
    given = LGBMRanker(n_estimators=5, n_jobs=1, verbose=-1)
    ranker = HyperDPORanker(reference=given, reference_objective=1, **QUICK)
    shuffled = np.random.default_rng(0).permutation(len(small.X))
    ranker.fit(small.X[shuffled], small.Y[shuffled], qid=small.qid[shuffled])
    assert not hasattr(given, "booster_")
    # LGBMRanker's own fit on the same rows, grouped as hyperrank groups them.
    lists = QueryLists.from_qid(small.qid[shuffled])
    rows = shuffled[lists.order]
    expected = LGBMRanker(n_estimators=5, n_jobs=1, verbose=-1).fit(
        small.X[rows], small.Y[rows, 1], group=lists.sizes
    )
    np.testing.assert_allclose(ranker.predict(unseen.X, temperature=0), expected.predict(unseen.X))


def test_reference_scores_may_be_passed_in(small, unseen):
    ranker = HyperDPORanker(reference="scores", **QUICK)
    given = np.random.default_rng(0).normal(size=len(small.X))
    ranker.fit(small.X, small.Y, qid=small.qid, ref_scores=given)
    test = np.arange(len(unseen.X), dtype=float)
    np.testing.assert_array_equal(ranker.predict(unseen.X, temperature=0, ref_scores=test), test)
    front = ranker.pareto_front(unseen.X, unseen.Y, qid=unseen.qid, ref_scores=test)
    expected = ndcg(test, unseen.Y, qid=unseen.qid, k=10)
    np.testing.assert_allclose(front.reference, expected, rtol=1e-6)
    assert np.isfinite(ranker.score(unseen.X, unseen.Y, qid=unseen.qid, ref_scores=test))


def test_front_points_are_what_predict_reaches(fitted, unseen):
    front = fitted.pareto_front(unseen.X, unseen.Y, qid=unseen.qid)
    assert len(front) == 67  # the reference is the last
    assert front.names == ["relevance", "clicks"]
    for k in (0, 30, 66):
        scores = fitted.predict(unseen.X, qid=unseen.qid, weights=front.weights.iloc[k])
        np.testing.assert_allclose(
            front.points.iloc[k], ndcg(scores, unseen.Y, qid=unseen.qid, k=10), rtol=1e-6
        )
    reference = fitted.predict(unseen.X, qid=unseen.qid, weights=[1, 0], temperature=0)
    np.testing.assert_allclose(front.reference, ndcg(reference, unseen.Y, qid=unseen.qid, k=10), rtol=1e-6)
    chosen = front.select(at_least={"relevance": 0.9})
    assert fitted.predict(unseen.X, qid=unseen.qid, weights=chosen).shape == (len(unseen.X),)


def test_front_in_blocks_equals_the_front_at_once(fitted, unseen, monkeypatch):
    whole = fitted.pareto_front(unseen.X, unseen.Y, qid=unseen.qid)
    monkeypatch.setattr("hyperrank.rankers.profile.MAX_SCORES", 7 * len(unseen.X))
    pd.testing.assert_frame_equal(
        fitted.pareto_front(unseen.X, unseen.Y, qid=unseen.qid).points, whole.points, rtol=1e-6
    )


def test_score_is_the_weighted_metric(fitted, unseen):
    weights = np.array([0.25, 0.75])
    values = ndcg(fitted.predict(unseen.X, qid=unseen.qid, weights=weights), unseen.Y, qid=unseen.qid, k=10)
    assert fitted.score(unseen.X, unseen.Y, qid=unseen.qid, weights=weights) == pytest.approx(
        values @ weights
    )
    # A query of weight 0 counts for nothing, as if it were not there.
    first = unseen.qid < 10
    expected = fitted.score(unseen.X[first], unseen.Y[first], qid=unseen.qid[first])
    weighted = fitted.score(unseen.X, unseen.Y, qid=unseen.qid, sample_weight=first.astype(float))
    assert weighted == pytest.approx(expected)


@pytest.mark.parametrize("beta", ["auto", 0.2])
def test_early_stopping_keeps_the_best_epoch(small, unseen, beta):
    options = {
        "early_stopping": EarlyStopping(patience=2),
        "max_epochs": 50,
        "optimizer": AdamW(learning_rate=0.05),
        "network": MLP(hidden=(8, 8)),
        "random_state": 0,
    }
    ranker = HyperDPORanker(beta=beta, **options)
    ranker.fit(small.X, small.Y, qid=small.qid, X_val=unseen.X, y_val=unseen.Y, qid_val=unseen.qid)
    scores = [entry["score"] for entry in ranker.history_]
    assert ranker.best_score_ == max(scores)
    assert ranker.best_epoch_ == int(np.argmax(scores)) + 1
    assert len(scores) == ranker.best_epoch_ + 2 < 50
    front = ranker.pareto_front(unseen.X, unseen.Y, qid=unseen.qid, weights=lattice(2, 20))
    assert front.hypervolume() == pytest.approx(ranker.best_score_, rel=1e-6)


def test_queries_are_held_out_when_there_are_many(small):
    many = datasets.make_multilabel_ranking(n_queries=1000, list_size=2, n_features=4, random_state=0)
    ranker = HyperDPORanker(**ALONE).fit(many.X, many.Y, qid=many.qid)
    assert np.isfinite(ranker.best_score_)
    assert np.isnan(HyperDPORanker(**ALONE).fit(small.X, small.Y, qid=small.qid).best_score_)
    forced = HyperDPORanker(early_stopping=True, **ALONE).fit(small.X, small.Y, qid=small.qid)
    assert np.isfinite(forced.best_score_)


def test_lists_taken_keep_their_rows_together(small):
    """Also what only references read: the caller's frame, and scores."""
    mixed = np.random.default_rng(0).permutation(len(small.X))
    X, scores = small.X[mixed], mixed.astype(float)
    data = read_labelled(HyperDPORanker(), X, small.Y[mixed], small.qid[mixed], reset=True, ref_scores=scores)
    taken = data.take(np.array([5, 2]))
    np.testing.assert_array_equal(taken.frame.astype(np.float32), taken.X)
    np.testing.assert_array_equal(small.X[taken.ref_scores.astype(int)].astype(np.float32), taken.X)


def test_boosters_of_a_reference_are_seeded(small, unseen):
    bagging = {"bagging_fraction": 0.5, "bagging_freq": 1}
    zero, one = (
        HyperDPORanker(booster_params=bagging, **{**QUICK, "random_state": seed})
        .fit(small.X, small.Y, qid=small.qid)
        .predict(unseen.X, temperature=0)
        for seed in (0, 1)
    )
    assert not np.array_equal(zero, one)


def test_the_last_labels_of_an_objective_are_not_held_out(small):
    rare = small.Y.copy()
    rare[small.qid != small.qid[-1], 1] = np.nan
    ranker = HyperDPORanker(early_stopping=EarlyStopping(fraction=0.9), **QUICK)
    inputs = read_fit_inputs(ranker, small.X, rare, small.qid)
    for seed in range(5):
        config = FitConfig.from_params({**ranker.get_params(), "random_state": seed}, inputs)
        split = config.hold_out(inputs)
        ids = [set(part.lists.ids) for part in (split.training, split.validation)]
        assert not ids[0] & ids[1]
        assert ids[0] | ids[1] == set(inputs.training.lists.ids)
        assert np.isnan(split.validation.Y[:, 1]).all()


@pytest.mark.parametrize("early_stopping", [False, True])
def test_query_weight_zero_is_as_good_as_absent(small, unseen, early_stopping):
    kept = small.qid < 30
    options = {
        **ALONE,
        "optimizer": AdamW(batch_docs=10_000),
        "feature_transform": "none",
        "normalize_objectives": False,
    }
    # After one epoch nothing has been chosen by the queries held out, whose labels are flipped as well.
    options |= {"early_stopping": early_stopping, "max_epochs": 1}
    weighted = HyperDPORanker(**options).fit(small.X, small.Y, qid=small.qid, query_weight=kept.astype(float))
    flipped = small.Y.copy()
    flipped[~kept] = 4 - flipped[~kept]
    same = HyperDPORanker(**options).fit(small.X, flipped, qid=small.qid, query_weight=kept.astype(float))
    np.testing.assert_array_equal(weighted.predict(unseen.X), same.predict(unseen.X))


def test_one_objective_one_query_one_document():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(12, 3)), np.arange(12) % 3
    ranker = HyperDPORanker(**QUICK).fit(X, y)
    assert ranker.predict(X, weights=[1.0]).shape == (12,)
    assert ranker.pareto_front(X, y).temperatures.tolist() == [1, 0]
    lonely = HyperDPORanker(**QUICK).fit(X, y, qid=np.arange(12))
    assert np.isfinite(lonely.predict(X[:1])).all()


def test_progress_is_shown_only_when_asked(small, capfd):
    HyperDPORanker(**ALONE).fit(small.X, small.Y, qid=small.qid)
    assert capfd.readouterr() == ("", "")
    HyperDPORanker(verbose=1, early_stopping=True, **ALONE).fit(small.X, small.Y, qid=small.qid)
    shown = capfd.readouterr().err
    assert "loss=" in shown
    assert "hypervolume=" in shown
