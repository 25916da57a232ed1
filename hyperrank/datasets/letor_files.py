"""Text files, plain or gzip, in pieces of whole lines."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

__all__ = ["whole_lines"]

#: Bytes read at once: enough to amortise numpy's overhead, little enough for the processor's cache.
BLOCK_BYTES = 1 << 19
#: A line longer than this is taken for something else than text.
MAX_LINE_BYTES = 1 << 26


def whole_lines(path: Path) -> Iterator[bytes]:
    """Pieces of a file that end where a line ends."""
    zipped = path.suffix == ".gz"
    with gzip.open(path, "rb") if zipped else open(path, "rb") as file:
        rest = file_start = b""
        try:
            while piece := file.read(BLOCK_BYTES):
                if not file_start:
                    file_start = piece
                    piece = _check_start(path, piece)
                head, newline, tail = (rest + piece).rpartition(b"\n")
                rest = tail
                if newline:
                    yield head + newline
                if len(rest) > MAX_LINE_BYTES:
                    raise ValueError(
                        f"{path}: a line of more than {MAX_LINE_BYTES:,} bytes; this is no LETOR text."
                    )
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(f"{path}: the gzip file is damaged or cut off ({error}).") from error
        if rest:
            yield rest


def _check_start(path: Path, piece: bytes) -> bytes:
    """Strip the first bytes of a file of a byte order mark, and see that they can be text."""
    if piece.startswith(b"\x1f\x8b"):
        raise ValueError(f"{path}: this is gzip data; let the name end in .gz so that it is decompressed.")
    if b"\0" in piece[:4096]:
        raise ValueError(f"{path}: zero bytes at the start; this is no LETOR text (or it is UTF-16).")
    return piece.removeprefix(b"\xef\xbb\xbf")
