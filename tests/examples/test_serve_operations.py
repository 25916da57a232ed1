"""The HTTP example in operation: busy, slow clients, a new model, a fault, the end."""

import asyncio
import dataclasses
import importlib
import json
import re
import signal
import threading
import time

import httpx
import numpy as np
import pandas as pd
import pytest
from served_process import PATIENCE, SCRIPT, rest, wait_until

pytestmark = pytest.mark.slow

BODY = json.dumps({"documents": [[0.0] * 6]}).encode()


def test_past_the_queue_the_answer_is_try_again(tight):
    with tight.half_a_request(BODY) as first, tight.half_a_request(BODY) as second:
        # Half a request is heard of a moment after it was sent.
        wait_until(lambda: _post(tight).status_code == 503, "two places hold three requests")
        assert _post(tight).headers["retry-after"] == "1"
        assert "busy" in _post(tight).json()["error"]
        first.sendall(BODY[len(BODY) // 2 :])
        assert rest(first).startswith(b"HTTP/1.1 200")
        assert _post(tight).status_code == 200
        assert rest(second).startswith(b"HTTP/1.1 408")


def test_a_place_is_free_again_when_its_client_leaves(tight):
    for _ in range(4):
        tight.half_a_request(BODY).close()
    wait_until(lambda: _post(tight).status_code == 200, "who left still holds a place")


@pytest.fixture(scope="module")
def replaced(tight, named):
    """The server, its model's file replaced by another one."""
    named.save(tight.path)
    wait_until(
        lambda: httpx.get(f"{tight.url}/health").json()["model"] == "MixedScoresRanker", "the old model stays"
    )
    return tight


def test_a_new_model_is_served(replaced, named, data):
    about = httpx.get(f"{replaced.url}/health").json()
    assert about["objectives"] == ["quality", "margin"]
    assert about["feature_names"] == [f"f{j}" for j in range(6)]
    documents = [{f"f{j}": row[j] for j in (5, 0, 1, 2, 3, 4)} for row in data.X[:9].tolist()]
    documents[2]["f3"] = None
    X = data.X[:9].copy()
    X[2, 3] = np.nan
    scores = named.predict(pd.DataFrame(X, columns=about["feature_names"]), weights=[0.2, 0.8])
    answer = _post(replaced, {"documents": documents, "weights": {"margin": 0.8, "quality": 0.2}}).json()
    assert answer["order"] == np.argsort(-scores, kind="stable").tolist()
    np.testing.assert_array_equal(answer["scores"], np.sort(scores)[::-1])
    rows = [[document[name] for name in about["feature_names"]] for document in documents]
    assert _post(replaced, {"documents": rows, "weights": [0.2, 0.8]}).json() == answer


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"documents": [[0.0] * 5]}, "documents[0]"),
        ({"documents": [{"f0": 1, "f9": 2}]}, "lacks features ['f1', 'f2', 'f3', 'f4', 'f5']"),
        ({"documents": [{**{f"f{j}": 0 for j in range(6)}, "f9": 2}]}, "unknown ones ['f9']"),
        ({"documents": [{f"g{j}": 0 for j in range(13)}]}, "at most 12"),
        ({"documents": [{f"f{j}": 0 for j in range(6)}], "temperature": 1}, "temperature means nothing"),
    ],
)
def test_named_features_are_checked_by_name(replaced, body, reason):
    answer = _post(replaced, body)
    assert answer.status_code == 422
    assert reason in answer.json()["error"]


def test_a_broken_file_does_not_replace_the_model(replaced):
    before = httpx.get(f"{replaced.url}/health").json()
    replaced.path.write_bytes(b"no model")
    wait_until(lambda: "The model stays as it was" in replaced.log.read_text(), "nobody saw the broken file")
    assert httpx.get(f"{replaced.url}/health").json() == before


def test_the_reload_outlives_files_of_any_kind(serve, saved, ranker, tmp_path, monkeypatch):
    """Whatever goes wrong with a file is logged once, and the next good one is served."""
    path = tmp_path / "model.safetensors"
    path.write_bytes(saved.read_bytes())
    limits = serve.Settings(reload_seconds=0.01)
    app = serve.create_app(path, limits)
    before, read, seen = app.state.model, serve.Model.read, []

    def read_or_fail(path, settings):
        seen.append(path.stat().st_size)
        if path.stat().st_size < 10:
            raise AttributeError("a safetensors file of something else")
        return read(path, settings)

    monkeypatch.setattr(serve.Model, "read", read_or_fail)

    async def replace_twice():
        following = asyncio.create_task(serve.follow(app, path, limits))
        path.write_bytes(b"other")
        while not seen:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        assert (app.state.model, seen) == (before, [5])
        ranker.save(path)
        while app.state.model is before:
            assert not following.done()
            await asyncio.sleep(0.01)
        following.cancel()

    asyncio.run(asyncio.wait_for(replace_twice(), 60))
    assert seen[0] == 5


