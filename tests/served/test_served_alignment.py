"""Wrong inputs of the aligner that gave an answer before: an error now, or the answer that was meant."""

import copy
import json

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("transformers", reason='pip install "hyperrank[llm]"')
pytest.importorskip("peft", reason='pip install "hyperrank[llm]"')

from hyperrank import PerRow
from hyperrank.alignment import (
    HyperPromptAligner,
    Preferences,
    tiny_model,
    to_preferences,
)

PROMPTS = ["Say a.", "Say b.", "Say c."]
RESPONSES = [["aaaa", "b"], ["aa", "bbb"], ["a", "cccccc"]]
LABELS = [[[4, -4], [0, -1]], [[2, -2], [0, -3]], [[1, -1], [0, -6]]]
NAMES = ("letters", "brevity")
DATA = Preferences(PROMPTS, RESPONSES, [np.array(rows, dtype=float) for rows in LABELS], NAMES)
SWAPPED = Preferences(PROMPTS, RESPONSES, [rows[:, ::-1] for rows in DATA.labels], NAMES[::-1])
PAIR = {"prompt": "p", "chosen": "a", "rejected": "b"}
FRAMES = [pd.DataFrame(rows, columns=["brevity", "letters"]) for rows in LABELS]


@pytest.fixture(scope="module")
def aligner():
    """A fit whose two evaluation sets hold the same labels in another order."""
    options = {"n_tokens": 2, "max_steps": 1, "hypernetwork_learning_rate": 0.3, "random_state": 0}
    made = HyperPromptAligner(*tiny_model(), **options, training_args={"eval_strategy": "steps"})
    return made.fit(DATA, eval_data={"same": DATA, "swapped": SWAPPED})


#: Data and options of a fit, and what the error says. No model is loaded for them.
FITS = {
    "a frame's columns as prompts": (
        (pd.DataFrame(np.eye(3), columns=PROMPTS), RESPONSES, LABELS),
        {},
        "prompts must be a list .*; got DataFrame",
    ),
    "a mapping's keys as prompts": (
        (dict.fromkeys(PROMPTS), RESPONSES, LABELS),
        {},
        "prompts must be a list",
    ),
    "labels with names of their own": (
        (PROMPTS, RESPONSES, FRAMES),
        {},
        "row 0: 'labels' must hold .*; got DataFrame",
    ),
    "objectives in other places": (
        (DATA,),
        {"objectives": ("brevity", "x")},
        r"do not fit those of the data, \['letters', 'brevity'\]",
    ),
    "switches as text": ((DATA,), {"length_normalized": "no"}, "length_normalized must be one of"),
    "more switches as text": (
        (DATA,),
        {"normalize_objectives": "false"},
        "must be one of .True, False.; got .false.",
    ),
    "levels as text": ((DATA,), {"verbose": "quiet"}, "verbose must be 0, 1 or a higher whole number"),
    "dropout that is not there": (
        (DATA,),
        {"adapters": {"r": 2, "lora_dropout": 0.1}},
        "lora_dropout must be 0: policy and reference",
    ),
    "weights per prompt": (
        (DATA,),
        {"weights": PerRow([[1, 0]])},
        r"weights must be one trade-off .*; got PerRow",
    ),
    "a name that stands for equal weights": (
        (DATA,),
        {"objectives": ("letters", "center")},
        "named 'center'",
    ),
    "dates as labels": (
        (PROMPTS, RESPONSES, [np.array(rows, dtype="datetime64[D]") for rows in LABELS]),
        {},
        "row 0: labels of .* must be 2 finite numbers",
    ),
    "dates in nanoseconds as labels": (
        (PROMPTS, RESPONSES, [np.array(rows, dtype="datetime64[ns]") for rows in LABELS]),
        {},
        "row 0: labels of .* must be 2 finite numbers",
    ),
    "durations in nanoseconds as labels": (
        (PROMPTS, RESPONSES, [list(np.array(rows, dtype="timedelta64[ns]")) for rows in LABELS]),
        {},
        "row 0: labels of .* must be 2 finite numbers",
    ),
    "texts as labels": (
        (PROMPTS, RESPONSES, np.array(LABELS, dtype=str)),
        {},
        "row 0: labels of .* must be 2 finite numbers",
    ),
    "objectives in the order of a set": (
        (DATA,),
        {"objectives": set("ab")},
        "expected a list of 2 different",
    ),
    "adapters that do nothing": (
        (DATA,),
        {"adapters": {"lora_alpha": 0}},
        "lora_alpha must be a number above 0",
    ),
    "weights off the simplex": ((DATA,), {"weights": {"letters": 0.5}}, "must sum to 1"),
}


@pytest.mark.parametrize("case", FITS)
def test_fits_that_were_trained_on_something_else(case):
    data, options, message = FITS[case]
    with pytest.raises(ValueError, match=message):
        HyperPromptAligner("no such model", **options).fit(*data)


