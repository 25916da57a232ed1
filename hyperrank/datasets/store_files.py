"""Writing the arrays of a store: appended to, with a checksum per block, rearranged on disk."""

from __future__ import annotations

import os
import zlib
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from hyperrank.files import forget_pages

from .chunks import chunk_rows
from .store_format import BLOCK_BYTES, dtype_of

__all__ = ["ArrayFile", "map_array", "rearranged"]

#: Rows that are fetched from all over a file at a time: with each come the 64 KiB of the file around it.
ROWS_AT_ONCE = 1 << 10


class ArrayFile:
    """A file of numbers that grows at its end.

    Parameters
    ----------
    path : Path
        Written anew; the end of its name says of which type the numbers are.

    Attributes
    ----------
    checksums : list of int
        CRC-32 of each block, the last of them perhaps a short one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checksums: list[int] = []
        self._file = path.open("wb", buffering=1 << 20)
        self._filled = BLOCK_BYTES

    def append(self, values: NDArray[Any]) -> None:
        """Write numbers at the end."""
        numbers = np.ascontiguousarray(values, dtype=dtype_of(self.path.name))
        content = memoryview(numbers.reshape(-1).view("u1"))  # type: ignore[arg-type]
        self._file.write(content)
        while len(content):
            if self._filled == BLOCK_BYTES:
                self._filled = 0
                self.checksums.append(0)
            piece = content[: BLOCK_BYTES - self._filled]
            self.checksums[-1] = zlib.crc32(piece, self.checksums[-1])
            self._filled += len(piece)
            content = content[len(piece) :]

    def close(self) -> None:
        """Force everything to disk."""
        if not self._file.closed:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
            return
        with suppress(OSError):  # what is buffered may be what did not fit on the disk
            self._file.close()


def map_array(path: Path, shape: tuple[int, ...]) -> NDArray[Any]:
    """The numbers of a file, read from it when they are needed; not to be written to."""
    if 0 in shape:
        return np.zeros(shape, dtype=dtype_of(path.name))
    # A plain array: scikit-learn and torch treat subclasses, such as memmap, as something to be converted.
    return np.asarray(np.memmap(path, dtype=dtype_of(path.name), mode="r", shape=shape))


def rearranged(path: Path, width: int, order: NDArray[np.int64]) -> ArrayFile:
    """Bring the rows of a file into another order, chunk by chunk."""
    rows = map_array(path, (len(order), width))
    aside = path.with_name(f"grouped-{path.name}")
    step = min(chunk_rows(width), ROWS_AT_ONCE)
    with ArrayFile(aside) as file:
        for start in range(0, len(order), step):
            file.append(rows[order[start : start + step]])
            forget_pages(rows)
    os.replace(aside, path)
    file.path = path
    return file
