"""Columns of a reference model: by name wherever both sides have names; the answer before, and now.

Before, a LightGBM model got the columns of a frame by their positions: with shuffled columns its relevance
fell from .376 to .234 without a word.
"""

import warnings

import lightgbm
import numpy as np
import pandas as pd
import polars as pl
import pytest
from lightgbm import LGBMClassifier, LGBMRanker, LGBMRegressor
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import hyperrank
from hyperrank import HyperDPORanker, LightGBMScalarizationRanker, MixedScoresRanker, datasets
from hyperrank.cli import main
from hyperrank.networks import MLP

DATA = datasets.make_multilabel_ranking(n_queries=20, n_objectives=2, n_features=5, random_state=0)
NAMES = ["price", "bm25 body", "age", "clicks", "length"]
X = pd.DataFrame(DATA.X, columns=NAMES)
LABELS = np.ascontiguousarray(DATA.Y[:, 0])
SHUFFLED = ["length", "age", "price", "clicks", "bm25 body"]
FEW_TREES = {"num_boost_round": 5, "num_leaves": 4}
QUICK = {"max_epochs": 1, "network": MLP(hidden=(4,)), "random_state": 0, "query_standardize": False}


class Foreign:
    """A model like CatBoost's, which stores names as ``feature_names_``."""

    def __init__(self, frame, labels):
        self.feature_names_ = list(frame.columns)
        self.model = LinearRegression().fit(frame.to_numpy(), labels)

    def predict(self, features):
        return self.model.predict(np.asarray(features))


class LikeXGBoost(Foreign):
    """XGBoost's own boosters have ``feature_names``."""

    def __init__(self, frame, labels):
        super().__init__(frame, labels)
        self.feature_names = self.__dict__.pop("feature_names_")


def fitted_models():
    booster = LGBMRegressor(n_estimators=10, n_jobs=1, verbose=-1).fit(X, LABELS)
    return {
        "LGBMRegressor": booster,
        "lightgbm.Booster": booster.booster_,
        "scikit-learn": LinearRegression().fit(X, LABELS),
        "Pipeline": make_pipeline(StandardScaler(), LinearRegression()).fit(X, LABELS),
        "CatBoost": Foreign(X, LABELS),
        "XGBoost": LikeXGBoost(X, LABELS),
    }


MODELS = fitted_models()
KINDS = pytest.mark.parametrize("kind", MODELS)


def reference_scores(ranker, features):
    return ranker.predict(features, qid=DATA.qid, temperature=0)


@KINDS
@pytest.mark.parametrize("frame", ["shuffled", "more columns", "polars", "an array at predict"])
def test_columns_are_found_by_name(kind, frame, tmp_path):
    """Before, by position; with more columns LightGBM's advice to switch its check off."""
    features = X[SHUFFLED]
    if frame == "more columns":
        features = features.assign(more=1.5)[["more", *SHUFFLED]]
    if frame == "polars":
        features = pl.from_pandas(features)
    ranker = HyperDPORanker(MODELS[kind], **QUICK).fit(features, DATA.Y, qid=DATA.qid)
    if frame == "an array at predict":
        features = features.to_numpy()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "X does not have valid feature names")
        np.testing.assert_allclose(reference_scores(ranker, features), MODELS[kind].predict(X), atol=1e-5)
        if kind == "lightgbm.Booster":
            again = hyperrank.load(ranker.save(tmp_path / "model"))
            np.testing.assert_allclose(reference_scores(again, features), MODELS[kind].predict(X), atol=1e-5)
            front = ranker.pareto_front(features, DATA.Y, qid=DATA.qid)
            expected = HyperDPORanker(MODELS[kind], **QUICK).fit(X, DATA.Y, qid=DATA.qid)
            np.testing.assert_allclose(
                front.reference, expected.pareto_front(X, DATA.Y, qid=DATA.qid).reference
            )


