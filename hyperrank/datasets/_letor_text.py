"""LETOR text as arrays: line by line, which defines the format and its errors, and many lines at a time.

`parse_block` cuts the text at blanks, colons and points and reads runs of up to eight digits as one 64-bit
word each. Whatever is not LETOR of common numbers it leaves to `parse_lines`, which reads the rare rest or
says what is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperrank.datasets._chunks import as_ids, slices

#: Features are stored densely, so a wild number in a damaged line must not ask for all memory.
MAX_FEATURES = 1_000_000


@dataclass(frozen=True, eq=False)
class Block:
    """The documents of some lines as compressed sparse rows.

    Labels (n,) float32; query ids (n,) int64 or text, None if the lines have no ``qid:``; the number of
    features of each document; feature numbers as written, ascending within a document; their values.
    """

    labels: NDArray[np.float32]
    ids: NDArray[Any] | None
    counts: NDArray[np.int64]
    index: NDArray[np.int32]
    values: NDArray[np.float32]


@dataclass(frozen=True)
class Rules:
    """What the lines of a file must obey besides the format.

    `has_qid`: whether every line must have, or must lack, a ``qid:`` (None: as the first line); `n_features`:
    the columns that there are; `first`: the number of the first feature, 0 or 1.
    """

    has_qid: bool | None = None
    n_features: int | None = None
    first: int = 1

    @property
    def last(self) -> int:
        """The largest feature number allowed."""
        return (MAX_FEATURES if self.n_features is None else self.n_features) + self.first - 1

    def admit(self, block: Block) -> bool:
        """Whether a block obeys."""
        same_qid = self.has_qid is None or not len(block.labels) or self.has_qid == (block.ids is not None)
        in_range = (
            block.index.min(initial=self.first) >= self.first and block.index.max(initial=0) <= self.last
        )
        return bool(same_qid and in_range)

    def following(self, block: Block) -> Rules:
        """What the lines after a block must obey."""
        return replace(self, has_qid=block.ids is not None)


def dense_chunks(block: Block, first: int, missing: float) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Lay out a block as dense rows, a few MB at a time, as wide as its largest feature number asks for."""
    width = max(int(block.index.max(initial=0)) - first + 1, 0)
    if len(block.values) == len(block.labels) * width:  # ascending numbers leave only one order
        yield slice(0, len(block.labels)), block.values.reshape(len(block.labels), width)
        return
    ends = np.cumsum(block.counts)
    for chunk in slices(len(block.labels), width):
        entries = slice(int(ends[chunk.start] - block.counts[chunk.start]), int(ends[chunk.stop - 1]))
        rows = np.full((chunk.stop - chunk.start, width), missing, dtype=np.float32)
        row = np.repeat(np.arange(len(rows)), block.counts[chunk])
        rows[row, block.index[entries] - first] = block.values[entries]
        yield chunk, rows


#: The largest number that a feature in float32 can hold.
LARGEST = float(np.finfo(np.float32).max)
# float() alone would also take "1_000", "infinity" and digits of other alphabets.
_NUMBER = re.compile(rb"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?\Z")
_INDEX = re.compile(rb"[0-9]{1,18}\Z")
_NAN = re.compile(rb"[-+]?nan\Z|null\Z", re.IGNORECASE)
_INFINITE = re.compile(rb"[-+]?inf(?:inity)?\Z", re.IGNORECASE)


def parse_lines(text: bytes, first_line: int = 1, rules: Rules | None = None) -> Block:
    """Read lines of LETOR text, of which the first is `first_line` of its file, or a ValueError of one."""
    rules = rules or Rules()
    has_qid = rules.has_qid
    labels: list[float] = []
    ids: list[str] = []
    counts: list[int] = []
    index: list[int] = []
    values: list[float] = []
    for line, content in enumerate(text.split(b"\n"), start=first_line):
        tokens = content.partition(b"#")[0].split()
        if not tokens:
            continue
        try:
            labels.append(_label(tokens[0]))
            line_has_qid = len(tokens) > 1 and tokens[1].startswith(b"qid:")
            if has_qid is not None and line_has_qid != has_qid:
                here, before = ("has", "have none") if line_has_qid else ("lacks", "have one")
                label = "a 'qid:' after the label, but lines before"
                raise ValueError(f"this line {here} {label} {before}: give all or none.")
            has_qid = line_has_qid
            if line_has_qid:
                ids.append(_query_id(tokens[1]))
            before_line = len(index)
            _read_features(tokens[1 + line_has_qid :], rules, index, values)
        except ValueError as error:
            raise ValueError(f"line {line}: {error}") from None
        counts.append(len(index) - before_line)
    return Block(
        np.asarray(labels, dtype=np.float32),
        as_ids(ids) if has_qid else None,
        np.asarray(counts, dtype=np.int64),
        np.asarray(index, dtype=np.int32),
        np.asarray(values, dtype=np.float32),
    )


