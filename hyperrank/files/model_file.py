"""One safetensors file: arrays as tensors, all else as JSON in its header, and a checksum over both."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperrank.files.codec import NotPlainError, from_plain, to_plain

__all__ = [
    "FORMAT",
    "ModelFileError",
    "packed",
    "read_model_file",
    "unpacked",
    "write_atomically",
    "write_model_file",
]


def write_atomically(path: str | Path, content: bytes) -> Path:
    """Write a file so that whoever reads it, at whatever moment, finds the old content or the new.

    The new content goes to a file beside it, is forced to disk and takes the old one's name. A process that
    is killed on the way leaves the old file as it was, and perhaps a file that ends in ``.partial``.

    Parameters
    ----------
    path : path
        Its folder must exist.
    content : bytes

    Returns
    -------
    Path

    Raises
    ------
    OSError
        If it cannot be written; then nothing has changed.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "There is no such folder", str(path.parent))
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "This is a folder; wanted the name of a file", str(path))
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask()
    number, partial = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(partial, mode)
        os.replace(partial, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(partial)
        raise
    _keep_name(path.parent)
    return path


def _keep_name(folder: Path) -> None:
    """Force to disk that the file has this name now, where the system knows how."""
    with suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def _umask() -> int:
    """Permissions that new files do not get; it can only be read by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


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


#: The tensor that holds the JSON; values' own names begin with "value".
DOCUMENT = "json"


def packed(value: Any) -> bytes:
    """A value as bytes.

    Parameters
    ----------
    value : object
        Plain values, arrays, and instances of classes that are `hyperrank.files.storable`.

    Returns
    -------
    bytes

    Raises
    ------
    NotPlainError
        If it holds anything that cannot be stored without pickle.

    Examples
    --------
    >>> unpacked(packed({"share": (0.5, None), "row": np.arange(3)}))
    {'share': (0.5, None), 'row': array([0, 1, 2])}
    """
    from safetensors.numpy import save

    tensors: dict[str, NDArray[Any]] = {}
    document = json.dumps(to_plain(value, tensors, "value"), allow_nan=False)
    return save({DOCUMENT: np.frombuffer(document.encode(), dtype=np.uint8), **tensors})


def unpacked(content: bytes) -> Any:
    """The value that `packed` was given; nothing in the bytes is ever run."""
    from safetensors.numpy import load

    tensors = load(content)
    return from_plain(json.loads(tensors.pop(DOCUMENT).tobytes()), tensors)
