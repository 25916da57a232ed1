"""Training on transformers.Trainer: where it starts, what a step is, evaluation, checkpoints, processes."""

import json
import os
import random
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import transformers
from alignment_helpers import NAMES, SHORT, by_full_logits, letter_lists

from hyperrank.alignment import HyperPromptAligner, Preferences, readers, tiny_model
from hyperrank.files import ModelFileError
from hyperrank.losses import ListNet, PlackettLuce

EVERY_STEP = {"logging_steps": 1}
FROZEN = {"prompt_learning_rate": 1e-12, "hypernetwork_learning_rate": 1e-12, "adapter_learning_rate": 1e-12}


def params_of(aligner):
    return {name: value.detach().clone() for name, value in aligner.policy_.state_dict().items()}


def assert_same(one, other, atol=0.0):
    values = params_of(other)
    for name, value in params_of(one).items():
        assert torch.allclose(value, values[name], rtol=0, atol=atol), name


def losses_of(aligner):
    return [entry["loss"] for entry in aligner.history_ if "loss" in entry]


def test_the_policy_starts_at_the_reference(conditioned, few):
    """Before the first step every log-ratio is zero, to the bit, under all weights."""
    assert conditioned.history_[0]["log_ratio"] == 0.0
    assert conditioned.history_[0]["loss"] == pytest.approx(
        1.0, abs=1e-6
    )  # each loss is on the scale of the reference's
    assert conditioned.log_ratio(*few[:2], weights=[0.3, 0.7]) > 1e-3


def test_the_reference_of_a_prompt_is_the_model_under_the_initial_prompt(short, tiny):
    """Rewards and the loss after one step, against transformers' full logits in float64."""
    prompts, responses, _ = letter_lists(5, size=2)
    labels = [[[1, 0], [0, 1]]] * 5  # two objectives that always disagree
    aligner = short(max_steps=3, batch_size=5, prompt_learning_rate=0.1, hypernetwork_learning_rate=0.1)
    aligner.fit(prompts, responses, labels)
    weights, conditioning, encoder = [0.2, 0.8], aligner.policy_.conditioning, aligner.encoder_
    expected = []
    with torch.no_grad():
        own = conditioning.prompt(torch.tensor([weights]))[0]
        for prompt, pair in zip(prompts, responses, strict=True):
            ids = [256, *prompt.encode()]
            tails = [[*text.encode(), 257] for text in pair]
            logs = [
                [by_full_logits(tiny[0], ids, tail, vectors, place=1) for tail in tails]
                for vectors in (own, conditioning.initial)
            ]
            expected.append([0.5 * float(a - b) for a, b in zip(*logs, strict=True)])
    found = aligner.score(prompts, responses, weights=weights)
    assert np.allclose(np.stack(found), expected, atol=1e-4)
    assert np.abs(expected).max() > 0.01
    assert encoder.bos == 256


def test_the_loss_of_pairs_is_the_weighted_bradley_terry_loss(short):
    prompts, responses, _ = letter_lists(6, size=2)
    data = Preferences(prompts, responses, [np.array([[1.0, 0], [0, 1]])] * 6, NAMES)
    options = {
        "normalize_objectives": False,
        "weights": [0.3, 0.7],
        "prompt_learning_rate": 0.1,
        "max_steps": 2,
    }
    aligner = short(**options, loss="sigmoid").fit(data, eval_data=data)
    margin = np.array([r[0] - r[1] for r in aligner.score(prompts, responses, weights=[1, 0])])
    entry = [entry for entry in aligner.history_ if "eval_loss" in entry][-1]
    assert entry["eval_letters/margin_at_letters"] == pytest.approx(margin.mean(), abs=1e-5)
    assert entry["eval_letters/accuracy_at_letters"] == pytest.approx((margin > 0).mean())
    both = []
    for w in ([1, 0], [0, 1], [0.5, 0.5]):
        m = np.array([r[0] - r[1] for r in aligner.score(prompts, responses, weights=w)])
        both.append(w[0] * np.log1p(np.exp(-m)) + w[1] * np.log1p(np.exp(m)))
    assert entry["eval_loss"] == pytest.approx(np.mean(both), abs=1e-5)


@pytest.mark.parametrize("options", [{}, {"adapters": {"r": 2}}], ids=["prompt", "lora"])
def test_accumulated_passes_make_the_step_of_one_batch(short, few, options):
    whole = short(batch_size=6, loss=PlackettLuce(ties="average"), **options).fit(*few)
    args = {"gradient_accumulation_steps": 3}
    parts = short(batch_size=2, loss=PlackettLuce(ties="average"), training_args=args, **options).fit(*few)
    assert_same(whole, parts, atol=2e-4)


