"""Lists cut into blocks that fit the processor's cache: what is made on the way is never larger than one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["BLOCK_ELEMENTS", "SizeBlock", "list_blocks", "size_blocks"]

#: Numbers per block, about: a handful of arrays of so many stay in the second-level cache.
BLOCK_ELEMENTS = 32_768
#: Numbers of padding that cost no more than starting another block does.
FREE_PADDING = 8192
#: Share of padding that a block of lists of about equal size may have.
PADDING_SHARE = 0.1


@dataclass(frozen=True)
class SizeBlock:
    """Some lists of about the same size, side by side.

    Attributes
    ----------
    lists : ndarray of shape (b,), int64
        Their numbers.
    starts, sizes : ndarray of shape (b,), int64
        Where each begins, and its documents.
    rows : ndarray of shape (b, longest), int64
        Row numbers of each list; its last row again and again where it is shorter than the longest.
    is_row : ndarray of shape (b, longest), bool
        False for those repetitions.
    """

    lists: NDArray[np.int64]
    starts: NDArray[np.int64]
    sizes: NDArray[np.int64]
    rows: NDArray[np.int64]
    is_row: NDArray[np.bool_]


def list_blocks(offsets: NDArray[np.int64], elements: int) -> Iterator[tuple[int, int]]:
    """Runs of whole lists with about `elements` rows each; a longer list is a run of its own.

    Yields
    ------
    first, last : int
        Numbers of the first list of a run, and of the one behind its last.

    Examples
    --------
    >>> import numpy as np
    >>> list(list_blocks(np.array([0, 2, 4, 6, 16]), 4))
    [(0, 2), (2, 3), (3, 4)]
    """
    first, n_lists = 0, len(offsets) - 1
    while first < n_lists:
        fits = int(np.searchsorted(offsets, offsets[first] + elements, side="right")) - 1
        last = max(fits, first + 1)
        yield first, last
        first = last


def size_blocks(offsets: NDArray[np.int64], width: int = 1) -> Iterator[SizeBlock]:
    """Lists by falling size, cut where padding to the longest of a block would cost more than a cut.

    `width` is how many numbers each document has. Empty lists are in no block.

    Examples
    --------
    >>> import numpy as np
    >>> block = next(size_blocks(np.array([0, 1, 4])))
    >>> block.rows.tolist(), block.is_row.sum().item()
    ([[1, 2, 3], [0, 0, 0]], 4)
    """
    sizes = np.diff(offsets)
    order = np.argsort(-sizes, kind="stable")
    order = order[: np.count_nonzero(sizes)]
    falling = sizes[order]
    documents = np.concatenate([[0], np.cumsum(falling)])
    elements, free = BLOCK_ELEMENTS // max(1, width), FREE_PADDING // max(1, width)
    first = 0
    while first < len(order):
        longest = int(falling[first])
        most = min(max(1, elements // longest), len(order) - first)
        n_documents = documents[first + 1 : first + 1 + most] - documents[first]
        padding = longest * np.arange(1, most + 1) - n_documents
        fits = np.flatnonzero(padding <= free + PADDING_SHARE * n_documents)
        last = first + 1 + int(fits[-1])
        yield _block(order[first:last], offsets, longest)
        first = last


def _block(lists: NDArray[np.int64], offsets: NDArray[np.int64], longest: int) -> SizeBlock:
    starts = offsets[lists]
    sizes = offsets[lists + 1] - starts
    place = np.arange(longest)
    return SizeBlock(
        lists=lists,
        starts=starts,
        sizes=sizes,
        rows=starts[:, None] + np.minimum(place, sizes[:, None] - 1),
        is_row=place < sizes[:, None],
    )
