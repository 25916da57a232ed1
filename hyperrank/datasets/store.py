"""Columnar store: memory-mapped features, labels and query ids, opened at once at any size.

Its files are raw arrays, and ``store.json``, which is written last and checked first:

========================  =====================================================================
``X.f32``                 features, row after row, little-endian float32, NaN where missing
``Y.f32``                 labels likewise, a column per objective, NaN where unobserved
``offsets.i64``           where each query's rows begin, and the end of the last
``ids.i64``               the query ids, if all are integers; or else
``ids.utf8``              their texts, one after the other in UTF-8, and
``id_ends.i64``           where each text ends
``checksums.u32``         CRC-32 of each 16 MiB of the files above, in this order
``store.json``            sizes, names, values of categories by code, and the checksum of itself and of
                          ``checksums.u32``
========================  =====================================================================
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from hyperrank._categories import named_categories
from hyperrank._checks import as_path
from hyperrank.datasets._chunks import chunk_rows
from hyperrank.datasets.ranking_data import RankingData
from hyperrank.lists import QueryLists
from hyperrank.memmap import FileMap, OpenedFile, check_pages, forget_pages, in_memory

#: The newest format, with categories; stores without are written in format 1, which older versions read.
FORMAT = 2
KIND = "hyperrank store"
DESCRIPTION = "store.json"
CHECKSUMS = "checksums.u32"
#: Bytes that ``store.json`` may have, and rows or columns that an array may have.
MAX_DESCRIPTION, MAX_LENGTH = 1 << 28, 1 << 48
AGAIN = "Convert the source again."
#: How the names of folders end in which a store is being made.
PARTIAL = ".partial"
#: Bytes under one checksum.
BLOCK_BYTES = 1 << 24
DTYPES = {"f32": "<f4", "i64": "<i8", "u32": "<u4", "utf8": "|u1"}


class StoreError(ValueError):
    """A folder is not a store, or a damaged one; the message says which file and what to do."""


@dataclass(frozen=True)
class Description:
    """What ``store.json`` says: the shape of each array by file, names, and the checksum of the checksums."""

    arrays: dict[str, tuple[int, ...]]
    names: tuple[str, ...]
    feature_names: tuple[str, ...]
    description: str
    checksums: int
    #: The values of each feature of codes, in the order of these.
    categories: dict[str, list[Any]] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Write ``store.json`` to the disk."""
        document = {"kind": KIND, "format": FORMAT, **asdict(self)}
        if not self.categories:
            del document["categories"]
            document["format"] = 1
        with path.open("w") as file:
            json.dump({**document, "sha256": _digest(document)}, file, indent=1, allow_nan=False)
            file.flush()
            os.fsync(file.fileno())


def dtype_of(file: str) -> np.dtype[Any]:
    """Type of a file's numbers, by the end of its name."""
    return np.dtype(DTYPES[file.rpartition(".")[2]])


