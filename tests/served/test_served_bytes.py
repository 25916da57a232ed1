"""Bytes that we did not write, and paths that are not files: the answer before, and now an error or the same.

Before, LightGBM's own parser read text from files: a carriage return, a blank line or a wrong ``tree_sizes``
ended the process, or wrote over its memory. Sizes were believed before they were looked at.
"""

import io
import json
import os
import re
import struct
import subprocess
import sys
import warnings
from pathlib import Path

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load as parse
from safetensors.numpy import save as serialise
from sklearn.base import clone

import hyperrank
from hyperrank import HyperDPORanker, MixedScoresRanker, ModelFileError, SoupRanker
from hyperrank.boosters import canonical_text
from hyperrank.datasets import StoreError, convert, make_multilabel_ranking, open_store
from hyperrank.files import check_suffix, model_file, write_atomically
from hyperrank.files.model_file import KEY, _checksum
from hyperrank.memmap import MappedRows
from hyperrank.networks import MLP, Transformer

DATA = make_multilabel_ranking(n_queries=25, n_objectives=2, n_features=6, random_state=0)
TREES = {"num_boost_round": 4, "num_leaves": 4, "num_threads": 1}
MANY_LEAVES = {**TREES, "num_leaves": 40, "min_data_in_leaf": 2}
SMALL = {"booster_params": TREES, "random_state": 0, "n_jobs": 1}
QUICK = {**SMALL, "max_epochs": 1, "network": MLP(hidden=(12, 8))}
RANKERS = {
    "pairs": HyperDPORanker(**QUICK),
    "transformer": HyperDPORanker(None, **{**QUICK, "network": Transformer(hidden=(8,))}),
    "native trees": MixedScoresRanker(
        **{**SMALL, "booster_params": {**TREES, "num_leaves": 40, "min_data_in_leaf": 2}}
    ),
    "soup": SoupRanker(**QUICK),
    "foreign": HyperDPORanker(
        lightgbm.train({"verbosity": -1, **TREES}, lightgbm.Dataset(DATA.X, DATA.Y[:, 0].copy())), **QUICK
    ),
}
posix = pytest.mark.skipif(os.name != "posix", reason="files of POSIX")


@pytest.fixture(scope="module")
def contents(tmp_path_factory):
    """The bytes of a file of each ranker, made once."""
    folder, made = tmp_path_factory.mktemp("saved"), {}

    def content_of(name):
        if name not in made:
            ranker = clone(RANKERS[name]).fit(DATA.X, DATA.Y, qid=DATA.qid)
            made[name] = ranker.save(folder / "model").read_bytes()
        return made[name]

    return content_of


@pytest.fixture(scope="module")
def saved(contents):
    return contents("pairs")


def opened(content):
    (size,) = struct.unpack("<Q", content[:8])
    return json.loads(json.loads(content[8 : 8 + size])["__metadata__"][KEY]), parse(content)


def closed(document, tensors, *, is_honest=True):
    """The bytes of a file, its checksum made right unless it is to be honest about what was changed."""
    document = {name: value for name, value in document.items() if name != "sha256" or not is_honest}
    if is_honest:
        document["sha256"] = _checksum(document, tensors)
    return serialise(tensors, metadata={KEY: json.dumps(document)})


def loading(content, tmp_path, *, by=hyperrank.load):
    path = tmp_path / "loading"
    path.write_bytes(content)
    return by(path)


def in_use(ranker):
    """Whatever a ranker that could be loaded is asked for, it answers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scores = ranker.predict(DATA.X, qid=DATA.qid)
        assert np.isfinite(scores).all()
        ranker.predict(DATA.X[:3], weights=[[1, 0], [0.5, 0.5]])
        ranker.pareto_front(DATA.X, DATA.Y, qid=DATA.qid)
        repr(ranker)
    return scores


# Text of LightGBM's, its checksum made right


def with_text(content, change):
    """A file with the first text of LightGBM's changed."""
    document, tensors = opened(content)
    name = next(name for name, array in sorted(tensors.items()) if array.tobytes().startswith(b"tree\n"))
    text = change(tensors[name].tobytes().decode())
    return closed(document, {**tensors, name: np.frombuffer(text.encode(), dtype=np.uint8)})