def number(token: bytes) -> float | None:
    """Read a token as a number: None if it is not one, infinite if float32 cannot hold it."""
    if _NUMBER.match(token):
        value = float(token)
        return value if abs(value) <= LARGEST else float("inf")
    if _NAN.match(token):
        return float("nan")
    return float("inf") if _INFINITE.match(token) else None


def comments_of(text: bytes) -> list[str]:
    """List the comments of the lines that hold a document, stripped, "" where there is none."""
    lines = (line.partition(b"#") for line in text.split(b"\n"))
    return [comment.decode("utf-8", "replace").strip() for body, _, comment in lines if body.strip()]


def _label(token: bytes) -> float:
    """Read the label of a document."""
    value = number(token)
    if value is None:
        fault = "not a number; expected 'label qid:ID index:value ... # comment'"
    elif value < 0:
        fault = "negative; labels are 0 or more. Write nan for an unobserved one"
    elif value == float("inf"):
        fault = "infinite in float32"
    else:
        return value
    raise ValueError(f"label {_quote(token)} is {fault}.")


def _query_id(token: bytes) -> str:
    """Read the id in ``qid:ID``."""
    try:
        name = token[4:].decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"the query id in {_quote(token)} is not UTF-8 text.") from None
    if not name or "\0" in name:
        raise ValueError(f"{_quote(token)} holds no query id; expected 'qid:ID'.")
    return name


def _read_features(tokens: list[bytes], rules: Rules, index: list[int], values: list[float]) -> None:
    """Append the features of one document."""
    last = rules.first - 1
    for token in tokens:
        key, colon, text = token.partition(b":")
        if not colon:
            raise ValueError(f"{_quote(token)} has no ':'; expected 'index:value'.")
        if key == b"qid":
            raise ValueError(f"{_quote(token)} is in the wrong place; the query id follows the label, once.")
        last = _feature_number(key, token, last, rules)
        value = number(text)
        if value is None:
            raise ValueError(f"the value of {_quote(token)} is not a number.")
        if abs(value) == float("inf"):
            raise ValueError(
                f"the value of {_quote(token)} is infinite in float32; write nan if it is missing."
            )
        index.append(last)
        values.append(value)


def _feature_number(key: bytes, token: bytes, last: int, rules: Rules) -> int:
    """Read the feature number of ``index:value``, which must exceed the one before."""
    if not _INDEX.match(key):
        raise ValueError(f"the feature number of {_quote(token)} is not a whole number from {rules.first}.")
    feature, fault = int(key), ""
    if feature < rules.first:
        fault = "has feature number 0; features are numbered from 1, unless zero_based=True is passed"
    elif feature == last:
        fault = f"gives feature {feature} twice"
    elif feature < last:
        fault = f"follows feature {last}; feature numbers must increase in a line"
    elif feature > rules.last and rules.n_features is not None:
        fault = f"is beyond n_features={rules.n_features}"
    elif feature > rules.last:
        fault = f"would need {feature:,} dense columns; pass n_features if that is meant"
    if fault:
        raise ValueError(f"{_quote(token)} {fault}.")
    return feature


def _quote(token: bytes) -> str:
    """Shorten a token for a message."""
    return repr(token[:40].decode("utf-8", "backslashreplace")) + "..." * (len(token) > 40)


_COMMENT = re.compile(rb"#[^\n]*")
_NOT_TEXT = bytes(b for b in range(32) if b not in b"\t\r\n")
_TEXT = bytes(b for b in range(256) if b not in _NOT_TEXT)
_COLON, _POINT, _MINUS, _NEWLINE = b":.-\n"
_POWERS = 10.0 ** np.arange(9)
_WORD = np.dtype("<u8")

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


