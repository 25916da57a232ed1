"""Text files, plain or gzip, in pieces of whole lines."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

__all__ = ["whole_lines"]

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
    """Pieces of a file that end where a line ends, without a byte order mark.

    Raises
    ------
    ValueError
        If it is not text, has a line beyond all measure, or is cut off.
    """
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
