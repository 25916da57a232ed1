"""Feature rows in memory-mapped files, read on demand.

To touch a page of a map whose file has been cut off ends the process. Rows of a `FileMap`, such as the
features of a store, are therefore read by calls, which raise an error; an `np.memmap` of the caller's is
checked before each read, which leaves the moment of the read itself.
"""

from __future__ import annotations

import errno
import mmap
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray


def is_mapped(array: Any) -> bool:
    """Whether an array, or what it is a view of, lies in a mapped file; masked ones do not count."""
    return _map_of(array) is not None and not isinstance(array, np.ma.MaskedArray)


class OpenedFile:
    """An open file of which arrays are read by calls; if it changes, they raise `error`."""

    def __init__(self, file: IO[bytes], error: Callable[[str], Exception]) -> None:
        self.name, self._error = file.name, error
        self._descriptor = os.dup(file.fileno())
        self._opened = self._state()

    def __del__(self) -> None:
        os.close(self._descriptor)

    def _state(self) -> tuple[int, int]:
        now = os.fstat(self._descriptor)
        return now.st_size, now.st_mtime_ns

    def check(self) -> None:
        """Refuse to go on with a file that was changed in place since it was opened."""
        if self._state() != self._opened:
            raise self._error(f"{self.name} was overwritten since it was opened")

    def read(self, start: int, rows: NDArray[np.int64], out: NDArray[Any]) -> None:
        """Fill `out` with rows as wide as its own, of which the first begins at byte `start`."""
        content = memoryview(out.reshape(-1).view("u1"))  # type: ignore[arg-type]
        width = out[:1].nbytes
        firsts = np.flatnonzero(np.diff(rows, prepend=-2) != 1)
        runs = zip(firsts.tolist(), [*firsts[1:].tolist(), len(rows)], rows[firsts].tolist(), strict=True)
        for begin, end, row in runs:
            position, left = start + row * width, content[begin * width : end * width]
            while len(left):
                n_read = os.preadv(self._descriptor, [left], position)
                if not n_read:
                    raise self._error(f"{self.name} was cut off while it was read")
                position, left = position + n_read, left[n_read:]
        self.check()


class FileMap(np.memmap[Any, Any]):
    """A map to be read alone, which remembers its open file."""

    opened: OpenedFile

    @classmethod
    def open(
        cls, path: Path, dtype: np.dtype[Any], shape: tuple[int, ...], error: Callable[[str], Exception]
    ) -> FileMap:
        """Map the numbers of a file."""
        with path.open("rb") as file:
            mapped = cls(file, dtype=dtype, mode="r", shape=shape)
            mapped.opened = OpenedFile(file, error)
        return mapped


def _place_in_file(array: Any) -> tuple[OpenedFile, int] | None:
    """The file that an array is a view of, and its first byte there; None if it cannot be read by calls."""
    base = array
    while isinstance(base, np.ndarray) and not (isinstance(base, FileMap) and "opened" in vars(base)):
        base = base.base
    if not isinstance(base, FileMap) or not hasattr(os, "preadv"):
        return None
    return base.opened, array.__array_interface__["data"][0] - base.__array_interface__["data"][0]


def in_memory(array: Any) -> Any:
    """What an array, or a frame around one, that lies in a `FileMap` holds now; others as they are."""
    values = mapped_values(array)
    if values is None or not values.size:
        return array
    place = _place_in_file(values)
    if place is None:
        check_pages(values)
        return array
    spans = [(n - 1) * stride for n, stride in zip(values.shape, values.strides, strict=True)]
    before, after = -sum(min(0, span) for span in spans), sum(max(0, span) for span in spans)
    content = np.empty(before + after + values.itemsize, dtype=np.uint8)
    place[0].read(place[1] - before, np.zeros(1, dtype=np.int64), content[None])
    read = np.ndarray(values.shape, values.dtype, content, before, values.strides)
    return type(array)(read, array.index, array.columns, copy=False) if hasattr(array, "iloc") else read


def mapped_values(X: Any) -> NDArray[Any] | None:
    """The mapped array that features are, or that a frame of pandas is made of."""
    if hasattr(X, "iloc") and hasattr(X, "columns"):
        # Of columns that are not one array all rows would be copied, to find out.
        X = X.to_numpy() if is_mapped(X.iloc[:1].to_numpy()) else None
    return X if isinstance(X, np.ndarray) and is_mapped(X) else None


def forget_pages(array: NDArray[Any]) -> None:
    """Let go of the memory that holds what was read of a mapped file; the content stays as it is.

    A system keeps every page once read, so that a pass over a file is accounted like a copy of it. Nothing
    happens to arrays in memory, nor to maps that may be written to.
    """
    pages = _map_of(array)
    if pages is None or not hasattr(mmap, "MADV_DONTNEED") or not memoryview(pages).readonly:
        return
    with suppress(OSError, ValueError):
        pages.madvise(mmap.MADV_DONTNEED)


def check_pages(array: Any) -> None:
    """Refuse an array in a mapped file that has been cut off: to read what is gone ends the process."""
    if place := _place_in_file(array):
        place[0].check()
    pages = _map_of(array)
    if pages is not None and pages.size() < len(pages):
        raise OSError(
            errno.ESTALE, "a mapped file was cut off or overwritten since it was opened: open it again"
        )


