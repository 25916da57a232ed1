"""LETOR text many lines at a time, in vectorised numpy.

The text is cut at blanks, colons and points, and runs of up to eight digits are read as one 64-bit word each.
Whatever is not LETOR of common numbers is left to `_letor_lines`, which reads the rare rest or says what is
wrong.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hyperrank.datasets._letor_lines import LARGEST, Block, as_ids, number, parse_lines

_COMMENT = re.compile(rb"#[^\n]*")
_NOT_TEXT = bytes(b for b in range(32) if b not in b"\t\r\n")
_TEXT = bytes(b for b in range(256) if b not in _NOT_TEXT)
_COLON, _POINT, _MINUS, _NEWLINE = b":.-\n"
_POWERS = 10.0 ** np.arange(9)
_WORD = np.dtype("<u8")

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


def parse_block(text: bytes) -> Block | None:
    """Read whole lines of LETOR text at once; None if `parse_lines` must have the last word."""
    if b"#" in text:
        text = _COMMENT.sub(b"", text)
    if text.translate(None, _TEXT):
        return None
    if not text.strip():
        return parse_lines(b"")
    tokens = _Tokens.cut(text)
    if tokens is None:
        return None
    first, keys = tokens.rows(), tokens.keys()
    if keys is None or not _labels_stand_alone(first, keys):
        return None
    ids = None
    if b"qid:" in text:
        ids = _query_ids(tokens, first, keys)
        if ids is None:
            return None
        keys[first + 1] = False
    return _assemble(tokens, first, np.flatnonzero(keys), ids)


def _assemble(tokens: _Tokens, first: Ints, keys: Ints, ids: NDArray[np.generic] | None) -> Block | None:
    """Make the block of checked tokens, if all numbers fit."""
    index = tokens.whole_numbers(keys)
    counts = np.diff(np.searchsorted(keys, np.append(first, len(tokens.starts))))
    labels, values = tokens.numbers(first), tokens.numbers(keys + 1)
    if index is None or labels is None or values is None:
        return None
    ascending = np.ones(len(index), dtype=bool)
    ascending[1:] = index[1:] > index[:-1]
    opens = np.cumsum(counts) - counts
    ascending[opens[counts > 0]] = True
    fit = ascending.all() and not (labels < 0).any()
    if not fit or (np.abs(labels) > LARGEST).any() or (np.abs(values) > LARGEST).any():
        return None
    return Block(labels.astype(np.float32), ids, counts, index.astype(np.int32), values.astype(np.float32))


def _labels_stand_alone(first: Ints, keys: Mask) -> bool:
    """Check that the first token of each line, and no other, is neither key nor value."""
    alone = ~keys
    alone[1:] &= ~keys[:-1]
    return bool(alone[first].all()) and int(np.count_nonzero(alone)) == len(first)


def _query_ids(tokens: _Tokens, first: Ints, keys: Mask) -> NDArray[np.generic] | None:
    """Query ids, if every line has one after its label."""
    at = first + 1
    if at[-1] >= len(keys) or not keys[at].all():
        return None
    start = tokens.starts[at]
    spelled = all((tokens.raw[start + i] == letter).all() for i, letter in enumerate(b"qid"))
    if not spelled or (tokens.ends[at] - start != 3).any():
        return None
    start, end = tokens.starts[at + 1], tokens.ends[at + 1]
    numbers = tokens.whole_numbers(at + 1)
    if numbers is not None and not ((tokens.raw[start] == ord("0")) & (end - start > 1)).any():
        return numbers.astype(np.int64)
    texts = [tokens.text[a:b] for a, b in zip(start.tolist(), end.tolist(), strict=True)]
    return as_ids([text.decode() for text in texts]) if all(map(bytes.isascii, texts)) else None


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
    def cut(cls, text: bytes) -> _Tokens | None:
        """Cut a text into tokens; None if there is none, or a point without a digit on both sides."""
        text = b"\n" * 8 + text + b"\n"
        raw = np.frombuffer(text, dtype=np.uint8)
        is_point = raw == _POINT
        gap = (raw <= ord(" ")) | (raw == _COLON) | is_point
        edges = np.flatnonzero(gap[1:] != gap[:-1]) + 1
        starts, ends = edges[0::2], edges[1::2]
        is_fraction = raw[starts - 1] == _POINT
        n_points = np.count_nonzero(is_point)
        if not len(starts) or np.count_nonzero(is_fraction) != n_points:
            return None
        if n_points == 0:
            return cls(text, raw, starts, ends, ends)
        has_fraction = raw[ends] == _POINT
        # One point between two pieces each: never none, two in a row, or a piece between two points.
        if (
            is_fraction[0]
            or has_fraction[-1]
            or (has_fraction[:-1] != is_fraction[1:]).any()
            or (has_fraction & is_fraction).any()
        ):
            return None
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

    def keys(self) -> Mask | None:
        """Mark the tokens that are followed by a colon and a value; None if a colon is elsewhere."""
        is_key = self.raw[self.ends] == _COLON
        is_value = self.raw[self.starts - 1] == _COLON
        n_colons = np.count_nonzero(self.raw == _COLON)
        paired = not is_key[-1] and not is_value[0] and bool((is_key[:-1] == is_value[1:]).all())
        return (
            is_key
            if paired and n_colons == np.count_nonzero(is_key) and not (is_key & is_value).any()
            else None
        )

    def whole_numbers(self, which: Ints) -> NDArray[np.uint64] | None:
        """Tokens as whole numbers; None if some token is not one of at most eight digits."""
        starts, ends = self.starts[which], self.ends[which]
        numbers, readable = self._digits(starts, ends)
        return numbers if readable.all() else None

    def numbers(self, which: Ints) -> NDArray[np.float64] | None:
        """Tokens as numbers; None if some token is not one.

        At most 15 digits make a whole number below 2**53 and a power of ten below 10**22, so that their one
        division is rounded as ``float`` rounds.
        """
        starts, points, ends = self.starts[which], self.points[which], self.ends[which]
        negative = self.raw[starts] == _MINUS
        whole, readable = self._digits(starts + negative, points)
        values = whole.astype(np.float64)
        split = np.flatnonzero(points < ends)
        if len(split):
            fraction, readable_too = self._digits(points[split] + 1, ends[split])
            scale = _POWERS[np.minimum(ends[split] - points[split] - 1, 8)]
            values[split] = (values[split] * scale + fraction) / scale
            readable[split] &= readable_too & (points[split] - starts[split] <= 7)
        np.negative(values, where=negative, out=values)
        odd = np.flatnonzero(~readable)
        if len(odd):
            pairs = zip(starts[odd].tolist(), ends[odd].tolist(), strict=True)
            others = _odd_numbers([self.text[start:end] for start, end in pairs])
            if others is None:
                return None
            values[odd] = others
        return values

    def _digits(self, starts: Ints, ends: Ints) -> tuple[NDArray[np.uint64], Mask]:
        """Read pieces of one to eight digits, and say which were such."""
        lengths = ends - starts
        words = np.ndarray((len(self.raw) - 7,), _WORD, buffer=self.text, strides=(1,))
        word = words[ends - 8].astype(np.uint64, copy=False) ^ np.uint64(0x3030303030303030)
        # What precedes the digits in its word becomes zeros.
        shift = ((8 - np.clip(lengths, 1, 8)) * 8).astype(np.uint64)
        word = (word >> shift) << shift
        off = ((word + np.uint64(0x7676767676767676)) | word) & np.uint64(0x8080808080808080)
        readable = (off == 0) & (
            lengths <= 8
        )  # an empty piece shows the minus sign before it, which is no digit
        # Neighbouring digits are joined to pairs, pairs to fours, fours to eight.
        word = (word * np.uint64(2561)) >> np.uint64(8)
        word = ((word & np.uint64(0x00FF00FF00FF00FF)) * np.uint64(6553601)) >> np.uint64(16)
        word = ((word & np.uint64(0x0000FFFF0000FFFF)) * np.uint64(42949672960001)) >> np.uint64(32)
        return word, readable


def _odd_numbers(texts: list[bytes]) -> list[float] | None:
    """Long numbers and such with exponents, one by one; None if some text is no number."""
    if b"".join(texts).translate(None, b"0123456789.eE+-"):
        values = [number(text) for text in texts]
        return None if None in values else [value for value in values if value is not None]
    try:
        return list(
            map(float, texts)
        )  # of these characters alone, float reads what `number` reads, but faster
    except ValueError:
        return None
