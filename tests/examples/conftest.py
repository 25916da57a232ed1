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
import pandas as pd
import pytest

from hyperrank import HyperDPORanker, MixedScoresRanker, datasets
from hyperrank.rankers.base import BaseRanker

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "examples" / "serve.py"
#: Many times what start-up takes, for a machine that does other things.
PATIENCE = 60
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


@pytest.fixture(scope="session")
def data() -> datasets.RankingData:
    return datasets.make_multilabel_ranking(
        n_queries=40, list_size=(5, 30), n_features=6, n_objectives=2, conflict=0.7, random_state=3
    )


@pytest.fixture(scope="session")
def ranker(data) -> HyperDPORanker:
    ranker = HyperDPORanker(
        objectives=("relevance", "clicks"),
        max_epochs=2,
        hidden=(16, 16),
        dropout=0.0,
        beta=1.0,
        random_state=0,
    )
    return ranker.fit(data.X, data.Y, qid=data.qid)


@pytest.fixture(scope="session")
def named(data) -> MixedScoresRanker:
    """Fitted on a frame, and of a class that knows no temperature."""
    frame = pd.DataFrame(data.X, columns=[f"f{j}" for j in range(data.X.shape[1])])
    return MixedScoresRanker(objectives=("quality", "margin"), random_state=0).fit(
        frame, data.Y, qid=data.qid
    )


@pytest.fixture(scope="session")
def saved(ranker: BaseRanker, tmp_path_factory) -> Path:
    return ranker.save(tmp_path_factory.mktemp("saved") / "model.safetensors")


@pytest.fixture(scope="session")
def server(saved) -> Iterator[Running]:
    with serving(saved, max_bytes=MAX_BYTES, max_documents=MAX_DOCUMENTS) as running:
        yield running


@pytest.fixture(scope="session")
def client(server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=PATIENCE) as client:
        yield client


@pytest.fixture(scope="module")
def tight(ranker, tmp_path_factory) -> Iterator[Running]:
    """A server with two places, and little patience."""
    path = ranker.save(tmp_path_factory.mktemp("tight") / "model.safetensors")
    with serving(path, threads=1, max_waiting=1, body_seconds=3, reload_seconds=0.1) as running:
        yield running
