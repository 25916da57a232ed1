"""Arrays that lie in a file: which they are, and giving their memory back."""

from __future__ import annotations

import mmap
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["forget_pages", "is_mapped"]


def is_mapped(array: Any) -> bool:
    """Whether an array, or what it is a view of, lies in a mapped file."""
    return _map_of(array) is not None


def forget_pages(array: NDArray[Any]) -> None:
    """Let go of the memory that holds what was read of a mapped file; the content stays as it is.

    A system with memory to spare keeps every page once read, so that a pass over a file larger than memory
    looks, and is accounted, like a copy of it. Pages come back from the file when they are read again. Of an
    array in memory, of a map that may be written to, whose pages may be all there is of what was written, and
    where the system has no such call, nothing happens.
    """
    pages = _map_of(array)
    if pages is None or not hasattr(mmap, "MADV_DONTNEED") or not memoryview(pages).readonly:
        return
    with suppress(OSError, ValueError):
        pages.madvise(mmap.MADV_DONTNEED)


def _map_of(array: Any) -> mmap.mmap | None:
    """The map that an array is a view of."""
    while isinstance(array, np.ndarray | memoryview):
        array = array.base if isinstance(array, np.ndarray) else array.obj
    return array if isinstance(array, mmap.mmap) else None