@KINDS
@pytest.mark.parametrize(
    ("features", "said"),
    [
        (X.drop(columns="age"), "fitted on columns that X lacks: 'age'. X has 'price', "),
        (X.rename(columns={"age": "years"}), "fitted on columns that X lacks: 'age'. X has"),
        (DATA.X[:, :3], "was fitted on 5 features, and X has 3"),
    ],
    ids=["one is missing", "one has another name", "an array of another width"],
)
def test_what_cannot_be_matched_is_refused(kind, features, said):
    """Before, positions, or the library's own words."""
    if kind in ("CatBoost", "XGBoost") and isinstance(features, np.ndarray):
        pytest.skip("these say nothing of their width")
    with pytest.raises(ValueError, match="the reference") as caught:
        HyperDPORanker(MODELS[kind], **QUICK).fit(features, DATA.Y, qid=DATA.qid)
    assert said in str(caught.value)


def test_two_columns_of_one_name_are_refused():
    twice = X.assign(bm25_body=1.0)
    with pytest.raises(ValueError, match="several columns that the reference may mean by 'bm25_body'"):
        HyperDPORanker(MODELS["LGBMRegressor"], **QUICK).fit(twice, DATA.Y, qid=DATA.qid)


def test_labels_of_columns_that_are_numbers():
    """Before, columns of a reference and of the ranker itself were taken by position."""
    numbered = pd.DataFrame(DATA.X)
    model = LGBMRegressor(n_estimators=10, n_jobs=1, verbose=-1).fit(numbered, LABELS)
    shuffled = numbered[[4, 2, 0, 3, 1]]
    ranker = HyperDPORanker(model, **QUICK).fit(shuffled, DATA.Y, qid=DATA.qid)
    np.testing.assert_allclose(reference_scores(ranker, shuffled), model.predict(numbered))
    for other in (MixedScoresRanker(LinearRegression()), HyperDPORanker(None, **QUICK)):
        other.fit(numbered, DATA.Y, qid=DATA.qid)
        with pytest.raises(
            ValueError, match="X has other columns than fit, or in another order: 4 in the place of 0"
        ):
            other.predict(shuffled, qid=DATA.qid)
        other.predict(DATA.X, qid=DATA.qid)


def test_names_that_libraries_make_up_are_not_names(tmp_path):
    model = LGBMRegressor(n_estimators=3, n_jobs=1, verbose=-1).fit(DATA.X, LABELS)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "X does not have valid feature names")
        ranker = HyperDPORanker(model, **QUICK).fit(X, DATA.Y, qid=DATA.qid)
        np.testing.assert_allclose(reference_scores(ranker, X), model.predict(DATA.X))
    with pytest.raises(ValueError, match="was fitted on 5 features, and X has 6"):
        HyperDPORanker(model, **QUICK).fit(X.assign(more=0.0), DATA.Y, qid=DATA.qid)


def test_categories_of_pandas(tmp_path):
    """Before, LightGBM took the values of others for its own numbers of categories."""
    codes = (2 * DATA.X[:, 0]).round().astype(int)
    with_category = X.assign(price=pd.Categorical(codes))
    model = LGBMRegressor(n_estimators=10, n_jobs=1, verbose=-1).fit(with_category, LABELS)
    for wrong in (X.assign(price=codes), pl.from_pandas(X.assign(price=codes))):
        with pytest.raises(ValueError, match=r"1 column\(s\) of dtype category.*Pass a frame"):
            HyperDPORanker(model, **QUICK).fit(wrong, DATA.Y, qid=DATA.qid)
    shuffled = with_category[SHUFFLED].assign(
        price=pd.Categorical(codes, categories=sorted(set(codes), reverse=True))
    )
    ranker = HyperDPORanker(model, **QUICK).fit(shuffled, DATA.Y, qid=DATA.qid)
    for one in (ranker, hyperrank.load(ranker.save(tmp_path / "model"))):
        np.testing.assert_allclose(reference_scores(one, shuffled), model.predict(with_category))
    text = X.assign(price=pd.Categorical(np.array(["x", "y"])[codes % 2]))
    for frame in (text, pl.from_pandas(text)):
        with pytest.raises(
            ValueError, match=r"column 'price' holds text, such as '.'; .* were numbers, such as"
        ):
            HyperDPORanker(model, **QUICK).fit(frame, DATA.Y, qid=DATA.qid)


