"""Files that a fit does not continue from, with what is wrong."""

import re
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression
from small_fits import TINY, KilledError, fit, validation

import hyperrank
from hyperrank import CheckpointFile, HyperDPORanker, TradeOffs
from hyperrank.files import ModelFileError, read_model_file, write_model_file
from hyperrank.networks import MLP


def changed(array, at=0):
    array = array.copy()
    array[at] += 1
    return array


@pytest.mark.parametrize(
    ("options", "given", "words"),
    [
        ({"max_epochs": 5}, {}, "max_epochs was 2 and is 5"),
        (
            {"beta": 0.5, "network": MLP(hidden=(4, 8))},
            {},
            "beta was 'auto' and is 0.5; network__hidden was (4, 4) and is (4, 8)",
        ),
        ({"random_state": 1}, {}, "random_state was 0 and is 1"),
        ({"metric": "map"}, {}, "metric was 'ndcg@10' and is 'map'"),
        ({"objectives": ("a", "b")}, {}, "names of the objectives"),
        ({}, {"X": lambda d: changed(d.X)}, "X holds other values"),
        ({}, {"X": lambda d: d.X[:, :4]}, "is (280, 4)"),
        ({}, {"y": lambda d: changed(d.Y, -1)}, "y holds other values"),
        ({}, {"qid": lambda d: d.qid // 2}, "qid was (40 queries) and is (20 queries)"),
        ({}, {"X_val": lambda d: changed(d.X[::2])}, "X_val holds other values"),
        ({}, {"query_weight": lambda d: np.ones(len(d.X))}, "query_weight was not given then"),
        ({}, {"X_val": None, "y_val": None, "qid_val": None}, "X_val is not given now"),
    ],
    ids=range(12),
)
def test_other_fits_are_refused(data, unfinished, options, given, words):
    arguments = {"X": data.X, "y": data.Y, "qid": data.qid, **validation(data)}
    arguments |= {name: None if make is None else make(data) for name, make in given.items()}
    if "X" in given and arguments["X"].shape[1] == 4:
        arguments["X_val"] = arguments["X_val"][:, :4]
    ranker = HyperDPORanker(**{**TINY, **options}, checkpoint=unfinished)
    words = words.replace("280", str(len(data.X)))
    with pytest.raises(ValueError, match=f"another fit: .*{re.escape(words)}"):
        ranker.fit(**arguments, resume=True)
    assert unfinished.exists()
    assert not hasattr(ranker, "model_")


def test_what_does_not_matter_may_differ(data, unfinished):
    options = {
        **TINY,
        "n_jobs": 2,
        "network": MLP(hidden=[np.int64(4), 4.0 and 4]),
        "device": "cpu",
    }
    labels = data.Y.astype(np.float64)
    ranker = HyperDPORanker(**options, trade_offs=TradeOffs(alpha=1), checkpoint=unfinished)
    ranker.fit(data.X.tolist(), labels, qid=data.qid.astype(str), **validation(data), resume=True)
    assert len(ranker.history_) == 2


def test_other_reference_models_are_refused(data, tmp_path, dying):
    models = [LinearRegression().fit(data.X, data.Y[:, j]) for j in (0, 1)]
    path = tmp_path / "fit"
    dying[0] = 2
    with pytest.raises(KilledError):
        fit(HyperDPORanker(models[0], **TINY, checkpoint=CheckpointFile(path, every=0)), data)
    with pytest.raises(
        ModelFileError, match="the model given as reference scores the training rows otherwise"
    ):
        fit(HyperDPORanker(models[1], **TINY, checkpoint=path), data, resume=True)


def test_models_that_no_file_can_hold_are_refused_before_they_are_fitted(data, tmp_path):
    ranker = HyperDPORanker(RandomForestRegressor(), **TINY, checkpoint=tmp_path / "fit")
    with pytest.raises(
        ValueError, match="cannot hold a RandomForestRegressor that is fitted here: fit it and"
    ):
        fit(ranker, data)


def damaged(path, how):
    content = bytearray(path.read_bytes())
    if how == "cut":
        content = content[: len(content) // 2]
    elif how == "bit":
        content[-1] ^= 1
    elif how == "empty":
        content = bytearray()
    else:
        content = bytearray(b"relevance,clicks,qid\n1,0,1\n")
    path.write_bytes(bytes(content))


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("cut", "is not a hyperrank model, or truncated"),
        ("empty", "is not a hyperrank model, or truncated"),
        ("text", "is not a hyperrank model, or truncated"),
        ("bit", "does not match its checksum"),
    ],
)
def test_damaged_files_are_named(data, unfinished, how, words):
    damaged(unfinished, how)
    with pytest.raises(ValueError, match=words):
        fit(HyperDPORanker(**TINY, checkpoint=unfinished), data, resume=True)


def test_foreign_files_are_named(data, fitted, unfinished):
    fitted.save(unfinished)
    with pytest.raises(ValueError, match="is not the checkpoint of a fit: give another file"):
        fit(HyperDPORanker(**TINY, checkpoint=unfinished), data, resume=True)


@pytest.mark.parametrize("content", [{}, {"about": {}, "phases": {}, "training": None}, {"about": 3}])
def test_files_that_hold_no_fit_are_named(data, tmp_path, content):
    path = tmp_path / "fit"
    head = {"class": "fit checkpoint", "hyperrank": hyperrank.__version__}
    write_model_file(path, content, head=head)
    with pytest.raises(ValueError, match="is not a complete checkpoint"):
        fit(HyperDPORanker(**TINY, checkpoint=path), data, resume=True)


def test_files_of_other_versions_are_refused(data, unfinished):
    head, content = read_model_file(unfinished)
    write_model_file(unfinished, content, head={**head, "hyperrank": "0.0.1"})
    with pytest.raises(ValueError, match=r"was written by hyperrank 0\.0\.1; this is"):
        fit(HyperDPORanker(**TINY, checkpoint=unfinished), data, resume=True)


def test_an_unfinished_fit_is_not_lost_by_forgetting_resume(data, unfinished):
    before = unfinished.read_bytes()
    with pytest.raises(ValueError, match=r"is there already: fit\(\.\.\., resume=True\) continues from it"):
        fit(HyperDPORanker(**TINY, checkpoint=unfinished), data)
    assert unfinished.read_bytes() == before


def test_checkpoints_and_rankers_are_told_apart(data, unfinished, tmp_path):
    with pytest.raises(ValueError, match="is the checkpoint of an unfinished fit, not a ranker"):
        hyperrank.load(unfinished)
    saved = fit(HyperDPORanker(**TINY), data).save(tmp_path / "ranker")
    with pytest.raises(ValueError, match="is not the checkpoint of a fit: give another file"):
        fit(HyperDPORanker(**TINY, checkpoint=saved), data)


@pytest.mark.parametrize(
    ("options", "resume", "words"),
    [
        ({}, True, r"resume=True needs the file .*HyperDPORanker\(checkpoint='fit.checkpoint'\)"),
        ({"checkpoint": "here"}, "yes", "resume must be True or False; got 'yes'"),
        (
            {"checkpoint": 3},
            False,
            r"checkpoint must be None, the path of a file, or .*; got 3",
        ),
        ({"checkpoint": "."}, False, r"cannot be written\. This is a folder"),
        ({"checkpoint": "no/where"}, True, r"There is no such folder: .*no\."),
        (
            {"checkpoint": CheckpointFile("here", every=-1)},
            False,
            "checkpoint.every must be a number at least 0",
        ),
        ({"checkpoint": CheckpointFile("here", every="1")}, False, "checkpoint.every must be a number"),
    ],
    ids=range(7),
)
def test_wrong_options_are_named(data, options, resume, words):
    with pytest.raises(ValueError, match=words):
        fit(HyperDPORanker(**TINY, **options), data, resume=resume)


def test_rankers_with_a_checkpoint_are_cloned_and_saved(data, tmp_path):
    ranker = fit(clone(HyperDPORanker(**TINY, checkpoint=tmp_path / "fit")), data)
    with warnings.catch_warnings():
        again = hyperrank.load(ranker.save(tmp_path / "model"))
    assert again.checkpoint == str(tmp_path / "fit")
