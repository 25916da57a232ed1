"""The two parsers of LETOR text against each other and against what was written."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hyperrank.datasets import load_letor
from hyperrank.datasets._letor_text import Rules, _Tokens, number, parse_block, parse_lines

value_texts = st.one_of(
    st.integers(-(10**9), 10**9).map(str),
    st.floats(-1e6, 1e6).map(lambda v: f"{v:.6f}"),
    st.floats(allow_nan=False, allow_infinity=False, width=32).map(repr),
    st.from_regex(r"\A-?[0-9]{1,9}\.[0-9]{1,10}\Z"),
    st.sampled_from(["0", "-0", "+1", "5.", ".5", "-.5", "nan", "1e-8", "00012", "1E5", "1e-400", "1e300"]),
)
row = st.fixed_dictionaries(
    {
        "label": st.sampled_from(["0", "1", "4", "31", "2.5"]),
        "qid": st.one_of(st.integers(0, 10**10).map(str), st.sampled_from(["q7", "007", "a.b"])),
        "features": st.dictionaries(st.integers(1, 30), value_texts, max_size=8),
        "comment": st.sampled_from(["", " # doc 1:2", "#x"]),
    }
)


def as_text(rows, with_qid):
    lines = []
    for r in rows:
        tokens = [r["label"], *[f"qid:{r['qid']}"] * with_qid]
        tokens += [f"{j}:{v}" for j, v in sorted(r["features"].items())]
        lines.append(" ".join(tokens) + r["comment"])
    return ("\n".join(lines) + "\n").encode()


def same(a, b):
    for field in ("labels", "counts", "index", "values"):
        np.testing.assert_array_equal(getattr(a, field), getattr(b, field))
        assert getattr(a, field).dtype == getattr(b, field).dtype
    assert (a.ids is None) == (b.ids is None)
    if a.ids is not None:
        assert a.ids.tolist() == b.ids.tolist()


@given(st.lists(row, min_size=1, max_size=6), st.booleans())
def test_what_is_written_is_read(rows, with_qid):
    text = as_text(rows, with_qid)
    try:
        block = parse_lines(text)
    except ValueError:
        assert any(number(v.encode()) in (np.inf, -np.inf) for r in rows for v in r["features"].values())
        assert parse_block(text) is None
        return
    values = [v for r in rows for _, v in sorted(r["features"].items())]
    np.testing.assert_array_equal(block.values, np.asarray([float(v) for v in values], dtype=np.float32))
    assert block.index.tolist() == [j for r in rows for j in sorted(r["features"])]
    assert block.labels.tolist() == [float(r["label"]) for r in rows]
    fast = parse_block(text)
    if fast is not None:
        same(fast, block)


def test_plain_text_takes_the_fast_way():
    for text in (
        b"1 qid:3 1:2 4:-0.25\n0 qid:3\n",
        b"1 1:2\n\n0 3:12345678.5\n",
        b"2 qid:x 1:1e-9 2:nan # c\n",
        b"0 qid:12345678901 7:0.123456789012345678\r\n",
    ):
        fast = parse_block(text)
        assert fast is not None
        same(fast, parse_lines(text))


alphabet = st.sampled_from([*list(b"0123456789  ::..--+\n\n\r\t#eqidn_x"), 0, 11, 200])


@settings(max_examples=150)
@given(st.lists(alphabet, max_size=60).map(bytes))
@example(b"1 qid:1 1:2:3\n")
@example(b"1 2:3:4 5\n")
@example(b"1 1: 2\n")
@example(b"1 1::2\n")
@example(b"1 1:2..3\n")
@example(b"1 1:2.3.4\n")
@example(b".5 1:2\n")
@example(b"1. 1:2\n")
@example(b"1 .1:2\n")
@example(b"1 qid:\n")
@example(b"1\nqid:1 1:2\n")
@example(b"1 1:-\n")
@example(b"1 1:--1\n")
@example(b"1 qid:1 1:1 qid:2\n")
@example(b"1 Qid:1 1:1\n")
@example(b"1 qid:1 1:1\n1 qidx:2 1:1\n")
@example(b"1 qid:1\n1 1:1\n")
@example(b"1 1:1 :2\n")
@example(b"1 1\x002:1\n")
@example(b"1\x001:2\n")
@example(b"1 1:1e 2:1e5\n")
@example(b"1 1:inf 2:1e400\n")
def test_garbage_is_refused_by_both_or_read_alike(text):
    try:
        slow = parse_lines(text, rules=Rules(first=0))
    except ValueError:
        slow = None
    fast = parse_block(text)
    if fast is not None:
        same(fast, slow)


@settings(max_examples=100)
@given(st.lists(row, min_size=1, max_size=4), st.data())
def test_mutated_files_give_data_or_a_value_error(tmp_path_factory, rows, data):
    text = bytearray(as_text(rows, with_qid=True))
    for _ in range(data.draw(st.integers(1, 3))):
        position = data.draw(st.integers(0, len(text) - 1))
        text[position : position + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
        text += b"\n"
    path = tmp_path_factory.getbasetemp() / "mutated.txt"
    path.write_bytes(text)
    read = message = None
    try:
        read = load_letor(path)
    except ValueError as error:
        message = str(error)
    if read is None:
        assert "mutated.txt" in message
    else:
        assert not np.isinf(read.X).any()
        assert not (read.Y < 0).any()


@pytest.mark.parametrize("digits", range(1, 20))
def test_long_numbers_round_as_float_does(digits):
    rng = np.random.default_rng(digits)
    whole = ["".join(map(str, rng.integers(0, 10, size=digits))) for _ in range(50)]
    texts = [f"{w[:k]}.{w[k:]}" for w in whole for k in range(1, digits)] + whole
    text = "".join(f"1 1:{t}\n" for t in texts).encode()
    expected = np.asarray([float(t) for t in texts])
    tokens = _Tokens.cut(text)
    np.testing.assert_array_equal(tokens.numbers(np.flatnonzero(tokens.keys()) + 1), expected)
    np.testing.assert_array_equal(parse_block(text).values, expected.astype(np.float32))
