"""Prompts cut from the left, responses that end, batches within a budget."""

import copy
import warnings

import numpy as np
import pytest
import tokenizers
import transformers
from hypothesis import given
from hypothesis import strategies as st

from hyperrank.alignment.batches import pad_left, rows_of, token_batches
from hyperrank.alignment.tokens import Encoder, TokenLists, length_limit

BOS, EOS = 256, 257


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
    assert encoder.prompt("abc", 10) == [BOS, *b"abc"]
    assert encoder.prompt("abcdefgh", 4) == [BOS, *b"fgh"]
    assert encoder.prompt("abcdefgh", 1) == [*b"h"]
    assert encoder.prompt("", 4) == [BOS]


def test_responses_end_or_are_cut_with_a_warning(encoder):
    assert encoder.response("abc") == ([*b"abc", EOS], False)
    assert encoder.response("") == ([EOS], False)
    assert encoder.response("abcdefgh") == ([*b"abcdefgh"], True)
    with pytest.warns(UserWarning, match="1 of 3 responses were cut to 8 tokens"):
        encoder.encode(["x", "y"], [["abcdefgh"], ["b", "c"]])


def test_responses_to_one_prompt_see_the_same_of_it(encoder):
    tokens = encoder.encode(["p" * 30], [["abcdefg", "b"]])
    assert tokens.prompts == [[BOS, *b"p" * 11]]
    assert tokens.lengths.tolist() == [20, 14]


def test_tokenizers_without_special_tokens(tiny):
    bare = without(tiny[1], "bos", "eos", "pad")
    encoder = Encoder(bare, 20)
    assert encoder.prompt("ab", 9) == [*b"ab"]
    assert encoder.response("ab") == ([*b"ab"], False)
    assert encoder.pad == 0
    with pytest.raises(ValueError, match="a prompt is empty, and the tokenizer begins no text by itself"):
        encoder.prompt("", 9)
    with pytest.raises(ValueError, match="a response is empty, and the tokenizer has no end-of-text token"):
        encoder.response("")


def test_conversations_go_through_the_template(tiny):
    tokenizer = copy.deepcopy(tiny[1])
    turns = "{% for m in messages %}{{ m.role[0] }}:{{ m.content }};{% endfor %}"
    tokenizer.chat_template = turns + "{% if add_generation_prompt %}a:{% endif %}"
    encoder = Encoder(tokenizer, 40)
    assert encoder.prompt([{"role": "user", "content": "hi"}], 30) == [BOS, *b"u:hi;a:"]


def test_limits(tiny):
    model, tokenizer = tiny
    assert length_limit(model.config, tokenizer, None, 16) == 512 - 16
    assert length_limit(model.config, tokenizer, 100, 16) == 84
    with pytest.raises(ValueError, match="max_length=600 is more than the model's 512 positions"):
        length_limit(model.config, tokenizer, 600, 16)
    with pytest.raises(ValueError, match="17 positions less 16 prompt vectors leave no room"):
        length_limit(model.config, tokenizer, 17, 16)
    with pytest.raises(ValueError, match="max_response_length must lie between 1 and 19"):
        Encoder(tokenizer, 20, 20)
    endless = transformers.BloomConfig(vocab_size=258, hidden_size=32, n_layer=1, n_head=4)
    assert length_limit(endless, tokenizer, None, 12) == 500


@given(
    st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=5), min_size=1, max_size=30),
    st.integers(1, 200),
)
def test_batches_hold_each_list_once_within_the_budget(lists, budget):
    lengths = np.array([length for of_list in lists for length in of_list])
    offsets = np.cumsum([0, *map(len, lists)])
    batches = token_batches(lengths, offsets, budget)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lists)))
    for batch in batches:
        rows = rows_of(batch, offsets)
        assert len(batch) == 1 or len(rows) * lengths[rows].max() <= budget


@given(st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6)), min_size=1, max_size=8))
def test_rows_end_where_the_batch_ends(sizes):
    tokens = TokenLists(
        [[3] * p for p, _ in sizes], [[5] * r for _, r in sizes], np.arange(len(sizes) + 1, dtype=np.int64)
    )
    batch = pad_left(tokens, range(len(sizes)), pad=9)
    for row, (p, r) in zip(batch.ids.tolist(), sizes, strict=True):
        assert row == [9] * (len(row) - p - r) + [3] * p + [5] * r
    assert batch.in_response.sum(dim=1).tolist() == [r for _, r in sizes]


def test_long_texts_raise_no_warning_of_their_own(tiny):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(Encoder(tiny[1], 500).prompt("x" * 5000, 480)) == 480
