"""Rankers as files: the same bits after loading, and no file that does worse than an error."""

import json
import struct
import warnings

import lightgbm
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load as parse
from safetensors.numpy import save as serialise
from sklearn.base import clone
from sklearn.ensemble import RandomForestRegressor
from sklearn.exceptions import NotFittedError

import hyperrank
from hyperrank import (
    HyperDPORanker,
    LightGBMScalarizationRanker,
    LinearScalarizationRanker,
    MixedScoresRanker,
    ModelFileError,
    MODPORanker,
    SoupRanker,
)
from hyperrank.datasets import make_multilabel_ranking
from hyperrank.files.model_file import KEY, _checksum

DATA = make_multilabel_ranking(n_queries=25, n_objectives=2, n_features=6, random_state=0)
SMALL = {"booster_params": {"num_boost_round": 4, "num_leaves": 4}, "random_state": 0}
QUICK = {**SMALL, "max_epochs": 1, "hidden": (12, 8)}
RANKERS = {
    "pairs": HyperDPORanker(**QUICK),
    "boosters": HyperDPORanker("boosters", **QUICK, query_standardize=False, feature_transform="log"),
    "one booster": HyperDPORanker("lightgbm", **QUICK, conditioning="hypernetwork"),
    "no reference": HyperDPORanker(None, **QUICK, booster_inputs=True, conditioning="concat"),
    "transformer": HyperDPORanker(**{**QUICK, "hidden": (8,)}, network="transformer"),
    "mixed scores": MixedScoresRanker(**SMALL),
    "searched": MixedScoresRanker(booster_params="search", random_state=0),
    "labels": LightGBMScalarizationRanker(weights=3, mixing="labels", **SMALL),
    "networks": LinearScalarizationRanker(weights=3, **QUICK),
    "soup": SoupRanker(**QUICK),
    "modpo": MODPORanker(weights=3, **QUICK),
}


def fitted(name):
    return clone(RANKERS[name]).fit(DATA.X, DATA.Y, qid=DATA.qid)


def scores(ranker, **options):
    held = getattr(ranker, "weights_", None)
    at = [[1.0, 0.0], [0.3, 0.7]] if held is None else held[:2]
    return ranker.predict(DATA.X, qid=DATA.qid, weights=at, **options)


@pytest.mark.parametrize("name", RANKERS)
def test_a_loaded_ranker_is_the_saved_one_to_the_bit(name, tmp_path):
    ranker = fitted(name)
    again = hyperrank.load(ranker.save(tmp_path / "model"))
    assert type(again) is type(ranker)
    np.testing.assert_array_equal(scores(again), scores(ranker))
    assert again.get_params() == ranker.get_params()
    assert repr(again) == repr(ranker)
    wanted = {name for name in vars(ranker) if name.endswith("_") and not name.startswith("_")}
    assert {name for name in vars(again) if name.endswith("_") and not name.startswith("_")} == wanted
    # Once more: what was loaded can be saved, to the same bytes.
    assert again.save(tmp_path / "twice").read_bytes() == (tmp_path / "model").read_bytes()


def test_a_loaded_ranker_goes_on(tmp_path):
    ranker = fitted("pairs")
    again = hyperrank.load(ranker.save(tmp_path / "model"))
    for one in (ranker, again):
        one.partial_fit(DATA.X, DATA.Y, qid=DATA.qid)
    np.testing.assert_array_equal(scores(again), scores(ranker))
    refitted = clone(again).fit(DATA.X, DATA.Y, qid=DATA.qid)
    np.testing.assert_array_equal(scores(refitted), scores(fitted("pairs")))


def test_frames_keep_their_names(tmp_path):
    X = pd.DataFrame(DATA.X, columns=[f"feature {j}" for j in range(6)])
    Y = pd.DataFrame(DATA.Y, columns=["relevance", "clicks"])
    ranker = HyperDPORanker(**QUICK).fit(X, Y, qid=DATA.qid)
    again = hyperrank.load(ranker.save(tmp_path / "model"))
    assert again.objectives_ == ("relevance", "clicks")
    assert list(again.feature_names_in_) == list(X.columns)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one, other = (r.predict(X, qid=DATA.qid, weights={"relevance": 1}) for r in (again, ranker))
    np.testing.assert_array_equal(one, other)
    with pytest.raises(ValueError, match="feature names"):
        again.predict(X.iloc[:, ::-1])


