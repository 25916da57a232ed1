"""Runs of benchmarks.fronts: complete records, resumed after an interruption, crashes survived."""

import json
import os
import signal
import threading
import time

import numpy as np
import pytest

import hyperrank
from benchmarks.fronts import cli, processes, suite
from benchmarks.fronts.checking import TOLERANCE, compare_with_ir_measures
from benchmarks.fronts.grid import edges, trade_offs
from benchmarks.fronts.letor_sources import MslrFolder
from benchmarks.fronts.methods import METHODS, REFERENCE, front_label
from benchmarks.fronts.plan import plan
from benchmarks.fronts.processes import RunFailed, in_own_process
from benchmarks.fronts.report import render
from benchmarks.fronts.results import read_results
from benchmarks.fronts.sources import MslrSample
from benchmarks.fronts.store import Store, StoreError
from benchmarks.fronts.suite import run_all
from hyperrank.metrics import hypervolume

pytestmark = pytest.mark.slow

FIELDS = (
    "key front status data objectives folds fold seed method options weights points hypervolume corners "
    "fit_seconds fit_cpu_seconds predict_seconds predict_cpu_seconds peak_mb "
    "network_parameters booster_leaves ir_measures versions commit machine finished"
)


def here(function, *arguments):
    """Run in this process: quicker than one of its own."""
    return function(*arguments)


def lines(store):
    return [json.loads(line) for line in store.lines.read_text().splitlines()]


def test_every_method_leaves_complete_records(few, short_params, tmp_path, capsys):
    methods = cli._methods(None)
    runs = plan(few, methods, n_seeds=1, params=short_params, n_weights=3)
    store = Store(tmp_path)
    assert run_all(runs, store, here) == 0
    records = lines(store)
    assert len(records) == 2 * sum(len(METHODS[key].fronts_of(key)) for key in methods)
    for record in records:
        assert set(FIELDS.split()) <= set(record)
        points, weights = np.array(record["points"]), np.array(record["weights"])
        assert points.shape == weights.shape == (3, 2)
        assert record["hypervolume"] == pytest.approx(hypervolume(points))
        assert record["corners"] == [points[0, 0], points[2, 1]]
        assert record["fit_seconds"] > 0
        assert record["ir_measures"]["compared"] in (4, 6)  # corners alone where time is short
        assert record["ir_measures"]["largest_difference"] < TOLERANCE
        if hasattr(hyperrank, METHODS[record["method"]].ranker):
            assert record["network_parameters"] + record["booster_leaves"] > 0
        values = store.load(store.values_path(record["key"], record["front"]))
        assert values["values"].shape == (3, len(values["qid"]), 2)
        assert values["values"].dtype == np.float32
        assert np.nanmean(values["values"], axis=1) == pytest.approx(points, abs=1e-6)
        assert ("edges" in record) == (not METHODS[record["method"]].per_weight)
    by_front = {record["front"]: record for record in records}
    assert by_front["networks"]["points"] != by_front["networks-alone"]["points"]
    assert by_front["networks"]["network_parameters"] > 2 * by_front["hyperdpo"]["network_parameters"] / 3
    assert by_front["mixed-scores"]["network_parameters"] == 0
    text = render(read_results([tmp_path])[0], n_resamples=20)
    assert all(front_label(record["front"]) in text for record in records)


def test_methods_take_turns_at_going_first(few):
    order = [run.method for run in plan(few, ["soup", "modpo"], n_seeds=2)]
    assert order == ["soup", "modpo", "modpo", "soup", "soup", "modpo", "modpo", "soup"]


def test_what_tells_runs_apart(few, tmp_path):
    def key(source=few, method="modpo", n_seeds=1, params=None, n_weights=21):
        return plan(source, [method], n_seeds=n_seeds, params=params, n_weights=n_weights)[-1].key

    others = [
        key(method="soup"),
        key(n_seeds=2),
        key(params={"modpo": {"max_epochs": 3}}),
        key(n_weights=3),
        key(type(few)(["objective_1", "objective_0"], 2, few.sizes)),
        key(type(few)(few.objectives, 3, few.sizes)),
    ]
    assert key() == key()
    assert len({key(), *others}) == 7


