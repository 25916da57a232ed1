"""A trade-off is weights, temperature and names, whoever makes it and whoever takes it."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from click.testing import CliRunner

import hyperrank
from hyperrank import HyperDPORanker, MixedScoresRanker, PerQuery, PerRow, datasets, make_ranking_scorer
from hyperrank.cli import main
from hyperrank.front import ParetoFront, Selection
from hyperrank.metrics import hypervolume
from hyperrank.networks import MLP
from hyperrank.simplex import dirichlet_weights, lattice, lattice_near

AT = 0.3
NAMES = ["relevance", "clicks", "margin"]
BOOSTERS = {"num_iterations": 3, "num_leaves": 4, "min_data_in_leaf": 3, "num_threads": 1}
DATA = datasets.make_multilabel_ranking(
    n_queries=30, list_size=(4, 9), n_features=4, n_objectives=3, random_state=0
)
X, Y, QID = DATA.X, DATA.Y, DATA.qid
FRAME = pd.DataFrame(X, columns=list("abcd"))


@pytest.fixture(scope="module")
def ranker():
    made = HyperDPORanker(
        "lightgbm", objectives=NAMES, network=MLP((8,), dropout=0.0), max_epochs=2, beta=0.1, random_state=0,
        booster_params=BOOSTERS, n_jobs=1, query_standardize=False,
    )  # fmt: skip
    return made.fit(FRAME, Y, qid=QID)


@pytest.fixture(scope="module")
def baseline():
    made = MixedScoresRanker(objectives=NAMES, booster_params=BOOSTERS, n_jobs=1, random_state=0)
    return made.fit(FRAME, Y, qid=QID)


@pytest.fixture(scope="module")
def front(ranker):
    return ranker.pareto_front(FRAME, Y, qid=QID, temperature=AT)


@pytest.fixture(scope="module")
def choice(front):
    return front.select(at_least={"relevance": 0.9}, maximize="clicks")


@pytest.fixture(scope="module")
def expected(ranker, choice):
    """The scores that the front was measured by; those of temperature 1 are others."""
    scores = ranker.predict(FRAME, qid=QID, weights=choice.weights, temperature=AT)
    assert np.abs(scores - ranker.predict(FRAME, qid=QID, weights=choice.weights, temperature=1)).max() > 1e-3
    return scores


#: What makes a trade-off, from a front measured at temperature 0.3. Before, all lost the temperature.
MAKERS = {
    "select": lambda front, _: front.select(at_least={"relevance": 0.9}, maximize="clicks"),
    "select by a Series": lambda front, _: front.select(
        at_least=pd.Series({"relevance": 0.9}), maximize="clicks"
    ),
    "knee": lambda front, _: front.knee(),
    "nearest": lambda front, choice: front.nearest(choice.values),
    "JSON": lambda _, choice: Selection.from_dict(json.loads(json.dumps(choice.to_dict()))),
    "rows as an Arrow table": lambda front, choice: pa.Table.from_pandas(front.weights.iloc[[choice.index]]),
    "the front from JSON": lambda front, _: ParetoFront.from_dict(
        json.loads(json.dumps(front.to_dict()))
    ).select(at_least={"relevance": 0.9}, maximize="clicks"),
    "a row of front.weights": lambda front, choice: front.weights.iloc[choice.index],
    "rows of front.weights": lambda front, choice: front.weights.iloc[[choice.index, 0]],
    "a row of weights beside values": lambda front, choice: pd.concat(
        [front.weights, front.points.add_suffix("_value")], axis=1
    ).loc[choice.index, NAMES],
    "a list of rows of front.weights": lambda front, choice: [front.weights.iloc[choice.index]],
    "PerQuery of rows": lambda front, choice: PerQuery(
        dict.fromkeys(np.unique(QID), front.weights.iloc[choice.index])
    ),
    "selections": lambda front, choice: [choice, front.knee()],
    "PerQuery": lambda _, choice: PerQuery(dict.fromkeys(np.unique(QID), choice)),
    "PerRow": lambda _, choice: PerRow([choice] * len(X)),
}


@pytest.mark.parametrize("maker", MAKERS)
def test_who_makes_a_trade_off_keeps_its_temperature(ranker, front, choice, maker):
    made = MAKERS[maker](front, choice)
    row = front.knee().weights if maker == "knee" else choice.weights
    assert np.array_equal(np.atleast_2d(np.asarray(made))[0], row) or maker.startswith("Per")
    scores = ranker.predict(FRAME, qid=QID, weights=made)
    served = ranker.predict(FRAME, qid=QID, weights=row, temperature=AT)
    np.testing.assert_array_equal(scores[:, 0] if scores.ndim == 2 else scores, served)


#: What forgets the temperature. Before, in silence.
FORGETFUL = {
    "array": lambda row: row.to_numpy(),
    "list": list,
    "mapping": lambda row: row.to_dict(),
    "tuple": lambda row: next(row.to_frame().T.itertuples(index=False)),
    "JSON": lambda row: json.loads(row.to_json(double_precision=12)),
}


@pytest.mark.parametrize("kind", FORGETFUL)
def test_weights_of_a_front_without_their_temperature_are_told_of(ranker, front, choice, kind):
    weights = FORGETFUL[kind](front.weights.iloc[choice.index])
    with pytest.warns(UserWarning, match=r"which has them at temperature 0\.3, but carry none"):
        ranker.predict(FRAME, qid=QID, weights=weights)
    ranker.predict(FRAME, qid=QID, weights=weights, temperature=1)
    ranker.predict(FRAME, qid=QID, weights=[0.123, 0.456, 0.421])


def test_rows_of_weights_that_were_numbered_again_are_refused(ranker):
    """Before, sorted by what they reach, they were served at the temperature of the front's first row."""
    weights = [[0.1, 0.1, 0.8], [0.5, 0.3, 0.2]]
    front = ranker.pareto_front(FRAME, Y, qid=QID, weights=weights, temperatures=[0.3, 3])
    table = pd.concat([front.weights, front.points.add_suffix("_value")], axis=1)
    row = table.iloc[[3, 0]].reset_index(drop=True).iloc[0][NAMES]
    with pytest.raises(ValueError, match="has been lost with their index"):
        ranker.predict(FRAME, qid=QID, weights=row)
    rounded = table.iloc[3][NAMES].round(2)
    expected = ranker.predict(FRAME, qid=QID, weights=weights[1], temperature=front.temperatures[3])
    np.testing.assert_array_equal(ranker.predict(FRAME, qid=QID, weights=rounded), expected)


