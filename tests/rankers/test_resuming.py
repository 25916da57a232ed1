"""Fits that end at every write of their checkpoint, and the files that are refused."""

import errno
import os
import re
import signal
import warnings

import numpy as np
import pytest
from lightgbm import LGBMRanker
from sklearn.base import clone
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression

import hyperrank
from hyperrank import HyperDPORanker, datasets
from hyperrank.booster_search import BoosterSearch
from hyperrank.files import ModelFileError, read_model_file, write_model_file
from hyperrank.training import Checkpoint
from hyperrank.training.steps import Steps

TINY = {
    "booster_params": {"num_iterations": 2, "num_threads": 1},
    "hidden": (4, 4),
    "max_epochs": 2,
    "batch_docs": 200,
    "n_jobs": 1,
    "random_state": 0,
}


class KilledError(Exception):
    """Stands for whatever ends a process."""


@pytest.fixture(scope="module")
def data():
    return datasets.make_multilabel_ranking(
        n_queries=40, list_size=(2, 12), n_features=5, n_objectives=2, random_state=0
    )


@pytest.fixture(scope="module")
def many():
    """Enough queries for a trial."""
    return datasets.make_multilabel_ranking(
        n_queries=100, list_size=(2, 8), n_features=5, n_objectives=2, random_state=0
    )


@pytest.fixture
def dying(monkeypatch):
    """Ends a process when it has written its checkpoint so many times."""
    left = [0]
    write = Checkpoint._write

    def and_die(self, training):
        write(self, training)
        left[0] -= 1
        if left[0] == 0:
            raise KilledError

    monkeypatch.setattr(Checkpoint, "_write", and_die)
    return left


def fit(ranker, data, *, resume=False, **more):
    return ranker.fit(data.X, data.Y, qid=data.qid, resume=resume, **more)


def same(one, other, data, ref_scores=None):
    at = [[1, 0], [0.3, 0.7]]
    scores = [r.predict(data.X, qid=data.qid, weights=at, ref_scores=ref_scores) for r in (one, other)]
    histories = [[{**entry, "seconds": 0} for entry in r.history_] for r in (one, other)]
    assert np.array_equal(*scores)
    assert histories[0] == histories[1]
    assert (one.pull_, one.best_epoch_) == (other.pull_, other.best_epoch_)
    assert np.array_equal(one.best_score_, other.best_score_, equal_nan=True)


def validation(data):
    return {"X_val": data.X[::2], "y_val": data.Y[::2], "qid_val": data.qid[::2]}


def weighted(data):
    return {"query_weight": 1.0 + data.qid % 3}


def own_scores(data):
    return {"ref_scores": data.X[:, 0]}


CASES = {
    "boosters": ({"booster_inputs": True}, validation),
    "temperature": ({"temperature_range": (0.5, 2.0), "reference": "lightgbm"}, weighted),
    "transformer": ({"network": "transformer", "reference": None, "early_stopping": True}, None),
    "scores": ({"reference": "scores", "loss": "plackett_luce", "batch_docs": 60}, own_scores),
    "given": ({"reference": "a fitted model", "average_decay": 0.0, "query_standardize": False}, None),
    "unfitted": ({"reference": LGBMRanker(n_estimators=2, n_jobs=1, verbose=-1)}, None),
}


@pytest.mark.parametrize("case", CASES)
def test_ended_at_every_write(data, tmp_path, dying, case):
    options, more = CASES[case]
    more = {} if more is None else more(data)
    if options.get("reference") == "a fitted model":
        options = {**options, "reference": LinearRegression().fit(data.X, data.Y[:, 0])}
    options = {**TINY, **options}
    whole = fit(HyperDPORanker(**options), data, **more)
    path, starts, done = tmp_path / "fit", 0, False
    while not done:
        starts += 1
        dying[0] = 1
        ranker = HyperDPORanker(**options, checkpoint=path, checkpoint_every=0)
        try:
            fit(ranker, data, resume=True, **more)
            done = True
        except KilledError:
            assert path.exists()
    assert starts > 4
    assert not path.exists()
    same(whole, ranker, data, more.get("ref_scores"))


def test_a_trial_is_kept(many, tmp_path, dying, monkeypatch):
    whole = fit(HyperDPORanker(**TINY), many)
    assert whole.trial_ is not None
    dying[0] = 1
    with pytest.raises(KilledError):
        fit(HyperDPORanker(**TINY, checkpoint=tmp_path / "fit"), many)
    monkeypatch.setattr("hyperrank.rankers.dpo.run_trial", None)  # it is not run again
    ranker = fit(HyperDPORanker(**TINY, checkpoint=str(tmp_path / "fit")), many, resume=True)
    assert ranker.trial_ == whole.trial_
    same(whole, ranker, many)