class _UncommonTextError(Exception):
    """Text that is left to `parse_lines`."""


def _require(common: bool | np.bool_) -> None:
    """Leave text that is not of the common kind to `parse_lines`."""
    if not common:
        raise _UncommonTextError


def parse_block(text: bytes) -> Block | None:
    """Read whole lines of LETOR text at once; None if `parse_lines` must have the last word."""
    if b"#" in text:
        text = _COMMENT.sub(b"", text)
    if text.translate(None, _TEXT):
        return None
    if not text.strip():
        return parse_lines(b"")
    try:
        tokens = _Tokens.cut(text)
        first, keys = tokens.rows(), tokens.keys()
        # The first token of each line, and no other, is neither key nor value.
        alone = ~keys
        alone[1:] &= ~keys[:-1]
        _require(alone[first].all() and np.count_nonzero(alone) == len(first))
        ids = None
        if b"qid:" in text:
            ids = _query_ids(tokens, first, keys)
            keys[first + 1] = False
        return _assemble(tokens, first, np.flatnonzero(keys), ids)
    except _UncommonTextError:
        return None


def _assemble(tokens: _Tokens, first: Ints, keys: Ints, ids: NDArray[np.generic] | None) -> Block:
    """Make the block of checked tokens, if all numbers fit."""
    index, readable = tokens.digits(tokens.starts[keys], tokens.ends[keys])
    _require(readable.all())
    counts = np.diff(np.searchsorted(keys, np.append(first, len(tokens.starts))))
    labels, values = tokens.numbers(first), tokens.numbers(keys + 1)
    ascending = np.ones(len(index), dtype=bool)
    ascending[1:] = index[1:] > index[:-1]
    opens = np.cumsum(counts) - counts
    ascending[opens[counts > 0]] = True
    _require(ascending.all() and not (labels < 0).any())
    _require(not (np.abs(labels) > LARGEST).any() and not (np.abs(values) > LARGEST).any())
    return Block(labels.astype(np.float32), ids, counts, index.astype(np.int32), values.astype(np.float32))


def _query_ids(tokens: _Tokens, first: Ints, keys: Mask) -> NDArray[np.generic]:
    """Query ids, which every line must have after its label."""
    at = first + 1
    _require(at[-1] < len(keys) and keys[at].all())
    start = tokens.starts[at]
    _require(all((tokens.raw[start + i] == letter).all() for i, letter in enumerate(b"qid")))
    _require((tokens.ends[at] - start == 3).all())
    start, end = tokens.starts[at + 1], tokens.ends[at + 1]
    numbers, readable = tokens.digits(start, end)
    if readable.all() and not ((tokens.raw[start] == ord("0")) & (end - start > 1)).any():
        return numbers.astype(np.int64)
    texts = [tokens.text[a:b] for a, b in zip(start.tolist(), end.tolist(), strict=True)]
    _require(all(map(bytes.isascii, texts)))
    return as_ids([text.decode() for text in texts])