def partitions():
    dask_frames = pytest.importorskip("dask.dataframe")
    return dask_frames.from_pandas(FRAME.assign(qid=QID), npartitions=2, sort=False)


def score_of(ranker, weights, **options):
    return ranker.score(FRAME, Y, qid=QID, weights=weights, **options)


#: What takes a trade-off: ``(ranker, selection) -> result`` and the same with weights and temperature apart.
TAKERS = {
    "predict": (
        lambda r, c: r.predict(FRAME, qid=QID, weights=c),
        lambda r, w, t: r.predict(FRAME, qid=QID, weights=w, temperature=t),
    ),
    "score": (lambda r, c: score_of(r, c), lambda r, w, t: score_of(r, w, temperature=t)),
    "pareto_front": (
        lambda r, c: r.pareto_front(FRAME, Y, qid=QID, weights=c).points.to_numpy(),
        lambda r, w, t: r.pareto_front(FRAME, Y, qid=QID, weights=w, temperature=t).points.to_numpy(),
    ),
    "specialize": (
        lambda r, c: r.specialize(c).predict(FRAME, qid=QID),
        lambda r, w, t: r.specialize(w, temperature=t).predict(FRAME, qid=QID),
    ),
    "specialized": (
        lambda r, c: r.specialize(c).predict(FRAME, qid=QID, weights=c),
        lambda r, w, t: r.specialize(w, temperature=t).predict(FRAME, qid=QID),
    ),
    "explain": (
        lambda r, c: r.explain(FRAME, qid=QID, weights=c, n_repeats=1, random_state=0).change,
        lambda r, w, t: (
            r.explain(FRAME, qid=QID, weights=w, temperature=t, n_repeats=1, random_state=0).change
        ),
    ),
    "predict_dask": (
        lambda r, c: r.predict_dask(partitions(), weights=c).compute(),
        lambda r, w, t: r.predict(FRAME, qid=QID, weights=w, temperature=t),
    ),
    "a scorer": (
        lambda r, c: make_ranking_scorer(objective="clicks", weights=c)(r, FRAME, Y, qid=QID),
        lambda r, w, t: r.pareto_front(FRAME, Y, qid=QID, weights=w, temperature=t).points["clicks"][0],
    ),
}


