"""Tokens: what is cut, what begins and ends a text, conversations, and the weights of a list."""

import copy
import warnings

import numpy as np
import pytest
import tokenizers
import torch
import transformers
from alignment_helpers import letter_lists
from hypothesis import given
from hypothesis import strategies as st

from hyperrank.alignment.inference import _batches
from hyperrank.alignment.preferences import Example
from hyperrank.alignment.readers import read_lists
from hyperrank.alignment.tokens import Encoder, ListCollator, ListDataset, TokenRow, length_limit, pad_rows

BOS, EOS = 256, 257
TURNS = "{% for m in messages %}<{{ m.role[0] }}>{{ m.content }}<end>\n{% endfor %}"
TEMPLATE = TURNS + "{% if add_generation_prompt %}<a>{% endif %}"


@pytest.fixture
def encoder(tiny):
    return Encoder(tiny[1], limit=20, max_response=8)


def without(tokenizer, *roles):
    bare = copy.deepcopy(tokenizer)
    for role in roles:
        setattr(bare, f"{role}_token", None)
        if role == "bos":
            bare.backend_tokenizer.post_processor = tokenizers.processors.ByteLevel()
    return bare


def test_prompts_are_cut_from_the_left_and_keep_their_beginning(encoder):
    assert encoder.prompt("abc", 10) == ([BOS, *b"abc"], 1)
    assert encoder.prompt("abcdefgh", 4) == ([BOS, *b"fgh"], 1)
    assert encoder.prompt("abcdefgh", 1) == ([*b"h"], 0)
    assert encoder.prompt("", 4) == ([BOS], 1)
    assert encoder.prompt("abc", 8, "w\n") == ([BOS, *b"w\nabc"], 1)
    assert encoder.prompt("abcdefgh", 6, "w\n") == ([BOS, *b"w\nfgh"], 1)


def test_prompt_vectors_stand_after_the_beginning_of_the_text(tiny):
    encoder = Encoder(tiny[1], limit=20, n_vectors=3)
    ids, place = encoder.prompt("abc", 10)
    assert (ids, place) == ([BOS, *[encoder.pad] * 3, *b"abc"], 1)
    batch = pad_rows(encoder.rows("abc", ["d", "ee"]), encoder.pad, 3)
    assert batch["prompt_mask"].long().tolist() == [[0, 1, 1, 1, *[0] * 6]] * 2
    assert batch["response_mask"].sum(dim=1).tolist() == [2, 3]


def test_responses_end_or_are_cut_with_one_warning(encoder):
    assert encoder.response("p", "abc") == [*b"abc", EOS]
    assert encoder.response("p", "") == [EOS]
    with pytest.warns(UserWarning, match="a response of 9 tokens was cut to 8") as caught:
        responses = [encoder.response("p", text) for text in ("abcdefgh", "abcdefghi")]
    assert responses == [[*b"abcdefgh"]] * 2
    assert len(caught) == 1


def test_responses_to_one_prompt_see_the_same_of_it(encoder):
    one, other = encoder.rows("p" * 30, ["abcdefg", "b"])
    assert one.prompt == other.prompt == [BOS, *b"p" * 11]
    assert len(one.prompt) + len(one.response) == 20


def test_tokenizers_without_special_tokens(tiny):
    bare = without(tiny[1], "bos", "eos", "pad")
    encoder = Encoder(bare, 20)
    assert encoder.prompt("ab", 9) == ([*b"ab"], 0)
    assert encoder.response("p", "ab") == [*b"ab"]
    assert encoder.pad == 0
    with pytest.raises(ValueError, match="a prompt is empty, and the tokenizer begins no text by itself"):
        encoder.prompt("", 9)
    with pytest.raises(ValueError, match="a response is empty, and the tokenizer has no end-of-text token"):
        encoder.response("p", "")


