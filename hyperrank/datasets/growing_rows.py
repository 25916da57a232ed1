"""A matrix that grows while its rows are read, without a second copy of it at the end."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .chunks import slices

__all__ = ["GrowingRows"]


class GrowingRows:
    """Rows put below each other, in one matrix as wide as the widest.

    Parameters
    ----------
    width : int
        Columns at the beginning.
    fill : float
        What stands where a row is narrower than the matrix.

    Notes
    -----
    Room is made by an eighth of what there is, and given back at the end. Linux moves no content for that;
    new room is filled with zeros and so takes memory at once. Lists of pieces that are joined at the end
    take twice the matrix: an allocator keeps the small pieces' memory for itself.
    """

    def __init__(self, width: int, fill: float) -> None:
        self.n_rows, self.width, self.fill = 0, width, fill
        self._room = np.empty((0, width), dtype=np.float32)

    def append(self, rows: NDArray[np.float32]) -> None:
        """Put rows below the others."""
        if rows.shape[1] > self.width:
            self.width = rows.shape[1]
            if self.width > self._room.shape[1]:
                self._widen(max(self.width, self._room.shape[1] * 3 // 2))
        end = self.n_rows + len(rows)
        if end > len(self._room):
            self._resize(max(end, len(self._room) * 9 // 8), self._room.shape[1])
        new = self._room[self.n_rows : end]
        new[:, : rows.shape[1]] = rows
        new[:, rows.shape[1] :] = self.fill
        self.n_rows = end

    def finish(self) -> NDArray[np.float32]:
        """The matrix; nothing can be appended any more."""
        room = self._room.shape[1]
        if room > self.width:
            flat = self._room.reshape(-1)
            for part in slices(self.n_rows, room):
                kept = self._room[part, : self.width].copy()
                flat[part.start * self.width : part.stop * self.width] = kept.reshape(-1)
            del flat
        self._resize(self.n_rows, self.width)
        return self._room

    def _widen(self, width: int) -> None:
        """Make room for more columns: rare, since widths are met early in a file."""
        wide = np.empty((len(self._room), width), dtype=np.float32)
        wide[: self.n_rows, : self._room.shape[1]] = self._room[: self.n_rows]
        wide[: self.n_rows, self._room.shape[1] :] = self.fill
        self._room = wide

    def _resize(self, n_rows: int, width: int) -> None:
        """Change the number of rows in place."""
        self._room.resize((n_rows, width), refcheck=False)
