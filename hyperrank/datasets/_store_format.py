"""The columnar store on disk: a folder of raw arrays and `store.json`, which is written last.

========================  =====================================================================
``X.f32``                 features, row after row, little-endian float32, NaN where missing
``Y.f32``                 labels likewise, a column per objective, NaN where unobserved
``offsets.i64``           where each query's rows begin, and the end of the last
``ids.i64``               the query ids, if all are integers; or else
``ids.utf8``              their texts, one after the other in UTF-8, and
``id_ends.i64``           where each text ends
``checksums.u32``         CRC-32 of each 16 MiB of the files above, in this order
``store.json``            sizes, names, and the checksum of itself and of ``checksums.u32``
========================  =====================================================================
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import zlib
from contextlib import suppress
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from hyperrank.datasets._chunks import chunk_rows

__all__ = [
    "BLOCK_BYTES",
    "ArrayFile",
    "StoreError",
    "describe",
    "map_array",
    "read_description",
    "rearranged",
]

FORMAT = 1
KIND = "hyperrank store"
DESCRIPTION = "store.json"
CHECKSUMS = "checksums.u32"
#: How the names of folders end in which a store is being made.
PARTIAL = ".partial"
#: Bytes under one checksum.
BLOCK_BYTES = 1 << 24
DTYPES = {"f32": "<f4", "i64": "<i8", "u32": "<u4", "utf8": "|u1"}


class StoreError(ValueError):
    """A folder is no store, or a damaged one; the message says which file and what to do."""


def dtype_of(file: str) -> np.dtype[Any]:
    """Type of a file's numbers, by the end of its name."""
    return np.dtype(DTYPES[file.rpartition(".")[2]])


def n_blocks(n_bytes: int) -> int:
    """Checksums of a file."""
    return -(-n_bytes // BLOCK_BYTES)


def describe(shapes: dict[str, list[int]], checksums: NDArray[np.uint32], **content: Any) -> str:
    """Text of ``store.json``.

    Parameters
    ----------
    shapes : dict of str to list of int
        Shape of each array, by file.
    checksums : ndarray of uint32
    **content
        Names and sizes, as JSON knows them.
    """
    document = {
        "kind": KIND,
        "format": FORMAT,
        "arrays": shapes,
        "checksums": zlib.crc32(checksums.tobytes()),
        **content,
    }
    return json.dumps({**document, "sha256": _digest(document)}, indent=1, allow_nan=False)


def read_description(folder: Path) -> dict[str, Any]:
    """Read and check ``store.json``.

    Raises
    ------
    StoreError
        If it is not there, unfinished, damaged, of another kind or of a newer format.
    """
    path = folder / DESCRIPTION
    if folder.name.endswith(PARTIAL):
        raise StoreError(
            f"{folder} was never finished: the process that wrote it died. Delete it and convert again."
        )
    if not path.is_file():
        what = "is no folder" if folder.exists() and not folder.is_dir() else f"has no {DESCRIPTION}"
        raise StoreError(
            f"{folder} {what}: this is no store. hyperrank.datasets.convert makes one from files or frames."
        )
    try:
        document = json.loads(path.read_bytes())
        digest = document.pop("sha256", None)
    except (ValueError, RecursionError, AttributeError, TypeError) as error:
        raise StoreError(f"{path} is damaged: {error}. Convert the source again.") from error
    if document.get("kind") != KIND:
        raise StoreError(f"{path} does not describe a store.")
    found = document.get("format")
    if isinstance(found, int) and found > FORMAT:
        raise StoreError(
            f"{folder} has format {found}; this version reads up to {FORMAT}: "
            "pip install --upgrade hyperrank."
        )
    if digest != _digest(document):
        raise StoreError(f"{path} is damaged: it does not match its checksum. Convert the source again.")
    return dict(document)


def _digest(document: dict[str, Any]) -> str:
    """Checksum of the description."""
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


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
