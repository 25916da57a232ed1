"""Chunks of documents, as every source gives them, gathered to arrays; query ids; text in whole lines."""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperrank._categories import named_categories
from hyperrank.datasets.ranking_data import RankingData

#: Bytes of features that are worked on at a time.
CHUNK_BYTES = 1 << 24


@dataclass(frozen=True, eq=False)
class Chunk:
    """Some documents: features (k, d) float32, labels (k, m) float32, query ids (k,); what is beside them.

    Of a source that does not know its width, the features are as wide as these documents need.
    """

    X: NDArray[np.float32]
    Y: NDArray[np.float32]
    ids: NDArray[Any]
    extra: Any = None


@dataclass(frozen=True, eq=False)
class Source:
    """Documents that can be gone through once.

    `names` are the objectives; `feature_names` is None if features are numbered, from `first` on; `width` is
    None if it is known only at the end; `missing` stands for features that a chunk is too narrow for.
    `categories` has for each feature of codes its values so far, and the code of each.
    """

    chunks: Iterator[Chunk]
    names: tuple[str, ...]
    feature_names: tuple[str, ...] | None
    description: str
    first: int = 1
    width: int | None = None
    missing: float = 0.0
    categories: Mapping[str, dict[Any, int]] = field(default_factory=dict)

    def names_of(self, width: int) -> tuple[str, ...]:
        """Names of the features, now that their number is known."""
        if self.feature_names is not None:
            return self.feature_names
        return tuple(f"feature_{j}" for j in range(self.first, self.first + width))


def gather(source: Source) -> tuple[RankingData, list[Any]]:
    """All documents of a source in memory, and the `extra` of its chunks."""
    X = GrowingRows(source.width or 1, source.missing)
    labels, ids, extras = [], [], []
    for chunk in source.chunks:
        X.append(chunk.X)
        labels.append(chunk.Y)
        ids.append(chunk.ids)
        extras.append(chunk.extra)
    names = source.names_of(X.width)
    data = RankingData(
        X=named_categories(X.finish(), names, source.categories),
        Y=np.concatenate(labels),
        qid=merge_ids(ids),
        names=source.names,
        feature_names=names,
        description=source.description,
    )
    return data, extras


def chunk_rows(width: int) -> int:
    """Rows of so many features that are worked on at a time."""
    return max(1, CHUNK_BYTES // (4 * max(width, 1)))


def slices(n_rows: int, width: int) -> Iterator[slice]:
    """Cut rows into chunks."""
    step = chunk_rows(width)
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))


def padded(rows: NDArray[np.float32], width: int, fill: float) -> NDArray[np.float32]:
    """Rows with columns added at the right, where they are narrower."""
    if rows.shape[1] >= width:
        return rows
    wide = np.full((len(rows), width), fill, dtype=np.float32)
    wide[:, : rows.shape[1]] = rows
    return wide


class GrowingRows:
    """Rows appended to one matrix, as wide as the widest of them; `fill` stands where a row is narrower.

    Room grows by an eighth, which moves nothing on Linux. Chunks that are joined at the end take twice the
    matrix: an allocator keeps the small chunks' memory for itself.
    """

    def __init__(self, width: int, fill: float) -> None:
        self.width, self.fill = width, fill
        self._content = io.BytesIO()
        self._shapes: list[tuple[int, int]] = []

    def append(self, rows: NDArray[np.float32]) -> None:
        """Append rows."""
        rows = padded(rows, self.width, self.fill)
        self.width = rows.shape[1]
        self._content.write(np.ascontiguousarray(rows, dtype=np.float32).data)
        self._shapes.append(rows.shape)

    def finish(self) -> NDArray[np.float32]:
        """The matrix; nothing can be appended any more."""
        n_rows, n_written = sum(n for n, _ in self._shapes), self._content.tell() // 4
        self._content.write(bytes(4 * (n_rows * self.width - n_written)))
        matrix = np.frombuffer(self._content.getbuffer(), dtype=np.float32).reshape(n_rows, self.width)
        # From the last rows to the first, whose place those behind them have left by then.
        last = n_rows
        for n, width in reversed(self._shapes):
            if n_written < last * self.width:
                rows = matrix.reshape(-1)[n_written - n * width : n_written].reshape(n, width).copy()
                matrix[last - n : last, :width] = rows
                matrix[last - n : last, width:] = self.fill
            last, n_written = last - n, n_written - n * width
        return matrix


