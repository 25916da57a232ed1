"""A saved ranker behind HTTP: documents and a trade-off in, their order out.

``python docs/examples/serve.py model.safetensors --port 8000``; docs/serving.md says the rest.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, fields
from inspect import signature
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar, cast

# One core per request: threads within one would only fight with those of the others.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
import torch
import uvicorn
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, create_model
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.requests import ClientDisconnect

import hyperrank
from hyperrank.front.selection import Selection, resolve_trade_off
from hyperrank.simplex import as_weights

#: Characters of a reason.
MAX_REASON = 1_000

log = logging.getLogger("uvicorn.error")

T = TypeVar("T")

Number = Annotated[float, Field(allow_inf_nan=False)]
Category = Annotated[str, Field(max_length=1000)]
# A hostile body could hold a million errors: the first ends the reading.
FIRST_ERROR = Field(fail_fast=True)


@dataclass(frozen=True)
class Settings:
    """Limits of the server; each is read from ``HYPERRANK_SERVE_`` and its name in capitals."""

    max_bytes: int = 2 * 1024 * 1024
    max_documents: int = 2_000
    threads: int = 2
    max_waiting: int = 256
    body_seconds: float = 10.0
    reload_seconds: float = 5.0

    def __post_init__(self) -> None:
        for field in fields(self):
            if not getattr(self, field.name) > 0:
                raise ValueError(f"{field.name} must be above 0; got {getattr(self, field.name)}.")

    @classmethod
    def from_environment(cls) -> Self:
        """Read what the environment sets, and leave the rest as it is."""
        given: dict[str, Any] = {}
        for field in fields(cls):
            name = f"HYPERRANK_SERVE_{field.name.upper()}"
            if name in os.environ:
                try:
                    given[field.name] = (int if field.type == "int" else float)(os.environ[name])
                except ValueError as error:
                    raise ValueError(f"{name} must be a number; got {os.environ[name]!r}.") from error
        return cls(**given)


class RankRequest(BaseModel):
    """What is posted to ``/rank``; `request_type` gives documents and weights their form."""

    # Unknown fields are refused all at once afterwards: here each would be an error of its own.
    model_config = ConfigDict(extra="allow", strict=True, json_schema_extra={"additionalProperties": False})

    documents: list[Any]
    weights: dict[str, Number] | list[Number] | None = None
    temperature: Number | None = None
    selection: dict[str, Any] | None = None
    ref_scores: Annotated[list[Number], FIRST_ERROR] | None = None
    ids: Annotated[list[str | int], FIRST_ERROR] | None = None
    top_k: Annotated[int, Field(ge=1)] | None = None


class RankAnswer(BaseModel):
    """The order of the documents, best first: their ids or else their places in the request."""

    order: list[str | int]
    scores: list[float]
    weights: dict[str, float]
    temperature: float | None


def request_type(
    names: list[str] | None, n_features: int, n_objectives: int, max_documents: int, value: Any
) -> type[RankRequest]:
    """Requests to one ranker: sizes are checked while a body is parsed, before it becomes large objects.

    `value` is what a feature may be.
    """
    vector = Annotated[list[value], Field(min_length=n_features, max_length=n_features), FIRST_ERROR]
    # A few names too many are let through, to be told which ones are not known.
    named = Annotated[dict[str, value], Field(max_length=2 * n_features), FIRST_ERROR]
    document: Any = vector if names is None else named
    by_name = Annotated[dict[str, Number], Field(max_length=2 * n_objectives), FIRST_ERROR, Tag("object")]
    in_order = Annotated[list[Number], Field(max_length=n_objectives), FIRST_ERROR, Tag("array")]
    weights = Annotated[
        by_name | in_order, Discriminator(lambda value: "object" if isinstance(value, dict) else "array")
    ]
    documents = Annotated[list[document], Field(min_length=1, max_length=max_documents), FIRST_ERROR]
    return create_model(
        "RankRequest", __base__=RankRequest, documents=(documents, ...), weights=(weights | None, None)
    )


@dataclass(frozen=True)
class Model:
    """A ranker from a file, and what it wants of a request.

    Attributes
    ----------
    ranker : BaseRanker
        As `hyperrank.load` read it.
    names : list of str or None
        Names of the features, where it was fitted on a frame.
    wants_frame : bool
        Whether its reference is a model that needs them; frames take longer to make than to score.
    dtype : numpy.dtype
        Of rows: numbers, or objects where some features are categories, which may be text.
    options : set of str
        What its predict takes.
    requests : tuple of type
        The forms of its requests: documents by name, where it knows names, and as rows.
    stamp : tuple
        Tells the file from the one that will replace it.
    """

    ranker: Any
    names: list[str] | None
    wants_frame: bool
    dtype: np.dtype[Any]
    options: frozenset[str]
    requests: tuple[type[RankRequest], ...]
    stamp: tuple[int, int, int]

    @classmethod
    def read(cls, path: Path, settings: Settings) -> Self:
        """Load the ranker; this scores a few rows too, so the first request finds it warm."""
        before = stamp(path)
        ranker = hyperrank.load(path)
        found = getattr(ranker, "feature_names_in_", None)
        names = None if found is None else [str(name) for name in found]
        wants_frame = getattr(getattr(ranker, "reference_", None), "needs_frame", False)
        if names is not None and not wants_frame:
            del ranker.feature_names_in_  # documents become arrays, in the order of the names
        sizes = ranker.n_features_in_, len(ranker.objectives_), settings.max_documents
        has_categories = hasattr(ranker, "categories_")
        value: Any = Number | Category | None if has_categories else Number | None
        requests = tuple(request_type(known, *sizes, value) for known in ([names, None] if names else [None]))
        dtype = np.dtype(object if has_categories else np.float32)
        options = frozenset(signature(ranker.predict).parameters)
        return cls(ranker, names, wants_frame, dtype, options, requests, before)

    def about(self) -> dict[str, Any]:
        """What a client must know of it."""
        return {
            "status": "ok",
            "model": type(self.ranker).__name__,
            "objectives": list(self.ranker.objectives_),
            "n_features": int(self.ranker.n_features_in_),
            "feature_names": self.names,
            "version": hyperrank.__version__,
        }

    def rank(self, body: bytes) -> bytes:
        """Answer a request, from bytes to bytes: all of it is work for a thread."""
        try:
            asked = self._read(body)
        except ValidationError as error:
            raise refusal(error) from error
        try:
            answer = self._answer(asked)
        except ValueError as error:
            raise HTTPException(422, str(error)) from error
        return answer.model_dump_json().encode()

    def _read(self, body: bytes) -> RankRequest:
        """A request; documents that are not objects are read as rows."""
        try:
            return self.requests[0].model_validate_json(body)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            if first["type"] != "dict_type" or first["loc"][0] != "documents":
                raise
            return self.requests[-1].model_validate_json(body)

    def _answer(self, asked: RankRequest) -> RankAnswer:
        n, objectives = len(asked.documents), self.ranker.objectives_
        if asked.model_extra:
            known = list(RankRequest.model_fields)
            raise ValueError(f"unknown fields {list(asked.model_extra)[:10]}; the fields are {known}.")
        if asked.ids is not None and len(asked.ids) != n:
            raise ValueError(f"ids has {len(asked.ids)} entries for {n} documents; expected one for each.")
        weights, temperature = self._trade_off(asked)
        options: dict[str, Any] = {"temperature": temperature, "ref_scores": asked.ref_scores}
        options = {name: value for name, value in options.items() if value is not None}
        for name in options.keys() - self.options:
            raise ValueError(f"{name} means nothing to a {type(self.ranker).__name__}.")
        scores = self.ranker.predict(self._table(asked.documents), weights=weights, **options)
        if not np.isfinite(scores).all():
            raise ValueError("the scores are not finite: a feature or the temperature is too large.")
        best = np.argsort(-scores, kind="stable")[: asked.top_k]
        served = as_weights(weights, len(objectives), objectives)
        return RankAnswer(
            order=[int(i) if asked.ids is None else asked.ids[i] for i in best],
            scores=scores[best].tolist(),
            weights=dict(zip(objectives, served.tolist(), strict=True)),
            temperature=temperature,
        )

    def _trade_off(self, asked: RankRequest) -> tuple[Any, float | None]:
        """Weights as predict takes them, and the temperature; None where the ranker has none."""
        objectives = self.ranker.objectives_
        m = len(objectives)
        given: Any = np.full(m, 1 / m) if asked.weights is None else asked.weights
        if asked.selection is not None:
            if asked.weights is not None:
                raise ValueError("a selection holds weights and temperature: leave weights out beside it.")
            given = Selection.from_dict(asked.selection)
        weights, temperature = resolve_trade_off(given, asked.temperature, objectives)
        if temperature is None and "temperature" in self.options:
            temperature = 1.0
        return weights, temperature

    def _table(self, documents: list[Any]) -> Any:
        rows = documents
        if isinstance(documents[0], dict):
            names = cast(list[str], self.names)
            known = frozenset(names)
            for number, document in enumerate(documents):
                if document.keys() != known:
                    lacking, unknown = sorted(known - document.keys()), sorted(document.keys() - known)
                    raise ValueError(
                        f"documents[{number}] lacks features {lacking[:10]} and has unknown ones "
                        f"{unknown[:10]}; expected exactly those that /health names, null where a value is "
                        "missing."
                    )
            rows = [list(map(document.__getitem__, names)) for document in documents]
        with np.errstate(over="ignore"):  # predict refuses what is too large
            values = np.array(rows, dtype=self.dtype)
        return pd.DataFrame(values, columns=self.names) if self.wants_frame else values


class Workers:
    """A few threads and a bounded queue before them: past it, a quick no is better than a late yes."""

    def __init__(self, settings: Settings) -> None:
        self._pool = ThreadPoolExecutor(settings.threads, "rank", torch.set_num_threads, (1,))
        self._free = settings.threads + settings.max_waiting

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold one place; only the event loop calls this, so that no lock is needed."""
        if self._free == 0:
            raise HTTPException(503, "the server is busy; try again soon.", {"Retry-After": "1"})
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1

    async def run(self, work: Callable[..., T], *args: Any) -> T:
        """Work in a thread, while the event loop runs."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *args)

    def close(self) -> None:
        """Let the threads end."""
        self._pool.shutdown(wait=True, cancel_futures=True)


def create_app(model_path: str | Path | None = None, settings: Settings | None = None) -> FastAPI:
    """Make the application, the model loaded.

    Parameters
    ----------
    model_path : path, optional
        What `save` wrote; by default the environment's ``HYPERRANK_MODEL``.
    settings : Settings, optional
        By default those of the environment.

    Returns
    -------
    FastAPI

    Raises
    ------
    ModelFileError, OSError, ValueError
        If the model cannot be loaded or a setting is wrong: better now than at the first request.
    """
    path = Path(os.environ["HYPERRANK_MODEL"] if model_path is None else model_path)
    limits = Settings.from_environment() if settings is None else settings
    workers = Workers(limits)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        following = asyncio.create_task(follow(app, path, limits))
        yield
        following.cancel()
        workers.close()

    app = FastAPI(title="hyperrank", version=hyperrank.__version__, lifespan=lifespan)
    app.state.model = Model.read(path, limits)
    app.add_exception_handler(StarletteHTTPException, refused)
    app.add_exception_handler(Exception, failed)

    def model() -> Model:
        return cast(Model, app.state.model)

    @app.get("/health")
    async def health() -> dict[str, Any]:
        return model().about()

    schemas = [form.model_json_schema() for form in model().requests]
    schema = {"application/json": {"schema": schemas[0] if len(schemas) == 1 else {"anyOf": schemas}}}
    posted = {"requestBody": {"required": True, "content": schema}}

    @app.post("/rank", response_model=RankAnswer, openapi_extra=posted)
    async def rank(request: Request) -> Response:
        check_content_type(request)
        with workers.place():
            body = await read_body(request, limits)
            answer = await workers.run(model().rank, body)
        return Response(answer, media_type="application/json")

    return app


def stamp(path: Path) -> tuple[int, int, int]:
    """Tell a file from another under the same name."""
    found = path.stat()
    return found.st_ino, found.st_mtime_ns, found.st_size


async def follow(app: FastAPI, path: Path, settings: Settings) -> None:
    """Serve whatever replaces the model's file; `save` replaces it whole, so half a file is never read.

    Whatever a file holds, it never ends this loop: the next good one is served.
    """
    refused = None
    while True:
        await asyncio.sleep(settings.reload_seconds)
        found = None
        try:
            found = stamp(path)
            if found not in (app.state.model.stamp, refused):
                app.state.model = await asyncio.to_thread(Model.read, path, settings)
                log.info("Loaded %s again.", path)
        except Exception as error:
            refused = found
            log.warning("The model stays as it was: %s", error)


def check_content_type(request: Request) -> None:
    """Refuse what is not plain JSON."""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != "application/json":
        raise HTTPException(415, f"content-type is {kind or 'missing'}; expected application/json.")
    coding = request.headers.get("content-encoding", "identity")
    if coding != "identity":
        raise HTTPException(415, f"content-encoding is {coding}; expected none.")


async def read_body(request: Request, settings: Settings) -> bytes:
    """Read the body up to the limit, whatever length it was said to have."""
    close = {"Connection": "close"}  # what is left of the body is not the next request
    too_large = HTTPException(413, f"the body is larger than {settings.max_bytes} bytes.", close)
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > settings.max_bytes:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(settings.body_seconds):
            async for chunk in request.stream():
                body += chunk
                if len(body) > settings.max_bytes:
                    raise too_large
    except TimeoutError as error:
        raise HTTPException(408, f"no whole body in {settings.body_seconds} seconds.", close) from error
    except ClientDisconnect as error:
        raise HTTPException(400, "the client left before the body was whole.") from error
    return bytes(body)


def refusal(error: ValidationError) -> HTTPException:
    """Put the first thing that is wrong with a body in a sentence."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        return HTTPException(400, first["msg"])
    where = [part for part in first["loc"] if part not in ("object", "array", "str", "int")]
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in where).lstrip(".")
    return HTTPException(422, f"{place or 'the body'}: {first['msg']}.")


async def refused(_request: Request, error: Any) -> JSONResponse:
    """Answer every refusal in one shape; what is told back of a body is bounded too."""
    return JSONResponse({"error": str(error.detail)[:MAX_REASON]}, error.status_code, error.headers)


async def failed(_request: Request, _error: Exception) -> JSONResponse:
    """Say nothing of what went wrong inside; the log has it."""
    return JSONResponse({"error": "the server failed; its log says why."}, 500)


def main() -> None:
    """Serve the model that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="file that a ranker's save wrote")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--workers", type=int, default=1, help="processes, one core each")
    given = parser.parse_args()
    # Processes of their own make the application themselves, and know of it by the environment.
    os.environ["HYPERRANK_MODEL"] = given.model
    uvicorn.run(
        "serve:create_app",
        factory=True,
        app_dir=str(Path(__file__).parent),
        host=given.host,
        port=given.port,
        workers=given.workers,
        timeout_graceful_shutdown=30,
        # A process that still imports torch on a busy machine is slow, not dead.
        timeout_worker_healthcheck=60,
    )


if __name__ == "__main__":
    main()
