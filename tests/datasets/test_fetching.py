"""The way from the package registry to the data home, with pip played by a stand-in."""

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import threading
from pathlib import Path

import pytest

from hyperrank.datasets import mslr
from hyperrank.datasets import mslr as fetching
from hyperrank.datasets.mslr import FetchError, download_members

CONTENT = {"a.txt": b"first" * 1000, "b.txt": b"second"}
DIGESTS = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENT.items()}


def archive_bytes(files):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return stream.getvalue()


GOOD = archive_bytes({f"p-1/{name}": content for name, content in CONTENT.items()} | {"../evil.txt": b"x"})


@pytest.fixture
def requirements(tmp_path):
    path = tmp_path / "req.txt"
    path.write_text("p==1 --hash=sha256:00\n")
    return path


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
                Path(cwd, "p-1.tar.gz").write_bytes(archive)
            return subprocess.CompletedProcess(command, status, "", stderr)

        monkeypatch.setattr(fetching.subprocess, "run", run)
        return calls

    return play


def test_only_the_files_wanted_arrive(pip, requirements, tmp_path):
    calls = pip(GOOD)
    folder = tmp_path / "deep" / "home"
    download_members(requirements, "p-1/", DIGESTS, folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == CONTENT
    assert not list(tmp_path.rglob("evil.txt"))
    command, options = calls[0]
    assert command[:3] == [sys.executable, "-m", "pip"]
    assert {"--require-hashes", "--no-deps", str(requirements)} <= set(command)
    assert command[command.index("--no-binary") + 1] == "p"
    assert options["timeout"] > 0


def test_the_shipped_requirement_is_pinned_by_hash():
    text = mslr.REQUIREMENTS.read_text().split()
    assert text[0] == "rankeval==0.8.2"
    assert text[1] == "--hash=sha256:c7d71602ab7fe0a0281976c1f0e883cb16431f72e4e946e5fd83790449bb21a9"


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
def test_failures_say_what_happened_and_leave_nothing(pip, requirements, tmp_path, answer, message):
    pip(**answer)
    folder = tmp_path / "home"
    with pytest.raises(FetchError, match=message):
        download_members(requirements, "p-1/", DIGESTS, folder)
    assert list(folder.iterdir()) == []


def test_a_home_that_cannot_be_made(pip, requirements, tmp_path):
    pip(GOOD)
    (tmp_path / "file").write_text("")
    with pytest.raises(FetchError, match=r"cannot be written .* data_home="):
        download_members(requirements, "p-1/", DIGESTS, tmp_path / "file" / "home")


def test_a_reader_never_sees_half_a_file(pip, requirements, tmp_path):
    pip(GOOD)
    folder = tmp_path / "home"
    threads = [
        threading.Thread(target=download_members, args=(requirements, "p-1/", DIGESTS, folder))
        for _ in range(8)
    ]
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
        mslr.fetch_mslr_sample(data_home=tmp_path)
    message = str(caught.value)
    assert "HYPERRANK_DATA" in message
    assert "make_multilabel_ranking" in message
    assert "\n" not in message
