"""Query ids of files whose lines have none: rows per query, given apart."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["group_sizes", "query_ids"]


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