def test_a_search_is_kept(data, tmp_path, dying, monkeypatch):
    found = BoosterSearch({"num_boost_round": 3, "num_threads": 1}, 0.5, [{"rounds": 3}], 1.0)
    monkeypatch.setattr("hyperrank.rankers.dpo.search_mixed_scores", lambda *_, **__: found)
    options = {**TINY, "booster_params": "search", "checkpoint": tmp_path / "fit"}
    whole = fit(HyperDPORanker(**options), data)
    dying[0] = 1
    with pytest.raises(KilledError):
        fit(HyperDPORanker(**options), data)
    again = lambda *_, **__: pytest.fail("searched again")  # noqa: E731
    monkeypatch.setattr("hyperrank.rankers.dpo.search_mixed_scores", again)
    ranker = fit(HyperDPORanker(**options), data, resume=True)
    assert ranker.booster_search_ == found
    same(whole, ranker, data)


@pytest.mark.parametrize("random_state", [None, np.random.RandomState(3)], ids=["None", "RandomState"])
def test_a_drawn_seed_is_in_the_file(data, tmp_path, dying, random_state):
    options = {**TINY, "random_state": random_state, "early_stopping": True}
    dying[0] = 3
    with pytest.raises(KilledError):
        fit(HyperDPORanker(**options, checkpoint=tmp_path / "fit", checkpoint_every=0), data)
    content = (tmp_path / "fit").read_bytes()
    found = []
    for _ in range(2):
        (tmp_path / "fit").write_bytes(content)
        found.append(fit(HyperDPORanker(**options, checkpoint=tmp_path / "fit"), data, resume=True))
    same(*found, data)


def test_a_fit_that_goes_on_from_an_earlier_one(data, tmp_path, dying):
    def warm(**more):
        ranker = fit(HyperDPORanker(**{**TINY, "warm_start": True}), data)
        return ranker.set_params(**more)

    whole = fit(warm(max_epochs=3), data)
    path = tmp_path / "fit"
    dying[0] = 2
    with pytest.raises(KilledError):
        fit(warm(max_epochs=3, checkpoint=path, checkpoint_every=0), data)
    dying[0] = -1
    with pytest.raises(ModelFileError, match="the network to go on from is not given now"):
        fit(HyperDPORanker(**{**TINY, "max_epochs": 3, "checkpoint": path}), data, resume=True)
    same(whole, fit(warm(max_epochs=3, checkpoint=path), data, resume=True), data)


def test_without_a_file_it_begins_anew(data, tmp_path):
    path = tmp_path / "fit"
    whole = fit(HyperDPORanker(**TINY), data)
    same(whole, fit(HyperDPORanker(**TINY, checkpoint=path), data, resume=True), data)
    same(whole, fit(HyperDPORanker(**TINY, checkpoint=path), data, resume=True), data)


def test_callbacks_see_the_epochs_that_are_left(data, tmp_path, dying):
    callback = pytest.importorskip("sklearn.callback")
    options = {**TINY, "max_epochs": 5, "batch_docs": 10**6, "checkpoint": tmp_path / "fit"}
    ended = []

    class Counting(callback.ProgressBar):
        def on_fit_task_end(self, *args, **kwargs):
            ended.append(1)
            return super().on_fit_task_end(*args, **kwargs)

    # No trial, the reference, and two epochs of a batch each: after the batch, and after the epoch.
    dying[0] = 2 + 2 * 2
    with pytest.raises(KilledError):
        fit(HyperDPORanker(**options, checkpoint_every=0), data)
    ranker = HyperDPORanker(**options)
    ranker.set_callbacks(Counting())
    fit(ranker, data, resume=True)
    assert len(ranker.history_) == 5
    assert len(ended) == 3 + 1  # epochs, and fit itself


def test_a_full_disk_is_survived(data, tmp_path, monkeypatch):
    whole = fit(HyperDPORanker(**TINY), data)
    fsync, failures = os.fsync, [0]

    def full_for_a_while(number):
        failures[0] += 1
        if 1 < failures[0] < 5:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(number)

    monkeypatch.setattr(os, "fsync", full_for_a_while)
    path = tmp_path / "fit"
    with pytest.warns(UserWarning, match=r"could not be written \(No space left.*the fit goes on") as warned:
        ranker = fit(HyperDPORanker(**TINY, checkpoint=path, checkpoint_every=0), data)
    assert len(warned) == 1
    assert failures[0] > 5
    assert list(tmp_path.iterdir()) == []
    same(whole, ranker, data)


def test_what_killed_writers_left_is_cleared(data, tmp_path):
    partial, other = tmp_path / ".fit[1].abc.partial", tmp_path / ".fit1.abc.partial"
    partial.write_bytes(b"half")
    other.write_bytes(b"another's")
    fit(HyperDPORanker(**TINY, checkpoint=tmp_path / "fit[1]"), data)
    assert list(tmp_path.iterdir()) == [other]


def test_ctrl_c_leaves_a_fitted_ranker_and_a_checkpoint(data, tmp_path, monkeypatch):
    whole = fit(HyperDPORanker(**TINY), data)
    over, steps = Steps.over, []

    def interrupted(self, which):
        steps.append(which)
        if len(steps) == 2:
            signal.raise_signal(signal.SIGINT)
        return over(self, which)

    monkeypatch.setattr(Steps, "over", interrupted)
    path = tmp_path / "fit"
    ranker = HyperDPORanker(**TINY, checkpoint=path)
    with pytest.warns(UserWarning, match=f"resume=True.* goes on from {re.escape(str(path))}"):
        fit(ranker, data)
    assert len(steps) == 2
    assert np.isfinite(ranker.predict(data.X, qid=data.qid)).all()
    same(whole, fit(ranker, data, resume=True), data)
    assert not path.exists()


