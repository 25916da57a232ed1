"""Scoring in tiles of equal size, so that a document's score does not depend on what it is scored with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor

__all__ = ["TILE", "in_tiles", "one_thread_each", "shared"]

#: Rows that are scored at a time, always exactly this many. Matrix products of other sizes run other kernels,
#: whose results differ in the last bits; in tiles a document's score depends on the document alone.
#: A multiple of 24 and of 64: kernels take rows by panels, of 24 without AVX-512, and sums by vectors; what
#: is left over goes another way. Of 256 rows the last of a panel rounded otherwise, in narrow or odd layers.
TILE = 192
#: Tiles from which on threads share them: each takes whole tiles.
TILES_TO_SHARE = 8


def in_tiles(function: Callable[[Tensor], Tensor], rows: Tensor, n_threads: int = 1) -> Tensor:
    """Apply a row-wise function to tiles of equal size; call it within `one_thread_each`.

    Parameters
    ----------
    function : callable
        Rows of shape (TILE, d) to results of shape (TILE, ...).
    rows : Tensor of shape (n, d)
        On any device.
    n_threads : int, default 1
        Threads that share many tiles.

    Returns
    -------
    Tensor of shape (n, ...)
    """
    starts = range(0, len(rows), TILE)
    work = partial(_tile, function, rows)
    if rows.device.type != "cpu" or len(starts) < TILES_TO_SHARE:
        n_threads = 1
    return torch.cat(shared(work, starts, n_threads))


def shared(work: Callable[[Any], Any], items: Sequence[Any], n_threads: int) -> list[Any]:
    """Work on items, by threads that take one operation at a time each."""
    if n_threads == 1 or len(items) < 2:
        return [work(item) for item in items]
    with ThreadPoolExecutor(n_threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        return list(pool.map(work, items))


@contextmanager
def one_thread_each() -> Iterator[int]:
    """One thread per operation for a while; gives the number that torch had.

    Several threads cut an operation at places that depend on their number, and round otherwise at the cuts.
    They also wait for each other at each operation: on busy cores 9.3 s were measured against 0.6 s.
    """
    before = torch.get_num_threads()
    if before > 1:
        torch.set_num_threads(1)
    try:
        yield before
    finally:
        if before > 1:
            torch.set_num_threads(before)


@torch.no_grad()
def _tile(function: Callable[[Tensor], Tensor], rows: Tensor, start: int) -> Tensor:
    """Results of the tile that begins at a row; the last tile is filled up with zeros."""
    tile = rows[start : start + TILE]
    n = len(tile)
    if n < TILE:
        tile = torch.cat([tile, tile.new_zeros(TILE - n, tile.shape[1])])
    return function(tile)[:n]
