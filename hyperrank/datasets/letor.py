"""LETOR and svmlight text: label, query id and numbered features of one document a line."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import chain
from numbers import Real
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hyperrank._checks import as_paths
from hyperrank.datasets._chunks import Chunk, Source, gather, whole_lines
from hyperrank.datasets._letor_text import (
    Block,
    Rules,
    comments_of,
    dense_chunks,
    parse_block,
    parse_lines,
)
from hyperrank.datasets.ranking_data import RankingData
from hyperrank.lists import MAX_ROWS

PathLike = str | os.PathLike[str]
Group = PathLike | Sequence[PathLike] | ArrayLike
Piece = TypeVar("Piece")
Result = TypeVar("Result")

#: More threads than this only wait for the one that reads the file.
MAX_THREADS = 8


def read_group_sizes(group: Group) -> NDArray[np.int64]:
    """Rows per query, from numbers or files."""
    given: Any = [group] if isinstance(group, str | os.PathLike) else group
    entries = list(given) if isinstance(given, Iterable) else []
    if entries and all(isinstance(entry, str | os.PathLike) for entry in entries):
        sizes = np.array([size for entry in entries for size in _read_sizes(Path(str(entry)))], np.int64)
    else:
        sizes = np.asarray(entries)
    if sizes.ndim != 1 or not np.issubdtype(sizes.dtype, np.integer) or (sizes < 0).any():
        raise ValueError(
            "group must hold one whole number of rows, 0 or more, per query, or paths of such files."
        )
    if (n_rows := sum(map(int, sizes))) > MAX_ROWS:
        raise ValueError(f"group sums to {n_rows:,} rows, more than any file has.")
    return sizes.astype(np.int64)


def _read_sizes(path: Path) -> Iterator[int]:
    """Rows per query, one number a line."""
    for line, text in enumerate(path.read_bytes().split(b"\n"), start=1):
        if not text.strip():
            continue
        if not text.strip().isdigit() or len(text.strip()) > 18 or int(text) > MAX_ROWS:
            raise ValueError(f"{path}, line {line}: {text[:40]!r} is not a number of rows.")
        yield int(text)


def _with_ids(
    paths: Sequence[Path], rules: Rules, ends: NDArray[np.int64] | None
) -> Iterator[tuple[Block, bytes, NDArray[Any]]]:
    """Blocks, their lines and query ids: from the lines, or by where each query ends."""
    files, n_rows = ", ".join(map(str, paths)), 0
    for block, text in stream_blocks(paths, rules):
        start, n_rows = n_rows, n_rows + len(block.labels)
        if ends is None:
            if block.ids is None:
                default = Path(f"{paths[0]}.query")
                file = repr(str(default)) if default.exists() else " with the number of rows of each query"
                raise ValueError(f"{paths[0]}: the lines have no 'qid:'; pass group={file}.")
            yield block, text, block.ids
            continue
        if block.ids is not None:
            raise ValueError(f"{paths[0]}: the lines have query ids already; leave group out.")
        if n_rows > ends[-1]:
            break
        yield block, text, np.searchsorted(ends[1:], np.arange(start, n_rows), side="right")
    if ends is not None and n_rows != ends[-1]:
        found = f"{n_rows:,} rows" if n_rows < ends[-1] else "more"
        raise ValueError(
            f"group sums to {ends[-1]:,} rows in {len(ends) - 1:,} queries, but there are {found} in {files}."
        )


def stream_blocks(paths: Sequence[Path], rules: Rules) -> Iterator[tuple[Block, bytes]]:
    """Blocks of one document at least, with their lines, file after file; errors name file and line."""
    for path in paths:
        line, n_rows = 1, 0
        for text, parsed in _in_order(whole_lines(path), lambda text: (text, parse_block(text))):
            block = parsed
            if block is None or not rules.admit(block):
                try:
                    block = parse_lines(text, line, rules)
                except ValueError as error:
                    raise ValueError(f"{path}, {error}") from None
            line += text.count(b"\n")
            if len(block.labels):
                n_rows += len(block.labels)
                rules = rules.following(block)
                yield block, text
        if not n_rows:
            raise ValueError(f"{path}: no document found; the file is empty or holds comments alone.")


def _in_order(pieces: Iterable[Piece], work: Callable[[Piece], Result]) -> Iterator[Result]:
    """Work on pieces in threads; results, and an error of `pieces`, come in the order of the pieces."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    n_threads = min(cores, MAX_THREADS)
    pending: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(n_threads, thread_name_prefix="letor") as pool:
        try:
            source = iter(pieces)
            while True:
                try:
                    pending.append(pool.submit(work, next(source)))
                except StopIteration:
                    break
                except (OSError, ValueError) as error:
                    pending.append(Future())
                    pending[-1].set_exception(error)
                    break
                if len(pending) > 2 * n_threads:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for waiting in pending:
                waiting.cancel()


def load_letor(
    path: PathLike | Sequence[PathLike],
    *,
    group: Group | None = None,
    n_features: int | None = None,
    missing: float = 0.0,
    comments: bool = False,
    zero_based: bool = False,
) -> RankingData:
    r"""Read ranking data from LETOR or svmlight text.

    Each line is ``label qid:ID index:value index:value ... # comment`` with feature numbers from 1 in
    ascending order. Blank lines and lines of comment alone are passed over. Lines are parsed on
    all cores; besides X itself a few blocks of text are in memory.

    Parameters
    ----------
    path : path or sequence of paths
        One file, or several whose rows are put one after the other; a query id that is in two of them is
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
        all ids are integers and as text else, and ``comments``. A label or value written ``nan`` or ``NULL``
        is NaN.

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
    data, notes = gather(
        letor_source(
            path,
            group=group,
            n_features=n_features,
            missing=missing,
            zero_based=zero_based,
            comments=comments,
        )
    )
    return replace(data, comments=tuple(chain.from_iterable(notes))) if comments else data


def letor_source(
    path: PathLike | Sequence[PathLike],
    *,
    group: Group | None,
    n_features: int | None,
    missing: float,
    zero_based: bool,
    comments: bool = False,
) -> Source:
    """Files chunk by chunk, as wide as each needs without `n_features`; arguments as for `load_letor`."""
    paths = as_paths(path)
    if n_features is not None and n_features < 1:
        raise ValueError(f"n_features must be at least 1; got {n_features}.")
    if not isinstance(missing, Real) or np.isinf(missing):
        raise ValueError(f"missing must be finite or NaN; got {missing!r}.")
    rules = Rules(n_features=n_features, first=0 if zero_based else 1)
    ends = None if group is None else np.append(0, np.cumsum(read_group_sizes(group)))

    def chunks() -> Iterator[Chunk]:
        for block, text, ids in _with_ids(paths, rules, ends):
            notes = comments_of(text) if comments else None
            for rows, X in dense_chunks(block, rules.first, missing):
                yield Chunk(X, block.labels[rows, None], ids[rows], notes and notes[rows])

    return Source(
        chunks=chunks(),
        names=("relevance",),
        feature_names=None,
        description=f"Read from {', '.join(map(str, paths))}.",
        first=rules.first,
        width=n_features,
        missing=missing,
    )