@pytest.mark.parametrize("taker", TAKERS)
def test_who_takes_a_trade_off_honours_its_temperature(ranker, choice, taker):
    whole, apart = TAKERS[taker]
    found = whole(ranker, choice)
    np.testing.assert_allclose(found, apart(ranker, choice.weights, AT), rtol=1e-6)
    assert not np.allclose(found, apart(ranker, choice.weights, 1.0), rtol=1e-6)


def test_explain_from_one_temperature_to_another(ranker, choice, front):
    weights = choice.named_weights
    warm = ranker.pareto_front(FRAME, Y, qid=QID, weights=weights).select()
    found = ranker.explain(FRAME, qid=QID, weights=choice, against=warm, n_repeats=1, random_state=0)
    assert found.temperatures == (1.0, AT)
    assert np.array_equal(found.weights, found.against)
    assert "at temperature 0.3, on" in repr(found)
    with pytest.raises(ValueError, match="both trade-offs are"):
        ranker.explain(FRAME, qid=QID, weights=choice, against=front.weights.iloc[choice.index])


@pytest.mark.slow  # seconds of torch.onnx; tests of export hold the graph
def test_onnx_takes_the_two_as_inputs(ranker, choice, expected, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    session = onnxruntime.InferenceSession(hyperrank.export.to_onnx(ranker, tmp_path / "r.onnx"))
    inputs = {
        "X": X,
        "weights": np.asarray(choice, dtype=np.float32)[None],
        "temperature": np.array([choice.temperature], dtype=np.float32),
    }
    np.testing.assert_allclose(session.run(None, inputs)[0][:, 0], expected, atol=1e-5)


def test_the_page_says_what_to_call(front, choice, expected, ranker, tmp_path):
    page = front.to_html(tmp_path / "front.html", selection=choice).read_text()
    data = json.loads(re.search(r'id="data">(.*?)</script>', page)[1])
    assert (data["temperatures"][choice.index], data["first"]) == (AT, choice.index)
    assert "temperature=${temperatureOf(i)}" in page
    weights = dict(zip(data["names"], data["weights"][data["first"]], strict=True))
    scores = ranker.predict(FRAME, qid=QID, weights=weights, temperature=data["temperatures"][data["first"]])
    np.testing.assert_array_equal(scores, expected)


def test_commands(ranker, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = FRAME.assign(qid=QID, **dict(zip(NAMES, Y.T, strict=True)))
    table.to_csv("data.csv", index=False)
    ranker.save("model.safetensors")
    X_read = pd.read_csv("data.csv")[list("abcd")]

    def run(line, code=0):
        result = CliRunner().invoke(main, line.split())
        assert result.exit_code == code, result.output
        return result

    options = f"model.safetensors data.csv --temperature {AT} --points 6"
    told = run(f"select {options} --at-least relevance=0.9 --out choice.json").stdout
    stored = Selection.from_dict(json.loads(Path("choice.json").read_text()))
    assert stored.temperature == AT
    expected = ranker.predict(X_read, qid=QID, weights=stored.weights, temperature=AT)
    shell, python = told.strip().splitlines()[-2:]
    served = eval(python, {"ranker": ranker, "X": X_read, "qid": QID})
    np.testing.assert_array_equal(served, expected)
    for line in ("--weights choice.json", shell):
        run(f"predict model.safetensors data.csv {line} --out scores.npy --force")
        np.testing.assert_array_equal(np.load("scores.npy"), expected)
    refused = run("predict model.safetensors data.csv --weights choice.json --temperature 1", code=1)
    assert "has temperature 0.3, and --temperature 1 was also given" in refused.stderr
    run(f"front {options} --out front.json")
    assert ParetoFront.from_dict(json.loads(Path("front.json").read_text())).temperature == AT
    card = run("describe model.safetensors --front front.json --trade-off choice.json --json").stdout
    assert json.loads(card)["front"]["temperature"] == AT
    assert json.loads(card)["trade_offs"]["choice"]["temperature"] == AT


@pytest.mark.parametrize(
    "take",
    [
        lambda r, c: r.predict(FRAME, qid=QID, weights=c, temperature=1.0),
        lambda r, c: r.score(FRAME, Y, qid=QID, weights=c, temperature=1.0),
        lambda r, c: r.specialize(c, temperature=1.0),
        lambda r, c: r.specialize(c).predict(FRAME, weights=c, temperature=AT),
        lambda r, c: r.explain(FRAME, qid=QID, weights=c, temperature=2.0),
        lambda r, c: r.pareto_front(FRAME, Y, qid=QID, weights=[c], temperature=2.0),
    ],
    ids=["predict", "score", "specialize", "specialized", "explain", "pareto_front"],
)
def test_another_temperature_beside_a_selection_is_an_error(ranker, choice, take):
    with pytest.raises(ValueError, match=r"selection (is of|has temperature) 0\.3"):
        take(ranker, choice)


def test_what_a_specialised_ranker_measures_is_of_its_temperature(ranker, choice):
    plain = ranker.specialize(choice)
    assert plain.pareto_front(FRAME, Y, qid=QID).temperature == AT
    halved = plain.pareto_front(FRAME, Y, qid=QID, temperature=0.5).select()
    assert halved.temperature == pytest.approx(AT / 2)
    scores = plain.predict(FRAME, qid=QID, weights=halved)
    np.testing.assert_array_equal(scores, plain.predict(FRAME, qid=QID, temperature=0.5))


@pytest.mark.parametrize(
    "take",
    [
        lambda b, c: b.predict(FRAME, qid=QID, weights=c),
        lambda b, c: b.score(FRAME, Y, qid=QID, weights=c),
        lambda b, c: b.pareto_front(FRAME, Y, qid=QID, weights=c),
        lambda b, c: b.explain(FRAME, qid=QID, weights=c),
        lambda b, c: make_ranking_scorer(weights=c)(b, FRAME, Y, qid=QID),
    ],
    ids=["predict", "score", "pareto_front", "explain", "a scorer"],
)
def test_a_baseline_without_a_temperature_says_so(baseline, choice, take):
    with pytest.raises(ValueError, match="a MixedScoresRanker has no temperature"):
        take(baseline, choice)


def test_a_baselines_own_trade_offs_have_none(baseline):
    front = baseline.pareto_front(FRAME, Y, qid=QID)
    own = front.select()
    assert front.temperature is own.temperature is None
    assert "temperature" not in front.to_frame()
    np.testing.assert_array_equal(
        baseline.predict(FRAME, weights=own), baseline.predict(FRAME, weights=own.weights)
    )


def test_selections_of_several_temperatures_are_refused(ranker, choice):
    warm = ranker.pareto_front(FRAME, Y, qid=QID, weights=choice.weights).select()
    assert warm.temperature == 1.0
    with pytest.raises(ValueError, match=r"of the temperatures \[0\.3, 1\.0\]"):
        ranker.predict(FRAME, weights=[choice, warm])
    with pytest.raises(ValueError, match="mix selections with others"):
        ranker.predict(FRAME, weights=[choice, [0.2, 0.3, 0.5]])


def test_an_array_of_selections_keeps_their_temperature(ranker, choice):
    """Before, it lost it."""
    array = np.array([choice, None], dtype=object)[:1]
    np.testing.assert_array_equal(
        ranker.predict(FRAME, qid=QID, weights=array), ranker.predict(FRAME, qid=QID, weights=[choice])
    )


def test_rows_of_several_temperatures_are_refused(ranker, front):
    """Before, rows in a list lost their temperatures."""
    warm, cold = front.weights.iloc[0].copy(), front.weights.iloc[1]
    warm.attrs = dict.fromkeys(warm.attrs, 2.0)
    with pytest.raises(ValueError, match="the weights are of the temperatures"):
        ranker.predict(FRAME, qid=QID, weights=[warm, cold])


def test_an_infinite_temperature_is_refused(ranker, choice):
    """Before, all scores were infinite."""
    for each in (ranker, ranker.specialize(choice)):
        with pytest.raises(ValueError, match="temperature must be a finite number at least 0"):
            each.predict(FRAME, qid=QID, temperature=np.inf)


# ------------------------------------------------------------------------------------------------- names

SWAPPED = pd.Series({"margin": 0.1, "relevance": 0.7, "clicks": 0.2})
#: Weights with names in another order. Before, Series were read by position, and frames of other names too.
NAMED = {
    "Series": SWAPPED,
    "mapping": SWAPPED.to_dict(),
    "frame": SWAPPED.to_frame().T.reset_index(drop=True),
    "list of Series": [SWAPPED, SWAPPED],
    "list of mappings": [SWAPPED.to_dict(), {"relevance": 1.0}],
    "PerQuery of Series": PerQuery(dict.fromkeys(np.unique(QID), SWAPPED)),
    "named tuple": next(SWAPPED.to_frame().T.itertuples(index=False)),
    "list of named tuples": list(SWAPPED.to_frame().T.itertuples(index=False)),
    "Arrow table": pa.Table.from_pandas(SWAPPED.to_frame().T.reset_index(drop=True)),
    "default index": pd.Series([0.7, 0.2, 0.1]),
}


@pytest.mark.parametrize("kind", NAMED)
def test_labelled_weights_are_matched_by_name(ranker, baseline, kind):
    for each in (ranker, baseline):
        scores = each.predict(FRAME, qid=QID, weights=NAMED[kind])
        scores = scores[:, 0] if scores.ndim == 2 else scores
        np.testing.assert_array_equal(scores, each.predict(FRAME, qid=QID, weights=[0.7, 0.2, 0.1]))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (
            SWAPPED.rename({"margin": "sales"}),
            r"unknown objectives \['sales'\] and no value",
        ),
        (SWAPPED.drop("margin"), r"no value for \['margin'\]"),
        (pd.Series({"relevance": 0.7, "clicks": 0.3, "margin": 0, "price": 0}), r"unknown .*\['price'\]"),
        (pd.concat([SWAPPED, SWAPPED[:1]]), "labels given twice"),
        (SWAPPED.rename({"margin": "sales"}).to_frame().T.reset_index(drop=True), r"unknown .*\['sales'\]"),
        ({"relevance": 1.0, "sales": 0.0}, r"unknown objectives \['sales'\]"),
        ({"weights": {"relevance": 1.0}, "temperature": 1.0}, "read by Selection.from_dict"),
        (pd.Series([0.7, 0.2, 0.1], index=[2, 1, 0]), r"unknown objectives \[2, 1, 0\]"),
        (np.ma.masked_array([0.7, 0.2, 0.1], mask=[0, 0, 1]), "weights must be finite"),
        ({"relevance": 1.0, "clicks": None}, "weights must be finite"),
        ([0.7 + 1j, 0.2, 0.1], "weights: Complex data not supported"),
        (np.full((len(X), 3), 1 / 3), r"weights of each row of X: PerRow\(weights\)"),
    ],
)
def test_labels_that_cannot_be_matched_are_refused(ranker, baseline, weights, message):
    for each in (ranker, baseline):
        with pytest.raises(ValueError, match=message):
            each.predict(FRAME, qid=QID, weights=weights)