def replaced(old, new):
    def change(text):
        assert old in text
        return text.replace(old, new, 1)

    return change


#: What is changed, and what LightGBM made of it before.
TEXTS = {
    "a carriage return": replaced("\nleaf_value=", "\rleaf_value="),  # crash
    "a line behind a carriage return": replaced("\nleaf_value=", "\nx=\rleaf_value="),  # crash
    "a blank line, and what comes after it": replaced("\nnum_cat=0", "\n\nnum_cat=0"),  # crash
    "a blank line in the head": replaced("\nfeature_names", "\n\nfeature_names"),
    "sizes that lead elsewhere": replaced("\ntree_sizes=", "\ntree_sizes=99999999 "),  # crash
    "no sizes": replaced("\ntree_sizes=", "\nlabel_index="),
    "several trees for each round": replaced("num_tree_per_iteration=1", "num_tree_per_iteration=4"),  # crash
    "several classes": replaced("num_class=1", "num_class=3"),  # heap overwritten
    "no classes": replaced("num_class=1", "num_class=0"),
    "categories that are not there": replaced("decision_type=2", "decision_type=1"),  # out of bounds
    "categories without sets": replaced("num_cat=0", "num_cat=1"),  # crash
    "sets of categories that end nowhere": replaced(
        "num_cat=0", "num_cat=1\ncat_boundaries=0 900000000\ncat_threshold=1"
    ),
    "linear leaves without coefficients": replaced("is_linear=0", "is_linear=1"),  # crash
    "linear leaves of a feature that is not there": replaced(
        "is_linear=0",
        "is_linear=1\nleaf_const=0 0 0 0\nnum_features=1 0 0 0\nleaf_features=900000\nleaf_coeff=1",
    ),
    "an objective that is not known": replaced("objective=", "objective=custom "),
    "an option of an objective": replaced("objective=lambdarank", "objective=binary sigmoid:-1"),
    "a field that is not known": replaced("\nnum_cat=0", "\nnum_cat=0\nnum_dog=1"),
    "a field twice": replaced("\nnum_cat=0", "\nnum_cat=0\nnum_cat=0"),
    "a node that is its own child": replaced("left_child=", "left_child=0 "),
    "a number of a million digits": replaced("leaf_value=", "leaf_value=1" + "0" * 10**6),
    "underscores in numbers": replaced("leaf_value=0.", "leaf_value=0_0."),
    "a name with a line separator": replaced("feature_names=", "feature_names=a\u2028"),
    "categories of pandas that are lists": replaced("pandas_categorical:null", "pandas_categorical:[[[]]]"),
    "categories nested without end": replaced("pandas_categorical:null", "pandas_categorical:" + "[" * 10**5),
    "another version": replaced("version=v4", "version=v9"),
    "its end": lambda text: text[: text.index("end of trees")],
}


@pytest.fixture
def native_texts(monkeypatch):
    """The texts that LightGBM's parser is given."""
    given_texts = []

    class Spy(lightgbm.Booster):
        def __init__(self, *args, model_str=None, **options):
            if model_str is not None:
                given_texts.append(model_str)
            super().__init__(*args, model_str=model_str, **options)

    monkeypatch.setattr(lightgbm, "Booster", Spy)
    return given_texts


@pytest.mark.parametrize("kind", ["pairs", "native trees"])
@pytest.mark.parametrize("what", TEXTS)
def test_text_that_lightgbm_would_read_otherwise(what, kind, contents, tmp_path, native_texts):
    before = in_use(loading(contents(kind), tmp_path))
    change = TEXTS[what]
    try:
        changed = with_text(contents(kind), change)
    except AssertionError:
        pytest.skip("the text has no such place")
    try:
        after = in_use(loading(changed, tmp_path))
    except ModelFileError:
        pass
    else:
        np.testing.assert_array_equal(after, before)
    assert native_texts or kind == "pairs"
    assert all(canonical_text(text) == text for text in native_texts)


