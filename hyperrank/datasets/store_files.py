"""Writing the arrays of a store: appended to, with a checksum per block, rearranged on disk."""

from __future__ import annotations

import errno
import os
import zlib
from contextlib import suppress
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from .chunks import chunk_rows
from .store_format import BLOCK_BYTES, dtype_of

__all__ = ["ArrayFile", "map_array", "rearranged"]


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
    """Bring the rows of a file into another order, chunk by chunk.

    They are read one run of neighbours after the other: of a map, each row from somewhere else would bring
    pages around it into memory, on some systems megabytes.
    """
    aside = path.with_name(f"grouped-{path.name}")
    step = max(1, chunk_rows(width) // 16)
    with path.open("rb", buffering=0) as source, ArrayFile(aside) as file:
        for start in range(0, len(order), step):
            file.append(_rows_at(source, order[start : start + step], width, dtype_of(path.name)))
    os.replace(aside, path)
    file.path = path
    return file


def _rows_at(
    source: FileIO, rows: NDArray[np.int64], width: int, dtype: np.dtype[Any]
) -> NDArray[np.generic]:
    """Some rows of a file of numbers, in the order given."""
    found = np.empty((len(rows), width), dtype=dtype)
    content = memoryview(found.reshape(-1).view("u1"))  # type: ignore[arg-type]
    n_bytes = width * dtype.itemsize
    firsts = np.flatnonzero(np.diff(rows, prepend=-2) != 1)
    runs = zip(firsts.tolist(), [*firsts[1:].tolist(), len(rows)], rows[firsts].tolist(), strict=True)
    for begin, end, row in runs:
        source.seek(row * n_bytes)
        left = content[begin * n_bytes : end * n_bytes]
        while len(left):
            n_read = source.readinto(left)
            if not n_read:
                raise OSError(errno.EIO, "The file ended while it was read", str(source.name))
            left = left[n_read:]
    return found