def test_as_many_trade_offs_as_rows_can_be_asked_for(ranker, front):
    few = FRAME.iloc[:5]
    with pytest.raises(ValueError, match="a frame of them whose index is"):
        ranker.predict(few, weights=front.weights.iloc[:5].to_numpy())
    assert ranker.predict(few, weights=front.weights.iloc[:5]).shape == (5, 5)
    assert ranker.predict(few, weights=PerRow(front.weights.iloc[:5])).shape == (5,)
    assert ranker.predict(FRAME.iloc[:3], weights=np.eye(3)).shape == (3, 3)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (pd.Series({"relevanse": 0.9}), r"at_least names unknown objectives \['relevanse'\]"),
        (pd.Series([0.9, 0.5, 0.5]), r"at_least names unknown objectives \[0, 1, 2\]"),
        (pd.concat([pd.Series({"clicks": 0.9})] * 2), "at_least names 'clicks' more than once"),
        ([0.9, 0.5, 0.5], "at_least must map objectives to limits"),
    ],
)
def test_limits_are_matched_by_name(front, limits, message):
    with pytest.raises(ValueError, match=message):
        front.select(at_least=limits)
    with pytest.raises(ValueError, match=message.replace("at_least", "target").partition(" must")[0]):
        front.nearest(limits)