@pytest.mark.parametrize("is_wrapped", [True, False])
def test_a_reference_of_lightgbms_goes_along_as_its_text(is_wrapped, tmp_path):
    order = np.argsort(DATA.qid, kind="stable")
    groups = np.unique(DATA.qid, return_counts=True)[1]
    model = lightgbm.LGBMRanker(n_estimators=5, verbose=-1)
    model.fit(DATA.X[order], DATA.Y[order, 0], group=groups)
    ranker = HyperDPORanker(model if is_wrapped else model.booster_, **QUICK)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "X does not have valid feature names")
        ranker.fit(DATA.X, DATA.Y, qid=DATA.qid)
        again = hyperrank.load(ranker.save(tmp_path / "model"))
        np.testing.assert_array_equal(scores(again), scores(ranker))
    assert isinstance(again.reference, lightgbm.Booster)


def test_scores_as_reference(tmp_path):
    ranker = HyperDPORanker("scores", **QUICK)
    ranker.fit(DATA.X, DATA.Y, qid=DATA.qid, ref_scores=DATA.X[:, 0])
    again = hyperrank.load(ranker.save(tmp_path / "model"))
    options = {"ref_scores": DATA.X[:, 1]}
    np.testing.assert_array_equal(scores(again, **options), scores(ranker, **options))


def test_what_cannot_be_saved_says_so(tmp_path):
    with pytest.raises(NotFittedError):
        HyperDPORanker().save(tmp_path / "model")
    forest = RandomForestRegressor(n_estimators=2, random_state=0).fit(DATA.X, DATA.Y[:, 0])
    ranker = HyperDPORanker(forest, **QUICK).fit(DATA.X, DATA.Y, qid=DATA.qid)
    with pytest.raises(ModelFileError, match=r"RandomForestRegressor, which cannot be stored without pickle"):
        ranker.save(tmp_path / "model")
    assert not list(tmp_path.iterdir())
    with pytest.raises(FileNotFoundError):
        fitted("pairs").save(tmp_path / "nowhere" / "model")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return fitted("pairs").save(tmp_path_factory.mktemp("saved") / "model").read_bytes()


def opened(content):
    (size,) = struct.unpack("<Q", content[:8])
    return json.loads(json.loads(content[8 : 8 + size])["__metadata__"][KEY]), parse(content)


def closed(document, tensors, *, is_honest=True):
    document = {name: value for name, value in document.items() if name != "sha256" or not is_honest}
    if is_honest:
        document["sha256"] = _checksum(document, tensors)
    return serialise(tensors, metadata={KEY: json.dumps(document)})


def loading(content, tmp_path, *, by=hyperrank.load):
    path = tmp_path / "loading"
    path.write_bytes(content)
    return by(path)