def test_an_interrupted_suite_goes_on(few, short_params, tmp_path):
    """Ctrl-C in the third run of four, a line cut off as by a crash: two runs are left to do."""
    runs = plan(few, ["hyperdpo", "mixed-scores"], n_seeds=1, params=short_params, n_weights=2)
    done = []

    def interrupted(function, run, *rest):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(run)
        return function(run, *rest)

    store = Store(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run_all(runs, store, interrupted)
    before = store.lines.read_bytes()
    store.lines.write_bytes(before + before[: before.index(b"\n") // 2])

    def counted(function, run, *rest):
        done.append(run)
        return function(run, *rest)

    run_all(runs, store, counted)
    assert done == runs
    assert store.lines.read_bytes().startswith(before)
    assert len(lines(store)) == 6  # HyperDPO's runs make two fronts
    run_all(runs, store, counted)
    assert done == runs


def test_a_run_whose_values_are_gone_is_run_again(few, short_params, tmp_path):
    runs = plan(few, ["mixed-scores"], n_seeds=1, params=short_params, n_weights=2)
    store = Store(tmp_path)
    run_all(runs, store, here)
    store.values_path(runs[0].key, "mixed-scores").unlink()
    with pytest.raises(StoreError, match="lacks the values"):
        read_results([tmp_path])
    run_all(runs, store, here)
    assert [record["fold"] for record in lines(store)] == [0, 1, 0]
    assert len(read_results([tmp_path])[0].records["mixed-scores"]) == 2


def test_a_failed_run_is_told_and_tried_again(few, short_params, tmp_path, capsys):
    runs = plan(few, ["mixed-scores"], n_seeds=1, params=short_params, n_weights=2)

    def broken(function, run, *rest):
        if run.fold == 1:
            raise RunFailed("its process was ended by SIGKILL")
        return function(run, *rest)

    store = Store(tmp_path)
    assert run_all(runs, store, broken) == 1
    assert "FAILED mixed-scores, fold 2, seed 0: its process was ended" in capsys.readouterr().out
    (data,) = read_results([tmp_path])
    assert data.warnings() == ["FAILED: mixed-scores, fold 2, seed 0: its process was ended by SIGKILL"]
    assert run_all(runs, store, here) == 0
    (data,) = read_results([tmp_path])
    assert (data.warnings(), len(data.records["mixed-scores"])) == ([], 2)


def test_a_line_broken_in_the_middle_is_an_error(tmp_path):
    store = Store(tmp_path)
    with pytest.raises(StoreError, match="There is no"):
        store.records()
    store.lines.write_text('{"key": \n{"key": "a", "front": "b"}\n')
    with pytest.raises(StoreError, match="line 1, is no JSON"):
        store.records()


def die(how):
    os.kill(os.getpid(), how)


def complain():
    raise ValueError("two\nlines")


def test_processes_of_their_own():
    assert in_own_process(os.getpid) != os.getpid()
    with pytest.raises(RunFailed, match=r"^ValueError: two lines \(test_fronts_runs.py:\d+\)$"):
        in_own_process(complain)
    with pytest.raises(RunFailed, match="ended by SIGKILL, most likely for want of memory"):
        in_own_process(die, signal.SIGKILL)
    with pytest.raises(RunFailed, match="ended with status 3"):
        in_own_process(os._exit, 3)


def test_in_a_process_of_its_own_a_run_is_the_same(few, short_params, tmp_path):
    runs = plan(few, ["mixed-scores"], n_seeds=1, params=short_params, n_weights=2)[:1]
    for name, executor in (("here", here), ("there", in_own_process)):
        run_all(runs, Store(tmp_path / name), executor)
    found = [lines(Store(tmp_path / name))[0] for name in ("here", "there")]
    assert found[0]["points"] == found[1]["points"]


def test_values_that_are_not_those_of_ir_measures_are_loud(few, short_params, tmp_path):
    fold, weights = few.fold(0), trade_offs(2, 2)
    scores = np.random.default_rng(0).normal(size=(len(fold.test.X), 2))
    found = compare_with_ir_measures(scores, fold.test, np.full((2, 2), 0.5), weights)
    assert found["largest_difference"] > 0.01
    corners = compare_with_ir_measures(
        scores, fold.test, np.full((2, 2), 0.5), np.array([[1, 0], [0, 1.0]]), max_seconds=0
    )
    assert corners["compared"] == 4
    store = Store(tmp_path)
    run_all(plan(few, ["mixed-scores"], n_seeds=1, params=short_params, n_weights=2), store, here)
    record = {**lines(store)[0], "ir_measures": found}
    store.append([record])
    assert "WRONG VALUES: mixed-scores, fold 1" in render(read_results([tmp_path])[0])


def test_the_papers_protocol(tmp_path, write_letor, short_params, capsys):
    """Methods trained by DPO start from the scores of one reference for relevance."""
    home = tmp_path / "MSLR"
    for at, part in enumerate(("train", "vali", "test")):
        write_letor(home / "Fold1" / f"{part}.txt", range(10 * at, 10 * at + 4), 136)
    source = MslrFolder(home, n_folds=1)
    short = {
        key: {**params, "booster_params": {"num_boost_round": 2}} for key, params in short_params.items()
    }
    for params in short.values():
        params.pop("reference", None)
    short[REFERENCE] = {"booster_params": {"num_boost_round": 2}}
    methods = ["hyperdpo", "networks", "mixed-scores"]
    runs = plan(source, methods, n_seeds=2, params=short)
    assert [run.method for run in runs] == [REFERENCE, *methods, *methods[::-1]]
    assert len({run.key for run in runs if run.method == REFERENCE}) == 1
    store = Store(tmp_path / "out")
    run_all(runs, store, here)
    by_front = {record["front"]: record for record in lines(store)}
    assert by_front[REFERENCE]["main"] == "relevance"
    assert len(by_front[REFERENCE]["main_points"]) == 1
    hyperdpo = by_front["hyperdpo"]
    assert hyperdpo["booster_leaves"] == 0
    assert np.shape(hyperdpo["weights"]) == (21, 5)
    assert np.shape(hyperdpo["main_points"]) == (21,)
    text = render(read_results([tmp_path / "out"])[0], n_resamples=20)
    for told in ("0.002039", "0.001263", "relevance, mean over weights", "LightGBM for relevance"):
        assert told in text
    # Without the reference's scores it is run again.
    store.reference_path(runs[0].key).unlink()
    assert not store.is_finished(runs[0], store.finished())


def test_trade_offs_hold_corners_and_centre():
    for m in (2, 3, 4, 5):
        weights = trade_offs(m)
        assert len(weights) == len(np.unique(weights, axis=0)) == 21
        assert weights.sum(axis=1) == pytest.approx(1)
        assert all((weights == corner).all(axis=1).any() for corner in np.eye(m))
        if m != 3:  # the lattice of steps 1/5 has none
            assert np.isclose(weights, 1 / m).all(axis=1).any()
    assert [(i, j) for i, j, _ in edges(3)] == [(0, 1), (0, 2), (1, 2)]


def test_time_left_goes_by_method(few):
    runs = plan(few, ["soup", "modpo"], n_seeds=1)
    clock = suite._Clock(runs, 1)
    assert clock.left() == ""
    record = {"status": "ok", "method": "soup", "fit_seconds": 100.0, "predict_seconds": 20.0}
    clock.done(runs[0], [record])
    assert clock.left() == "about 6 min left"


def test_what_is_needed_ends_before_what_needs_it_starts(tmp_path):
    """Several at a time, but none before the reference of its fold."""
    going, together, started, lock = set(), [], [], threading.Lock()

    def slow(function, run, folder, jobs):
        with lock:
            assert run.needs is None or run.needs in {done.key for done in started if done not in going}
            going.add(run)
            started.append(run)
            together.append(len(going))
        time.sleep(0.05)
        with lock:
            going.discard(run)
        assert jobs == 3
        raise RunFailed("nothing to be done")

    source = MslrSample(main="relevance", n_folds=2)
    runs = plan(source, ["hyperdpo", "soup", "modpo"], n_seeds=3)
    assert run_all(runs, Store(tmp_path), slow, jobs=3) == len(runs)
    assert sorted(map(str, started)) == sorted(map(str, runs))
    assert 1 < max(together) <= 3


def test_an_interruption_ends_the_processes_of_all_jobs(few, tmp_path, monkeypatch):
    def asleep(function, run, folder, jobs):
        return in_own_process(time.sleep, 600)

    def interrupted(*_, **__):
        while len(processes._RUNNING) < 2:
            time.sleep(0.01)
        raise KeyboardInterrupt

    monkeypatch.setattr(suite, "wait", interrupted)
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_all(plan(few, ["soup"], n_seeds=1), Store(tmp_path), asleep, jobs=2)
    assert time.monotonic() - started < 300
    assert not processes._RUNNING


def test_ctrl_c_says_how_to_go_on(few, monkeypatch, tmp_path, capsys):
    def interrupted(runs, store, *, jobs):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "run_all", interrupted)
    assert cli.compare(few, ["soup"], n_seeds=1, out=tmp_path) == cli.INTERRUPTED
    assert "the same command continues from there" in capsys.readouterr().out
