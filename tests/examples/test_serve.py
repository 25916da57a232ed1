"""The HTTP example, asked by a real client over a real socket: what it answers, and what it refuses."""

import asyncio
import json
import re

import httpx
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from served_process import MAX_BYTES, MAX_DOCUMENTS, PATIENCE, SCRIPT, serving

import hyperrank
from hyperrank import MixedScoresRanker

JSON = {"content-type": "application/json"}


def as_json(X) -> list[list[float | None]]:
    return [[None if np.isnan(value) else float(value) for value in row] for row in X]


@pytest.fixture(scope="module")
def documents(data):
    X = data.X[:30].copy()
    X[3, 2] = X[7, 0] = np.nan
    return X


def test_health_says_what_is_served(client):
    assert client.get("/health").json() == {
        "status": "ok",
        "model": "HyperDPORanker",
        "objectives": ["relevance", "clicks"],
        "n_features": 6,
        "feature_names": None,
        "version": hyperrank.__version__,
    }


@pytest.mark.parametrize("weights", [None, [0.3, 0.7], {"clicks": 1.0}, {"relevance": 0.25, "clicks": 0.75}])
@pytest.mark.parametrize("temperature", [None, 0, 2.5])
def test_answers_equal_predict(client, ranker, documents, weights, temperature):
    asked = {"documents": as_json(documents), "weights": weights, "temperature": temperature}
    answer = client.post("/rank", json=asked)
    assert answer.status_code == 200, answer.text
    scores = ranker.predict(documents, weights=weights, temperature=temperature)
    best = np.argsort(-scores, kind="stable")
    assert answer.json()["order"] == best.tolist()
    np.testing.assert_array_equal(answer.json()["scores"], scores[best])
    used = answer.json()["weights"]
    assert list(used) == ["relevance", "clicks"]
    expected = {"clicks": 0.5} if weights is None else weights
    expected = expected["clicks"] if isinstance(expected, dict) else expected[1]
    assert used["clicks"] == pytest.approx(expected)


def test_a_selection_is_served_at_its_temperature(client, ranker, documents, data):
    front = ranker.pareto_front(data.X, data.Y, qid=data.qid, temperature=0.3)
    choice = front.select(at_least={"relevance": 0.9})
    assert choice.temperature == 0.3
    asked = {"documents": as_json(documents), "selection": choice.to_dict()}
    answer = client.post("/rank", json=asked).json()
    scores = ranker.predict(documents, weights=choice)
    np.testing.assert_array_equal(answer["scores"], np.sort(scores)[::-1])
    np.testing.assert_array_equal(scores, ranker.predict(documents, weights=choice.weights, temperature=0.3))
    assert answer["temperature"] == 0.3
    assert answer["weights"] == choice.named_weights.to_dict()


def test_ids_and_top_k(client, ranker, documents):
    ids = [f"d{i}" if i % 2 else i for i in range(len(documents))]
    asked = {"documents": as_json(documents), "ids": ids, "top_k": 4}
    answer = client.post("/rank", json=asked).json()
    best = np.argsort(-ranker.predict(documents), kind="stable")[:4]
    assert answer["order"] == [ids[i] for i in best]
    assert len(answer["scores"]) == 4


def test_equal_scores_keep_the_order_they_came_in(client, documents):
    same = as_json(documents[:1]) * 20
    assert client.post("/rank", json={"documents": same}).json()["order"] == list(range(20))


def test_concurrent_requests_each_with_its_own_weights(server, ranker, data):
    """Nothing fails or is mixed up."""
    rng = np.random.default_rng(0)
    weights = rng.dirichlet([1, 1], size=60)
    lists = [data.X[rng.integers(len(data.X), size=rng.integers(1, MAX_DOCUMENTS))] for _ in weights]

    async def ask():
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=server.url, timeout=PATIENCE, limits=limits) as client:
            asked = [
                client.post("/rank", json={"documents": as_json(X), "weights": at.tolist()})
                for X, at in zip(lists, weights, strict=True)
            ]
            return await asyncio.gather(*asked)

    answers = asyncio.run(ask())
    assert [answer.status_code for answer in answers] == [200] * 60
    for answer, X, at in zip(answers, lists, weights, strict=True):
        scores = ranker.predict(X, weights=at)
        best = np.argsort(-scores, kind="stable")
        assert answer.json()["order"] == best.tolist()
        np.testing.assert_array_equal(answer.json()["scores"], scores[best])


def test_the_documented_request_is_answered_as_documented(client):
    text = (SCRIPT.parents[1] / "serving.md").read_text()
    asked = json.loads(re.search(r"-d '(.*?)'", text, re.DOTALL)[1])
    documented = json.loads(re.search(r"```json\n(.*?)```", text, re.DOTALL)[1])
    answer = client.post("/rank", json=asked).json()
    assert list(answer) == list(documented)
    assert answer["weights"] == documented["weights"]
    assert len(answer["order"]) == len(answer["scores"]) == 2
    assert set(answer["order"]) < set(asked["ids"])