def n_blocks(n_bytes: int) -> int:
    """Checksums of a file."""
    return -(-n_bytes // BLOCK_BYTES)


def size_of(file: str, shape: tuple[int, ...]) -> int:
    """Bytes that a file must have."""
    return math.prod(shape) * dtype_of(file).itemsize


def read_description(folder: Path) -> Description:
    """Read ``store.json``; a StoreError if it is absent, unfinished, damaged or of a newer format."""
    path = folder / DESCRIPTION
    if folder.name.endswith(PARTIAL):
        raise StoreError(
            f"{folder} was never finished: the process that wrote it died. Delete it and convert again."
        )
    if not path.is_file():
        what = "is not a folder" if folder.exists() and not folder.is_dir() else f"has no {DESCRIPTION}"
        raise StoreError(
            f"{folder} {what}: not a store. hyperrank.datasets.convert makes one from files or frames."
        )
    if path.stat().st_size > MAX_DESCRIPTION:
        raise StoreError(f"{path} is damaged: it has {path.stat().st_size:,} bytes. {AGAIN}")
    try:
        document = json.loads(path.read_bytes())
        digest = document.pop("sha256", None)
    except (ValueError, RecursionError, AttributeError, TypeError) as error:
        raise StoreError(f"{path} is damaged: {error}. {AGAIN}") from error
    if document.get("kind") != KIND:
        raise StoreError(f"{path} does not describe a store.")
    version = document.get("format")
    if isinstance(version, int) and version > FORMAT:
        raise StoreError(
            f"{folder} has format {version}; this version reads up to {FORMAT}: "
            "pip install --upgrade hyperrank."
        )
    if digest != _digest(document):
        raise StoreError(f"{path} is damaged: it does not match its checksum. {AGAIN}")
    fault = _fault(document)
    if fault:
        raise StoreError(f"{path} is not as convert writes it: {fault}. {AGAIN}")
    return Description(
        {file: tuple(shape) for file, shape in document["arrays"].items()},
        tuple(document["names"]),
        tuple(document["feature_names"]),
        document["description"],
        document["checksums"],
        document.get("categories", {}),
    )


def _fault(document: dict[str, Any]) -> str | None:
    """What is wrong with a description whose checksum is right."""
    for key, kind in {
        "arrays": dict,
        "names": list,
        "feature_names": list,
        "description": str,
        "checksums": int,
    }.items():
        if not isinstance(document.get(key), kind):
            return f"{key!r} is missing"
    arrays, names, features = document["arrays"], document["names"], document["feature_names"]
    if not all(isinstance(name, str) for name in [*names, *features]):
        return "names are not text"
    categories = document.get("categories", {})
    if not isinstance(categories, dict) or not set(categories) <= set(features):
        return "'categories' are not those of features"
    for values in categories.values():
        if not isinstance(values, list) or not all(type(value) in (str, int, float) for value in values):
            return "'categories' are not lists of text and numbers"
        if len(set(values)) < len(values):
            return "'categories' has one twice"
    for file, shape in arrays.items():
        if not isinstance(shape, list) or not all(isinstance(n, int) and 0 <= n < MAX_LENGTH for n in shape):
            return f"the shape of {file!r} is {shape!r}"
    n_rows, n_queries = (next(iter(arrays.get(file) or [0]), 0) for file in ("X.f32", "offsets.i64"))
    expected = {"X.f32": [n_rows, len(features)], "Y.f32": [n_rows, len(names)], "offsets.i64": [n_queries]}
    if "ids.utf8" in arrays:
        expected |= {"ids.utf8": arrays["ids.utf8"][:1], "id_ends.i64": [n_queries - 1]}
    else:
        expected["ids.i64"] = [n_queries - 1]
    n_checksums = sum(n_blocks(size_of(file, tuple(shape))) for file, shape in expected.items())
    expected[CHECKSUMS] = [n_checksums]
    if arrays != expected or n_queries < 2 or not names or not features:
        return "the arrays do not fit each other"
    return None


def _digest(document: dict[str, Any]) -> str:
    """Checksum of the description."""
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


class ArrayFile:
    """A new file of numbers, of the type that its name says, written at its end.

    `checksums` has the CRC-32 of each block, of which the last may be short.
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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            return
        with suppress(OSError):  # what is buffered may be what did not fit on the disk
            self._file.close()


@contextmanager
def rewritten(path: Path) -> Iterator[ArrayFile]:
    """A file to be written that takes the place of another when it is complete, and is then at its path."""
    with ArrayFile(path.with_name(f"new-{path.name}")) as file:
        yield file
    file.path = file.path.replace(path)


def map_array(path: Path, shape: tuple[int, ...]) -> NDArray[Any]:
    """The numbers of a file, read from it when they are needed; not to be written to."""
    if 0 in shape:
        return np.zeros(shape, dtype=dtype_of(path.name))
    # A plain array: scikit-learn and torch treat subclasses, such as memmap, as something to be converted.
    return np.asarray(FileMap.open(path, dtype_of(path.name), shape, _changed))


def _changed(what: str) -> StoreError:
    """The error of a file that is not what was opened."""
    return StoreError(
        f"{what}: open the store again. To replace a store that is in use, convert(..., overwrite=True), "
        "which leaves what is open as it is."
    )


def rearranged(path: Path, width: int, order: NDArray[np.int64]) -> ArrayFile:
    """Bring the rows of a file into another order, chunk by chunk and one run of neighbours after the other.

    Of a map, each row from somewhere else would bring pages around it into memory, on some systems megabytes.
    """
    step = max(1, chunk_rows(width) // 16)
    with rewritten(path) as file, path.open("rb", buffering=0) as source:
        opened = OpenedFile(source, partial(OSError, errno.EIO))
        for start in range(0, len(order), step):
            rows = order[start : start + step]
            chunk = np.empty((len(rows), width), dtype=dtype_of(path.name))
            opened.read(0, rows, chunk)
            file.append(chunk)
    return file


class Store:
    """Documents on disk, grouped by query, with memory-mapped features.

    Made by `convert`, opened by `open_store`. Any number of processes may read one at once.

    Attributes
    ----------
    X : ndarray of shape (n, d), float32
        Features, NaN where missing, and codes of categories; read-only, in the file.
    categories : dict of str to list
        For each feature that is categories its values, in the order of their codes; `load` gives a frame.
    Y : ndarray of shape (n, m), float32
        Labels, NaN where unobserved; read-only, read when they are first asked for.
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
        self._maps = {file: map_array(path / file, shape) for file, shape in described.arrays.items()}
        self._contents: dict[str, NDArray[Any]] = {}

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
        check_pages(self._maps["X.f32"])
        return self._maps["X.f32"]

    @property
    def Y(self) -> NDArray[np.float32]:  # noqa: N802
        """Labels, shape (n, m)."""
        return self._read("Y.f32")

    @property
    def offsets(self) -> NDArray[np.int64]:
        """Where queries begin, shape (n_queries + 1,)."""
        return self._read("offsets.i64")

    @property
    def y(self) -> NDArray[np.float32]:
        """Labels of the first objective, shape (n,)."""
        return self.Y[:, 0]

    @cached_property
    def ids(self) -> NDArray[Any]:
        """The id of each query, shape (n_queries,), int64 or objects of type str."""
        if "ids.i64" in self._shapes:
            return self._read("ids.i64")
        text, ends = self._read("ids.utf8").tobytes(), [0, *self._read("id_ends.i64").tolist()]
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
            X=named_categories(np.array(in_memory(self.X)), self.feature_names, self.categories),
            Y=np.array(self.Y),
            qid=self.qid,
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
        known = iter(self._read(CHECKSUMS).tolist())
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
        forget_pages(self._maps["X.f32"])
        self._contents.clear()

    def _read(self, file: str) -> NDArray[Any]:
        """The numbers of a file, in memory, not to be written to."""
        check_pages(self._maps[file])
        if file not in self._contents:
            self._contents[file] = in_memory(self._maps[file])
            self._contents[file].flags.writeable = False
        return self._contents[file]


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
        path, expected = folder / file, size_of(file, shape)
        if not path.is_file():
            raise StoreError(f"{path} is missing. {AGAIN}")
        if (n_bytes := path.stat().st_size) != expected:
            raise StoreError(
                f"{path} has {n_bytes:,} bytes; expected {expected:,}: it was cut off or overwritten. {AGAIN}"
            )
    store = Store(folder, described)
    if zlib.crc32(store._read(CHECKSUMS).tobytes()) != described.checksums:
        raise StoreError(f"{folder / CHECKSUMS} is damaged. {AGAIN}")
    offsets = store.offsets
    if offsets[0] != 0 or offsets[-1] != len(store.X) or (offsets[1:] <= offsets[:-1]).any():
        raise StoreError(f"{folder / 'offsets.i64'} is damaged: queries overlap. {AGAIN}")
    return store
