"""Fits that end at every write of their checkpoint."""

import errno
import os
import re
import signal
from contextlib import suppress

import numpy as np
import pytest
from lightgbm import LGBMRanker
from sklearn.linear_model import LinearRegression
from small_fits import TINY, KilledError, fit, own_scores, same, validation, weighted

from hyperrank import AdamW, CheckpointFile, HyperDPORanker, TradeOffs
from hyperrank.boosters import training as growing
from hyperrank.boosters.search import BoosterSearch
from hyperrank.files import ModelFileError
from hyperrank.rankers.dpo import reference, tuning
from hyperrank.training import Checkpoint
from hyperrank.training.loop import Steps

CASES = {
    "boosters": ({}, validation),
    "temperature": (
        {"trade_offs": TradeOffs(temperature_range=(0.5, 2.0)), "reference": "lightgbm"},
        weighted,
    ),
    "transformer": ({"network": "transformer", "reference": None, "early_stopping": True}, None),
    "scores": (
        {"reference": "scores", "loss": "plackett_luce", "optimizer": AdamW(batch_docs=60)},
        own_scores,
    ),
    "given": (
        {"reference": "a fitted model", "optimizer": AdamW(average_decay=0.0), "query_standardize": False},
        None,
    ),
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
        ranker = HyperDPORanker(**options, checkpoint=CheckpointFile(path, every=0))
        try:
            fit(ranker, data, resume=True, **more)
            done = True
        except KilledError:
            assert path.exists()
    assert starts > 4
    assert not path.exists()
    same(whole, ranker, data, more.get("ref_scores"))


def never(*_, **__):
    pytest.fail("computed again")


def test_tuning_is_kept(many, tmp_path, dying, monkeypatch):
    whole = fit(HyperDPORanker(**TINY), many)
    assert whole.tuning_ is not None
    dying[0] = 3  # after tuning's reference, its only candidate, and all of it
    with pytest.raises(KilledError):
        fit(HyperDPORanker(**TINY, checkpoint=tmp_path / "fit"), many)
    monkeypatch.setattr("hyperrank.rankers.dpo.tuning._tune", never)
    ranker = fit(HyperDPORanker(**TINY, checkpoint=str(tmp_path / "fit")), many, resume=True)
    assert ranker.tuning_ == whole.tuning_
    same(whole, ranker, many)


def test_parts_of_tuning_are_kept(many, tmp_path, dying, monkeypatch):
    monkeypatch.setattr("hyperrank.rankers.dpo.config.automatic_epochs", lambda _: 1)
    options = {**TINY, "max_epochs": "auto"}

    def start(**kept):
        monkeypatch.setattr("hyperrank.rankers.dpo.tuning._best_reward_scale", lambda _: 1.0)
        monkeypatch.setattr("hyperrank.rankers.dpo.tuning.surely_better", lambda *_, **__: True)
        return fit(HyperDPORanker(**options, **kept), many, resume=bool(kept))

    whole = start()
    trained = spied(monkeypatch, tuning, "train_reward_model")
    fitted = spied(monkeypatch, reference, "_fit_model")
    path, starts, ranker = tmp_path / "fit", 0, None
    while ranker is None:
        starts, dying[0] = starts + 1, 1
        with suppress(KilledError):
            ranker = start(checkpoint=path)
    n_candidates = len({entry["epochs"] for entry in whole.tuning_.candidates})
    assert len(trained) == n_candidates > 1
    assert len(fitted) == 2  # tuning's, and that of the fit
    assert starts >= 1 + n_candidates + 1
    assert ranker.tuning_ == whole.tuning_
    same(whole, ranker, many)


@pytest.mark.parametrize(
    ("reference", "n_boosters"), [("booster_pairs", 6), ("boosters", 2), ("lightgbm", 1)]
)
def test_boosters_that_take_long_are_kept_one_by_one(
    data, tmp_path, dying, monkeypatch, reference, n_boosters
):
    monkeypatch.setattr(growing, "ONE_THREAD_ENTRIES", 0)
    options = {**TINY, "reference": reference}
    whole = fit(HyperDPORanker(**options), data)
    grown = spied(monkeypatch, growing, "fit_booster")
    path, starts, ranker = tmp_path / "fit", 0, None
    while ranker is None:
        starts, dying[0] = starts + 1, 1
        with suppress(KilledError):
            ranker = fit(HyperDPORanker(**options, checkpoint=path), data, resume=True)
    assert len(grown) == n_boosters
    assert starts > 1 + n_boosters + 1  # no tuning, each booster, all of them
    same(whole, ranker, data)


def test_finished_trials_leave_no_parts(many, tmp_path, dying):
    for written, expected in ((1, {"tuning: reference"}), (3, {"tuning"}), (4, {"tuning", "reference"})):
        dying[0], path = written, tmp_path / f"after {written}"
        with pytest.raises(KilledError):
            fit(HyperDPORanker(**TINY, checkpoint=path), many)
        assert set(Checkpoint.read(path, 60.0).phases) == expected


def spied(monkeypatch, owner, name):
    """Calls of a function, which goes on as before."""
    calls, real = [], getattr(owner, name)

    def spy(*given, **options):
        calls.append(name)
        return real(*given, **options)

    monkeypatch.setattr(owner, name, spy)
    return calls


def test_a_search_is_kept(data, tmp_path, dying, monkeypatch):
    found = BoosterSearch({"num_boost_round": 3, "num_threads": 1}, 0.5, [{"rounds": 3}], 1.0)
    monkeypatch.setattr("hyperrank.rankers.dpo.tuning.search_mixed_scores", lambda *_, **__: found)
    options = {**TINY, "booster_params": "search", "checkpoint": tmp_path / "fit"}
    whole = fit(HyperDPORanker(**options), data)
    dying[0] = 1
    with pytest.raises(KilledError):
        fit(HyperDPORanker(**options), data)
    monkeypatch.setattr("hyperrank.rankers.dpo.tuning.search_mixed_scores", never)
    ranker = fit(HyperDPORanker(**options), data, resume=True)
    assert ranker.booster_search_ == found
    same(whole, ranker, data)


@pytest.mark.parametrize("random_state", [None, np.random.RandomState(3)], ids=["None", "RandomState"])
def test_a_drawn_seed_is_in_the_file(data, tmp_path, dying, random_state):
    options = {**TINY, "random_state": random_state, "early_stopping": True}
    dying[0] = 3
    with pytest.raises(KilledError):
        fit(HyperDPORanker(**options, checkpoint=CheckpointFile(tmp_path / "fit", every=0)), data)
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
        fit(warm(max_epochs=3, checkpoint=CheckpointFile(path, every=0)), data)
    dying[0] = -1
    with pytest.raises(ModelFileError, match="the network to continue from is not given now"):
        fit(HyperDPORanker(**{**TINY, "max_epochs": 3, "checkpoint": path}), data, resume=True)
    same(whole, fit(warm(max_epochs=3, checkpoint=path), data, resume=True), data)


def test_without_a_file_it_begins_anew(data, tmp_path):
    path = tmp_path / "fit"
    whole = fit(HyperDPORanker(**TINY), data)
    same(whole, fit(HyperDPORanker(**TINY, checkpoint=path), data, resume=True), data)
    same(whole, fit(HyperDPORanker(**TINY, checkpoint=path), data, resume=True), data)


def test_callbacks_see_the_epochs_that_are_left(data, tmp_path, dying):
    callback = pytest.importorskip("sklearn.callback")
    kept = CheckpointFile(tmp_path / "fit", every=0)
    options = {**TINY, "max_epochs": 5, "optimizer": AdamW(batch_docs=10**6), "checkpoint": kept}
    ended = []

    class Counting(callback.ProgressBar):
        def on_fit_task_end(self, *args, **kwargs):
            ended.append(1)
            return super().on_fit_task_end(*args, **kwargs)

    # No tuning, the reference, and two epochs of a batch each: after the batch, and after the epoch.
    dying[0] = 2 + 2 * 2
    with pytest.raises(KilledError):
        fit(HyperDPORanker(**options), data)
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
    with pytest.warns(
        UserWarning, match=r"could not be written \(No space left.*the fit continues"
    ) as warned:
        ranker = fit(HyperDPORanker(**TINY, checkpoint=CheckpointFile(path, every=0)), data)
    assert len(warned) == 1
    assert failures[0] > 5
    assert list(tmp_path.iterdir()) == []
    same(whole, ranker, data)


def test_what_killed_writers_left_is_cleared(data, tmp_path):
    partial, other = tmp_path / ".fit[1].abcdefgh.partial", tmp_path / ".fit1.abcdefgh.partial"
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
    with pytest.warns(UserWarning, match=f"resume=True.* continues from {re.escape(str(path))}"):
        fit(ranker, data)
    assert len(steps) == 2
    assert np.isfinite(ranker.predict(data.X, qid=data.qid)).all()
    same(whole, fit(ranker, data, resume=True), data)
    assert not path.exists()