# ------------------------------------------------------------------------------------------------- values


def test_a_selection_there_and_back(choice):
    again = Selection.from_dict(json.loads(json.dumps(choice.to_dict())))
    assert again.to_dict() == choice.to_dict()
    assert repr(again) == repr(choice)
    assert "at temperature 0.3" in repr(choice)
    assert "<table" in choice._repr_html_()
    assert "at temperature 0.3" in choice._repr_html_()
    pd.testing.assert_series_equal(again.named_weights, choice.named_weights)
    with pytest.raises(ValueError, match=r"stored with intervals of level 0\.9; got level=0\.5"):
        again.interval(0.5)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([0.5, 0.5], "a selection is a mapping with 'weights' by objective"),
        ({"clicks": 0.5}, "a selection is a mapping with 'weights' by objective"),
        ({"weights": {"a": 0.5}}, "weights must sum to 1"),
        ({"weights": {"a": 1.0}, "temperature": -1}, "temperature must be a number at least 0"),
        ({"weights": {"a": 1.0}, "temperature": "warm"}, "temperature must be a number"),
        ({"weights": {"a": 1.0}, "temperature": True}, "temperature must be a number"),
        ({"weights": {"a": 1.0}, "objectives": ["b"]}, "unknown objectives"),
        ({"weights": {"a": 1.0}, "objectives": 5}, "objectives of a selection must be a list of names"),
        ({"weights": {"a": 1.0}, "limits": {"b": 1}}, r"limits of a selection names unknown objectives"),
        ({"weights": {"a": 1.0}, "values": {"b": 1}}, "not a complete selection: KeyError"),
        ({"weights": {"a": 1.0}, "values": 3}, "not a complete selection"),
    ],
)
def test_documents_that_are_no_selection(document, message):
    with pytest.raises(ValueError, match=message):
        Selection.from_dict(document)


