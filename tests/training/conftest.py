"""Writing without waiting for the disk, which tests of files do, and a terminal to look at."""

import io
import os
from types import SimpleNamespace

import pytest


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)


class Terminal(io.StringIO):
    """A terminal's stderr."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    stream = Terminal()
    # Not sys itself, whose stderr pytest sets anew when the test begins.
    monkeypatch.setattr("hyperrank._progress.sys", SimpleNamespace(stderr=stream))
    return stream
