"""LETOR files as chunks of documents."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .chunks import Chunk, Source
from .letor_block import Block, Rules, dense_parts
from .letor_groups import group_sizes, query_ids
from .letor_stream import check_options, paths_of, stream_blocks

__all__ = ["letor_source"]


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