def test_a_front_there_and_back(front):
    again = ParetoFront.from_dict(json.loads(json.dumps(front.to_dict())))
    pd.testing.assert_frame_equal(again.to_frame(), front.to_frame())
    assert again.weights.attrs == front.weights.attrs
    assert (again.temperature, again.label, again.metric) == (AT, "HyperDPORanker", "ndcg@10")
    assert (again.to_frame()["temperature"] == AT).all()
    with pytest.raises(ValueError, match="a front is a mapping with 'objectives', 'metric' and 'points'"):
        ParetoFront.from_dict({"objectives": ["a"], "points": []})
    with pytest.raises(ValueError, match="no value for"):
        ParetoFront.from_dict({**front.to_dict(), "objectives": [*NAMES, "price"]})
    with pytest.raises(ValueError, match="temperature must be a number at least 0"):
        ParetoFront([[1.0]], [[1.0]], names=["a"], temperature=-1)


class Gives:
    """A model that predicts one thing for all."""

    def __init__(self, prediction):
        self.prediction = prediction

    def predict(self, _):
        return self.prediction


HALVES = np.where(QID % 2, "us", "de")
KEPT = {"relevance": 0.9}
TYPOS = {
    "a switch": (lambda _, f: f.select(KEPT, relative="no"), "relative must be one of"),
    "another switch": (lambda _, f: f.select(in_every_segment="yes"), "in_every_segment must be one of"),
    "text for a limit": (lambda _, f: f.select({"relevance": "0.9"}), r"\['relevance'\] must be a finite"),
    "a yes for a limit": (lambda _, f: f.knee({"relevance": True}), r"\['relevance'\] must be a finite"),
    "segments that are masked": (
        lambda r, _: r.pareto_front(FRAME, Y, qid=QID, by=np.ma.masked_array(HALVES, mask=QID[9] == QID)),
        "by has no value in row",
    ),
    "segments of another order": (
        lambda r, _: r.pareto_front(FRAME, Y, qid=QID, by=pd.Series(HALVES)[::-1]),
        "by has the index of X in another order",
    ),
    "segments in columns": (
        lambda r, _: r.pareto_front(FRAME, Y, qid=QID, by=pd.DataFrame({"market": HALVES})),
        r"by has shape \(\d+, 1\); expected the segment of each row",
    ),
    "no temperature": (
        lambda r, _: r.pareto_front(FRAME, Y, qid=QID, temperature=np.nan),
        "temperature must be a finite number at least 0",
    ),
    "a temperature as text": (
        lambda r, _: r.pareto_front(FRAME, Y, qid=QID, temperature="1"),
        "temperature must be a number at least 0",
    ),
    "a baseline that gives nothing": (
        lambda r, _: r.pareto_front(FRAME, Y, qid=QID, baseline=Gives(None)),
        r"what the baseline Gives\.predict gave is a NoneType",
    ),
    "a baseline that gives too little": (
        lambda r, _: r.pareto_front(FRAME, Y, qid=QID, baseline=Gives([1.0])),
        r"the baseline Gives\.predict gave shape \(1,\)",
    ),
    "a metric that gives nothing": (
        lambda r, _: r.pareto_front(FRAME, Y, qid=QID, metric=lambda *_: None),
        "the metric gave a NoneType for a list; expected a number",
    ),
    "a label": (lambda r, _: r.pareto_front(FRAME, Y, qid=QID, label=3), "label a text or None"),
    "axes": (lambda _, f: f.plot(ax="x"), "ax must be axes of matplotlib, or None; got a str"),
    "a seed of compare": (
        lambda r, _: r.compare(FRAME, qid=QID, query=0, a=[1, 0, 0], b=[0, 1, 0], random_state="x"),
        "random_state must be a whole number",
    ),
    "an infinite option": (
        lambda *_: HyperDPORanker(beta=np.inf).fit(FRAME, Y, qid=QID),
        "beta must be a finite number above 0",
    ),
    "fronts to draw": (lambda _, f: f.plot(others=3), "others must be fronts; got a int"),
    "options of explain": (
        lambda r, _: r.explain(FRAME, qid=QID, weights=[1, 0, 0], temperatur_=1),
        "explain has no option 'temperatur_'; did you mean 'temperature'",
    ),
    "several queries": (
        lambda r, _: r.compare(FRAME, qid=QID, query=[0, 1], a=[1, 0, 0], b=[0, 1, 0]),
        r"query=\[0, 1\] is none of the 30 queries",
    ),
    "a file of another library": (
        lambda _, f: hyperrank.export.to_onnx(f, "m.onnx"),
        "expected a fitted ranker of hyperrank's; got a ParetoFront",
    ),
    "a seed for a generator": (
        lambda *_: dirichlet_weights(3, 2, rng=0),
        "rng must be a generator, .* got 0",
    ),
    "points": (lambda *_: lattice_near(2, "x"), "n_points must be a whole number"),
    "maximize": (lambda _, f: f.select(maximize=["clicks"]), "maximize must be an objective, or map several"),
    "temperatures": (
        lambda r, _: r.pareto_front(FRAME, Y, qid=QID, temperature=[0.5, 1]),
        r"several: temperatures=\[0.5, 1\]",
    ),
    "options": (
        lambda r, _: r.score(FRAME, Y, qid=QID, temperatur_=1),
        "score has no option 'temperatur_'; did you mean 'temperature'",
    ),
    "rows": (lambda r, _: r.specialize(PerRow([[1, 0, 0]])), "per query or row are for predict"),
    "text": (lambda r, _: r.predict(FRAME, qid=QID, weights='{"relevance": 1}'), "Selection.from_dict"),
    "a front": (lambda r, f: r.predict(FRAME, qid=QID, weights=f), r"front\.select\(\.\.\.\)"),
    "page": (lambda _, f: f.to_html("front.pdf"), "name it front.html"),
    "lattice": (lambda *_: lattice(20, 20), "lattice_near"),
}


