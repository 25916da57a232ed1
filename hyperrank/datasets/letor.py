"""LETOR and svmlight files."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hyperrank.datasets._chunks import Chunk, GrowingRows, Source
from hyperrank.datasets._letor_lines import (
    Block,
    LineError,
    Rules,
    comments_of,
    dense_parts,
    merge_ids,
    parse_lines,
)
from hyperrank.datasets._letor_vectorized import parse_block
from hyperrank.datasets._text import whole_lines
from hyperrank.datasets.ranking_data import RankingData

__all__ = ["letor_source", "load_letor"]


def query_ids(paths: list[Path], qid: NDArray[Any] | None, group: Any, n_rows: int) -> NDArray[Any]:
    """Query ids from the lines or from `group`, whichever is there."""
    if group is None:
        if qid is not None:
            return qid
        beside = Path(f"{paths[0]}.query")
        hint = f"group={str(beside)!r}" if beside.exists() else "group= with the number of rows of each query"
        raise ValueError(f"{paths[0]}: the lines have no 'qid:'; pass {hint}.")
    if qid is not None:
        raise ValueError(f"{paths[0]}: the lines have query ids already; leave group out.")
    sizes = group_sizes(group)
    if sizes.sum() != n_rows:
        raise ValueError(
            f"group sums to {sizes.sum()} rows in {len(sizes)} queries, but there are {n_rows} rows in "
            f"{', '.join(map(str, paths))}."
        )
    return np.repeat(np.arange(len(sizes), dtype=np.int64), sizes)


def group_sizes(group: Any) -> NDArray[np.int64]:
    """Rows per query, from numbers or files."""
    if isinstance(group, str | os.PathLike):
        return _read_sizes(Path(group))
    entries = list(group)
    if entries and all(isinstance(entry, str | os.PathLike) for entry in entries):
        return np.concatenate([_read_sizes(Path(entry)) for entry in entries])
    sizes = np.asarray(entries)
    if sizes.ndim != 1 or not np.issubdtype(sizes.dtype, np.integer) or (sizes < 0).any():
        raise ValueError(
            "group must hold one whole number of rows, 0 or more, per query, or paths of such files."
        )
    return sizes.astype(np.int64)


def _read_sizes(path: Path) -> NDArray[np.int64]:
    """Rows per query, one number a line."""
    sizes = []
    for line, text in enumerate(path.read_bytes().split(b"\n"), start=1):
        if not text.strip():
            continue
        if not (text.strip().isdigit() and len(text.strip()) < 18):
            raise ValueError(f"{path}, line {line}: {text[:40]!r} is not a number of rows.")
        sizes.append(int(text))
    return np.asarray(sizes, dtype=np.int64)


Given = TypeVar("Given")
Made = TypeVar("Made")

#: More threads than this only wait for the one that reads the file.
MAX_THREADS = 8


def paths_of(path: PathLike | Sequence[PathLike]) -> list[Path]:
    """One or several paths as a list."""
    given = [path] if isinstance(path, str | os.PathLike) else list(path)
    if not given:
        raise ValueError("path is an empty sequence; give at least one file.")
    return [Path(p) for p in given]


def check_options(n_features: int | None, missing: float) -> None:
    """Refuse options that cannot be meant."""
    if n_features is not None and n_features < 1:
        raise ValueError(f"n_features must be at least 1; got {n_features}.")
    if np.isinf(missing):
        raise ValueError("missing must be finite or NaN; features must not be infinite.")


def stream_blocks(paths: Sequence[Path], rules: Rules) -> Iterator[tuple[Block, bytes]]:
    """Read files block by block.

    Parameters
    ----------
    paths : sequence of Path
        Read one after the other.
    rules : Rules
        What their lines must obey; the first line settles whether lines have query ids.

    Yields
    ------
    block : Block
        Of one document at least.
    text : bytes
        The lines that it was read from.

    Raises
    ------
    ValueError
        If a line is not in the format, naming file and line; if a file holds no document or is cut off.
    OSError
        If a file cannot be opened.
    """
    for path in paths:
        line, n_rows = 1, 0
        for text, parsed in _in_order(whole_lines(path), lambda text: (text, parse_block(text))):
            block = parsed
            if block is None or not rules.admit(block):
                try:
                    block = parse_lines(text, line, rules)
                except LineError as error:
                    raise ValueError(f"{path}, {error}") from None
            line += text.count(b"\n")
            if len(block.labels):
                n_rows += len(block.labels)
                rules = rules.following(block)
                yield block, text
        if not n_rows:
            raise ValueError(f"{path}: no document found; the file is empty or holds comments alone.")


def _in_order(pieces: Iterable[Given], work: Callable[[Given], Made]) -> Iterator[Made]:
    """Work on pieces in threads, a few at a time; results come in the order of the pieces.

    An error of `pieces` is raised after the results of the pieces before it: of several things that are wrong
    with a file, the first is named.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    n_threads = min(cores, MAX_THREADS)
    pending: deque[Future[Made]] = deque()
    failure: Exception | None = None
    with ThreadPoolExecutor(n_threads, thread_name_prefix="letor") as pool:
        try:
            source = iter(pieces)
            while failure is None:
                try:
                    pending.append(pool.submit(work, next(source)))
                except StopIteration:
                    break
                except (OSError, ValueError) as error:
                    failure = error
                if len(pending) > 2 * n_threads:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
            if failure is not None:
                raise failure
        finally:
            for waiting in pending:
                waiting.cancel()


