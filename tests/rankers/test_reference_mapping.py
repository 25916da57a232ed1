"""References by objective: the user's models, columns and scores, completed by boosters fitted here."""

import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMRanker
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hyperrank import CheckpointFile, HyperDPORanker, QueryLists, datasets, load
from hyperrank.files import ModelFileError
from hyperrank.lists import within_list_deviations
from hyperrank.metrics import ndcg
from hyperrank.networks import MLP
from hyperrank.reference import GroupedRows, ModelReference

NAMES = ("relevance", "clicks", "margin")
QUICK = {
    "booster_params": {"num_boost_round": 5, "num_leaves": 4, "min_data_in_leaf": 3},
    "max_epochs": 1,
    "network": MLP(hidden=(6,)),
    "objectives": NAMES,
    "random_state": 0,
}
MIXED = [[1, 0, 0], [0, 0, 1], [0.2, 0.5, 0.3]]


class Data:
    """Rows with a column of margins in double precision, and a model fitted on columns in reverse."""

    def __init__(self):
        made = datasets.make_multilabel_ranking(
            n_queries=20, list_size=(4, 12), n_features=5, n_objectives=3, random_state=0
        )
        self.qid, self.Y = made.qid, made.Y
        names = [f"f{j}" for j in range(5)]
        self.X = pd.DataFrame(made.X.astype(np.float64), columns=names)
        rng = np.random.default_rng(0)
        # Differences that float32 does not know: scores of production must not be rounded on their way.
        self.X["margin_score"] = 1 + 1e-12 * rng.permutation(len(self.X))
        self.reverse = names[::-1]
        sizes = QueryLists.from_qid(self.qid).sizes
        self.model = LGBMRanker(n_estimators=8, num_leaves=4, min_child_samples=3, n_jobs=1, verbose=-1)
        self.model.fit(self.X[self.reverse], self.Y[:, 0].copy(), group=sizes)
        self.today = self.model.predict(self.X[self.reverse])
        self.fits = {"y": self.Y, "qid": self.qid}

    def fit(self, reference, **options):
        return HyperDPORanker(reference, **{**QUICK, **options}).fit(self.X, **self.fits)


@pytest.fixture(scope="module")
def data():
    return Data()


@pytest.fixture(scope="module")
def ranker(data):
    return data.fit({"margin": "margin_score", "relevance": data.model})


def test_the_corner_of_a_model_is_its_ranking_to_the_bit(data, ranker):
    at_rest = ranker.predict(data.X, qid=data.qid, weights=MIXED, temperature=0)
    np.testing.assert_array_equal(at_rest[:, 0], data.today)  # the main objective's are not even scaled
    margin = data.X["margin_score"].to_numpy()
    np.testing.assert_array_equal(np.argsort(at_rest[:, 1]), np.argsort(margin))
    assert len(np.unique(at_rest[:, 1])) == len(margin)
    moved = ranker.predict(data.X, qid=data.qid, weights=MIXED)
    assert (moved[:, 0] != data.today).any()


def test_all_objectives_count_alike(data, ranker):
    lists = QueryLists.from_qid(data.qid)
    ends = ranker.predict(data.X, qid=data.qid, weights=np.eye(3), temperature=0)
    deviations = within_list_deviations(lists.group(ends), lists)
    assert deviations[1] == pytest.approx(deviations[0])
    assert 0.7 < deviations[2] / deviations[0] < 1.42  # a power of two keeps its bits
    mixed = ranker.predict(data.X, qid=data.qid, weights=MIXED[2], temperature=0)
    np.testing.assert_allclose(mixed, ends @ MIXED[2])


def test_boosters_take_the_place_of_a_scorer_as_the_temperature_rises(data, ranker):
    lists, reference = QueryLists.from_qid(data.qid), ranker.reference_
    grouped = GroupedRows(lists.group(data.X.to_numpy()), lists.in_place, data.X.iloc[lists.order], None)
    parts = reference.parts(grouped)
    alone, some, wholly, far = (reference.at_temperature(parts, t) for t in (0.0, 0.1, 0.3, 50.0))
    pairs = reference.boosters.scores(grouped)
    for j in (0, 2):
        mixed = (2 * alone[:, j] + reference.unit * pairs[:, j]) / 3
        np.testing.assert_allclose(some[:, j], mixed, atol=1e-6)
        np.testing.assert_allclose(wholly[:, j], reference.unit * pairs[:, j], atol=1e-6)
    np.testing.assert_allclose(far, wholly, atol=1e-6)
    np.testing.assert_array_equal(far[:, 1], alone[:, 1])


