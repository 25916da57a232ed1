"""``torchrun -m hyperrank fit``: one model, written once, as one process fits it."""

import os
import subprocess
import sys

import numpy as np
import pytest
from cli_files import FEATURES, LABELS

import hyperrank
from hyperrank import HyperDPORanker
from hyperrank.networks import MLP

OPTIONS = "--labels relevance,clicks --reference none --seed 0 --set network__dropout=0 --set max_epochs=2"


def torchrun(*words: str) -> subprocess.CompletedProcess[str]:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2"]
    meeting = ["--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0"]
    line = [*launcher, *meeting, "-m", "hyperrank", *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(line, capture_output=True, text=True, timeout=300, env=environment)


@pytest.mark.slow
def test_the_model_is_that_of_one_process(files, tmp_path):
    path = tmp_path / "model.safetensors"
    done = torchrun("fit", "train.csv", *OPTIONS.split(), "--out", str(path))
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{path}: a ranker of relevance, clicks, 6 features\n"
    assert done.stderr.count("train.csv: ") == 1
    assert [child.name for child in tmp_path.iterdir()] == [path.name]
    single = HyperDPORanker(None, objectives=LABELS, network=MLP(dropout=0), max_epochs=2, random_state=0)
    single.fit(files.train[FEATURES], files.train[LABELS].to_numpy(), qid=files.train["qid"].to_numpy())
    X, qid = files.test[FEATURES], files.test["qid"].to_numpy()
    found = hyperrank.load(path).predict(X, qid=qid, weights=[0.8, 0.2])
    np.testing.assert_allclose(found, single.predict(X, qid=qid, weights=[0.8, 0.2]), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_an_error_is_told_once_and_ends_all(files, tmp_path):
    done = torchrun("fit", "train.csv", "--labels", "relevance,click", "--out", str(tmp_path / "m"))
    assert done.returncode == 1
    assert done.stderr.count("Error: train.csv has no column 'click'") == 1
    assert list(tmp_path.iterdir()) == []


def test_other_commands_refuse_to_run_several_times(files, hr, monkeypatch):
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert "describe runs in one process" in hr("describe train.store", code=1).output
