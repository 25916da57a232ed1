"""Wrong input is refused before a model is loaded, with what was given and what is expected."""

import ast
import sys
from pathlib import Path

import numpy as np
import pytest
import transformers
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from hyperrank import PerRow, alignment
from hyperrank.alignment import HyperPromptAligner, Preferences
from hyperrank.alignment.preferences import pair_counts

PAIRS = (["p", "q"], [["a", "b"], ["c", "d"]], [[[1, 0], [0, 1]], [[0, 1], [1, 0]]])

WRONG_DATA = [
    (("p", [["a", "b"]], [[[1], [0]]]), r"prompts must be a list of at least one entry; got str 'p'"),
    (([], [], []), "prompts must be a list of at least one entry"),
    (
        ([3], [["a", "b"]], [[[1], [0]]]),
        "row 0: 'prompt' must be a text, or a list of messages .*; got int 3",
    ),
    ((["p"], [], []), r"responses must be a list of 1, one for each prompt; got list \[\]"),
    ((["p"], ["ab"], [[[1], [0]]]), "row 0: 'responses' must be a list of two or more texts; got str 'ab'"),
    ((["p"], [["a"]], [[[1]]]), r"row 0: 'responses' must be a list of two or more texts; got list \['a'\]"),
    ((["p"], [["a", None]], [[[1], [0]]]), r"row 0: 'responses\[1\]' must be a text; got nothing"),
    ((["p"], [["a", "b"]], [[[1, 0]]]), "row 0: labels of 'objective_0' must be 2 finite numbers"),
    ((["p"], [["a", "b"]], []), "labels must be a list of 1, one for each prompt"),
    ((["p"], [["a", "b"]], [[["x"], [0]]]), "labels of 'objective_0' must be 2 finite numbers"),
    ((["p"], [["a", "b"]], [[[1], [0, 1]]]), "labels of 'objective_0' must be 2 finite numbers"),
    ((["p"], [["a", "b"]], [[[np.inf], [0]]]), "labels of 'objective_0' must be 2 finite numbers"),
    (
        (["p", "q"], [["a", "b"]] * 2, [[[1, 0], [0, 1]], [[1], [0]]]),
        "row 1: labels of 1 objectives, not 2",
    ),
    (
        (["p", "q"], [["a", "b"]] * 2, [[[1], [0]], [[1, 0], [0, 1]]]),
        r"row 1: labels of \['objective_1'\], which the first row lacks",
    ),
    (
        (["p"], [["a", "b"]], [[[1, 5], [0, 5]]]),
        r"objectives \['objective_1'\] differ within no list",
    ),
    (
        (["p"], [["a", "b"]], [[[1, 5], [0, np.nan]]]),
        r"objectives \['objective_1'\] differ within no list",
    ),
]


@pytest.mark.parametrize(("data", "message"), WRONG_DATA, ids=[str(n) for n in range(len(WRONG_DATA))])
def test_wrong_data(data, message):
    with pytest.raises(ValueError, match=message):
        HyperPromptAligner("no such model").fit(*data)


WRONG_OPTIONS = [
    ({"n_tokens": 0}, "n_tokens must be a whole number .*1 and .*; got 0"),
    ({"max_steps": 0}, "max_steps must be a whole number"),
    ({"batch_size": 2.5}, "batch_size must be a whole number"),
    ({"beta": 0}, "beta must be a number above 0"),
    ({"prompt_learning_rate": float("nan")}, "prompt_learning_rate must be a finite number above 0"),
    ({"max_log_ratio": -1}, "max_log_ratio must be a number"),
    ({"conditioning": "film"}, r"conditioning must be one of \['hyper_prompt', 'lora', .*'text'"),
    ({"device": "cuda:1"}, r"device must be one of \('auto', 'cpu', 'cuda'\)"),
    ({"adapters": 8}, "adapters must be a mapping such as {'r': 8}"),
    ({"adapters": {"rank": 8}}, r"adapters: an option must be one of \('r', 'lora_alpha'.*got 'rank'"),
    ({"adapters": {"modules_to_save": ["lm_head"]}}, "adapters: an option must be one of"),
    ({"adapters": {"megatron_core": "os"}}, "adapters: an option must be one of"),
    ({"adapters": {"target_modules": "(a+)+$"}}, "target_modules must be 'all-linear' or a list of names"),
    ({"adapters": {"r": 0}}, "adapters: r must be a whole number at least 1 and at most 16384; got 0"),
    ({"adapters": {"r": True}}, "adapters: r must be a whole number .* got True"),
    ({"loss": "dpo"}, "loss must be 'listnet', "),
    ({"objectives": ["one"]}, "do not fit those of the data, .* 2 different names"),
    ({"objectives": ["one", "one"]}, "do not fit those of the data, .* 2 different names"),
    ({"random_state": -1}, "random_state must be a whole number from 0 to"),
    ({"precision": "half"}, r"precision must be one of \('auto', 'float32', 'bfloat16'\)"),
    ({"weights": [[0.5, 0.5]]}, "weights must be one trade-off"),
    ({"weights": [0.5, 0.6]}, "weights must sum to 1"),
    ({"loss": "listnet"}, "takes gains: labels must be 0 or more; got -1"),
    ({"sft_weight": -0.1}, "sft_weight must be a number"),
    ({"training_args": ["logging_steps"]}, "training_args must be a mapping such as"),
    ({"training_args": {"label_smoothing_factor": 0.1}}, "label_smoothing_factor=0.1 is not supported: it"),
    ({"training_args": {"include_for_metrics": ["inputs"]}}, "'inputs'.* is not supported: metrics"),
]