def test_categories_of_pandas_by_value_of_any_frame(tmp_path):
    """Before, frames of polars and columns of text were refused."""
    kinds = np.array(["a", "b", "c"])[np.clip(DATA.X[:, 0].round(), 0, 2).astype(int)]
    with_category = X.assign(kind=pd.Categorical(kinds))
    model = LGBMRegressor(n_estimators=10, n_jobs=1, verbose=-1, min_child_samples=2)
    model.fit(with_category, LABELS)
    other = X.assign(kind=pd.Categorical(kinds, categories=["z", "c", "b", "a"]))[["kind", *X.columns]]
    ranker = HyperDPORanker(model, **QUICK).fit(with_category, DATA.Y, qid=DATA.qid)
    enum = pl.from_pandas(X).with_columns(kind=pl.Series(kinds.tolist(), dtype=pl.Enum(["c", "b", "a"])))
    assert len(set(model.predict(with_category.assign(kind=other.kind.cat.set_categories(["q"]))))) > 1
    for frame in (other[[*X.columns, "kind"]], enum, X.assign(kind=kinds)):
        np.testing.assert_allclose(reference_scores(ranker, frame), model.predict(with_category))
    again = HyperDPORanker(model, **QUICK).fit(other, DATA.Y, qid=DATA.qid)
    np.testing.assert_allclose(reference_scores(again, other), model.predict(with_category))


def test_a_model_named_to_the_command(tmp_path, monkeypatch):
    """``--reference model.txt`` over a table whose columns are in another order."""
    from click.testing import CliRunner

    monkeypatch.chdir(tmp_path)
    MODELS["lightgbm.Booster"].save_model("model.txt")
    table = X[SHUFFLED].assign(qid=DATA.qid, relevance=LABELS, margin=DATA.Y[:, 1])
    table.to_parquet("t.parquet")
    options = "--out m.safetensors --seed 0 --set max_epochs=1 --set network__hidden=[4] --device cpu"

    def run(line):
        return CliRunner().invoke(main, line.split(), prog_name="hyperrank")

    done = run(f"fit t.parquet --labels relevance,margin --reference model.txt {options}")
    assert done.exit_code == 0, done.output
    ranker = hyperrank.load("m.safetensors")
    features = X[SHUFFLED].astype(np.float32)
    np.testing.assert_allclose(reference_scores(ranker, features), MODELS["lightgbm.Booster"].predict(X))
    table.drop(columns="age").to_parquet("t.parquet")
    failed = run(f"fit t.parquet --labels relevance,margin --reference model.txt {options} --force")
    assert failed.exit_code == 1
    assert "fitted on columns that X lacks: 'age'" in failed.stderr


# What is refused at once


@pytest.mark.parametrize(
    "ranker",
    [
        HyperDPORanker(booster_params={"num_leave": 6}, max_epochs=1),
        MixedScoresRanker(booster_params={"num_leave": 6}),
        LightGBMScalarizationRanker(booster_params={"num_leave": 6}),
    ],
    ids=lambda ranker: type(ranker).__name__,
)
def test_parameters_that_lightgbm_ignores(ranker):
    """Before, ignored without a word."""
    with pytest.raises(
        ValueError, match="'num_leave', which is not a parameter of LightGBM: did you mean 'num_leaves'"
    ):
        ranker.fit(DATA.X, DATA.Y, qid=DATA.qid)


def test_a_list_that_lightgbm_refuses():
    """Before, LightGBM's "Number of rows 10001 exceeds upper limit of 10000 for a query"."""
    n = 10_001
    model = LGBMRanker(n_estimators=1, verbose=-1)
    for ranker in (HyperDPORanker(model, **QUICK), MixedScoresRanker(model)):
        with pytest.raises(ValueError, match=r"query number 0 has 10,001\. reference='lightgbm' splits"):
            ranker.fit(np.zeros((n, 1)), np.arange(n) % 2, qid=np.zeros(n))


class GivesNaN:
    """A reference that does not know the row of the third query's first document."""

    def predict(self, features):
        return np.where(np.arange(len(features)) == 5, np.nan, 0.0)