ROW = [0.0] * 6
BAD = {
    "no JSON": (b"{", 400, "Invalid JSON"),
    "nothing": (b"", 400, "Invalid JSON"),
    "no text": (b"\xff\xfe{", 400, "Invalid JSON"),
    "deep": (b"[" * 50_000, 400, "recursion"),
    "an array": ([], 422, "body"),
    "no documents": ({}, 422, "documents: Field required"),
    "zero documents": ({"documents": []}, 422, "documents: .*at least 1"),
    "no list of documents": ({"documents": 3}, 422, "documents"),
    "many documents": ({"documents": [ROW] * (MAX_DOCUMENTS + 1)}, 422, f"at most {MAX_DOCUMENTS} .*not 61"),
    "few features": ({"documents": [ROW, ROW[:4]]}, 422, r"documents\[1\].*at least 6 .*not 4"),
    "many features": ({"documents": [ROW + ROW]}, 422, r"documents\[0\].*at most 6 .*not 12"),
    "named features": ({"documents": [{"f0": 1}]}, 422, r"documents\[0\]"),
    "text": ({"documents": [["1", *ROW[1:]]]}, 422, r"documents\[0\]\[0\].*number"),
    "a truth value": ({"documents": [[*ROW[1:], True]]}, 422, r"documents\[0\]\[5\].*number"),
    "NaN": (b'{"documents": [[NaN, 0, 0, 0, 0, 0]]}', 422, r"\[0\]\[0\].*finite"),
    "infinity": (b'{"documents": [[0, 1e999, 0, 0, 0, 0]]}', 422, r"\[0\]\[1\].*finite"),
    "beyond float32": ({"documents": [[1e300, *ROW[1:]]]}, 422, "too large"),
    "unknown field": ({"documents": [ROW], "wieghts": [1, 0]}, 422, "unknown fields .*wieghts"),
    "sum": ({"documents": [ROW], "weights": [0.5, 0.6]}, 422, "must sum to 1; got .* with sum 1.1"),
    "negative": ({"documents": [ROW], "weights": [1.5, -0.5]}, 422, "must not be negative"),
    "weights beside a selection": (
        {"documents": [ROW], "weights": [1.0, 0.0], "selection": {"weights": {"clicks": 1}}},
        422,
        "leave weights out",
    ),
    "another temperature": (
        {"documents": [ROW], "temperature": 1, "selection": {"weights": {"clicks": 1}, "temperature": 0.3}},
        422,
        "temperature 0.3, and temperature=1 was given beside it",
    ),
    "no selection": ({"documents": [ROW], "selection": {"clicks": 1}}, 422, "a selection is a mapping"),
    "one weight": ({"documents": [ROW], "weights": [1.0]}, 422, r"shape \(1,\); expected \(2,\)"),
    "three weights": ({"documents": [ROW], "weights": [0.5, 0.5, 0]}, 422, "weights: .*at most 2"),
    "a number for weights": ({"documents": [ROW], "weights": 1}, 422, "weights: .*array"),
    "null as weight": ({"documents": [ROW], "weights": {"clicks": None}}, 422, "weights.clicks"),
    "unknown objective": (
        {"documents": [ROW], "weights": {"click": 1}},
        422,
        r"\['click'\]; the objectives are",
    ),
    "temperature": ({"documents": [ROW], "temperature": -1}, 422, "temperature must be a number at least 0"),
    "hot text": ({"documents": [ROW], "temperature": "hot"}, 422, "temperature: .*number"),
    "top_k": ({"documents": [ROW], "top_k": 0}, 422, "top_k: .*greater than or equal to 1"),
    "half a top_k": ({"documents": [ROW], "top_k": 1.5}, 422, "top_k: .*integer"),
    "few ids": ({"documents": [ROW], "ids": []}, 422, "ids has 0 entries for 1 documents"),
    "odd ids": ({"documents": [ROW], "ids": [[1]]}, 422, r"ids\[0\]: "),
    "ref_scores": ({"documents": [ROW], "ref_scores": [1]}, 422, "only reference='scores'"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_bodies_are_told_why(client, name):
    body, status, reason = BAD[name]
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = client.post("/rank", content=content, headers=JSON)
    assert answer.status_code == status, answer.text
    assert list(answer.json()) == ["error"]
    assert re.search(reason, answer.json()["error"]), answer.text


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("POST", "/rank", {}, 415),
        ("POST", "/rank", {"content-type": "text/plain"}, 415),
        ("POST", "/rank", {**JSON, "content-encoding": "gzip"}, 415),
        ("GET", "/rank", {}, 405),
        ("POST", "/health", JSON, 405),
        ("GET", "/nothing", {}, 404),
    ],
)
def test_what_is_no_request_for_an_order(client, method, path, headers, status):
    answer = client.request(method, path, headers=headers, content=b"" if method == "GET" else b"{}")
    assert answer.status_code == status
    assert answer.json()["error"]