@pytest.mark.parametrize(
    ("options", "message"), WRONG_OPTIONS, ids=[str(n) for n in range(len(WRONG_OPTIONS))]
)
def test_wrong_options(short, options, message):
    prompts, responses, _ = PAIRS
    labels = [[[1, -1], [0, 1]], [[0, 1], [1, 0]]]
    with pytest.raises(ValueError, match=message):
        short(model="no such model", **options).fit(prompts, responses, labels)


UNFIT = [
    ({"adapters": {"target_modules": ["nothing"]}}, "are refused by peft"),
    ({"conditioning": "text"}, "conditioning='text' is trained through adapters: give adapters"),
    ({"training_args": {"nothing": 1}}, "training_args are refused by transformers: .*nothing"),
    ({"prompt_text": ""}, "prompt_text='' has no tokens"),
    ({"n_tokens": 511}, "leave no room for a prompt and a response"),
]


@pytest.mark.parametrize(("options", "message"), UNFIT, ids=[str(n) for n in range(len(UNFIT))])
def test_options_that_do_not_fit_the_model(short, options, message):
    with pytest.raises(ValueError, match=message):
        short(**options).fit(*PAIRS)


def test_whole_training_arguments_that_cannot_work(short, tmp_path):
    """Before, an AttributeError from within the Trainer."""
    args = transformers.TrainingArguments(str(tmp_path), neftune_noise_alpha=5.0)
    with pytest.raises(ValueError, match=r"neftune_noise_alpha=5\.0 is not supported: noise would move"):
        short(model="no such model", training_args=args).fit(*PAIRS)


def test_wrong_models(tiny, short):
    with pytest.raises(ValueError, match="finds nothing it can load under 'no such model'"):
        short(model="no such model").fit(*PAIRS)
    with pytest.raises(ValueError, match="model must be a name or folder"):
        short(model=tiny[1]).fit(*PAIRS)


def test_wrong_use_after_fit(fitted):
    with pytest.raises(ValueError, match=r"weights have shape \(3,\)"):
        fitted.score(["p"], [["a"]], weights=[1, 0, 0])
    with pytest.raises(ValueError, match="unknown objectives"):
        fitted.generate(["p"], weights={"nothing": 1.0})
    with pytest.raises(ValueError, match=r"one row per prompt, \(1, 2\)"):
        fitted.generate(["p"], weights=PerRow([[1, 0], [0, 1]]))
    with pytest.raises(
        ValueError, match="max_new_tokens=508 leaves no room for a prompt; expected at most 507"
    ):
        fitted.generate(["p"], max_new_tokens=508)
    for options, message in [
        ({"max_new_tokens": 0}, "max_new_tokens must be a whole number at least 1"),
        ({"temperature": 0}, "For the likeliest tokens: do_sample=False"),
        ({"top_p": 1.5}, "top_p must be a number above 0 and at most 1"),
        ({"n_samples": 0}, "n_samples must be a whole number at least 1"),
    ]:
        with pytest.raises(ValueError, match=message):
            fitted.generate(["p"], **options)


def test_unfitted_use_is_named(short):
    aligner = short()
    for call in (
        lambda: aligner.score(["p"], [["a"]]),
        lambda: aligner.generate(["p"]),
        lambda: aligner.save("nowhere"),
    ):
        with pytest.raises(NotFittedError):
            call()


def test_it_is_an_estimator(short):
    aligner = short(beta=0.3)
    assert aligner.get_params()["beta"] == 0.3
    copied = clone(HyperPromptAligner("a name", beta=0.3, adapters={"r": 4}))
    assert copied.get_params() == HyperPromptAligner("a name", beta=0.3, adapters={"r": 4}).get_params()
    assert copied.set_params(beta=0.5).beta == 0.5


def test_pairs_are_counted():
    """Of three responses, under two rewards; equal rewards count half, and NaN is in no pair."""
    labels = np.array([[2, 0], [1, np.nan], [0, 1]])
    right, total, margin = pair_counts(labels, np.array([[3.0, 1], [2, 1], [1, 0]]))
    assert right.tolist() == [[3, 0], [2.5, 0]]
    assert total.tolist() == [[3, 1], [3, 1]]
    assert margin.tolist() == [[4, -2], [2, -1]]


def test_accuracy_without_a_preference_is_unknown(fitted):
    data = Preferences(["p"], [["a", "b"]], [np.array([[1.0, 1], [0, 1]])], fitted.objectives_)
    assert np.isnan(fitted.accuracy(data, weights=np.eye(2))).tolist() == [[False, True]] * 2


def test_without_the_extra(monkeypatch):
    """Fit says what to install; that the package can be imported, `test_the_extra_is_imported_late` says."""
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ImportError, match=r'pip install "hyperrank\[llm\]"'):
        HyperPromptAligner("m").fit(["p"], [["a", "b"]], [[[1], [0]]])


def test_the_extra_is_imported_late():
    """Only the trainer imports it with the module, and the trainer is imported by fit."""
    late = {"transformers", "peft", "accelerate", "tokenizers", "hyperrank.alignment.trainer"}
    for path in Path(alignment.__file__).parent.glob("*.py"):
        statements = ast.parse(path.read_text()).body
        names = [alias.name for node in statements if isinstance(node, ast.Import) for alias in node.names]
        names += [node.module for node in statements if isinstance(node, ast.ImportFrom)]
        found = {name for name in names if name in late or name.split(".")[0] in late}
        assert bool(found) == (path.stem == "trainer"), path