def test_scores_that_are_not_numbers():
    """Before: "predict gave (n,); wanted (n,)"."""
    with pytest.raises(ValueError, match=r"GivesNaN\.predict gave nan for row 5 of X, and 1 such"):
        HyperDPORanker(GivesNaN(), **QUICK).fit(X, DATA.Y, qid=DATA.qid)
    scores = np.zeros(len(X))
    scores[5] = np.nan
    with pytest.raises(ValueError, match=r"ref_scores.*NaN"):
        HyperDPORanker("scores", **QUICK).fit(X, DATA.Y, qid=DATA.qid, ref_scores=scores)


def test_lightgbm_is_as_new_as_its_text_is_safe():
    """CVE-2024-43598: before 4.6, its parser wrote over the heap."""
    assert tuple(int(part) for part in lightgbm.__version__.split(".")[:2]) >= (4, 6)


def test_a_ranker_as_reference_is_told_the_queries():
    """Before, features within the query were computed over all rows as one list."""
    options = {**QUICK, "query_standardize": True, "reference": "lightgbm", "booster_params": FEW_TREES}
    inner = HyperDPORanker(**options).fit(DATA.X, LABELS, qid=DATA.qid)
    shuffled = np.random.default_rng(0).permutation(len(DATA.X))
    x, y, qid = DATA.X[shuffled], DATA.Y[shuffled], DATA.qid[shuffled]
    outer = HyperDPORanker(**{**QUICK, "reference": inner}).fit(x, y, qid=qid)
    expected = inner.predict(x, qid=qid)
    np.testing.assert_array_equal(outer.predict(x, qid=qid, temperature=0), expected)
    assert not np.array_equal(inner.predict(x, qid=np.zeros(len(x))), expected)


@pytest.mark.parametrize(
    "reference", [LGBMRanker, {DATA.names[0]: LGBMRanker}], ids=["alone", "by objective"]
)
def test_a_class_is_not_a_model(reference):
    """Before, "'property' object is not iterable"."""
    with pytest.raises(
        ValueError, match=r"LGBMRanker is a class; expected a fitted model, LGBMRanker\(\)\.fit"
    ):
        HyperDPORanker(reference, objectives=DATA.names, **QUICK).fit(X, DATA.Y, qid=DATA.qid)


#: What is no reference, and the error. Before, "the truth value of a Series is ambiguous".
NO_REFERENCE = {
    "scores": (
        lambda _: X["age"],
        "got Series. Scores of rows: reference='scores', and ref_scores=",
    ),
    "a misspelt name": (lambda _: "booster_pair", "got 'booster_pair'. Did you mean 'booster_pairs'"),
    "a ranker's file": (
        lambda path: {DATA.names[0]: path},
        "a ranker of hyperrank's, .*hyperrank.load",
    ),
}


@pytest.mark.parametrize("kind", NO_REFERENCE)
def test_what_is_no_reference(kind, tmp_path):
    HyperDPORanker(None, max_epochs=1).fit(X, DATA.Y, qid=DATA.qid).save(tmp_path / "m")
    reference, message = NO_REFERENCE[kind]
    with pytest.raises(ValueError, match=message):
        HyperDPORanker(reference(str(tmp_path / "m")), objectives=DATA.names, **QUICK).fit(
            X, DATA.Y, qid=DATA.qid
        )


def test_classes_and_labels_are_not_scores():
    """Before, taken in silence: ties, and a reference that knows the labels."""
    model = LGBMClassifier(n_estimators=2, n_jobs=1, verbose=-1).fit(X, LABELS > 0)
    with pytest.warns(UserWarning, match="the reference LGBMClassifier is a classifier, whose predict gives"):
        made = HyperDPORanker(model, **QUICK).fit(X, DATA.Y, qid=DATA.qid)
    with pytest.warns(UserWarning, match="the baseline LGBMClassifier is a classifier"):
        made.pareto_front(X, DATA.Y, qid=DATA.qid, baseline=model)
    with pytest.warns(UserWarning, match=f"baseline has the values of the objective '{DATA.names[0]}'"):
        made.pareto_front(X, DATA.Y, qid=DATA.qid, baseline=DATA.Y[:, 0])
    with pytest.warns(UserWarning, match="ref_scores has the values of the objective"):
        HyperDPORanker("scores", **QUICK).fit(X, DATA.Y, qid=DATA.qid, ref_scores=DATA.Y[:, 0])