@pytest.fixture
def serve(monkeypatch):
    """The example's module; what it does to the environment ends with the test."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.syspath_prepend(SCRIPT.parent)
    return importlib.import_module("serve")


def test_faults_say_nothing_of_the_inside(serve, saved):
    app = serve.create_app(saved)

    class Broken:
        def rank(self, body):
            raise RuntimeError("secret")

    app.state.model = Broken()

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return await client.post("/rank", json={})

    answer = asyncio.run(ask())
    assert answer.status_code == 500
    assert list(answer.json()) == ["error"]
    assert "secret" not in answer.text


def test_others_are_answered_while_every_thread_is_busy(serve, saved):
    """An event holds the ranking back, so that the order of things is no matter of speed."""
    settings = serve.Settings(threads=2)
    app = serve.create_app(saved, settings)
    predict, go_on = app.state.model.ranker.predict, threading.Event()
    busy = threading.Semaphore(0)

    def held_back(X, **given):
        busy.release()
        assert go_on.wait(PATIENCE)
        return predict(X, **given)

    app.state.model.ranker.predict = held_back

    async def ask() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
            post = {"url": "/rank", "content": BODY, "headers": {"content-type": "application/json"}}
            asked = [asyncio.create_task(client.post(**post)) for _ in range(settings.threads + 3)]
            try:
                for _ in range(settings.threads):
                    assert await asyncio.to_thread(busy.acquire, timeout=PATIENCE)
                assert (await client.get("/health")).status_code == 200
                assert not any(task.done() for task in asked)
            finally:
                go_on.set()
            assert [(await task).status_code for task in asked] == [200] * len(asked)

    asyncio.run(ask())


def test_scores_that_are_no_numbers_are_refused(serve, saved):
    model = serve.Model.read(saved, serve.Settings())
    model.ranker.predict = lambda X, **_: np.full(len(X), np.inf)
    with pytest.raises(serve.HTTPException, match="not finite"):
        model.rank(BODY)


@pytest.mark.parametrize("value", ["many", "0", "-1", "nan"])
def test_settings_from_the_environment_are_checked(serve, monkeypatch, value):
    monkeypatch.setenv("HYPERRANK_SERVE_BODY_SECONDS", "2.5")
    assert serve.Settings.from_environment().body_seconds == 2.5
    monkeypatch.setenv("HYPERRANK_SERVE_BODY_SECONDS", value)
    with pytest.raises(ValueError, match=r"BODY_SECONDS|body_seconds"):
        serve.Settings.from_environment()


def test_all_settings_are_documented(serve):
    text = (SCRIPT.parents[1] / "serving.md").read_text()
    found = re.findall(r"^\| `([A-Z_]+)` \|", text, re.MULTILINE)
    assert found == [field.name.upper() for field in dataclasses.fields(serve.Settings)]


def test_the_documented_form_is_that_of_the_model(client):
    schemas = client.get("/openapi.json").json()
    posted = schemas["paths"]["/rank"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert posted["properties"]["documents"]["items"]["maxItems"] == 6
    assert posted["additionalProperties"] is False


def test_the_end_waits_for_requests(replaced):
    """The last of the module: it ends the server that the others ask."""
    body = json.dumps({"documents": [{f"f{j}": 0.0 for j in range(6)}]}).encode()
    with replaced.half_a_request(body) as waiting:
        # Behind an answer on a later connection the half request is known to the server.
        assert _post(replaced, json.loads(body)).status_code == 200
        replaced.process.send_signal(signal.SIGTERM)
        wait_until(lambda: _is_closed(replaced), "new connections are still taken")
        time.sleep(0.5)  # many times what a server that waits for nobody takes to end
        waiting.sendall(body[len(body) // 2 :])
        assert rest(waiting).startswith(b"HTTP/1.1 200")
    assert replaced.process.wait(PATIENCE) in (0, -signal.SIGTERM)


def _post(server, body=None) -> httpx.Response:
    content = BODY if body is None else json.dumps(body)
    headers = {"content-type": "application/json"}
    return httpx.post(f"{server.url}/rank", content=content, headers=headers, timeout=PATIENCE)


def _is_closed(server) -> bool:
    try:
        server.connect().close()
    except ConnectionRefusedError:
        return True
    return False
