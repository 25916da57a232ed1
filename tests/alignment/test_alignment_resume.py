"""An interrupted fit goes on to what it would have been, to the bit; other runs' files are refused."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from hyperrank.files import ModelFileError

pytestmark = pytest.mark.slow

CHECKPOINT = "alignment-checkpoint.safetensors"
RUN = {"max_steps": 9, "checkpoint_every": 2, "log_every": 3, "sample_tokens": 3, "adapters": {"r": 2}}


class InterruptedRunError(Exception):
    """Stands for whatever ends a process."""


def stop_at(step):
    def callback(entry):
        if entry["step"] == step:
            raise InterruptedRunError

    return callback


def assert_same(one, other):
    assert one.history_ == other.history_
    values = other.policy_.trained()
    for name, value in one.policy_.trained().items():
        assert torch.equal(value, values[name]), name


@pytest.mark.parametrize("at", [1, 2, 5, 9])
def test_interrupted_runs_end_where_others_do(short, few, tmp_path, at):
    whole = short(**RUN).fit(*few)
    with pytest.raises(InterruptedRunError):
        short(**RUN, checkpoint_dir=tmp_path).fit(*few, callback=stop_at(at))
    steps = []
    resumed = short(**RUN, checkpoint_dir=tmp_path)
    resumed.fit(*few, callback=lambda entry: steps.append(entry["step"]))
    # Only what had not been kept is done again.
    assert steps == list(range(at // 2 * 2 + 1, 10))
    assert_same(whole, resumed)


def test_a_drawn_seed_is_kept_with_the_run(short, few, tmp_path):
    options = {**RUN, "random_state": None, "checkpoint_dir": tmp_path}
    stopped = short(**options).fit(*few, callback=lambda entry: entry["step"] == 4)
    assert len(stopped.history_) == 4
    first = short(**options).fit(*few)
    assert first.seed_ == stopped.seed_
    assert first.history_[:4] == stopped.history_


def test_a_finished_run_is_read_not_repeated(short, few, tmp_path):
    first = short(**RUN, checkpoint_dir=tmp_path).fit(*few)
    steps = []
    again = short(**RUN, checkpoint_dir=tmp_path).fit(*few, callback=steps.append)
    assert steps == []
    assert_same(first, again)


@pytest.mark.parametrize("change", ["options", "labels", "texts", "model"])
def test_checkpoints_of_other_runs_are_refused(short, few, tmp_path, change):
    from hyperrank.alignment import tiny_model

    prompts, responses, labels = few
    short(**RUN, checkpoint_dir=tmp_path).fit(*few, callback=stop_after_one)
    options = dict(RUN)
    if change == "options":
        options["beta"] = 0.7
    elif change == "labels":
        labels = [[[9, 9], *rows[1:]] for rows in labels]
    elif change == "texts":
        prompts = [*prompts[:-1], "another"]
    else:
        options["model"] = tiny_model(random_state=9)[0]
    with pytest.raises(
        ModelFileError, match="checkpoint of a fit with other data, another model or other options"
    ):
        short(**options, checkpoint_dir=tmp_path).fit(prompts, responses, labels)


def stop_after_one(entry):
    return True


def test_what_only_shows_does_not_make_another_run(short, few, tmp_path):
    short(**RUN, checkpoint_dir=tmp_path).fit(*few, callback=stop_after_one)
    options = {**RUN, "checkpoint_every": 5, "cache_dir": tmp_path / "cache"}
    assert len(short(**options, checkpoint_dir=tmp_path).fit(*few).history_) == 9


def test_damaged_and_foreign_checkpoints_are_named(short, few, tmp_path):
    path = tmp_path / CHECKPOINT
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(ModelFileError, match="is not a hyperrank model, or truncated"):
        short(**RUN, checkpoint_dir=tmp_path).fit(*few)
    path.unlink()
    fitted = short(**RUN, checkpoint_dir=tmp_path).fit(*few)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match="does not match its checksum"):
        short(**RUN, checkpoint_dir=tmp_path).fit(*few)
    fitted.save(path)
    with pytest.raises(ModelFileError, match="is no checkpoint of an alignment"):
        short(**RUN, checkpoint_dir=tmp_path).fit(*few)


KILLED = """
import sys, time
sys.path.insert(0, {folder!r})
from alignment_helpers import letter_lists
from conftest import SHORT
from hyperrank.alignment import HyperPromptAligner, tiny_model
options = {{**SHORT, **{run!r}}}
slow = (lambda entry: time.sleep(0.5)) if len(sys.argv) > 1 else None
aligner = HyperPromptAligner(*tiny_model(), **options, checkpoint_dir={checkpoints!r})
aligner.fit(*letter_lists(24), callback=slow)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL here")
def test_a_killed_process_loses_little(short, few, tmp_path):
    script = KILLED.format(folder=str(Path(__file__).parent), run=RUN, checkpoints=str(tmp_path))
    process = subprocess.Popen([sys.executable, "-c", script, "slow"], env={**os.environ})
    try:
        deadline = time.monotonic() + 120
        while not (tmp_path / CHECKPOINT).exists() and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == -signal.SIGKILL
    steps = []
    resumed = short(**RUN, checkpoint_dir=tmp_path).fit(
        *few, callback=lambda entry: steps.append(entry["step"])
    )
    assert steps[0] > 1
    assert_same(short(**RUN).fit(*few), resumed)
