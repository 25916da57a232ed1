"""LETOR text line by line: the definition of the format, errors of lines, query ids."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from hyperrank.datasets._chunks import slices

#: Features are stored densely, so a wild number in a damaged line must not ask for all memory.
MAX_FEATURES = 1_000_000
#: How many times the characters that there are a text column of equal width may have, ...
WIDE = 4
#: ... and the characters that it may have in any case.
SMALL = 1 << 20


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


def as_ids(ids: list[str]) -> NDArray[Any]:
    """Query ids as integers if all are written as such, as text otherwise.

    Integers with leading zeros stay text: "7" and "007" may be two queries.
    """
    texts = text_ids(ids)
    if texts.dtype.kind != "U":
        return texts
    try:
        numbers = texts.astype(np.int64)
    except (ValueError, OverflowError):
        return texts
    return numbers if (numbers.astype(np.str_) == texts).all() else texts


def text_ids(ids: list[str]) -> NDArray[Any]:
    """Query ids as text: as objects where numpy's strings, all as wide as the longest, would take far more.

    Also where some end in NUL, which numpy's strings do not keep.
    """
    longest, total = max(map(len, ids), default=0), sum(map(len, ids))
    if longest * len(ids) <= WIDE * total + SMALL and not any(text.endswith("\0") for text in ids):
        return np.asarray(ids, dtype=np.str_)
    texts = np.empty(len(ids), dtype=object)
    texts[:] = ids
    return texts


def merge_ids(ids: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Query ids of all chunks: integers if all are, text otherwise."""
    if all(chunk.dtype.kind in "iu" for chunk in ids):
        return np.concatenate(ids)
    ids = [chunk.astype(np.str_) if chunk.dtype.kind in "iu" else chunk for chunk in ids]
    widths = [chunk.dtype.itemsize // 4 if chunk.dtype.kind == "U" else 0 for chunk in ids]
    n_rows, total = (
        sum(map(len, ids)),
        sum(width * len(chunk) for width, chunk in zip(widths, ids, strict=True)),
    )
    if not all(widths) or max(widths) * n_rows > WIDE * total + SMALL:
        ids = [chunk.astype(object) for chunk in ids]
    return np.concatenate(ids)


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


class LineError(ValueError):
    """What is wrong with a line, of this number in its file."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(f"line {line}: {message}")
        self.line = line
        self.message = message


def parse_lines(text: bytes, first_line: int = 1, rules: Rules | None = None) -> Block:
    """Read lines of LETOR text, of which the first is `first_line` of its file, or a LineError."""
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
        labels.append(_label(tokens[0], line))
        line_has_qid = len(tokens) > 1 and tokens[1].startswith(b"qid:")
        if has_qid is not None and line_has_qid != has_qid:
            _refuse_qid(line, line_has_qid)
        has_qid = line_has_qid
        if line_has_qid:
            ids.append(_query_id(tokens[1], line))
        before = len(index)
        _read_features(tokens[1 + line_has_qid :], line, rules, index, values)
        counts.append(len(index) - before)
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


def _label(token: bytes, line: int) -> float:
    """Read the label of a document."""
    value = number(token)
    if value is None:
        raise LineError(
            line, f"label {_quote(token)} is not a number; expected 'label qid:ID index:value ... # comment'."
        )
    if value < 0:
        raise LineError(
            line,
            f"label {_quote(token)} is negative; labels are 0 or more. Write nan for an unobserved one.",
        )
    if value == float("inf"):
        raise LineError(line, f"label {_quote(token)} is infinite in float32.")
    return value


def _refuse_qid(line: int, line_has_qid: bool) -> NoReturn:
    """Tell that lines with and without a query id are mixed."""
    here, before = ("has", "have none") if line_has_qid else ("lacks", "have one")
    raise LineError(
        line, f"this line {here} a 'qid:' after the label, but lines before {before}: give all or none."
    )


def _query_id(token: bytes, line: int) -> str:
    """Read the id in ``qid:ID``."""
    try:
        name = token[4:].decode("utf-8")
    except UnicodeDecodeError:
        raise LineError(line, f"the query id in {_quote(token)} is not UTF-8 text.") from None
    if not name or "\0" in name:
        raise LineError(line, f"{_quote(token)} holds no query id; expected 'qid:ID'.")
    return name


def _read_features(
    tokens: list[bytes], line: int, rules: Rules, index: list[int], values: list[float]
) -> None:
    """Append the features of one document."""
    last = rules.first - 1
    for token in tokens:
        key, colon, text = token.partition(b":")
        if not colon:
            raise LineError(line, f"{_quote(token)} has no ':'; expected 'index:value'.")
        if key == b"qid":
            raise LineError(
                line, f"{_quote(token)} is in the wrong place; the query id follows the label, once."
            )
        last = _feature_number(key, token, line, last, rules)
        value = number(text)
        if value is None:
            raise LineError(line, f"the value of {_quote(token)} is not a number.")
        if abs(value) == float("inf"):
            raise LineError(
                line, f"the value of {_quote(token)} is infinite in float32; write nan if it is missing."
            )
        index.append(last)
        values.append(value)


def _feature_number(key: bytes, token: bytes, line: int, last: int, rules: Rules) -> int:
    """Read the feature number of ``index:value``, which must exceed the one before."""
    if not _INDEX.match(key):
        raise LineError(
            line, f"the feature number of {_quote(token)} is not a whole number from {rules.first}."
        )
    feature = int(key)
    if feature < rules.first:
        raise LineError(
            line,
            f"{_quote(token)} has feature number 0; features are numbered from 1, "
            "unless zero_based=True is passed.",
        )
    if feature == last:
        raise LineError(line, f"{_quote(token)} gives feature {feature} twice.")
    if feature < last:
        raise LineError(
            line, f"{_quote(token)} follows feature {last}; feature numbers must increase in a line."
        )
    if rules.n_features is not None and feature > rules.last:
        raise LineError(line, f"{_quote(token)} is beyond n_features={rules.n_features}.")
    if feature > rules.last:
        raise LineError(
            line,
            f"{_quote(token)} would need {feature:,} dense columns; pass n_features if that is meant.",
        )
    return feature


def _quote(token: bytes, limit: int = 40) -> str:
    """Shorten a token for a message."""
    text = token[:limit].decode("utf-8", "backslashreplace")
    return repr(text) + ("..." if len(token) > limit else "")
