"""LETOR text in one pass of machine code, where numba is installed: the extra ``hyperrank[fast]``.

It reads what is plain, to the bit as the other parsers do, and gives up on all else: `letor_fast` then reads
it, and `letor_lines` says what is wrong.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from hyperrank.datasets._letor_lines import Block, number
from hyperrank.datasets.letor_scan import scan

__all__ = ["compiled_parser"]


class CompiledParser:
    """Reads whole lines of plain LETOR text.

    Parameters
    ----------
    scanner : callable
        `hyperrank.datasets.letor_scan.scan`, compiled or not.
    """

    def __init__(self, scanner: Any) -> None:
        self._scan = scanner

    def __call__(self, text: bytes) -> Block | None:
        """Read whole lines; None if they are not all plain."""
        raw = np.frombuffer(text, dtype=np.uint8)
        most_rows, most_values = text.count(b"\n") + 1, text.count(b":")
        labels, ids = np.empty(most_rows, dtype=np.float32), np.empty(most_rows, dtype=np.int64)
        counts = np.empty(most_rows, dtype=np.int64)
        index, values = np.empty(most_values, dtype=np.int32), np.empty(most_values, dtype=np.float32)
        odd = np.empty((most_values, 3), dtype=np.int64)
        n_rows, n_values, with_ids, n_odd = self._scan(raw, labels, ids, counts, index, values, odd)
        if n_rows < 1 or 0 < with_ids < n_rows:
            return None
        for which, start, end in odd[:n_odd].tolist():
            value = number(text[start:end])
            if value is None or abs(value) == np.inf:
                return None
            values[which] = value
        return Block(
            labels[:n_rows],
            ids[:n_rows] if with_ids else None,
            counts[:n_rows],
            index[:n_values],
            values[:n_values],
        )


@cache
def compiled_parser() -> CompiledParser | None:
    """The parser, compiled once and kept on the disk; None without numba."""
    try:
        import numba
    except ImportError:
        return None
    try:
        return CompiledParser(numba.njit(nogil=True, cache=True)(scan))
    except RuntimeError:  # there is no folder to keep it in
        return CompiledParser(numba.njit(nogil=True)(scan))
