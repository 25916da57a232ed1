"""Atomic writing of files, and what may be written to."""

from __future__ import annotations

import errno
import os
import re
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows does not delete files that are open, so that it needs no locks
    fcntl = None  # type: ignore[assignment]

__all__ = ["check_suffix", "check_writable", "write_atomically"]

#: Suffixes of well-known formats. A file that has one is opened by what cannot read it.
KNOWN_SUFFIXES = frozenset(
    f".{suffix}"
    for suffix in (
        *("pkl", "pickle", "joblib", "dill", "pt", "pth", "ckpt", "bin", "h5", "hdf5", "npy", "npz", "ubj"),
        *("safetensors", "onnx", "cbm", "json", "yaml", "yml", "toml", "txt", "csv", "tsv", "parquet"),
        *("feather", "arrow", "html", "md", "png", "svg", "pdf", "py", "zip", "gz", "tar", "xlsx", "svm"),
    )
)


def check_suffix(path: str | Path, expected: str) -> None:
    """Refuse a name that says another format.

    Parameters
    ----------
    path : path
    expected : str
        The suffix of the format, such as ``".onnx"``. None, or one that is not known, will do as well.

    Raises
    ------
    ValueError
        If the suffix is that of another format.
    """
    suffix = Path(path).suffix.lower()
    if suffix in KNOWN_SUFFIXES and suffix != expected:
        raise ValueError(
            f"{path} ends in {suffix}, but what is written is {expected[1:]}: name it "
            f"{Path(path).with_suffix(expected).name}."
        )


def check_writable(path: str | Path) -> Path:
    """The regular file that writing to a path would replace: behind a symbolic link its target.

    Parameters
    ----------
    path : path

    Returns
    -------
    Path

    Raises
    ------
    OSError
        If the path is a folder, a device, a pipe or a socket, or its folder does not exist.
    """
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "There is no such folder", str(target.parent))
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        return target
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "This is a folder; expected the name of a file", str(path))
    if not stat.S_ISREG(mode):
        # Taking its name would destroy a device for the whole machine.
        raise OSError(
            errno.EINVAL, "This is a device, pipe or socket; expected the name of a file", str(path)
        )
    return target


def write_atomically(path: str | Path, content: bytes) -> Path:
    """Write a file so that whoever reads it, at whatever moment, finds the old content or the new.

    The new content goes to a file next to it, is forced to disk and takes the old one's name. A process that
    is killed on the way leaves the old file as it was, and perhaps a file that ends in ``.partial``: the next
    write of that name deletes it.

    Parameters
    ----------
    path : path
        Its folder must exist. Of a symbolic link the target is written.
    content : bytes

    Returns
    -------
    Path
        As given.

    Raises
    ------
    OSError
        If it cannot be written, or is not a regular file; then nothing has changed.
    """
    path = Path(path)
    target = check_writable(path)
    _delete_leftovers(target)
    mode = target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_umask()
    number, partial = _locked_partial(target)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            os.chmod(partial, mode)
            if fcntl is not None:
                os.replace(partial, target)  # while the lock is held
        if fcntl is None:
            os.replace(partial, target)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(partial)
        raise
    _sync_folder(target.parent)
    return path


def _locked_partial(target: Path) -> tuple[int, str]:
    """A new file that nobody takes for the leftover of a killed process."""
    while True:
        number, partial = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".partial", dir=target.parent)
        _lock(number)
        if os.path.exists(partial):
            return number, partial
        os.close(number)  # deleted before it was locked


def _delete_leftovers(target: Path) -> None:
    """Delete what killed processes left of writing this name: unlike a living one's, nobody locks it."""
    name = re.compile(rf"\.{re.escape(target.name)}\.[a-z0-9_]{{8}}\.partial")
    with suppress(OSError):
        leftovers = [entry.path for entry in os.scandir(target.parent) if name.fullmatch(entry.name)]
        for path in leftovers:
            if fcntl is None:
                os.unlink(path)
                continue
            number = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
            try:
                if _lock(number):
                    os.unlink(path)
            finally:
                os.close(number)


def _lock(number: int) -> bool:
    """Lock an open file, unless somebody else has; False too where there are no locks."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _sync_folder(folder: Path) -> None:
    """Force to disk that the file has this name now, where the system can."""
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