def test_text_named_as_reference_is_checked_too(tmp_path, contents):
    """Before, the text went to LightGBM as it was."""
    from hyperrank.cli.fit import reference_of

    _, tensors = opened(contents("native trees"))
    text = next(a.tobytes().decode() for a in tensors.values() if a.tobytes().startswith(b"tree\n"))
    (tmp_path / "model.txt").write_text(text, newline="")
    assert reference_of(tmp_path / "model.txt").num_feature() == 6
    (tmp_path / "model.txt").write_text(text.replace("\nleaf_value=", "\n\nleaf_value="), newline="")
    with pytest.raises(ValueError, match=r"model\.txt is not a LightGBM model in text form: tree 0"):
        reference_of(tmp_path / "model.txt")
    (tmp_path / "model.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="is not a LightGBM model in text form"):
        reference_of(tmp_path / "model.txt")


# Files that are damaged, foreign or forged


def test_files_that_are_not_models(saved, tmp_path):
    with pytest.raises(FileNotFoundError):
        hyperrank.load(tmp_path / "nothing")
    cut = (saved[:-1], saved[: len(saved) // 2], saved[:7], saved + b"x")
    for content in (b"", b"{}", b"PK\x03\x04", b"\xff" * 20, *cut):
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


def test_content_that_does_not_match(saved, tmp_path):
    document, tensors = opened(saved)
    with pytest.raises(ModelFileError, match="checksum"):
        loading(closed({**document, "n_features": 7}, tensors, is_honest=False), tmp_path)
    with pytest.raises(ModelFileError, match="its header names other features"):
        loading(closed({**document, "n_features": 7}, tensors), tmp_path)
    with pytest.raises(ModelFileError, match=r"holds a HyperDPORanker; expected .*SoupRanker"):
        loading(saved, tmp_path, by=SoupRanker.load)
    with pytest.raises(ModelFileError, match="holds a Popen"):
        loading(closed({**document, "class": "Popen"}, tensors), tmp_path)
    probe = {**tensors, "probe": tensors["probe"] + 1}
    with pytest.raises(ModelFileError, match="does not score as it did"):
        loading(closed(document, probe), tmp_path)
    (head,) = (name for name in tensors if name.endswith("head.weight"))
    for wrong in (tensors[head][:-1], tensors[head].astype(np.float64), tensors[head] * np.nan):
        with pytest.raises(ModelFileError, match=r"does not hold what it says|not a complete"):
            loading(closed(document, {**tensors, head: wrong}), tmp_path)
    with pytest.raises(ModelFileError, match="belong to nothing"):
        loading(closed(document, {**tensors, "more": np.zeros(1)}), tmp_path)


@given(seed=st.integers(0, 2**31), n=st.integers(1, 8))
@settings(max_examples=80)
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
        in_use(loading(bytes(content), tmp_path_factory.getbasetemp()))
    except ModelFileError:
        return
    assert closed(*opened(bytes(content))) == closed(*opened(saved))


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


def forged(array, rng):
    flat = array.copy().reshape(-1)
    kind = rng.integers(5)
    if kind == 0:
        return flat[: len(flat) // 2].copy()
    if kind == 1:
        with np.errstate(all="ignore"):
            return array.astype([np.float64, np.int32, np.float16, np.uint8][rng.integers(4)])
    if kind == 2 and array.dtype.kind == "f":
        with np.errstate(all="ignore"):
            flat[rng.integers(len(flat))] = [np.nan, np.inf, -1e30, 0][rng.integers(4)]
    elif len(flat):
        at = rng.integers(len(flat), size=int(rng.integers(1, 6)))
        flat[at] = rng.integers(32, 127, size=len(at))
    return flat.reshape(array.shape)


def forgery(content, rng):
    """Values, arrays and trees changed, and the checksum made right again."""
    document, tensors = opened(content)
    for _ in range(int(rng.integers(1, 3))):
        if rng.random() < 0.5:
            found = [path for path in places(document) if path]
            document = put(document, found[rng.integers(len(found))], HOSTILE[rng.integers(len(HOSTILE))])
        else:
            name = sorted(tensors)[rng.integers(len(tensors))]
            tensors = {**tensors, name: forged(tensors[name], rng)}
    return closed(document, tensors)


@given(seed=st.integers(0, 2**31), kind=st.sampled_from(sorted(RANKERS)))
@settings(max_examples=80)
def test_no_forged_file_does_worse_than_an_error(seed, kind, contents, tmp_path_factory):
    """Before: KeyError, RuntimeError, NaN, and what LightGBM does with a forged tree."""
    try:
        ranker = loading(forgery(contents(kind), np.random.default_rng(seed)), tmp_path_factory.getbasetemp())
    except ModelFileError:
        return
    in_use(ranker)


@pytest.mark.slow
@pytest.mark.parametrize("kind", RANKERS)
def test_no_forged_file_of_a_thousand_does(kind, contents, tmp_path):
    for seed in range(1000):
        try:
            ranker = loading(forgery(contents(kind), np.random.default_rng([seed, 1])), tmp_path)
        except ModelFileError:
            continue
        in_use(ranker)


# Sizes


def bombs(saved):
    """Small files that took gigabytes, or minutes: each must end in ModelFileError."""
    document, tensors = opened(saved)
    text = json.dumps(document)
    (probe,) = (name for name in tensors if name == "probe")
    one = json.dumps({"$array": probe})
    wide = put(document, ("content", "fitted", "n_features_in_"), 50_000_000)
    hidden = text.replace('{"$tuple": [12, 8]}', "[12, 8]")
    assert hidden.count('"hidden": [12, 8]') == 2  # of the constructor, and of the network
    mib = np.zeros(1 << 18, dtype=np.float32)
    yield (
        "one array named 30,000 times",
        closed(
            put(document, ("content", "more"), json.loads(f"[{', '.join([one] * 30_000)}]")),
            {**tensors, probe: mib},
        ),
    )
    yield "features that are not there", closed({**wide, "n_features": 50_000_000}, tensors)
    for huge in ("[900000000, 900000000]", json.dumps([1] * 100_000)):
        yield "layers", closed(json.loads(hidden.replace("[12, 8]", huge)), tensors)
    yield "lists in lists", closed({**document, "content": json.loads("[" * 900 + "]" * 900)}, tensors)
    yield "a header of empty lists", closed(put(document, ("content", "more"), [[]] * 100_000), tensors)
    name = next(name for name, array in sorted(tensors.items()) if array.tobytes().startswith(b"tree\n"))
    booster = tensors[name].tobytes().decode()
    head, end = booster[: booster.index("\nTree=")], "\nend of trees\n"
    stump = "\nTree={}\nnum_leaves=1\nnum_cat=0\nleaf_value=0\n"
    lines = {
        "trees of one leaf": "".join(stump.format(number) for number in range(100_001)) + end,
        "one tree of many leaves": f"\nTree=0\nnum_leaves=131072\nnum_cat=0\nleaf_value={'10 ' * 10**6}{end}",
        "a number of many digits": f"\nTree=0\nnum_leaves=1\nnum_cat=0\nleaf_value={'1' * 10**6}{end}",
    }
    for what, rest in lines.items():
        yield what, closed(document, {**tensors, name: np.frombuffer((head + rest).encode(), dtype=np.uint8)})
    features = re.sub("max_feature_idx=.*", "max_feature_idx=9999999", head) + stump.format(0) + end
    yield "features of trees", closed(document, {**tensors, name: np.frombuffer(features.encode(), np.uint8)})


MEASURED = """
import resource, sys
from pathlib import Path
import hyperrank

scale = 1 if sys.platform == "darwin" else 1024
good = Path(sys.argv[1]) / "good"
hyperrank.load(good)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
for path in sorted(Path(sys.argv[1]).glob("*.bomb")):
    try:
        hyperrank.load(path)
        answer = "loaded"
    except hyperrank.ModelFileError:
        answer = "refused"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
    print(path.name, answer, peak - before - 4 * path.stat().st_size - 200_000_000, sep="\\t", flush=True)
"""


@posix
def test_sizes_are_not_believed(saved, tmp_path):
    """Before: 9 GB for a file of 2 MB, 7.6 GB and a minute for one of 100 kB."""
    (tmp_path / "good").write_bytes(saved)
    for number, (what, content) in enumerate(bombs(saved)):
        (tmp_path / f"{number} {what}.bomb").write_bytes(content)
    found = subprocess.run(
        [sys.executable, "-c", MEASURED, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    lines = [line.split("\t") for line in found.stdout.splitlines()]
    assert len(lines) == len(list(tmp_path.glob("*.bomb")))
    assert [(name, answer) for name, answer, _ in lines if answer != "refused"] == []
    assert [(name, excess) for name, _, excess in lines if int(excess) > 0] == []


# Scores that are not numbers


def test_a_ranker_that_diverged_is_not_saved_and_not_blamed_on_libraries(tmp_path, saved):
    """Before, it was saved, and its load advised other libraries."""
    ranker = hyperrank.load(write_atomically(tmp_path / "m", saved))
    ranker.model_.network.head.bias.data.fill_(np.nan)
    with pytest.raises(ModelFileError, match=r"was not written: .* not finite.*lower learning_rate"):
        ranker.save(tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_networks_over_models_that_refuse_made_up_rows_are_finite(contents, tmp_path):
    """Files of such have no scores to compare."""
    document, tensors = opened(contents("foreign"))
    document["content"]["probe"] = None
    del tensors["probe"]
    in_use(loading(closed(document, tensors), tmp_path))
    for name, array in tensors.items():
        if array.dtype == np.float32 and name.endswith("weight"):
            broken = {**tensors, name: np.full_like(array, np.nan)}
            with pytest.raises(ModelFileError, match="finite"):
                loading(closed(document, broken), tmp_path)


# Paths


def save(ranker, path):
    return ranker.save(path)


def to_onnx(ranker, path):
    pytest.importorskip("onnxscript")
    return hyperrank.export.to_onnx(ranker, path)


def plain_file(_, path):
    return write_atomically(path, b"content")


@pytest.fixture(scope="module")
def ranker(saved, tmp_path_factory):
    return hyperrank.load(write_atomically(tmp_path_factory.mktemp("ranker") / "m", saved))


@posix
@pytest.mark.parametrize("write", [save, plain_file])
def test_what_is_not_a_file_is_not_replaced(write, ranker, tmp_path):
    """Before, a FIFO or a device was replaced by the file: for root, the null device of the whole machine."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path / "link", Path(os.devnull)):
        with pytest.raises(OSError, match="device, pipe or socket"):
            write(ranker, path)
    with pytest.raises(IsADirectoryError):
        write(ranker, tmp_path)
    assert (tmp_path / "pipe").is_fifo()
    assert not Path(os.devnull).is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "pipe"]


@posix
@pytest.mark.parametrize("write", [save, plain_file])
def test_a_symbolic_link_is_followed(write, ranker, tmp_path):
    """Before, it was replaced, and the file behind it stayed as it was."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (tmp_path / "link").symlink_to("elsewhere/model")
    for _ in range(2):  # a link to nothing, and to a file
        write(ranker, tmp_path / "link")
        assert (tmp_path / "link").is_symlink()
        assert (folder / "model").is_file()
    assert sorted(path.name for path in folder.iterdir()) == ["model"]


@posix
def test_what_is_not_a_file_is_not_waited_for(tmp_path):
    """Before, to load a FIFO waited for ever."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path(os.devnull)):
        with pytest.raises(ModelFileError, match="device, pipe or socket; expected a file that save wrote"):
            hyperrank.load(path)
    with pytest.raises(ModelFileError, match="is a folder"):
        hyperrank.load(tmp_path)


@pytest.mark.parametrize(
    "path", [None, 3, b"m", io.BytesIO(), "m\0"], ids=["none", "number", "bytes", "stream", "NUL"]
)
def test_paths_are_text_or_path_objects(path, ranker):
    """Before, Python's "expected str, bytes or os.PathLike object" and "embedded null byte"."""
    for door in (ranker.save, hyperrank.load, open_store, lambda path: plain_file(ranker, path)):
        with pytest.raises((TypeError, ValueError), match=r"expected the path of a file|holds a NUL"):
            door(path)


@pytest.mark.parametrize("name", ["m.pkl", "m.joblib", "m.ONNX", "m.txt", "m.pt"])
def test_names_of_other_formats_are_refused(name, ranker, tmp_path):
    """Before, ``save("m.pkl")`` wrote safetensors."""
    with pytest.raises(ModelFileError, match=rf"was not written: .*{name}.*name it m\.safetensors"):
        ranker.save(tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["m", "m.safetensors", "model.v1.2", "fit.checkpoint", "m.hyperrank"])
def test_other_names_are_taken(name):
    check_suffix(name, ".safetensors")


def test_an_onnx_file_is_named_as_one(ranker, tmp_path):
    with pytest.raises(ValueError, match=r"m\.safetensors ends in .*name it m\.onnx"):
        to_onnx(ranker, tmp_path / "m.safetensors")


@posix
def test_leftovers_of_killed_saves_are_deleted(ranker, tmp_path):
    """Before, they stayed for ever: 11 of 30 killed saves."""
    import fcntl

    names = {
        name: tmp_path / f".{name}.partial" for name in ("m.0a_b9xyz", "m.inuse000", "m.x.0a_b9xyz", "m")
    }
    for path in names.values():
        path.write_bytes(b"a part")
    with names["m.inuse000"].open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # as a process that is still writing holds it
        ranker.save(tmp_path / "m")
    assert not names.pop("m.0a_b9xyz").exists()
    assert all(path.exists() for path in names.values())


def test_a_file_that_is_overwritten_while_it_is_read_is_no_crash(saved, tmp_path, monkeypatch):
    """Before, the mapped file ended the process by SIGBUS."""
    path = tmp_path / "m"
    path.write_bytes(saved)
    checksum = model_file._checksum

    def overwritten(*args):
        path.write_bytes(b"")
        return checksum(*args)

    monkeypatch.setattr(model_file, "_checksum", overwritten)
    monkeypatch.setattr(
        "hyperrank.rankers.io.Path.stat", lambda _: os.stat_result((0,) * 6 + (len(saved),) * 4)
    )
    in_use(hyperrank.load(path))


def store_of(folder):
    return convert(DATA, folder / "s")


CUTS = {
    "cut off": lambda path: os.truncate(path, 8),
    "overwritten by as many bytes": lambda path: path.write_bytes(bytes(path.stat().st_size)),
}


@posix
@pytest.mark.parametrize("kind", CUTS)
@pytest.mark.parametrize("file", ["X.f32", "Y.f32", "offsets.i64"])
def test_a_store_that_is_changed_in_place_is_not_read(kind, file, tmp_path):
    """Before, what was cut off ended the process by SIGBUS, and other numbers were taken."""
    store = store_of(tmp_path)
    held = store.X
    os.utime(store.path / file, ns=(0, 0))
    opened = open_store(store.path)
    CUTS[kind](store.path / file)
    with pytest.raises(StoreError, match=rf"{re.escape(file)} was overwritten since it was opened"):
        opened.load()
    if (kind, file) == ("cut off", "X.f32"):
        for read in (
            lambda: MappedRows(held)[:3],
            lambda: HyperDPORanker(**QUICK).fit(held, DATA.Y, qid=DATA.qid),
        ):
            with pytest.raises(StoreError, match=r"X\.f32 was (overwritten since|cut off while)"):
                read()


#: Each reading of a file cuts it off first, so that what is read is no longer there.
CUT_WHILE_READ = """
import os, shutil, sys, warnings
from pathlib import Path
import pandas as pd
from hyperrank import HyperDPORanker, MixedScoresRanker, memmap
from hyperrank.datasets import StoreError, open_store
warnings.simplefilter("ignore")
source, preadv = Path(sys.argv[1]), os.preadv

def cut(descriptor, buffers, position):
    os.truncate(f"/proc/self/fd/{descriptor}", 8)
    return preadv(descriptor, buffers, position)

def frame(store):
    return pd.DataFrame(store.X, columns=store.feature_names, copy=False)

whole = open_store(source).load()
options = {"max_epochs": 1, "reference": None, "random_state": 0}
ranker = HyperDPORanker(**options).fit(whole.X, whole.Y, qid=whole.qid)
with_names = pd.DataFrame(whole.X, columns=whole.feature_names)
named = HyperDPORanker(**options).fit(with_names, whole.Y, qid=whole.qid)
doors = {
    "fit": lambda s: HyperDPORanker(**options).fit(s.X, whole.Y, qid=whole.qid),
    "fit of a frame": lambda s: HyperDPORanker(**options).fit(frame(s), whole.Y, qid=whole.qid),
    "validation": lambda s: HyperDPORanker(**options).fit(
        whole.X, whole.Y, qid=whole.qid, X_val=s.X, y_val=whole.Y, qid_val=whole.qid),
    "baseline": lambda s: MixedScoresRanker().fit(s.X, whole.Y, qid=whole.qid),
    "labels": lambda s: HyperDPORanker(**options).fit(whole.X, s.Y, qid=whole.qid),
    "predict": lambda s: ranker.predict(s.X, qid=whole.qid),
    "part": lambda s: ranker.predict(s.X[5:], qid=whole.qid[5:]),
    "columns": lambda s: ranker.predict(s.X[:, ::-1], qid=whole.qid),
    "frame": lambda s: named.predict(frame(s), qid=whole.qid),
    "score": lambda s: ranker.score(s.X, whole.Y, qid=whole.qid),
    "front": lambda s: ranker.pareto_front(s.X, whole.Y, qid=whole.qid),
    "explain": lambda s: ranker.explain(s.X, qid=whole.qid, weights=[1, 0], against=[0, 1]),
    "compare": lambda s: ranker.compare(s.X, qid=whole.qid, query=whole.qid[0], a=[1, 0], b=[0, 1]),
    "rank": lambda s: ranker.rank(s.X, qid=whole.qid),
    "load": lambda s: s.load(),
}
for stays in (False, True):
    memmap.IN_MEMORY_BYTES = 0 if stays else 1 << 28
    for door, call in doors.items():
        store = open_store(shutil.copytree(source, source.with_name("copy")))
        os.preadv = cut
        try:
            print(door, call(store))
        except StoreError as error:
            assert "X.f32" in str(error) or "Y.f32" in str(error), error
        os.preadv = preadv
        shutil.rmtree(store.path)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="cuts off what a descriptor stands for")
def test_a_store_that_is_cut_off_while_it_is_read_is_a_store_error(tmp_path):
    """Before, the process ended by SIGBUS."""
    store_of(tmp_path)
    run = subprocess.run(
        [sys.executable, "-c", CUT_WHILE_READ, tmp_path / "s"], capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout) == (0, ""), run.stderr


def test_a_store_that_is_replaced_stays_as_it_was(tmp_path):
    store = store_of(tmp_path)
    convert(DATA.select(["objective_1"]), tmp_path / "s", overwrite=True)
    np.testing.assert_array_equal(store.Y, DATA.Y)
