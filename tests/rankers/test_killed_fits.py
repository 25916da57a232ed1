"""Fits that are killed at random moments, as by `kill -9`, and taken up by other processes: the same bits."""

import multiprocessing
import os
import random
import signal
import sys
import time
from multiprocessing import forkserver

import killed_fits
import numpy as np
import pytest

from hyperrank import TradeOffs
from hyperrank.networks import Transformer

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


@pytest.fixture(scope="module")
def processes():
    """Processes that have imported all they need, and begin at once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["killed_fits"])
    with pytest.MonkeyPatch.context() as patch:
        # The server that they are made from knows no sys.path but this.
        patch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
        patch.setenv("OMP_NUM_THREADS", "1")
        forkserver.ensure_running()
    return context


def begun(processes, folder, n_queries, **options):
    """A process that fits, and whether it has found a checkpoint."""
    mine, its = processes.Pipe(duplex=False)
    process = processes.Process(target=killed_fits.fit, args=(str(folder), n_queries, options, its))
    process.start()
    its.close()
    found = mine.recv()
    mine.close()
    return process, found


def whole(processes, folder, n_queries, **options):
    """Seconds of a fit that nothing interrupts, and what it finds."""
    folder.mkdir()
    process, _ = begun(processes, folder, n_queries, **options)
    started = time.perf_counter()
    process.join()
    seconds = time.perf_counter() - started
    assert process.exitcode == 0
    return seconds, np.load(folder / "found.npz")


def killed_until_done(processes, folder, n_queries, rng, seconds, *, kills, **options):
    """Kill a fit and those that continue it at random moments; then let one end.

    Gives how many were killed, and how many found a checkpoint to continue from.
    """
    folder.mkdir()
    killed = went_on = 0
    for number in range(kills + 1):
        process, found = begun(processes, folder, n_queries, **options)
        went_on += found
        if number < kills:
            process.join(rng.uniform(0, seconds))
            if process.is_alive():
                os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert process.exitcode in (0, -signal.SIGKILL)
        killed += process.exitcode != 0
    assert process.exitcode == 0
    assert [path.name for path in folder.iterdir()] == ["found.npz"]
    return killed, went_on


def check_moments(processes, tmp_path, n_moments, n_queries, *, kills=1, **options):
    rng = random.Random(0)
    whole(processes, tmp_path / "first", n_queries, **options)  # the first may take longer
    seconds, wanted = whole(processes, tmp_path / "whole", n_queries, **options)
    counts = np.zeros(2, dtype=int)
    for moment in range(n_moments):
        # After each batch, or at intervals.
        every = {"checkpoint__every": 0.0 if moment % 2 else 0.02}
        folder = tmp_path / str(moment)
        counts += killed_until_done(
            processes, folder, n_queries, rng, seconds, kills=kills, **every, **options
        )
        found = np.load(folder / "found.npz")
        for name in wanted.files:
            assert np.array_equal(found[name], wanted[name]), (moment, name)
    killed, went_on = counts
    print(f"{n_moments} fits of {seconds:.2f} s, {killed} processes killed, {went_on} found a checkpoint")
    return killed, went_on


@pytest.mark.slow
def test_killed_at_two_moments(processes, tmp_path):
    killed, _ = check_moments(processes, tmp_path, 2, 110)
    assert killed > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"network": Transformer(hidden=(16, 16)), "reference": "lightgbm"},
        {"trade_offs": TradeOffs(temperature_range=(0.25, 4.0)), "random_state": 7, "max_epochs": 12},
    ],
    ids=["mlp", "transformer", "temperature"],
)
def test_killed_at_twenty_moments(processes, tmp_path, options):
    killed, went_on = check_moments(processes, tmp_path, 20, 300, kills=2, **options)
    assert killed >= 20
    assert went_on >= 10
