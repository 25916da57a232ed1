"""The example's server in a process of its own, and what tests ask of it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "examples" / "serve.py"
#: Many times what start-up takes, for a machine that does other things.
PATIENCE = 240
#: Limits of the server under test, small enough to be passed.
MAX_BYTES, MAX_DOCUMENTS = 100_000, 60


@dataclass(frozen=True)
class Running:
    """A server in a process of its own."""

    process: subprocess.Popen[bytes]
    port: int
    path: Path
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def half_a_request(self, body: bytes) -> socket.socket:
        """A connection whose request waits for the second half of its body."""
        head = (
            f"POST /rank HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        )
        connection = self.connect()
        connection.sendall(f"{head}\r\nConnection: close\r\n\r\n".encode() + body[: len(body) // 2])
        return connection


def rest(connection: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    return b"".join(iter(lambda: connection.recv(65536), b""))


def wait_until(done, message: str) -> None:
    end = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < end, message
        time.sleep(0.05)


@contextmanager
def serving(path: Path, **settings: float) -> Iterator[Running]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    named = {f"HYPERRANK_SERVE_{name.upper()}": str(value) for name, value in settings.items()}
    root = str(SCRIPT.parents[2])
    log = path.with_suffix(".log")
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, str(SCRIPT), str(path), "--port", str(port)],
            stdout=file,
            stderr=file,
            env={
                **os.environ,
                **named,
                "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]),
            },
        )
    server = Running(process, port, path, log)

    def answers() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            return httpx.get(f"{server.url}/health").status_code == 200
        except httpx.ConnectError:
            return False

    try:
        wait_until(answers, "the server does not answer")
        yield server
    finally:
        process.kill()
        process.wait()