def test_activation_checkpointing_changes_nothing_but_memory(short, few):
    name = (
        "activation"
        if "activation_checkpointing" in vars(transformers.TrainingArguments("x"))
        else "gradient"
    )
    options = {"conditioning": "lora", "adapters": {"r": 2}}
    plain = short(**options).fit(*few)
    saving = short(**options, training_args={f"{name}_checkpointing": True}).fit(*few)
    assert_same(plain, saving, atol=1e-5)


def test_bfloat16_is_close_to_float32(short, few):
    options = {"prompt_learning_rate": 0.02, "hypernetwork_learning_rate": 0.02, "adapters": {"r": 8}}
    options |= {"adapter_learning_rate": 2e-3, "max_steps": 12, "training_args": EVERY_STEP}
    wide, narrow = (short(precision=name, **options).fit(*few) for name in ("float32", "bfloat16"))
    assert narrow.policy_.embedding.weight.dtype == torch.bfloat16
    assert all(value.dtype == torch.float32 for value in narrow.policy_.state_dict().values())
    assert losses_of(narrow) == pytest.approx(losses_of(wide), abs=0.05)
    # Each step sees the parameters of the last one: autocast would cache those of the first.
    ratios = [[entry["log_ratio"] for entry in a.history_ if "loss" in entry] for a in (wide, narrow)]
    assert ratios[0][-1] > 0.05
    assert ratios[1] == pytest.approx(ratios[0], rel=0.1, abs=1e-3)
    rewards = [np.concatenate(a.score(*few[:2])) for a in (wide, narrow)]
    assert np.abs(rewards[0] - rewards[1]).max() < 0.2


def test_losses(short, few):
    prompts, responses, labels = few
    positive = [np.add(rows, [0, 40]) for rows in labels]
    for options in ({"loss": ListNet(gain="linear")}, {"loss": "ipo"}, {"length_normalized": True}):
        aligner = short(**options).fit(prompts, responses, positive)
        assert losses_of(aligner)[0] == pytest.approx(1.0, abs=1e-5)
    # An SFT term makes the best responses likelier, whatever else.
    texts = short(sft_weight=5.0, weights=[1, 0], max_steps=8, prompt_learning_rate=0.1).fit(*few)
    best = [
        [texts[int(np.argmax([row[0] for row in rows]))]]
        for texts, rows in zip(responses, labels, strict=True)
    ]
    assert np.mean(texts.score(prompts, best, weights=[1, 0])) > 0
    assert losses_of(texts)[0] > 2


def test_fits_repeat_to_the_bit_and_leave_the_caller_alone(short, few):
    torch_state, numpy_state, python_state = (
        torch.get_rng_state(),
        np.random.get_state()[1],  # noqa: NPY002
        random.getstate(),
    )
    verbosity = transformers.utils.logging.get_verbosity()
    first = short(random_state=5).fit(*few)
    torch.set_default_dtype(torch.float64)
    try:
        with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
            second = short(random_state=5).fit(*few)
            scores = second.score(*few[:2])
            assert torch.is_inference_mode_enabled()
            assert torch.is_autocast_enabled("cpu")
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert_same(first, second)
    assert np.array_equal(np.concatenate(scores), np.concatenate(first.score(*few[:2])))
    assert losses_of(first) == losses_of(second)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002
    assert random.getstate() == python_state
    assert transformers.utils.logging.get_verbosity() == verbosity
    with pytest.raises(AssertionError):
        assert_same(first, short(random_state=6).fit(*few))


