"""A file is written whole or not at all, whatever happens on the way."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from hyperrank.files import atomic, atomic_folder, write_atomically

WRITER = """
import sys
from hyperrank.files.atomic import write_atomically
print("ready", flush=True)
number = 0
while True:
    number += 1
    write_atomically(sys.argv[1], bytes([number % 251]) * 3_000_000)
"""


def test_content_replaces_content(tmp_path):
    path = tmp_path / "file"
    assert write_atomically(path, b"one") == path
    write_atomically(str(path), b"two")
    assert path.read_bytes() == b"two"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name != "posix", reason="signals and permissions of POSIX")
def test_killed_at_any_moment_the_file_is_whole(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"\0" * 3_000_000)
    rng = random.Random(0)
    for _ in range(8):
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(rng.uniform(0.0, 0.05))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        content = path.read_bytes()
        assert len(content) == 3_000_000
        assert len(set(content)) == 1


def test_what_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name != "posix", reason="signals and permissions of POSIX")
def test_permissions_are_those_of_any_new_file_or_of_the_old_one(tmp_path):
    ordinary, ours = tmp_path / "ordinary", tmp_path / "ours"
    ordinary.write_bytes(b"")
    write_atomically(ours, b"")
    assert ours.stat().st_mode == ordinary.stat().st_mode
    ours.chmod(0o640)
    write_atomically(ours, b"again")
    assert ours.stat().st_mode & 0o777 == 0o640


def test_no_folder_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no such folder.*nowhere"):
        write_atomically(tmp_path / "nowhere" / "file", b"")
    with pytest.raises(IsADirectoryError, match=r"is a folder; expected the name of a file: '.*[^l]'$"):
        write_atomically(tmp_path, b"new")


@pytest.mark.skipif(os.name != "posix", reason="locks of POSIX")
@pytest.mark.parametrize("is_folder", [False, True])
def test_what_another_process_deletes_before_it_is_locked_is_made_again(tmp_path, monkeypatch, is_folder):
    lock, locked = atomic._lock, []

    def delete_first(number, *, wait=False):
        if wait and not locked:
            for partial in tmp_path.glob("*.partial"):
                partial.rmdir() if is_folder else partial.unlink()
        locked.append(number)
        return lock(number, wait=wait)

    monkeypatch.setattr(atomic, "_lock", delete_first)
    path = tmp_path / "name"
    if is_folder:
        with atomic_folder(path) as partial:
            (partial / "file").write_bytes(b"new")
        assert (path / "file").read_bytes() == b"new"
    else:
        assert write_atomically(path, b"new").read_bytes() == b"new"
    assert len(locked) == 2
    assert list(tmp_path.glob("*.partial")) == []
