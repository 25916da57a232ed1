"""The way from the package registry to the data home, with pip played by a stand-in."""

import hashlib
import io
import os
import re
import subprocess
import sys
import tarfile
import threading
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from hyperrank.datasets import fetch
from hyperrank.datasets.fetch import Archive, FetchError

CONTENT = {"a.txt": b"first" * 1000, "b.txt": b"second"}
DIGESTS = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENT.items()}


def zip_bytes(files):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def archive_bytes(files):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return stream.getvalue()


MEMBERS = {f"p-1/{name}": content for name, content in CONTENT.items()} | {"../evil.txt": b"x"}
GOOD = archive_bytes(MEMBERS)


@pytest.fixture
def requirements(tmp_path):
    path = tmp_path / "req.txt"
    path.write_text("p==1 --hash=sha256:00\n")
    return path


@pytest.fixture
def package(requirements):
    return Archive("The data", requirements, "p-1/", DIGESTS, "data")


@pytest.fixture
def pip(monkeypatch):
    """Let pip deliver what the test says, and note how it was called."""
    calls = []

    def play(archive=None, status=0, stderr="", error=None):
        def run(command, *, cwd, **options):
            calls.append((command, options))
            if error is not None:
                raise error
            if archive is not None:
                suffix = ".whl" if "--only-binary" in command else ".tar.gz"
                Path(cwd, f"p-1{suffix}").write_bytes(archive)
            return subprocess.CompletedProcess(command, status, "", stderr)

        monkeypatch.setattr(fetch.subprocess, "run", run)
        return calls

    return play


def test_only_the_expected_files_arrive(pip, package, requirements, tmp_path):
    calls = pip(GOOD)
    folder = tmp_path / "deep" / "home"
    package.download(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == CONTENT
    assert not list(tmp_path.rglob("evil.txt"))
    command, options = calls[0]
    assert command[:3] == [sys.executable, "-m", "pip"]
    assert {"--require-hashes", "--no-deps", str(requirements)} <= set(command)
    assert command[command.index("--no-binary") + 1] == "p"
    assert options["timeout"] > 0


def test_files_of_a_wheel(pip, package, tmp_path):
    calls = pip(zip_bytes(MEMBERS))
    replace(package, is_wheel=True).download(tmp_path / "home")
    assert {path.name: path.read_bytes() for path in (tmp_path / "home").iterdir()} == CONTENT
    assert not list(tmp_path.rglob("evil.txt"))
    command, _ = calls[0]
    assert command[command.index("--only-binary") + 1] == "p"


@pytest.mark.parametrize("damaged", [b"not a zip", zip_bytes({"p-1/a.txt": CONTENT["a.txt"]})])
def test_a_damaged_wheel(pip, package, tmp_path, damaged):
    pip(damaged)
    with pytest.raises(FetchError, match="damaged or lacks a file"):
        replace(package, is_wheel=True).download(tmp_path / "home")


def test_shipped_requirements_are_pinned_by_hash():
    for archive, package in ((fetch.MSLR, "rankeval==0.8.2"), (fetch.MOVIELENS, "recbole==1.2.1")):
        pinned, digest = archive.requirements.read_text().split()
        assert pinned == package
        assert re.fullmatch("--hash=sha256:[0-9a-f]{64}", digest)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            {"status": 1, "stderr": "noise\nERROR: No matching distribution\n[notice] new pip\n"},
            "status 1; its last line was: ERROR: No matching",
        ),
        ({"status": 1, "stderr": "/usr/bin/python: No module named pip\n"}, "No module named pip"),
        ({"status": 0}, "failed with status 0"),
        ({"error": subprocess.TimeoutExpired("pip", 1)}, "took more than 300 s"),
        ({"archive": b"not a tar"}, "damaged or lacks a file"),
        ({"archive": GOOD[:80]}, "damaged or lacks a file"),
        ({"archive": archive_bytes({"p-1/a.txt": CONTENT["a.txt"]})}, "lacks a file.*b.txt"),
        (
            {"archive": archive_bytes({"p-1/a.txt": b"other", "p-1/b.txt": b"second"})},
            "a.txt .* is not the file expected",
        ),
    ],
)
def test_failures_say_what_happened_and_leave_nothing(pip, package, tmp_path, answer, message):
    pip(**answer)
    folder = tmp_path / "home"
    with pytest.raises(FetchError, match=message):
        package.download(folder)
    assert list(folder.iterdir()) == []


def test_a_home_that_cannot_be_made(pip, package, tmp_path):
    pip(GOOD)
    (tmp_path / "file").write_text("")
    with pytest.raises(FetchError, match=r"cannot be written .* data_home="):
        package.download(tmp_path / "file" / "home")


def test_a_reader_never_sees_half_a_file(pip, package, tmp_path):
    pip(GOOD)
    folder = tmp_path / "home"
    threads = [threading.Thread(target=package.download, args=(folder,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        for name, content in CONTENT.items():
            if (folder / name).exists():
                assert (folder / name).read_bytes() == content
    for thread in threads:
        thread.join()
    assert sorted(os.listdir(folder)) == sorted(CONTENT)


def test_mslr_error_has_the_reason_and_the_ways_out(pip, tmp_path):
    pip(status=1, stderr="ERROR: no network here\n")
    with pytest.raises(OSError, match="no network here") as caught:
        fetch.fetch_mslr_sample(data_home=tmp_path)
    message = str(caught.value)
    assert "HYPERRANK_DATA" in message
    assert "make_multilabel_ranking" in message
    assert "\n" not in message