ROWS = {
    "one of two columns": (
        [{**PAIR, "score_chosen": 3}],
        {},
        "a column 'score_chosen', and no 'score_rejected'",
    ),
    "a name that is taken": (
        [PAIR],
        {"scores": {"preference": lambda *_: 0.0}},
        r"labels of \['preference'\] already",
    ),
    "messages of parts": (
        [{**PAIR, "prompt": [{"role": "user", "content": [{"type": "text"}]}]}],
        {},
        "'prompt' must be a text",
    ),
    "another word for prompt": (
        [{"question": "p", "chosen": "I see a", "rejected": "I see b"}],
        {},
        r"no 'prompt', but \['question'\]",
    ),
    "no layout": (
        [{"Question": "p", "good": "a"}],
        {},
        r"expected columns 'prompt', .* got \['Question', 'good'\]",
    ),
    "infinite scores": ([PAIR], {"scores": {"x": lambda *_: np.inf}}, "must be 2 finite numbers"),
    "infinite labels": (
        [{"prompt": "p", "responses": ["a", "b"], "scores": [np.inf, 0]}],
        {},
        "must be 2 finite numbers",
    ),
}


@pytest.mark.parametrize("case", ROWS)
def test_rows_whose_labels_went_missing(case, tmp_path):
    rows, options, message = ROWS[case]
    with pytest.raises(ValueError, match=f"row 0: .*{message}"):
        to_preferences(rows, **options)
    (tmp_path / "rows.jsonl").write_text("\n" + json.dumps(rows[0]))
    with pytest.raises(ValueError, match=f"line 2: .*{message}"):
        to_preferences(tmp_path / "rows.jsonl", **options)


CALLS = {
    "no stop at all": (
        lambda a: a.generate(PROMPTS, stop=""),
        "stop must be a text of at least one character",
    ),
    "one of several stops": (
        lambda a: a.generate(PROMPTS, stop=["x", ""]),
        "stop must be a text of at least one",
    ),
    "half a token": (
        lambda a: a.generate(PROMPTS, max_new_tokens=2.5),
        "max_new_tokens must be a whole number",
    ),
    "samples by a switch": (
        lambda a: a.generate(PROMPTS, n_samples=True),
        "n_samples must be a whole number",
    ),
    "the same text twice": (
        lambda a: a.generate(PROMPTS, n_samples=2, do_sample=False),
        "would be the same one",
    ),
    "top_p of NaN": (lambda a: a.generate(PROMPTS, top_p=np.nan), "top_p must be a finite number"),
    "transformers' samples": (lambda a: a.generate(PROMPTS, num_return_sequences=2), "by n_samples="),
    "more objectives": (
        lambda a: a.accuracy(PROMPTS, RESPONSES, [np.ones((2, 3))] * 3),
        "do not fit .* 3 different names",
    ),
    "other objectives": (
        lambda a: a.accuracy(Preferences(PROMPTS, RESPONSES, DATA.labels, ("brevity", "x"))),
        r"do not fit those of the data, \['brevity', 'x'\]",
    ),
    "NaN as weights": (lambda a: a.score(PROMPTS, RESPONSES, weights=[np.nan, 1]), "weights"),
    "unknown names in a Series": (
        lambda a: a.score(PROMPTS, RESPONSES, weights=pd.Series({"letters": 0.5, "safety": 0.5})),
        "safety",
    ),
    "a row of prompts": (lambda a: a.export_peft("x", weights={"w": PerRow([[1, 0]])}), "one trade-off"),
}


@pytest.mark.parametrize("case", CALLS)
def test_calls_that_answered_another_question(aligner, case):
    call, message = CALLS[case]
    with pytest.raises(ValueError, match=message):
        call(aligner)


def test_labels_are_those_of_their_names(aligner):
    """Before, those of the place: an evaluation set in another order was another objective's."""
    (entry,) = (entry for entry in aligner.history_ if "eval_swapped_loss" in entry)
    same = {
        key: value for row in aligner.history_ for key, value in row.items() if key.startswith("eval_same")
    }
    for key, value in same.items():
        if not key.endswith(("runtime", "per_second")):
            assert entry[key.replace("same", "swapped")] == value
    at = np.eye(2)
    assert np.array_equal(aligner.accuracy(SWAPPED, weights=at), aligner.accuracy(DATA, weights=at))
    shuffled = pd.Series(PROMPTS, index=[2, 0, 1])  # pandas' labels are no places
    assert np.array_equal(aligner.accuracy(shuffled, RESPONSES, LABELS), aligner.accuracy(DATA))


def test_files_that_could_not_be_read_are_not_written(aligner, tmp_path):
    changed = copy.deepcopy(aligner).set_params(n_tokens=3)
    with pytest.raises(
        ValueError, match=r"options ask for initial of shape \(3, 64\); what was trained: \(2, 64\)"
    ):
        changed.save(tmp_path / "aligner")
    assert not (tmp_path / "aligner").exists()


def test_fits_of_no_step_are_refused():
    options = {"batch_size": 9, "n_tokens": 2, "training_args": {"dataloader_drop_last": True}}
    with pytest.raises(ValueError, match="training took no step"):
        HyperPromptAligner(*tiny_model(), max_steps=1, **options).fit(DATA)


def test_masks_take_what_they_mark():
    assert DATA.take([True, False, True]).prompts == ["Say a.", "Say c."]
    assert DATA.take([2, 0]).prompts == ["Say c.", "Say a."]
    assert len(DATA.take([])) == 0
    with pytest.raises(IndexError):
        DATA.take([3])