@pytest.fixture
def unfinished(data, tmp_path, dying):
    path = tmp_path / "fit"
    dying[0] = 3
    with pytest.raises(KilledError):
        fit(HyperDPORanker(**TINY, checkpoint=path, checkpoint_every=0), data, **validation(data))
    dying[0] = -1
    return path


def changed(array, at=0):
    array = array.copy()
    array[at] += 1
    return array


@pytest.mark.parametrize(
    ("options", "given", "words"),
    [
        ({"max_epochs": 5}, {}, "max_epochs was 2 and is 5"),
        ({"beta": 0.5, "hidden": (4, 8)}, {}, "beta was 'auto' and is 0.5; hidden was (4, 4) and is (4, 8)"),
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
        "hidden": [np.int64(4), 4.0 and 4],
        "device": "cpu",
        "checkpoint_every": 9,
    }
    labels = data.Y.astype(np.float64)
    ranker = HyperDPORanker(**options, alpha=1, checkpoint=unfinished)
    ranker.fit(data.X.tolist(), labels, qid=data.qid.astype(str), **validation(data), resume=True)
    assert len(ranker.history_) == 2


def test_other_reference_models_are_refused(data, tmp_path, dying):
    models = [LinearRegression().fit(data.X, data.Y[:, j]) for j in (0, 1)]
    path = tmp_path / "fit"
    dying[0] = 2
    with pytest.raises(KilledError):
        fit(HyperDPORanker(models[0], **TINY, checkpoint=path, checkpoint_every=0), data)
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
        ("cut", "is no safetensors file, or it is cut off"),
        ("empty", "is no safetensors file, or it is cut off"),
        ("text", "is no safetensors file, or it is cut off"),
        ("bit", "does not match its checksum"),
    ],
)
def test_damaged_files_are_named(data, unfinished, how, words):
    damaged(unfinished, how)
    with pytest.raises(ValueError, match=words):
        fit(HyperDPORanker(**TINY, checkpoint=unfinished), data, resume=True)


def test_foreign_files_are_named(data, fitted, unfinished):
    fitted.save(unfinished)
    with pytest.raises(ValueError, match="is no checkpoint of a fit: give another file"):
        fit(HyperDPORanker(**TINY, checkpoint=unfinished), data, resume=True)


@pytest.mark.parametrize("content", [{}, {"about": {}, "phases": {}, "training": None}, {"about": 3}])
def test_files_that_hold_no_fit_are_named(data, tmp_path, content):
    path = tmp_path / "fit"
    head = {"class": "fit checkpoint", "hyperrank": hyperrank.__version__}
    write_model_file(path, content, head=head)
    with pytest.raises(ValueError, match="holds no whole fit"):
        fit(HyperDPORanker(**TINY, checkpoint=path), data, resume=True)


def test_files_of_other_versions_are_refused(data, unfinished):
    head, content = read_model_file(unfinished)
    write_model_file(unfinished, content, head={**head, "hyperrank": "0.0.1"})
    with pytest.raises(ValueError, match=r"was written by hyperrank 0\.0\.1; this is"):
        fit(HyperDPORanker(**TINY, checkpoint=unfinished), data, resume=True)


def test_an_unfinished_fit_is_not_lost_by_forgetting_resume(data, unfinished):
    before = unfinished.read_bytes()
    with pytest.raises(ValueError, match=r"is there already: fit\(\.\.\., resume=True\) goes on from it"):
        fit(HyperDPORanker(**TINY, checkpoint=unfinished), data)
    assert unfinished.read_bytes() == before


def test_checkpoints_and_rankers_are_told_apart(data, unfinished, tmp_path):
    with pytest.raises(ValueError, match="is the checkpoint of an unfinished fit, not a ranker"):
        hyperrank.load(unfinished)
    saved = fit(HyperDPORanker(**TINY), data).save(tmp_path / "ranker")
    with pytest.raises(ValueError, match="is no checkpoint of a fit: give another file"):
        fit(HyperDPORanker(**TINY, checkpoint=saved), data)


@pytest.mark.parametrize(
    ("options", "resume", "words"),
    [
        ({}, True, r"resume=True needs the file .*HyperDPORanker\(checkpoint='fit.checkpoint'\)"),
        ({"checkpoint": "here"}, "yes", "resume must be True or False; got 'yes'"),
        ({"checkpoint": 3}, False, "checkpoint must be None or the path of a file; got 3"),
        ({"checkpoint": "."}, False, "is a folder: give the name of a file"),
        ({"checkpoint": "no/where"}, True, "there is no folder no"),
        (
            {"checkpoint": "here", "checkpoint_every": -1},
            False,
            "checkpoint_every must be a number at least 0",
        ),
        ({"checkpoint": "here", "checkpoint_every": "1"}, False, "checkpoint_every must be a number"),
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
