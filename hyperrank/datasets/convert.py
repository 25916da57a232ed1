"""Conversion of files, frames and data in memory to a columnar store, in bounded memory."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hyperrank._categories import category_codes
from hyperrank._checks import as_path, check_choice
from hyperrank.datasets._chunks import Chunk, Source, merge_ids, padded, slices
from hyperrank.datasets.letor import PathLike, letor_source
from hyperrank.datasets.ranking_data import RankingData
from hyperrank.datasets.store import (
    CHECKSUMS,
    DESCRIPTION,
    PARTIAL,
    ArrayFile,
    Description,
    Store,
    map_array,
    open_store,
    rearranged,
    rewritten,
)
from hyperrank.datasets.table import is_table, label_columns, table_source
from hyperrank.files import atomic_folder
from hyperrank.lists import QueryLists
from hyperrank.memmap import in_memory


class Spool:
    """The growing arrays of a store, grouped by query at the end.

    Memory holds a chunk, the id and length of each run of rows of the same query and, if some query's rows
    are apart, 24 bytes per row; the rows themselves are on disk, and then twice for a while.
    """

    def __init__(self, features: ArrayFile, labels: ArrayFile, width: int | None, missing: float) -> None:
        self.missing, self.n_rows, self.n_labels, self._width = missing, 0, 0, width
        self._features, self._labels = features, labels
        self._widths_and_rows: list[tuple[int, int]] = []  # of each chunk in the file of features
        self._run_ids: list[NDArray[Any]] = []
        self._run_sizes: list[NDArray[np.int64]] = []

    @property
    def width(self) -> int:
        """Number of features, as far as is known."""
        return self._width or max(1, *(width for width, _ in self._widths_and_rows))

    def add(self, chunk: Chunk) -> None:
        """Take some documents."""
        n = len(chunk.X)
        if n == 0:
            return
        X = padded(chunk.X, self._width or 0, self.missing)
        self._features.append(X)
        self._labels.append(chunk.Y)
        self.n_labels = chunk.Y.shape[1]
        self._widths_and_rows.append((X.shape[1], n))
        opens = np.flatnonzero(np.concatenate([[True], chunk.ids[1:] != chunk.ids[:-1]]))
        self._run_ids.append(chunk.ids[opens])
        self._run_sizes.append(np.diff(opens, append=n))
        self.n_rows += n

    def finish(self) -> tuple[list[ArrayFile], QueryLists]:
        """Widen and group; the files of features and labels, and their queries."""
        if any(width != self.width for width, _ in self._widths_and_rows):
            self._features = self._widened()
        runs = QueryLists.from_qid(merge_ids(self._run_ids))
        lengths = np.concatenate(self._run_sizes)
        sizes = np.add.reduceat(lengths[runs.order], runs.offsets[:-1])
        lists = QueryLists.from_sizes(sizes, ids=runs.ids)
        if not runs.is_grouped:
            order, _ = QueryLists.from_sizes(lengths).take(runs.order)
            self._features = rearranged(self._features.path, self.width, order)
            self._labels = rearranged(self._labels.path, self.n_labels, order)
        return [self._features, self._labels], lists

    def _widened(self) -> ArrayFile:
        """The features in one width."""
        path, width = self._features.path, self.width
        narrow = map_array(path, (path.stat().st_size // 4,))
        start = 0
        with rewritten(path) as file:
            for before, n_rows in self._widths_and_rows:
                rows = narrow[start : start + n_rows * before].reshape(n_rows, before)
                for rows_of_chunk in slices(n_rows, width):
                    file.append(padded(in_memory(rows[rows_of_chunk]), width, self.missing))
                start += n_rows * before
        return file


def convert(
    source: Any,
    destination: PathLike,
    *,
    labels: str | Sequence[str] | None = None,
    qid: str = "qid",
    features: Sequence[str] | None = None,
    drop: str | Sequence[str] = (),
    categorical_features: str | Sequence[str] | None = "from_dtype",
    group: PathLike | Sequence[PathLike] | ArrayLike | None = None,
    n_features: int | None = None,
    missing: float = 0.0,
    zero_based: bool = False,
    overwrite: bool = False,
) -> Store:
    r"""Write ranking data as a store on disk that opens at once and is read as it is used.

    Rows come out grouped by query, queries in the order in which they first appear and rows in their order
    within a query, whether or not the source has them together. The source is gone through once, a few MB at
    a time: memory holds a number or two per run of rows of one query, and 24 bytes per row where rows of a
    query are apart. The disk then holds the features twice for a while.

    Parameters
    ----------
    source : path, sequence of paths, table, frame or RankingData
        LETOR or svmlight text, plain or gzip; CSV, Parquet and Arrow files, tables and frames as in
        `load_table`; or data in memory.
    destination : path
        The folder to be made, in a folder that exists. It has this name only when it is complete and on the
        disk; a process that is killed leaves a folder whose name ends in ``.partial``, which is not opened,
        and deleted by the next conversion to this name.
    labels, qid, features, drop, categorical_features
        Of tables: as for `load_table`. The store holds codes, and the values that they stand for.
    group, n_features, missing, zero_based
        Of text: as for `load_letor`.
    overwrite : bool, default False
        Whether a store of this name is replaced, when the new one is complete; nothing else ever is.

    Returns
    -------
    Store
        As `open_store` gives it.

    Raises
    ------
    ValueError
        If the source is not what it should be, as `load_letor` and `load_table` say it, naming file and line
        or column and row; then there is no store.
    TypeError
        If the source cannot be read.
    FileExistsError
        If there is something at `destination` that is not to be replaced.
    OSError
        If a file cannot be read or written; then there is no store.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from hyperrank import datasets
    >>> folder = tempfile.TemporaryDirectory()
    >>> file = pathlib.Path(folder.name, "train.txt")
    >>> _ = file.write_text("2 qid:7 1:0.5\n1 qid:8 1:4\n0 qid:7 2:1\n")
    >>> store = datasets.convert(file, pathlib.Path(folder.name, "train.store"))
    >>> store.qid.tolist(), store.y.tolist(), store.X.tolist()
    ([7, 7, 8], [2.0, 0.0, 1.0], [[0.5, 0.0], [0.0, 1.0], [4.0, 0.0]])
    >>> folder.cleanup()
    """
    check_choice("overwrite", overwrite, (True, False))
    target = as_path(destination)
    of_text = {"group": group, "n_features": n_features, "zero_based": zero_based or None}
    of_tables = {"labels": labels, "features": features, "qid": None if qid == "qid" else qid}
    is_default = isinstance(categorical_features, str) and categorical_features == "from_dtype"
    of_tables |= {"drop": drop or None, "categorical_features": None if is_default else categorical_features}
    if target.name.endswith(PARTIAL):
        raise ValueError(f"{target} ends in {PARTIAL!r}, as unfinished stores do; choose another name.")
    with atomic_folder(target, overwrite=overwrite and (target / DESCRIPTION).is_file()) as partial:
        if isinstance(source, RankingData):
            _refuse({**of_text, **of_tables}, "data in memory")
            content = _in_memory(source)
        elif is_table(source):
            _refuse(of_text, "a table")
            content = table_source(
                source,
                labels=label_columns(labels),
                qid=qid,
                features=features,
                drop=drop,
                categorical_features=categorical_features,
            )
        elif hasattr(source, "shape"):
            raise TypeError(
                f"a {type(source).__name__} has neither labels nor query ids: put arrays into a RankingData."
            )
        else:
            _refuse(of_tables, "LETOR text")
            content = letor_source(
                source, group=group, n_features=n_features, missing=missing, zero_based=zero_based
            )
        _write(content, partial)
    return open_store(target)


def _write(source: Source, folder: Path) -> None:
    """Write all files of a store."""
    with ArrayFile(folder / "X.f32") as features, ArrayFile(folder / "Y.f32") as labels:
        spool = Spool(features, labels, source.width, source.missing)
        for chunk in source.chunks:
            spool.add(chunk)
    if not spool.n_rows:
        raise ValueError(f"no document found: {source.description}")
    files, lists = spool.finish()
    shapes: dict[str, tuple[int, ...]] = {
        "X.f32": (spool.n_rows, spool.width),
        "Y.f32": (spool.n_rows, spool.n_labels),
    }
    for name, values in _query_arrays(lists).items():
        with ArrayFile(folder / name) as file:
            file.append(values)
        files.append(file)
        shapes[name] = values.shape
    checksums = np.array([number for file in files for number in file.checksums], dtype="<u4")
    with ArrayFile(folder / CHECKSUMS) as file:
        file.append(checksums)
    shapes[CHECKSUMS] = checksums.shape
    Description(
        shapes,
        source.names,
        source.names_of(spool.width),
        source.description,
        zlib.crc32(checksums.tobytes()),
        {name: list(values) for name, values in source.categories.items()},
    ).write(folder / DESCRIPTION)


def _query_arrays(lists: QueryLists) -> dict[str, Any]:
    """Offsets and ids of the queries as arrays to store, by file."""
    arrays: dict[str, Any] = {"offsets.i64": lists.offsets}
    if lists.ids.dtype.kind in "iu":
        return {**arrays, "ids.i64": lists.ids}
    texts = [str(name).encode() for name in lists.ids]
    ends = np.cumsum([len(text) for text in texts])
    return {**arrays, "ids.utf8": np.frombuffer(b"".join(texts), dtype=np.uint8), "id_ends.i64": ends}


def _in_memory(data: RankingData) -> Source:
    """Data in memory as a source."""
    ids = data.qid if data.qid.dtype.kind in "iuO" else data.qid.astype(np.str_)
    X, categories = category_codes(data.X, "X") if hasattr(data.X, "iloc") else (data.X, {})
    chunks = slices(*X.shape)
    return Source(
        chunks=(
            Chunk(X[rows_of_chunk], data.Y[rows_of_chunk], ids[rows_of_chunk]) for rows_of_chunk in chunks
        ),
        names=data.names,
        feature_names=data.feature_names,
        description=data.description,
        width=X.shape[1],
        categories={name: dict.fromkeys(values, 0) for name, values in categories.items()},
    )


def _refuse(options: dict[str, Any], kind: str) -> None:
    """Refuse options that say nothing about the kind of source given."""
    passed = [name for name, value in options.items() if value is not None]
    if passed:
        raise ValueError(f"{', '.join(passed)} cannot be given for {kind}: see the parameters of convert.")
