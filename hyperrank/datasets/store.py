"""Columnar store: memory-mapped features, labels and query ids, opened at once at any size."""

from __future__ import annotations

import os
import zlib
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperrank._categories import named_categories
from hyperrank._checks import as_path
from hyperrank.datasets._letor_lines import text_ids
from hyperrank.datasets._store_format import (
    AGAIN,
    BLOCK_BYTES,
    CHECKSUMS,
    Description,
    StoreError,
    map_array,
    n_blocks,
    read_description,
    size_of,
)
from hyperrank.datasets.ranking_data import RankingData
from hyperrank.lists import QueryLists
from hyperrank.memmap import forget_pages


class Store:
    """Documents on disk, grouped by query, as arrays that are read when they are used.

    Made by `convert`, opened by `open_store`. Any number of processes may read one at once.

    Attributes
    ----------
    X : ndarray of shape (n, d), float32
        Features, NaN where missing, and codes of categories; read-only, in the file.
    categories : dict of str to list
        For each feature that is categories its values, in the order of their codes; `load` gives a frame.
    Y : ndarray of shape (n, m), float32
        Labels, NaN where unobserved; read-only, in the file.
    offsets : ndarray of shape (n_queries + 1,), int64
        Rows ``offsets[q]`` to ``offsets[q + 1]`` are those of query ``q``.
    names : tuple of m str
        The objectives.
    feature_names : tuple of d str
        The features.
    description : str
        What the data are and where they come from.
    path : Path
        The folder.

    Examples
    --------
    >>> import tempfile
    >>> from hyperrank import datasets
    >>> data = datasets.make_multilabel_ranking(n_queries=4, list_size=5, random_state=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = datasets.convert(data, f"{folder}/train.store")
    ...     print(store, store.X.shape, store.qid[:6].tolist())
    Store(20 documents of 4 queries, 20 features, objectives objective_0, objective_1, objective_2)
    (20, 20) [0, 0, 0, 0, 0, 1]
    """

    def __init__(self, path: Path, described: Description) -> None:
        self.path = path
        self.names, self.feature_names = described.names, described.feature_names
        self.description, self.categories = described.description, described.categories
        self._shapes = described.arrays
        self._maps = {file: self._map(file) for file in ("X.f32", "Y.f32", "offsets.i64")}
        self._opened = {file: (path / file).stat() for file in self._maps}

    def __repr__(self) -> str:
        return (
            f"Store({len(self):,} documents of {len(self.offsets) - 1:,} queries, "
            f"{len(self.feature_names)} features, objectives {', '.join(self.names)})"
        )

    def __len__(self) -> int:
        return len(self.X)

    @property
    def X(self) -> NDArray[np.float32]:  # noqa: N802 (its name everywhere)
        """Features, shape (n, d)."""
        return self._unchanged("X.f32")

    @property
    def Y(self) -> NDArray[np.float32]:  # noqa: N802
        """Labels, shape (n, m)."""
        return self._unchanged("Y.f32")

    @property
    def offsets(self) -> NDArray[np.int64]:
        """Where queries begin, shape (n_queries + 1,)."""
        return self._unchanged("offsets.i64")

    @property
    def y(self) -> NDArray[np.float32]:
        """Labels of the first objective, shape (n,)."""
        return self.Y[:, 0]

    @cached_property
    def ids(self) -> NDArray[Any]:
        """The id of each query, shape (n_queries,), int64 or objects of type str."""
        if "ids.i64" in self._shapes:
            return self._map("ids.i64")
        text, ends = self._map("ids.utf8").tobytes(), [0, *self._map("id_ends.i64").tolist()]
        ids = np.empty(len(ends) - 1, dtype=object)
        try:
            if ends[-1] != len(text) or ends != sorted(ends):
                raise ValueError("ids overlap")
            ids[:] = [text[a:b].decode() for a, b in pairwise(ends)]
        except ValueError as error:
            raise StoreError(f"{self.path / 'ids.utf8'} is damaged: {error}. {AGAIN}") from error
        return ids

    @property
    def qid(self) -> NDArray[Any]:
        """The query id of each document, shape (n,): eight bytes per document, in memory."""
        return np.repeat(self.ids, np.diff(self.offsets))

    @property
    def lists(self) -> QueryLists:
        """The queries as `hyperrank.lists.QueryLists`."""
        return QueryLists.from_sizes(np.diff(self.offsets), ids=self.ids)

    def load(self) -> RankingData:
        """Copy everything into memory.

        Returns
        -------
        RankingData
        """
        return RankingData(
            X=named_categories(np.array(self.X), self.feature_names, self.categories),
            Y=np.array(self.Y),
            qid=self.qid if self.ids.dtype != object else text_ids(self.qid.tolist()),
            names=self.names,
            feature_names=self.feature_names,
            description=self.description,
        )

    def verify(self) -> None:
        """Read everything and compare it with the checksums; seconds per GB, and 16 MiB of memory.

        Opening a store looks at sizes and at the description alone.

        Raises
        ------
        StoreError
            If a file has changed since it was written, naming the file and where in it.
        """
        known = iter(self._map(CHECKSUMS).tolist())
        for file in (name for name in self._shapes if name != CHECKSUMS):
            with (self.path / file).open("rb", buffering=0) as content:
                for number in range(n_blocks(size_of(file, self._shapes[file]))):
                    if zlib.crc32(content.read(BLOCK_BYTES)) != next(known):
                        start = number * BLOCK_BYTES
                        raise StoreError(
                            f"{self.path / file} is damaged between byte {start:,} and "
                            f"{start + BLOCK_BYTES:,}: its checksum differs. {AGAIN}"
                        )

    def release(self) -> None:
        """Give back the memory in which the system keeps what was read; it is read again when needed."""
        for array in self._maps.values():
            forget_pages(array)

    def _unchanged(self, file: str) -> NDArray[Any]:
        """A mapped array; a file that was changed in place is refused: to read what is gone is a crash."""
        opened = self._opened[file]
        try:
            now = (self.path / file).stat()
        except OSError:  # deleted or renamed: what is mapped stays
            return self._maps[file]
        is_same_file = (now.st_dev, now.st_ino) == (opened.st_dev, opened.st_ino)
        if is_same_file and (now.st_size, now.st_mtime_ns) != (opened.st_size, opened.st_mtime_ns):
            raise StoreError(
                f"{self.path / file} was overwritten since the store was opened: open it again. To replace a "
                "store that is in use, convert(..., overwrite=True), which leaves what is open as it is."
            )
        return self._maps[file]

    def _map(self, file: str) -> NDArray[Any]:
        return map_array(self.path / file, self._shapes[file])


