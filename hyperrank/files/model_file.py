"""Model files: safetensors with all but the arrays as JSON in the header, and a checksum over both."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from hyperrank._checks import as_path
from hyperrank.files.atomic import check_suffix, write_atomically
from hyperrank.files.codec import NotStorableError, Tensors, decode, encode

#: The format that is written; older ones are read.
FORMAT = 1
#: Where the header holds our JSON.
KEY = "hyperrank"
#: Bytes of the header: JSON takes many times as much memory.
MAX_HEADER = 1 << 21
#: Bytes that hold the size of the header.
SIZE_BYTES = 8


class ModelFileError(ValueError):
    """A file cannot be written or read; the message says which, why, and what to do."""


def write_model_file(path: str | Path, content: Mapping[str, Any], *, head: Mapping[str, Any]) -> Path:
    """Write values, arrays and instances of storable classes to a file, whole or not at all.

    `head` is JSON, to be read without the rest. A ModelFileError says what cannot be stored, or so named.
    """
    from safetensors.numpy import save

    tensors: Tensors = {}
    try:
        check_suffix(path, ".safetensors")
        plain = {name: encode(value, tensors, name) for name, value in content.items()}
    except (NotStorableError, ValueError) as error:
        raise ModelFileError(f"{path} was not written: {error}") from error
    document = {"format": FORMAT, **head, "content": plain}
    document["sha256"] = _checksum(document, tensors)
    written = save(tensors, metadata={KEY: json.dumps(document, allow_nan=False)})
    if _header_size(written) > MAX_HEADER:
        raise ModelFileError(
            f"{path} was not written: names and settings take {_header_size(written):,} bytes; "
            f"files hold at most {MAX_HEADER:,}."
        )
    return write_atomically(path, written)


def read_model_file(path: str | Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read head and content as `write_model_file` wrote them; nothing in the file is ever run.

    A ModelFileError if it is not such a file, damaged, truncated, or of a newer format.
    """
    document, tensors = _parsed(as_path(path))
    version = document.get("format")
    if not isinstance(version, int) or version < 1:
        raise ModelFileError(f"{path} is damaged: its format is {version!r}.")
    if version > FORMAT:
        raise ModelFileError(
            f"{path} has format {version}; this version reads up to {FORMAT}: "
            "pip install --upgrade hyperrank."
        )
    if document.pop("sha256", None) != _checksum(document, tensors):
        raise ModelFileError(f"{path} is damaged: its content does not match its checksum.")
    try:
        content = decode(document.pop("content"), tensors)
        if tensors or not isinstance(content, dict):
            raise NotStorableError(f"the arrays {sorted(tensors)[:3]} belong to nothing.")
    except Exception as error:  # whatever hostile content runs into
        raise ModelFileError(f"{path} does not hold what it says: {_brief(error)}") from error
    return document, content


def _parsed(path: Path) -> tuple[dict[str, Any], Tensors]:
    """The JSON and the arrays of a file."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    content = _content(path)
    try:
        header = json.loads(content[SIZE_BYTES : SIZE_BYTES + _header_size(content)])
        tensors = load(content)
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelFileError(f"{path} is not a hyperrank model, or truncated: {_brief(error)}") from error
    metadata = header.get("__metadata__", {})
    if KEY not in metadata:
        raise ModelFileError(f"{path} is a safetensors file, but not one that hyperrank wrote.")
    try:
        document = json.loads(metadata[KEY], parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{path} is damaged: {_brief(error)}") from error
    if not isinstance(document, dict):
        raise ModelFileError(f"{path} is damaged: its header is not an object.")
    return document, tensors


def _content(path: Path) -> bytes:
    """All bytes of a file whose header has a size that a header may have.

    Read, not mapped: a mapped file that somebody overwrites ends the process.
    """
    if path.is_dir():
        raise ModelFileError(f"{path} is a folder; expected a file that save wrote.")
    # To open a pipe would wait until somebody writes to it.
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise ModelFileError(f"{path} is a device, pipe or socket; expected a file that save wrote.")
    with path.open("rb") as file:
        start = file.read(SIZE_BYTES)
        if len(start) < SIZE_BYTES or _header_size(start) > MAX_HEADER:
            raise ModelFileError(f"{path} is not a hyperrank model, or truncated: it begins with {start!r}.")
        return start + file.read()


def _header_size(content: bytes) -> int:
    """The size of the header of a safetensors file, by its first bytes."""
    return int(struct.unpack("<Q", content[:SIZE_BYTES])[0])


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _checksum(document: Mapping[str, Any], tensors: Tensors) -> str:
    """SHA-256 of all that a file holds, whatever the order in which it stands there."""
    digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode())
    for name in sorted(tensors):
        array = tensors[name]
        digest.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).data if array.size else b"")
    return digest.hexdigest()


def _brief(error: Exception) -> str:
    """An error in one line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else f"{text[:200]} ..."
