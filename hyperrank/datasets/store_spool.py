"""Rows of a source as they come, on disk, then widened to one width and grouped by query."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperrank.lists import QueryLists
from hyperrank.mapped import forget_pages

from .chunks import Chunk, slices
from .letor_block import merge_ids
from .store_files import ArrayFile, map_array, rearranged

__all__ = ["Spool"]


class Spool:
    """Takes the chunks of a source and makes the grouped arrays of a store.

    Parameters
    ----------
    folder : Path
        Where the arrays go.
    width : int or None
        Number of features; None takes the widest chunk's.
    missing : float
        What stands for features that a chunk is too narrow for.

    Notes
    -----
    Memory holds a chunk, the id and length of each run of rows of the same query and, if some query's rows
    lie apart, 24 bytes per row; the rows themselves are on disk, and then twice for a while.
    """

    def __init__(self, folder: Path, width: int | None, missing: float) -> None:
        self.folder, self.missing = folder, missing
        self.n_rows, self.n_labels, self._width = 0, 0, width
        self._features, self._labels = ArrayFile(folder / "X.f32"), ArrayFile(folder / "Y.f32")
        self._segments: list[tuple[int, int]] = []  # width and number of rows, in the order of the file
        self._run_ids: list[NDArray[Any] | None] = []
        self._run_sizes: list[NDArray[np.int64]] = []

    @property
    def width(self) -> int:
        """Number of features, as far as is known."""
        return self._width or max(1, *(width for width, _ in self._segments))

    def add(self, chunk: Chunk) -> None:
        """Take some documents."""
        n = len(chunk.X)
        if n == 0:
            return
        X = chunk.X
        if self._width is not None and X.shape[1] < self._width:
            X = self._padded(X, self._width)
        self._features.append(X)
        self._labels.append(chunk.Y)
        self.n_labels = chunk.Y.shape[1]
        if self._segments and self._segments[-1][0] == X.shape[1]:
            self._segments[-1] = (X.shape[1], self._segments[-1][1] + n)
        else:
            self._segments.append((X.shape[1], n))
        opens = np.flatnonzero(np.concatenate([[True], chunk.ids[1:] != chunk.ids[:-1]]))
        self._run_ids.append(chunk.ids[opens])
        self._run_sizes.append(np.diff(opens, append=n))
        self.n_rows += n

    def finish(self) -> tuple[list[ArrayFile], QueryLists]:
        """Widen and group.

        Returns
        -------
        files : list of ArrayFile
            Features and labels, closed.
        lists : QueryLists
            The queries of the grouped rows.
        """
        self._features.close()
        self._labels.close()
        if any(width != self.width for width, _ in self._segments):
            self._features = self._widened()
        ids = merge_ids(self._run_ids)
        assert ids is not None
        runs = QueryLists.from_qid(ids)
        lengths = np.concatenate(self._run_sizes)
        sizes = np.add.reduceat(lengths[runs.order], runs.offsets[:-1])
        lists = QueryLists.from_sizes(sizes, ids=runs.ids)
        if not runs.is_grouped:
            order, _ = QueryLists.from_sizes(lengths).take(runs.order)
            self._features = rearranged(self._features.path, self.width, order)
            self._labels = rearranged(self._labels.path, self.n_labels, order)
        return [self._features, self._labels], lists

    def abandon(self) -> None:
        """Close the files of a conversion that failed."""
        for file in (self._features, self._labels):
            file.__exit__(OSError, None, None)

    def _padded(self, rows: NDArray[np.float32], width: int) -> NDArray[np.float32]:
        """Rows with columns added at the right."""
        wide = np.full((len(rows), width), self.missing, dtype=np.float32)
        wide[:, : rows.shape[1]] = rows
        return wide

    def _widened(self) -> ArrayFile:
        """The features in one width."""
        path, width = self._features.path, self.width
        narrow = map_array(path, (path.stat().st_size // 4,))
        aside = path.with_name(f"wide-{path.name}")
        start = 0
        with ArrayFile(aside) as file:
            for before, n_rows in self._segments:
                rows = narrow[start : start + n_rows * before].reshape(n_rows, before)
                for part in slices(n_rows, width):
                    file.append(self._padded(rows[part], width))
                    forget_pages(narrow)
                start += n_rows * before
        os.replace(aside, path)
        file.path = path
        return file