def test_fits_in_threads_are_those_of_one(short, few):
    alone, found = short(random_state=1).fit(*few), {}
    work = [lambda n=n: found.update({n: short(random_state=1).fit(*few)}) for n in range(2)]
    threads = [threading.Thread(target=some) for some in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert_same(alone, found[0])
    assert_same(alone, found[1])


def test_evaluation_and_callbacks_are_the_trainers(short, few):
    rows = Preferences(few[0][:6], few[1][:6], [np.asarray(rows, dtype=float) for rows in few[2][:6]], NAMES)
    steps = []

    class Watch(transformers.TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            steps.append(state.global_step)
            control.should_training_stop = state.global_step == 3

    args = {"eval_strategy": "steps", "eval_steps": 1, "eval_on_start": True}
    args |= {"per_device_eval_batch_size": 4, "eval_do_concat_batches": False}
    aligner = short(max_steps=9, training_args=args).fit(*few, eval_data={"a": rows}, callbacks=[Watch()])
    assert steps == [1, 2, 3]
    entries = [entry for entry in aligner.history_ if "eval_a_loss" in entry]
    assert [entry["step"] for entry in entries] == [0, 1, 2, 3]
    assert entries[0]["eval_a_log_ratio_at_center"] == 0.0
    assert entries[0]["eval_a_weighted_accuracy"] == 0.5
    expected = aligner.accuracy(rows, weights=[0, 1])
    assert entries[-1]["eval_a_brevity/accuracy_at_brevity"] == pytest.approx(expected[1])
    stopping = transformers.EarlyStoppingCallback(early_stopping_patience=1)
    args |= {"metric_for_best_model": "weighted_accuracy", "greater_is_better": True, "eval_on_start": False}
    short(
        **FROZEN,
        max_steps=9,
        training_args={**args, "load_best_model_at_end": True, "save_steps": 1, "save_strategy": "steps"},
    ).fit(*few, eval_data=rows, callbacks=[stopping])


def test_whole_training_arguments_are_taken(short, few, tmp_path):
    args = transformers.TrainingArguments(
        str(tmp_path), max_steps=3, learning_rate=2e-3, per_device_train_batch_size=6, report_to="none",
        logging_steps=1, lr_scheduler_type="constant", use_cpu=True, disable_tqdm=True,
    )  # fmt: skip
    aligner = short(training_args=args, adapters={"r": 2}, max_steps=50).fit(*few)
    assert [entry["step"] for entry in aligner.history_ if "loss" in entry] == [1, 2, 3]
    assert args.remove_unused_columns  # the caller's own stay as they are
    assert aligner.history_[2]["learning_rate"] == 2e-3  # of the adapters


def test_collapse_stops_training(short, few):
    wild = {"adapters": {"r": 8}, "adapter_learning_rate": 0.3, "beta": 0.01, "max_log_ratio": 0.3}
    with pytest.warns(UserWarning, match=r"training was stopped at step \d+: .* max_log_ratio=0.3 nats"):
        aligner = short(**wild, max_steps=40, training_args=EVERY_STEP).fit(*few)
    assert aligner.collapsed_
    assert len(losses_of(aligner)) < 40


def test_gradients_that_are_not_finite_are_left_out_until_it_is_too_many(short, few, monkeypatch):
    from hyperrank.alignment.losses import PreferenceLoss

    true, calls = PreferenceLoss.__call__, []

    def broken(self, *args):
        calls.append(1)
        return true(self, *args) * (np.nan if len(calls) < 4 else 1.0)

    monkeypatch.setattr(PreferenceLoss, "__call__", broken)
    aligner = short(max_steps=6).fit(*few)
    assert all(torch.isfinite(value).all() for value in params_of(aligner).values())
    monkeypatch.setattr(PreferenceLoss, "__call__", lambda self, *args: true(self, *args) * np.nan)
    with pytest.raises(
        FloatingPointError, match="in 10 steps in a row, at step 10: lower the learning rates"
    ):
        short(max_steps=20).fit(*few)


RUN = {"max_steps": 9, "adapters": {"r": 2}, "training_args": {**EVERY_STEP, "save_steps": 2}}


class InterruptedRunError(Exception):
    """Stands for whatever ends a process."""


class Stop(transformers.TrainerCallback):
    def __init__(self, at):
        self.at, self.steps = at, []

    def on_step_end(self, args, state, control, **kwargs):
        self.steps.append(state.global_step)
        if state.global_step == self.at:
            raise InterruptedRunError


def test_interrupted_runs_end_where_others_do(short, few, tmp_path):
    """To the bit, and a finished run is read; a larger max_steps continues from there."""
    whole = short(**RUN).fit(*few)
    with pytest.raises(InterruptedRunError):
        short(**RUN, checkpoint_dir=tmp_path / "run").fit(*few, callbacks=[Stop(5)])
    half = tmp_path / "run" / "checkpoint-6"
    half.mkdir()  # a checkpoint that was not written whole
    (half / "model.safetensors").write_bytes(b"")
    watch = Stop(-1)
    resumed = short(**RUN, checkpoint_dir=tmp_path / "run").fit(*few, callbacks=[watch])
    assert watch.steps == [5, 6, 7, 8, 9]
    assert_same(whole, resumed)
    assert losses_of(resumed) == losses_of(whole)
    watch = Stop(-1)
    again = short(**RUN, checkpoint_dir=tmp_path / "run").fit(*few, callbacks=[watch])
    assert watch.steps == []
    assert_same(whole, again)
    assert losses_of(again) == losses_of(whole)
    longer = short(**{**RUN, "max_steps": 11}, checkpoint_dir=tmp_path / "run").fit(*few, callbacks=[watch])
    assert watch.steps == [10, 11]
    assert len(losses_of(longer)) == 11
    files = {path.name for path in (tmp_path / "run" / "checkpoint-11").iterdir()}
    assert {"model.safetensors", "optimizer.pt", "trainer_state.json"} <= files
    assert (tmp_path / "run" / "checkpoint-11" / "model.safetensors").stat().st_size < 150_000


def test_checkpoints_of_other_runs_are_refused(short, few, tmp_path):
    prompts, responses, labels = few
    short(**{**RUN, "max_steps": 2}, checkpoint_dir=tmp_path / "run").fit(*few)
    relabeled = [[[9, 9], *rows[1:]] for rows in labels]
    for options, data in [
        ({"beta": 0.7}, few),
        ({}, (prompts, responses, relabeled)),
        ({}, ([*prompts[:-1], "another"], responses, labels)),
        ({"model": tiny_model(random_state=9)[0]}, few),
    ]:
        with pytest.raises(ModelFileError, match="a fit with other data, another model or other options"):
            short(**{**RUN, **options}, checkpoint_dir=tmp_path / "run").fit(*data)
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "thesis.txt").write_text("")
    with pytest.raises(ModelFileError, match="is not empty, and not a checkpoint_dir"):
        short(**RUN, checkpoint_dir=tmp_path / "else").fit(*few)
    (tmp_path / "run" / "hyperrank_run.json").write_text("{")
    with pytest.raises(ModelFileError, match=r"hyperrank_run\.json is damaged: give another"):
        short(**RUN, checkpoint_dir=tmp_path / "run").fit(*few)


class Rows(torch.utils.data.IterableDataset):
    """Stands for a streaming dataset."""

    def __init__(self, data):
        self.data = data

    def __iter__(self):
        for prompt, responses, labels in zip(*self.data, strict=True):
            columns = {name: [row[j] for row in labels] for j, name in enumerate(NAMES)}
            yield {"prompt": prompt, "responses": responses, "labels": columns}


def test_streams_are_read_as_they_come(short, few):
    aligner = short(objectives=None, max_steps=6, training_args=EVERY_STEP).fit(Rows(few))
    assert aligner.objectives_ == NAMES
    assert len(losses_of(aligner)) == 6  # four passes of the stream make one epoch
    with pytest.raises(ValueError, match="a stream has no length: give max_steps"):
        short(max_steps=None).fit(Rows(few))
    with pytest.raises(ValueError, match="a generator can be read only once"):
        short().fit(iter(Rows(few)))


def test_workers_share_a_stream(few, monkeypatch):
    """Before, each gave all lists, and a list was trained on once per worker."""
    stream, numbers = readers.to_preferences(Rows(few)), []
    for n in range(2):
        share = SimpleNamespace(num_workers=2, id=n)
        monkeypatch.setattr(readers, "get_worker_info", lambda share=share: share)
        numbers.append([example.number for example in stream])
    assert numbers == [list(range(0, 24, 2)), list(range(1, 24, 2))]


PROCESS = """
import json, sys
sys.path.insert(0, sys.argv[1])
from alignment_helpers import SHORT, letter_lists
from hyperrank.alignment import HyperPromptAligner, tiny_model
from hyperrank.losses import PlackettLuce
options = {**SHORT, "batch_size": 3, "adapters": {"r": 2}, "device": "cpu"}
options["loss"] = PlackettLuce(ties="average")
options["training_args"] = {"logging_steps": 1}
aligner = HyperPromptAligner(*tiny_model(), **options).fit(*letter_lists(24))
print(json.dumps({n: v.double().sum().item() for n, v in aligner.policy_.state_dict().items()}))
print(json.dumps([e["loss"] for e in aligner.history_ if "loss" in e]))
"""


@pytest.mark.slow
def test_two_processes_do_the_step_of_one(short, few):
    """As `accelerate launch --cpu --num_processes 2` starts them: gloo, half of each batch in each."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    common = {**os.environ, "MASTER_ADDR": "localhost", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    command = [sys.executable, "-c", PROCESS, str(Path(__file__).parent)]
    ranks = [
        subprocess.Popen(
            command,
            env={**common, "RANK": str(rank), "LOCAL_RANK": str(rank), "ACCELERATE_USE_CPU": "true"},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    outputs = [process.communicate(timeout=240)[0] for process in ranks]
    assert [process.returncode for process in ranks] == [0, 0]
    first, second = ([json.loads(line) for line in output.splitlines()[-2:]] for output in outputs)
    assert first[0] == second[0]
    alone = HyperPromptAligner(
        *tiny_model(),
        **{**SHORT, "loss": PlackettLuce(ties="average")},
        adapters={"r": 2},
        training_args=EVERY_STEP,
    ).fit(*few)
    assert first[1] == pytest.approx(losses_of(alone), abs=1e-4)
    for name, value in alone.policy_.state_dict().items():
        assert first[0][name] == pytest.approx(value.double().sum().item(), abs=5e-2), name
