"""Wrong input is refused before a model is loaded, with what was given and what is expected."""

import ast
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from hyperrank import PerRow, alignment
from hyperrank.alignment import HyperPromptAligner, preference_accuracy

PAIRS = (["p", "q"], [["a", "b"], ["c", "d"]], [[[1, 0], [0, 1]], [[0, 1], [1, 0]]])

WRONG_DATA = [
    (("p", [["a", "b"]], [[[1], [0]]]), r"prompts must be a list of at least one text; got str 'p'"),
    (([], [], []), "prompts must be a list of at least one text"),
    (([3], [["a", "b"]], [[[1], [0]]]), "prompt 0 must be a text, or a list of messages"),
    ((["p"], [], []), "one list of texts for each of the 1 prompts; got list of 0"),
    ((["p"], ["ab"], [[[1], [0]]]), r"responses\[0\] must be a list of two or more texts, .*; got str 'ab'"),
    ((["p"], [["a"]], [[[1]]]), r"responses\[0\] must be a list of two or more texts, .*; got list of 1"),
    (
        (["p"], [["a", None]], [[[1], [0]]]),
        r"responses\[0\] must be a list of .* got list of 2 \['a', None\]",
    ),
    (
        (["p"], [["a", "b"]], [[[1, 0]]]),
        r"labels\[0\] must be .* \(2, 2\), .*; got list of 1",
    ),
    (
        (["p"], [["a", "b"]], []),
        "labels must be one array for each .*; got list of 0",
    ),
    ((["p"], [["a", "b"]], [[["x"], [0]]]), r"labels\[0\] must be numbers"),
    ((["p"], [["a", "b"]], [[[np.inf], [0]]]), r"labels\[0\] hold an infinity"),
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
    ({"device": "cuda:1"}, "device must be 'auto', 'cpu' or 'cuda'.*CUDA_VISIBLE_DEVICES"),
    ({"adapters": 8}, "adapters must be a mapping such as {'r': 8}"),
    ({"adapters": {"rank": 8}}, r"adapters take the options \['lora_alpha'.*got 'rank'"),
    ({"adapters": {"modules_to_save": ["lm_head"]}}, "adapters take the options"),
    ({"adapters": {"megatron_core": "os"}}, "adapters take the options"),
    ({"adapters": {"target_modules": "(a+)+$"}}, "target_modules must be 'all-linear' or a list of names"),
    ({"adapters": {"r": 0}}, "adapters: r must be a whole number at least 1 and at most 16384; got 0"),
    ({"adapters": {"r": True}}, "r must be int; got True"),
    ({"loss": "dpo"}, "loss must be 'listnet', "),
    ({"objectives": ["one"]}, "do not fit those of the data, .* 2 different names"),
    ({"objectives": ["one", "one"]}, "do not fit those of the data, .* 2 different names"),
    ({"random_state": -1}, "random_state must be a whole number from 0 to"),
    ({"precision": "half"}, "precision must be 'auto', 'float32' or 'bfloat16'"),
    ({"weights": [[0.5, 0.5]]}, "weights must be one trade-off"),
    ({"weights": [0.5, 0.6]}, "weights must sum to 1"),
    ({"loss": "listnet"}, "takes gains: labels must be 0 or more; got -1"),
    ({"sft_weight": -0.1}, "sft_weight must be a number"),
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


def test_accuracy_counts_pairs():
    labels = [[[2, 0], [1, np.nan], [0, 1]]]
    assert preference_accuracy(labels, [[3, 2, 1]]).tolist() == [1.0, 0.0]
    assert preference_accuracy(labels, [[1, 1, 0]]).tolist() == [2.5 / 3, 0.0]
    assert np.isnan(preference_accuracy([[[1], [1]]], [[0, 1]])).all()
    with pytest.raises(ValueError, match=r"labels\[0\] must be an array of shape"):
        preference_accuracy(labels, [[1, 2]])


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