@pytest.mark.parametrize("kind", TYPOS)
def test_near_misses_are_told_the_way(ranker, front, kind):
    """Before, words of numpy and Python, or memory without end."""
    call, message = TYPOS[kind]
    with pytest.raises((TypeError, ValueError), match=message):
        call(ranker, front)


def test_segments_that_text_would_merge_stay_apart(ranker):
    """Before, whole numbers beyond 2^53 were one segment, and so were 1 and "1"."""
    by = QID % 2 + 2**60
    found = ranker.pareto_front(FRAME, Y, qid=QID, by=by).by_segment["segment"]
    assert sorted(set(found)) == [str(2**60), str(2**60 + 1)]
    with pytest.raises(ValueError, match="by has several values that are one when written as text"):
        ranker.pareto_front(FRAME, Y, qid=QID, by=[1 if q % 2 else "1" for q in QID])


def test_segments_may_be_the_queries(ranker):
    """Before, all rows were one query where its ids were a column."""
    found = ranker.pareto_front(FRAME.assign(qid=QID), Y, by="qid").by_segment["segment"]
    assert found.nunique() == 30


def test_a_reference_point_is_matched_by_name():
    """Before, by position."""
    points = pd.DataFrame({"relevance": [0.5], "clicks": [0.4]})
    corner = pd.Series({"clicks": 0.3, "relevance": 0.1})
    assert hypervolume(points, corner) == pytest.approx(0.4 * 0.1)
    with pytest.raises(ValueError, match=r"unknown objectives \['price'\]"):
        hypervolume(points, corner.rename({"clicks": "price"}))