def as_ids(ids: list[str]) -> NDArray[Any]:
    """Query ids as integers if all are written as such, as text otherwise.

    Integers with leading zeros stay text: "7" and "007" may be two queries.
    """
    try:
        numbers = np.array(ids, dtype=np.int64)
    except (ValueError, OverflowError):
        return text_ids(ids)
    return numbers if list(map(str, numbers.tolist())) == ids else text_ids(ids)


def text_ids(ids: Iterable[Any]) -> NDArray[np.object_]:
    """Query ids as text: as objects, each text once, since numpy's strings are all as wide as the longest."""
    return np.array([sys.intern(str(text)) for text in ids], dtype=object)


def merge_ids(ids: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Query ids of all chunks: integers if all are, text otherwise."""
    if all(chunk.dtype.kind in "iu" for chunk in ids):
        return np.concatenate(ids)
    return np.concatenate([text_ids(chunk) if chunk.dtype.kind in "iu" else chunk for chunk in ids])


#: Bytes read at once: enough to amortise numpy's overhead, little enough for the processor's cache.
BLOCK_BYTES = 1 << 19
#: A line longer than this is not text, or a compressed file made to fill the memory.
MAX_LINE_BYTES = 1 << 26
#: How files begin that are not text.
_SIGNATURES = {
    b"\x1f\x8b": "gzip data; let the name end in .gz so that it is decompressed",
    b"BZh": "bzip2 data; decompress it, or compress it by gzip",
    b"\xfd7zXZ": "xz data; decompress it, or compress it by gzip",
    b"\x28\xb5\x2f\xfd": "zstd data; decompress it, or compress it by gzip",
    b"PK\x03\x04": "a zip archive; unpack it, or compress it by gzip",
    b"PAR1": "a Parquet file; let its name end in .parquet",
    b"ARROW1": "an Arrow file; let its name end in .arrow",
    b"\xff\xfe": "UTF-16 text; write it as UTF-8",
    b"\xfe\xff": "UTF-16 text; write it as UTF-8",
}


def whole_lines(path: Path) -> Iterator[bytes]:
    """Pieces of a file that end where a line ends; a ValueError if it is not text or cut off."""
    zipped = path.suffix.lower() == ".gz"
    with gzip.open(path, "rb") if zipped else open(path, "rb") as file:
        open_line: list[bytes] = []
        n_bytes, at_start = 0, True
        try:
            while block := file.read(BLOCK_BYTES):
                if at_start:
                    block, at_start = _checked_start(path, block), False
                head, newline, tail = block.rpartition(b"\n")
                if newline:
                    yield b"".join([*open_line, head, newline])
                    open_line, n_bytes = [], 0
                open_line.append(tail)
                n_bytes += len(tail)
                if n_bytes > MAX_LINE_BYTES:
                    raise ValueError(
                        f"{path}: a line of more than {MAX_LINE_BYTES:,} bytes; this is not text."
                    )
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(f"{path}: the gzip file is damaged or cut off ({error}).") from error
        if rest := b"".join(open_line):
            yield rest


def _checked_start(path: Path, block: bytes) -> bytes:
    """The first bytes of a file without a byte order mark; refused where they cannot be text."""
    for signature, what in _SIGNATURES.items():
        if block.startswith(signature):
            raise ValueError(f"{path}: this is {what}.")
    if b"\0" in block[:4096]:
        raise ValueError(f"{path}: zero bytes at the start; this is not text (or it is UTF-16).")
    return block.removeprefix(b"\xef\xbb\xbf")