PathLike = str | os.PathLike[str]


def load_letor(
    path: PathLike | Sequence[PathLike],
    *,
    group: PathLike | Sequence[PathLike] | ArrayLike | None = None,
    n_features: int | None = None,
    missing: float = 0.0,
    comments: bool = False,
    zero_based: bool = False,
) -> RankingData:
    r"""Read ranking data from LETOR or svmlight text.

    Each line is ``label qid:ID index:value index:value ... # comment`` with feature numbers from 1 in
    ascending order. Blank lines and lines of comment alone are passed over. Lines are parsed on
    all cores; beside X itself a few blocks of text are in memory.

    Parameters
    ----------
    path : path or sequence of paths
        One file, or several whose rows are put one after the other; a query id that stands in two of them is
        one query. A name that ends in ``.gz`` is decompressed.
    group : path, sequence of paths or array-like of int, optional
        For files without ``qid:``: rows per query in the order of the rows, or files that list them one a
        line, such as LightGBM's ``.query`` files. Queries are then numbered from 0.
    n_features : int, optional
        Number of columns of X; the largest feature number by default. Give it where a file may lack the last
        features.
    missing : float, default 0.0
        The value of features that a line leaves out: 0 as in svmlight, or ``float("nan")``.
    comments : bool, default False
        Whether to return the comment of each document.
    zero_based : bool, default False
        Whether features are numbered from 0, as scikit-learn writes them unless told otherwise.

    Returns
    -------
    RankingData
        With ``X`` (n, d) float32, ``Y`` (n, 1) float32 and its column ``y`` (n,), ``qid`` (n,) as int64 if
        all ids are integers and as str else, and ``comments``. A label or value written ``nan`` is NaN.

    Raises
    ------
    ValueError
        If a line is not in the format, naming file, line and what is wrong; if lines with and without
        ``qid:`` are mixed, or neither ``qid:`` nor `group` is there; if `group` does not sum to the number of
        rows; if a feature number exceeds `n_features`; if a file holds no document or is cut off.
    OSError
        If a file cannot be opened.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> file = pathlib.Path(folder.name, "train.txt")
    >>> _ = file.write_text("2 qid:7 1:0.5 3:1 # doc A\n0 qid:7 2:4\n")
    >>> data = load_letor(file, comments=True)
    >>> data.X.tolist(), data.y.tolist(), data.qid.tolist(), data.comments
    ([[0.5, 0.0, 1.0], [0.0, 4.0, 0.0]], [2.0, 0.0], [7, 7], ('doc A', ''))
    >>> folder.cleanup()
    """
    paths = paths_of(path)
    check_options(n_features, missing)
    rules = Rules(n_features=n_features, first=0 if zero_based else 1)
    ids: list[NDArray[Any] | None] = []
    labels: list[NDArray[np.float32]] = []
    X = GrowingRows(n_features or 1, missing)
    notes: list[str] | None = [] if comments else None
    for block, text in stream_blocks(paths, rules):
        ids.append(block.ids)
        labels.append(block.labels)
        for _, rows in dense_parts(block, rules.first, missing):
            X.append(rows)
        if notes is not None:
            notes.extend(comments_of(text))
    n_rows = sum(map(len, labels))
    qid = query_ids(paths, merge_ids(ids), group, n_rows)
    return RankingData(
        X=X.finish(),
        Y=np.concatenate(labels)[:, None],
        qid=qid,
        names=("relevance",),
        feature_names=tuple(f"feature_{j}" for j in range(rules.first, rules.first + X.width)),
        description=f"Read from {', '.join(map(str, paths))}.",
        comments=None if notes is None else tuple(notes),
    )


def letor_source(
    path: Any, *, group: Any, n_features: int | None, missing: float, zero_based: bool
) -> Source:
    """Go through LETOR files; arguments as for `load_letor`.

    The chunks of files whose width is not given are as wide as each needs.
    """
    paths = paths_of(path)
    check_options(n_features, missing)
    rules = Rules(n_features=n_features, first=0 if zero_based else 1)
    return Source(
        chunks=_chunks(paths, rules, group, missing),
        names=("relevance",),
        feature_names=None,
        description=f"Read from {', '.join(map(str, paths))}.",
        first=rules.first,
        width=n_features,
        missing=missing,
    )


def _chunks(paths: list[Path], rules: Rules, group: Any, missing: float) -> Iterator[Chunk]:
    """Documents of all files."""
    sizes = None if group is None else group_sizes(group)
    given = None if sizes is None else np.repeat(np.arange(len(sizes), dtype=np.int64), sizes)
    row = 0
    for block, _ in stream_blocks(paths, rules):
        ids = _ids(paths, block, given, group, row)
        row += len(block.labels)
        for part, rows in dense_parts(block, rules.first, missing):
            yield Chunk(rows, block.labels[part, None], ids[part])
    if given is not None:
        query_ids(paths, None, group, row)  # refuses sizes of another sum


def _ids(
    paths: list[Path], block: Block, given: NDArray[np.int64] | None, group: Any, row: int
) -> NDArray[Any]:
    """Query ids of a block, from its lines or from the sizes given."""
    if given is None or block.ids is not None:
        return query_ids(paths, block.ids, group, len(block.labels))
    ids = given[row : row + len(block.labels)]
    if len(ids) < len(block.labels):
        raise ValueError(
            f"group sums to {len(given)} rows, but there are more in {', '.join(map(str, paths))}."
        )
    return ids
