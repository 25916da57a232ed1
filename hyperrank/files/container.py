"""One safetensors file: arrays as tensors, all else as JSON in its header, and a checksum over both."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperrank.files.atomic import write_atomically
from hyperrank.files.plain import NotPlainError, from_plain, to_plain

__all__ = ["FORMAT", "ModelFileError", "read_model_file", "write_model_file"]

#: The format that is written; older ones are read.
FORMAT = 1
#: Where the header holds our JSON.
KEY = "hyperrank"


class ModelFileError(ValueError):
    """A file cannot be written or read; the message says which, why, and what to do."""


def write_model_file(path: str | Path, content: Mapping[str, Any], *, head: Mapping[str, Any]) -> Path:
    """Write values to a file, whole or not at all.

    Parameters
    ----------
    path : path
        Replaced if it exists.
    content : mapping of str to object
        Plain values, arrays, and instances of classes that are `hyperrank.files.storable`.
    head : mapping of str to object
        What JSON knows, to be read without the rest.

    Returns
    -------
    Path

    Raises
    ------
    ModelFileError
        If the content holds anything that cannot be stored without pickle.
    OSError
        If the file cannot be written; an old one is then as it was.
    """
    from safetensors.numpy import save

    tensors: dict[str, NDArray[Any]] = {}
    try:
        plain = {name: to_plain(value, tensors, name) for name, value in content.items()}
    except NotPlainError as error:
        raise ModelFileError(f"{path} was not written: {error}") from error
    document = {"format": FORMAT, **head, "content": plain}
    document["sha256"] = _checksum(document, tensors)
    return write_atomically(path, save(tensors, metadata={KEY: json.dumps(document, allow_nan=False)}))


def read_model_file(path: str | Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read what `write_model_file` wrote; nothing in the file is ever run.

    Returns
    -------
    head, content : dict

    Raises
    ------
    ModelFileError
        If the file is no such file, damaged, cut off, or of a newer format.
    OSError
        If it cannot be opened.
    """
    document, tensors = _opened(Path(path))
    found = document.get("format")
    if not isinstance(found, int) or found < 1:
        raise ModelFileError(f"{path} is damaged: its format is {found!r}.")
    if found > FORMAT:
        raise ModelFileError(
            f"{path} has format {found}; this version reads up to {FORMAT}: pip install --upgrade hyperrank."
        )
    if document.pop("sha256", None) != _checksum(document, tensors):
        raise ModelFileError(f"{path} is damaged: its content does not match its checksum.")
    try:
        content = from_plain(document.pop("content"), tensors)
        assert isinstance(content, dict)
    except Exception as error:  # whatever hostile content runs into
        raise ModelFileError(f"{path} does not hold what it says: {_brief(error)}") from error
    return document, content


def _opened(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The JSON and the tensors of a file."""
    from safetensors import SafetensorError, safe_open

    if path.is_dir():
        raise ModelFileError(f"{path} is a folder; wanted a file that save wrote.")
    path.open("rb").close()  # an OSError that names the file
    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelFileError(f"{path} is no safetensors file, or it is cut off: {_brief(error)}") from error
    if KEY not in metadata:
        raise ModelFileError(f"{path} is a safetensors file, but not one that hyperrank wrote.")
    try:
        document = json.loads(metadata[KEY])
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{path} is damaged: {_brief(error)}") from error
    if not isinstance(document, dict):
        raise ModelFileError(f"{path} is damaged: its header is no object.")
    return document, tensors


def _checksum(document: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> str:
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