def test_validation_queries_tell_what_is_better_alone_and_what_a_model_has_seen(data):
    X_val, y_val = data.X[5:].sample(frac=1, random_state=0), data.Y[5:]
    X_val["f1"] = y_val[:, 1] / 50  # which no booster could learn from the training rows
    fits = {**data.fits, "X_val": X_val, "y_val": y_val, "qid_val": np.arange(len(X_val)) // 10}
    with pytest.warns(UserWarning, match="reference of 'relevance' has visibly seen the training queries"):
        ranker = HyperDPORanker({"relevance": data.model, "clicks": "f1"}, **QUICK).fit(data.X, **fits)
    kept, joined = ranker.reference_.kept, ranker.reference_.joined
    assert (kept[1], joined[1]) == (1, 0)
    assert joined[0] > 1 > 0 > kept[0]


def test_what_is_completed_is_what_booster_pairs_would_be(data, ranker):
    pairs = data.fit("booster_pairs")
    at = {"weights": [0, 1, 0], "temperature": 0, "qid": data.qid}
    found, expected = ranker.predict(data.X, **at), pairs.predict(data.X, **at)
    assert np.corrcoef(found, expected)[0, 1] == pytest.approx(1)
    front = ranker.pareto_front(data.X, data.Y, qid=data.qid)
    assert front.reference.tolist() == pytest.approx(ndcg(data.today, data.Y, qid=data.qid, k=10))


def test_a_saved_ranker_has_its_models_along(data, ranker, tmp_path):
    again = load(ranker.save(tmp_path / "ranker.safetensors"))
    at = {"qid": data.qid, "weights": MIXED, "temperature": 0.5}
    np.testing.assert_array_equal(again.predict(data.X, **at), ranker.predict(data.X, **at))
    assert list(again.reference) == ["relevance", "margin"]
    assert again.reference["margin"] == "margin_score"
    assert again.fit(data.X, **data.fits).predict(data.X, qid=data.qid).shape == (len(data.X),)


@pytest.mark.parametrize("weights", [[1, 0, 0], [0, 1, 0], [0.5, 0, 0.5], [0.2, 0.5, 0.3]])
def test_specialized_rankers_keep_what_counts(weights, data, ranker, tmp_path):
    plain = ranker.specialize(weights, temperature=0.5)
    for temperature in (0, 0.2, 1, 4):
        expected = ranker.predict(data.X, qid=data.qid, weights=weights, temperature=temperature / 2)
        found = plain.predict(data.X, qid=data.qid, temperature=temperature)
        np.testing.assert_allclose(found, expected, atol=1e-6)
    again = load(plain.save(tmp_path / "plain.safetensors"))
    np.testing.assert_array_equal(again.predict(data.X, qid=data.qid), plain.predict(data.X, qid=data.qid))
    assert len(plain.reference_.reference.scorers) == (weights[0] > 0) + (weights[2] > 0)


def test_an_unfinished_fit_goes_on_with_models_that_no_file_holds(data, tmp_path):
    pipeline = make_pipeline(StandardScaler(), LinearRegression()).fit(data.X[["f3", "f1"]], data.Y[:, 1])
    given, file = {"relevance": data.model, "clicks": pipeline}, CheckpointFile(tmp_path / "fit", keep=True)
    first = data.fit(given, checkpoint=file)
    again = HyperDPORanker(given, checkpoint=file, **QUICK).fit(data.X, resume=True, **data.fits)
    np.testing.assert_array_equal(again.predict(data.X, qid=data.qid), first.predict(data.X, qid=data.qid))
    less = LGBMRanker(n_estimators=2, n_jobs=1, verbose=-1)
    other = {
        **given,
        "relevance": less.fit(data.X, data.Y[:, 0].copy(), group=QueryLists.from_qid(data.qid).sizes),
    }
    with pytest.raises(ModelFileError, match="scores the training rows otherwise"):
        HyperDPORanker(other, checkpoint=file, **QUICK).fit(data.X, resume=True, **data.fits)


@pytest.mark.parametrize("include", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_an_onnx_file_has_models_columns_and_boosters(include, data, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    from hyperrank.export import to_onnx

    X = data.X.astype(np.float32)
    reference = {"relevance": data.model, "margin": "f2"}
    plain = {"query_standardize": False, "feature_transform": "none"}  # a graph that exports fast
    ranker = HyperDPORanker(reference, **QUICK, **plain).fit(X, **data.fits)
    session = onnxruntime.InferenceSession(to_onnx(ranker, tmp_path / "r.onnx", include_reference=include))
    one = X[data.qid == data.qid[0]]
    for temperature in (0, 0.1, 1):
        inputs = {
            "X": one.to_numpy(),
            "weights": np.array(MIXED, np.float32),
            "temperature": np.full(1, temperature, np.float32),
        }
        if not include:
            inputs["ref_scores"] = np.column_stack([data.model.predict(one[data.reverse]), one["f2"]])
        (found,) = session.run(None, inputs)
        np.testing.assert_allclose(
            found, ranker.predict(one, weights=MIXED, temperature=temperature), atol=1e-5
        )


def test_scores_of_several_objectives_are_passed_side_by_side(data, tmp_path):
    passed = np.column_stack([data.today, data.X["margin_score"]])
    ranker = HyperDPORanker({"relevance": "scores", 2: "scores"}, **QUICK)
    ranker.fit(data.X, ref_scores=passed, **data.fits)
    again = load(ranker.save(tmp_path / "ranker.safetensors"))
    at = {"qid": data.qid, "temperature": 0}
    np.testing.assert_array_equal(
        again.predict(data.X, ref_scores=passed, weights=[1, 0, 0], **at), data.today
    )
    only_margin = again.specialize([0, 0.5, 0.5])
    expected = ranker.predict(data.X, ref_scores=passed, weights=[0, 0.5, 0.5], **at)
    np.testing.assert_allclose(only_margin.predict(data.X, ref_scores=passed[:, 1], **at), expected)
    for wrong, message in ((None, "2 scores per row"), (passed[:, 0], r"expected shape \(n, 2\)")):
        with pytest.raises(ValueError, match=message):
            again.predict(data.X, qid=data.qid, ref_scores=wrong)
    with pytest.raises(ValueError, match="frame of several columns"):
        again.predict(data.X, qid=data.qid, ref_scores=pd.DataFrame(passed))


def test_models_of_any_library_serve_but_are_not_stored(data, tmp_path):
    pipeline = make_pipeline(StandardScaler(), LinearRegression()).fit(data.X[["f3", "f1"]], data.Y[:, 1])
    ranker = data.fit({"clicks": pipeline}, reference_objective="clicks")
    found = ranker.predict(data.X, qid=data.qid, weights=[0, 1, 0], temperature=0)
    np.testing.assert_array_equal(found, pipeline.predict(data.X[["f3", "f1"]]))
    with pytest.raises(ModelFileError, match=r"Pipeline.*pickle the ranker, or .*'scores'"):
        ranker.save(tmp_path / "ranker.safetensors")
    assert not list(tmp_path.iterdir())


def test_arrays_are_scored_by_tables_of_trees_to_the_same_bits(data, monkeypatch):
    X = data.X[data.reverse].to_numpy(np.float32)
    model = LGBMRanker(n_estimators=8, num_leaves=9, min_child_samples=3, n_jobs=1, verbose=-1)
    sizes = QueryLists.from_qid(data.qid).sizes
    model.fit(pd.DataFrame(X, columns=data.reverse), data.Y[:, 0].copy(), group=sizes)
    lists = QueryLists.from_qid(data.qid)
    expected = model.booster_.predict(X)
    reference = ModelReference.of(model, pd.DataFrame(X, columns=data.reverse)[data.reverse[::-1]])
    shuffled = np.ascontiguousarray(X[:, ::-1])
    monkeypatch.setattr(LGBMRanker, "predict", None)
    np.testing.assert_array_equal(
        reference.scores(GroupedRows(shuffled, lists, shuffled, None))[:, 0], expected
    )


def test_all_objectives_may_be_given_and_a_model_be_a_file(data, tmp_path):
    path = tmp_path / "today.txt"
    data.model.booster_.save_model(path)
    ranker = data.fit({"relevance": path, "clicks": str(path), "margin": "margin_score"})
    found = ranker.predict(data.X, qid=data.qid, weights=[1, 0, 0], temperature=0)
    np.testing.assert_array_equal(found, data.today)
    path.unlink()
    assert load(ranker.save(tmp_path / "ranker.safetensors")).reference["relevance"].num_trees() == 8


def test_searches_clone_frozen_models(data):
    ranker = clone(HyperDPORanker({"relevance": FrozenEstimator(data.model)}, **QUICK))
    ranker.fit(data.X, **data.fits)
    found = ranker.predict(data.X, qid=data.qid, weights=[1, 0, 0], temperature=0)
    np.testing.assert_array_equal(found, data.today)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ({}, "without entries"),
        ({"revenue": "f1"}, "'revenue', which is not an objective: they are 'relevance', 'clicks'"),
        ({3: "f1"}, "a scorer for 3, which is not an objective"),
        ({"clicks": "f1", 1: "f2"}, "'clicks' two scorers"),
        ({"clicks": "click_score"}, "'click_score', which is neither a column of X nor a file .* X has 'f0'"),
        (
            {"clicks": LinearRegression()},
            "a LinearRegression, is not fitted: .* leave 'clicks' out",
        ),
        ({"clicks": 0.5}, "'clicks' must be a fitted model .* got float"),
        ({"clicks": LinearRegression().fit(pd.DataFrame({"old": [1, 2]}), [1, 2])}, "X lacks: 'old'"),
        ({"clicks": "scores"}, "needs ref_scores: one score per row"),
    ],
)
def test_what_cannot_be_a_scorer_is_refused_before_training(reference, message, data, monkeypatch):
    monkeypatch.setattr("hyperrank.rankers.dpo.reference.fit_reference_model", None)
    with pytest.raises(ValueError, match=message):
        data.fit(reference)


def test_a_file_that_is_not_a_model_is_named(data, tmp_path):
    (tmp_path / "model.txt").write_text("tree\n")
    with pytest.raises(ValueError, match=r"model\.txt is not a LightGBM model in text form"):
        data.fit({"clicks": tmp_path / "model.txt"})


def test_a_column_with_holes_is_refused(data):
    holed = data.X.assign(f1=data.X["f1"].where(np.arange(len(data.X)) != 3))
    with pytest.raises(ValueError, match=r"column 'f1', a reference, gave nan for row 3 of X"):
        HyperDPORanker({"clicks": "f1"}, **QUICK).fit(holed, **data.fits)
