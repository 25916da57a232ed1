"""LETOR files as a stream of checked blocks, parsed on all cores, with a bounded part of a file in memory."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np

from .letor_block import Block, Rules
from .letor_compiled import compiled_parser
from .letor_fast import parse_block
from .letor_files import whole_lines
from .letor_lines import LineError, parse_lines

__all__ = ["check_options", "paths_of", "stream_blocks"]

PathLike = str | os.PathLike[str]
Given = TypeVar("Given")
Made = TypeVar("Made")

#: More threads than this only wait for the one that reads the file.
MAX_THREADS = 8
#: Files of fewer bytes are read before numba, which takes a second or two, is even imported.
COMPILED_BYTES = 1 << 26


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
        for text, parsed in _in_order(whole_lines(path), _parser(path)):
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


def _parser(path: Path) -> Callable[[bytes], tuple[bytes, Block | None]]:
    """The fastest parser for a file, which gives the text beside what it read."""
    compiled = compiled_parser() if path.stat().st_size >= COMPILED_BYTES else None

    def parse(text: bytes) -> tuple[bytes, Block | None]:
        block = None if compiled is None else compiled(text)
        return text, parse_block(text) if block is None else block

    return parse


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