@dataclass(frozen=True, eq=False)
class _Tokens:
    """Where the tokens of a text are, a number with a decimal point being one token.

    `text` has at least eight blanks before it and a line end after it, and `raw` is the same as an array. A
    token is ``text[start:end]``; ``point`` is where its decimal point is, or its end.
    """

    text: bytes
    raw: NDArray[np.uint8]
    starts: Ints
    points: Ints
    ends: Ints

    @classmethod
    def cut(cls, text: bytes) -> _Tokens:
        """Cut a text into tokens, of which there must be some, each point between two digits."""
        text = b"\n" * 8 + text + b"\n"
        raw = np.frombuffer(text, dtype=np.uint8)
        is_point = raw == _POINT
        gap = (raw <= ord(" ")) | (raw == _COLON) | is_point
        edges = np.flatnonzero(gap[1:] != gap[:-1]) + 1
        starts, ends = edges[0::2], edges[1::2]
        is_fraction = raw[starts - 1] == _POINT
        n_points = np.count_nonzero(is_point)
        _require(len(starts) > 0 and np.count_nonzero(is_fraction) == n_points)
        if n_points == 0:
            return cls(text, raw, starts, ends, ends)
        has_fraction = raw[ends] == _POINT
        # One point between two pieces each: never none, two in a row, or a piece between two points.
        _require(not is_fraction[0] and not has_fraction[-1])
        _require(
            np.array_equal(has_fraction[:-1], is_fraction[1:]) and not (has_fraction & is_fraction).any()
        )
        heads = np.flatnonzero(~is_fraction)
        points = ends[heads]
        return cls(text, raw, starts[heads], points, ends[heads + has_fraction[heads]])

    def rows(self) -> Ints:
        """Numbers of the tokens that are first in their line."""
        ends_of_line = np.flatnonzero(self.raw == _NEWLINE)
        first = np.searchsorted(self.starts, ends_of_line)
        opens = np.ones(len(first), dtype=bool)
        opens[1:] = first[1:] != first[:-1]
        return first[opens & (first < len(self.starts))]

    def keys(self) -> Mask:
        """Mark the tokens that are followed by a colon and a value; no colon may be elsewhere."""
        is_key = self.raw[self.ends] == _COLON
        is_value = self.raw[self.starts - 1] == _COLON
        _require(np.count_nonzero(self.raw == _COLON) == np.count_nonzero(is_key))
        _require(not is_key[-1] and not is_value[0] and np.array_equal(is_key[:-1], is_value[1:]))
        _require(not (is_key & is_value).any())
        return is_key

    def numbers(self, which: Ints) -> NDArray[np.float64]:
        """Tokens as numbers, all of which must be such.

        At most 15 digits make a whole number below 2**53 and a power of ten below 10**22, so that their one
        division is rounded as ``float`` rounds.
        """
        starts, points, ends = self.starts[which], self.points[which], self.ends[which]
        negative = self.raw[starts] == _MINUS
        whole, readable = self.digits(starts + negative, points)
        values = whole.astype(np.float64)
        split = np.flatnonzero(points < ends)
        if len(split):
            fraction, readable_too = self.digits(points[split] + 1, ends[split])
            scale = _POWERS[np.minimum(ends[split] - points[split] - 1, 8)]
            values[split] = (values[split] * scale + fraction) / scale
            readable[split] &= readable_too & (points[split] - starts[split] <= 7)
        np.negative(values, where=negative, out=values)
        odd = np.flatnonzero(~readable)
        if len(odd):
            pairs = zip(starts[odd].tolist(), ends[odd].tolist(), strict=True)
            values[odd] = _odd_numbers([self.text[start:end] for start, end in pairs])
        return values

    def digits(self, starts: Ints, ends: Ints) -> tuple[NDArray[np.uint64], Mask]:
        """Read pieces of one to eight digits, and say which were such."""
        lengths = ends - starts
        words = np.ndarray((len(self.raw) - 7,), _WORD, buffer=self.text, strides=(1,))
        word = words[ends - 8].astype(np.uint64, copy=False) ^ np.uint64(0x3030303030303030)
        # What precedes the digits in its word becomes zeros.
        shift = ((8 - np.clip(lengths, 1, 8)) * 8).astype(np.uint64)
        word = (word >> shift) << shift
        off = ((word + np.uint64(0x7676767676767676)) | word) & np.uint64(0x8080808080808080)
        # An empty piece shows the minus sign before it, which is no digit.
        readable = (off == 0) & (lengths <= 8)
        # Neighbouring digits are joined to pairs, pairs to fours, fours to eight.
        word = (word * np.uint64(2561)) >> np.uint64(8)
        word = ((word & np.uint64(0x00FF00FF00FF00FF)) * np.uint64(6553601)) >> np.uint64(16)
        word = ((word & np.uint64(0x0000FFFF0000FFFF)) * np.uint64(42949672960001)) >> np.uint64(32)
        return word, readable


def _odd_numbers(texts: list[bytes]) -> list[float]:
    """Long numbers and such with exponents, one by one."""
    # Of these characters alone, float reads what `number` reads, but faster.
    read = number if b"".join(texts).translate(None, b"0123456789.eE+-") else float
    try:
        values = [value for value in map(read, texts) if value is not None]
    except ValueError:
        raise _UncommonTextError from None
    _require(len(values) == len(texts))
    return values
