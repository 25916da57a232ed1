"""Preference data: the layouts they are published in, and lines that are not of them."""

import gzip
import json

import numpy as np
import pandas as pd
import polars as pl
import pytest

from hyperrank.alignment import to_preferences

START = "\n\nHuman: Hi.\n\nAssistant: Hello.\n\nHuman: Which bird?\n\nAssistant:"


def write(path, rows):
    text = "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


@pytest.mark.parametrize("name", ["pairs.jsonl", "pairs.jsonl.gz"])
def test_dialogues_are_parted_at_the_last_turn_they_share(tmp_path, name):
    rows = [
        {"chosen": START + " A robin.", "rejected": START + " A robin, or a wren."},
        "",
        # Answers that begin alike belong to the responses all the same.
        {"chosen": START + " \u00c4", "rejected": START + " \u00c4h"},
    ]
    data = to_preferences(write(tmp_path / name, rows), scores={"brevity": lambda _, text: -len(text)})
    assert data.names == ("preference", "brevity")
    assert data.prompts == [START, START]
    assert data.responses == [[" A robin.", " A robin, or a wren."], [" \u00c4", " \u00c4h"]]
    assert [labels.tolist() for labels in data.labels] == [[[1, -9], [0, -20]], [[1, -2], [0, -3]]]
    assert to_preferences(tmp_path / name).names == ("preference",)


def test_dialogues_that_part_earlier_keep_their_later_turns(tmp_path):
    chosen = "\n\nHuman: Hi.\n\nAssistant: Yes?\n\nHuman: Bird?\n\nAssistant: Robin."
    rejected = "\n\nHuman: Hi.\n\nAssistant: What?"
    data = to_preferences(write(tmp_path / "pairs.jsonl", [{"chosen": chosen, "rejected": rejected}]))
    assert data.prompts == ["\n\nHuman: Hi.\n\nAssistant:"]
    assert data.responses[0] == [" Yes?\n\nHuman: Bird?\n\nAssistant: Robin.", " What?"]


def test_the_real_file_is_read_whole(shared_data):
    data = to_preferences(shared_data / "hh_rlhf_harmless" / "harmless-base_test.jsonl.gz")
    assert len(data) == 2312
    assert all(prompt.endswith("\n\nAssistant:") for prompt in data.prompts)
    assert not any("\n\nHuman:" in text for texts in data.responses for text in texts)
    assert np.stack(data.labels)[:, :, 0].sum() == 2312


def test_two_choices_of_one_pair(tmp_path):
    row = {"prompt": "p", "response_0": "a", "response_1": "b"}
    rows = [
        {**row, "better_response_id": 0, "safer_response_id": 1, "is_response_0_safe": True},
        {**row, "better_response_id": -1, "safer_response_id": 0},
        row,
    ]
    data = to_preferences(write(tmp_path / "pairs.jsonl", rows))
    assert data.names == ("helpfulness", "harmlessness")
    expected = [[[1, 0], [0, 1]], [[np.nan, 1], [np.nan, 0]], [[np.nan, np.nan], [np.nan, np.nan]]]
    assert np.array_equal(np.stack(data.labels), np.array(expected), equal_nan=True)


def test_lists_of_any_length(tmp_path):
    chat = [{"role": "user", "content": "hi"}]
    rows = [
        {"prompt": "p", "responses": ["a", "b", "c"], "labels": {"x": [1, 2, 3], "y": [0.5, None, 0]}},
        {"prompt": chat, "responses": ["a", "b"], "labels": {"y": [1, 0]}},
    ]
    data = to_preferences(write(tmp_path / "lists.jsonl", rows))
    assert data.prompts == ["p", chat]
    assert data.names == ("x", "y")
    expected = [[[1, 0.5], [2, np.nan], [3, 0]], [[np.nan, 1], [np.nan, 0]]]
    for found, wanted in zip(data.labels, expected, strict=True):
        assert np.array_equal(found, wanted, equal_nan=True)


GOOD = {"chosen": START + " a", "rejected": START + " b"}
BROKEN = [
    ([GOOD, "{broken"], "line 2: Expecting property name"),
    ([GOOD, "", "[1]"], "line 3: expected a mapping of columns, got a list"),
    ([{"chosen": START}], "line 1: 'rejected' must be a text; got nothing"),
    (
        [GOOD, {"chosen": "x", "rejected": "y"}],
        "line 2: there is no 'prompt', and 'chosen' and 'rejected'",
    ),
    (["", ""], "there are no rows"),
    ([{"response_0": 3}], "line 1: 'response_0' must be a text"),
    (
        [{"prompt": "p", "response_0": "a", "response_1": "b", "better_response_id": 2}],
        "line 1: 'better_response_id' must be 0 or 1, or null where unobserved; got 2",
    ),
    (
        [{"prompt": "p", "responses": ["a"]}],
        "line 1: 'responses' must be a list of two or more",
    ),
    (
        [{"prompt": "p", "responses": ["a", "b"], "labels": []}],
        "line 1: labels of 'objective_0' must be 2 finite numbers",
    ),
    (
        [{"prompt": "p", "responses": ["a", "b"], "labels": {"x": [1, "2"]}}],
        "line 1: labels of 'x' must be 2 finite numbers",
    ),
    (
        [{"prompt": "p", "responses": ["a", "b"], "labels": {k: [1, 2]}} for k in "xy"],
        r"line 2: labels of \['y'\], which the first row lacks",
    ),
]