def _map_of(array: Any) -> mmap.mmap | None:
    """The map that an array is a view of."""
    while isinstance(array, np.ndarray | memoryview):
        array = array.base if isinstance(array, np.ndarray) else array.obj
    return array if isinstance(array, mmap.mmap) else None


#: Bytes up to which rows are read into memory at once, where they are faster at hand.
IN_MEMORY_BYTES = 1 << 28
#: Bytes of the file that may be in memory before they are given back.
FORGET_BYTES = 1 << 26
#: Bytes that the system may bring into memory with a row: it maps pages as large as this, where it has them.
AROUND_BYTES = 1 << 21


class MappedRows:
    """Some rows of a matrix (n, d) that lies in a file, in any order, all by default.

    Indexing reads the rows asked for into an array of their own, of which `encode` makes others of the same
    shape and type; what the system keeps of the file in memory is given back as it goes.
    """

    ndim = 2

    def __init__(
        self,
        matrix: NDArray[Any],
        rows: NDArray[np.int64] | None = None,
        encode: Callable[[NDArray[Any]], NDArray[Any]] | None = None,
    ) -> None:
        self.matrix, self.rows, self.encode = matrix, rows, encode
        self.dtype = matrix.dtype
        self.shape = (len(matrix) if rows is None else len(rows), matrix.shape[1])
        self._n_resident = 0
        self._place = _place_in_file(matrix) if matrix.flags.c_contiguous else None

    @property
    def size(self) -> int:
        """Number of entries."""
        return self.shape[0] * self.shape[1]

    @property
    def nbytes(self) -> int:
        """Bytes of all entries."""
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, which: Any) -> NDArray[Any]:
        at = self._positions(which)
        read = np.empty((len(at), self.matrix.shape[1]), dtype=self.dtype)
        if self._place is not None:
            opened, start = self._place
            opened.read(start, at, read)
        else:
            self._copy(at, read)
        return read if self.encode is None else self.encode(read)

    def _copy(self, at: NDArray[np.int64], out: NDArray[Any]) -> None:
        """Copy rows of a map."""
        for first, last in self._spans(at):
            check_pages(self.matrix)
            # Of positions that are known to be right, since those are copied without a detour.
            np.take(self.matrix, at[first:last], axis=0, out=out[first:last], mode="clip")
            if self._n_resident > FORGET_BYTES:
                self._n_resident = 0
                forget_pages(self.matrix)

    def _positions(self, which: Any) -> NDArray[np.int64]:
        """Positions in the matrix of the rows asked for."""
        if self.rows is not None:
            return self.rows[which]
        if isinstance(which, slice):
            return np.arange(*which.indices(len(self)), dtype=np.int64)
        return np.flatnonzero(which) if np.asarray(which).dtype == bool else np.asarray(which)

    def _spans(self, at: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
        """Bounds of parts that bring at most about `FORGET_BYTES` into memory each, which is counted."""
        resident = np.full(len(at), self.matrix[:1].nbytes, dtype=np.int64)
        resident[np.diff(at, prepend=-2) != 1] += AROUND_BYTES
        total = np.cumsum(resident)
        ends = np.append(np.flatnonzero(np.diff(total // FORGET_BYTES)) + 1, len(at))
        for first, last in zip([0, *ends[:-1]], ends, strict=True):
            self._n_resident += int(resident[first:last].sum())
            yield int(first), int(last)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """All rows, for what takes nothing but an array."""
        return np.asarray(self[:], dtype=dtype)

    def take(self, rows: NDArray[np.int64]) -> NDArray[Any] | MappedRows:
        """Some of the rows: in memory if they are few, or else still in the file."""
        if len(rows) * self.shape[1] * self.dtype.itemsize <= IN_MEMORY_BYTES:
            return self[rows]
        return MappedRows(self.matrix, rows if self.rows is None else self.rows[rows], self.encode)

    def chunks(self, n_rows: int) -> Iterator[NDArray[Any]]:
        """All rows, `n_rows` at a time."""
        for start in range(0, len(self), n_rows):
            yield self[start : start + n_rows]


#: Features of rows: in memory, or in a file.
FeatureRows = NDArray[np.float32] | MappedRows


def stays_mapped(X: Any, *, of_any_size: bool = False) -> bool:
    """Whether features lie in a mapped file, as they are wanted, and are too many to be copied."""
    return (
        is_mapped(X)
        and X.dtype == np.float32
        and X.ndim == 2
        and X.size > 0
        and X.flags.c_contiguous
        and (of_any_size or X.nbytes > IN_MEMORY_BYTES)
    )


def take_rows(frame: Any, rows: NDArray[np.int64]) -> Any:
    """Rows of an array, sparse matrix or frame; of anything else that can be made an array."""
    if isinstance(frame, MappedRows):
        return frame.take(rows)
    if (values := mapped_values(frame)) is not None and values.ndim == 2:
        some = MappedRows(values)[rows]
        return type(frame)(some, frame.index[rows], frame.columns) if hasattr(frame, "iloc") else some
    if hasattr(frame, "iloc"):
        return frame.iloc[rows]
    if hasattr(frame, "tocsr"):  # some sparse formats have no rows
        return frame.tocsr()[rows]
    return (frame if hasattr(frame, "shape") else np.asarray(frame))[rows]
