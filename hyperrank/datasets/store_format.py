"""The columnar store on disk: a folder of raw arrays and `store.json`, which is written last.

========================  =====================================================================
``X.f32``                 features, row after row, little-endian float32, NaN where missing
``Y.f32``                 labels likewise, a column per objective, NaN where unobserved
``offsets.i64``           where each query's rows begin, and the end of the last
``ids.i64``               the query ids, if all are integers; or else
``ids.utf8``              their texts, one after the other in UTF-8, and
``id_ends.i64``           where each text ends
``checksums.u32``         CRC-32 of each 16 MiB of the files above, in this order
``store.json``            sizes, names, and the checksum of itself and of ``checksums.u32``
========================  =====================================================================
"""

from __future__ import annotations

import hashlib
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["BLOCK_BYTES", "FORMAT", "StoreError", "describe", "read_description"]

FORMAT = 1
KIND = "hyperrank store"
DESCRIPTION = "store.json"
CHECKSUMS = "checksums.u32"
#: How the names of folders end in which a store is being made.
PARTIAL = ".partial"
#: Bytes under one checksum.
BLOCK_BYTES = 1 << 24
DTYPES = {"f32": "<f4", "i64": "<i8", "u32": "<u4", "utf8": "|u1"}


class StoreError(ValueError):
    """A folder is no store, or a damaged one; the message says which file and what to do."""


def dtype_of(file: str) -> np.dtype[Any]:
    """Type of a file's numbers, by the end of its name."""
    return np.dtype(DTYPES[file.rpartition(".")[2]])


def n_blocks(n_bytes: int) -> int:
    """Checksums of a file."""
    return -(-n_bytes // BLOCK_BYTES)


def describe(shapes: dict[str, list[int]], checksums: NDArray[np.uint32], **content: Any) -> str:
    """Text of ``store.json``.

    Parameters
    ----------
    shapes : dict of str to list of int
        Shape of each array, by file.
    checksums : ndarray of uint32
    **content
        Names and sizes, as JSON knows them.
    """
    document = {
        "kind": KIND,
        "format": FORMAT,
        "arrays": shapes,
        "checksums": zlib.crc32(checksums.tobytes()),
        **content,
    }
    return json.dumps({**document, "sha256": _digest(document)}, indent=1, allow_nan=False)


def read_description(folder: Path) -> dict[str, Any]:
    """Read and check ``store.json``.

    Raises
    ------
    StoreError
        If it is not there, unfinished, damaged, of another kind or of a newer format.
    """
    path = folder / DESCRIPTION
    if folder.name.endswith(PARTIAL):
        raise StoreError(
            f"{folder} was never finished: the process that wrote it died. Delete it and convert again."
        )
    if not path.is_file():
        what = "is no folder" if folder.exists() and not folder.is_dir() else f"has no {DESCRIPTION}"
        raise StoreError(
            f"{folder} {what}: this is no store. hyperrank.datasets.convert makes one from files or frames."
        )
    try:
        document = json.loads(path.read_bytes())
        digest = document.pop("sha256", None)
    except (ValueError, RecursionError, AttributeError, TypeError) as error:
        raise StoreError(f"{path} is damaged: {error}. Convert the source again.") from error
    if document.get("kind") != KIND:
        raise StoreError(f"{path} does not describe a store.")
    found = document.get("format")
    if isinstance(found, int) and found > FORMAT:
        raise StoreError(
            f"{folder} has format {found}; this version reads up to {FORMAT}: "
            "pip install --upgrade hyperrank."
        )
    if digest != _digest(document):
        raise StoreError(f"{path} is damaged: it does not match its checksum. Convert the source again.")
    return dict(document)


def _digest(document: dict[str, Any]) -> str:
    """Checksum of the description."""
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