def test_a_charset_may_be_named(client):
    headers = {"content-type": "Application/JSON; charset=utf-8"}
    answer = client.post("/rank", content=json.dumps({"documents": [ROW]}), headers=headers)
    assert answer.status_code == 200


@pytest.mark.parametrize("chunked", [False, True])
def test_large_bodies_are_cut(client, chunked):
    body = b" " * (MAX_BYTES + 1)
    content = (body[i : i + 4096] for i in range(0, len(body), 4096)) if chunked else body
    answer = client.post("/rank", content=content, headers=JSON)
    assert answer.status_code == 413
    assert str(MAX_BYTES) in answer.json()["error"]
    whole = json.dumps({"documents": [ROW]}).encode()
    assert client.post("/rank", content=whole.ljust(MAX_BYTES), headers=JSON).status_code == 200


def test_an_endless_body_is_not_read_to_its_end(server):
    """The client sends until it is refused: the server must be the one to stop."""
    head = b"POST /rank HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    with server.connect() as connection:
        connection.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n")
        chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
        with pytest.raises(ConnectionError):
            connection.sendall(chunk * 2_000)


def check_refusal(answer: httpx.Response) -> None:
    assert answer.status_code == 200 or 400 <= answer.status_code < 500, answer.text
    if answer.status_code != 200:
        assert list(answer.json()) == ["error"]
        assert isinstance(answer.json()["error"], str)
        assert answer.json()["error"]


fuzzed = settings(max_examples=25, suppress_health_check=list(HealthCheck), deadline=None)
numbers = st.floats() | st.integers() | st.none()
anything = st.recursive(
    numbers | st.booleans() | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
)
weights = st.lists(st.floats(0, 1), max_size=3) | st.dictionaries(
    st.sampled_from(["relevance", "clicks", "x"]), st.floats(0, 1)
)


@fuzzed
@given(st.binary(max_size=2000) | anything.map(lambda value: json.dumps(value).encode()))
def test_no_bytes_and_no_json_are_a_fault_of_the_server(client, body):
    check_refusal(client.post("/rank", content=body, headers=JSON))


@fuzzed
@given(
    st.lists(st.lists(numbers, min_size=6, max_size=6), min_size=1, max_size=4),
    st.fixed_dictionaries(
        {},
        optional={
            "weights": weights | anything,
            "temperature": numbers | anything,
            "top_k": st.integers() | anything,
            "ids": st.lists(st.text() | st.integers(), max_size=4) | anything,
            "ref_scores": st.lists(numbers, max_size=4) | anything,
        },
    ),
)
def test_no_near_miss_is_a_fault_of_the_server(client, documents, others):
    body = json.dumps({"documents": documents, **others}).encode()
    check_refusal(client.post("/rank", content=body, headers=JSON))


@pytest.mark.slow
def test_categories_may_be_text(data, tmp_path):
    """By name and in rows; numbers where there is text otherwise are a refusal."""
    kinds = np.array(["red", "green", "blue"])[np.arange(len(data.X)) % 3]
    frame = pd.DataFrame(data.X[:, :2], columns=["a", "b"]).assign(kind=pd.Categorical(kinds))
    labels = np.column_stack([data.Y[:, 0], kinds == "green"])
    fitted = MixedScoresRanker(objectives=("quality", "margin"), random_state=0)
    fitted = fitted.fit(frame, labels, qid=data.qid)
    some = frame.iloc[:9].astype({"kind": object})
    some.loc[2, "kind"] = None
    some.loc[4, "kind"] = "violet"
    scores = fitted.predict(some, weights=[0, 1])
    records = json.loads(some.to_json(orient="records"))
    with (
        serving(fitted.save(tmp_path / "m"), max_bytes=MAX_BYTES, max_documents=MAX_DOCUMENTS) as running,
        httpx.Client(base_url=running.url, timeout=PATIENCE) as client,
    ):
        for documents in (records, [list(record.values()) for record in records]):
            answer = client.post("/rank", json={"documents": documents, "weights": [0, 1]})
            assert answer.status_code == 200, answer.text
            np.testing.assert_allclose(answer.json()["scores"], np.sort(scores)[::-1])
        for wrong in ({**records[0], "kind": 3.0}, {**records[0], "a": "red"}):
            refused = client.post("/rank", json={"documents": [wrong]})
            assert refused.status_code == 422, refused.text