def test_conversations_go_through_the_template_and_end_as_it_ends_a_turn(tiny):
    tokenizer = copy.deepcopy(tiny[1])
    tokenizer.chat_template = TEMPLATE
    encoder = Encoder(tokenizer, 80)
    chat = [{"role": "user", "content": "hi"}]
    (row,) = encoder.rows(chat, ["ho"])
    assert row.prompt == [BOS, *b"<u>hi<end>\n<a>"]
    assert row.response == [*b"ho<end>"]


def test_limits(tiny):
    model, tokenizer = tiny
    assert length_limit(model.config, tokenizer, None, 16) == 512
    assert length_limit(model.config, tokenizer, 100, 16) == 100
    with pytest.raises(ValueError, match="max_length=600 is more than the model's 512 positions"):
        length_limit(model.config, tokenizer, 600, 16)
    with pytest.raises(ValueError, match="17 positions less 16 prompt vectors leave no room"):
        length_limit(model.config, tokenizer, 17, 16)
    with pytest.raises(ValueError, match="max_response_length must lie between 1 and 19"):
        Encoder(tokenizer, 20, 20)
    endless = transformers.BloomConfig(vocab_size=258, hidden_size=32, n_layer=1, n_head=4)
    assert length_limit(endless, tokenizer, None, 12) == 512


@given(st.lists(st.integers(1, 40), min_size=1, max_size=30), st.integers(1, 200))
def test_batches_hold_each_row_once_within_the_budget(lengths, budget):
    batches = _batches([TokenRow([3] * length, [], 0) for length in lengths], 2, budget)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * (max(lengths[row] for row in batch) + 2) <= budget


@pytest.mark.parametrize("left", [False, True])
def test_rows_are_padded_on_one_side(left):
    sizes = [(2, 3), (1, 1), (4, 2)]
    rows = [TokenRow([3] * p, [5] * r, 0) for p, r in sizes]
    batch = pad_rows(rows, 9, 1, left=left)
    for n, (p, r) in enumerate(sizes):
        content, padding = [3] * p + [5] * r, [9] * (6 - p - r)
        assert batch["input_ids"][n].tolist() == (padding + content if left else content + padding)
        assert batch["input_ids"][n][batch["response_mask"][n]].tolist() == [5] * r
        assert int(batch["prompt_mask"][n].long().argmax()) == (len(padding) if left else 0)
    assert batch["attention_mask"].sum(dim=1).tolist() == [5, 2, 6]


def test_weights_depend_on_seed_pass_and_list_alone(tiny):
    data = ListDataset(read_lists(*letter_lists(6), None))
    collate = ListCollator(Encoder(tiny[1], 100), "".format, seed=3)
    whole = collate([data[n] for n in range(6)])["weights"]
    parts = [collate([data[n] for n in some])["weights"] for some in ([4, 0], [5])]
    assert torch.equal(torch.cat(parts), whole[[4, 0, 5]])
    assert len(whole.unique(dim=0)) == 6
    data.set_epoch(1)
    assert not torch.isclose(collate([data[0]])["weights"], whole[:1]).any()
    other = ListCollator(Encoder(tiny[1], 100), "".format, seed=4)
    data.set_epoch(0)
    assert not torch.isclose(other([data[0]])["weights"], whole[:1]).any()


def test_weights_as_text_are_the_rows_own(tiny):
    collate = ListCollator(Encoder(tiny[1], 100), lambda weights: f"{weights[0]:.1f}:")
    points = np.array([[1.0, 0.0], [0.3, 0.7]])
    example = Example("p", ["a", "b"], np.array([[1.0, 0], [0, 1]]), 0, 0, points)
    batch = collate([example])
    assert [bytes(at["input_ids"][0][1:6].tolist()) for at in batch["at"]] == [b"1.0:p", b"0.3:p"]


def test_long_texts_raise_no_warning_of_their_own(tiny):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(Encoder(tiny[1], 500).prompt("x" * 5000, 480)[0]) == 480
