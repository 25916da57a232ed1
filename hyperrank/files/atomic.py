"""Atomic writing of files and folders, and what may be written to."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hyperrank._checks import as_path

try:
    import fcntl
except ImportError:  # Windows does not delete files that are open, so that it needs no locks
    fcntl = None  # type: ignore[assignment]

#: Flags to open a file that is not there yet; O_BINARY is Windows' own.
NEW_FILE = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0)
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
    """Refuse a name that says another format than the suffix `expected`; none, or an unknown one, will do."""
    suffix = as_path(path).suffix.lower()
    if suffix in KNOWN_SUFFIXES and suffix != expected:
        raise ValueError(
            f"{path} ends in {suffix}, but what is written is {expected[1:]}: name it "
            f"{Path(path).with_suffix(expected).name}."
        )


def check_writable(path: str | Path) -> Path:
    """The regular file that writing to a path would replace, behind a link its target; or an OSError."""
    target = Path(os.path.realpath(as_path(path)))
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
    is killed on the way leaves a file that ends in ``.partial``: the next write of that name deletes it.
    """
    path = as_path(path)
    target = check_writable(path)
    _delete_leftovers(target)
    number, partial = _locked_partial(target, lambda path: os.open(path, NEW_FILE, 0o666))
    try:
        with os.fdopen(number, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            if target.exists():
                os.chmod(partial, target.stat().st_mode & 0o777)
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


@contextmanager
def atomic_folder(path: str | Path, *, overwrite: bool = False) -> Iterator[Path]:
    """A folder that gets its name when the block ends, and is deleted when the block fails.

    Until then its name ends in ``.partial``: that of a killed process is deleted by the next one that writes
    this name. An OSError if something is there already, unless it is to be overwritten.
    """
    target = as_path(path)
    if not overwrite and (target.exists() or target.is_symlink()):
        message = "There is something already; delete it or choose another name"
        raise FileExistsError(errno.EEXIST, message, str(target))
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "There is no such folder", str(target.parent))
    _delete_leftovers(target)
    number, partial = _locked_partial(target, _open_new_folder)
    try:
        yield partial
        _sync_folder(partial)
        _take_name(partial, target)
    except BaseException as error:
        shutil.rmtree(partial, ignore_errors=True)
        if isinstance(error, OSError) and error.filename is None:  # a disk that is full does not say which
            raise OSError(error.errno, f"{error.strerror}; nothing was kept", str(target)) from error
        raise
    finally:
        os.close(number)
    _sync_folder(target.parent)


def _take_name(partial: Path, target: Path) -> None:
    """Rename a folder; what had the name stays until then, and comes back if that fails."""
    if not target.exists():
        os.rename(partial, target)
        return
    old = partial.with_suffix(".old")
    os.rename(target, old)
    try:
        os.rename(partial, target)
    except BaseException:
        os.rename(old, target)
        raise
    shutil.rmtree(old)


def _locked_partial(target: Path, create: Callable[[Path], int]) -> tuple[int, Path]:
    """A new file or folder, and its descriptor, that nobody takes for the leftover of a killed process."""
    while True:
        partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}.partial")
        with suppress(FileNotFoundError):  # deleted before it was open
            number = create(partial)
            _lock(number, wait=True)
            if partial.exists():
                return number, partial
            os.close(number)  # deleted before it was locked


def _open_new_folder(path: Path) -> int:
    path.mkdir()
    return os.open(path if fcntl is not None else os.devnull, os.O_RDONLY)  # Windows opens no folders


def _delete_leftovers(target: Path) -> None:
    """Delete what killed processes left of writing this name: unlike a living one's, nobody locks it."""
    # Of a folder that was replaced the old one is needed as long as the new one has not its name.
    endings = "partial|old" if target.exists() else "partial"
    name = re.compile(rf"\.{re.escape(target.name)}\.[a-z0-9_]{{8}}\.({endings})")
    leftovers = [entry.path for entry in os.scandir(target.parent) if name.fullmatch(entry.name)]
    for path in leftovers:
        with suppress(OSError):
            number = None if fcntl is None else os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                if number is None or _lock(number):
                    shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
            finally:
                if number is not None:
                    os.close(number)


def _lock(number: int, *, wait: bool = False) -> bool:
    """Lock an open file, or wait for its lock; False if somebody else has it or there are no locks."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(number, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
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