def test_files_that_are_no_models(saved, tmp_path):
    with pytest.raises(FileNotFoundError):
        hyperrank.load(tmp_path / "nothing")
    with pytest.raises(ModelFileError, match="is a folder"):
        hyperrank.load(tmp_path)
    for content in (b"", b"{}", b"PK\x03\x04", saved[:-1], saved[: len(saved) // 2], saved[:7], saved + b"x"):
        with pytest.raises(ModelFileError, match=r"not a hyperrank model, or truncated|damaged"):
            loading(content, tmp_path)
    with pytest.raises(ModelFileError, match="not one that hyperrank wrote"):
        loading(serialise({"a": np.zeros(1)}), tmp_path)


def test_newer_and_unknown_formats(saved, tmp_path):
    document, tensors = opened(saved)
    with pytest.raises(
        ModelFileError, match=r"has format 99; this version reads up to 1: pip install --upgrade"
    ):
        loading(closed({**document, "format": 99}, tensors), tmp_path)
    with pytest.raises(ModelFileError, match="its format is None"):
        loading(closed({**document, "format": None}, tensors), tmp_path)


def test_what_does_not_match(saved, tmp_path):
    document, tensors = opened(saved)
    with pytest.raises(ModelFileError, match="checksum"):
        loading(closed({**document, "n_features": 7}, tensors, is_honest=False), tmp_path)
    with pytest.raises(ModelFileError, match=r"holds a HyperDPORanker; expected .*SoupRanker"):
        loading(saved, tmp_path, by=SoupRanker.load)
    with pytest.raises(ModelFileError, match="holds a Popen"):
        loading(closed({**document, "class": "Popen"}, tensors), tmp_path)
    probe = {**tensors, "probe": tensors["probe"] + 1}
    with pytest.raises(ModelFileError, match="does not score as it did"):
        loading(closed(document, probe), tmp_path)
    (head,) = (name for name in tensors if name.endswith("head.weight"))
    short = {**tensors, head: tensors[head][:-1]}
    with pytest.raises(ModelFileError, match="does not hold what it says"):
        loading(closed(document, short), tmp_path)


def test_sizes_that_would_take_all_memory_are_refused(saved, tmp_path):
    document, tensors = opened(saved)
    text = json.dumps(document).replace('{"$tuple": [12, 8]}', "[12, 8]")
    assert text.count('"hidden": [12, 8]') == 2  # of the constructor, and of the network
    for huge in ("[900000000, 900000000]", json.dumps([1] * 100_000)):
        monstrous = json.loads(text.replace("[12, 8]", huge))
        with pytest.raises(ModelFileError):
            loading(closed(monstrous, tensors), tmp_path)


@given(seed=st.integers(0, 2**31), n=st.integers(1, 8))
@settings(max_examples=300)
def test_no_changed_byte_goes_unnoticed(seed, n, saved, tmp_path_factory):
    """Bytes changed, cut out or put in, mostly in the header: an error, or a file that says the same."""
    rng = np.random.default_rng(seed)
    content = bytearray(saved)
    end = len(content) if rng.random() < 0.5 else struct.unpack("<Q", saved[:8])[0] + 8
    for _ in range(n):
        at = int(rng.integers(end))
        kind = rng.integers(3)
        if kind == 0:
            content[at] = rng.integers(256)
        elif kind == 1:
            del content[at : at + int(rng.integers(1, 20))]
        else:
            content[at:at] = rng.bytes(int(rng.integers(1, 20)))
    try:
        ranker = loading(bytes(content), tmp_path_factory.getbasetemp())
    except ModelFileError:
        return
    assert closed(*opened(bytes(content))) == closed(*opened(saved))
    ranker.predict(DATA.X)


HOSTILE = [None, True, -1, 0, 7, 10**9, 1e308, "", "x", [], {}, {"$tuple": []}, {"$array": "probe"}, [[[]]]]


def places(node, path=()):
    """Every place in a JSON document."""
    yield path
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        yield from places(value, (*path, key))


def put(document, path, value):
    document = json.loads(json.dumps(document))
    node = document
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return document


@given(seed=st.integers(0, 2**31))
@settings(max_examples=300)
def test_no_forged_file_does_worse_than_an_error(seed, saved, tmp_path_factory):
    """Values, arrays and trees changed, and the checksum made right again."""
    rng = np.random.default_rng(seed)
    document, tensors = opened(saved)
    for _ in range(int(rng.integers(1, 3))):
        if rng.random() < 0.5:
            found = [path for path in places(document) if path]
            document = put(document, found[rng.integers(len(found))], HOSTILE[rng.integers(len(HOSTILE))])
        else:
            name = sorted(tensors)[rng.integers(len(tensors))]
            tensors = {**tensors, name: forged(tensors[name], rng)}
    try:
        ranker = loading(closed(document, tensors), tmp_path_factory.getbasetemp())
    except ModelFileError:
        return
    try:
        ranker.predict(DATA.X, qid=DATA.qid)
    except (ValueError, TypeError, AttributeError, RuntimeError, IndexError, KeyError, OverflowError):
        return  # a parameter that is nonsense, and an error that any nonsense gives


def forged(array, rng):
    flat = array.copy().reshape(-1)
    kind = rng.integers(5)
    if kind == 0:
        return flat[: len(flat) // 2].copy()
    if kind == 1:
        return array.astype([np.float64, np.int32, np.float16, np.uint8][rng.integers(4)])
    if kind == 2 and array.dtype.kind == "f":
        flat[rng.integers(len(flat))] = [np.nan, np.inf, -1e30, 0][rng.integers(4)]
    elif len(flat):
        at = rng.integers(len(flat), size=int(rng.integers(1, 6)))
        flat[at] = rng.integers(32, 127, size=len(at))
    return flat.reshape(array.shape)