def open_store(path: str | os.PathLike[str]) -> Store:
    """Open a store that `convert` wrote.

    Nothing is read but the description, the checksums' own checksum and where queries begin, so that this
    takes well under a second at any size. `Store.verify` compares all content with its checksums.

    Parameters
    ----------
    path : path
        The folder.

    Returns
    -------
    Store

    Raises
    ------
    StoreError
        A `ValueError`: if the folder is not a store, or a half-written, damaged or newer one.
    OSError
        If a file cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> from hyperrank import datasets
    >>> data = datasets.make_multilabel_ranking(n_queries=4, list_size=5, random_state=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = datasets.convert(data, f"{folder}/train.store")
    ...     store = datasets.open_store(f"{folder}/train.store")
    ...     store.verify()
    ...     bool((store.X == data.X).all())
    True
    """
    folder = as_path(path)
    described = read_description(folder)
    for file, shape in described.arrays.items():
        _check_size(folder / file, size_of(file, shape))
    store = Store(folder, described)
    if zlib.crc32(store._map(CHECKSUMS).tobytes()) != described.checksums:
        raise StoreError(f"{folder / CHECKSUMS} is damaged. {AGAIN}")
    offsets = store.offsets
    if offsets[0] != 0 or offsets[-1] != len(store.X) or (offsets[1:] <= offsets[:-1]).any():
        raise StoreError(f"{folder / 'offsets.i64'} is damaged: queries overlap. {AGAIN}")
    return store


def _check_size(path: Path, expected: int) -> None:
    """Refuse a file that was truncated or is missing."""
    if not path.is_file():
        raise StoreError(f"{path} is missing. {AGAIN}")
    n_bytes = path.stat().st_size
    if n_bytes != expected:
        raise StoreError(
            f"{path} has {n_bytes:,} bytes; expected {expected:,}: it was cut off or overwritten. {AGAIN}"
        )