@pytest.mark.parametrize(("rows", "message"), BROKEN, ids=[str(n) for n in range(len(BROKEN))])
def test_broken_lines_are_named(tmp_path, rows, message):
    path = write(tmp_path / "broken.jsonl", rows)
    with pytest.raises(ValueError, match=rf"broken\.jsonl.*{message}"):
        to_preferences(path)


def test_damaged_files_are_named(tmp_path):
    path = write(tmp_path / "pairs.jsonl.gz", [GOOD] * 50)
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(ValueError, match=r"after .*pairs\.jsonl\.gz, line \d+: damaged gzip data"):
        to_preferences(path)
    path.write_bytes(b"\xff\xfe" + json.dumps(GOOD).encode())
    with pytest.raises(ValueError, match="line 1: 'utf-8' codec can't decode"):
        to_preferences(path)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        to_preferences(tmp_path / "nowhere.jsonl")


def said(text, role="assistant"):
    return {"role": role, "content": text}


USER = said("Which bird?", "user")
#: Rows in TRL's layouts, and the prompt, responses and labels that they stand for.
LAYOUTS = {
    "explicit": (
        {
            "prompt": "Bird?",
            "chosen": "Robin.",
            "rejected": "Dog.",
            "score_chosen": 7,
            "score_rejected": None,
        },
        ("Bird?", ["Robin.", "Dog."], {"preference": [1, 0], "score": [7, np.nan]}),
    ),
    "implicit": (
        {"chosen": "A bird is a robin.", "rejected": "A bird is a red dog."},
        ("A bird is a ", ["robin.", "red dog."], {"preference": [1, 0]}),
    ),
    "conversation": (
        {"prompt": [USER], "chosen": [said("Robin.")], "rejected": [said("Dog.")]},
        ([USER], ["Robin.", "Dog."], {"preference": [1, 0]}),
    ),
    "whole-conversations": (
        {"prompt": "Which bird?", "chosen": [USER, said("Robin.")], "rejected": [USER, said("Dog.")]},
        ([USER], ["Robin.", "Dog."], {"preference": [1, 0]}),
    ),
    "ranked": (
        {"prompt": "Bird?", "completions": ["Robin.", "Dog.", "Wren."], "ranks": [2, 3, 1]},
        ("Bird?", ["Robin.", "Dog.", "Wren."], {"preference": [-2, -3, -1]}),
    ),
    "scored": (
        {"prompt": "Bird?", "responses": [[said("Robin.")], [said("Dog.")]], "scores": np.array([0.5, 0.1])},
        ("Bird?", ["Robin.", "Dog."], {"preference": [0.5, 0.1]}),
    ),
}


@pytest.mark.parametrize(("row", "expected"), LAYOUTS.values(), ids=LAYOUTS)
def test_layouts_of_trl(row, expected):
    prompt, responses, labels = expected
    data = to_preferences([row, row], scores={"brevity": lambda _, text: -len(text)})
    assert data.prompts == [prompt] * 2
    assert data.responses == [responses] * 2
    assert data.names == (*labels, "brevity")
    table = np.array([*labels.values(), [-len(text) for text in responses]]).T
    assert np.array_equal(data.labels[1], table, equal_nan=True)


def test_frames_are_rows():
    rows = [LAYOUTS["explicit"][0], {**LAYOUTS["explicit"][0], "score_chosen": 2.5}]
    for frame in (pd.DataFrame(rows), pl.DataFrame(rows, strict=False)):
        data = to_preferences(frame)
        assert data.names == ("preference", "score")
        assert [labels[0, 1] for labels in data.labels] == [7, 2.5]
        assert np.isnan(data.labels[0][1, 1])


WRONG_ROWS = [
    ({"prompt": "p", "chosen": "a"}, "row 1: 'rejected' must be a text; got nothing"),
    ({"chosen": "ab", "rejected": "xy"}, "row 1: there is no 'prompt'"),
    (
        {"prompt": [USER], "chosen": [said("a"), USER], "rejected": [said("a"), said("b")]},
        "row 1: 'chosen' must be",
    ),
    ({"prompt": "p", "responses": ["a", "b"]}, "row 1: 'labels' must hold for each objective"),
    (
        {"prompt": "p", "responses": ["a", "b"], "scores": [1]},
        "row 1: labels of 'preference' must be 2 finite",
    ),
    (7, "row 1: expected a mapping of columns, got a int"),
]


@pytest.mark.parametrize(("row", "message"), WRONG_ROWS, ids=[str(n) for n in range(len(WRONG_ROWS))])
def test_rows_of_no_layout_are_named(row, message):
    with pytest.raises(ValueError, match=message):
        to_preferences([LAYOUTS["explicit"][0], row])
    for data in (b"text", 7, {"prompt": "p"}):
        with pytest.raises(
            ValueError, match="data must be a path, a dataset, a frame, or an iterable of rows"
        ):
            to_preferences(data)


class Rows:
    """Rows of no known number, which can be gone through again."""

    def __init__(self, rows):
        self.rows = rows

    def __iter__(self):
        return iter(self.rows)


def test_scores_go_with_rows():
    rows = [{"prompt": "Hi.", "chosen": "Hello!", "rejected": "Go away."}]
    scores = {"brevity": lambda _, response: -len(response)}
    for data in (to_preferences(rows), to_preferences(Rows(rows))):
        with pytest.raises(ValueError, match=rf"scores= goes with rows, not with {type(data).__name__}"):
            to_preferences(data, scores=scores)
        assert to_preferences(data) is data
